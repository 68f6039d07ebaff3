"""Physicians at work on one node: slices at a steady pace for many, volumes that turn for some.

    python benchmarks/load.py [--readers 20] [--rotators 2] [--seconds 30] [--slices 60] [--memory-mb N]
        [--json FILE]

The whole HTTPS stack with log-ins, grants and cookies; each reader has a series of their own (512 x 512 CT).
Half of the readers have a quick line (exact pictures, neighbors fetched ahead), half a slow one (JPEG while
moving, PNG at rest). The clients share the machine with the node; what they take is printed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import msgspec
from installation import Installation, Stored, heads, reader, store, view
from measure import Row, machine, save, show
from processes import cpu_s, machine_busy_s, pss_bytes, tree
from reading import Answered, Log, Rotator, Scroller, percentile

from sivr.peers import Client
from tests.flows.people import Person

TARGET_P95_MS = 150.0
STARVED_GAP_S = 2.0
SLICES = ("slice_png", "slice_jpeg", "ahead_png", "ahead_jpeg")
MEMORY_EVERY_S = 3.0


class Browser:
    """What a reader's page has to ask with: cookies, and no token any more."""

    def __init__(self, client: Client, stored: Stored) -> None:
        self._client = client
        self.node = stored.node
        self.series = f"/studies/{stored.study_uid}/series/{stored.series['series_uid']}"
        self.frames = [
            f"{self.series}/instances/{one['instance_uid']}/frames/{one['frame']}/rendered"
            for one in stored.series["frames"]
        ]
        volume = stored.series.get("volume")
        self.center = tuple(volume["center"]) if volume else (0.0, 0.0, 0.0)

    async def ask(self, url: str) -> bytes:
        """The body of an answer; raises a SivrError."""
        return (await self._client.ask("GET", self.node + url)).body


class Share(msgspec.Struct, frozen=True):
    """Latency of a kind of request, ms."""

    count: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    worst_ms: float
    kilobytes: float
    """Mean of a body."""


class Report(msgspec.Struct, frozen=True):
    """What a run showed."""

    readers: int
    rotators: int
    seconds: float
    kinds: dict[str, Share]
    slices: Share
    slices_per_s: float
    perceived_p95_ms: float
    """From a reader's step to its slice on the screen; fetched ahead means at once."""
    worst_user_p95_ms: float
    longest_gap_s: float
    """The longest that any scrolling reader saw nothing new."""
    users_served: int
    volume_frames_per_s: tuple[float, ...]
    problems: dict[str, int]
    skipped: int
    node_pss_mb: float
    """The most that was seen."""
    node_pss_before_mb: float
    budget_mb: int
    node_cpu: float
    """Cores, of all processes of the node."""
    client_cpu: float
    others_cpu: float
    """Cores that everything else on this machine took."""

    @property
    def failures(self) -> int:
        """Requests that failed; those that a newer one took the place of did not."""
        return sum(
            count for problem, count in self.problems.items() if problem not in ("superseded", "canceled")
        )

    @property
    def starved(self) -> bool:
        """Whether somebody waited much longer than the others, or saw nothing for long."""
        unfair = self.worst_user_p95_ms > max(TARGET_P95_MS, 3 * self.slices.p95_ms)
        return unfair or self.longest_gap_s > STARVED_GAP_S or self.users_served < self.readers


def share(answered: list[Answered]) -> Share:
    """Latencies of those that were answered with a picture."""
    good = [one for one in answered if not one.problem]
    spent = [one.spent_s * 1000 for one in good]
    return Share(
        count=len(good),
        p50_ms=percentile(spent, 50),
        p95_ms=percentile(spent, 95),
        p99_ms=percentile(spent, 99),
        worst_ms=max(spent, default=0.0),
        kilobytes=sum(one.size_bytes for one in good) / max(1, len(good)) / 1000,
    )


