"""Stored frames by OpenGL: the reference of the CPU's lookup, and which of the two is faster here."""

from __future__ import annotations

import time
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from OpenGL import GL

from sivr.errors import Invalid
from sivr.gl.picture import Easel, Pixels
from sivr.gl.program import Program
from sivr.kernels.slices import lookup

_TYPES: dict[str, tuple[int, int]] = {
    "uint8": (int(GL.GL_R16I), int(GL.GL_UNSIGNED_BYTE)),
    "int8": (int(GL.GL_R16I), int(GL.GL_BYTE)),
    "int16": (int(GL.GL_R16I), int(GL.GL_SHORT)),
    "uint16": (int(GL.GL_R32I), int(GL.GL_UNSIGNED_SHORT)),
}
"""Internal format that holds every value of a type as a signed integer, and the type of an upload."""


class SliceShader:
    """Draws stored frames 1:1 by a table over all values of their type."""

    def __init__(self) -> None:
        self._easel = Easel()
        self._program = Program("slice.frag")
        self._values, self._table = (int(handle) for handle in GL.glGenTextures(2))

    def draw(self, values: npt.NDArray[Any], table: Pixels) -> Pixels:
        """Grey levels of ``values`` (h, w); ``table`` as ``kernels.slices.lookup`` takes it."""
        kind = _TYPES.get(values.dtype.name)
        if kind is None or table.shape != (256**values.itemsize,):
            raise Invalid("The lookup table does not cover the type of the values.")
        height, width = values.shape
        layout = GL.GL_RED_INTEGER
        _upload_2d(self._values, kind[0], width, height, layout, kind[1], np.ascontiguousarray(values))
        rows = len(table) // 256
        _upload_2d(
            self._table, GL.GL_R8UI, 256, rows, layout, GL.GL_UNSIGNED_BYTE, np.ascontiguousarray(table)
        )
        self._program.use()
        self._program.set(values=0, table=1, first=int(np.iinfo(values.dtype).min))
        self._easel.prepare(width, height)
        for unit, handle in enumerate((self._values, self._table)):
            GL.glActiveTexture(GL.GL_TEXTURE0 + unit)
            GL.glBindTexture(GL.GL_TEXTURE_2D, handle)
        GL.glActiveTexture(GL.GL_TEXTURE0)
        self._easel.draw(width, height)
        return self._easel.read(width, height, color=False)


def choose_slice_path(size: int = 512, rounds: int = 5) -> Literal["cpu", "gl"]:
    """Which way shows a ``size`` x ``size`` frame sooner on this machine, by trying both."""
    values = (np.arange(size * size, dtype=np.int64) % 4096).astype(np.uint16).reshape(size, size)
    table = (np.arange(65536) >> 8).astype(np.uint8)
    shader = SliceShader()

    def best(draw: Any) -> float:
        draw(values, table)
        times = []
        for _ in range(rounds):
            started = time.perf_counter()
            draw(values, table)
            times.append(time.perf_counter() - started)
        return min(times)

    return "cpu" if best(lookup) <= best(shader.draw) else "gl"


def _upload_2d(
    handle: int, internal: int, width: int, height: int, layout: int, kind: int, values: npt.NDArray[Any]
) -> None:
    GL.glBindTexture(GL.GL_TEXTURE_2D, handle)
    GL.glPixelStorei(GL.GL_UNPACK_ALIGNMENT, 1)
    GL.glTexImage2D(GL.GL_TEXTURE_2D, 0, internal, width, height, 0, layout, kind, values)
    for name in (GL.GL_TEXTURE_MIN_FILTER, GL.GL_TEXTURE_MAG_FILTER):
        GL.glTexParameteri(GL.GL_TEXTURE_2D, name, GL.GL_NEAREST)
