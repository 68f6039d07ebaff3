"""Volumes of means, where all voxels are too many: by how much, of what shape, and where they lie."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sivr.dicom.volume import Affine
from sivr.kernels.volumes import add_blocks, block_means
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


class Means:
    """One layer of a volume of means, slice by slice; ``padding`` and what is not added are no part of it."""

    def __init__(self, rows: int, columns: int, factors: Sequence[int], padding: int | None) -> None:
        """``rows`` and ``columns`` of the layer; ``factors`` along k, j and i."""
        self._factors, self._padding = factors, padding
        self._totals, self._counts = (np.zeros((rows, columns), np.int64) for _ in range(2))

    def add(self, image: npt.NDArray[Any]) -> None:
        """A slice (rows, columns) of the volume."""
        add_blocks(image, self._factors[1], self._factors[2], self._padding, self._totals, self._counts)

    @property
    def empty(self) -> bool:
        """Whether nothing but padding was added."""
        return not self._counts.any()

    def image(self, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """The means of what was added; padding, or 0 without one, where nothing was."""
        return block_means(self._totals, self._counts, self._padding or 0, dtype)


def reduced_affine(lps_from_ijk: Affine, factors: Shape) -> Affine:
    """Where the means lie: in the middle of what they are means of."""
    scale = np.array([factors[2], factors[1], factors[0]], dtype=float)
    ijk_from_reduced = np.diag([*scale, 1.0])
    ijk_from_reduced[:3, 3] = (scale - 1) / 2
    rows = np.asarray(lps_from_ijk, dtype=float) @ ijk_from_reduced
    return tuple((float(r[0]), float(r[1]), float(r[2]), float(r[3])) for r in rows)
