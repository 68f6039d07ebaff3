"""The five filters of PNG (PNG 1.2, section 6): for every scanline the one that leaves the least behind."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba.core import cgutils
from numba.extending import intrinsic

Bytes = npt.NDArray[np.uint8]

WIDE = 64
"""Bytes of a vector; LLVM splits it to fit the machine."""
_BYTES = ir.VectorType(ir.IntType(8), WIDE)
_SUMS = ir.VectorType(ir.IntType(16), WIDE)
_SPAN = WIDE * 256
"""Bytes whose differences, 128 at most, add up in 16 bits."""


def filtered(pixels: npt.NDArray[Any]) -> Bytes:
    """Scanlines of ``pixels`` (h, w) or (h, w, 3) uint8, a filter byte before each: (h, 1 + w * samples).

    The filter with the least sum of absolute differences is taken, as the standard advises (12.8).
    """
    height, width = pixels.shape[:2]
    step = 1 if pixels.ndim == 2 else pixels.shape[2]
    rows = np.ascontiguousarray(pixels).reshape(height, width * step)
    out = np.empty((height, 1 + width * step), np.uint8)
    _filtered(rows, step, out)
    return out


def _differences(builder: Any, value: Any, left: Any, above: Any, corner: Any) -> list[Any]:
    """What each of the five filters leaves of ``value``, all vectors of bytes."""
    one = ir.Constant(_BYTES, [1] * WIDE)

    def call(name: str, *arguments: Any) -> Any:
        kind = ir.FunctionType(_BYTES, [_BYTES] * len(arguments))
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)

    def distance(one: Any, other: Any) -> Any:
        return builder.sub(call(f"llvm.umax.v{WIDE}i8", one, other), call(f"llvm.umin.v{WIDE}i8", one, other))

    mean = builder.add(builder.and_(left, above), builder.lshr(builder.xor(left, above), one))
    to_left, to_above = distance(above, corner), distance(left, corner)
    same_side = builder.not_(
        builder.xor(builder.icmp_unsigned(">=", above, corner), builder.icmp_unsigned(">=", left, corner))
    )
    to_corner = builder.select(
        same_side, call(f"llvm.uadd.sat.v{WIDE}i8", to_left, to_above), distance(to_left, to_above)
    )
    paeth = builder.select(
        builder.and_(
            builder.icmp_unsigned("<=", to_left, to_above), builder.icmp_unsigned("<=", to_left, to_corner)
        ),
        left,
        builder.select(builder.icmp_unsigned("<=", to_above, to_corner), above, corner),
    )
    return [value, *(builder.sub(value, guess) for guess in (left, above, mean, paeth))]


class _Lines:
    """Vectors of two scanlines, inside a function that is being built."""

    def __init__(self, context: Any, builder: Any, kinds: Any, row: Any, above: Any, step: Any) -> None:
        self.builder = builder
        self.row = context.make_array(kinds[0])(context, builder, row).data
        self.above = context.make_array(kinds[1])(context, builder, above).data
        self.step = step

    def at(self, data: Any, place: Any) -> Any:
        pointer = self.builder.gep(data, [place])
        return self.builder.bitcast(pointer, _BYTES.as_pointer())

    def differences(self, place: Any) -> list[Any]:
        before = self.builder.sub(place, self.step)
        values = [
            self.builder.load(self.at(data, index), align=1)
            for data, index in (
                (self.row, place),
                (self.row, before),
                (self.above, place),
                (self.above, before),
            )
        ]
        return _differences(self.builder, *values)


@intrinsic  # type: ignore[untyped-decorator]
def _sums(typing_context: Any, row: Any, above: Any, step: Any, start: Any, stop: Any, costs: Any) -> Any:
    """Add what the five filters leave of ``row[start:stop]``, whole vectors only, to ``costs``."""
    signature = numba.types.void(row, above, step, start, stop, costs)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds = signature.args
        lines = _Lines(context, builder, kinds, arguments[0], arguments[1], arguments[2])
        totals = [cgutils.alloca_once_value(builder, ir.Constant(_SUMS, [0] * WIDE)) for _ in range(5)]
        for total in totals:
            builder.store(ir.Constant(_SUMS, [0] * WIDE), total)
        size = ir.Constant(arguments[3].type, WIDE)
        magnitude = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(_BYTES, [_BYTES, ir.IntType(1)]), f"llvm.abs.v{WIDE}i8"
        )
        with cgutils.for_range_slice(builder, arguments[3], arguments[4], size, inc=True) as (place, _):
            for total, left in zip(totals, lines.differences(place), strict=True):
                positive = builder.call(magnitude, [left, ir.Constant(ir.IntType(1), 0)])
                builder.store(builder.add(builder.load(total), builder.zext(positive, _SUMS)), total)
        wide = ir.VectorType(ir.IntType(32), WIDE)
        add = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(ir.IntType(32), [wide]), f"llvm.vector.reduce.add.v{WIDE}i32"
        )
        found = context.make_array(kinds[5])(context, builder, arguments[5]).data
        for n, total in enumerate(totals):
            place = builder.gep(found, [ir.Constant(ir.IntType(64), n)])
            sum_of = builder.zext(
                builder.call(add, [builder.zext(builder.load(total), wide)]), ir.IntType(64)
            )
            builder.store(builder.add(builder.load(place), sum_of), place)
        return context.get_dummy_value()

    return signature, generate


@intrinsic  # type: ignore[untyped-decorator]
def _write(
    typing_context: Any, row: Any, above: Any, step: Any, start: Any, stop: Any, kind: Any, out: Any
) -> Any:
    """What filter ``kind`` leaves of ``row[start:stop]``, whole vectors, to ``out`` one place further on."""
    signature = numba.types.void(row, above, step, start, stop, kind, out)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds = signature.args
        lines = _Lines(context, builder, kinds, arguments[0], arguments[1], arguments[2])
        target = context.make_array(kinds[6])(context, builder, arguments[6]).data
        size = ir.Constant(arguments[3].type, WIDE)
        one = ir.Constant(arguments[3].type, 1)
        for filter_type in range(5):
            chosen = builder.icmp_signed("==", arguments[5], ir.Constant(arguments[5].type, filter_type))
            with (
                builder.if_then(chosen),
                cgutils.for_range_slice(builder, arguments[3], arguments[4], size, inc=True) as (place, _),
            ):
                left = lines.differences(place)[filter_type]
                builder.store(left, lines.at(target, builder.add(place, one)), align=1)
        return context.get_dummy_value()

    return signature, generate


@numba.njit(nogil=True, cache=True)
def _has_gaps(rows):  # type: ignore[no-untyped-def]
    """Whether many grey levels between the darkest and the brightest are not used, by a sample of the lines.

    A narrow window spreads few values over all levels; means of two of them are levels that nothing else has.
    """
    seen = np.zeros(256, np.uint8)
    for y in range(0, rows.shape[0], 16):
        for x in range(rows.shape[1]):
            seen[rows[y, x]] = 1
    used = np.flatnonzero(seen)
    return used.size * 10 < (used[-1] - used[0] + 1) * 7


@numba.njit(nogil=True, cache=True)
def _least(costs, with_mean):  # type: ignore[no-untyped-def]
    """The filter that leaves the least; that of the mean (3) only where it may be used."""
    best = 0
    for kind in range(1, 5):
        if (kind != 3 or with_mean) and costs[kind] < costs[best]:
            best = kind
    return best


@numba.njit(nogil=True, cache=True)
def _first(row, above, step, kind, target):  # type: ignore[no-untyped-def]
    """The first pixel of a line: nothing is left of it."""
    for x in range(step):
        guess = np.uint8(0)
        if kind == 2 or kind == 4:
            guess = above[x]
        elif kind == 3:
            guess = above[x] >> 1
        target[1 + x] = row[x] - guess


@numba.njit(nogil=True, cache=True)
def _narrow(rows, step, with_mean, out):  # type: ignore[no-untyped-def]
    """Lines shorter than a vector, one after the other between zeros: what is added to them stays zero."""
    height, width = rows.shape
    both = np.zeros((2, 2 * WIDE + step), np.uint8)
    left = np.empty(1 + 2 * WIDE + step, np.uint8)
    costs = np.empty(5, np.int64)
    end = step + (width + WIDE - 1) // WIDE * WIDE
    for y in range(height):
        row, above = both[y & 1], both[1 - (y & 1)]
        for x in range(width):
            row[step + x] = rows[y, x]
        costs[:] = 0
        _sums(row, above, step, step, end, costs)
        kind = _least(costs, with_mean)
        _write(row, above, step, step, end, kind, left)
        out[y, 0] = kind
        for x in range(width):
            out[y, 1 + x] = left[1 + step + x]


@numba.njit(nogil=True, cache=True)
def _filtered(rows, step, out):  # type: ignore[no-untyped-def]
    height, width = rows.shape
    with_mean = not _has_gaps(rows)
    last = width - WIDE
    if last < step:
        _narrow(rows, step, with_mean, out)
        return
    above = np.zeros(width, np.uint8)
    costs = np.empty(5, np.int64)
    end = step + (width - step) // WIDE * WIDE
    for y in range(height):
        row, target = rows[y], out[y]
        costs[:] = 0
        for start in range(step, end, _SPAN):
            _sums(row, above, step, start, min(start + _SPAN, end), costs)
        # Some bytes before the last vector count twice; that does no harm to a choice.
        if last + WIDE > end:
            _sums(row, above, step, last, width, costs)
        kind = _least(costs, with_mean)
        target[0] = kind
        _first(row, above, step, kind, target)
        _write(row, above, step, step, end, kind, target)
        _write(row, above, step, last, width, kind, target)
        above = row
