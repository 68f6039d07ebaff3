"""Whole series from the disk into the shared memory that pictures are made from, stored in four ways.

    python benchmarks/storage.py [--records ABCD] [--rounds 3]

The records of the paper's Table 2 (generated, 16 bit) are stored raw, compressed, encrypted and both, and
loaded by the node's own loader: read, decrypted, decompressed, decoded, put in order. The peer, alternating
in the same run, is a plain program that reads the same files one after the other and decrypts and
decompresses them into fresh memory, with one thread. Both read from the system's cache, so that the disk of
the day says nothing. Ratios are of wall time: the loader is meant to use every core. CPU times, all threads
together, are printed beside them; the loader's hold the ranges of bricks too, which it finds on the way.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import msgspec
from measure import Row, Timing, save, show

from sivr.crypto import MasterKeys
from sivr.dicom.phantom import benchmark_record
from sivr.services.loading import SeriesLoader
from sivr.store import sealing
from sivr.store.blobs import Blobs
from sivr.store.index import StoredInstance
from sivr.store.sealing import CHUNK_BYTES, Form
from sivr.store.study_keys import StudyKeys
from tests.services.stored import Store, open_store, store_files

FORMS = {
    "raw": Form(),
    "compressed": Form(True),
    "encrypted": Form(False, "aes-256-gcm"),
    "both": Form(True, "aes-256-gcm"),
}
PAPER_S = {
    "A": (0.09, 0.08, 0.08, 0.09),
    "B": (0.43, 0.44, 0.45, 0.43),
    "C": (3.63, 3.67, 3.57, 3.59),
    "D": (11.27, 11.45, 11.07, 11.26),
}
OF_PLAIN = 0.7
OF_PAPER = 5.0


class Place(msgspec.Struct, frozen=True):
    """A record stored in one way."""

    stored: list[StoredInstance]
    blobs: Blobs
    store: Store


def clocks() -> tuple[float, float]:
    """CPU time of this process and wall time, seconds."""
    return time.process_time(), time.perf_counter()


def since(begin: tuple[float, float]) -> Timing:
    """What has passed on both clocks."""
    now = clocks()
    return Timing((now[0] - begin[0]) * 1000, (now[1] - begin[1]) * 1000)


def plain(place: Place) -> Timing:
    """Read every object from its beginning to its end, opened, in one thread, and keep what was read."""
    started = clocks()
    kept = []
    for one in place.stored:
        descriptor = place.blobs._open(one.sha256)
        try:
            layout = place.blobs._layout(descriptor, one.sha256)
            if layout is None:
                out = bytearray(one.size_bytes)
                at = 0
                while at < len(out):
                    at += os.preadv(descriptor, [memoryview(out)[at : at + CHUNK_BYTES]], at)
            else:
                out = bytearray(layout.size)
                sealing.read_into(descriptor, layout, 0, memoryview(out))
        finally:
            os.close(descriptor)
        kept.append(out)
    spent = since(started)
    assert [len(out) for out in kept] == [one.size_bytes for one in place.stored]
    return spent


async def whole(place: Place) -> Timing:
    """Until the loader has the last slice in shared memory, from nothing."""
    header = place.stored[0].header
    async with SeriesLoader(
        place.store.index, place.blobs, node_id="bench", budget_bytes=4 << 30, threads=os.cpu_count() or 1
    ) as loader:
        started = clocks()
        series = await loader.open(header.study_uid, header.series_uid)
        async with loader.volume(series, coarse=False):
            return since(started)


async def record(letter: str, rounds: int, scratch: Path) -> list[Row]:
    """The rows of one record."""
    paths = await asyncio.to_thread(benchmark_record, scratch / "in", letter, multi_frame=True)
    master_key = scratch / "master"
    MasterKeys.generate().save(master_key)
    rows: list[Row] = []
    async with open_store(scratch) as store:
        keys = StudyKeys(store.database, partial(MasterKeys.load, master_key))
        await keys.start()
        places: dict[str, Place] = {}
        for name, form in FORMS.items():
            blobs = Blobs(scratch / name, form, keys.key_of)
            began = time.perf_counter()
            stored = await store_files(store, paths, blobs=blobs, keys=keys if form.cipher else None)
            seconds = time.perf_counter() - began
            places[name] = Place(stored, blobs, store)
            plain_mb = sum(one.size_bytes for one in stored) / 1e6
            on_disk = sum(path.stat().st_size for path in (scratch / name).rglob("*") if path.is_file()) / 1e6
            print(f"{letter} {name}: {plain_mb:.0f} MB, {on_disk:.0f} MB on disk, stored in {seconds:.1f} s")
        for number, (name, place) in enumerate(places.items()):
            ours: list[Timing] = []
            peer: list[Timing] = []
            for turn in range(rounds + 1):
                pair = (await asyncio.to_thread(plain, place), await whole(place))
                if turn:
                    peer.append(pair[0])
                    ours.append(pair[1])
            ours_cpu, peer_cpu = (statistics.median(one.cpu_ms for one in side) for side in (ours, peer))
            ours_ms, peer_ms = (statistics.median(one.wall_ms for one in side) for side in (ours, peer))
            paper_ms = PAPER_S[letter][number] * 1000
            what = f"record {letter} into memory, {name}"
            print(f"{what}: CPU {ours_cpu:.0f} / {peer_cpu:.0f} ms, wall {ours_ms:.0f} / {peer_ms:.0f} ms")
            ratio = statistics.median(two.wall_ms / one.wall_ms for one, two in zip(ours, peer, strict=True))
            note = f"CPU {ours_cpu:.0f} / {peer_cpu:.0f} ms"
            text = f"{ours_ms:.0f} ms"
            rows.append(Row(what, text, f"plain reading {peer_ms:.0f} ms", ratio, OF_PLAIN, note))
            rows.append(Row(what, text, f"paper {paper_ms:.0f} ms", paper_ms / ours_ms, OF_PAPER))
    return rows


def main() -> int:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--records", default="ABCD")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows: list[Row] = []
    for letter in options.records:
        with tempfile.TemporaryDirectory() as scratch:
            rows += asyncio.run(record(letter, options.rounds, Path(scratch)))
    print(show(rows))
    if options.json:
        save(options.json, rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
