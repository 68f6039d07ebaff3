"""Simulated physicians: each reads at a node by cookie as the page does, and notes what every picture took.

Stacks are read on a schedule whether or not earlier pictures have arrived, so that a slow server cannot slow
down the very questions that would show it. Volumes are turned as the page does: the next view is asked for
when the last one has arrived.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from sivr.errors import Conflict, SivrError, Unauthenticated
from sivr.peers import Client, Visitor, open_client

PARTS = ("queue", "load", "decode", "render", "encode")
"""What a node says of itself in Server-Timing; other names there are parts of these, not counted again."""
SPLIT = (*PARTS, "network", "rest", "client")
"""Where a picture's time goes: ``rest`` is what the server took and does not explain, ``client`` how long the
asking itself was late."""
AT_ONCE = 6
"""Pictures one physician waits for at most; a browser has no more connections to a server either."""

Series = Mapping[str, Any]
"""A series as ``GET {node}/studies/{study}/contents`` describes it."""


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """What one picture took."""

    what: str
    """slice, volume or plane."""
    whole_ms: float
    """From when it was due until its last byte was there."""
    asked_at: float = 0.0
    """When it was due, on the clock of ``time.perf_counter``."""
    first_byte_ms: float = 0.0
    """From the asking until the head of the answer was there."""
    connecting_ms: float = 0.0
    """Of that, a new connection."""
    body_ms: float = 0.0
    parts: Mapping[str, float] = {}
    """Milliseconds that the server tells (Server-Timing), by name."""
    size_bytes: int = 0
    quality: str = ""
    """lossless, lossy qNN or preview."""
    complete: bool = True
    failure: str = ""
    """Why there is no picture: one sentence, or empty."""
    skipped: bool = False
    """Whether nothing was asked for, because too many pictures were under way or a newer one was wanted."""


def server_timing(header: str) -> dict[str, float]:
    """The durations of a Server-Timing header in ms, by name; what is not understood is left out."""
    found = {}
    for entry in header.split(","):
        name, *parameters = (part.strip() for part in entry.split(";"))
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            if key.strip().lower() == "dur":
                try:
                    found[name] = float(value.strip().strip('"'))
                except ValueError:
                    continue
    return found


def split(shown: Shown, round_trip_ms: float) -> dict[str, float]:
    """A picture's whole time by part, see ``SPLIT``; the parts sum up to the whole."""
    told = {name: shown.parts.get(name, 0.0) for name in PARTS}
    asked_ms = min(shown.whole_ms, shown.first_byte_ms + shown.body_ms)
    network = min(asked_ms, min(round_trip_ms + shown.connecting_ms, shown.first_byte_ms) + shown.body_ms)
    rest = asked_ms - network - sum(told.values())
    if rest < 0:
        # Parts may overlap: what is told cannot be more than what was waited.
        scale = (asked_ms - network) / sum(told.values())
        told = {name: spent * scale for name, spent in told.items()}
        rest = 0.0
    return told | {"network": network, "rest": rest, "client": shown.whole_ms - asked_ms}


async def round_trip_ms(url: str, tries: int = 5) -> float:
    """The least time that opening a TCP connection took: one way there and one back. Raises OSError."""
    parts = urlsplit(url)
    taken = []
    for _ in range(tries):
        started = time.perf_counter()
        _, writer = await asyncio.open_connection(parts.hostname, parts.port or 443)
        taken.append((time.perf_counter() - started) * 1000)
        writer.close()
        try:
            await writer.wait_closed()
        except OSError:
            continue
    return min(taken)


