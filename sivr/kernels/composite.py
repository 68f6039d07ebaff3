"""Volume rendering on the processor: a transfer function, shaded by gradients, front to back.

The same rules as ``gl/shaders/composite.frag``, sample for sample: a ray leaps over bricks that show nothing,
takes its samples on planes common to all rays, and ends when nothing can shine through any more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from sivr.kernels import cuts
from sivr.kernels.cuts import CutArrays
from sivr.kernels.lanes import BYTE, FLOAT, INT, LANES, Compiled, Lanes, Program, Variable, once
from sivr.kernels.voxels import ARGUMENTS, Layout, Reader, Voxels, between

BRICK_BITS = 2
"""Bricks have 4 voxels a side."""
OPAQUE = 0.98
TILE = 4
"""A vector's rays are a square of pixels: they see the same bricks."""
_COLOR_LEVELS = 1023

PARAMETERS = 39
MORE_PARAMETERS = 5
"""Of programs that know more than the plain one."""
Knows = Literal["plain", "cut", "surface"]
"""What a program can do: nothing but rays through all of the volume; what a view takes away and the depth
cue; these, and the one surface of a value instead of a transfer function."""
_Floats = npt.NDArray[np.float32]


def packed_colors(colors: _Floats) -> npt.NDArray[np.int32]:
    """Red, green and blue of (n, 3) as 10 bits each of one integer: one read instead of three."""
    levels = np.rint(np.clip(colors, 0, 1) * _COLOR_LEVELS).astype(np.int32)
    return np.ascontiguousarray(levels[:, 0] | levels[:, 1] << 10 | levels[:, 2] << 20)


def composite(
    voxels: Voxels,
    distance: npt.NDArray[np.uint8],
    opacity: _Floats,
    colors: npt.NDArray[np.int32],
    parameters: _Floats,
    out: npt.NDArray[np.uint32],
    top: int,
    bottom: int,
    knows: Knows = "plain",
    cut: CutArrays | None = None,
) -> None:
    """Draw rows ``top`` to before ``bottom`` of ``out`` (h, w) 8-bit RGB_ from the lowest byte up.

    ``distance[k, j, i]`` per brick of 4 voxels as ``bricks.distance_field`` makes it; ``opacity`` (n,) and
    ``colors`` (n,) of the transfer function's table; ``parameters`` in the order of ``_write``. Width and
    rows must be multiples of 4. Programs that are not plain need a
    ``cut``. Releases the GIL.
    """
    program = program_for(voxels.layout, False, knows, _side(cut))
    _run(program, voxels, distance, opacity, colors, parameters, out, top, bottom, cut)


def accumulate(
    voxels: Voxels,
    distance: npt.NDArray[np.uint8],
    opacity: _Floats,
    colors: npt.NDArray[np.int32],
    parameters: _Floats,
    sums: _Floats,
    top: int,
    bottom: int,
    knows: Knows = "plain",
    cut: CutArrays | None = None,
) -> None:
    """As ``composite``, but adds colors of 0..1 to ``sums`` (h, w, 3): several pictures, rounded once."""
    program = program_for(voxels.layout, True, knows, _side(cut))
    _run(program, voxels, distance, opacity, colors, parameters, sums, top, bottom, cut)


def _side(cut: CutArrays | None) -> int:
    return 0 if cut is None else cut.masks.shape[1]


def _run(
    program: Compiled,
    voxels: Voxels,
    distance: npt.NDArray[np.uint8],
    opacity: _Floats,
    colors: npt.NDArray[np.int32],
    parameters: _Floats,
    out: npt.NDArray[Any],
    top: int,
    bottom: int,
    cut: CutArrays | None,
) -> None:
    given, alive = voxels.arguments()
    program(
        *given,
        distance.ctypes.data,
        distance.shape[2],
        distance.shape[1] * distance.shape[2],
        opacity.ctypes.data,
        colors.ctypes.data,
        len(opacity) - 1,
        parameters.ctypes.data,
        out.ctypes.data,
        out.shape[1],
        top,
        bottom,
        *(() if cut is None else cut.arguments),
    )
    del alive


