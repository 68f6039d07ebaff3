"""Series in memory: opened once for everybody, decoded in the order people look, within the node's budget.

A series with a volume keeps its voxels in one shared segment that slices and volumes are both made from.
Frames that have no place in a segment (color, cine, several phases, a series larger than the budget) are
kept one by one as long as there is room. All of this runs on the event loop; only decoding is in threads.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from functools import partial
from types import TracebackType
from typing import Any, Protocol

import numpy as np

from sivr.errors import Exhausted, Invalid, NotFound, SivrError, Unavailable
from sivr.gl.source import VolumeSource
from sivr.model.importance import Importance
from sivr.services.decoding import DecodePool, Unit
from sivr.services.frame_reading import Found, FrameReader, Unread
from sivr.services.open_series import Array, OpenSeries, Progress, State, digest_of
from sivr.services.overviews import Overviews
from sivr.services.pixel_memory import PixelMemory
from sivr.services.segments import Segment, remove_leftovers
from sivr.services.slice_making import SliceMaker
from sivr.services.volume_loading import ACTIVE_S, VolumeLoader, fill_broken
from sivr.store.blobs import Blobs
from sivr.store.index import StoredInstance

log = logging.getLogger("sivr.loading")

REVALIDATE_S = 2.0
"""How long the stored state of a series is believed before it is asked for again."""
RETRY_S = 5.0
OPEN_BEHIND_S = 0.01
"""Head start of the very first picture of a series before all the others are thought of."""
MAX_OPEN_SERIES = 48


class HeaderSource(Protocol):
    """Where headers of stored instances come from."""

    async def revision(self, study_uid: str) -> int:
        """A number that changes whenever the stored state of a study does."""

    async def opened(self, study_uid: str, series_uid: str) -> tuple[int, Sequence[StoredInstance]]:
        """``revision`` and the stored instances of a series of the same moment; none when there are none."""

    async def instance(self, study_uid: str, series_uid: str, instance_uid: str) -> StoredInstance | None:
        """One stored instance; None when there is none."""


class SeriesLoader:
    """All open series of a node, an async context manager.

    ``budget_bytes`` bounds the decoded pixels of all series together. ``forget`` is told the key of every
    volume whose memory is given back, so that render workers drop their textures of it. ``overviews``
    are kept between runs.
    """

    def __init__(
        self,
        index: HeaderSource,
        blobs: Blobs,
        *,
        node_id: str,
        budget_bytes: int,
        threads: int = 2,
        forget: Callable[[str], None] | None = None,
        overviews: Overviews | None = None,
    ) -> None:
        self._index = index
        self._prefix = f"sivr-{hashlib.sha256(node_id.encode()).hexdigest()[:10]}"
        self._memory = PixelMemory(self._prefix, budget_bytes, forget or (lambda key: None))
        self._reader = FrameReader(blobs, self._memory)
        self._slices = SliceMaker(self._reader)
        self._pool = DecodePool(threads, self._background)
        frame = partial(self.frame, prefetch=False)
        self._volumes = VolumeLoader(self._memory, self._pool.wake, frame, self._reader.fetch, overviews)
        self._series: OrderedDict[tuple[str, str], OpenSeries] = OrderedDict()
        self._opening: dict[tuple[str, str], asyncio.Task[OpenSeries]] = {}
        self._behind: set[asyncio.Task[None]] = set()
        self._glanced: set[tuple[str, str]] = set()
        self._turn = 0
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> SeriesLoader:
        await asyncio.to_thread(remove_leftovers, self._prefix)
        await self._stack.enter_async_context(self._pool)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        tasks: list[asyncio.Task[Any]] = [*self._behind, *self._opening.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._volumes.close()
        await self._stack.aclose()
        self._series.clear()
        await self._memory.close()

    @property
    def used_bytes(self) -> int:
        """Decoded pixels held at present."""
        return self._memory.used_bytes

    @property
    def budget_bytes(self) -> int:
        """Decoded pixels that may be held."""
        return self._memory.budget_bytes

    @property
    def pool(self) -> DecodePool:
        """Where frames are decoded."""
        return self._pool

    @property
    def reader(self) -> FrameReader:
        """What decodes frames."""
        return self._reader

    async def open(self, study_uid: str, series_uid: str) -> OpenSeries:
        """The series, its order and its volume; shared by everybody who asks. Raises NotFound."""
        key = (study_uid, series_uid)
        series = self._series.get(key)
        if series is not None and time.monotonic() - series.checked < REVALIDATE_S:
            self._series.move_to_end(key)
            return series
        task = self._opening.get(key)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._open(key, series))
            self._opening[key] = task
            task.add_done_callback(lambda done: self._opened(key, done))
        return await asyncio.shield(task)

    def _opened(self, key: tuple[str, str], task: asyncio.Task[OpenSeries]) -> None:
        self._opening.pop(key, None)
        if not task.cancelled():
            # Read here, or a failure nobody waits for any more would be reported as lost.
            task.exception()

    async def _open(self, key: tuple[str, str], known: OpenSeries | None) -> OpenSeries:
        revision = await self._index.revision(key[0]) if known is not None else 0
        # While we wait somebody may close it: then its memory is gone for good.
        if known is not None and not known.retired and known.revision == revision:
            known.checked = time.monotonic()
            self._series[key] = known
            self._series.move_to_end(key)
            return known
        revision, stored = await self._index.opened(*key)
        if known is not None and known.retired:
            known = None
        if not stored:
            self._retire(key)
            raise NotFound("There is no such series here.")
        if known is not None and known.digest == digest_of(stored):
            known.checked, known.revision = time.monotonic(), revision
            self._series[key] = known
            self._series.move_to_end(key)
            return known
        series = await asyncio.to_thread(OpenSeries, *key, stored)
        series.checked, series.revision = time.monotonic(), revision
        if known is not None:
            series.center = min(known.center, max(0, series.total - 1))
        self._retire(key)
        self._series[key] = series
        self._close_idle_records()
        return series

    async def frame(
        self,
        series: OpenSeries,
        position: int,
        *,
        prefetch: bool = True,
        importance: Importance = Importance.REFINEMENT,
        user: str = "",
        timing_ms: dict[str, float] | None = None,
    ) -> Array:
        """The decoded stored values of a frame in reading order: (rows, columns) or (rows, columns, 3).

        ``prefetch`` says that somebody is reading this series, so that the rest is loaded too. Raises Invalid
        with the reason when this frame is broken; the others are not concerned. Waiting for a thread and
        decoding are noted in ``timing_ms`` as queue and decode.
        """
        if not 0 <= position < series.total:
            raise NotFound("There is no such frame in this series.")
        stored, _ = series.header_of(position)
        if stored.header.not_renderable:
            raise Invalid(stored.header.not_renderable)
        if prefetch:
            series.look_at(position)
        if position in series.errors:
            raise Invalid(series.errors[position])
        values = self._memory.frame(series, position)
        if values is None:
            values = await self._wait_for(series, position, importance, user, timing_ms)
        if prefetch:
            self._volumes.load_soon(series)
            self._pool.wake()
        return values

    async def glance(
        self, study_uid: str, series_uid: str, instance_uid: str, frame: int
    ) -> tuple[StoredInstance, Array] | None:
        """One frame (from 1) of a series nobody has opened, before the headers of all the others are read.

        The series is opened and loaded behind it. None when it is open or being opened already, and where
        anything is the matter with this frame: ``open`` and ``frame`` will say what.
        """
        key = (study_uid, series_uid)
        if key in self._series or key in self._opening or key in self._glanced:
            return None
        self._glanced.add(key)
        try:
            stored = await self._index.instance(study_uid, series_uid, instance_uid)
            if stored is None or stored.header.not_renderable or not 1 <= frame <= len(stored.header.frames):
                return None
            if not stored.header.frames[frame - 1].parts:
                return None
            values = await self._pool.urgent(
                partial(self._reader.read_frame, stored, frame - 1), Importance.INTERACTION
            )
        finally:
            self._glanced.discard(key)
        if isinstance(values, str):
            return None
        behind = asyncio.get_running_loop().create_task(self._open_behind(key, instance_uid, frame))
        self._behind.add(behind)
        behind.add_done_callback(self._behind.discard)
        return stored, values

    async def _open_behind(self, key: tuple[str, str], instance_uid: str, frame: int) -> None:
        await asyncio.sleep(OPEN_BEHIND_S)
        try:
            series = await self.open(*key)
            await self.frame(series, series.position_of(instance_uid, frame))
        except SivrError as error:
            log.info("not opened", extra={"series": key[1], "reason": error.message})

    def volume(self, series: OpenSeries, *, coarse: bool) -> AbstractAsyncContextManager[VolumeSource]:
        """The series as a volume in shared memory, kept there while the context is open.

        With ``coarse`` it is handed out as soon as something of it can be shown everywhere (an overview made
        earlier, or slices from all over it), else when all of it is there. Where the memory does not hold all
        voxels, means of them are handed out, and the source says so. Raises Invalid when the series has no
        volume, Exhausted when there is no memory for the least of it.
        """
        return self._volumes.volume(series, coarse=coarse)

    def progress(self, series: OpenSeries) -> Progress:
        """How far the series is loaded."""
        broken = {str(position + 1): sentence for position, sentence in sorted(series.errors.items())}
        if series.segment is not None and series.stack.volume is not None:
            total = series.stack.volume.shape[0]
            loaded = min(total, int(np.count_nonzero(series.segment.ready)) * series.segment.factors[0])
        else:
            loaded, total = self._memory.count(series) + len(series.errors), series.total
        active = series.uses > 0 or (series.asked > 0 and time.monotonic() - series.asked < ACTIVE_S)
        state: State = "complete" if loaded >= total else "loading" if active else "idle"
        return Progress(slices_loaded=loaded, slices_total=total, state=state, broken=broken)

    def _retire(self, key: tuple[str, str]) -> None:
        series = self._series.pop(key, None)
        if series is None:
            return
        series.retired = True
        if series.uses:
            # A picture is being made from it; its volume goes when that is done.
            self._volumes.retired.append(series)
        self._memory.drop_series(series, frames_only=series.uses > 0)

    def _close_idle_records(self) -> None:
        for key in list(self._series)[: max(0, len(self._series) - MAX_OPEN_SERIES)]:
            if not self._series[key].uses:
                self._retire(key)

    # What somebody waits for

    async def _wait_for(
        self,
        series: OpenSeries,
        position: int,
        importance: Importance,
        user: str,
        timing_ms: dict[str, float] | None,
    ) -> Array:
        started = time.perf_counter()
        future = series.in_flight.get(position) or self._decode_urgently(series, position, importance, user)
        series.waiters[position] = series.waiters.get(position, 0) + 1
        try:
            values = await asyncio.shield(future)
            if timing_ms is not None and position in series.decode_s:
                # Where others asked before, part of the waiting and reading was over when this began.
                total = time.perf_counter() - started
                decode = min(total, series.decode_s[position])
                timing_ms["decode"], timing_ms["queue"] = decode * 1000, (total - decode) * 1000
            return values
        except asyncio.CancelledError:
            work = series.urgent.get(position)
            if series.waiters[position] == 1 and work is not None:
                # The last who asked is gone: what has not begun need not begin.
                series.urgent.pop(position)
                series.in_flight.pop(position, None)
                work.cancel()
            raise
        finally:
            series.waiters[position] -= 1
            if not series.waiters[position]:
                del series.waiters[position]
                series.decode_s.pop(position, None)

    def _decode_urgently(
        self, series: OpenSeries, position: int, importance: Importance, user: str
    ) -> asyncio.Future[Array]:
        future = _promise(series, position)

        def read() -> Found:
            begun = time.perf_counter()
            found = self._reader.read(series, position)
            series.decode_s[position] = time.perf_counter() - begun
            segment, values = series.segment, found.get(position)
            k = series.slice_of_frame.get(position) if segment is not None and not segment.reduced else None
            if segment is not None and k is not None and values is not None and not isinstance(values, str):
                # Here rather than on the event loop. Whoever waits has the values in any case.
                with contextlib.suppress(Exhausted):
                    segment.put(k, values)
            return found

        work = self._pool.urgent(read, importance, user)
        if series.together(position) == (position,):
            series.urgent[position] = work
        work.add_done_callback(lambda done: self._deliver_urgent(series, position, future, done))
        return future

    def _deliver_urgent(
        self, series: OpenSeries, position: int, future: asyncio.Future[Array], work: asyncio.Future[Found]
    ) -> None:
        if series.urgent.get(position) is work:
            del series.urgent[position]
        if not work.cancelled() and work.exception() is None:
            self._deliver(series, work.result())
            return
        for one in series.together(position):
            if one != position or series.in_flight.get(position) is future:
                series.in_flight.pop(one, None)
        error = None if work.cancelled() else work.exception()
        if error is not None and not future.done():
            future.set_exception(error)
        else:
            future.cancel()

    def _deliver(self, series: OpenSeries, found: Found) -> bool:
        """Put decoded frames where they belong and wake those who wait for them; whether something has to be
        done again later."""
        again = False
        for position, values in found.items():
            future = series.in_flight.pop(position, None)
            k = series.slice_of_frame.get(position)
            if isinstance(values, Unread):
                again = True
                self._rest(series, values)
                if future is not None and not future.done():
                    future.set_exception(Unavailable(values, {"retry_after_s": int(RETRY_S)}))
                continue
            if isinstance(values, str):
                series.errors[position] = values
                if k is not None:
                    fill_broken(series, k)
                if future is not None and not future.done():
                    future.set_exception(Invalid(values))
                continue
            if k is None or series.segment is None:
                self._memory.keep(series, position, values, ACTIVE_S)
            elif not series.put(k, values):
                again = True
                self._rest(series, series.unread)
            if future is not None and not future.done():
                future.set_result(values)
        series.note_progress()
        return again

    def _rest(self, series: OpenSeries, reason: str) -> None:
        """Fetch nothing ahead for a while: what could not be read now may be readable then."""
        series.unread, series.unread_at = str(reason), time.monotonic()
        asyncio.get_running_loop().call_later(RETRY_S, self._pool.wake)

    # What nobody waits for yet

    def _background(self, most: int) -> list[Unit[Any]]:
        """The next pieces of loading work, all of one series: where somebody waits for a volume first, then
        what nobody has asked for yet. Series take turns."""
        now = time.monotonic()
        everyone = (*self._series.values(), *self._volumes.retired)
        active = [one for one in everyone if one.uses or (one.asked and now - one.asked < ACTIVE_S)]
        for group in ([one for one in active if one.uses], [one for one in active if not one.uses]):
            for offset in range(len(group)):
                units = self._units(group[(self._turn + offset) % len(group)], most)
                if units:
                    self._turn += offset + 1
                    return units
        return []

    def _units(self, series: OpenSeries, most: int) -> list[Unit[Any]]:
        coming = series.direct and series.segment is None and not series.no_segment
        if series.unread_at and time.monotonic() - series.unread_at < RETRY_S:
            return []
        if coming or series.segment_task is not None:
            # Everything will have its place in the segment; until that is there nothing is fetched ahead.
            return []
        units: list[Unit[Any]] = []
        for k in series.next_slices(most):
            unit = self._slice_unit(series, k)
            if unit is not None:
                units.append(unit)
        while len(units) < most and (position := self._next_frame(series)) is not None:
            _promise(series, position)
            units.append(
                Unit(partial(self._reader.read, series, position), partial(self._frame_made, series))
            )
        return units

    def _next_frame(self, series: OpenSeries) -> int | None:
        """The frame to fetch ahead for a series without a segment, outward from where somebody looks."""
        segment = series.segment
        if segment is not None and len(series.slice_of_frame) == series.total:
            return None
        if segment is not None and segment.reduced and time.monotonic() - series.read_at > ACTIVE_S:
            # Only the volume is looked at; what it is made of needs the memory that is lacking already.
            return None
        size = max(1, series.frame_bytes(series.center))
        # Half of the budget at most: fetching ahead must not push out what others are reading.
        window = min(series.total, (self._memory.budget_bytes // 2) // size)
        reach = series.total if window == series.total else (window + 1) // 2
        around = (series.center, series.travel, reach)
        if series.fetched[0] != around:
            series.around, series.fetched = series.frames_around(reach), (around, 0)
        # What was fetched once for this center is not fetched again when others needed its room meanwhile.
        for number in range(series.fetched[1], len(series.around)):
            series.fetched = (around, number)
            position = series.around[number]
            if position in series.errors or position in series.in_flight:
                continue
            if self._memory.has(series, position):
                continue
            if not series.header_of(position)[0].header.not_renderable:
                return position
        series.fetched = (around, len(series.around))
        return None

    def _slice_unit(self, series: OpenSeries, k: int) -> Unit[Found] | None:
        grid, scale, segment = series.stack.volume, series.scale, series.segment
        assert grid is not None and scale is not None and segment is not None
        work: Callable[[], Found]
        if segment.reduced:
            work = partial(self._slices.from_slices, series, k, segment, scale)
        elif series.direct:
            position = grid.frame_of_slice[k]
            if position in series.in_flight:
                # The object is read as a whole: another slice brings this one.
                return None
            _promise(series, position)
            work = partial(self._slices.from_frame, series, k, segment, position)
        else:
            work = partial(self._slices.from_frames, series, k, segment, scale)
        series.slices_in_flight.add(k)
        return Unit(work, partial(self._slice_made, series, k, segment))

    def _frame_made(self, series: OpenSeries, found: Found) -> None:
        self._deliver(series, found)

    def _slice_made(self, series: OpenSeries, k: int, segment: Segment, found: Found) -> None:
        series.slices_in_flight.discard(k)
        again = self._deliver(series, found)
        if series.segment is segment and not segment.ready[k] and not again:
            fill_broken(series, k)
            series.note_progress()


def _promise(series: OpenSeries, position: int) -> asyncio.Future[Array]:
    """A future for a frame that is about to be decoded, and for those that come with it."""
    loop = asyncio.get_running_loop()
    for one in series.together(position):
        if one not in series.in_flight:
            future: asyncio.Future[Array] = loop.create_future()
            # Nobody may be left to hear of an error when all who asked have gone.
            future.add_done_callback(lambda done: done.cancelled() or done.exception())
            series.in_flight[one] = future
    return series.in_flight[position]
