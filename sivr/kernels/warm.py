"""Compile the kernels ahead of the first picture."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sivr.kernels import bricks, composite, slices, tiles, volumes
from sivr.kernels.voxels import Layout

DTYPES = ("int16", "uint16", "uint8")


def warm_up() -> None:
    """Compile every kernel for the voxel types of DICOM, or load it from the cache.

    Takes some ten seconds the first time on a machine and a fraction of one afterwards. Blocking.
    """
    warm_up_frames()
    warm_up_rays()


def warm_up_frames() -> None:
    """What shows frames and fills volumes: for the process that serves."""
    for dtype in DTYPES:
        voxels = np.zeros((4, 8, 8), dtype)
        slices.lookup(voxels[0], np.zeros(256**voxels.itemsize, np.uint8))
        tiles.tile_ranges(voxels[0])
        sums = np.zeros((4, 4), np.int64)
        volumes.add_blocks(voxels[0], 2, 2, None, sums, sums)
        volumes.add_blocks(_read_only(voxels[0]), 2, 2, None, sums, sums)
    picture = np.zeros((8, 8), np.uint8)
    slices.resample(picture, 16, 16)
    slices.resample(picture[..., None].repeat(3, axis=2), 4, 4)


def warm_up_rays() -> None:
    """What draws volumes, in the order in which the first picture needs it: for render workers."""
    for dtype in DTYPES:
        # Shared memory is mapped for reading, which is another type to the compiler.
        ranges = _read_only(np.zeros((4, 2, 2), dtype))
        low, high = bricks.brick_ranges(ranges, ranges, np.arange(4))
        bricks.quick_distance_field(bricks.occupied_bricks(low, high, np.ones(4, bool), 0.0, 1.0))
        if dtype != "uint8":
            for mapped in (True, False):
                composite.program_for(Layout(dtype, mapped), False, "plain", 0)
    picture = np.zeros((8, 8), np.uint8)
    slices.resample(picture[..., None].repeat(3, axis=2), 4, 4)
    slices.resample(picture, 16, 16)
    for dtype in DTYPES:
        voxels = np.zeros((4, 8, 8), dtype)
        tiles.tile_ranges(_read_only(voxels[0]))
        volumes.replace(voxels[0], 1, 0)
        volumes.reduce_slice(voxels[0], 2, 2)
        volumes.half_with_gradient(voxels, 255)


def _read_only(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    view = values.view()
    view.setflags(write=False)
    return view
