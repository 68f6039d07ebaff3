"""Several simulated physicians at once, and what their pictures took, part by part."""

from __future__ import annotations

import asyncio
import contextlib
import time
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec

from sivr.cli.bench.physician import (
    SPLIT,
    Physician,
    Shown,
    open_physician,
    round_trip_ms,
    split,
)
from sivr.cli.bench.report import percentile
from sivr.cli.bench.visit import Opened

TAIL = 0.25
"""The slowest part of the pictures: where users feel it, and where a 95th percentile comes from."""
_WATCHED_S = 0.1
"""How often the line is looked at while pictures come."""


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """Pictures of one kind."""

    name: str
    round_trip_ms: float
    """Of the line meanwhile."""
    count: int
    """Pictures that arrived."""
    median_ms: float
    p95_ms: float
    size_bytes: float
    """Mean of one picture."""
    parts_ms: dict[str, float]
    """Mean of each part of ``SPLIT`` over all pictures: they sum up to the mean whole time."""
    tail_ms: dict[str, float]
    """The same over the slowest quarter."""
    skipped: int = 0
    """Not asked for, because earlier ones were still under way."""
    failures: dict[str, int] = {}
    """Sentences to how often."""


class Trips:
    """What the line's round trip was, and when."""

    def __init__(self, constant_ms: float | None = None) -> None:
        self._times: list[float] = []
        self._ms: list[float] = []
        if constant_ms is not None:
            self.note(0.0, constant_ms)

    def note(self, at: float, trip_ms: float) -> None:
        """One more, at ``time.perf_counter``."""
        self._times.append(at)
        self._ms.append(trip_ms)

    def at(self, when: float) -> float:
        """The first one that began then or later, else the last; 0 where there is none."""
        if not self._ms:
            return 0.0
        return self._ms[min(bisect_left(self._times, when), len(self._ms) - 1)]

    def mean(self) -> float:
        """Of all of them."""
        return sum(self._ms) / max(1, len(self._ms))


def measured(name: str, shown: list[Shown], trips: Trips) -> Measured:
    """The figures of these pictures."""
    arrived = sorted(
        (one for one in shown if not one.skipped and not one.failure), key=lambda one: one.whole_ms
    )
    failures: dict[str, int] = {}
    for one in shown:
        if one.failure:
            failures[one.failure] = failures.get(one.failure, 0) + 1
    times = [one.whole_ms for one in arrived]
    slowest = arrived[int(len(arrived) * (1 - TAIL)) :]
    return Measured(
        name=name,
        round_trip_ms=trips.mean(),
        count=len(arrived),
        median_ms=percentile(times, 0.5),
        p95_ms=percentile(times, 0.95),
        size_bytes=sum(one.size_bytes for one in arrived) / max(1, len(arrived)),
        parts_ms=_means(arrived, trips),
        tail_ms=_means(slowest, trips),
        skipped=sum(one.skipped for one in shown),
        failures=failures,
    )


def _means(shown: list[Shown], trips: Trips) -> dict[str, float]:
    splits = [split(one, trips.at(one.asked_at)) for one in shown]
    return {name: sum(one[name] for one in splits) / max(1, len(splits)) for name in SPLIT}


class Crowd:
    """Readers of one study, each with connections and a session of their own; an async context manager.

    ``trip`` measures the line as it is at the moment, ms; without it, by opening a TCP connection: the system
    of the other side answers that however busy the node is.
    """

    def __init__(
        self,
        place: Opened,
        ca: Path | None,
        node_url: str = "",
        trip: Callable[[], Awaitable[float]] | None = None,
    ) -> None:
        self._place, self._ca = place, ca
        self._node = node_url or place.node_url
        self._trip = trip or (lambda: round_trip_ms(self._node, 1))
        self._stack = AsyncExitStack()
        self._people: list[Physician] = []
        self._noted: list[Shown] = []

    async def __aenter__(self) -> Crowd:
        await self._stack.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._stack.aclose()

    async def people(self, count: int) -> list[Physician]:
        """So many readers; those that are missing come in."""
        while len(self._people) < count:
            self._people.append(
                await self._stack.enter_async_context(
                    open_physician(
                        self._place.visitor,
                        self._node,
                        [self._place.study_uid],
                        self._noted.append,
                        self._ca,
                    )
                )
            )
        return self._people[:count]

    async def scroll(self, name: str, count: int, *, per_s: float, seconds: float, **params: str) -> Measured:
        """All of them read the series at once, each from another place; what their pictures took."""
        people = await self.people(count)
        frames = len(self._place.series["frames"])
        return await self._measured(
            name,
            *(
                self._late(
                    number / count / per_s,
                    one.scroll(
                        self._place.study_uid,
                        self._place.series,
                        per_s=per_s,
                        seconds=seconds,
                        start=number * frames // count,
                        **params,
                    ),
                )
                for number, one in enumerate(people)
            ),
        )

    async def rush(self, name: str, count: int, seconds: float, **params: str) -> Measured:
        """All of them ask for the next slice as soon as the last one is there; what their pictures took."""
        people = await self.people(count)
        frames = len(self._place.series["frames"])
        until = time.perf_counter() + seconds

        async def read(one: Physician, place: int) -> None:
            while time.perf_counter() < until:
                shown = await one.slice(self._place.study_uid, self._place.series, place % frames, **params)
                if shown.failure:
                    # A server that refuses at once should not be asked a thousand times a second.
                    await asyncio.sleep(0.2)
                place += 1

        return await self._measured(
            name, *(read(one, number * frames // count) for number, one in enumerate(people))
        )

    async def _measured(self, name: str, *works: Coroutine[Any, Any, None]) -> Measured:
        self._noted.clear()
        trips = Trips()
        watching = asyncio.create_task(self._watch_line(trips))
        try:
            await asyncio.gather(*works)
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        return measured(name, list(self._noted), trips)

    async def _watch_line(self, trips: Trips) -> None:
        while True:
            # A line that breaks off shows in the pictures.
            begun = time.perf_counter()
            with contextlib.suppress(OSError):
                trips.note(begun, await self._trip())
            await asyncio.sleep(_WATCHED_S)

    @staticmethod
    async def _late(seconds: float, work: Coroutine[Any, Any, None]) -> None:
        # People do not move in step.
        await asyncio.sleep(seconds)
        await work
