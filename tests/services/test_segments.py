"""Shared memory of volumes: seen from outside, given back, and cleaned up after a kill."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
from multiprocessing import shared_memory
from types import SimpleNamespace
from uuid import uuid4

import numpy as np
import pytest

from sivr.errors import Exhausted
from sivr.kernels.tiles import tile_ranges, tiles_of
from sivr.services.segments import FOLDER, Segment, release_lingering, remove_leftovers, size_of


@pytest.fixture
def prefix() -> str:
    return f"sivr-test{uuid4().hex[:8]}"


def test_what_is_written_is_seen_by_name(prefix: str) -> None:
    segment = Segment(prefix, (3, 4, 5), "int16")
    try:
        segment.voxels[1] = -7
        segment.ready[1] = 1
        raw = (FOLDER / segment.name).read_bytes()
        voxels = np.frombuffer(raw, "<i2", 60).reshape(3, 4, 5)
        assert (voxels[1] == -7).all() and (voxels[0] == 0).all()
        assert raw[segment.status_offset : segment.status_offset + 3] == b"\x00\x01\x00"
        assert segment.size_bytes == size_of((3, 4, 5), "int16") == len(raw)
    finally:
        segment.close()
    assert not (FOLDER / segment.name).exists()


def test_ranges_of_tiles_are_there_when_a_slice_is_ready(prefix: str) -> None:
    images = np.random.default_rng(3).integers(-500, 500, (3, 10, 13)).astype(np.int16)
    images[1, :5] = 77
    segment = Segment(prefix, images.shape, "int16", padding=77)
    try:
        for k in (1, 2):
            segment.put(k, images[k])
        raw = (FOLDER / segment.name).read_bytes()
        tiles = (2, *tiles_of(segment.shape))
        ranges = np.frombuffer(raw, "<i2", int(np.prod(tiles)), segment.ranges_offset).reshape(tiles)
        for k in (1, 2):
            seen = np.where(images[k] == 77, np.int16(-32768), images[k])
            for found, wanted in zip(ranges[:, k], tile_ranges(seen), strict=True):
                assert (found == wanted).all()
        assert segment.ready.tolist() == [0, 1, 1]
    finally:
        segment.close()


def test_a_closed_segment_lasts_until_nobody_looks(prefix: str) -> None:
    segment = Segment(prefix, (1, 2, 2), "uint8")
    segment.voxels[0] = 9
    looking = segment.voxels[0]
    segment.close()
    segment.close()
    assert (looking == 9).all()
    assert release_lingering() >= 1
    del looking
    assert release_lingering() == 0


def test_what_missing_slices_will_take_is_promised(prefix: str) -> None:
    segment = Segment(prefix, (4, 1024, 1024), "uint8")
    try:
        assert segment.promised_bytes == 4 << 20
        kept = segment.put(2, 7)
        assert kept is not None and (kept == 7).all() and (segment.voxels[2] == 7).all()
        assert segment.promised_bytes == 3 << 20
    finally:
        segment.close()
    assert segment.promised_bytes == 0
    segment = Segment(prefix, (4, 1024, 1024), "uint8", mapped=True)
    assert segment.promised_bytes == 0, "it is taken already"
    segment.close()


def test_two_at_once_are_not_promised_the_same_memory(prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Six megabytes are left, and stay so: nothing is written yet.
    small = SimpleNamespace(f_bavail=6 << 20, f_frsize=1)
    monkeypatch.setattr("sivr.services.segments.os.statvfs", lambda folder: small)
    made: list[Segment] = []
    refused: list[Exhausted] = []

    def make() -> None:
        try:
            made.append(Segment(prefix, (4, 1024, 1024), "uint8"))
        except Exhausted as error:
            refused.append(error)

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    try:
        assert (len(made), len(refused)) == (1, 3)
    finally:
        for segment in made:
            segment.close()


def test_what_is_ready_stays(prefix: str) -> None:
    segment = Segment(prefix, (2, 4, 4), "uint8")
    try:
        segment.put(1, 7)
        kept = segment.put(1, 8)
        assert kept is not None and (kept == 7).all()
        with pytest.raises(ValueError, match="size"):
            segment.put(0, np.zeros((4, 5), np.uint8))
        del kept
    finally:
        segment.close()


def test_no_memory_is_an_error_and_the_slice_is_missing(prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    segment = Segment(prefix, (2, 4, 4), "uint8")
    try:
        with monkeypatch.context() as full:

            def no_space(*given: object) -> int:
                raise OSError(errno.ENOSPC, "No space left on device")

            full.setattr("sivr.services.segments.os.pwrite", no_space)
            with pytest.raises(Exhausted):
                segment.put(0, 7)
        assert segment.ready.tolist() == [0, 0]
        segment.put(0, 7)
        assert segment.ready.tolist() == [1, 0]
    finally:
        segment.close()


def test_a_file_stays_open_until_the_last_writer_is_done(
    prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else its number could be another file's, and voxels be written there."""
    segment = Segment(prefix, (2, 4, 4), "uint8")
    closed: list[int] = []
    write, close = os.pwrite, os.close

    def slowly(file: int, data: memoryview, at: int) -> int:
        segment.close()
        assert not closed
        return write(file, data, at)

    monkeypatch.setattr("sivr.services.segments.os.pwrite", slowly)
    monkeypatch.setattr("sivr.services.segments.os.close", lambda file: (closed.append(file), close(file)))
    segment.put(0, 7)
    assert len(closed) == 1
    assert segment.put(1, 7) is None
    assert not (FOLDER / segment.name).exists()


def test_more_than_the_machine_has_is_refused(prefix: str) -> None:
    free = os.statvfs(FOLDER)
    slices = free.f_bavail * free.f_frsize // (4096 * 4096) + 2
    with pytest.raises(Exhausted):
        Segment(prefix, (int(slices), 4096, 4096), "uint8")
    assert not list(FOLDER.glob(f"{prefix}-*"))


def test_what_a_killed_process_left_is_removed(prefix: str) -> None:
    code = f"""
import os, time
from multiprocessing import resource_tracker
from sivr.services.segments import Segment
segment = Segment({prefix!r}, (2, 8, 8), "uint8")
resource_tracker.unregister("/" + segment.name, "shared_memory")  # as when the tracker is killed with it
print(segment.name, flush=True)
time.sleep(60)
"""
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    name = child.stdout.readline().strip()
    try:
        assert (FOLDER / name).exists()
        assert remove_leftovers(prefix) == 0, "a living process keeps what it has"
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
    assert (FOLDER / name).exists()
    assert remove_leftovers(prefix) == 1
    assert not (FOLDER / name).exists()


def test_own_living_segments_are_not_leftovers(prefix: str) -> None:
    segment = Segment(prefix, (1, 2, 2), "uint8")
    try:
        assert remove_leftovers(prefix) == 0
        again = shared_memory.SharedMemory(segment.name)
        again.close()
    finally:
        segment.close()
