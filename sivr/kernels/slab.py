"""Planes and slabs through a volume on the processor, flat ones and such as follow a curve, by the rules of
``gl/shaders/plane.frag``."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sivr.kernels.composite import pixels, store
from sivr.kernels.lanes import FLOAT, Compiled, Lanes, Program, Variable, once
from sivr.kernels.projection import Best
from sivr.kernels.voxels import ARGUMENTS, Layout, Reader, Voxels, between

PARAMETERS = 17
COLUMN = 9
"""Numbers that a column of a curved plane has: texel of its first row, change per row, change per mm away."""
_NOTHING = float("nan")
_HAIR = 1e-3


def slab(
    voxels: Voxels,
    best: Best,
    parameters: npt.NDArray[np.float32],
    samples: int,
    out: npt.NDArray[np.float32],
    top: int,
    bottom: int,
    columns: npt.NDArray[np.float32] | None = None,
) -> None:
    """Sample rows ``top`` to before ``bottom`` of ``out`` (h, w): voxel values, NaN outside the volume.

    ``samples`` across the slab; ``parameters`` in the order of ``_write``. Width and rows must be multiples
    of 4. With ``columns`` (w, ``COLUMN``) each column lies where it says, and nowhere if it is no number.
    Releases the GIL.
    """
    given, alive = voxels.arguments()
    table = parameters if columns is None else columns
    _program(voxels.layout, best, columns is not None)(
        *given, parameters.ctypes.data, table.ctypes.data, samples, out.ctypes.data, out.shape[1], top, bottom
    )
    del alive


@once
def _program(layout: Layout, best: Best, curved: bool) -> Compiled:
    program = Program(
        "slab",
        **ARGUMENTS,
        parameters="pointer",
        table="pointer",
        samples="int",
        out="pointer",
        width="int",
        top="int",
        bottom="int",
    )
    _write(program, Reader(program, layout), best, layout.padded, curved)
    return program.compile()


def _write(program: Program, reader: Reader, best: Best, padded: bool, curved: bool) -> None:
    values = iter(program.floats(program["parameters"], PARAMETERS))

    def take(count: int) -> list[Lanes]:
        return [next(values) for _ in range(count)]

    corner, right, down, direction, size = (take(3) for _ in range(5))
    first, step = take(2)
    extent = [reader.columns, reader.rows, reader.depth]
    start = {"largest": -3e38, "least": 3e38, "mean": 0.0}[best]

    for row, column in pixels(program):
        if curved:
            corner, down, direction = _column(program, column)
            right = [program.constant(0.0)] * 3
        origin = [corner[a] + column * right[a] + row * down[a] for a in range(3)]
        found = Variable(program, program.constant(start))
        count = Variable(program, program.constant(0.0))
        with program.each(0, program["samples"], 1) as number:
            distance = first + program.spread(number).to_float() * step
            at = [origin[a] + distance * direction[a] for a in range(3)]
            # A hair outside is still inside: pixel-aligned planes lie exactly on the border.
            mask = (at[0] >= -_HAIR) & (at[0] <= size[0] + _HAIR)
            for a in (1, 2):
                mask = mask & (at[a] >= -_HAIR) & (at[a] <= size[a] + _HAIR)
            with program.when(mask.any()):
                at = [at[a].largest(0.5).least(size[a] - 0.5) for a in range(3)]
                if padded:
                    near = [at[a].to_int().least(extent[a] - 1) for a in range(3)]
                    index = reader.layer(near[2], mask) + near[1] * reader.columns + near[0]
                    mask = mask & reader.is_image(index, mask)
                sample = _trilinear(reader, at, extent, mask)
                now = found.get()
                match best:
                    case "largest":
                        found.where(mask, now.largest(sample))
                    case "least":
                        found.where(mask, now.least(sample))
                    case "mean":
                        found.where(mask, now + sample)
                count.where(mask, count.get() + 1.0)
        total = count.get()
        result = found.get() / total.largest(1.0) if best == "mean" else found.get()
        store(program, row, column, (total > 0.0).choose(result, _NOTHING))


def _column(program: Program, column: Lanes) -> tuple[list[Lanes], list[Lanes], list[Lanes]]:
    """Where the columns of a square of pixels lie: first row, change per row, change per mm away."""
    place, everywhere = column.to_int() * COLUMN, column >= 0.0
    numbers = [program.gather(program["table"], place + n, FLOAT, FLOAT, everywhere) for n in range(COLUMN)]
    return numbers[:3], numbers[3:6], numbers[6:]


def _trilinear(reader: Reader, at: list[Lanes], extent: list[Lanes], mask: Lanes) -> Lanes:
    inside = [one - 0.5 for one in at]
    cell = [inside[a].to_int().least((extent[a] - 2).largest(0)) for a in range(3)]
    part = [inside[a] - cell[a].to_float() for a in range(3)]
    lines = [cell[1] * reader.columns, (cell[1] + 1).least(extent[1] - 1) * reader.columns]
    planes = []
    for k in (cell[2], (cell[2] + 1).least(extent[2] - 1)):
        base = reader.layer(k, mask) + cell[0]
        rows = [reader.along_i(base + line, part[0], mask) for line in lines]
        planes.append(between(rows[0], rows[1], part[1]))
    return between(planes[0], planes[1], part[2])
