"""Fills the slices of a segment, in threads: from one frame, from several, or with means of many."""

from __future__ import annotations

import numpy as np

from sivr.errors import Exhausted
from sivr.kernels.volumes import add_blocks, block_means
from sivr.model.studies import VoxelScale
from sivr.services.frame_reading import Found, FrameReader, Unread
from sivr.services.open_series import Array, OpenSeries
from sivr.services.segments import Segment


class SliceMaker:
    """Every method is synchronous and thread-safe, never raises, and returns what was decoded on the way. A
    slice stays missing where that says why."""

    def __init__(self, reader: FrameReader) -> None:
        self._reader = reader

    def from_frame(self, series: OpenSeries, k: int, segment: Segment, position: int) -> Found:
        """Slice k is this frame as it is stored."""
        return self._reader.read_into(series, position, segment, k)

    def from_frames(self, series: OpenSeries, k: int, segment: Segment, scale: VoxelScale) -> Found:
        """Slice k is made of frames that are brought to a common scale, or lies between them."""
        found, voxels = self._reader.slice_voxels(series, k, scale)
        if voxels is not None and (wrong := _put(segment, k, voxels)):
            return dict.fromkeys(found, wrong)
        return found

    def from_slices(self, series: OpenSeries, k: int, segment: Segment, scale: VoxelScale) -> Found:
        """Slice k of a reduced volume is the mean of several slices, of which those that cannot be decoded
        are left out. Only what went wrong is returned: the frames would need the memory that is lacking."""
        grid = series.stack.volume
        assert grid is not None
        deep, rows, columns = segment.factors
        totals, counts = (np.zeros(segment.shape[1:], np.int64) for _ in range(2))
        wrong: Found = {}
        for n in range(k * deep, min((k + 1) * deep, grid.shape[0])):
            found, voxels = self._reader.slice_voxels(series, n, scale)
            wrong.update({at: values for at, values in found.items() if isinstance(values, str)})
            if any(isinstance(values, Unread) for values in wrong.values()):
                return wrong
            if voxels is not None:
                add_blocks(voxels, rows, columns, scale.padding_value, totals, counts)
        if counts.any() or scale.padding_value is not None:
            means = block_means(totals, counts, scale.padding_value or 0, segment.dtype)
            if error := _put(segment, k, means):
                return {grid.frame_of_slice[k * deep]: error}
        return wrong


def _put(segment: Segment, k: int, image: Array) -> Unread | None:
    """Why there is no memory for it at present."""
    try:
        segment.put(k, image)
    except Exhausted as error:
        return Unread(error.message)
    return None
