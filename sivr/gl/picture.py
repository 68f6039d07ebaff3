"""Where pictures are drawn, and how they come back."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from OpenGL import GL

from sivr.errors import Canceled
from sivr.gl.attempt import Attempt, Interrupted
from sivr.gl.readback import Buffers, Stream

Pixels = npt.NDArray[np.uint8]

KEPT = 6
KEPT_PIXELS = 1 << 24
"""Canvases are kept as long as they have no more pixels together: 64 MB of the device's memory."""
BAND_PIXELS = 512 * 96
"""A picture is drawn in bands of about this many pixels, so that it can be abandoned in between."""
WHOLE_PIXELS = 2 * BAND_PIXELS
"""So few are drawn at once: waiting between bands would cost more than it saves."""
OWN_UNIT = 7
"""A texture unit that no program uses."""


_FORMATS = {False: (GL.GL_RGBA8, GL.GL_UNSIGNED_BYTE), True: (GL.GL_RGBA32F, GL.GL_FLOAT)}


class Canvas:
    """An RGBA framebuffer of 8 bits, or of floats for sums. Its first row is the picture's top row."""

    def __init__(self, width: int, height: int, floats: bool = False) -> None:
        self.width, self.height = width, height
        self._floats = floats
        inside, outside = _FORMATS[floats]
        self.texture = int(GL.glGenTextures(1))
        GL.glBindTexture(GL.GL_TEXTURE_2D, self.texture)
        GL.glTexImage2D(GL.GL_TEXTURE_2D, 0, inside, width, height, 0, GL.GL_RGBA, outside, None)
        GL.glTexParameteri(GL.GL_TEXTURE_2D, GL.GL_TEXTURE_MIN_FILTER, GL.GL_LINEAR)
        self.framebuffer = int(GL.glGenFramebuffers(1))
        GL.glBindFramebuffer(GL.GL_FRAMEBUFFER, self.framebuffer)
        GL.glFramebufferTexture2D(
            GL.GL_FRAMEBUFFER, GL.GL_COLOR_ATTACHMENT0, GL.GL_TEXTURE_2D, self.texture, 0
        )

    def rows(self, count: int) -> npt.NDArray[Any]:
        """The first rows as they were drawn: (count, w, 4); the framebuffer must be bound."""
        read = np.empty((count, self.width, 4), np.float32 if self._floats else np.uint8)
        if count:
            GL.glReadPixels(0, 0, self.width, count, GL.GL_RGBA, _FORMATS[self._floats][1], read)
        return read

    def put(self, rows: npt.NDArray[Any]) -> None:
        """Show these as the first rows; what is bound to the units of programs stays."""
        if not len(rows):
            return
        GL.glActiveTexture(GL.GL_TEXTURE0 + OWN_UNIT)
        GL.glBindTexture(GL.GL_TEXTURE_2D, self.texture)
        GL.glTexSubImage2D(
            GL.GL_TEXTURE_2D, 0, 0, 0, self.width, len(rows), GL.GL_RGBA, _FORMATS[self._floats][1], rows
        )
        GL.glBindTexture(GL.GL_TEXTURE_2D, 0)
        GL.glActiveTexture(GL.GL_TEXTURE0)

    def delete(self) -> None:
        """Give it back."""
        GL.glDeleteFramebuffers(1, [self.framebuffer])
        GL.glDeleteTextures([self.texture])


