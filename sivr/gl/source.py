"""Where a render worker finds the voxels of a volume, and what they mean."""

from __future__ import annotations

import msgspec


class VolumeSource(msgspec.Struct, frozen=True):
    """A volume in shared memory: ``voxels[k, j, i]`` and one ready flag per slice.

    Slices may become ready while pictures are made; voxels of a ready slice never change.
    """

    key: str
    """Names the voxels: the same key always means the same volume."""
    shm_name: str
    """POSIX shared memory; the voxels lie at its beginning."""
    shape: tuple[int, int, int]
    """Slices, rows, columns."""
    dtype: str
    """Any integer or float type of numpy; 8 and 16 bit are shown without loss."""
    slope: float
    intercept: float
    """Modality value = voxel * slope + intercept."""
    lps_from_ijk: tuple[tuple[float, float, float, float], ...]
    """4x4 affine, (i, j, k, 1) to LPS mm of the voxel's center; need not be orthogonal."""
    status_offset: int
    """Bytes from the beginning of the shared memory to the flags, uint8[k]: 0 missing, 1 ready."""
    padding_value: int | None = None
    """Voxels of this value are not image."""
    ranges_offset: int | None = None
    """Bytes from the beginning to the least, then the largest voxel of every tile of the ready slices, of the
    voxels' type, as ``sivr.kernels.tiles`` makes them; None when there are none."""
    reduced: tuple[int, int, int] = (1, 1, 1)
    """Stored voxels that each of these is the mean of, along k, j and i."""
    preliminary: bool = False
    """Stands in for a volume that is being loaded: no picture of it is complete."""
