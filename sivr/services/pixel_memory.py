"""The node's memory for decoded pixels: frames kept one by one and segments of whole volumes, one budget."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Collection
from functools import partial

from sivr.services.open_series import Array, OpenSeries
from sivr.services.segments import Segment, release_lingering, size_of

Shape = tuple[int, int, int]


class PixelMemory:
    """Everything decoded, within ``budget_bytes``; what was used least recently goes first.

    ``forget`` is told the key of every volume whose memory is given back.
    """

    def __init__(self, prefix: str, budget_bytes: int, forget: Callable[[str], None]) -> None:
        self._prefix = prefix
        self.budget_bytes = budget_bytes
        self._forget = forget
        self._frames: OrderedDict[tuple[str, int], tuple[float, Array]] = OrderedDict()
        self._frame_bytes = 0
        self._segment_bytes = 0
        self._with_segment: dict[int, OpenSeries] = {}
        self._closing: set[asyncio.Future[None]] = set()

    @property
    def used_bytes(self) -> int:
        """Decoded pixels held at present."""
        return self._frame_bytes + self._segment_bytes

    def frame(self, series: OpenSeries, position: int) -> Array | None:
        """The stored values of a frame if they are here; counts as a use."""
        k = series.slice_of_frame.get(position)
        if k is not None and series.segment is not None and series.segment.ready[k]:
            voxels: Array = series.segment.voxels[k]
            return voxels
        key = (series.key, position)
        found = self._frames.get(key)
        if found is None:
            return None
        self._frames.move_to_end(key)
        self._frames[key] = (time.monotonic(), found[1])
        return found[1]

    def peek(self, series: OpenSeries, position: int) -> Array | None:
        """The stored values of a frame kept on its own; no use is counted. Safe in threads."""
        found = self._frames.get((series.key, position))
        return None if found is None else found[1]

    def has(self, series: OpenSeries, position: int) -> bool:
        """Whether ``frame`` would find it."""
        k = series.slice_of_frame.get(position)
        if k is not None and series.segment is not None and series.segment.ready[k]:
            return True
        return (series.key, position) in self._frames

    def keep(self, series: OpenSeries, position: int, values: Array, idle_s: float) -> None:
        """Keep a decoded frame if there is room for it or can be made."""
        key = (series.key, position)
        if key in self._frames or not self.make_room(values.nbytes, series, idle_s):
            return
        self._frames[key] = (time.monotonic(), values)
        self._frame_bytes += values.nbytes

    def make_room(self, size: int, asking: OpenSeries, idle_s: float) -> bool:
        """Evict what was used least recently until ``size`` bytes more fit; False when they cannot.

        Segments go only when no picture is made from them and nobody read them in the last ``idle_s``
        seconds; that of the series that asks stays.
        """
        if size > self.budget_bytes:
            return False
        latest = time.monotonic() - idle_s
        while self.used_bytes + size > self.budget_bytes:
            oldest = min(
                (
                    one
                    for one in self._with_segment.values()
                    if not one.uses and one is not asking and one.asked <= latest
                ),
                key=lambda one: one.asked,
                default=None,
            )
            front = next(iter(self._frames.items()), None)
            if front is not None and (oldest is None or front[1][0] <= oldest.asked):
                self.drop_frames([front[0]])
            elif oldest is not None:
                self.close_segment(oldest)
            else:
                return False
        return True

    def room_for(self, asking: OpenSeries, idle_s: float) -> int:
        """The largest size that ``make_room`` can find room for."""
        latest = time.monotonic() - idle_s
        evictable = sum(
            _held(one)
            for one in self._with_segment.values()
            if not one.uses and one is not asking and one.asked <= latest
        )
        return self.budget_bytes - (self._segment_bytes - evictable)

    def held(self, series: OpenSeries) -> int:
        """Bytes of the segments of a series."""
        return _held(series)

    async def new_segment(
        self, series: OpenSeries, shape: Shape, dtype: str, padding: int | None, factors: Shape
    ) -> Segment:
        """Shared memory for a volume, for which room has been made; raises Exhausted."""
        segment = await self._make(shape, dtype, padding, factors)
        series.segment = segment
        self._with_segment[id(series)] = series
        return segment

    async def new_overview(
        self, series: OpenSeries, shape: Shape, dtype: str, padding: int | None, factors: Shape
    ) -> Segment | None:
        """Shared memory for an overview; None where there is no room for it, or one is there already."""
        if not self.make_room(size_of(shape, dtype), series, 0.0):
            return None
        segment = await self._make(shape, dtype, padding, factors)
        if series.overview is not None:
            self._give_back(series, segment)
            return None
        series.overview = segment
        self._with_segment[id(series)] = series
        return segment

    async def _make(self, shape: Shape, dtype: str, padding: int | None, factors: Shape) -> Segment:
        size = size_of(shape, dtype)
        self._segment_bytes += size
        make = partial(Segment, self._prefix, shape, dtype, padding=padding, factors=factors)
        creating = asyncio.ensure_future(asyncio.to_thread(make))
        try:
            segment = await asyncio.shield(creating)
        except BaseException as error:
            self._segment_bytes -= size
            if isinstance(error, asyncio.CancelledError):
                # The thread goes on; what it makes must not stay behind.
                (await creating).close()
            raise
        return segment

    def close_segment(self, series: OpenSeries) -> None:
        """Give the segment of a series back, if it has one, and its overview."""
        self.close_overview(series)
        segment, series.segment = series.segment, None
        self._with_segment.pop(id(series), None)
        if segment is not None:
            self._give_back(series, segment)

    def close_overview(self, series: OpenSeries) -> None:
        """Give the overview of a series back, if it has one."""
        overview, series.overview = series.overview, None
        if overview is None:
            return
        series.overview_tried = False
        self._give_back(series, overview)
        if series.segment is None:
            self._with_segment.pop(id(series), None)

    def _give_back(self, series: OpenSeries, segment: Segment) -> None:
        self._segment_bytes -= segment.size_bytes
        self._forget(series.volume_key(segment))
        if segment.retire():
            closing = asyncio.get_running_loop().run_in_executor(None, segment.release)
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    def drop_frames(self, keys: Collection[tuple[str, int]]) -> None:
        """Forget frames kept on their own."""
        for key in keys:
            _, values = self._frames.pop(key)
            self._frame_bytes -= values.nbytes

    def drop_series(self, series: OpenSeries, *, frames_only: bool) -> None:
        """Forget everything of a series, or all but its segment."""
        self.drop_frames([key for key in self._frames if key[0] == series.key])
        if not frames_only:
            self.close_segment(series)

    def count(self, series: OpenSeries) -> int:
        """Frames of a series kept on their own."""
        return sum(key[0] == series.key for key in self._frames)

    async def close(self) -> None:
        """Give everything back."""
        for series in list(self._with_segment.values()):
            self.close_segment(series)
        self._frames.clear()
        self._frame_bytes = 0
        await asyncio.gather(*self._closing)
        release_lingering()


def _held(series: OpenSeries) -> int:
    """Bytes of the segments of a series."""
    return sum(one.size_bytes for one in (series.segment, series.overview) if one is not None)
