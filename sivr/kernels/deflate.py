"""Filtered scanlines to DEFLATE (RFC 1951) by runs and dynamic Huffman codes, without a search for matches.

Filtered medical pictures are noise around zero: a search for strings finds little there and takes most of the
time. Codes as short as the statistics allow and runs of one byte give fewer bytes in less of it.
"""

from __future__ import annotations

import threading
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba.extending import intrinsic

Bytes = npt.NDArray[np.uint8]

BLOCK = 256 * 1024
"""Bytes that share their codes; a header is some 70 bytes."""
_LONGEST = 12
"""Bits of a code: four of them and what is left of a byte fit a word of 64."""
_END = 256
_SYMBOLS = 288
_LITERALS = 286
_MOST_RUNS = (BLOCK + BLOCK // 4) // 8 + 1
"""Of a block; the last one may be a quarter larger."""
_KEPT_WORDS = 1 << 20
_HEADER_WORDS = 64
"""Room for the code lengths of one block, in words of 8 bytes."""


def _lengths() -> npt.NDArray[np.int64]:
    """RFC 1951 3.2.5: (symbol, extra bits, their value) of the run lengths 0..258; below 3 there are none."""
    table = np.zeros((259, 3), np.int64)
    length, symbol = 3, 257
    for extra in (0, 0, 1, 2, 3, 4, 5):
        for _ in range(4):
            for value in range(1 << extra):
                if length < 258:
                    table[length] = (symbol, extra, value)
                length += 1
            symbol += 1
    table[258] = (285, 0, 0)
    return table


_RUNS = _lengths()
_ORDER = np.array([16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15], np.int64)


class _Scratch(threading.local):
    """Memory of a thread that is used again: the system takes long to hand out fresh pages."""

    def __init__(self) -> None:
        self.words = np.empty(0, np.uint64)
        self.runs = np.empty((_MOST_RUNS, 2), np.int32)

    def words_for(self, size: int) -> npt.NDArray[np.uint64]:
        """At least as many words as ``size`` bytes may become."""
        needed = _most_words(size)
        if needed > _KEPT_WORDS:
            return np.empty(needed, np.uint64)
        if self.words.size < needed:
            self.words = np.empty(needed, np.uint64)
        return self.words


def runs_and_codes(data: Bytes) -> bytes:
    """A raw DEFLATE stream of ``data`` (one-dimensional, contiguous, at least one byte). Releases the GIL."""
    out = _scratch.words_for(data.size)
    size = int(_deflate(data, out, _scratch.runs, _RUNS, _ORDER))
    return out.view(np.uint8)[:size].tobytes()


def _most_words(size: int) -> int:
    """Words that no stream is longer than: 12 bits for every byte, and headers."""
    blocks = size // BLOCK + 1
    return (size * _LONGEST) // 64 + blocks * _HEADER_WORDS + 8


@intrinsic  # type: ignore[untyped-decorator]
def _word(typing_context: Any, array: Any, index: Any) -> Any:
    """Eight bytes of an uint8 array from any index on, as a little-endian word."""
    signature = numba.types.uint64(array, index)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        view = context.make_array(signature.args[0])(context, builder, arguments[0])
        place = builder.gep(view.data, [arguments[1]])
        return builder.load(builder.bitcast(place, ir.IntType(64).as_pointer()), align=1)

    return signature, generate


@intrinsic  # type: ignore[untyped-decorator]
def _zeros_below(typing_context: Any, word: Any) -> Any:
    """How many low bits of a word, not zero itself, are zero."""
    signature = numba.types.uint64(word)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return signature, generate


_scratch = _Scratch()


@numba.njit(nogil=True, cache=True)
def _deflate(data, out, found, runs, order):  # type: ignore[no-untyped-def]
    counts = np.empty((4, _SYMBOLS), np.uint32)
    codes = np.zeros(_SYMBOLS, np.uint64)
    lengths = np.zeros(_SYMBOLS, np.uint8)
    # Of the bits written: whole words, those of the word under way, and how many these are.
    place, word, used = np.int64(0), np.uint64(0), np.uint64(0)
    start = np.int64(0)
    while start < data.size:
        end = np.int64(min(start + BLOCK, data.size))
        if data.size - end < BLOCK // 4:
            end = data.size
        many = _count(data, start, end, counts, runs, found)
        _build(counts[0], np.int64(_LONGEST), lengths[:_LITERALS], codes)
        final = np.uint64(1 if end == data.size else 0)
        place, word, used = _header(out, place, word, used, final, lengths, order)
        place, word, used = _emit(
            data, start, end, out, place, word, used, codes, lengths, runs, found[:many]
        )
        start = end
    out[place] = word
    return place * 8 + (np.int64(used) + 7) // 8


@numba.njit(nogil=True, cache=True)
def _run(data, at, end):  # type: ignore[no-untyped-def]
    """How many bytes from ``at`` on repeat the one before; the caller has seen that eight do."""
    word = _word(data, at)
    stop = at + 8
    # Air: most of a head's picture is a few runs of thousands.
    while stop + 32 <= end and not (
        (_word(data, stop) ^ word)
        | (_word(data, stop + 8) ^ word)
        | (_word(data, stop + 16) ^ word)
        | (_word(data, stop + 24) ^ word)
    ):
        stop += 32
    while stop + 8 <= end:
        other = _word(data, stop) ^ word
        if other:
            return stop - at + np.int64(_zeros_below(other) >> np.uint64(3))
        stop += 8
    while stop < end and data[stop] == data[at]:
        stop += 1
    return stop - at


@numba.njit(nogil=True, cache=True)
def _piece(left):  # type: ignore[no-untyped-def]
    """Of a run, the length of its next piece: at most 258, and never less than 3 to come."""
    if left <= 258:
        return left
    return 258 if left >= 261 else left - 3


@numba.njit(nogil=True, cache=True)
def _count(data, start, end, counts, runs, found):  # type: ignore[no-untyped-def]
    """Count symbols; where runs begin and how long they are goes to ``found``, their number is returned."""
    for table in range(4):
        for symbol in range(_SYMBOLS):
            counts[table, symbol] = 0
    many = 0
    at = start
    if at == 0:
        counts[0, data[0]] += 1
        at = 1
    after = at
    low = np.uint64(255)
    while at + 8 <= end:
        word = _word(data, at)
        if word == _word(data, at - 1):
            left = _run(data, at, end)
            stop = at + left
            # The run began among the eight bytes before, which were counted one by one.
            byte = data[at]
            while at - after > 1 and data[at - 2] == byte:
                at -= 1
                left += 1
                counts[0, byte] -= 1
            found[many, 0], found[many, 1] = at - start, left
            many += 1
            at = after = stop
            while left > 0:
                piece = _piece(left)
                counts[0, runs[piece, 0]] += 1
                left -= piece
            continue
        counts[0, word & low] += 1
        counts[1, (word >> np.uint64(8)) & low] += 1
        counts[2, (word >> np.uint64(16)) & low] += 1
        counts[3, (word >> np.uint64(24)) & low] += 1
        counts[0, (word >> np.uint64(32)) & low] += 1
        counts[1, (word >> np.uint64(40)) & low] += 1
        counts[2, (word >> np.uint64(48)) & low] += 1
        counts[3, word >> np.uint64(56)] += 1
        at += 8
    while at < end:
        counts[0, data[at]] += 1
        at += 1
    for symbol in range(256):
        counts[0, symbol] += counts[1, symbol] + counts[2, symbol] + counts[3, symbol]
    counts[0, _END] = 1
    return many


@numba.njit(nogil=True, cache=True)
def _sort(keys, size):  # type: ignore[no-untyped-def]
    """The first ``size`` of them ascending, in place (Shell): numpy's sort takes seconds to compile."""
    gap = 121
    while gap > 0:
        for n in range(gap, size):
            key = keys[n]
            at = n
            while at >= gap and keys[at - gap] > key:
                keys[at] = keys[at - gap]
                at -= gap
            keys[at] = key
        gap //= 3


@numba.njit(nogil=True, cache=True)
def _build(counts, longest, lengths, codes):  # type: ignore[no-untyped-def]
    """Canonical Huffman codes of at most ``longest`` bits, their bits reversed as DEFLATE writes them."""
    size = lengths.size
    for symbol in range(size):
        lengths[symbol] = 0
    keys = np.empty(size, np.uint64)
    used = 0
    for symbol in range(size):
        if counts[symbol]:
            keys[used] = (np.uint64(counts[symbol]) << np.uint64(16)) | np.uint64(symbol)
            used += 1
    if used == 1:
        # A code of one symbol still takes a bit, and decoders like two of them.
        only = np.int64(keys[0] & np.uint64(0xFFFF))
        lengths[only] = 1
        lengths[1 if only == 0 else 0] = 1
    else:
        _sort(keys, used)
        weight = np.empty(2 * used, np.uint64)
        parent = np.zeros(2 * used, np.int64)
        for n in range(used):
            weight[n] = keys[n] >> np.uint64(16)
        leaf, inner = 0, used
        for made in range(used, 2 * used - 1):
            total = np.uint64(0)
            for _ in range(2):
                if leaf < used and (inner >= made or weight[leaf] <= weight[inner]):
                    least = leaf
                    leaf += 1
                else:
                    least = inner
                    inner += 1
                total += weight[least]
                parent[least] = made
            weight[made] = total
        depth = np.zeros(2 * used, np.int64)
        of_length = np.zeros(longest + 1, np.int64)
        for node in range(2 * used - 3, -1, -1):
            depth[node] = depth[parent[node]] + 1
            if node < used:
                of_length[min(depth[node], longest)] += 1
        # Codes cut to the limit ask for more room than there is: longer ones elsewhere pay for it.
        room = 0
        for bits in range(1, longest + 1):
            room += of_length[bits] << (longest - bits)
        while room > 1 << longest:
            bits = longest - 1
            while of_length[bits] == 0:
                bits -= 1
            of_length[bits] -= 1
            of_length[bits + 1] += 2
            of_length[longest] -= 1
            room -= 1
        n = used - 1
        for bits in range(1, longest + 1):
            for _ in range(of_length[bits]):
                lengths[np.int64(keys[n] & np.uint64(0xFFFF))] = bits
                n -= 1
    _assign(lengths, longest, codes)


@numba.njit(nogil=True, cache=True)
def _assign(lengths, longest, codes):  # type: ignore[no-untyped-def]
    """RFC 1951 3.2.2."""
    size = lengths.size
    first = np.zeros(longest + 2, np.int64)
    for symbol in range(size):
        if lengths[symbol]:
            first[lengths[symbol] + 1] += 1
    for bits in range(1, longest + 2):
        # What began as a count of the shorter codes becomes the first code of this length.
        first[bits] = (first[bits - 1] + first[bits]) << 1 if bits > 1 else 0
    for symbol in range(size):
        length = np.int64(lengths[symbol])
        code = first[length]
        first[length] += 1
        turned = 0
        for _ in range(length):
            turned = (turned << 1) | (code & 1)
            code >>= 1
        codes[symbol] = turned


@numba.njit(nogil=True, cache=True)
def _put(out, place, word, used, bits, count):  # type: ignore[no-untyped-def]
    """Append ``count`` (at most 56) ``bits``; word by word, the last one stays in hand."""
    word |= bits << used
    out[place] = word
    total = used + count
    # In two steps: a shift by 64 has no meaning.
    beyond = (bits >> np.uint64(1)) >> (np.uint64(63) - used)
    full = total >> np.uint64(6)
    word = beyond if full else word
    return place + np.int64(full), word, total & np.uint64(63)


@numba.njit(nogil=True, cache=True)
def _header(out, place, word, used, final, lengths, order):  # type: ignore[no-untyped-def]
    """A block of dynamic codes (RFC 1951 3.2.7); distances have two codes of a bit, of which 1 is used."""
    literals = 286
    while literals > 257 and lengths[literals - 1] == 0:
        literals -= 1
    total = literals + 2
    every = np.empty(total, np.int64)
    for n in range(total):
        every[n] = lengths[n] if n < literals else 1
    symbols = np.empty(total, np.int64)
    extras = np.zeros(total, np.uint64)
    counts = np.zeros(19, np.uint32)
    made = 0
    at = 0
    while at < total:
        value = every[at]
        stop = at + 1
        while stop < total and every[stop] == value:
            stop += 1
        left = stop - at
        at = stop
        if value != 0:
            symbols[made] = value
            counts[value] += 1
            made += 1
            left -= 1
        while left >= 3:
            if value != 0:
                piece = min(left, 6)
                symbols[made] = 16
                extras[made] = piece - 3
            elif left < 11:
                piece = left
                symbols[made] = 17
                extras[made] = piece - 3
            else:
                piece = min(left, 138)
                symbols[made] = 18
                extras[made] = piece - 11
            counts[symbols[made]] += 1
            made += 1
            left -= piece
        for _ in range(left):
            symbols[made] = value
            counts[value] += 1
            made += 1
    short = np.zeros(19, np.uint8)
    codes = np.zeros(19, np.uint64)
    _build(counts, np.int64(7), short, codes)
    kinds = 19
    while kinds > 4 and short[order[kinds - 1]] == 0:
        kinds -= 1
    head = final | np.uint64(2 << 1) | np.uint64(literals - 257) << np.uint64(3)
    head |= np.uint64(1) << np.uint64(8) | np.uint64(kinds - 4) << np.uint64(13)
    for n in range(1 + kinds + made):
        if n == 0:
            bits, count = head, np.uint64(17)
        elif n <= kinds:
            bits, count = np.uint64(short[order[n - 1]]), np.uint64(3)
        else:
            symbol = symbols[n - 1 - kinds]
            count = np.uint64(short[symbol])
            bits = codes[symbol] | extras[n - 1 - kinds] << count
            if symbol >= 16:
                count += np.uint64(2 if symbol == 16 else 3 if symbol == 17 else 7)
        place, word, used = _put(out, place, word, used, bits, count)
    return place, word, used


@numba.njit(nogil=True, cache=True)
def _four(data, pairs):  # type: ignore[no-untyped-def]
    """The codes of four bytes in a row, low byte of ``data`` first, and how many bits these are."""
    low = np.uint64(255)
    shift = np.uint64(16)
    bits = np.uint64(0xFFFF)
    a = pairs[data & low]
    b = pairs[(data >> np.uint64(8)) & low]
    c = pairs[(data >> np.uint64(16)) & low]
    d = pairs[(data >> np.uint64(24)) & low]
    length_a, length_c = a >> shift, c >> shift
    first = (a & bits) | (b & bits) << length_a
    second = (c & bits) | (d & bits) << length_c
    half = length_a + (b >> shift)
    return first | second << half, half + length_c + (d >> shift)


@numba.njit(nogil=True, cache=True)
def _literals(data, at, end, out, place, word, used, pairs):  # type: ignore[no-untyped-def]
    while at + 8 <= end:
        eight = _word(data, at)
        bits, count = _four(eight, pairs)
        more, count_more = _four(eight >> np.uint64(32), pairs)
        if count + count_more <= np.uint64(63):
            place, word, used = _put(out, place, word, used, bits | more << count, count + count_more)
        else:
            place, word, used = _put(out, place, word, used, bits, count)
            place, word, used = _put(out, place, word, used, more, count_more)
        at += 8
    while at < end:
        pair = pairs[data[at]]
        place, word, used = _put(out, place, word, used, pair & np.uint64(0xFFFF), pair >> np.uint64(16))
        at += 1
    return place, word, used


@numba.njit(nogil=True, cache=True)
def _emit(data, start, end, out, place, word, used, codes, lengths, runs, found):  # type: ignore[no-untyped-def]
    pairs = np.empty(256, np.uint64)
    for symbol in range(256):
        pairs[symbol] = codes[symbol] | np.uint64(lengths[symbol]) << np.uint64(16)
    at = start
    for n in range(found.shape[0]):
        begin = start + np.int64(found[n, 0])
        place, word, used = _literals(data, at, begin, out, place, word, used, pairs)
        left = np.int64(found[n, 1])
        at = begin + left
        while left > 0:
            piece = _piece(left)
            symbol = runs[piece, 0]
            count = np.uint64(lengths[symbol])
            bits = codes[symbol] | np.uint64(runs[piece, 2]) << count
            # The one bit of the distance, 1 byte back, is zero.
            count += np.uint64(runs[piece, 1] + 1)
            place, word, used = _put(out, place, word, used, bits, count)
            left -= piece
    place, word, used = _literals(data, at, end, out, place, word, used, pairs)
    return _put(out, place, word, used, codes[_END], np.uint64(lengths[_END]))
