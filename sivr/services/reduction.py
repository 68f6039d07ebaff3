"""Volumes of means, where all voxels are too many: by how much, of what shape, and where they lie."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sivr.dicom.volume import Affine
from sivr.services.segments import size_of

Shape = tuple[int, int, int]


def reduction(
    shape: Shape, spacing_mm: Sequence[float], dtype: npt.DTypeLike, room_bytes: int
) -> Shape | None:
    """The least factors (k, j, i) by which a volume fits into so many bytes, its voxels as cubic as can be.

    ``spacing_mm`` along i, j and k. None where not even one voxel fits.
    """
    factors = [1, 1, 1]
    spacing = [spacing_mm[2], spacing_mm[1], spacing_mm[0]]
    while size_of(reduced_shape(shape, factors), dtype) > room_bytes:
        left = [axis for axis in range(3) if factors[axis] < shape[axis]]
        if not left:
            return None
        finest = min(left, key=lambda axis: (factors[axis] * spacing[axis], axis))
        factors[finest] += 1
    return factors[0], factors[1], factors[2]


def reduced_shape(shape: Shape, factors: Sequence[int]) -> Shape:
    """Of the means; blocks at the far edges may be smaller."""
    k, j, i = (-(-n // factor) for n, factor in zip(shape, factors, strict=True))
    return k, j, i


def reduced_affine(lps_from_ijk: Affine, factors: Shape) -> Affine:
    """Where the means lie: in the middle of what they are means of."""
    scale = np.array([factors[2], factors[1], factors[0]], dtype=float)
    ijk_from_reduced = np.diag([*scale, 1.0])
    ijk_from_reduced[:3, 3] = (scale - 1) / 2
    rows = np.asarray(lps_from_ijk, dtype=float) @ ijk_from_reduced
    return tuple((float(r[0]), float(r[1]), float(r[2]), float(r[3])) for r in rows)