@once
def program_for(layout: Layout, sums: bool, knows: Knows, side: int) -> Compiled:
    """The machine code for voxels of one kind; it writes bytes, or adds to sums. ``side`` is that of the
    masks of a cut."""
    program = Program(
        "composite",
        **ARGUMENTS,
        distance="pointer",
        bricks_i="int",
        bricks_ij="int",
        opacity="pointer",
        colors="pointer",
        last_entry="int",
        parameters="pointer",
        out="pointer",
        width="int",
        top="int",
        bottom="int",
        **({} if knows == "plain" else cuts.ARGUMENTS),
    )
    _write(program, Reader(program, layout), sums, knows, side)
    return program.compile()


def _write(program: Program, reader: Reader, sums: bool, knows: Knows, mask_side: int) -> None:
    cut = None if knows == "plain" else cuts.Reader(program, mask_side)
    more = 0 if cut is None else MORE_PARAMETERS
    values = iter(program.floats(program["parameters"], PARAMETERS + more))

    def take(count: int) -> list[Lanes]:
        return [next(values) for _ in range(count)]

    corner, right, down, direction, inverse, size = (take(3) for _ in range(6))
    step, per_step, scale, offset = take(4)
    to_lps = [take(3) for _ in range(3)]
    toward = take(3)
    ambient, diffuse, specular, flat, rest = take(5)
    # What the plain program does not have it does not look at.
    cue_near, cue_per_mm, cue_strength, surface_at, above = take(more) or [flat] * MORE_PARAMETERS
    bricks_i, bricks_ij = program.spread(program["bricks_i"]), program.spread(program["bricks_ij"])
    last_entry = program.spread(program["last_entry"])
    extent = [reader.columns, reader.rows, reader.depth]
    last_cell = [(count - 2).largest(0) for count in extent]
    zero = program.constant(0.0)

    for row, column in pixels(program):
        at_pixel = [corner[a] + column * right[a] + row * down[a] for a in range(3)]
        enter, leave = span(program, at_pixel, inverse, size, cut)
        number = Variable(program, (enter * per_step).ceiling())
        last = (leave * per_step).floor()
        red, green, blue, left = (Variable(program, one) for one in (zero, zero, zero, zero + 1.0))
        with program.loop() as leave_unless:
            leave_unless((number.get() <= last).any())
            with program.loop() as leap_unless_none:
                now = number.get()
                active = now <= last
                at = [at_pixel[a] + now * step * direction[a] for a in range(3)]
                brick = [at[a].largest(0.0).least(size[a] - 1.0).to_int() >> BRICK_BITS for a in range(3)]
                place = brick[2] * bricks_ij + brick[1] * bricks_i + brick[0]
                reach = program.gather(program["distance"], place, BYTE, BYTE, active)
                reach = reach.widened(INT)
                leaping = active & (reach > 0)
                leap_unless_none(leaping.any())
                ends = []
                for a in range(3):
                    side = (direction[a] >= 0.0).choose(brick[a] + reach, brick[a] - reach + 1)
                    ends.append(((side << BRICK_BITS).to_float() - at_pixel[a]) * inverse[a])
                end = ends[0].least(ends[1]).least(ends[2])
                number.where(leaping, (now + 1.0).largest((end * per_step).ceiling()))
            now = number.get()
            active = now <= last

            def corners_at(distance_mm: Lanes, mask: Lanes, at_pixel: list[Lanes] = at_pixel) -> _Corners:
                at = [at_pixel[a] + distance_mm * direction[a] for a in range(3)]
                inside = [(at[a] - 0.5).largest(0.0).least(size[a] - 1.0) for a in range(3)]
                cell = [inside[a].to_int().least(last_cell[a]) for a in range(3)]
                part = [inside[a] - cell[a].to_float() for a in range(3)]
                return _Corners(reader, cell, part, extent, mask)

            far = now * step
            corners = corners_at(far, active)
            value = corners.value()
            entry = (value * scale + offset).largest(0.0).to_int().least(last_entry)
            if knows == "surface":
                alpha = program.constant(1.0)
                seen = active & ((value - surface_at) * above >= 0.0)
            else:
                alpha = program.gather(program["opacity"], entry, FLOAT, FLOAT, active)
                seen = active & (alpha > 0.0)
            if cut is not None:
                seen = cut.kept([at_pixel[a] + far * direction[a] for a in range(3)], seen)
            number.where(active, now + 1.0)
            with program.when(seen.any()):
                passed = None
                if knows == "surface":
                    passed, far = _crossing(corners_at, value, far, step, enter, surface_at, above, seen)
                    corners = corners_at(far, seen)
                color = program.gather(program["colors"], entry, INT, INT, seen)
                gradient = corners.gradient(seen)
                slope = [sum_of([to_lps[n][a] * gradient[a] for a in range(3)]) for n in range(3)]
                steep = sum_of([one * one for one in slope]).root()
                # Lit from the viewer and from both sides: what faces away is the inside of a cut surface.
                facing = sum_of([slope[a] * toward[a] for a in range(3)]).absolute() / steep.largest(1e-9)
                surface = steep / (steep + flat)
                if passed is not None:
                    surface = passed.choose(surface, 0.0)
                without = ambient + 0.75 * diffuse
                lit = between(without, ambient + diffuse * facing, surface)
                squared = facing * facing
                eighth = squared * squared * squared * squared
                shine = specular * surface * eighth * eighth * eighth
                shining = left.get()
                weight = seen.choose(shining * alpha, 0.0)
                shown = weight
                if cut is not None:
                    deep = ((far - cue_near) * cue_per_mm).largest(0.0).least(1.0)
                    shown = weight * (1.0 - cue_strength * deep)
                for channel, shift in ((red, 0), (green, 10), (blue, 20)):
                    level = ((color >> shift) & _COLOR_LEVELS).to_float() * (1 / _COLOR_LEVELS)
                    channel.set(channel.get() + shown * (level * lit + shine).least(1.0))
                shining = shining - weight
                left.set(shining)
                number.where(shining < rest, last + 1.0)
        if sums:
            _add(program, row, column, [channel.get() for channel in (red, green, blue)])
            continue
        red8, green8, blue8 = (
            (channel.get() * 255.0 + 0.5).least(255.0).to_int() for channel in (red, green, blue)
        )
        store(program, row, column, red8 | (green8 << 8) | (blue8 << 16))