class Meter:
    """Memory and CPU of a node while something runs; an async context manager."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.most_bytes = 0
        self.cores = (0.0, 0.0, 0.0)
        """Node, this process, and everything else, in cores."""

    async def __aenter__(self) -> Meter:
        self._started = self._now()
        self._watching = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._watching.cancel()
        await asyncio.gather(self._watching, return_exceptions=True)
        wall, node, own, busy = (now - then for now, then in zip(self._now(), self._started, strict=True))
        self.cores = node / wall, own / wall, max(0.0, busy - node - own) / wall
        self.most_bytes = max(self.most_bytes, pss_bytes(tree(self._pid)))

    def _now(self) -> tuple[float, float, float, float]:
        return time.perf_counter(), cpu_s(tree(self._pid)), time.process_time(), machine_busy_s()

    async def _watch(self) -> None:
        while True:
            self.most_bytes = max(self.most_bytes, await asyncio.to_thread(pss_bytes, tree(self._pid)))
            await asyncio.sleep(MEMORY_EVERY_S)


@asynccontextmanager
async def opened(
    system: Installation,
    studies: list[list[Path]],
    node_id: str = "node-1",
    people: Sequence[int] | None = None,
) -> AsyncIterator[list[Browser]]:
    """Somebody for each study: logged in, the study stored and opened, the browser on its page.

    ``people`` are the physicians' numbers, from 0 on where they are not told.
    """
    async with AsyncExitStack() as stack:
        numbers = people if people is not None else range(len(studies))
        readers = [await stack.enter_async_context(reader(system, n)) for n in numbers]
        turns = asyncio.Semaphore(4)

        async def prepared(person: Person, files: list[Path]) -> Browser:
            async with turns:
                uid = await store(person, files, node_id)
                return Browser(person.visitor._client, await view(person, uid))

        yield list(await asyncio.gather(*map(prepared, readers, studies)))


async def work(
    log: Log, browsers: Sequence[Browser], *, readers: int, seconds: float, per_s: float = 5.0
) -> float:
    """The first ``readers`` scroll, the others turn their volumes; how long it took, in seconds."""
    started = time.perf_counter()
    until = started + seconds
    works = [
        # Hands do not move in step.
        _late(n / readers / per_s, Scroller(log, one, n, one.frames, slow_line=n % 2 == 1).run(until, per_s))
        for n, one in enumerate(browsers[:readers])
    ]
    works += [
        Rotator(log, one, n, one.series, one.center).run(until)
        for n, one in enumerate(browsers[readers:], readers)
    ]
    await asyncio.gather(*works)
    return time.perf_counter() - started


async def run(
    system: Installation, studies: list[list[Path]], *, readers: int, seconds: float, warm_s: float
) -> Report:
    """Store the studies, open them, load the node; what was seen after the warm-up."""
    pid = system.process_id("render")
    before = pss_bytes(tree(pid))
    async with opened(system, studies) as browsers:
        await work(Log(), browsers, readers=readers, seconds=warm_s)
        log = Log()
        async with Meter(pid) as meter:
            took = await work(log, browsers, readers=readers, seconds=seconds)
    rotators = len(studies) - readers
    memory_mb = (before / 1e6, meter.most_bytes / 1e6)
    return summary(log, readers, rotators, took, system.memory_mb, memory_mb, meter.cores)


async def _late(by_s: float, work: Any) -> None:
    await asyncio.sleep(by_s)
    await work


def summary(
    log: Log,
    readers: int,
    rotators: int,
    took: float,
    budget_mb: int,
    memory_mb: tuple[float, float],
    cores: tuple[float, float, float],
) -> Report:
    slices = [one for one in log.answered if one.kind in SLICES]
    own = [share([one for one in slices if one.user == n]) for n in range(readers)]
    gaps = [
        after - earlier
        for n in range(readers)
        for earlier, after in zip(log.shown.get(n, []), log.shown.get(n, [])[1:], strict=False)
    ]
    drafts = Counter(one.user for one in log.answered if one.kind == "draft" and not one.problem)
    return Report(
        readers=readers,
        rotators=rotators,
        seconds=took,
        kinds={
            kind: share([one for one in log.answered if one.kind == kind])
            for kind in sorted({one.kind for one in log.answered})
        },
        slices=share(slices),
        slices_per_s=sum(not one.problem for one in slices) / took,
        perceived_p95_ms=percentile([one for n in range(readers) for one in log.perceived.get(n, [])], 95)
        * 1000,
        worst_user_p95_ms=max((one.p95_ms for one in own), default=0.0),
        longest_gap_s=max(gaps, default=0.0),
        users_served=sum(one.count > 0 for one in own),
        volume_frames_per_s=tuple(round(drafts[n] / took, 1) for n in range(readers, readers + rotators)),
        problems=dict(Counter(one.problem for one in log.answered if one.problem)),
        skipped=log.skipped,
        node_pss_mb=memory_mb[1],
        node_pss_before_mb=memory_mb[0],
        budget_mb=budget_mb,
        node_cpu=cores[0],
        client_cpu=cores[1],
        others_cpu=cores[2],
    )


def table(report: Report) -> str:
    """The report as Markdown."""
    lines = [
        "| requests | answered | p50 ms | p95 ms | p99 ms | worst ms | kB |",
        "|---|---|---|---|---|---|---|",
    ]
    for kind, one in {**report.kinds, "all slices": report.slices}.items():
        lines.append(
            f"| {kind} | {one.count} | {one.p50_ms:.1f} | {one.p95_ms:.1f} | {one.p99_ms:.1f} | "
            f"{one.worst_ms:.0f} | {one.kilobytes:.0f} |"
        )
    reached = report.slices.p95_ms <= TARGET_P95_MS
    within = report.node_pss_mb * 1e6 <= report.budget_mb * 1024 * 1024
    lines += [
        "",
        f"- {report.readers} readers, {report.rotators} volumes turning, {report.seconds:.0f} s: "
        f"{report.slices_per_s:.0f} slices/s, volumes {report.volume_frames_per_s} drafts/s",
        f"- slice p95 {report.slices.p95_ms:.0f} ms (target {TARGET_P95_MS:.0f}): "
        f"{'reached' if reached else 'NOT reached'}; step to screen p95 {report.perceived_p95_ms:.0f} ms",
        f"- starvation: worst reader's p95 {report.worst_user_p95_ms:.0f} ms, longest gap "
        f"{report.longest_gap_s:.2f} s, served {report.users_served} of {report.readers}: "
        f"{'YES' if report.starved else 'none'}",
        f"- failures {report.failures}; {report.problems or 'no problems'}; "
        f"wishes overtaken by newer ones {report.skipped}",
        f"- node's memory (PSS) {report.node_pss_before_mb:.0f} MB at start, at most "
        f"{report.node_pss_mb:.0f} MB; the file allows {report.budget_mb} MiB: "
        f"{'within' if within else 'BEYOND'}",
        f"- cores: node {report.node_cpu:.2f}, clients {report.client_cpu:.2f}, "
        f"others {report.others_cpu:.2f} of {os.cpu_count()}",
    ]
    return "\n".join(lines)


def rows(report: Report) -> list[Row]:
    """The targets as lines of the common table."""
    who = f"{report.readers} scrolling, {report.rotators} volumes turning"
    budget_mb = report.budget_mb * 1.048576
    return [
        Row(
            f"{who}: p95 of a slice",
            f"{report.slices.p95_ms:.0f} ms",
            f"limit {TARGET_P95_MS:.0f} ms",
            TARGET_P95_MS / max(report.slices.p95_ms, 1e-3),
            1.0,
            f"p50 {report.slices.p50_ms:.0f}, p99 {report.slices.p99_ms:.0f} ms; "
            f"others {report.others_cpu:.1f} cores",
        ),
        Row(
            f"{who}: longest time without a new slice",
            f"{report.longest_gap_s:.1f} s",
            f"limit {STARVED_GAP_S:.0f} s",
            STARVED_GAP_S / max(report.longest_gap_s, 1e-3),
            1.0,
            f"worst reader's p95 {report.worst_user_p95_ms:.0f} ms; {report.failures} failures",
        ),
        Row(
            f"{who}: memory of the node",
            f"{report.node_pss_mb:.0f} MB",
            f"the file's {budget_mb:.0f} MB",
            budget_mb / max(report.node_pss_mb, 1e-3),
            1.0,
        ),
    ]


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--readers", type=int, default=20)
    parser.add_argument("--rotators", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--warm", type=float, default=8.0)
    parser.add_argument("--slices", type=int, default=60)
    parser.add_argument("--memory-mb", type=int)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--rounds", type=int, help="for the suite; one run is one round")
    given = parser.parse_args()
    print(machine(), f"load {os.getloadavg()[0]:.1f}", sep="; ")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        studies = heads(folder / "files", given.readers + given.rotators, given.slices)
        render = {"memory_mb": given.memory_mb} if given.memory_mb else None
        people = given.readers + given.rotators
        with Installation(folder / "system", people=people, render=render) as system:
            report = asyncio.run(
                run(system, studies, readers=given.readers, seconds=given.seconds, warm_s=given.warm)
            )
    print(table(report))
    found = rows(report)
    print("\n" + show(found))
    if given.json:
        save(given.json, found)
        body = json.loads(given.json.read_text()) | {"report": msgspec.to_builtins(report)}
        given.json.write_text(json.dumps(body, indent=1) + "\n")


if __name__ == "__main__":
    main()
