"""Masks of lassos as one texture of layers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from OpenGL import GL

from sivr.gl.cuts import SIDE


class Masks:
    """The masks of the cut drawn last; what is the same is not uploaded again."""

    unit = 3
    """The texture unit that they are bound to."""

    def __init__(self) -> None:
        self._texture = 0
        self._held: tuple[npt.NDArray[np.uint8], ...] = ()

    def bind(self, masks: tuple[npt.NDArray[np.uint8], ...]) -> None:
        """Let the unit read these, (SIDE, SIDE) each."""
        GL.glActiveTexture(GL.GL_TEXTURE0 + self.unit)
        if not self._texture:
            self._texture = int(GL.glGenTextures(1))
            self._upload(())
        GL.glBindTexture(GL.GL_TEXTURE_2D_ARRAY, self._texture)
        same = len(masks) == len(self._held) and all(
            one is other for one, other in zip(masks, self._held, strict=True)
        )
        if not same:
            self._upload(masks)
        GL.glActiveTexture(GL.GL_TEXTURE0)

    def _upload(self, masks: tuple[npt.NDArray[np.uint8], ...]) -> None:
        # An integer texture without a single texel would be incomplete.
        side = SIDE if masks else 1
        layers = np.stack(masks) if masks else np.zeros((1, 1, 1), np.uint8)
        GL.glBindTexture(GL.GL_TEXTURE_2D_ARRAY, self._texture)
        GL.glPixelStorei(GL.GL_UNPACK_ALIGNMENT, 1)
        GL.glTexImage3D(
            GL.GL_TEXTURE_2D_ARRAY, 0, GL.GL_R8UI, side, side, len(layers), 0,
            GL.GL_RED_INTEGER, GL.GL_UNSIGNED_BYTE, layers,
        )  # fmt: skip
        for name in (GL.GL_TEXTURE_MIN_FILTER, GL.GL_TEXTURE_MAG_FILTER):
            GL.glTexParameteri(GL.GL_TEXTURE_2D_ARRAY, name, GL.GL_NEAREST)
        self._held = masks
