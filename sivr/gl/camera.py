"""Orthographic cameras: where the pixels of a view lie in the patient, and in a volume's texture."""

from __future__ import annotations

import itertools
import math
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from sivr.errors import Invalid
from sivr.model.cameras import basis
from sivr.model.rendering import Viewpoint

Array = npt.NDArray[np.float64]


class Rays(msgspec.Struct, frozen=True):
    """Parallel rays in texel coordinates: texel n of an axis reaches from n to n + 1."""

    origin: Array
    """Of the center of the top left pixel, at distance 0 (the plane of look_at)."""
    right: Array
    """Change per pixel to the right."""
    down: Array
    direction: Array
    """Change per mm away from the viewer."""
    toward: Array
    """Unit vector to the viewer, LPS."""
    lps_from_gradient: Array
    """3x3: gradient per texel to gradient per mm, LPS (transposed inverse of the affine)."""


def rays(viewpoint: Viewpoint, width: int, height: int, height_mm: float, lps_from_texel: Array) -> Rays:
    """The rays of a picture through a volume whose texel (i, j, k) + 0.5 are voxel centers.

    ``lps_from_texel`` 4x4. Raises Invalid for a degenerate camera or affine.
    """
    if not np.isfinite(height_mm) or height_mm <= 0:
        raise Invalid("The height of the view must be more than 0 mm.")
    right, up, toward = (np.asarray(axis) for axis in basis(viewpoint))
    if abs(np.linalg.det(lps_from_texel[:3, :3])) < 1e-12:
        raise Invalid("The volume has no extent in some direction.")
    texel_from_lps = np.linalg.inv(lps_from_texel)
    linear = texel_from_lps[:3, :3]
    pixel_mm = height_mm / height
    corner = (
        np.asarray(viewpoint.look_at, dtype=float)
        - right * (width - 1) / 2 * pixel_mm
        + up * (height - 1) / 2 * pixel_mm
    )
    return Rays(
        origin=linear @ corner + texel_from_lps[:3, 3],
        right=linear @ right * pixel_mm,
        down=linear @ -up * pixel_mm,
        direction=linear @ -toward,
        toward=toward,
        lps_from_gradient=linear.T.astype(float),
    )


class Samples(msgspec.Struct, frozen=True):
    """Where a slab is sampled, along the rays."""

    first_mm: float
    """From the plane, negative toward the viewer."""
    step_mm: float
    count: int
    """0 when the slab does not reach the volume."""


def slab_samples(
    viewpoint: Viewpoint, rays: Rays, lps_from_texel: Array, size: tuple[int, int, int], slab_mm: float
) -> Samples:
    """Samples a texel apart across a slab, as far as it can reach the volume of ``size`` (i, j, k) texels.

    Raises Invalid for a thickness that is none.
    """
    if not np.isfinite(slab_mm) or slab_mm < 0:
        raise Invalid("The thickness of the slab must be 0 mm or more.")
    spacing = 1.0 / float(np.linalg.norm(rays.direction))
    if slab_mm < spacing * 1.5:
        return Samples(0.0, 0.0, 1)
    corners = np.array(list(itertools.product((0, size[0]), (0, size[1]), (0, size[2]), (1,))), float)
    away = ((corners @ lps_from_texel.T)[:, :3] - np.asarray(viewpoint.look_at)) @ -rays.toward
    near, far = float(away.min()) - spacing, float(away.max()) + spacing
    # Thicker than twice the farther end changes nothing.
    slab_mm = min(slab_mm, 2 * max(abs(near), abs(far)))
    count = max(1, round(slab_mm / spacing))
    step = slab_mm / count
    middle = (count - 1) / 2
    first, last = max(0, math.ceil(near / step + middle)), min(count - 1, math.floor(far / step + middle))
    return Samples((first - middle) * step, step, max(0, last - first + 1))


def lps_from_texel(lps_from_ijk: Any, factors: tuple[int, int, int]) -> Array:
    """4x4 affine of a texture that holds means of ``factors`` (k, j, i) voxels."""
    affine = np.asarray(lps_from_ijk, dtype=float)
    if affine.shape != (4, 4) or not np.isfinite(affine).all():
        raise Invalid("The volume's affine must be a finite 4x4 matrix.")
    scale = np.array([factors[2], factors[1], factors[0]], dtype=float)
    # Voxel n has its center at n, texel n at n + 0.5 and the size of `scale` voxels.
    ijk_from_texel = np.diag([*scale, 1.0])
    ijk_from_texel[:3, 3] = -0.5
    return affine @ ijk_from_texel
