"""How much more two workers do than one, by wall time: volumes, slices, decoding.

    python benchmarks/scaling.py [--rounds 5] [--json FILE]

Wall times mean something only while nothing else runs. Rounds alternate between one and two; the best of
each counts, and what everything else on the machine took meanwhile is printed beside it. Slices are asked
for by a third process, which needs a part of the two cores, and loading of memory that both write to.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import msgspec
from installation import heads
from measure import Row, machine, save, show
from processes import PROC, at_rest, cpu_s, machine_busy_s, tree

from sivr.gl.farm import RenderFarm
from sivr.model.cameras import viewpoint_for
from sivr.model.parameters import Parameters
from sivr.model.pixels import Window
from sivr.model.presets import preset_for
from sivr.model.rendering import VolumeView
from sivr.services.loading import SeriesLoader
from sivr.services.open_series import OpenSeries
from sivr.services.pictures import PictureService
from sivr.services.slice_processes import SliceProcesses
from sivr.store.blobs import Blobs
from sivr.store.sealing import Form
from tests.services.stored import Store, open_store, store_files

TARGET = 1.8
BUDGET = 2 << 30
SERIES, SLICES = 2, 240
PICTURES = 1600
READERS = 8
VOLUMES = 30
NODE = f"scaling-{os.getpid()}"

Work = Callable[[], Awaitable[None]]
"""What is timed."""
Setting = Callable[[int], AbstractAsyncContextManager[Work]]
"""Makes the work with so many workers ready."""


class Run(msgspec.Struct, frozen=True):
    """One round."""

    wall_s: float
    cpu_s: float
    """Of this process and its workers."""
    others: float
    """Cores that everything else took."""


async def once(setting: Setting, workers: int) -> Run:
    """Wall and CPU time of the work, after one turn to warm up and when nothing is left of the start."""
    async with setting(workers) as work:
        await work()
        own = os.getpid()
        await at_rest(own)
        busy, cpu, started = machine_busy_s(), cpu_s(tree(own)), time.perf_counter()
        await work()
        wall, spent = time.perf_counter() - started, cpu_s(tree(own)) - cpu
        return Run(wall, spent, max(0.0, machine_busy_s() - busy - spent) / wall)


class Bench:
    """A store with series of CT, and what is done with them."""

    def __init__(self, store: Store, blobs: Blobs, ct: list[tuple[str, str]]) -> None:
        self._store, self._blobs, self._ct = store, blobs, ct

    def settings(self) -> dict[str, Setting]:
        """By name."""
        return {
            "volumes, worker processes of one core": self._volumes,
            "slices as PNG, processes": lambda n: self._slices(n, "image/png", processes=True),
            "slices as JPEG, processes": lambda n: self._slices(n, "image/jpeg", processes=True),
            "slices as PNG, picture threads": lambda n: self._slices(n, "image/png"),
            "loading compressed CT, decode threads": self._decoding,
        }

    def _loader(self, threads: int) -> SeriesLoader:
        return SeriesLoader(
            self._store.index,
            self._blobs,
            node_id=NODE,
            budget_bytes=BUDGET,
            threads=threads,
        )

    @asynccontextmanager
    async def _decoding(self, threads: int) -> AsyncIterator[Work]:
        async def work() -> None:
            async with self._loader(threads) as loader:
                for names in self._ct:
                    async with loader.volume(await loader.open(*names), coarse=False):
                        pass

        yield work

    @asynccontextmanager
    async def _slices(self, workers: int, media_type: str, *, processes: bool = False) -> AsyncIterator[Work]:
        async with AsyncExitStack() as stack:
            loader = await stack.enter_async_context(self._loader(2))
            prefix = f"sivr-{hashlib.sha256(NODE.encode()).hexdigest()[:10]}"
            makers = SliceProcesses(prefix, workers if processes else 0, begin_after=0)
            await stack.enter_async_context(makers)
            pictures = await stack.enter_async_context(
                PictureService(loader, threads=workers, processes=makers if processes else None)
            )
            series = await loader.open(*self._ct[0])
            async with loader.volume(series, coarse=False):
                pass

            async def ask(turn: int) -> None:
                for n in range(turn, PICTURES, READERS):
                    given = Parameters(window=Window(40.0 + n % 7, 400.0))
                    await pictures.frame(series, n % series.total, given, media_type, session="")

            async def work() -> None:
                await asyncio.gather(*map(ask, range(READERS)))

            while processes and makers.running < workers:
                # They start when many pictures are asked for, and take seconds to import what they need.
                await ask(0)
                await asyncio.sleep(0.1)
            yield work

    @asynccontextmanager
    async def _volumes(self, workers: int) -> AsyncIterator[Work]:
        cores = sorted(os.sched_getaffinity(0))[:2]
        async with AsyncExitStack() as stack:
            loader = await stack.enter_async_context(self._loader(2))
            # A worker takes as many threads as the process may use cores when it starts.
            os.sched_setaffinity(0, cores[:1])
            try:
                farm = await stack.enter_async_context(RenderFarm(workers=workers, platform="software"))
                while farm.health()["workers_alive"] != workers:  # noqa: ASYNC110 (says no more than that)
                    await asyncio.sleep(0.05)
            finally:
                _everywhere(os.getpid(), cores)
            for pid, core in zip(farm.worker_pids(), cores, strict=False):
                _everywhere(pid, [core])
            yield await self._drawing(stack, loader, farm)

    async def _drawing(self, stack: AsyncExitStack, loader: SeriesLoader, farm: RenderFarm) -> Work:
        """Two volumes from many sides, each by a viewer of its own."""
        sources = []
        for names in self._ct:
            series = await loader.open(*names)
            sources.append((series, await stack.enter_async_context(loader.volume(series, coarse=False))))

        async def turn(number: int) -> None:
            series, source = sources[number]
            for n in range(VOLUMES):
                await farm.volume(source, _view(series, n))

        async def work() -> None:
            await asyncio.gather(*map(turn, range(len(sources))))

        return work


def _view(series: OpenSeries, number: int) -> VolumeView:
    grid = series.stack.volume
    assert grid is not None
    i, j, k = (grid.shape[2] / 2, grid.shape[1] / 2, grid.shape[0] / 2)
    center = tuple(
        row[0] * i + row[1] * j + row[2] * k + row[3] for row in (tuple(one) for one in grid.lps_from_ijk[:3])
    )
    return VolumeView(
        method="volume_rendered",
        viewpoint=viewpoint_for("alpr"[number % 4], center, 800.0),  # type: ignore[arg-type]
        width=512,
        height=512,
        height_mm=300.0,
        transfer_function=preset_for("", "CT"),
    )


def _everywhere(pid: int, cores: list[int]) -> None:
    """All threads of a process may use these cores."""
    for task in (PROC / str(pid) / "task").iterdir():
        os.sched_setaffinity(int(task.name), cores)


async def measure(folder: Path, rounds: int) -> list[Row]:
    """Alternate between one and two workers for everything."""
    files = heads(folder / "files", SERIES, SLICES)
    rows = []
    async with open_store(folder) as store:
        ct = []
        blobs = Blobs(folder / "compressed", Form(compress=True))
        for study in files:
            stored = await store_files(store, study, blobs=blobs)
            ct.append((stored[0].header.study_uid, stored[0].header.series_uid))
        for name, setting in Bench(store, blobs, ct).settings().items():
            found: dict[int, list[Run]] = {1: [], 2: []}
            for _ in range(rounds):
                for workers in (1, 2):
                    found[workers].append(await once(setting, workers))
            one, two = (min(found[workers], key=lambda run: run.wall_s) for workers in (1, 2))
            others = max(one.others, two.others)
            rows.append(
                Row(
                    name,
                    f"{two.wall_s * 1000:.0f} ms by two",
                    f"{one.wall_s * 1000:.0f} ms by one",
                    one.wall_s / two.wall_s,
                    TARGET,
                    f"CPU {one.cpu_s:.2f} s by one, {two.cpu_s:.2f} s by two; others {others:.1f} cores",
                )
            )
            print(show(rows[-1:]).splitlines()[-1], flush=True)
    return rows


def main() -> None:
    """Run and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    print(machine(), f"load {os.getloadavg()[0]:.1f}", sep="; ")
    with tempfile.TemporaryDirectory() as folder:
        rows = asyncio.run(measure(Path(folder), given.rounds))
    print("\n" + show(rows))
    if given.json:
        save(given.json, rows)


if __name__ == "__main__":
    main()
