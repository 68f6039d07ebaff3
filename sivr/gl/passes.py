"""Refined pictures: several rays through every pixel, each with a place of its own in it and a first sample
of its own, averaged.

Every column, every row and every part of a step is used once, in the order that multiples of the golden
section (and of the root of 2) have: edges of any direction are seen at many levels, and the mean of the
places is the pixel's center. First samples are spread evenly over a step for whole passes, not at random for
each ray: rings where surfaces fall between samples then cancel without leaving noise, and the same request
gives the same bytes.
"""

from __future__ import annotations

import functools
import math

import msgspec
import numpy as np

from sivr.gl.camera import Rays

STEP = 0.5
"""Ray step of refined composites, in voxels of the finest axis."""
OPAQUE = 0.999
"""Opacity at which their rays end: what could still shine through is less than a grey level."""
LAYERS = 4
"""Samples of refined projections per voxel layer."""
_GOLDEN = (math.sqrt(5) - 1) / 2


class Pass(msgspec.Struct, frozen=True):
    """One ray through every pixel."""

    right: float
    """From the pixel's center, in pixels, more than -0.5 and less than 0.5."""
    down: float
    ahead: float
    """Of the first sample, in steps, more than 0 and less than 1."""

    def rays(self, rays: Rays, step_mm: float) -> Rays:
        """The rays of this pass, whose samples still lie at whole steps from their origins."""
        origin = (
            rays.origin
            + self.right * rays.right
            + self.down * rays.down
            + self.ahead * step_mm * rays.direction
        )
        return msgspec.structs.replace(rays, origin=origin)


@functools.cache
def passes(count: int) -> tuple[Pass, ...]:
    """``count`` passes, the same ones for the same count."""
    right = np.arange(count)
    down, ahead = (np.argsort(np.argsort(right * factor % 1.0)) for factor in (_GOLDEN, math.sqrt(2)))
    at = (np.stack([right, down, ahead], axis=1) + 0.5) / count
    return tuple(Pass(float(x) - 0.5, float(y) - 0.5, float(z)) for x, y, z in at)