class Physician:
    """One reader with a session of their own at one node. ``note`` is told of every picture as it arrives."""

    def __init__(
        self,
        client: Client,
        visitor: Visitor,
        node_url: str,
        study_uids: Iterable[str],
        note: Callable[[Shown], None],
    ) -> None:
        self._client, self._visitor = client, visitor
        self._node, self._studies = node_url, tuple(study_uids)
        self._note = note
        self._renew_at = 0.0
        self._renewing = asyncio.Lock()

    async def open(self) -> None:
        """Show the token and the grants to the node, again where the session is about to end."""
        async with self._renewing:
            if time.monotonic() >= self._renew_at:
                lasts_s = await self._visitor.open_node(self._client, self._node, self._studies)
                self._renew_at = time.monotonic() + lasts_s * 0.5

    async def contents(self, study_uid: str) -> list[Series]:
        """The series of a study that can be shown."""
        await self.open()
        answer = await self._client.ask("GET", f"{self._node}/studies/{study_uid}/contents")
        return [one for one in answer.json()["series"] if one["renderable"]]

    async def loaded(self, study_uid: str, series_uid: str) -> tuple[int, int]:
        """Slices of a series in memory, and all."""
        await self.open()
        path = f"/studies/{study_uid}/series/{series_uid}/loading"
        state = (await self._client.ask("GET", self._node + path)).json()
        return state["slices_loaded"], state["slices_total"]

    async def slice(self, study_uid: str, series: Series, place: int, **params: str) -> Shown:
        """A frame by its place in reading order, lossless unless ``params`` say otherwise."""
        return await self.picture(
            "slice", slice_path(study_uid, series, place), {"accept": "image/png"} | params
        )

    async def volume(self, study_uid: str, series: Series, angle_deg: float, **params: str) -> Shown:
        """The volume seen from an angle around the patient's long axis, 0 from the front."""
        path = f"/studies/{study_uid}/series/{series['series_uid']}/rendered3d"
        wanted = {"accept": "image/jpeg", "viewport": "512,512"} | orbit(series, angle_deg) | params
        return await self.picture("volume", path, wanted)

    async def plane(self, study_uid: str, series: Series, part: float, **params: str) -> Shown:
        """A coronal plane through the volume, ``part`` 0..1 of the way from front to back."""
        path = f"/studies/{study_uid}/series/{series['series_uid']}/renderedmpr"
        wanted = {"accept": "image/png", "viewport": "512,512"} | coronal(series, part) | params
        return await self.picture("plane", path, wanted)

    async def picture(
        self, what: str, path: str, params: Mapping[str, str], due: float | None = None
    ) -> Shown:
        """Ask for one picture and note it or its error; ``due`` (perf_counter) is when it was wanted."""
        due = time.perf_counter() if due is None else due
        shown = await self._ask(what, path, params, due)
        self._note(shown)
        return shown

    async def scroll(
        self,
        study_uid: str,
        series: Series,
        *,
        per_s: float,
        seconds: float,
        start: int = 0,
        **params: str,
    ) -> None:
        """Read a stack up and down, ``per_s`` slices a second, whatever the server can do."""
        count = len(series["frames"])
        wanted = {"accept": "image/png"} | params
        begun = time.perf_counter()
        running: set[asyncio.Task[Shown]] = set()
        async with asyncio.TaskGroup() as group:
            for number in range(max(1, round(per_s * seconds))):
                due = begun + number / per_s
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                running = {one for one in running if not one.done()}
                if len(running) >= AT_ONCE:
                    self._note(Shown(what="slice", whole_ms=0.0, skipped=True))
                    continue
                path = slice_path(study_uid, series, to_and_fro(start + number, count))
                running.add(group.create_task(self.picture("slice", path, wanted, due)))

    async def turn(
        self,
        study_uid: str,
        series: Series,
        *,
        per_s: float,
        seconds: float,
        step_deg: float = 6.0,
        **params: str,
    ) -> None:
        """Turn a volume in drafts, at most ``per_s`` a second: the next when the last one has arrived."""
        wanted = {"draft": "yes", "view": "turn", "quality": "80"} | params
        until = time.perf_counter() + seconds
        angle = 0.0
        while (begun := time.perf_counter()) < until:
            await self.volume(study_uid, series, angle, **wanted)
            angle = (angle + step_deg) % 360
            await asyncio.sleep(max(0.0, begun + 1 / per_s - time.perf_counter()))

    async def _ask(self, what: str, path: str, params: Mapping[str, str], due: float) -> Shown:
        try:
            await self.open()
            try:
                answer = await self._client.ask("GET", self._node + path, params=params)
            except Unauthenticated:
                self._renew_at = 0.0
                await self.open()
                answer = await self._client.ask("GET", self._node + path, params=params)
        except SivrError as error:
            waited = (time.perf_counter() - due) * 1000
            replaced = isinstance(error, Conflict) and "view" in params
            return Shown(
                what=what,
                whole_ms=waited,
                asked_at=due,
                failure="" if replaced else error.message,
                skipped=replaced,
            )
        return Shown(
            what=what,
            whole_ms=(time.perf_counter() - due) * 1000,
            asked_at=due,
            first_byte_ms=answer.first_byte_ms,
            connecting_ms=answer.connecting_ms,
            body_ms=answer.whole_ms - answer.first_byte_ms,
            parts=server_timing(answer.headers.get("Server-Timing", "")),
            size_bytes=len(answer.body),
            quality=answer.headers.get("Sivr-Quality", ""),
            complete=answer.headers.get("Sivr-Complete", "yes") == "yes",
        )


@asynccontextmanager
async def open_physician(
    visitor: Visitor,
    node_url: str,
    study_uids: Iterable[str],
    note: Callable[[Shown], None],
    ca: Path | None = None,
) -> AsyncIterator[Physician]:
    """A reader with connections and a cookie of their own; ``visitor`` is logged in and may view the studies.

    Several may share one visitor: then the installation sees one user with several browsers.
    """
    async with open_client(ca) as client:
        found = Physician(client, visitor, node_url, study_uids, note)
        await found.open()
        yield found


def slice_path(study_uid: str, series: Series, place: int) -> str:
    """The address of a rendered frame below the node's, by its place in reading order."""
    frame = series["frames"][place]
    return (
        f"/studies/{study_uid}/series/{series['series_uid']}/instances/{frame['instance_uid']}"
        f"/frames/{frame['frame']}/rendered"
    )


def to_and_fro(number: int, count: int) -> int:
    """The place of step ``number`` when a stack of ``count`` is read down and up again and again."""
    if count < 2:
        return 0
    place = number % (2 * count - 2)
    return place if place < count else 2 * count - 2 - place


def orbit(series: Series, angle_deg: float) -> dict[str, str]:
    """The camera parameters (PS3.18 8.3.5.3) that look at a volume from an angle around the long axis."""
    x, y, z = series["volume"]["center"]
    distance = math.hypot(*series["volume"]["extent_mm"])
    angle = math.radians(angle_deg)
    position = (x + distance * math.sin(angle), y - distance * math.cos(angle), z)
    return {
        "viewpointposition": _triple(position),
        "viewpointlookat": _triple((x, y, z)),
        "viewpointup": "0,0,1",
    }


def coronal(series: Series, part: float) -> dict[str, str]:
    """The camera parameters of a coronal plane, ``part`` 0..1 of the way from front to back."""
    x, y, z = series["volume"]["center"]
    deep = series["volume"]["extent_mm"][1]
    at = y + (part - 0.5) * deep
    return {
        "viewpointposition": _triple((x, at - 2 * deep, z)),
        "viewpointlookat": _triple((x, at, z)),
        "viewpointup": "0,0,1",
    }


def _triple(values: tuple[float, float, float]) -> str:
    return ",".join(f"{one:.3f}" for one in values)
