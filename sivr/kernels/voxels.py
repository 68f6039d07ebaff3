"""How programs over lanes read voxels where they lie, whatever their type."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from sivr.kernels.lanes import BYTE, FLOAT, INT, LONG, SHORT, Kind, Lanes, Program, Variable

DTYPES = ("uint8", "uint16", "int16", "float32")
MOST_VOXELS = 2**31 - 1
"""Lanes count voxels in 32 bits."""
LEAST_COLUMNS = 4
"""Integers are read by four; narrower volumes must be float32."""
LOWEST = {"uint8": 0, "uint16": 0, "int16": -32767, "float32": -(10**9)}
"""What stands for padding: no picture shows anything lower."""

ARGUMENTS: dict[str, Kind] = {
    "voxels": "pointer",
    "layers": "pointer",
    "columns": "int",
    "rows": "int",
    "depth": "int",
    "padding": "int",
}
"""What every program that reads voxels is given first."""


class Layout(msgspec.Struct, frozen=True):
    """What a program is written for."""

    dtype: str
    mapped: bool = False
    """Layers lie where ``layers`` says; else one behind the other."""
    padded: bool = False
    """Some voxels are padding."""


class Voxels(msgspec.Struct, frozen=True):
    """Voxels for a program: ``values[k, j, i]``, C order, of one of ``DTYPES``. Some elements behind the last
    voxel must be readable too."""

    values: npt.NDArray[Any]
    shown: npt.NDArray[np.int64] | None = None
    """Layer k shows slice ``shown[k]``; None when each shows its own."""
    padding: int | None = None

    @property
    def layout(self) -> Layout:
        """What a program for them must know."""
        padded = self.padding is not None and self.values.dtype != np.float32
        return Layout(str(self.values.dtype), self.shown is not None, padded)

    def arguments(self) -> tuple[tuple[Any, ...], object]:
        """The values of ``ARGUMENTS``, and what must be kept alive during the call."""
        depth, rows, columns = self.values.shape
        layers = np.zeros(1, np.int32)
        if self.shown is not None:
            layers = np.ascontiguousarray(self.shown * (rows * columns), np.int32)
        padding = 0 if self.padding is None else int(self.padding)
        given = (self.values.ctypes.data, layers.ctypes.data, columns, rows, depth, padding)
        return given, (self.values, layers)


class Reader:
    """Reads single voxels and pairs of neighbors along i, as floats."""

    def __init__(self, program: Program, layout: Layout) -> None:
        self._program = program
        self._layout = layout
        self.columns = program.spread(program["columns"])
        self.rows = program.spread(program["rows"])
        self.depth = program.spread(program["depth"])
        self._slice = self.columns * self.rows
        self._padding = program.spread(program["padding"])

    def layer(self, k: Lanes, mask: Lanes) -> Lanes:
        """Where layer k begins, in voxels."""
        if not self._layout.mapped:
            return k * self._slice
        return self._program.gather(self._program["layers"], k, INT, INT, mask)

    def pair(self, index: Lanes, mask: Lanes) -> tuple[Lanes, Lanes]:
        """Voxels ``index`` and ``index + 1``."""
        base, gather = self._program["voxels"], self._program.gather
        match self._layout.dtype:
            case "float32":
                return gather(base, index, FLOAT, FLOAT, mask), gather(base, index + 1, FLOAT, FLOAT, mask)
            case "uint8":
                both = gather(base, index, BYTE, SHORT, mask)
                both = both.widened(INT)
                return self._float(both & 255), self._float(both >> 8)
            case "uint16":
                return self._halves(gather(base, index, SHORT, INT, mask))
            case _:
                return self._halves(gather(base, index, SHORT, INT, mask))

    def _halves(self, both: Lanes) -> tuple[Lanes, Lanes]:
        if self._layout.dtype == "uint16":
            return self._float(both & 65535), self._float(both.logical_right(16))
        return self._float((both << 16) >> 16), self._float(both >> 16)

    def four(self, line: Lanes, i: Lanes, mask: Lanes) -> tuple[Lanes, Lanes, Lanes, Lanes]:
        """Voxels i - 1 to i + 2 of the row that begins at ``line``; beyond its ends lies the last inside.

        ``i`` from 0 to the last but one.
        """
        if self._layout.dtype not in ("int16", "uint16"):
            before, after = (i - 1).largest(0), (i + 1).least(self.columns - 2).largest(0)
            inner = self.pair(line + i, mask)
            return self.pair(line + before, mask)[0], *inner, self.pair(line + after, mask)[1]
        # One read of 64 bits instead of three of 32; moved by one voxel at the ends of a row.
        program = self._program
        first = (i - 1).largest(0).least(self.columns - 4)
        words = Variable(program, program.gather(program["voxels"], line + first, SHORT, LONG, mask))
        moved = i - 1 - first
        with program.when((moved < 0).any()):
            now = words.get()
            words.where(moved < 0, (now << 16) | (now & 0xFFFF))
        with program.when((moved > 0).any()):
            now = words.get()
            words.where(moved > 0, now.logical_right(16) | (now & ~0xFFFFFFFFFFFF))
        now = words.get()
        return *self._halves(now.narrowed(INT)), *self._halves(now.logical_right(32).narrowed(INT))

    def one(self, index: Lanes, mask: Lanes) -> Lanes:
        """Voxel ``index``."""
        if self._layout.dtype == "float32":
            return self._program.gather(self._program["voxels"], index, FLOAT, FLOAT, mask)
        return self.pair(index, mask)[0]

    def along_i(self, index: Lanes, part: Lanes, mask: Lanes) -> Lanes:
        """Between voxels ``index`` and ``index + 1``, ``part`` 0..1."""
        low, high = self.pair(index, mask)
        return low + part * (high - low)

    def is_image(self, index: Lanes, mask: Lanes) -> Lanes:
        """Whether voxel ``index`` is no padding."""
        return self.one(index, mask) > float(LOWEST[self._layout.dtype])

    def _float(self, raw: Lanes) -> Lanes:
        if self._layout.padded:
            lowest = self._program.constant(LOWEST[self._layout.dtype], INT)
            raw = raw.equals(self._padding).choose(lowest, raw)
        return raw.to_float()


def between(low: Lanes, high: Lanes, part: Lanes) -> Lanes:
    """Linear interpolation."""
    return low + part * (high - low)
