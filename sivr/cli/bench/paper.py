"""``sivr bench paper``: Tables 1 and 2 and Figure 5 of the paper, measured on an installation started for it.

Records A to D are generated, stored, loaded and shown through HTTPS. Sizes are means over several pictures of
512 x 512. Times over slow lines are those of a client behind a proxy with the bandwidth and delay that the
paper set in Chromium.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from sivr.cli.bench import report, visit
from sivr.cli.bench.crowd import Crowd
from sivr.cli.bench.line import LINES, Profile, open_line
from sivr.cli.bench.paper_page import write_page
from sivr.cli.bench.paper_records import FORMATS, PAPER, Kind, Picture, Record, told
from sivr.cli.bench.physician import Physician, Shown
from sivr.cli.bench.system import LOGIN, System, open_system
from sivr.cli.bench.visit import Opened
from sivr.errors import Exhausted, Invalid, SivrError, Unavailable
from sivr.peers import Visitor

SIDE = "512,512"
SAMPLES = 5
"""Pictures of each kind and format whose sizes are averaged."""
_POLL_S = 0.01
_LOAD_S = 300.0
_SPARE_MB = 1100.0
"""Disk for everything else, and what a node keeps free."""
STORED = {
    "raw": {"compress": False, "encrypt": False},
    "compressed": {"compress": True, "encrypt": False},
    "encrypted": {"compress": False, "encrypt": True},
    "both": {"compress": True, "encrypt": True},
}
"""The forms of the paper's Table 2, as settings of a node."""
_AS_NODES_STORE = "both"

_PER_LINE = {"none": 6, "2G": 2, "4G": 4}


async def reproduce(
    letters: tuple[str, ...], folder: Path | None, out: Path | None, quick: bool, say: Callable[[str], None]
) -> dict[str, Any]:
    """Measure these records; the result as JSON takes it. Raises Invalid, Exhausted without enough disk."""
    unknown = [letter for letter in letters if letter not in PAPER]
    if unknown or not letters:
        raise Invalid(f"Records are {', '.join(PAPER)}.")
    if folder is not None and not folder.is_dir():
        raise Invalid(f"There is no folder {folder}.")
    with tempfile.TemporaryDirectory(prefix="sivr-bench-", dir=folder) as scratch:
        place = Path(scratch)
        _refuse_small_disk(place, letters)
        files = {letter: await _generated(place / letter, letter, say) for letter in letters}
        loads: dict[str, dict[str, float]] = {letter: {} for letter in letters}
        for form, storage in STORED.items():
            if form == _AS_NODES_STORE or quick:
                continue
            async with _system(place / form, storage, f"stored {form}", say) as system:
                for letter in letters:
                    loads[letter][form] = await _only_load(system, files[letter], letter, form, say)
        form = _AS_NODES_STORE
        async with _system(place / form, STORED[form], "stored compressed and encrypted", say) as system:
            records = [
                await _record(system, files[letter], letter, loads[letter], quick, say) for letter in letters
            ]
    result = report.heading("paper") | {"records": msgspec.to_builtins(records), "paper": PAPER}
    say("")
    say(told(records, report.table))
    if (note := report.load()) and not quick:
        say(note)
    if out is not None:
        for file in write_page(out, records, result):
            say(f"wrote {file}")
    return result


def _refuse_small_disk(folder: Path, letters: tuple[str, ...]) -> None:
    sizes = [PAPER[letter]["mb"] for letter in letters]
    # Generated, stored, and once more while the largest is received.
    needed = 2 * sum(sizes) + max(sizes) + _SPARE_MB
    free = shutil.disk_usage(folder).free / 1e6
    if free < needed:
        raise Exhausted(
            f"These records need {needed:.0f} MB of disk at {folder.parent}, where {free:.0f} MB are free; "
            "use --folder or fewer --records."
        )


async def _generated(folder: Path, letter: str, say: Callable[[str], None]) -> list[Path]:
    # Imported here: only this step needs the whole of DICOM.
    from sivr.dicom.phantom import benchmark_record

    say(f"record {letter}: generating ...")
    return await asyncio.to_thread(benchmark_record, folder, letter)


@asynccontextmanager
async def _system(
    folder: Path, storage: Mapping[str, bool], what: str, say: Callable[[str], None]
) -> AsyncIterator[System]:
    say(f"starting an installation of four processes, records {what} ...")
    async with open_system(folder, storage=storage) as system:
        yield system
    await asyncio.to_thread(shutil.rmtree, folder)


async def _stored(system: System, files: list[Path]) -> tuple[str, str, float]:
    """Store a record and start its node anew with empty memory: institution, study, seconds to store."""
    async with visit.log_in(system.web, LOGIN, system.password, system.ca) as visitor:
        institution = await visit.own_institution(visitor)
        patient = (await visitor.find_or_create_patient(visit.PATIENT))["id"]
        started = time.perf_counter()
        study = await visit.store(visitor, institution, patient, files)
        store_s = time.perf_counter() - started
    await system.stop("render")
    system.start("render")
    await system.ready("render")
    return institution, study, store_s


