"""Maximum, minimum and average projection on the processor, by the rules of ``gl/shaders/projection.frag``:
one sample per voxel layer of the axis that the rays follow most, in the layer's middle, and when refined some
more on the way to the next layer."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from llvmlite import ir

from sivr.kernels import cuts
from sivr.kernels.composite import pixels, span, store
from sivr.kernels.cuts import CutArrays
from sivr.kernels.lanes import FLOAT, INT, Compiled, Lanes, Program, Variable, once
from sivr.kernels.voxels import ARGUMENTS, Layout, Reader, Voxels, between

Best = Literal["largest", "least", "mean"]

BLOCK_BITS = 3
"""Blocks that are skipped at once have 8 voxels a side."""
PARAMETERS = 19
_NOTHING = float("nan")
_HAIR = 1e-3


def project(
    voxels: Voxels,
    best: Best,
    extremes: npt.NDArray[np.float32],
    parameters: npt.NDArray[np.float32],
    axis: int,
    out: npt.NDArray[np.float32],
    top: int,
    bottom: int,
    samples: int = 1,
    cut: CutArrays | None = None,
) -> None:
    """Project rows ``top`` to before ``bottom`` of ``out`` (h, w): voxel values, NaN where there is nothing.

    ``extremes[k, j, i]``: the largest (least) voxel of each block of 8; ``parameters`` in the order of
    ``_write``; ``axis`` 0 i, 1 j, 2 k is what the rays follow most; ``samples`` per layer, 1 for means. Width
    and rows must be multiples of 4. With a ``cut`` the floor among them must be
    beyond all voxels. Releases the GIL.
    """
    given, alive = voxels.arguments()
    side = 0 if cut is None else cut.masks.shape[1]
    _program(voxels.layout, best, axis, samples, cut is not None, side)(
        *given,
        extremes.ctypes.data,
        extremes.shape[2],
        extremes.shape[1] * extremes.shape[2],
        parameters.ctypes.data,
        out.ctypes.data,
        out.shape[1],
        top,
        bottom,
        *(() if cut is None else cut.arguments),
    )
    del alive


@once
def _program(layout: Layout, best: Best, axis: int, samples: int, cuts_: bool, side: int) -> Compiled:
    program = Program(
        "project",
        **ARGUMENTS,
        extremes="pointer",
        blocks_i="int",
        blocks_ij="int",
        parameters="pointer",
        out="pointer",
        width="int",
        top="int",
        bottom="int",
        **(cuts.ARGUMENTS if cuts_ else {}),
    )
    cut = cuts.Reader(program, side) if cuts_ else None
    _write(program, Reader(program, layout), best, axis, layout.padded, samples, cut)
    return program.compile()


def _write(
    program: Program,
    reader: Reader,
    best: Best,
    axis: int,
    padded: bool,
    samples: int,
    cut: cuts.Reader | None,
) -> None:
    builder = program.builder
    values = iter(program.floats(program["parameters"], PARAMETERS))

    def take(count: int) -> list[Lanes]:
        return [next(values) for _ in range(count)]

    corner, right, down, direction, inverse, size = (take(3) for _ in range(6))
    (floor,) = take(1)
    extent = [reader.columns, reader.rows, reader.depth]
    strides = [None, program.spread(program["blocks_i"]), program.spread(program["blocks_ij"])]
    aside = [a for a in range(3) if a != axis]
    # What a ray moves sidewards per layer: at most one voxel, for it follows the axis most.
    drift = {a: direction[a] / direction[axis] for a in aside}
    block = 1 << BLOCK_BITS
    exact = best == "mean"

    for row, column in pixels(program):
        origin = [corner[a] + column * right[a] + row * down[a] for a in range(3)]
        enter, leave = span(program, origin, inverse, size, cut)
        one = origin[axis] + enter * direction[axis]
        other = origin[axis] + leave * direction[axis]
        first = (one.least(other) - 0.5 - _HAIR).ceiling().largest(0.0)
        last = (one.largest(other) - 0.5 + _HAIR).floor().least(size[axis] - 1.0)
        hit = (enter <= leave) & (first <= last)
        first_layer = hit.choose(first, 1e6).to_int()
        last_layer = hit.choose(last, -1.0).to_int()
        start = {a: origin[a] + (0.5 - origin[axis]) * drift[a] for a in aside}
        found = Variable(program, program.constant(0.0) if exact else floor)
        count = Variable(program, program.constant(0.0))

        def beside(
            layer: Lanes, start: dict[int, Lanes] = start, drift: dict[int, Lanes] = drift
        ) -> dict[int, Lanes]:
            return {a: (start[a] + layer * drift[a]).largest(0.5).least(size[a] - 0.5) for a in aside}

        blocks_begin = builder.and_(first_layer.least_of_all(), ir.Constant(INT, -block))
        end = builder.add(last_layer.largest_of_all(), ir.Constant(INT, 1))
        with program.each(blocks_begin, end, block) as base:
            base_lanes = program.spread(base)
            near = (first_layer < base_lanes + block) & (last_layer >= base_lanes)
            if not exact:
                at_begin = beside(base_lanes.to_float())
                at_end = beside((base_lanes + block).to_float() - 1 / samples)
                bound = _bound(program, best, strides, axis, base_lanes, at_begin, at_end, near)
                now = found.get()
                near = near & ((bound > now) if best == "largest" else (bound < now))
            with program.when(near.any()):
                stop = builder.add(base, ir.Constant(INT, block))
                stop = builder.select(builder.icmp_signed("<", stop, end), stop, end)
                with program.each(base, stop, 1) as layer:
                    k = program.spread(layer)
                    mask = near & (k >= first_layer) & (k <= last_layer)
                    at = beside(k.to_float())
                    if cut is not None:
                        mask = cut.kept([at.get(a, k.to_float() + 0.5) for a in range(3)], mask)
                    sample = _sample(reader, axis, k, at, extent, mask)
                    if padded and best != "largest":
                        mask = mask & _image(reader, axis, k, at, extent, mask)
                    now = found.get()
                    match best:
                        case "largest":
                            found.where(mask, now.largest(sample))
                        case "least":
                            found.where(mask, now.least(sample))
                        case "mean":
                            found.where(mask, now + sample)
                    count.where(mask, count.get() + 1.0)
                    if samples > 1:
                        mask = near & (k >= first_layer) & (k < last_layer)
                        with program.each(1, ir.Constant(INT, samples), 1) as number:
                            part = program.spread(number).to_float() * (1 / samples)
                            at = beside(k.to_float() + part)
                            there = mask
                            if cut is not None:
                                along = k.to_float() + part + 0.5
                                there = cut.kept([at.get(a, along) for a in range(3)], mask)
                            ends = [_sample(reader, axis, one, at, extent, there) for one in (k, k + 1)]
                            sample = between(ends[0], ends[1], part)
                            now = found.get()
                            better = now.largest(sample) if best == "largest" else now.least(sample)
                            found.where(there, better)
        total = count.get()
        result = found.get() / total.largest(1.0) if exact else found.get()
        if cut is not None:
            # The search began beyond all voxels: nothing was skipped before something was found.
            shown = total > 0.0
        elif padded or exact:
            # Skipped blocks count nothing though they are image; only a ray of padding alone shows nothing.
            shown = (total > 0.0) if exact or best == "least" else hit
        else:
            shown = hit
        store(program, row, column, shown.choose(result, _NOTHING))


def _bound(
    program: Program,
    best: Best,
    strides: list[Any],
    axis: int,
    base: Lanes,
    begin: dict[int, Lanes],
    end: dict[int, Lanes],
    mask: Lanes,
) -> Lanes:
    """The largest (least) voxel of the blocks that a ray may touch in these layers: at most two to each
    side."""

    def offset(a: int, at: Lanes) -> Lanes:
        place = at.to_int() >> BLOCK_BITS
        return place if strides[a] is None else place * strides[a]

    along = base >> BLOCK_BITS
    fixed = along if strides[axis] is None else along * strides[axis]
    u, v = begin
    found = None
    for one in (begin, end):
        for other in (begin, end):
            index = fixed + offset(u, one[u]) + offset(v, other[v])
            value = program.gather(program["extremes"], index, FLOAT, FLOAT, mask)
            if found is None:
                found = value
            else:
                found = found.largest(value) if best == "largest" else found.least(value)
    assert found is not None
    return found


def _cell(at: Lanes, count: Lanes) -> tuple[Lanes, Lanes, Lanes]:
    """The voxel before a position, the one behind it, and how far between them it lies."""
    inside = at - 0.5
    before = inside.to_int().least((count - 2).largest(0))
    return before, (before + 1).least(count - 1), inside - before.to_float()


def _sample(
    reader: Reader, axis: int, layer: Lanes, at: dict[int, Lanes], extent: list[Lanes], mask: Lanes
) -> Lanes:
    """Bilinear, in the middle of a layer."""
    if axis == 2:
        (i, _, x), (j, j1, y) = _cell(at[0], extent[0]), _cell(at[1], extent[1])
        base = reader.layer(layer, mask) + i
        one = reader.along_i(base + j * reader.columns, x, mask)
        return between(one, reader.along_i(base + j1 * reader.columns, x, mask), y)
    if axis == 1:
        (i, _, x), (k, k1, z) = _cell(at[0], extent[0]), _cell(at[2], extent[2])
        base = layer * reader.columns + i
        one = reader.along_i(base + reader.layer(k, mask), x, mask)
        return between(one, reader.along_i(base + reader.layer(k1, mask), x, mask), z)
    (j, j1, y), (k, k1, z) = _cell(at[1], extent[1]), _cell(at[2], extent[2])
    lines = [layer + one * reader.columns for one in (j, j1)]
    planes = []
    for base in (reader.layer(k, mask), reader.layer(k1, mask)):
        planes.append(between(reader.one(base + lines[0], mask), reader.one(base + lines[1], mask), y))
    return between(planes[0], planes[1], z)


def _image(
    reader: Reader, axis: int, layer: Lanes, at: dict[int, Lanes], extent: list[Lanes], mask: Lanes
) -> Lanes:
    """Whether the nearest voxel is no padding."""
    place = {a: one.to_int().least(extent[a] - 1) for a, one in at.items()} | {axis: layer}
    index = reader.layer(place[2], mask) + place[1] * reader.columns + place[0]
    return reader.is_image(index, mask)
