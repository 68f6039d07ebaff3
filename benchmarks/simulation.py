"""What users will wait for, by simulation: recorded behavior, N nodes, measured costs.

    python benchmarks/simulation.py [--nodes 1,2,4] [--cores 2] [--users 1,2,4,8] [--json FILE] [--plot FILE]

Discrete events. A node has one thread that serves, threads that make pictures and workers that draw volumes;
each of them takes its jobs in order, and those that are busy share the node's cores by their weights, as an
operating system shares them. Users repeat a recorded session (traces/reading.json), each from another place
of it; of one view two requests are under way at most and the newest waits, as in the page.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import json
import random
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import msgspec
from reading import percentile

from sivr.cli.bench import costs as measured
from sivr.cli.bench.costs import Costs
from sivr.cli.bench.plot import Panel, bars

TRACE = Path(__file__).resolve().parent / "traces" / "reading.json"
VOLUME_KINDS = ("draft", "full", "mip", "plane", "plane_draft", "mip_draft")
PATIENCE_S = 0.5
"""After that an older request of a view is given up for a newer one (0.4 s slices, 0.6 s volumes)."""


class Pool(msgspec.Struct, frozen=True):
    """Servers of a node that take jobs in order of arrival."""

    servers: int
    weight: float = 1.0
    """Of each against the others where cores are few: CPU shares, as niceness gives them."""
    width: float = 1.0
    """Cores that one job can use at once."""


class Stage(msgspec.Struct, frozen=True):
    """A piece of work for a pool."""

    pool: str
    cpu_s: float


class _Job:
    def __init__(self, stages: Sequence[Stage], done: Callable[[], None]) -> None:
        self.stages = deque(stages)
        self.done = done
        self.left_s = 0.0
        self.canceled = False


class Clock:
    """Events in order of time."""

    def __init__(self) -> None:
        self.now = 0.0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()

    def at(self, time_s: float, event: Callable[[], None]) -> None:
        """Call ``event`` then."""
        heapq.heappush(self._events, (max(time_s, self.now), next(self._numbers), event))

    def run(self, until_s: float = float("inf")) -> None:
        """Until then, or until nothing is left to happen."""
        while self._events and self._events[0][0] <= until_s:
            self.now, _, event = heapq.heappop(self._events)
            event()


class Node:
    """A machine with ``cores``, shared by whoever is busy."""

    def __init__(self, clock: Clock, cores: float, pools: Mapping[str, Pool]) -> None:
        self._clock, self._cores, self._pools = clock, cores, pools
        self._waiting: dict[str, deque[_Job]] = {name: deque() for name in pools}
        self._running: dict[str, list[_Job]] = {name: [] for name in pools}
        self._since = 0.0
        self._version = 0
        self.busy_s = 0.0
        """CPU time spent so far."""

    def submit(self, stages: Sequence[Stage], done: Callable[[], None]) -> _Job:
        """Do the stages one after the other, then call ``done``."""
        job = _Job([one for one in stages if one.cpu_s > 0], done)
        self._advance()
        self._next_stage(job)
        self._plan()
        return job

    def cancel(self, job: _Job) -> None:
        """Nobody waits for it any more: what has not begun does not begin; what runs is left at once."""
        self._advance()
        job.canceled = True
        for name in self._pools:
            if job in self._waiting[name]:
                self._waiting[name].remove(job)
            if job in self._running[name]:
                self._running[name].remove(job)
                self._fill(name)
        self._plan()

    def _next_stage(self, job: _Job) -> None:
        if not job.stages:
            self._clock.at(self._clock.now, job.done)
            return
        stage = job.stages[0]
        job.left_s = stage.cpu_s
        self._waiting[stage.pool].append(job)
        self._fill(stage.pool)

    def _fill(self, name: str) -> None:
        waiting, running = self._waiting[name], self._running[name]
        while waiting and len(running) < self._pools[name].servers:
            running.append(waiting.popleft())

    def _rates(self) -> dict[str, float]:
        """Cores that each running job of a pool has now: shares by weight, none more than it can use."""
        open_pools = [name for name, jobs in self._running.items() if jobs]
        rates: dict[str, float] = {}
        cores = self._cores
        while open_pools:
            total = sum(
                self._pools[one].weight * self._pools[one].width * len(self._running[one])
                for one in open_pools
            )
            full = [one for one in open_pools if cores * self._pools[one].weight >= total - 1e-12]
            if not full:
                for one in open_pools:
                    rates[one] = cores * self._pools[one].weight * self._pools[one].width / total
                break
            for one in full:
                rates[one] = self._pools[one].width
                cores -= rates[one] * len(self._running[one])
                open_pools.remove(one)
        return rates

    def _advance(self) -> None:
        spent = self._clock.now - self._since
        self._since = self._clock.now
        if spent <= 0:
            return
        for name, rate in self._rates().items():
            for job in self._running[name]:
                job.left_s -= rate * spent
                self.busy_s += rate * spent

    def _plan(self) -> None:
        """The next job to end is an event; earlier plans are void."""
        self._version += 1
        version = self._version
        first = min(
            (job.left_s / rate for name, rate in self._rates().items() for job in self._running[name]),
            default=None,
        )
        if first is not None:
            self._clock.at(self._clock.now + max(0.0, first), lambda: self._end(version))

    def _end(self, version: int) -> None:
        if version != self._version:
            return
        self._advance()
        for name in self._pools:
            for job in [one for one in self._running[name] if one.left_s <= 1e-9]:
                self._running[name].remove(job)
                job.stages.popleft()
                self._next_stage(job)
                self._fill(name)
        self._plan()


class Wish(msgspec.Struct, frozen=True):
    """Something a page asked for."""

    at_ms: float
    kind: str
    view: str
    """Which of its views; those ahead of a reader have views of their own."""


class Trace(msgspec.Struct, frozen=True):
    """A recorded session of the reading page. No patient's data: kinds and times only."""

    what: str
    seconds: float
    wishes: tuple[Wish, ...]

    def per_s(self) -> dict[str, float]:
        """Mean requests a second by kind."""
        found: dict[str, float] = {}
        for one in self.wishes:
            found[one.kind] = found.get(one.kind, 0.0) + 1 / self.seconds
        return found

    def from_place(self, offset_s: float, seconds: float) -> list[tuple[float, Wish]]:
        """Wishes of so many seconds, the session repeated and begun at another place of it."""
        found = []
        for turn in range(int((offset_s + seconds) / self.seconds) + 1):
            for one in self.wishes:
                at_s = turn * self.seconds + one.at_ms / 1000 - offset_s
                if 0 <= at_s < seconds:
                    found.append((at_s, one))
        return found


