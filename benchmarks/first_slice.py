"""How soon the first slice of a long series is answered after a cold start of the node.

    python benchmarks/first_slice.py [--slices 555] [--size 512] [--rounds 3]
                                     [--records ABCD] [--kind raw sealed]

Starts a whole installation in a scratch folder, uploads a generated series once, then in each round
restarts the render node, asks for one slice in the middle and, with the same clock, waits until the whole
series is in memory.
Prints both and their ratio; the target is a tenth.

Then the same first slice of the paper's records, one object each, stored raw and sealed: D is to
be there within 300 ms, and C, of 555 slices, nearly as soon as A, of 10.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import yaml
from measure import Row, save, show

from sivr.dicom.phantom import benchmark_record, write_phantom
from tests.flows.people import Person, physician
from tests.flows.system import System

AT_ONCE = 4
TARGET = 0.1
WITHIN_MS = 300.0
AS_SOON = 0.7
"""Of a short series' time to that of a long one."""
KINDS = {
    "raw": {"compress": False, "encrypt": False},
    "sealed": {"compress": True, "encrypt": True},
}


async def upload(ana: Person, files: list[Path]) -> str:
    """Upload a series and wait until it is indexed; the study's UID."""
    url = await ana.new_upload(await ana.new_patient())
    waiting = list(enumerate(files))

    async def send() -> None:
        while waiting:
            number, file = waiting.pop()
            body = await asyncio.to_thread(file.read_bytes)
            await ana.visitor.put_file(url, f"f{number}", file.name, body)

    started = time.perf_counter()
    await asyncio.gather(*(send() for _ in range(AT_ONCE)))
    seconds = time.perf_counter() - started
    size = sum(file.stat().st_size for file in files) / 1e6
    print(f"upload {len(files)} files, {size:.0f} MB: {seconds:.1f} s, {size / seconds:.0f} MB/s")
    return str((await ana.indexed(url))["studies"][0]["study_uid"])


async def one_round(system: System, study: str) -> tuple[float, float]:
    """Seconds to the first slice and to the whole series, after a restart of the node."""
    system.stop("render", kill=True)
    system.start("render")
    await asyncio.to_thread(system.wait_ready, "render")
    async with physician(system) as ana:
        node = await ana.visitor.may_view(ana.institution, study)
        # The page knows the frames from the contents; asking for them opens no pixels.
        contents = (await ana.visitor.view(node, study, "/contents")).json()["series"][0]
        started = time.perf_counter()
        await ana.rendered(study, contents, len(contents["frames"]) // 2)
        first = time.perf_counter() - started
        path = f"/series/{contents['series_uid']}"
        volume = asyncio.create_task(
            ana.visitor.view(
                node,
                study,
                f"{path}/rendered3d",
                {"accept": "image/jpeg", "viewport": "64,64", "draft": "yes"},
            )
        )
        while True:
            loading = (await ana.visitor.view(node, study, f"{path}/loading")).json()
            if loading["slices_loaded"] >= loading["slices_total"]:
                break
            await asyncio.sleep(0.005)
        whole = time.perf_counter() - started
        await volume
        return first, whole


async def first_of(system: System, study: str) -> float:
    """Milliseconds to the first slice, from the middle, after a restart of the node."""
    system.stop("render", kill=True)
    system.start("render")
    await asyncio.to_thread(system.wait_ready, "render")
    async with physician(system) as ana:
        node = await ana.visitor.may_view(ana.institution, study)
        contents = (await ana.visitor.view(node, study, "/contents")).json()["series"][0]
        started = time.perf_counter()
        await ana.rendered(study, contents, len(contents["frames"]) // 2)
        return (time.perf_counter() - started) * 1000


async def measure_records(letters: str, kinds: list[str], rounds: int) -> list[Row]:
    """A row for every record and kind, and one for the lengths."""
    rows: list[Row] = []
    for kind in kinds:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            system = System(folder / "system")
            tree = yaml.safe_load(system.file.read_text())
            tree["roles"]["render"]["storage"].update(KINDS[kind])
            system.file.write_text(yaml.safe_dump(tree))
            found: dict[str, float] = {}
            with system:
                for letter in letters:
                    files = await asyncio.to_thread(
                        benchmark_record, folder / letter, letter, multi_frame=True
                    )
                    async with physician(system) as ana:
                        study = await upload(ana, files)
                    times = [await first_of(system, study) for _ in range(rounds)]
                    found[letter] = statistics.median(times)
                    print(f"record {letter}, {kind}: " + ", ".join(f"{one:.0f} ms" for one in times))
        for letter, ms in found.items():
            what = f"first slice of record {letter} after a cold start, {kind}"
            rows.append(Row(what, f"{ms:.0f} ms", f"limit {WITHIN_MS:.0f} ms", WITHIN_MS / ms, 1.0))
        if {"A", "C"} <= set(found):
            what = f"first slice of 555 (C) as soon as of 10 (A), {kind}"
            ours, peer = f"{found['C']:.0f} ms", f"A {found['A']:.0f} ms"
            rows.append(Row(what, ours, peer, found["A"] / found["C"], AS_SOON))
    return rows


async def measure(slices: int, size: int, rounds: int) -> list[Row]:
    """The series of files."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        files = await asyncio.to_thread(write_phantom, folder / "files", "head", (slices, size, size))
        with System(folder / "system") as system:
            async with physician(system) as ana:
                study = await upload(ana, files)
            results = [await one_round(system, study) for _ in range(rounds)]
    for first, whole in results:
        print(
            f"first slice {first * 1000:7.1f} ms   whole series {whole * 1000:8.1f} ms   {first / whole:6.3f}"
        )
    ratio = statistics.median(first / whole for first, whole in results)
    first_ms, whole_ms = (statistics.median(one[n] for one in results) * 1000 for n in (0, 1))
    what = f"first slice of {slices} after a cold start"
    return [Row(what, f"{first_ms:.0f} ms", f"whole load {whole_ms:.0f} ms", 1 / ratio, 1 / TARGET)]


def main() -> int:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--slices", type=int, default=555, help="0 leaves the series of files out")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--records", default="ABCD", help="letters of the paper's records; '' for none")
    parser.add_argument("--kind", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows: list[Row] = []
    if options.slices:
        rows += asyncio.run(measure(options.slices, options.size, options.rounds))
    if options.records:
        rows += asyncio.run(measure_records(options.records, options.kind, options.rounds))
    print(show(rows))
    if options.json:
        save(options.json, rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
