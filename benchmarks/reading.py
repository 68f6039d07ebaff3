"""Readers as the reading page makes them: what it asks for while slices pass and volumes turn, and when.

The rules are those of static/tools/stack-reader.js and static/components/rendered-pane.js: two requests of a
view at most are under way and the newest waits; on a quick line exact pictures and neighbors ahead, on a slow
one drafts, and the exact picture when the hand rests.
"""

from __future__ import annotations

import asyncio
import math
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import msgspec

from sivr.errors import Conflict, SivrError

REST_S = 0.14
REST_VOLUME_S = 0.16
FRAME_S = 1 / 60
SETTLE_S = 10.0
AHEAD = 16
WINDOWS = ("40,400,linear", "600,2800,linear", "40,80,linear")
"""Soft tissue, bone, brain: what a reader of heads changes between."""
DRAFT_QUALITY = 80


class Answered(msgspec.Struct, frozen=True):
    """A request that came to an end."""

    kind: str
    user: int
    at_s: float
    """When it was asked for, on the clock of ``time.perf_counter``."""
    spent_s: float
    size_bytes: int
    problem: str = ""


class Source(Protocol):
    """What readers ask."""

    async def ask(self, url: str) -> bytes:
        """The picture; raises a SivrError."""


class Log:
    """What was asked and what came."""

    def __init__(self) -> None:
        self.answered: list[Answered] = []
        self.shown: dict[int, list[float]] = {}
        """When each user saw something new."""
        self.perceived: dict[int, list[float]] = {}
        """From the wish for a slice to the slice, seconds; 0 where it was there already."""
        self.skipped = 0
        """Wishes that a newer one of the same view took the place of before they were sent."""

    def show(self, user: int, wished_s: float) -> None:
        """A user sees what was wished for."""
        now = time.perf_counter()
        self.shown.setdefault(user, []).append(now)
        self.perceived.setdefault(user, []).append(now - wished_s)