def read_trace(path: Path = TRACE) -> Trace:
    """The recorded session."""
    return msgspec.json.decode(path.read_bytes(), type=Trace)


class Prediction(msgspec.Struct, frozen=True):
    """What users of a simulated installation waited for."""

    users: int
    nodes: int
    wished: int
    answered: int
    overtaken: int
    """Never sent, because a newer wish of the same view came first."""
    given_up: int
    """Sent, and canceled for a newer one."""
    left: int
    """Still under way at the end."""
    busy_part: float
    """Of all cores."""
    p50_ms: dict[str, float]
    p95_ms: dict[str, float]


class _Channel:
    """Two requests of a view at most; the newest waits."""

    def __init__(self, send: Callable[[Wish, Callable[[], None]], Callable[[], None]], clock: Clock) -> None:
        self._send, self._clock = send, clock
        self._running: dict[int, tuple[float, Callable[[], None]]] = {}
        self._waiting: Wish | None = None
        self._numbers = itertools.count()
        self.overtaken = self.given_up = 0

    @property
    def left(self) -> int:
        """Under way or waiting."""
        return len(self._running) + (self._waiting is not None)

    def ask(self, wish: Wish) -> None:
        """Send it, or let it wait."""
        if len(self._running) < 2:
            self._start(wish)
            return
        if self._waiting is not None:
            self.overtaken += 1
        self._waiting = wish
        number, (since, cancel) = next(iter(self._running.items()))
        if self._clock.now - since > PATIENCE_S:
            cancel()
            self.given_up += 1
            self._ended(number)

    def _start(self, wish: Wish) -> None:
        number = next(self._numbers)
        self._running[number] = (self._clock.now, lambda: None)
        cancel = self._send(wish, lambda: self._ended(number))
        if number in self._running:
            self._running[number] = (self._clock.now, cancel)

    def _ended(self, number: int) -> None:
        if self._running.pop(number, None) is None:
            return
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            self._start(waiting)


def pools(cores: int, threads: int | None = None) -> dict[str, Pool]:
    """Of a node as it is by default on so many cores; ``threads`` make pictures, as many workers volumes."""
    threads = threads or cores
    return {
        "serving": Pool(1),
        "pictures": Pool(threads),
        # Niceness 10 is a weight of 110 against 1024 (Linux, kernel/sched/core.c sched_prio_to_weight).
        "volumes": Pool(min(threads, 4), weight=110 / 1024, width=cores),
    }


def stages(kind: str, costs: Costs, luck: random.Random) -> list[Stage]:
    """The work of one picture; around the measured mean, with the measured spread."""
    cost = costs.pictures[kind]
    shape = 1 / max(cost.spread, 1e-3) ** 2
    factor = luck.gammavariate(shape, 1 / shape)
    pool = "volumes" if kind in VOLUME_KINDS else "pictures"
    return [
        Stage("serving", cost.serving_ms / 2000 * factor),
        Stage(pool, cost.making_ms / 1000 * factor),
        Stage("serving", cost.serving_ms / 2000 * factor),
    ]