def _crossing(
    corners_at: Callable[[Lanes, Lanes], _Corners],
    value: Lanes,
    far: Lanes,
    step: Lanes,
    enter: Lanes,
    surface_at: Lanes,
    above: Lanes,
    seen: Lanes,
) -> tuple[Lanes, Lanes]:
    """Whether a ray passed the surface since the sample before the one at ``far``, and where, by two steps of
    regula falsi. Otherwise it meets what a cut has opened, at the sample itself."""

    def level(distance_mm: Lanes) -> Lanes:
        return (corners_at(distance_mm, seen).value() - surface_at) * above

    def found() -> Lanes:
        return near + (far - near) * (before / (before - here).least(-1e-20))

    sample, near = far, far - step
    before, here = level(near), (value - surface_at) * above
    passed = (before < 0.0) & (near >= enter)
    at = found()
    there = level(at)
    beyond = there >= 0.0
    near, before = beyond.choose(near, at), beyond.choose(before, there)
    far, here = beyond.choose(at, far), beyond.choose(there, here)
    return passed, passed.choose(found(), sample)


class _Corners:
    """The eight voxels around a sample, and the gradient from the 24 around them (central differences,
    interpolated like the value)."""

    def __init__(
        self, reader: Reader, cell: list[Lanes], part: list[Lanes], extent: list[Lanes], mask: Lanes
    ) -> None:
        self._reader, self._cell, self._part, self._extent = reader, cell, part, extent
        i, j, k = cell
        self._layers = [reader.layer(k, mask), reader.layer((k + 1).least(extent[2] - 1), mask)]
        self._lines = [j * reader.columns, (j + 1).least(extent[1] - 1) * reader.columns]
        # [layer][line]: four neighbors along i.
        self._fours = [[reader.four(layer + line, i, mask) for line in self._lines] for layer in self._layers]
        self._rows = [[between(four[1], four[2], part[0]) for four in fours] for fours in self._fours]
        self._planes = [between(rows[0], rows[1], part[1]) for rows in self._rows]

    def value(self) -> Lanes:
        """The voxel value at the sample."""
        return between(self._planes[0], self._planes[1], self._part[2])

    def gradient(self, mask: Lanes) -> list[Lanes]:
        """Twice the change per voxel along i, j and k."""
        reader, (x, y, z) = self._reader, self._part
        i, j, k = self._cell
        along_i = []
        for fours in self._fours:
            lines = [between(four[2] - four[0], four[3] - four[1], x) for four in fours]
            along_i.append(between(lines[0], lines[1], y))
        before_j = (j - 1).largest(0) * reader.columns
        after_j = (j + 2).least(self._extent[1] - 1) * reader.columns
        along_j = []
        for layer, rows in zip(self._layers, self._rows, strict=True):
            least = reader.along_i(layer + before_j + i, x, mask)
            most = reader.along_i(layer + after_j + i, x, mask)
            along_j.append(between(rows[1] - least, most - rows[0], y))

        def plane(layer: Lanes) -> Lanes:
            rows = [reader.along_i(layer + line + i, x, mask) for line in self._lines]
            return between(rows[0], rows[1], y)

        least = plane(reader.layer((k - 1).largest(0), mask))
        most = plane(reader.layer((k + 2).least(self._extent[2] - 1), mask))
        along_k = between(self._planes[1] - least, most - self._planes[0], z)
        return [between(along_i[0], along_i[1], z), between(along_j[0], along_j[1], z), along_k]


