"""The simulation against reality: two render nodes of one institution, users who replay a recorded session.

    python benchmarks/two_nodes.py [--users 2,4,8] [--seconds 25] [--json FILE] [--plot FILE]

Each node is a process of its own on a core of its own (CPU affinity), with its own data, database and key;
studies lie on both. The same trace, the same rule of two requests a view, the measured costs and what others
took of the cores meanwhile go into the prediction.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import msgspec
from costs import addresses
from installation import Installation, heads
from load import Browser, opened
from measure import machine
from processes import cpu_s, machine_busy_s, tree
from reading import Log, NewestWins, percentile, timed
from simulation import NAMES, PATIENCE_S, TRACE, Prediction, Trace, group, predict, read_trace

from sivr.cli.bench import costs as measured
from sivr.cli.bench.costs import Costs
from sivr.cli.bench.plot import Panel, bars

VARIANTS = 400
"""Different pictures of a kind before they repeat."""
SETTLE_S = 3.0


class Observation(msgspec.Struct, frozen=True):
    """What was seen with so many users."""

    users: int
    wished: int
    answered: int
    failures: int
    node_busy: tuple[float, ...]
    """Cores that each node took."""
    client_cores: float
    other_cores: float
    """Everything but nodes and clients."""
    p50_ms: dict[str, float]
    p95_ms: dict[str, float]


async def replay(trace: Trace, browser: Browser, user: int, log: Log, offset_s: float, seconds: float) -> int:
    """Ask as the session did, from another place of it; how many wishes there were."""
    urls = {kind: addresses(browser, kind, VARIANTS) for kind in trace.per_s()}
    views: dict[str, NewestWins] = {}
    started = time.perf_counter()
    wishes = trace.from_place(offset_s, seconds)
    places = dict.fromkeys(urls, user * 17)
    for at_s, wish in wishes:
        await asyncio.sleep(max(0.0, started + at_s - time.perf_counter()))
        channel = views.setdefault(wish.view, NewestWins(log, PATIENCE_S))
        places[wish.kind] = (places[wish.kind] + 1) % VARIANTS
        # Addresses name the view of one reader; here each view of each user has its own.
        url = urls[wish.kind][places[wish.kind]].partition("&view=")[0]

        async def work(slot: int, url: str = url, kind: str = wish.kind, view: str = wish.view) -> None:
            await timed(log, browser, kind, user, f"{url}&view={view}-{user}.{slot}")

        channel.ask(work)
    await asyncio.gather(*(channel.settled(SETTLE_S) for channel in views.values()))
    for channel in views.values():
        await channel.close()
    return len(wishes)


async def observe(
    system: Installation, browsers: Sequence[Browser], trace: Trace, users: int, seconds: float
) -> Observation:
    """Let so many users replay the trace at once."""
    log = Log()
    pids = [system.process_id(name) for name in system.nodes]

    def now() -> list[float]:
        own = [cpu_s(tree(pid)) for pid in pids]
        return [*own, time.process_time(), machine_busy_s(), time.perf_counter()]

    before = now()
    wished = await asyncio.gather(
        *(replay(trace, browsers[n], n, log, n * trace.seconds / users, seconds) for n in range(users))
    )
    *own, client, busy, wall = (after - then for after, then in zip(now(), before, strict=True))
    waits: dict[str, list[float]] = {}
    for one in log.answered:
        if not one.problem:
            waits.setdefault(group(one.kind), []).append(one.spent_s * 1000)
    return Observation(
        users=users,
        wished=sum(wished),
        answered=sum(map(len, waits.values())),
        failures=sum(one.problem not in ("", "canceled", "superseded") for one in log.answered),
        node_busy=tuple(spent / wall for spent in own),
        client_cores=client / wall,
        other_cores=max(0.0, busy - client - sum(own)) / wall,
        p50_ms={name: percentile(values, 50) for name, values in waits.items()},
        p95_ms={name: percentile(values, 95) for name, values in waits.items()},
    )


async def measure(
    system: Installation, studies: list[list[Path]], trace: Trace, counts: Sequence[int], seconds: float
) -> list[Compared]:
    """Observe with each number of users, and predict the same."""
    costs = measured.load()
    found = []
    async with AsyncExitStack() as stack:
        # Every other study on the other node, as users come in turn.
        halves = [
            await stack.enter_async_context(
                opened(system, studies[place::2], node, people=range(place, len(studies), 2))
            )
            for place, node in enumerate(("node-1", "node-2"))
        ]
        browsers = [halves[n % 2][n // 2] for n in range(len(studies))]
        await asyncio.gather(*(replay(trace, one, n, Log(), n * 7.0, 6.0) for n, one in enumerate(browsers)))
        for count in counts:
            seen = await observe(system, browsers, trace, count, seconds)
            found.append(compare(trace, costs, seen, seconds))
            print("\n".join(table(found[-1:]).splitlines()[2:]), flush=True)
    return found


class Compared(msgspec.Struct, frozen=True):
    """What was seen, and two predictions: our nodes have their cores to themselves; others come first."""

    seen: Observation
    alone: Prediction
    after_others: Prediction


def compare(trace: Trace, costs: Costs, seen: Observation, seconds: float) -> Compared:
    """Predict what was seen."""
    alone, after_others = (
        predict(
            trace,
            costs,
            users=seen.users,
            nodes=2,
            cores=1,
            seconds=seconds,
            threads=os.cpu_count(),
            other_cores=(seen.client_cores + others) / 2,
        )
        for others in (0.0, seen.other_cores)
    )
    return Compared(seen, alone, after_others)


def table(found: Sequence[Compared]) -> str:
    """Prediction beside observation, as Markdown."""
    lines = [
        "| users | pictures | observed p50 / p95 ms | predicted p50 / p95 ms | error of p95 | "
        "predicted, others first | node busy: observed, predicted | others (cores) |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for one in found:
        busy = sum(one.seen.node_busy) / len(one.seen.node_busy)
        for name in NAMES:
            if name not in one.seen.p95_ms or name not in one.alone.p95_ms:
                continue
            error = one.alone.p95_ms[name] / one.seen.p95_ms[name] - 1
            cells = [f"{one.seen.users}", name]
            for which in (one.seen, one.alone):
                cells.append(f"{which.p50_ms[name]:.0f} / {which.p95_ms[name]:.0f}")
            last = one.after_others
            cells.append(f"{error:+.0%}")
            known = name in last.p95_ms
            cells.append(f"{last.p50_ms[name]:.0f} / {last.p95_ms[name]:.0f}" if known else "none came")
            cells += [f"{busy:.0%}, {one.alone.busy_part:.0%}", f"{one.seen.other_cores:.2f}"]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def plot(found: Sequence[Compared]) -> str:
    """Observed and predicted p95 by users; SVG."""
    panels = [
        Panel(
            title=f"{name}, p95",
            labels=tuple(str(one.seen.users) for one in found),
            values=(
                tuple(one.seen.p95_ms.get(name) for one in found),
                tuple(one.alone.p95_ms.get(name) for one in found),
                tuple(one.after_others.p95_ms.get(name) for one in found),
            ),
            unit="ms",
            log=True,
        )
        for name in NAMES
    ]
    title = "Two nodes of one core each, by users: simulation against reality"
    return bars(title, ("observed", "predicted", "predicted, other work first"), panels, 2)


def main() -> None:
    """Run and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--users", default="2,4,8")
    parser.add_argument("--seconds", type=float, default=25.0)
    parser.add_argument("--slices", type=int, default=60)
    parser.add_argument("--trace", type=Path, default=TRACE)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path, help="an SVG file")
    given = parser.parse_args()
    counts = [int(one) for one in given.users.split(",")]
    trace = read_trace(given.trace)
    cores = sorted(os.sched_getaffinity(0))[:2]
    if len(cores) < 2:
        print("skipped: needs two cores")
        return
    print(machine(), f"load {os.getloadavg()[0]:.1f}", sep="; ")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        studies = heads(folder / "files", max(counts), given.slices)
        with Installation(folder / "system", people=max(counts), nodes=2, cores=cores) as system:
            found = asyncio.run(measure(system, studies, trace, counts, given.seconds))
    print("\n" + table(found))
    if given.plot:
        given.plot.write_text(plot(found))
    if given.json:
        rows = msgspec.to_builtins(found)
        given.json.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
