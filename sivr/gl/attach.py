"""Shared voxels as arrays, without owning them."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sivr.errors import Gone, Invalid
from sivr.gl.source import VolumeSource
from sivr.kernels.tiles import tiles_of

SHARED = Path("/dev/shm")  # noqa: S108 - where POSIX shared memory lives on Linux


class SharedVoxels:
    """``voxels[k, j, i]`` and ``ready[k]`` of a source, mapped for reading.

    Not ``multiprocessing.shared_memory``: its resource tracker would unlink the memory of the process that
    owns it when a worker ends. Raises Gone when the memory is no longer there, Invalid when it is too small.
    """

    def __init__(self, source: VolumeSource) -> None:
        dtype = np.dtype(source.dtype)
        if min(source.shape) < 1:
            raise Invalid("A volume must have at least one voxel along each axis.")
        count = int(np.prod(source.shape, dtype=np.int64))
        try:
            with (SHARED / source.shm_name.lstrip("/")).open("rb") as file:
                self._memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:
            raise Gone("The voxels of this volume are no longer in memory.") from error
        tiles = (2, *tiles_of(source.shape))
        ranges = int(np.prod(tiles, dtype=np.int64))
        needed = max(count * dtype.itemsize, source.status_offset + source.shape[0])
        if source.ranges_offset is not None:
            needed = max(needed, source.ranges_offset + ranges * dtype.itemsize)
        if len(self._memory) < needed:
            raise Invalid("The shared memory is smaller than the volume it should hold.")
        self.voxels: npt.NDArray[Any] = np.frombuffer(self._memory, dtype, count).reshape(source.shape)
        self.ready: npt.NDArray[np.uint8] = np.frombuffer(
            self._memory, np.uint8, source.shape[0], source.status_offset
        )
        self.ranges: npt.NDArray[Any] | None = None
        """Least and largest value of every tile: (2, slices, tile rows, tile columns)."""
        if source.ranges_offset is not None:
            self.ranges = np.frombuffer(self._memory, dtype, ranges, source.ranges_offset).reshape(tiles)
