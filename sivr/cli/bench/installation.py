"""``sivr bench URL``: how fast an installation is for those who read there, and where the time goes."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

from sivr.cli.bench import report
from sivr.cli.bench.crowd import Crowd, Measured, Trips, measured
from sivr.cli.bench.physician import SPLIT, Physician, Shown, round_trip_ms
from sivr.cli.bench.visit import Opened
from sivr.errors import Unavailable

PER_S = 5.0
"""Slices a second that a physician scrolls through."""
SLICES, DRAFTS, WHOLE = 30, 12, 4
"""Pictures of each kind."""


async def line_of(node_url: str) -> float:
    """The round trip to a node in ms; raises Unavailable."""
    try:
        return await round_trip_ms(node_url)
    except OSError as error:
        raise Unavailable(f"{node_url} does not answer.") from error


async def measure(
    place: Opened, ca: Path | None, clients: int, seconds: float, quick: bool, say: Callable[[str], None]
) -> dict[str, Any]:
    """Measure it and say it; the result as JSON takes it. Nothing but GETs once sessions are open."""
    trip = await line_of(place.node_url)
    trips = Trips(trip)
    found: list[Measured] = []
    study, series = place.study_uid, place.series
    frames = len(series["frames"])
    async with Crowd(place, ca) as crowd:
        (reader,) = await crowd.people(1)
        before, total = await reader.loaded(study, series["series_uid"])
        state = "cold" if before == 0 else f"{before} of {total} slices in memory already"
        first = await reader.slice(study, series, frames // 2)
        found.append(measured(f"first slice ({state})", [first], trips))
        if series["volume"] is not None:
            started = time.perf_counter()
            whole = await reader.volume(study, series, 0.0)
            found.append(measured("first volume, whole series loaded", [whole], trips))
            say(f"loaded {total} slices in {time.perf_counter() - started:.1f} s")
        for name, work in _works(reader, place, frames):
            found.append(measured(name, [await work(number) for number in range(_count(name, quick))], trips))
        counts = sorted({1, *(2**n for n in range(1, clients.bit_length()) if 2**n < clients), clients})
        for count in counts:
            name = f"{count} scrolling at {PER_S:g}/s"
            found.append(await crowd.scroll(name, count, per_s=PER_S, seconds=seconds))
    _show(found, trip, say)
    return {
        "round_trip_ms": trip,
        "modality": series["modality"],
        "frames": frames,
        "rows": series["rows"],
        "columns": series["columns"],
        "steps": msgspec.to_builtins(found),
    }


def _count(name: str, quick: bool) -> int:
    count = SLICES if name.startswith("slice") else DRAFTS if "draft" in name else WHOLE
    return max(2, count // 4) if quick else count


def _works(
    reader: Physician, place: Opened, frames: int
) -> list[tuple[str, Callable[[int], Awaitable[Shown]]]]:
    study, series = place.study_uid, place.series
    found: list[tuple[str, Callable[[int], Awaitable[Shown]]]] = [
        ("slice, PNG", lambda n: reader.slice(study, series, n % frames)),
        (
            "slice, JPEG",
            lambda n: reader.slice(study, series, n % frames, accept="image/jpeg", quality="90"),
        ),
    ]
    if series["volume"] is not None:
        mip = {"renderingmethod": "maximum_ip"}
        found += [
            ("volume, draft", lambda n: reader.volume(study, series, n * 7.0, draft="yes", quality="80")),
            ("volume, finished", lambda n: reader.volume(study, series, 3.0 + n * 31.0)),
            ("maximum projection", lambda n: reader.volume(study, series, 5.0 + n * 31.0, **mip)),
            ("coronal plane, 10 mm", lambda n: reader.plane(study, series, 0.3 + n / 10, mprslab="10")),
        ]
    return found


def _show(found: list[Measured], trip: float, say: Callable[[str], None]) -> None:
    rows = [
        [
            one.name,
            str(one.count),
            report.milliseconds(one.median_ms),
            report.milliseconds(one.p95_ms),
            f"{one.size_bytes / 1000:.1f}",
            *(report.milliseconds(one.parts_ms[part]) for part in SPLIT),
        ]
        for one in found
    ]
    say(report.table(["ms", "n", "median", "p95", "kB", *SPLIT], rows))
    say("")
    say(f"Parts are means. network: a round trip of {trip:.1f} ms and the body; rest: what the server does")
    say("not explain (TLS, HTTP, waiting for its event loop); client: how late this machine itself asked.")
    for one in found:
        for sentence, count in one.failures.items():
            say(f"{one.name}: {count} failed: {sentence}")
        if one.skipped:
            say(f"{one.name}: {one.skipped} pictures were not asked for, earlier ones being under way.")
