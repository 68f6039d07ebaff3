"""``sivr bench --where``: more and more physicians until one would notice, and what they then wait for."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

from sivr.cli.bench import report
from sivr.cli.bench.crowd import Crowd, Measured
from sivr.cli.bench.installation import PER_S, line_of
from sivr.cli.bench.physician import SPLIT
from sivr.cli.bench.visit import Opened
from sivr.errors import Unavailable

LIMIT_MS = 150.0
"""What a slice may take for 95 of 100: beyond it scrolling feels slow."""
GROWTH = 1.4
"""How many times as many come in at each step."""

_MEANING = {
    "queue": ("waiting for a free picture thread or render worker", "more cores, or a second node,"),
    "load": ("loading slices into memory", "quicker disks or more memory_mb"),
    "decode": ("decompressing stored slices", "more cores, or more memory_mb,"),
    "render": ("drawing", "more or faster cores, or a second node,"),
    "encode": ("encoding pictures", "more or faster cores, or a second node,"),
    "network": ("the line between here and the node", "a faster line, or smaller pictures,"),
    "rest": (
        "waiting for the node's process outside the drawing (TLS, HTTP, its event loop)",
        "a second node, or faster cores,",
    ),
    "client": ("this machine, which could not ask quickly enough", "measuring from another machine"),
}


class Growth(msgspec.Struct, frozen=True, kw_only=True):
    """What became slower between two steps."""

    part: str
    """The part of ``SPLIT`` that grew most."""
    share: float
    """Of all that grew, 0..1."""
    by_ms: dict[str, float]


def growth(first: Measured, last: Measured) -> Growth:
    """Compare what the slowest pictures took."""
    by_ms = {name: last.tail_ms[name] - first.tail_ms[name] for name in SPLIT}
    grown = {name: max(0.0, by) for name, by in by_ms.items()}
    part = max(grown, key=lambda name: grown[name])
    total = sum(grown.values())
    return Growth(part=part, share=grown[part] / total if total else 0.0, by_ms=by_ms)


def sentence(users: int, last: Measured, found: Growth, limit_ms: float, why_ended: str) -> str:
    """What to make of it, in one sentence with figures."""
    where, helps = _MEANING[found.part]
    if last.p95_ms > limit_ms or last.failures:
        told = (
            f"At {users} physicians p95 is {last.p95_ms:.0f} ms"
            if last.count
            else f"At {users} physicians no picture arrives"
        )
        if last.failures:
            told += f" and {sum(last.failures.values())} of {last.count + sum(last.failures.values())} fail"
        if not found.share:
            return f"{told}; it was as slow with one, and the time goes to {_most(last)}."
        return f"{told}; {found.share:.0%} of the growth is {where}: {helps} would help most."
    return (
        f"Up to {users} physicians p95 stays at {last.p95_ms:.0f} ms, below {limit_ms:.0f} ms ({why_ended}); "
        + (
            f"{found.share:.0%} of what grew is {where}."
            if found.share
            else "nothing grew."
        )
    )  # fmt: skip


def _most(last: Measured) -> str:
    return _MEANING[max(SPLIT, key=lambda name: last.tail_ms[name])][0]


async def measure(
    place: Opened,
    ca: Path | None,
    *,
    max_users: int,
    seconds: float,
    total_s: float,
    limit_ms: float,
    say: Callable[[str], None],
    node_url: str = "",
    trip: Callable[[], Awaitable[float]] | None = None,
) -> dict[str, Any]:
    """Let physicians come in until p95 of a slice passes the limit; the result as JSON takes it.

    ``seconds`` a step, ``total_s`` altogether. Nothing but GETs once sessions are open. The node may
    be reached another way (``node_url``, whose line ``trip`` measures, see ``Crowd``).
    """
    node = node_url or place.node_url
    await line_of(node)
    until = time.monotonic() + total_s
    steps: list[tuple[int, Measured]] = []
    users, why_ended = 1, f"--max-users {max_users}"
    async with Crowd(place, ca, node, trip) as crowd:
        # What is slow only once belongs to no step.
        await crowd.scroll("", 1, per_s=PER_S, seconds=1.0)
        while True:
            name = f"{users} scrolling"
            step = await crowd.scroll(name, users, per_s=PER_S, seconds=seconds)
            if step.p95_ms > limit_ms:
                # Other work of a moment is no lack of room: what is really too much, is so a second time.
                again = await crowd.scroll(name, users, per_s=PER_S, seconds=seconds)
                step = min(step, again, key=lambda one: one.p95_ms)
            steps.append((users, step))
            say(
                f"{users:4} physicians: p95 {report.milliseconds(step.p95_ms):>6} ms, "
                f"median {report.milliseconds(step.median_ms):>6} ms, {step.count} pictures"
                + (f", {step.skipped} skipped" if step.skipped else "")
                + (f", {sum(step.failures.values())} failed" if step.failures else "")
            )
            if step.p95_ms > limit_ms or step.failures or not step.count or users >= max_users:
                break
            if time.monotonic() + seconds > until:
                why_ended = f"--total-seconds {total_s:.0f}"
                break
            users = min(max_users, max(users + 1, round(users * GROWTH)))
    if not steps[0][1].count:
        raise Unavailable("Not one picture arrived: " + "; ".join(steps[0][1].failures))
    last = steps[-1][1]
    found = growth(steps[0][1], last)
    rows = [
        [part, *(report.milliseconds(one.tail_ms[part]) for one in (steps[0][1], last)),
         f"{found.by_ms[part]:+.1f}"]
        for part in SPLIT
    ]  # fmt: skip
    say("")
    say(report.table(["slowest quarter, ms", "1 physician", f"{users} physicians", "growth"], rows))
    said = sentence(users, last, found, limit_ms, why_ended)
    say("")
    say(said)
    return {
        "limit_ms": limit_ms,
        "users": users,
        "part": found.part,
        "share": found.share,
        "sentence": said,
        "steps": [{"users": count} | msgspec.to_builtins(step) for count, step in steps],
    }
