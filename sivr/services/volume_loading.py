"""Volumes in memory: room for their voxels, or for means of them, and what is shown while they are loaded."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any

import numpy as np

from sivr.dicom.presentation import value_range
from sivr.dicom.volume import volume_values
from sivr.errors import Exhausted, Invalid, SivrError, Unavailable
from sivr.gl.source import VolumeSource
from sivr.model.studies import VoxelScale
from sivr.services.open_series import Array, OpenSeries
from sivr.services.overviews import Overviews, factors_of
from sivr.services.pixel_memory import PixelMemory
from sivr.services.reduction import reduced_affine, reduced_shape, reduction
from sivr.services.segments import Segment, room, size_of

log = logging.getLogger("sivr.loading")

RETRY_S = 5.0
ACTIVE_S = 30.0
"""A series nobody asked about for so long is not loaded any further (it is taken up where it stood)."""
OVERVIEW_UNTIL = 0.5
"""The part of the slices from which on they show more than an overview."""
HOLD_S = 0.5
"""How long at most loading pauses for the first coarse picture, which would otherwise come last of all."""
KEEP_AFTER_S = 1.0
"""How long after a volume is whole its overview is made: the picture everybody waited for goes first."""


class VolumeLoader:
    """The volumes of open series; on the event loop."""

    def __init__(
        self,
        memory: PixelMemory,
        wake: Callable[[], None],
        frame: Callable[[OpenSeries, int], Awaitable[Array]],
        fetch: Callable[[OpenSeries, Sequence[int]], None],
        overviews: Overviews | None,
    ) -> None:
        """``wake`` makes the decoding threads ask for work, ``frame`` reads a frame without loading more;
        ``fetch`` lets the system read frames ahead, in a thread."""
        self._memory = memory
        self._wake = wake
        self._frame = frame
        self._fetch = fetch
        self._overviews = overviews
        self._tasks: set[asyncio.Task[Any]] = set()
        self.retired: list[OpenSeries] = []
        """Series whose stored state has changed, of which pictures are still being made."""

    async def close(self) -> None:
        """End what is going on."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.retired.clear()

    @asynccontextmanager
    async def volume(self, series: OpenSeries, *, coarse: bool) -> AsyncIterator[VolumeSource]:
        """As ``SeriesLoader.volume``."""
        if series.stack.volume is None:
            raise Invalid(series.why_no_volume or "This series has no volume.")
        series.uses += 1
        if series.retired and series.uses == 1:
            self.retired.append(series)
        overview, held = None, False
        try:
            series.asked = time.monotonic()
            if coarse:
                overview = await self._overview(series)
            if overview is not None:
                yield _source(series, overview, preliminary=True)
            else:
                segment = await self._segment(series)
                await self._until(series, segment, coarse)
                if segment.ready.all():
                    self._whole(series, segment)
                else:
                    held = self._hold(series, segment)
                yield _source(series, segment)
        finally:
            series.uses -= 1
            series.asked = time.monotonic()
            if held:
                series.held_until = 0.0
                self._wake()
            if series.retired and not series.uses:
                self.retired.remove(series)
                self._memory.drop_series(series, frames_only=False)
            elif overview is not None:
                # The processor was needed for the picture; now the rest may come.
                self._begin(series)

    async def _until(self, series: OpenSeries, segment: Segment, coarse: bool) -> None:
        """Wait for all slices, or for the coarse ones."""
        begun = time.monotonic()
        while True:
            if series.unread_at > begun:
                raise Unavailable(series.unread, {"retry_after_s": int(RETRY_S)})
            waiting = series.progress
            ready = segment.ready != 0
            if ready.all() or (coarse and ready[:: series.coarse_step].all()):
                return
            self._wake()
            await waiting.wait()

    def _hold(self, series: OpenSeries, segment: Segment) -> bool:
        """Let the first coarse picture have the processor; whether it is the first."""
        if segment.shown:
            return False
        segment.shown = True
        series.held_until = time.monotonic() + HOLD_S
        asyncio.get_running_loop().call_later(HOLD_S, self._wake)
        return True

    def _begin(self, series: OpenSeries) -> None:
        if series.segment is None and series.segment_task is None:
            self._start_allocation(series, 0.0, reduce=True)
        self._wake()

    # The segment of a series

    def load_soon(self, series: OpenSeries) -> None:
        """Begin to load a series that is read slice by slice, where one copy serves both ways."""
        if not series.direct or series.segment is not None or series.segment_task is not None:
            return
        if not series.no_segment or time.monotonic() - series.no_segment_at > RETRY_S:
            self._start_allocation(series, ACTIVE_S, reduce=False)

    async def _segment(self, series: OpenSeries) -> Segment:
        """The memory of a volume, for all voxels if they fit by now; raises Exhausted."""
        if series.segment is not None and series.segment.reduced and await self._fits_whole(series):
            self._memory.close_segment(series)
        if series.segment is None and series.segment_task is not None:
            await asyncio.shield(series.segment_task)
        if series.segment is None:
            task = series.segment_task or self._start_allocation(series, 0.0, reduce=True)
            await asyncio.shield(task)
        if series.segment is None or series.scale is None:
            raise Exhausted(series.no_segment or "The server has no memory for this volume at present.")
        return series.segment

    async def _fits_whole(self, series: OpenSeries) -> bool:
        grid, scale = series.stack.volume, series.scale
        if grid is None or scale is None or series.uses > 1 or series.segment_task is not None:
            return False
        size = size_of(grid.shape, scale.dtype)
        if self._memory.room_for(series, ACTIVE_S) + self._memory.held(series) < size:
            return False
        machine = await asyncio.to_thread(room)
        return series.uses == 1 and series.segment_task is None and machine >= size

    def _start_allocation(self, series: OpenSeries, idle_s: float, *, reduce: bool) -> asyncio.Task[None]:
        task = self._go_on(self._allocate(series, idle_s, reduce))
        series.segment_task = task

        def ended(one: asyncio.Task[None]) -> None:
            series.segment_task = None
            self._wake()

        task.add_done_callback(ended)
        return task

    async def _allocate(self, series: OpenSeries, idle_s: float, reduce: bool) -> None:
        try:
            await self._new_segment(series, idle_s, reduce)
        except SivrError as error:
            series.no_segment = error.message
            series.no_segment_at = time.monotonic()
            log.warning("no volume", extra={"series": series.series_uid, "reason": error.message})
            return
        series.no_segment = ""
        if series.retired and not series.uses:
            self._memory.close_segment(series)
            return
        for position, k in series.slice_of_frame.items():
            if position in series.errors:
                fill_broken(series, k)
            elif (values := self._memory.peek(series, position)) is not None and series.put(k, values):
                self._memory.drop_frames([(series.key, position)])
        series.note_progress()
        self._go_on(asyncio.to_thread(self._fetch, series, series.frames_in_order()))

    async def _new_segment(self, series: OpenSeries, idle_s: float, reduce: bool) -> Segment:
        grid = series.stack.volume
        assert grid is not None
        if series.scale is None:
            series.scale = await self._scale_by_values(series)
        dtype, padding = series.scale.dtype, series.scale.padding_value
        free = min(self._memory.room_for(series, idle_s), await asyncio.to_thread(room))
        factors = reduction(grid.shape, grid.spacing_mm, dtype, free)
        whole = factors == (1, 1, 1)
        if factors is None or not (whole or (reduce and series.one_by_one)):
            raise Exhausted(
                f"This volume needs {_megabytes(size_of(grid.shape, dtype))} MB of memory; the server may "
                f"use {_megabytes(self._memory.budget_bytes)} MB for all that are open. "
                "Its slices can be read one by one."
            )
        shape = reduced_shape(grid.shape, factors)
        if not self._memory.make_room(size_of(shape, dtype), series, idle_s):
            raise Exhausted("The server has no memory for this volume at present.")
        if not whole:
            log.info("volume reduced", extra={"series": series.series_uid, "factors": list(factors)})
        return await self._memory.new_segment(series, shape, dtype, padding, factors)

    async def _scale_by_values(self, series: OpenSeries) -> VoxelScale:
        """The scale of a volume whose range only its decoded pixels tell (float and 32-bit)."""
        grid = series.stack.volume
        assert grid is not None
        low, high = np.inf, -np.inf
        for position in sorted(set(grid.frame_of_slice) | set(grid.next_frame_of_slice)):
            try:
                values = await self._frame(series, position)
            except Invalid:
                continue
            stored, number = series.header_of(position)
            ends = await asyncio.to_thread(value_range, values, stored.header.frames[number].display)
            if ends is not None:
                low, high = min(low, ends[0]), max(high, ends[1])
        if low > high:
            raise Invalid("No frame of this series can be decoded.")
        return volume_values(series.headers, series.stack, (low, high))

    # Overviews

    async def _overview(self, series: OpenSeries) -> Segment | None:
        """What shows the volume until enough of its slices are there."""
        segment = series.segment
        if segment is not None and np.count_nonzero(segment.ready) >= OVERVIEW_UNTIL * segment.shape[0]:
            return None
        if not series.overview_tried and self._overviews is not None:
            # Panes ask for several pictures at once: all of them wait for the one overview.
            series.overview_tried = True
            series.overview_task = self._go_on(self._load_overview(series, self._overviews))
        if series.overview_task is not None:
            await asyncio.shield(series.overview_task)
        overview = series.overview
        return overview if overview is not None and overview.ready.all() else None

    async def _load_overview(self, series: OpenSeries, overviews: Overviews) -> None:
        grid, scale, factors = series.stack.volume, series.scale, factors_of(series)
        if grid is None or scale is None or factors is None:
            return
        if not await asyncio.to_thread(overviews.exists, series, factors):
            return
        shape = reduced_shape(grid.shape, factors)
        try:
            found = await self._memory.new_overview(series, shape, scale.dtype, scale.padding_value, factors)
        except SivrError as error:
            log.info("no overview", extra={"series": series.series_uid, "reason": error.message})
            return
        if found is None:
            return
        series.overview_kept = await asyncio.to_thread(overviews.load, series, found)
        if series.overview is found and (not series.overview_kept or (series.retired and not series.uses)):
            self._memory.close_overview(series)
            series.overview_tried = True

    def _go_on(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Do this whoever waits for it, until it is done or the node stops."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _whole(self, series: OpenSeries, segment: Segment) -> None:
        """All slices are there: an overview is of no more use, but for the next time."""
        if series.overview is not None and series.uses == 1:
            self._memory.close_overview(series)
        if self._overviews is None or segment.reduced or series.errors or series.overview_kept:
            return
        series.overview_kept = True
        self._go_on(self._keep(series, segment, self._overviews))

    async def _keep(self, series: OpenSeries, segment: Segment, overviews: Overviews) -> None:
        await asyncio.sleep(KEEP_AFTER_S)
        factors = factors_of(series)
        if series.segment is segment and factors is not None:
            # The array keeps its memory, even if the segment is closed meanwhile.
            await asyncio.to_thread(overviews.keep, series, segment.voxels, factors)


def fill_broken(series: OpenSeries, k: int) -> None:
    """A slice that cannot be decoded is empty in the volume, never invented from its neighbors."""
    segment, scale = series.segment, series.scale
    if segment is None or scale is None or segment.ready[k]:
        return
    empty = scale.padding_value
    series.put(k, _darkest(series, scale) if empty is None else empty)


def _darkest(series: OpenSeries, scale: VoxelScale) -> int:
    """The voxel that stands for nothing where no padding value is given: the least the format holds."""
    form = next((one.pixel_format for one in series.headers if one.pixel_format is not None), None)
    if not scale.stored or form is None:
        return int(np.iinfo(scale.dtype).min)
    return -(1 << (form.bits_stored - 1)) if form.signed else 0


def _source(series: OpenSeries, segment: Segment, *, preliminary: bool = False) -> VolumeSource:
    grid, scale = series.stack.volume, series.scale
    assert grid is not None and scale is not None
    return VolumeSource(
        key=series.volume_key(segment),
        shm_name=segment.name,
        shape=segment.shape,
        dtype=scale.dtype,
        slope=scale.slope,
        intercept=scale.intercept,
        lps_from_ijk=reduced_affine(grid.lps_from_ijk, segment.factors),
        status_offset=segment.status_offset,
        padding_value=scale.padding_value,
        ranges_offset=segment.ranges_offset,
        reduced=segment.factors,
        preliminary=preliminary,
    )


def _megabytes(size: int) -> int:
    return round(size / (1024 * 1024))
