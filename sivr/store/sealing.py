"""The form of a sealed file: chunks, each compressed or not, each encrypted or not, read in any order.

A sealed file is::

    magic 8 | version 1 | cipher 1 | 2 zero | chunks u32 | plain bytes u64 | key id 16 | salt 32  = 72 bytes
    per chunk: stored bytes u32, of which the two highest bits are its packing | plain bytes u32
    a seal over all of the above
    the chunks, one after the other, each with its seal

Numbers are little-endian. A seal is the tag of the cipher (16 bytes) or, where nothing is encrypted, a CRC-32
(4 bytes): it finds damage, and no forgery. Every seal also covers the head, the chunk's place, packing and
size, and the name of the object, so that chunks cannot be exchanged, left out, or moved to another object.
The salt is drawn anew for every file and makes its key: no nonce is used twice under one key.

Chunks begin where frames begin, so that one frame is read without a byte of its neighbors. Packings: 0 as it
is; 1 zstd; 2 the low bytes of 16-bit words, then the high ones, then zstd: pixels become smaller and are read
twice as fast (docs/decisions/0009-sealed-objects.md).
"""

from __future__ import annotations

import os
import secrets
import struct
import threading
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from typing import BinaryIO

import imagecodecs
import msgspec
import numpy as np
import zstandard
from isal import isal_zlib

from sivr.crypto import SEAL_TAG_BYTES, Cipher, CipherName, object_cipher
from sivr.errors import Invalid

MAGIC = b"\x93SIVR\r\n\x1a"
CHUNK_BYTES = 512 * 1024
"""Most plain bytes of a chunk: a CT slice, and what a processor's own cache holds twice."""
_SMALL_BYTES = 64 * 1024
_PARTS = 128
ZSTD_LEVEL = 1
KEY_ID_BYTES = 16

_HEAD = struct.Struct("<8sBBHIQ16s32s")
_VERSION = 1
_CIPHERS: dict[int, CipherName] = {1: "aes-256-gcm", 2: "xchacha20-poly1305"}
_CIPHER_CODES = {name: code for code, name in _CIPHERS.items()}
_AS_IS, _ZSTD, _SPLIT = range(3)
_STORED_BITS = 30
_STORED_MASK = (1 << _STORED_BITS) - 1
_HEAD_NUMBER = (1 << 32) - 1
_CRC_BYTES = 4
_SAMPLE_BYTES = 16 * 1024
_WORTH = 0.95
"""What does not become smaller than this part of itself is stored as it is, and read so much faster."""
_FIRST_READ_BYTES = 16 * 1024
_MAX_CHUNKS = 1 << 22
DAMAGED = "The stored object is damaged."


class StudyKey(msgspec.Struct, frozen=True):
    """The key of a study's objects, and the 16 bytes by which their heads name it."""

    id: bytes
    key: bytes


class Form(msgspec.Struct, frozen=True):
    """How new objects are stored; neither compressed nor encrypted is as they came."""

    compress: bool = False
    cipher: CipherName | None = None

    @property
    def raw(self) -> bool:
        """Whether objects are stored as they came."""
        return not self.compress and self.cipher is None


class _Checksum:
    """Takes a cipher's place where nothing is encrypted."""

    def seal(self, number: int, plain: bytes | memoryview, bound: bytes) -> bytes:
        return b"".join((plain, isal_zlib.crc32(plain, _bound_crc(number, bound)).to_bytes(4, "little")))

    def open_into(self, number: int, sealed: memoryview, bound: bytes, out: memoryview) -> None:
        self.check(number, sealed, bound)
        out[:] = sealed[:-_CRC_BYTES]

    def check(self, number: int, sealed: memoryview, bound: bytes) -> None:
        found = isal_zlib.crc32(sealed[:-_CRC_BYTES], _bound_crc(number, bound))
        if found.to_bytes(4, "little") != sealed[-_CRC_BYTES:]:
            raise Invalid(DAMAGED)


def _bound_crc(number: int, bound: bytes) -> int:
    return int(isal_zlib.crc32(bound, isal_zlib.crc32(number.to_bytes(4, "little"))))


class Layout(msgspec.Struct, frozen=True):
    """What the head of a sealed file says: where each chunk lies, and how it is opened."""

    size: int
    """Bytes of the object."""
    stored_size: int
    """Bytes of the sealed file."""
    plain_starts: Sequence[int]
    """Where each chunk begins in the object; one more than there are chunks."""
    stored_starts: Sequence[int]
    packings: Sequence[int]
    seal: Cipher | _Checksum
    overhead: int
    context: bytes
    key_id: bytes | None


def is_sealed(beginning: bytes) -> bool:
    """Whether a file that begins so is a sealed one."""
    return beginning.startswith(MAGIC)


