"""How soon the first picture of a stored volume is answered after a cold start of the node.

    python benchmarks/first_volume.py [--rounds 3] [--slices 555] [--data multi single ct mr]
                                      [--kind sealed raw compressed encrypted]

Starts a whole installation in a scratch folder and uploads the series once. In each round the render node is
killed, the page cache dropped (where that is permitted) and the node started again; when it is at rest, with
one clock from the request for the study's contents: the first coarse picture (a draft, as a viewer asks),
the first complete picture at full quality, and when all of the voxels were in memory. First on a node that
keeps nothing between starts, then on one as it is installed, which has made an overview of the volume in
idle time. In between VTK's fixed-point ray caster draws its first frame of the same voxels, which it is
given in memory. CPU time is that of the node and its workers; its start is shown by itself.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import msgspec
import numpy as np
import yaml
from first_slice import upload
from measure import Row, Timing, machine, save, show
from processes import at_rest, cpu_s, tree
from volume_data import Volume, series
from volumes import Peer, viewpoints

from sivr.dicom.phantom import phantom_affine, phantom_values, write_phantom
from sivr.model.presets import preset_for
from tests.flows.people import physician
from tests.flows.system import System

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
REAL = {"ct": DATA / "ct-head-1mm", "mr": DATA / "mr-head-jpeg-lossless"}
NAMES = {"multi": "one object", "single": "single files"}
TARGET = 4.0
COARSE_TARGET = 5.0
KINDS = {
    "raw": {"compress": False, "encrypt": False},
    "compressed": {"compress": True, "encrypt": False},
    "encrypted": {"compress": False, "encrypt": True},
    "sealed": {"compress": True, "encrypt": True},
}
"""How objects are stored."""


class First(msgspec.Struct, frozen=True):
    """One cold start. Milliseconds from the request; CPU of the node with its workers."""

    ready: Timing
    """From the start of the process until it said that it was ready."""
    coarse: Timing
    full: Timing
    load_ms: float
    """Until all voxels were in memory."""
    warm_ms: float
    """The same picture from another side, asked for again."""


def drop_page_cache() -> bool:
    """Whether what was read from disk is forgotten now."""
    os.sync()
    try:
        Path("/proc/sys/vm/drop_caches").write_text("1\n")
    except OSError:
        return False
    return True


def cpu_ms(pid: int) -> float:
    """CPU time of a process and its descendants."""
    return cpu_s(tree(pid)) * 1000


async def one_round(system: System, study: str, preset: str) -> First:
    """A cold start of the node and its first pictures."""
    system.stop("render", kill=True)
    await asyncio.to_thread(drop_page_cache)
    begun = time.perf_counter()
    system.start("render")
    await asyncio.to_thread(system.wait_ready, "render")
    pid = system.process_id("render")
    ready = Timing(cpu_ms(pid), (time.perf_counter() - begun) * 1000)
    await at_rest(pid)
    async with physician(system) as ana:
        node = await ana.visitor.may_view(ana.institution, study)
        before = cpu_ms(pid)
        started = time.perf_counter()

        def since() -> Timing:
            return Timing(cpu_ms(pid) - before, (time.perf_counter() - started) * 1000)

        contents = (await ana.visitor.view(node, study, "/contents")).json()["series"][0]
        path = f"/series/{contents['series_uid']}/rendered3d"
        asked = {"accept": "image/png", "viewport": "512,512", "preset": preset}
        answer = await ana.visitor.view(node, study, path, {**asked, "draft": "yes"})
        coarse = since()
        assert answer.status == 200 and answer.headers["Sivr-Complete"] == "no", answer
        began_ms = (time.perf_counter() - started) * 1000
        answer = await ana.visitor.view(node, study, path, asked)
        full = since()
        assert answer.status == 200 and answer.headers["Sivr-Complete"] == "yes", answer
        waited = re.search(r"load;dur=([\d.]+)", answer.headers["Server-Timing"])
        assert waited is not None
        load_ms = began_ms + float(waited[1])
        again = time.perf_counter()
        await ana.visitor.view(node, study, path, {**asked, "orientation": "l"})
        return First(ready, coarse, full, load_ms, (time.perf_counter() - again) * 1000)


def first_frame(volume: Volume, preset: str) -> Timing:
    """VTK's first picture, its volume in memory."""
    peer = Peer(volume)
    try:
        return peer.time(viewpoints(volume)[0], preset_for(preset, "CT"))
    finally:
        peer.close()


def prepared(name: str, folder: Path, slices: int) -> tuple[str, list[Path], Volume, str]:
    """What to call it, its files, the same voxels in memory, and a transfer function."""
    if name in REAL:
        files = [path for path in sorted(REAL[name].iterdir()) if path.name not in ("DIRFILE", "DICOMDIR")]
        volume = series(REAL[name])
        return volume.name, files, volume, "ct-bone" if name == "ct" else ""
    shape = (slices, 512, 512)
    files = write_phantom(folder / name, "head", shape, multi_frame=name == "multi")
    volume = Volume(name, phantom_values("head", shape), np.asarray(phantom_affine("head", shape)))
    return f"record 512x512x{slices}, {NAMES[name]}", files, volume, "ct-bone"


