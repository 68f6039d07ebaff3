"""What pictures, readers, files and studies cost a node, measured on this machine.

    python benchmarks/costs.py [--out sivr/cli/bench/costs.json] [--pictures 60]

CPU time is that of the node's own threads and processes (/proc/PID/task/TID/schedstat), so that other work on
the machine disturbs it little; memory is the proportional set size. `sivr bench capacity` and the simulation
read the result.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import math
import os
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import msgspec
from installation import Installation, heads, reader, store, view
from load import Browser
from measure import machine
from processes import PROC, pss_bytes, tree
from simulation import read_trace

from sivr.cli.bench.costs import MEASURED, Costs, FileCost, NodeCost, PictureCost, StudyCost, ViewerCost
from tests.flows.people import Person

SLICES = 60
SESSIONS = 12
FULL, DRAFT, PLANE = "1024,640", "512,320", "512,400"


class Threads:
    """CPU time of a process tree, the main thread apart from all others."""

    def __init__(self, pid: int) -> None:
        self._pid = pid

    def spent(self, *, workers: bool = True) -> tuple[float, float]:
        """Main thread of the first process and everything else so far, seconds; with its children or not."""
        main = other = 0.0
        for pid in tree(self._pid) if workers else [self._pid]:
            for task in (PROC / str(pid) / "task").iterdir():
                try:
                    used = int((task / "schedstat").read_text().split()[0]) / 1e9
                except (FileNotFoundError, ProcessLookupError):
                    continue
                if int(task.name) == self._pid:
                    main += used
                else:
                    other += used
        return main, other


async def quiet(threads: Threads) -> None:
    """Wait until the node does nothing for a while; what has low priority may look idle for a moment."""
    before, still = sum(threads.spent()), 0
    for _ in range(200):
        await asyncio.sleep(0.3)
        now = sum(threads.spent())
        still = still + 1 if now - before < 0.015 else 0
        if still == 4:
            return
        before = now


async def cost_of(
    threads: Threads,
    urls: list[str],
    ask: Callable[[str], Awaitable[bytes]],
    *,
    workers: bool,
    warm: int = 3,
) -> PictureCost:
    """Ask one after the other; means of what each took, with what ``workers`` took or without."""
    for url in urls[:warm]:
        await ask(url)
    await quiet(threads)
    sizes, walls, mains, others = [], [], [], []
    main, other = threads.spent(workers=workers)
    for url in urls[warm:]:
        started = time.perf_counter()
        sizes.append(len(await ask(url)))
        walls.append((time.perf_counter() - started) * 1000)
        before_main, before_other = main, other
        main, other = threads.spent(workers=workers)
        mains.append((main - before_main) * 1000)
        others.append((other - before_other) * 1000)
    totals = [sum(both) for both in zip(mains, others, strict=True)]
    return PictureCost(
        bytes=round(statistics.mean(sizes)),
        serving_ms=round(statistics.mean(mains), 3),
        making_ms=round(statistics.mean(others), 3),
        spread=round(statistics.stdev(totals) / statistics.mean(totals), 2),
        wall_ms=round(statistics.median(walls), 2),
    )


def rendered3d(browser: Browser, number: int, options: str, distance: float = 1000.0) -> str:
    """A volume from one of many sides."""
    x, y, z = browser.center
    angle = number * 0.11
    at = (x + distance * math.sin(angle), y - distance * math.cos(angle), z + 60 * math.sin(angle * 2))
    return (
        f"{browser.series}/rendered3d?viewpointposition={','.join(f'{one:.3f}' for one in at)}"
        f"&viewpointlookat={','.join(f'{one:.3f}' for one in browser.center)}&viewpointup=0,0,1&fov=300"
        f"&{options}"
    )


def renderedmpr(browser: Browser, number: int, options: str) -> str:
    """A coronal plane at one of many places."""
    x, y, z = browser.center
    y += number - 30
    return (
        f"{browser.series}/renderedmpr?viewpointposition={x:.3f},{y - 500:.3f},{z:.3f}"
        f"&viewpointlookat={x:.3f},{y:.3f},{z:.3f}&viewpointup=0,0,1&fov=260&{options}"
    )


def addresses(browser: Browser, kind: str, count: int) -> list[str]:
    """So many different pictures of a kind, as the page asks for them."""
    png, jpeg = "accept=image/png", "accept=image/jpeg&quality=80&draft=yes"
    composite, projection = (
        "renderingmethod=volume_rendered",
        "renderingmethod=maximum_ip&window=300,1400,linear",
    )
    window = "window=40,400,linear"
    frames = [browser.frames[n % len(browser.frames)] for n in range(count)]
    match kind:
        case "slice_png":
            return [f"{frame}?{png}&{window}&view=c.0" for frame in frames]
        case "slice_jpeg":
            return [f"{frame}?{jpeg}&viewport=512,512&{window}&view=c.0" for frame in frames]
        case "draft":
            return [
                rendered3d(browser, n, f"{composite}&{jpeg}&viewport={DRAFT}&view=d.0") for n in range(count)
            ]
        case "full":
            return [
                rendered3d(browser, n, f"{composite}&{png}&viewport={FULL}&view=d.0") for n in range(count)
            ]
        case "mip":
            return [
                rendered3d(browser, n, f"{projection}&{png}&viewport={FULL}&view=d.0") for n in range(count)
            ]
        case "mip_draft":
            return [
                rendered3d(browser, n, f"{projection}&{jpeg}&viewport={DRAFT}&view=d.0") for n in range(count)
            ]
        case "plane":
            return [
                renderedmpr(browser, n, f"{window}&{png}&viewport={PLANE}&view=p.0") for n in range(count)
            ]
        case "plane_draft":
            return [
                renderedmpr(browser, n, f"{window}&{jpeg}&viewport={PLANE}&view=p.0") for n in range(count)
            ]
        case _:
            raise ValueError(kind)


KINDS = {
    "slice_png": 1.0,
    "slice_jpeg": 1.0,
    "draft": 0.7,
    "full": 0.25,
    "mip": 0.25,
    "mip_draft": 0.7,
    "plane": 0.5,
    "plane_draft": 0.5,
}
"""Kinds of pictures, and what part of the wanted number of each is enough."""


def size_of(folder: Path) -> int:
    """Bytes that the files of a folder take."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def database_bytes(path: Path) -> int:
    """Pages in use of an SQLite database, those that are still in its log among them."""
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as open_one:
        pages, free, size = (
            open_one.execute(f"pragma {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
    return int((pages - free) * size)


class Measurement:
    """Measures one installation, step by step."""

    def __init__(self, system: Installation, studies: list[list[Path]], pictures: int) -> None:
        self._system, self._studies, self._pictures = system, studies, pictures
        self._pid = system.process_id("render")
        self._node = Threads(self._pid)
        self._institution = Threads(system.process_id("institution"))
        self._toplevel = Threads(system.process_id("toplevel"))

    async def all(self) -> Costs:
        """Everything, in the order in which a node lives."""
        await quiet(self._node)
        base = pss_bytes(tree(self._pid))
        async with AsyncExitStack() as stack:
            person = await stack.enter_async_context(reader(self._system, 0))
            first, institution_ms = await self._uploads(person)
            study, browser, open_ms = await self._opening(person)
            pictures = {}
            for kind, part in KINDS.items():
                urls = addresses(browser, kind, 3 + max(8, round(self._pictures * part)))
                pictures[kind] = await cost_of(
                    self._node, urls, browser.ask, workers=not kind.startswith("slice")
                )
                print(f"{kind:12}", msgspec.to_builtins(pictures[kind]), flush=True)
            memory = await self._memory(browser)
            viewer = await self._viewers(open_ms)
        return Costs(
            machine=machine(),
            date=time.strftime("%Y-%m-%d"),
            note=f"load {os.getloadavg()[0]:.1f} while measuring; CPU time is the node's own",
            pictures=pictures,
            file=first,
            study=msgspec.structs.replace(
                study, institution_cpu_ms=institution_ms, open_bytes_per_slice=round(memory)
            ),
            viewer=viewer,
            node=NodeCost(memory_bytes=base, cores=os.cpu_count() or 1),
        )

    async def _uploads(self, person: Person) -> tuple[FileCost, float]:
        """All studies, one after the other; cost per file, and of the institution per study."""
        data = self._system.folder / "data"
        await quiet(self._node)
        blobs = size_of(data / "node-1")
        rows = database_bytes(data / "node-1.db")
        cpu, institution = sum(self._node.spent()), sum(self._institution.spent())
        self._uids = [await store(person, files, "node-1") for files in self._studies]
        await quiet(self._node)
        files = [path for study in self._studies for path in study]
        sent = sum(path.stat().st_size for path in files)
        stored = size_of(data / "node-1") - blobs
        rows = database_bytes(data / "node-1.db") - rows
        return FileCost(
            cpu_ms=round((sum(self._node.spent()) - cpu) * 1000 / len(files), 2),
            bytes=round(sent / len(files)),
            sealed_part=round(stored / sent, 3),
            database_bytes=round(max(0, rows) / len(files)),
        ), round((sum(self._institution.spent()) - institution) * 1000 / len(self._studies), 1)

    async def _opening(self, person: Person) -> tuple[StudyCost, Browser, float]:
        """The first study, from the grant until every slice is in memory."""
        cpu, institution = sum(self._node.spent()), sum(self._institution.spent())
        self._before_open = pss_bytes(tree(self._pid))
        stored = await view(person, self._uids[0])
        browser = Browser(person.visitor._client, stored)
        asked = sum(self._node.spent()) - cpu + sum(self._institution.spent()) - institution
        await browser.ask(f"{browser.frames[len(browser.frames) // 2]}?accept=image/png")
        await quiet(self._node)
        spent = sum(self._node.spent()) - cpu
        study = StudyCost(
            institution_cpu_ms=0.0,
            open_cpu_ms=round(spent * 1000, 1),
            open_bytes_per_slice=0.0,
            slices=len(browser.frames),
        )
        return study, browser, round(asked * 1000, 1)

    async def _memory(self, browser: Browser) -> float:
        """Memory per slice of studies that are open and were drawn as volumes, by opening the others too."""
        before = pss_bytes(tree(self._pid))
        slices = 0
        async with reader(self._system, 1) as person:
            for uid in self._uids[1:]:
                other = Browser(person.visitor._client, await view(person, uid))
                slices += len(other.frames)
                await other.ask(f"{other.frames[0]}?accept=image/png")
                for url in addresses(other, "full", 1) + addresses(other, "mip", 1):
                    await other.ask(url)
            await quiet(self._node)
            return (pss_bytes(tree(self._pid)) - before) / slices

    async def _viewers(self, open_ms: float) -> ViewerCost:
        """Sessions that are open and have asked for a picture."""
        await quiet(self._toplevel)
        cpu = sum(self._toplevel.spent())
        async with AsyncExitStack() as stack:
            people = [await stack.enter_async_context(reader(self._system, 2 + n)) for n in range(SESSIONS)]
            login = (sum(self._toplevel.spent()) - cpu) / len(people)
            before = pss_bytes(tree(self._pid))
            browsers = [Browser(one.visitor._client, await view(one, self._uids[0])) for one in people]
            for place, one in enumerate(itertools.chain(browsers, browsers)):
                await one.ask(f"{one.frames[place]}?accept=image/png&window=50,350,linear")
            memory = (pss_bytes(tree(self._pid)) - before) / len(people)
        return ViewerCost(
            memory_bytes=round(max(0.0, memory)),
            login_cpu_ms=round(login * 1000, 1),
            open_cpu_ms=open_ms,
            pictures_per_s={kind: round(per_s, 3) for kind, per_s in sorted(read_trace().per_s().items())},
        )


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=MEASURED)
    parser.add_argument("--pictures", type=int, default=60)
    parser.add_argument("--slices", type=int, default=SLICES)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        studies = heads(folder / "files", 3, given.slices)
        with Installation(folder / "system", people=2 + SESSIONS) as system:
            found = asyncio.run(Measurement(system, studies, given.pictures).all())
    body = msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n"
    given.out.write_bytes(body)
    print(body.decode())


if __name__ == "__main__":
    main()
