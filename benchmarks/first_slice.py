"""How soon the first slice of a long series is answered after a cold start of the node.

    python benchmarks/first_slice.py [--slices 555] [--size 512] [--rounds 3]

Starts a whole installation in a scratch folder, uploads a generated series once, then in each round
restarts the render node, asks for one slice in the middle and, with the same clock, waits until the whole
series is in memory.
Prints both and their ratio; the target is a tenth.
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

from measure import Row, save

from sivr.dicom.phantom import write_phantom
from tests.flows.people import Person, physician
from tests.flows.system import System

AT_ONCE = 4
TARGET = 0.1


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


async def measure(slices: int, size: int, rounds: int, given_json: Path | None) -> int:
    """All rounds."""
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
    reached = "reached" if ratio <= TARGET else "NOT reached"
    print(f"median ratio {ratio:.3f}, target {TARGET}: {reached}")
    if given_json is not None:
        first_ms, whole_ms = (statistics.median(one[n] for one in results) * 1000 for n in (0, 1))
        what = f"first slice of {slices} after a cold start"
        save(
            given_json,
            [Row(what, f"{first_ms:.0f} ms", f"whole load {whole_ms:.0f} ms", 1 / ratio, 1 / TARGET)],
        )
    return 0 if ratio <= TARGET else 1


def main() -> int:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--slices", type=int, default=555)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    return asyncio.run(measure(options.slices, options.size, options.rounds, options.json))


if __name__ == "__main__":
    sys.exit(main())