def store_as(system: System, kind: str, *, overviews: bool) -> None:
    """Let a node that is not running store objects like that, and keep overviews or none."""
    tree = yaml.safe_load(system.file.read_text())
    storage = tree["roles"]["render"]["storage"]
    storage |= KINDS[kind]
    storage.pop("derived_mb", None)
    if not overviews:
        storage["derived_mb"] = 0
    system.file.write_text(yaml.safe_dump(tree))


def wait_for_overview(system: System) -> None:
    """Until the node has made one, in idle time."""
    folder = next(iter(system.folder.rglob("blobs"))).parent / "derived"
    deadline = time.monotonic() + 60
    while not [file for file in folder.glob("*/*") if not file.name.startswith(".")]:
        if time.monotonic() > deadline:
            raise TimeoutError("No overview was kept.")
        time.sleep(0.1)


async def compare(name: str, kind: str, given: argparse.Namespace) -> list[Row]:
    """The lines of one series."""
    found: dict[bool, list[First]] = {False: [], True: []}
    peers: list[Timing] = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        title, files, volume, preset = await asyncio.to_thread(prepared, name, folder, given.slices)
        system = System(folder / "system")
        store_as(system, kind, overviews=False)
        with system:
            async with physician(system) as ana:
                study = await upload(ana, files)
            for kept in (False, True):
                if kept:
                    system.stop("render")
                    store_as(system, kind, overviews=True)
                    system.start("render")
                    await asyncio.to_thread(wait_for_overview, system)
                for _ in range(given.rounds):
                    found[kept].append(await one_round(system, study, preset))
                    print(
                        f"  {'as installed' if kept else 'nothing kept'}: {said(found[kept][-1])}", flush=True
                    )
                    if not (given.no_peer or kept):
                        peers.append(await asyncio.to_thread(first_frame, volume, preset))
                        print(f"  VTK {peers[-1].wall_ms:.0f} ms, CPU {peers[-1].cpu_ms:.0f} ms", flush=True)
    rows = []
    for kept, rounds in found.items():
        coarse = middle([one.coarse for one in rounds])
        load_ms = statistics.median(one.load_ms for one in rounds)
        rows.append(
            Row(
                f"first coarse volume picture, {title}, {kind}, {'as installed' if kept else 'nothing kept'}",
                f"{coarse.wall_ms:.0f} ms",
                f"whole load {load_ms:.0f} ms",
                load_ms / coarse.wall_ms,
                COARSE_TARGET,
                f"CPU {coarse.cpu_ms:.0f} ms",
            )
        )
    if peers:
        vtk, full = middle(peers), middle([one.full for one in found[True]])
        rows.append(
            Row(
                f"first volume picture from disk, {title}, {kind}",
                f"{full.wall_ms:.0f} ms",
                f"VTK CPU, in memory, {vtk.wall_ms:.0f} ms",
                vtk.wall_ms / full.wall_ms,
                TARGET,
                f"CPU {full.cpu_ms:.0f} against {vtk.cpu_ms:.0f} ms",
            )
        )
    return rows


def said(one: First) -> str:
    """A round in a line."""
    return (
        f"ready {one.ready.wall_ms:.0f} (CPU {one.ready.cpu_ms:.0f}), coarse {one.coarse.wall_ms:.0f} "
        f"({one.coarse.cpu_ms:.0f}), loaded {one.load_ms:.0f}, full {one.full.wall_ms:.0f} "
        f"({one.full.cpu_ms:.0f}), warm {one.warm_ms:.0f} ms"
    )


def middle(timings: list[Timing]) -> Timing:
    """Medians."""
    return Timing(
        statistics.median(one.cpu_ms for one in timings), statistics.median(one.wall_ms for one in timings)
    )


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", nargs="+", choices=("multi", "single", "ct", "mr"))
    parser.add_argument("--kind", nargs="+", choices=sorted(KINDS), default=["sealed"])
    parser.add_argument("--slices", type=int, default=555)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-peer", action="store_true")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    # As installed: what Python compiled for the first start serves the next ones.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    dropped = "dropped before each start" if drop_page_cache() else "NOT dropped: root alone may do that"
    print(f"{machine()}; page cache {dropped}")
    rows = []
    for name in given.data or ["multi", "single", *(one for one, folder in REAL.items() if folder.is_dir())]:
        for kind in given.kind:
            print(f"{name}, {kind}:", flush=True)
            rows += asyncio.run(compare(name, kind, given))
    print("\n" + show(rows))
    if given.json:
        save(given.json, rows)


if __name__ == "__main__":
    main()