def predict(
    trace: Trace,
    costs: Costs,
    *,
    users: int,
    nodes: int,
    cores: int,
    seconds: float,
    threads: int | None = None,
    other_cores: float = 0.0,
    latency_s: float = 0.0,
    seed: int = 1,
) -> Prediction:
    """Replay the trace by ``users`` spread over ``nodes``; ``threads`` as in ``pools``.

    ``other_cores`` of each node's are busy with other things; ``latency_s`` is what a picture takes beside
    its CPU time.
    """
    luck = random.Random(seed)
    clock = Clock()
    free = max(0.05, cores - other_cores)
    machines = [Node(clock, free, pools(cores, threads)) for _ in range(nodes)]
    waits: dict[str, list[float]] = {}
    channels: list[_Channel] = []
    wished = 0

    def sender(machine: Node) -> Callable[[Wish, Callable[[], None]], Callable[[], None]]:
        def send(wish: Wish, ended: Callable[[], None]) -> Callable[[], None]:
            sent = clock.now

            def done() -> None:
                def arrived() -> None:
                    waits.setdefault(wish.kind, []).append(clock.now - sent)
                    ended()

                if not job.canceled:
                    clock.at(clock.now + latency_s, arrived)

            job = machine.submit(stages(wish.kind, costs, luck), done)

            def cancel() -> None:
                machine.cancel(job)

            return cancel

        return send

    for user in range(users):
        machine = machines[user % nodes]
        views: dict[str, _Channel] = {}
        for at_s, wish in trace.from_place(user * trace.seconds / users, seconds):
            channel = views.get(wish.view)
            if channel is None:
                channel = views[wish.view] = _Channel(sender(machine), clock)
                channels.append(channel)
            wished += 1
            clock.at(at_s, lambda channel=channel, wish=wish: channel.ask(wish))
    clock.run(seconds)
    left = sum(channel.left for channel in channels)
    busy = sum(machine.busy_s for machine in machines)
    return Prediction(
        users=users,
        nodes=nodes,
        wished=wished,
        answered=sum(map(len, waits.values())),
        overtaken=sum(channel.overtaken for channel in channels),
        given_up=sum(channel.given_up for channel in channels),
        left=left,
        busy_part=busy / seconds / nodes / cores,
        p50_ms=_percentiles(waits, 50),
        p95_ms=_percentiles(waits, 95),
    )


GROUPS = {"slice": "slices", "plane": "planes", "draft": "drafts", "mip_draft": "drafts"}
"""Kinds that are looked at together, by how they begin; what is not here is a volume at rest."""
NAMES = ("slices", "planes", "drafts", "whole volumes")


def group(kind: str) -> str:
    """Slices, planes, drafts of volumes, or volumes at rest."""
    return next((name for start, name in GROUPS.items() if kind.startswith(start)), "whole volumes")


def _percentiles(waits: Mapping[str, Sequence[float]], percent: float) -> dict[str, float]:
    groups: dict[str, list[float]] = {}
    for kind, values in waits.items():
        groups.setdefault(group(kind), []).extend(values)
    return {name: percentile(groups[name], percent) * 1000 for name in NAMES if name in groups}


def table(found: Sequence[Prediction]) -> str:
    """As Markdown."""
    names = [name for name in NAMES if any(name in one.p95_ms for one in found)]
    lines = [
        "| users | nodes | busy | " + " | ".join(f"{name} p50 / p95 ms" for name in names) + " | overtaken |",
        "|---|---|---|" + "---|" * (len(names) + 1),
    ]
    for one in found:
        cells = " | ".join(f"{one.p50_ms.get(name, 0):.0f} / {one.p95_ms.get(name, 0):.0f}" for name in names)
        skipped = (one.overtaken + one.given_up) / max(1, one.wished)
        lines.append(f"| {one.users} | {one.nodes} | {one.busy_part:.0%} | {cells} | {skipped:.0%} |")
    return "\n".join(lines)


def plot(title: str, found: Mapping[str, Sequence[Prediction]]) -> str:
    """p95 by number of users, a bar for each name; SVG."""
    some = next(iter(found.values()))
    panels = [
        Panel(
            title=f"{name}, p95",
            labels=tuple(str(one.users) for one in some),
            values=tuple(tuple(one.p95_ms.get(name) for one in runs) for runs in found.values()),
            unit="ms",
            log=True,
        )
        for name in NAMES
    ]
    return bars(title, tuple(found), panels, 2)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--nodes", default="1,2,4", help="numbers of nodes")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--users", default="1,2,4,8,12,16,24,32")
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--costs", type=Path, default=measured.MEASURED)
    parser.add_argument("--trace", type=Path, default=TRACE)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path, help="an SVG file")
    given = parser.parse_args()
    trace, costs = read_trace(given.trace), measured.load(given.costs)
    found = {
        f"{nodes} node{'s' if nodes != '1' else ''}": [
            predict(trace, costs, users=int(n), nodes=int(nodes), cores=given.cores, seconds=given.seconds)
            for n in given.users.split(",")
        ]
        for nodes in given.nodes.split(",")
    }
    everything = [one for runs in found.values() for one in runs]
    print(f"costs of {costs.date}, {costs.machine}; trace: {trace.what}, {trace.seconds:.0f} s\n")
    print(table(everything))
    if given.json:
        given.json.write_text(json.dumps([msgspec.to_builtins(one) for one in everything], indent=1) + "\n")
    if given.plot:
        title = f"Predicted waiting time by users reading at once, nodes of {given.cores} cores"
        given.plot.write_text(plot(title, found))


if __name__ == "__main__":
    main()