def pixels(program: Program) -> Any:
    """A vector's rows and columns, as floats, for every square of pixels of the rows asked for."""
    row_in_tile = program.constants([float(n // TILE) for n in range(LANES)])
    column_in_tile = program.constants([float(n % TILE) for n in range(LANES)])
    builder = program.builder
    with (
        program.each(program["top"], program["bottom"], TILE) as row,
        program.each(0, program["width"], TILE) as column,
    ):
        yield (
            program.spread(builder.sitofp(row, FLOAT)) + row_in_tile,
            program.spread(builder.sitofp(column, FLOAT)) + column_in_tile,
        )


def span(
    program: Program,
    origin: list[Lanes],
    inverse: list[Lanes],
    size: list[Lanes],
    cut: cuts.Reader | None = None,
) -> tuple[Lanes, Lanes]:
    """Distances in mm at which rays enter and leave the volume, or what planes and box of a cut keep of it;
    the first is the larger for a miss."""
    zero = program.constant(0.0)
    low, high = ([zero] * 3, size) if cut is None else (cut.low, cut.high)
    near, far = [], []
    for a in range(3):
        one, other = (low[a] - origin[a]) * inverse[a], (high[a] - origin[a]) * inverse[a]
        near.append(one.least(other))
        far.append(one.largest(other))
    enter, leave = near[0].largest(near[1]).largest(near[2]), far[0].least(far[1]).least(far[2])
    return (enter, leave) if cut is None else cut.ends(origin, enter, leave)


def store(program: Program, row: Lanes, column: Lanes, pixel: Lanes) -> None:
    """Write a square of 32-bit pixels to ``out``."""
    place = row.to_int() * program.spread(program["width"]) + column.to_int()
    program.scatter(program["out"], place, pixel)


def _add(program: Program, row: Lanes, column: Lanes, colors: list[Lanes]) -> None:
    """Add a square of colors to ``out``."""
    place = (row.to_int() * program.spread(program["width"]) + column.to_int()) * 3
    everywhere = row >= 0.0
    for channel, value in enumerate(colors):
        before = program.gather(program["out"], place + channel, FLOAT, FLOAT, everywhere)
        program.scatter(program["out"], place + channel, before + value)


def sum_of(terms: list[Lanes]) -> Lanes:
    """Of at least one."""
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total
