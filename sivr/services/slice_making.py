"""Fills the slices of a segment, in threads: from one frame, from several, or with means of many."""

from __future__ import annotations

from sivr.errors import Exhausted
from sivr.model.studies import VoxelScale
from sivr.services.frame_reading import Found, FrameReader, Unread
from sivr.services.open_series import Array, OpenSeries
from sivr.services.reduction import Means
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
        grid = series.stack.volume
        assert grid is not None
        found, voxels = self._reader.slice_voxels(series, k, scale)
        if voxels is not None and (wrong := _put(segment, k, voxels)):
            # Said of one of its frames, or a sound slice would be taken for a broken one.
            found[grid.frame_of_slice[k]] = wrong
        return found

    def from_slices(self, series: OpenSeries, k: int, segment: Segment, scale: VoxelScale) -> Found:
        """Slice k of a reduced volume is the mean of several slices, of which those that cannot be decoded
        are left out. Only what went wrong is returned: the frames would need the memory that is lacking."""
        grid = series.stack.volume
        assert grid is not None
        deep = segment.factors[0]
        layer = Means(*segment.shape[1:], segment.factors, scale.padding_value)
        wrong: Found = {}
        for n in range(k * deep, min((k + 1) * deep, grid.shape[0])):
            found, voxels = self._reader.slice_voxels(series, n, scale)
            wrong.update({at: values for at, values in found.items() if isinstance(values, str)})
            if any(isinstance(values, Unread) for values in wrong.values()):
                return wrong
            if voxels is not None:
                layer.add(voxels)
        if layer.empty and scale.padding_value is None:
            return wrong
        error = _put(segment, k, layer.image(segment.dtype))
        return wrong if error is None else {grid.frame_of_slice[k * deep]: error}


def _put(segment: Segment, k: int, image: Array) -> Unread | None:
    """Why there is no memory for it at present."""
    try:
        segment.put(k, image)
    except Exhausted as error:
        return Unread(error.message)
    return None
