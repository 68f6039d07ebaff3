"""Orthographic cameras: where the pixels of a view lie in the patient, and in a volume's texture."""

from __future__ import annotations

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