async def _only_load(
    system: System, files: list[Path], letter: str, form: str, say: Callable[[str], None]
) -> float:
    """Seconds to load a record that is stored in this form."""
    institution, study, _ = await _stored(system, files)
    async with visit.log_in(system.web, LOGIN, system.password, system.ca) as visitor:
        place = await _opened(visitor, institution, study)
        async with Crowd(place, system.ca) as crowd:
            (reader,) = await crowd.people(1)
            _, load_s = await _load(reader, place)
    say(f"record {letter}, {form}: loaded in {load_s:.2f} s")
    return load_s


async def _record(
    system: System,
    files: list[Path],
    letter: str,
    loads: dict[str, float],
    quick: bool,
    say: Callable[[str], None],
) -> Record:
    institution, study, store_s = await _stored(system, files)
    size = sum(file.stat().st_size for file in files)
    async with visit.log_in(system.web, LOGIN, system.password, system.ca) as visitor:
        place = await _opened(visitor, institution, study)
        async with Crowd(place, system.ca) as crowd:
            (reader,) = await crowd.people(1)
            first, load_s = await _load(reader, place)
            say(
                f"record {letter}: stored in {store_s:.1f} s, first slice {first.whole_ms:.0f} ms, loaded in "
                f"{load_s:.2f} s; pictures ..."
            )
            sizes = {
                kind: {
                    name: await _mean_size(reader, place, kind, name, 2 if quick else SAMPLES)
                    for name in FORMATS
                }
                for kind in _kinds(place)
            }
        pictures = []
        for profile in LINES:
            pictures += await _over(profile, place, system.ca, 1 if quick else _PER_LINE[profile.name])
    return Record(
        letter=letter,
        slices=len(place.series["frames"]),
        rows=place.series["rows"],
        columns=place.series["columns"],
        size_bytes=size,
        store_s=store_s,
        first_slice_ms=first.whole_ms,
        load_s=loads | {_AS_NODES_STORE: load_s},
        sizes_bytes=sizes,
        pictures=pictures,
    )


async def _opened(visitor: Visitor, institution: str, study: str) -> Opened:
    deadline = time.monotonic() + 60
    while True:
        try:
            return await visit.opened(visitor, institution, study)
        except Unavailable:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.2)


def _kinds(place: Opened) -> tuple[Kind, ...]:
    return ("2D", "3D") if place.series["volume"] is not None else ("2D",)


async def _load(reader: Physician, place: Opened) -> tuple[Shown, float]:
    """The first slice, and seconds until every slice is in memory, from the same moment on."""
    study, series = place.study_uid, place.series
    started = time.perf_counter()
    first = _good(await reader.slice(study, series, len(series["frames"]) // 2, viewport=SIDE))
    # A volume must be wanted, or a part of a long series is enough.
    waiting = None
    if series["volume"] is not None:
        waiting = asyncio.create_task(reader.volume(study, series, 0.0, viewport="64,64", draft="yes"))
    try:
        while True:
            done, total = await reader.loaded(study, series["series_uid"])
            taken = time.perf_counter() - started
            if done >= total:
                break
            if taken > _LOAD_S:
                raise Unavailable(f"Only {done} of {total} slices were loaded within {_LOAD_S:.0f} s.")
            await asyncio.sleep(_POLL_S)
    finally:
        if waiting is not None:
            await waiting
    return first, taken


async def _picture(
    reader: Physician, place: Opened, kind: Kind, params: Mapping[str, str], number: int, of: int
) -> Shown:
    """Picture ``number`` of ``of`` that are spread over the series or around the volume."""
    given = {**params, "viewport": SIDE}
    if kind == "2D":
        frames = len(place.series["frames"])
        return _good(
            await reader.slice(place.study_uid, place.series, int((number + 0.5) / of * frames), **given)
        )
    return _good(await reader.volume(place.study_uid, place.series, number * 360 / of, **given))


def _good(shown: Shown) -> Shown:
    if shown.failure:
        raise Unavailable(f"A picture failed: {shown.failure}")
    return shown


async def _mean_size(reader: Physician, place: Opened, kind: Kind, name: str, count: int) -> float:
    shown = [await _picture(reader, place, kind, FORMATS[name], number, count) for number in range(count)]
    return sum(one.size_bytes for one in shown) / count


async def _over(profile: Profile, place: Opened, ca: Path, count: int) -> list[Picture]:
    """Every kind and format over one line, one picture after the other on a connection that is open."""
    found = []
    async with open_line(place.node_url, profile) as line, Crowd(place, ca, line.url) as crowd:
        (reader,) = await crowd.people(1)
        for kind in _kinds(place):
            # What is made only once (a connection, bricks of a volume) belongs to no picture.
            await _picture(reader, place, kind, {"accept": "image/jpeg", "quality": "20"}, 0, 1)
            for name, params in FORMATS.items():
                try:
                    shown = [
                        await _picture(reader, place, kind, params, number, count) for number in range(count)
                    ]
                except SivrError as error:
                    raise Unavailable(f"{kind} as {name} over {profile.name}: {error.message}") from error
                found.append(
                    Picture(
                        line=profile.name,
                        kind=kind,
                        format=name,
                        median_ms=report.percentile([one.whole_ms for one in shown], 0.5),
                        server_ms=sum(one.first_byte_ms for one in shown) / count - profile.round_trip_ms,
                        size_bytes=sum(one.size_bytes for one in shown) / count,
                    )
                )
    return found