class NewestWins:
    """Of everything asked for two run, the newest waits, the rest is forgotten."""

    def __init__(self, log: Log, patience_s: float, width: int = 2) -> None:
        self._log = log
        self._patience_s = patience_s
        self._width = width
        self._running: dict[int, tuple[asyncio.Task[None], float]] = {}
        self._waiting: Callable[[int], Awaitable[None]] | None = None

    @property
    def busy(self) -> bool:
        """Whether something is under way."""
        return bool(self._running)

    def ask(self, work: Callable[[int], Awaitable[None]]) -> None:
        """Begin ``work(slot)``, or let it wait for its turn."""
        if self._waiting is not None:
            self._log.skipped += 1
            self._waiting = None
        if len(self._running) < self._width:
            self._start(work)
            return
        self._waiting = work
        oldest, since = next(iter(self._running.values()))
        if time.perf_counter() - since > self._patience_s:
            oldest.cancel()

    def _start(self, work: Callable[[int], Awaitable[None]]) -> None:
        slot = next(one for one in range(self._width) if one not in self._running)

        async def run() -> None:
            try:
                await work(slot)
            finally:
                del self._running[slot]
                waiting, self._waiting = self._waiting, None
                if waiting is not None:
                    self._start(waiting)

        self._running[slot] = (asyncio.ensure_future(run()), time.perf_counter())

    async def settled(self, timeout_s: float) -> None:
        """Wait until nothing is under way, but no longer than so."""
        until = time.perf_counter() + timeout_s
        while self._running and (left := until - time.perf_counter()) > 0:
            await asyncio.wait([task for task, _ in self._running.values()], timeout=left)

    async def close(self) -> None:
        """Give up what is under way."""
        self._waiting = None
        tasks = [task for task, _ in self._running.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def timed(log: Log, source: Source, kind: str, user: int, url: str) -> bytes | None:
    """Ask, and write down how long it took; None when it failed."""
    started = time.perf_counter()
    body, problem = b"", ""
    try:
        body = await source.ask(url)
    except Conflict:
        # A newer picture of the same view was asked for.
        problem = "superseded"
    except SivrError as error:
        problem = f"{type(error).__name__}: {error.message}"
    except asyncio.CancelledError:
        log.answered.append(Answered(kind, user, started, time.perf_counter() - started, 0, "canceled"))
        raise
    log.answered.append(Answered(kind, user, started, time.perf_counter() - started, len(body), problem))
    return body or None


class Scroller:
    """Somebody who scrolls through a stack, to and fro, and changes the window at its ends."""

    def __init__(
        self, log: Log, source: Source, user: int, frames: Sequence[str], *, slow_line: bool
    ) -> None:
        self._log, self._source, self._user = log, source, user
        self._frames = frames
        self._slow = slow_line
        # Readers do not turn at the same moment.
        self._place = user * len(frames) * 5 // 8 % len(frames)
        self._direction, self._window = 1 - 2 * (user // 2 % 2), user % len(WINDOWS)
        self._kept: set[str] = set()
        self._fetching: set[str] = set()
        self._channel = NewestWins(log, 0.4)
        self._ahead: list[asyncio.Task[None]] = []
        self._rest: asyncio.TimerHandle | None = None

    def _exact(self, place: int) -> str:
        return f"{self._frames[place]}?accept=image/png&window={WINDOWS[self._window]}"

    def _draft(self, place: int) -> str:
        shape = "&draft=yes&viewport=512,512"
        return (
            f"{self._frames[place]}?accept=image/jpeg&quality={DRAFT_QUALITY}{shape}"
            f"&window={WINDOWS[self._window]}"
        )

    async def run(self, until_s: float, per_s: float) -> None:
        """Move ``per_s`` slices a second until then (of ``time.perf_counter``)."""
        due = time.perf_counter()
        try:
            while due < until_s:
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                self._step()
                due += 1 / per_s
            # What was asked for last may still be on its way.
            await self._channel.settled(SETTLE_S)
        finally:
            if self._rest is not None:
                self._rest.cancel()
            for task in self._ahead:
                task.cancel()
            await asyncio.gather(*self._ahead, return_exceptions=True)
            await self._channel.close()

    def _step(self) -> None:
        following = self._place + self._direction
        if not 0 <= following < len(self._frames):
            self._direction = -self._direction
            self._window = (self._window + 1) % len(WINDOWS)
            # Far more pictures than a browser keeps would come back otherwise.
            self._kept.clear()
            following = self._place + self._direction
        self._place = following
        if self._rest is not None:
            self._rest.cancel()
        wished = time.perf_counter()
        exact, draft = self._exact(self._place), self._draft(self._place)
        for known in (exact, draft) if self._slow else (exact,):
            if known in self._kept:
                self._log.show(self._user, wished)
                self._plan_ahead()
                break
        else:
            self._fetch(draft if self._slow else exact, "slice_jpeg" if self._slow else "slice_png", wished)
        if self._slow and exact not in self._kept:
            loop = asyncio.get_running_loop()
            self._rest = loop.call_later(REST_S, self._fetch, exact, "slice_png", None)

    def _fetch(self, url: str, kind: str, wished: float | None) -> None:
        async def work(slot: int) -> None:
            body = await timed(self._log, self._source, kind, self._user, f"{url}&view=s{self._user}.{slot}")
            if body is not None:
                self._kept.add(url)
                if wished is not None:
                    self._log.show(self._user, wished)
            self._plan_ahead()

        self._channel.ask(work)

    def _plan_ahead(self) -> None:
        self._ahead = [task for task in self._ahead if not task.done()]
        while len(self._ahead) < 2:
            self._ahead.append(asyncio.ensure_future(self._fetch_ahead()))

    async def _fetch_ahead(self) -> None:
        # The channel's own request ends a moment after this begins.
        await asyncio.sleep(0)
        while not self._channel.busy and (url := self._next_ahead()) is not None:
            self._fetching.add(url)
            try:
                kind = "ahead_jpeg" if self._slow else "ahead_png"
                if await timed(self._log, self._source, kind, self._user, url) is None:
                    return
                self._kept.add(url)
            finally:
                self._fetching.discard(url)

    def _next_ahead(self) -> str | None:
        reach = 8 if self._slow else AHEAD
        for step in range(1, reach + 1):
            places = [self._place + self._direction * step]
            if step * 3 <= reach:
                places.append(self._place - self._direction * step)
            for place in places:
                if not 0 <= place < len(self._frames):
                    continue
                url = self._draft(place) if self._slow else self._exact(place)
                if url not in self._kept and url not in self._fetching:
                    return url
        return None


class Rotator:
    """Somebody who turns a volume: drags for some seconds, rests for one, drags on."""

    def __init__(
        self,
        log: Log,
        source: Source,
        user: int,
        series: str,
        center: Sequence[float],
        *,
        fov_mm: float = 300.0,
        full: tuple[int, int] = (1024, 640),
        draft: tuple[int, int] = (512, 320),
        drag_s: float = 4.0,
        rest_s: float = 1.0,
    ) -> None:
        self._log, self._source, self._user = log, source, user
        self._series, self._center, self._fov = series, center, fov_mm
        self._full, self._draft_size = full, draft
        self._drag_s, self._rest_s = drag_s, rest_s
        self._channel = NewestWins(log, 0.6)

    def _url(self, angle: float, *, draft: bool) -> str:
        x, y, z = self._center
        position = (x + 1000 * math.sin(angle), y - 1000 * math.cos(angle), z + 100 * math.sin(angle / 3))
        width, height = self._draft_size if draft else self._full
        how = f"accept=image/jpeg&quality={DRAFT_QUALITY}&draft=yes" if draft else "accept=image/png"
        return (
            f"{self._series}/rendered3d?renderingmethod=volume_rendered"
            f"&viewpointposition={','.join(f'{one:.3f}' for one in position)}"
            f"&viewpointlookat={','.join(f'{one:.3f}' for one in self._center)}&viewpointup=0,0,1"
            f"&fov={self._fov:g}&{how}&viewport={width},{height}"
        )

    async def run(self, until_s: float) -> None:
        """Turn until then (of ``time.perf_counter``)."""
        angle = self._user * 0.7
        try:
            while time.perf_counter() < until_s:
                stop = min(until_s, time.perf_counter() + self._drag_s)
                while time.perf_counter() < stop:
                    angle += 0.01
                    self._fetch(angle, draft=True)
                    await asyncio.sleep(FRAME_S)
                await asyncio.sleep(REST_VOLUME_S)
                self._fetch(angle, draft=False)
                await asyncio.sleep(self._rest_s)
        finally:
            await self._channel.close()

    def _fetch(self, angle: float, *, draft: bool) -> None:
        url, wished = self._url(angle, draft=draft), time.perf_counter()

        async def work(slot: int) -> None:
            view = f"{url}&view=v{self._user}.{slot}"
            body = await timed(self._log, self._source, "draft" if draft else "full", self._user, view)
            if body is not None:
                self._log.show(self._user, wished)

        self._channel.ask(work)


def percentile(values: Sequence[float], percent: float) -> float:
    """By interpolation; 0 where there are none."""
    if len(values) < 2:
        return values[0] if values else 0.0
    return statistics.quantiles(values, n=1000, method="inclusive")[round(percent * 10) - 1]
