"""``sivr bench``: what this host can do, on generated phantoms, in about a minute; no node is touched."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from sivr.cli.bench import report, visit
from sivr.cli.bench.crowd import Crowd
from sivr.cli.bench.host_pictures import SLICES_PER_S, slice_rows, volume_rows
from sivr.cli.bench.host_storage import decode_rows, disk_rows, memory_rows, seal_rows
from sivr.cli.bench.system import LOGIN, open_system
from sivr.cli.bench.timing import Row

CLIENTS = 4
"""Connections that ask at once."""
_GROUPS = {
    "slice": "Slices, one thread",
    "volume": "Volumes, 512 x 512 pictures, one worker",
    "decode": "Decoding a slice of 512 x 512 x 16 bit, one core",
    "store": "Sealed objects, one core",
    "disk": "Disk, at the temporary folder",
    "memory": "Memory",
    "https": "All of it: a node of its own, HTTPS, permission checked",
}


async def measure(quick: bool, say: Callable[[str], None]) -> dict[str, Any]:
    """Measure and say it; the result as JSON takes it."""
    # Imported here: the whole of DICOM is needed only when something is measured.
    from sivr.dicom.phantom import write_phantom

    seconds = 0.05 if quick else 0.4
    shape = (24, 512, 512) if quick else (120, 512, 512)
    say(report.machine())
    if note := report.load():
        say(note)
    say("generating a head ...")
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="sivr-bench-") as scratch:
        folder = Path(scratch)
        files = await asyncio.to_thread(write_phantom, folder / "head", "head", shape, study="sivr bench")
        middle = files[len(files) // 2]
        say("slices, decoders, disk ...")
        rows += await asyncio.to_thread(slice_rows, files, seconds)
        rows += await asyncio.to_thread(decode_rows, middle, seconds)
        rows += await asyncio.to_thread(seal_rows, middle, folder, seconds)
        rows += await asyncio.to_thread(disk_rows, folder)
        rows += await asyncio.to_thread(memory_rows)
        say("volumes ...")
        renderer, drawn = await volume_rows(files, shape, 2 if quick else 7)
        rows += drawn
        say("a node of its own ...")
        rows += await _stack(folder / "system", files, 1.0 if quick else 4.0)
    say("")
    say(f"Drawn by {renderer}.")
    for group, title in _GROUPS.items():
        mine = [row for row in rows if row.group == group]
        if mine:
            say("")
            say(f"{title}:")
            say(
                report.table(
                    ["", "", "", ""],
                    [[f"  {row.what}", _figure(row.value), row.unit, row.means] for row in mine],
                ).partition("\n")[2].partition("\n")[2]
            )  # fmt: skip
    return {"renderer": renderer, "rows": msgspec.to_builtins(rows)}


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


async def _stack(folder: Path, files: list[Path], seconds: float) -> list[Row]:
    """Pictures a second through everything that a physician's picture goes through."""
    rows = []
    async with open_system(folder) as system, visit.log_in(
        system.web, LOGIN, system.password, system.ca
    ) as visitor:  # fmt: skip
        institution = await visit.own_institution(visitor)
        patient = (await visitor.find_or_create_patient(visit.PATIENT))["id"]
        started = time.perf_counter()
        study = await visit.store(visitor, institution, patient, files)
        stored_s = time.perf_counter() - started
        size_mb = sum(file.stat().st_size for file in files) / 1e6
        means = f"{len(files)} files, sealed and indexed, in {stored_s:.1f} s"
        rows.append(
            Row(group="https", what="store a series", value=size_mb / stored_s, unit="MB/s", means=means)
        )
        place = await visit.opened(visitor, institution, study)
        async with Crowd(place, system.ca) as crowd:
            people = await crowd.people(CLIENTS)
            first = await people[0].slice(study, place.series, len(files) // 2)
            rows.append(Row(group="https", what="first slice", value=first.whole_ms, unit="ms"))
            await people[0].volume(study, place.series, 0.0)
            for name, params in (
                ("PNG", {"accept": "image/png"}),
                ("JPEG", {"accept": "image/jpeg", "quality": "90"}),
            ):
                found = await crowd.rush(name, CLIENTS, seconds, **params)
                rate = found.count / seconds
                means = (
                    f"about {rate / SLICES_PER_S:.0f} physicians scrolling at {SLICES_PER_S} slices/s each; "
                    f"p95 {report.milliseconds(found.p95_ms)} ms with {CLIENTS} asking at once"
                )
                rows.append(Row(group="https", what=f"slices as {name}", value=rate, unit="/s", means=means))
    return rows