class Easel:
    """Draws with the current program, and reads pictures back; keeps a few canvases."""

    def __init__(self) -> None:
        self._canvases: OrderedDict[tuple[int, int], Canvas] = OrderedDict()
        # A core context draws nothing without a vertex array, even an empty one.
        GL.glBindVertexArray(GL.glGenVertexArrays(1))
        GL.glDisable(GL.GL_DEPTH_TEST)
        GL.glDisable(GL.GL_BLEND)
        GL.glPixelStorei(GL.GL_PACK_ALIGNMENT, 1)
        self.max_size = int(GL.glGetIntegerv(GL.GL_MAX_TEXTURE_SIZE))
        self._buffers = Buffers()
        self.streams = False
        """Whether bands come back while the next are drawn; pictures are the same."""

    def prepare(self, width: int, height: int) -> None:
        """Make the canvas for a picture of this size now; making one disturbs texture unit 0."""
        self._bind(width, height)

    def draw(self, width: int, height: int, check: Callable[[], None] | None = None) -> None:
        """Run the current program over a picture; ``check`` is called between bands and may raise Canceled
        or Interrupted. An Attempt keeps the bands that are finished then, and goes on below them the next
        time."""
        self._bands(self._bind(width, height), check, (lambda: None,))

    def picture(
        self, width: int, height: int, color: bool, check: Callable[[], None] | None = None
    ) -> Pixels:
        """What ``draw`` and ``read`` give, in one."""
        if not self.streams:
            self.draw(width, height, check)
            return self.read(width, height, color)
        stream = Stream(self._buffers, width, height, color)
        try:
            self._bands(self._bind(width, height), check, (lambda: None,), stream)
            return stream.pixels()
        finally:
            stream.drop()

    def mean(
        self,
        width: int,
        height: int,
        passes: Sequence[Callable[[], None]],
        check: Callable[[], None] | None = None,
    ) -> Pixels:
        """The mean of several pictures (h, w, 3), rounded once; each of ``passes`` makes the current program
        ready for one. As ``draw``."""
        # Sums are large and seldom: their canvas is not kept.
        sums = Canvas(width, height, floats=True)
        GL.glClearColor(0.0, 0.0, 0.0, 0.0)
        GL.glClear(GL.GL_COLOR_BUFFER_BIT)
        GL.glBlendFunc(GL.GL_ONE, GL.GL_ONE)
        GL.glEnable(GL.GL_BLEND)
        read = np.empty((height, width, 4), np.float32)
        try:
            self._bands(sums, check, passes)
            GL.glReadPixels(0, 0, width, height, GL.GL_RGBA, GL.GL_FLOAT, read)
        finally:
            GL.glDisable(GL.GL_BLEND)
            sums.delete()
        mean = read[..., :3] * np.float32(255 / len(passes)) + np.float32(0.5)
        pixels: Pixels = np.minimum(mean, 255).astype(np.uint8)
        return pixels

    def _bands(
        self,
        canvas: Canvas,
        check: Callable[[], None] | None,
        passes: Sequence[Callable[[], None]],
        stream: Stream | None = None,
    ) -> None:
        width, height = canvas.width, canvas.height
        attempt = check if isinstance(check, Attempt) else None
        kept = attempt.resume((height, width, 4)) if attempt is not None else None
        if kept is not None:
            canvas.put(kept)
        done = first = 0 if kept is None else len(kept)
        if stream is not None and first:
            stream.add(0, first)
        GL.glViewport(0, 0, width, height)
        small = width * height * len(passes) <= WHOLE_PIXELS
        rows = height if check is None or small else max(16, BAND_PIXELS // width)
        GL.glEnable(GL.GL_SCISSOR_TEST)
        try:
            for top in range(first, height, rows):
                GL.glScissor(0, top, width, min(rows, height - top))
                for number, begin in enumerate(passes):
                    if check and (top > first or number):
                        (GL.glFinish if stream is None else stream.wait)()
                        check()
                    begin()
                    GL.glDrawArrays(GL.GL_TRIANGLES, 0, 3)
                done = min(top + rows, height)
                if stream is not None:
                    stream.add(top, done)
        except (Canceled, Interrupted) as error:
            GL.glFinish()
            if attempt is not None and isinstance(error, Interrupted):
                attempt.keep(canvas.rows(done))
            raise
        finally:
            if attempt is not None:
                attempt.rows = done
            GL.glDisable(GL.GL_SCISSOR_TEST)

    def enlarge(self, size: tuple[int, int], to: tuple[int, int]) -> None:
        """Stretch the picture drawn at ``size`` (width, height) smoothly to a canvas of another size."""
        source = self._bind(*size)
        target = self._bind(*to)
        GL.glBindFramebuffer(GL.GL_READ_FRAMEBUFFER, source.framebuffer)
        GL.glBindFramebuffer(GL.GL_DRAW_FRAMEBUFFER, target.framebuffer)
        GL.glBlitFramebuffer(0, 0, *size, 0, 0, *to, GL.GL_COLOR_BUFFER_BIT, GL.GL_LINEAR)

    def read(self, width: int, height: int, color: bool) -> Pixels:
        """The picture as (h, w) gray or (h, w, 3)."""
        canvas = self._bind(width, height)
        GL.glBindFramebuffer(GL.GL_READ_FRAMEBUFFER, canvas.framebuffer)
        out = np.empty((height, width, 4), np.uint8)
        GL.glReadPixels(0, 0, width, height, GL.GL_RGBA, GL.GL_UNSIGNED_BYTE, out)
        return np.ascontiguousarray(out[..., :3] if color else out[..., 0])

    def _bind(self, width: int, height: int) -> Canvas:
        canvas = self._canvases.get((width, height))
        if canvas is None:
            room = KEPT_PIXELS - width * height
            while len(self._canvases) >= KEPT or (
                self._canvases and sum(one.width * one.height for one in self._canvases.values()) > room
            ):
                self._canvases.popitem(last=False)[1].delete()
            canvas = self._canvases[width, height] = Canvas(width, height)
        self._canvases.move_to_end((width, height))
        GL.glBindFramebuffer(GL.GL_FRAMEBUFFER, canvas.framebuffer)
        return canvas
