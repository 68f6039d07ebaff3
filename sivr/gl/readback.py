"""A picture on its way back from the device by two buffers: one band is copied and taken in while the next
is drawn."""

from __future__ import annotations

import ctypes
from collections import deque
from typing import Any

import numpy as np
import numpy.typing as npt
from OpenGL import GL

from sivr.errors import Unavailable

BUFFERS = 2
WAIT_NS = 10_000_000_000
"""A device that is not done with a band by then hangs."""


class Buffers:
    """Pixel pack buffers for one context, used in turn."""

    def __init__(self) -> None:
        self._handles = [int(handle) for handle in GL.glGenBuffers(BUFFERS)]
        self._turn = 0

    def next(self) -> int:
        """The one used longest ago."""
        self._turn = (self._turn + 1) % BUFFERS
        return self._handles[self._turn]


class Stream:
    """Bands of the framebuffer that is bound for reading, top down; at most two are on their way."""

    def __init__(self, buffers: Buffers, width: int, height: int, color: bool) -> None:
        self._buffers = buffers
        self._color = color
        self._out = np.empty((height, width, 3) if color else (height, width), np.uint8)
        self._coming: deque[tuple[int, Any, int, int]] = deque()

    def add(self, top: int, end: int) -> None:
        """Rows ``top`` to ``end`` are drawn, or will be by commands given already."""
        while len(self._coming) >= BUFFERS:
            self._take()
        buffer, width = self._buffers.next(), self._out.shape[1]
        GL.glBindBuffer(GL.GL_PIXEL_PACK_BUFFER, buffer)
        # New storage: the driver need not wait for whoever read the last.
        GL.glBufferData(GL.GL_PIXEL_PACK_BUFFER, (end - top) * width * 4, None, GL.GL_STREAM_READ)
        GL.glReadPixels(0, top, width, end - top, GL.GL_RGBA, GL.GL_UNSIGNED_BYTE, ctypes.c_void_p(0))
        GL.glBindBuffer(GL.GL_PIXEL_PACK_BUFFER, 0)
        self._coming.append((buffer, GL.glFenceSync(GL.GL_SYNC_GPU_COMMANDS_COMPLETE, 0), top, end))
        GL.glFlush()

    def wait(self) -> None:
        """Leave at most one band on its way."""
        while len(self._coming) >= BUFFERS:
            self._take()

    def pixels(self) -> npt.NDArray[np.uint8]:
        """The picture as (h, w) gray or (h, w, 3), once all of it was added."""
        while self._coming:
            self._take()
        return self._out

    def drop(self) -> None:
        """Nobody wants the rest."""
        while self._coming:
            GL.glDeleteSync(self._coming.popleft()[1])

    def _take(self) -> None:
        buffer, fence, top, end = self._coming.popleft()
        try:
            state = GL.glClientWaitSync(fence, GL.GL_SYNC_FLUSH_COMMANDS_BIT, WAIT_NS)
        finally:
            GL.glDeleteSync(fence)
        if state not in (GL.GL_ALREADY_SIGNALED, GL.GL_CONDITION_SATISFIED):
            raise Unavailable("The graphics device does not answer.")
        size = (end - top) * self._out.shape[1] * 4
        GL.glBindBuffer(GL.GL_PIXEL_PACK_BUFFER, buffer)
        try:
            address = GL.glMapBufferRange(GL.GL_PIXEL_PACK_BUFFER, 0, size, GL.GL_MAP_READ_BIT)
            texels = np.ctypeslib.as_array((ctypes.c_ubyte * size).from_address(int(address)))
            band = texels.reshape(end - top, -1, 4)
            self._out[top:end] = band[..., :3] if self._color else band[..., 0]
            GL.glUnmapBuffer(GL.GL_PIXEL_PACK_BUFFER)
        finally:
            GL.glBindBuffer(GL.GL_PIXEL_PACK_BUFFER, 0)
