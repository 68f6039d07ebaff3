"""What a view takes away, for programs over lanes: half-spaces and a box end rays, lassos hide samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
from llvmlite import ir

from sivr.kernels.lanes import BYTE, FLOAT, INT, Kind, Lanes, Program, Variable

PLANES = 4
ARGUMENTS: dict[str, Kind] = {"cut": "pointer", "cells": "pointer", "masks": "pointer", "lassos": "int"}
"""What a program that knows cuts is given last."""
_COUNT = 6 + PLANES * 5
_CELL = 8


class CutArrays(msgspec.Struct, frozen=True):
    """A cut as programs read it."""

    ends: npt.NDArray[np.float32]
    """Low and high (3 each), planes (PLANES of 4), one over their change along the rays (PLANES)."""
    cells: npt.NDArray[np.float32]
    """(lassos, 8): what gives a mask's column, and its row."""
    masks: npt.NDArray[np.uint8]
    """(lassos, side, side)."""

    @property
    def arguments(self) -> tuple[Any, ...]:
        """The values of ``ARGUMENTS``; the arrays must live as long as the call."""
        return self.ends.ctypes.data, self.cells.ctypes.data, self.masks.ctypes.data, len(self.masks)


class Reader:
    """The cut of one program."""

    def __init__(self, program: Program, side: int) -> None:
        self._program = program
        self._side = side
        values = program.floats(program["cut"], _COUNT)
        self.low, self.high = values[:3], values[3:6]
        self._planes = [values[6 + 4 * n : 10 + 4 * n] for n in range(PLANES)]
        self._along = values[6 + 4 * PLANES :]

    def ends(self, origin: Sequence[Lanes], near: Lanes, far: Lanes) -> tuple[Lanes, Lanes]:
        """Where rays enter and leave what the planes keep of the span that they are given, mm."""
        for plane, along in zip(self._planes, self._along, strict=True):
            over = plane[3]
            for a in range(3):
                over = over + plane[a] * origin[a]
            at = (over * along) * -1.0
            onward = along > 0.0
            far = onward.choose(far.least(at), far)
            near = onward.choose(near, near.largest(at))
        return near, far

    def kept(self, at: Sequence[Lanes], mask: Lanes) -> Lanes:
        """Where no lasso takes the point away, of the lanes where ``mask`` is true."""
        program, builder = self._program, self._program.builder
        hidden = Variable(program, program.constant(0, INT))
        with program.each(0, program["lassos"], 1) as number:
            place = builder.gep(
                program["cells"], [builder.mul(number, ir.Constant(INT, _CELL))], source_etype=FLOAT
            )
            cell = program.floats(place, _CELL)
            column, row = (
                (cell[n] * at[0] + cell[n + 1] * at[1] + cell[n + 2] * at[2] + cell[n + 3])
                .largest(0.0)
                .least(self._side - 1.0)
                .to_int()
                for n in (0, 4)
            )
            index = (program.spread(number) * self._side + row) * self._side + column
            found = program.gather(program["masks"], index, BYTE, BYTE, mask)
            hidden.set(hidden.get() | found.widened(INT))
        return mask & hidden.get().equals(0)