def chunk_ends(size: int, starts: Iterable[int]) -> list[int]:
    """Where chunks end: always where a frame begins or as far as a chunk may go.

    Small frames share a chunk, as long as it is a small part of the object.
    """
    marks = [*sorted({one for one in starts if 0 < one < size}), size]
    together = min(max(size // _PARTS, _SMALL_BYTES), CHUNK_BYTES)
    ends: list[int] = []
    at = 0
    while at < size:
        place = bisect_right(marks, at + together)
        if not place or marks[place - 1] <= at:
            place += 1
        at = min(marks[place - 1], at + CHUNK_BYTES)
        ends.append(at)
    return ends


def seal(
    source: BinaryIO,
    target: BinaryIO,
    name: bytes,
    *,
    size: int,
    form: Form,
    key: StudyKey | None,
    starts: Iterable[int] = (),
) -> None:
    """Write what ``source`` holds to ``target``, an empty file open for writing, sealed.

    ``name`` is what the object will be asked for by, ``starts`` are the offsets where its frames begin.
    ``key`` is needed where ``form`` encrypts. Raises Invalid where the source ends before ``size``.
    """
    ends = chunk_ends(size, starts)
    salt = secrets.token_bytes(32)
    if form.cipher is None:
        closing: Cipher | _Checksum = _Checksum()
        code, key_id, overhead = 0, bytes(KEY_ID_BYTES), _CRC_BYTES
    else:
        assert key is not None
        closing = object_cipher(form.cipher, key.key, salt)
        code, key_id, overhead = _CIPHER_CODES[form.cipher], key.id, SEAL_TAG_BYTES
    head = _HEAD.pack(MAGIC, _VERSION, code, 0, len(ends), size, key_id, salt)
    context = head + name
    table = np.empty((len(ends), 2), "<u4")
    target.seek(len(head) + table.nbytes + overhead)
    pack = _SCRATCH.compressor.compress if form.compress else None
    before = 0
    for number, end in enumerate(ends):
        plain = source.read(end - before)
        if len(plain) != end - before:
            raise Invalid("The file ended while it was stored.")
        packing, packed = (_AS_IS, plain) if pack is None else _packed(plain, pack)
        stored = closing.seal(number, packed, _bound(context, packing, len(plain)))
        target.write(stored)
        table[number] = packing << _STORED_BITS | len(stored), len(plain)
        before = end
    listed = table.tobytes()
    target.seek(0)
    target.write(head + listed + closing.seal(_HEAD_NUMBER, b"", context + listed))


def _bound(context: bytes, packing: int, plain_bytes: int) -> bytes:
    return context + struct.pack("<BI", packing, plain_bytes)


def _packed(plain: bytes, pack: Callable[[bytes], bytes]) -> tuple[int, bytes]:
    """The smallest of the packings, judged by a sample from the middle."""
    middle = (len(plain) // 2 - _SAMPLE_BYTES // 2) & ~1
    sample = plain[max(middle, 0) : max(middle, 0) + _SAMPLE_BYTES]
    sizes = {_ZSTD: len(pack(sample)), _SPLIT: len(pack(_split(sample)))}
    packing = min(sizes, key=lambda one: sizes[one])
    if sizes[packing] >= _WORTH * len(sample) and len(sample) > 64:
        return _AS_IS, plain
    packed = pack(_split(plain) if packing == _SPLIT else plain)
    return (packing, packed) if len(packed) < _WORTH * len(plain) else (_AS_IS, plain)


def _split(plain: bytes) -> bytes:
    """Low bytes, then high bytes; an odd last byte stays last."""
    words = np.frombuffer(plain, "<u2", len(plain) // 2)
    parts = np.empty((2, words.size), np.uint8)
    np.copyto(parts[0], words, casting="unsafe")
    np.copyto(parts[1], words >> 8, casting="unsafe")
    return parts.tobytes() + plain[words.size * 2 :]


def _join(parts: memoryview, out: memoryview) -> None:
    half = len(out) // 2
    split = np.frombuffer(parts, np.uint8, half * 2)
    words = np.frombuffer(out, "<u2", half)
    np.copyto(words, split[half:])
    np.left_shift(words, 8, out=words)
    np.bitwise_or(words, split[:half], out=words)
    out[half * 2 :] = parts[half * 2 : len(out)]


def read_layout(descriptor: int, name: bytes, key_of: Callable[[bytes], bytes]) -> Layout:
    """The layout of an open sealed file, checked. ``key_of`` finds a study's key by its id.

    Raises Invalid where the file is not as it was sealed under that name, or is cut off.
    """
    beginning = os.pread(descriptor, _FIRST_READ_BYTES, 0)
    try:
        _, version, code, zero, count, size, key_id, salt = _HEAD.unpack_from(beginning)
    except struct.error as error:
        raise Invalid(DAMAGED) from error
    if version != _VERSION and is_sealed(beginning):
        raise Invalid("The stored object was written by a newer SIVR than this one.")
    if not is_sealed(beginning) or zero or count > _MAX_CHUNKS or (code and code not in _CIPHERS):
        raise Invalid(DAMAGED)
    overhead = SEAL_TAG_BYTES if code else _CRC_BYTES
    body = _HEAD.size + 8 * count + overhead
    if len(beginning) < body:
        beginning += os.pread(descriptor, body - len(beginning), len(beginning))
        if len(beginning) < body:
            raise Invalid(DAMAGED)
    closing = object_cipher(_CIPHERS[code], key_of(key_id), salt) if code else _Checksum()
    context = beginning[: _HEAD.size] + name
    listed = beginning[_HEAD.size : body - overhead]
    try:
        closing.open_into(
            _HEAD_NUMBER,
            memoryview(beginning)[body - overhead : body],
            context + listed,
            memoryview(bytearray()),
        )
    except Invalid as error:
        raise Invalid(DAMAGED) from error
    table = np.frombuffer(listed, "<u4").reshape(count, 2).astype(np.int64)
    stored = table[:, 0] & _STORED_MASK
    plain_starts = [0, *np.cumsum(table[:, 1]).tolist()]
    stored_starts = [body, *(body + np.cumsum(stored)).tolist()]
    if plain_starts[-1] != size or (count and table[:, 1].max() > CHUNK_BYTES):
        raise Invalid(DAMAGED)
    if count and ((stored < overhead) | (stored > table[:, 1] + overhead)).any():
        raise Invalid(DAMAGED)
    if os.fstat(descriptor).st_size < stored_starts[-1]:
        raise Invalid("The stored object is cut off.")
    return Layout(
        size=size,
        stored_size=stored_starts[-1],
        plain_starts=plain_starts,
        stored_starts=stored_starts,
        packings=(table[:, 0] >> _STORED_BITS).tolist(),
        seal=closing,
        overhead=overhead,
        context=context,
        key_id=key_id if code else None,
    )


def chunk_around(layout: Layout, offset: int) -> tuple[int, int]:
    """Where the chunk that holds this byte begins and ends in the object."""
    number = bisect_right(layout.plain_starts, offset) - 1
    return layout.plain_starts[number], layout.plain_starts[number + 1]


def stored_range(layout: Layout, begin: int, end: int) -> tuple[int, int]:
    """The bytes of the file that hold those of the object from ``begin`` to before ``end``."""
    first = bisect_right(layout.plain_starts, begin) - 1
    last = min(bisect_left(layout.plain_starts, end), len(layout.stored_starts) - 1)
    return layout.stored_starts[first], layout.stored_starts[max(first, last)]


def read_into(descriptor: int, layout: Layout, offset: int, out: memoryview) -> int:
    """Fill ``out`` with the object's bytes from ``offset`` on; how many there were. For threads.

    Raises Invalid where a chunk is not as it was sealed: nothing of it is handed out then.
    """
    end = min(offset + len(out), layout.size)
    number = bisect_right(layout.plain_starts, offset) - 1
    done = 0
    while offset + done < end:
        begin, stop = layout.plain_starts[number], layout.plain_starts[number + 1]
        skip = offset + done - begin
        wanted = min(stop, end) - (offset + done)
        if wanted == stop - begin:
            _open_chunk(descriptor, layout, number, out[done : done + wanted])
        else:
            whole = _scratch(2, stop - begin)
            _open_chunk(descriptor, layout, number, whole)
            out[done : done + wanted] = whole[skip : skip + wanted]
        done += wanted
        number += 1
    return done


class _Scratch(threading.local):
    """Buffers of a thread: getting fresh memory for every chunk costs as much as filling it."""

    def __init__(self) -> None:
        self.compressor = zstandard.ZstdCompressor(level=ZSTD_LEVEL)
        self.buffers = [bytearray() for _ in range(3)]


_SCRATCH = _Scratch()


def _scratch(place: int, size: int) -> memoryview:
    buffers = _SCRATCH.buffers
    if len(buffers[place]) < size:
        buffers[place] = bytearray(size)
    return memoryview(buffers[place])[:size]


def _open_chunk(descriptor: int, layout: Layout, number: int, out: memoryview) -> None:
    """One whole chunk into ``out``, which has its plain size."""
    at = layout.stored_starts[number]
    sealed = _scratch(0, layout.stored_starts[number + 1] - at)
    if os.preadv(descriptor, [sealed], at) != len(sealed):
        raise Invalid("The stored object is cut off.")
    packing = layout.packings[number]
    bound = _bound(layout.context, packing, len(out))
    packed = sealed[: len(sealed) - layout.overhead]
    try:
        if packing == _AS_IS:
            if len(packed) != len(out):
                raise Invalid(DAMAGED)
            layout.seal.open_into(number, sealed, bound, out)
            return
        if isinstance(layout.seal, _Checksum):
            layout.seal.check(number, sealed, bound)
        else:
            layout.seal.open_into(number, sealed, bound, packed)
        target = out if packing == _ZSTD else _scratch(1, len(out))
        if len(imagecodecs.zstd_decode(packed, out=target)) != len(out):
            raise Invalid(DAMAGED)
    except (Invalid, imagecodecs.ZstdError) as error:
        raise Invalid(DAMAGED) from error
    if packing == _SPLIT:
        _join(target, out)
