"""Series in memory: the asked-for first, the rest behind it, one load for all, within the budget."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from uuid import uuid4

import numpy as np
import pydicom
import pytest

from sivr.dicom.phantom import phantom_values, write_phantom
from sivr.errors import Exhausted, Invalid, NotFound, Unavailable
from sivr.model.studies import VolumeGrid
from sivr.services.loading import SeriesLoader
from sivr.services.open_series import COARSE_STEP, Array, OpenSeries
from sivr.services.reduction import reduced_shape
from sivr.services.segments import FOLDER, size_of
from sivr.services.slices import shown
from sivr.store.blobs import Blobs
from sivr.store.index import StoredInstance
from tests.services.stored import Store, store_files

MEGABYTE = 1024 * 1024
SHAPE = (40, 64, 48)


def loader(store: Store, megabytes: float = 64, threads: int = 2, blobs: Blobs | None = None) -> SeriesLoader:
    return SeriesLoader(
        store.index,
        blobs or store.blobs,
        node_id=f"test-{uuid4().hex}",
        budget_bytes=int(megabytes * MEGABYTE),
        threads=threads,
    )


async def loaded(found: SeriesLoader, series: OpenSeries) -> None:
    while found.progress(series).state != "complete":
        assert found.progress(series).state == "loading"
        await asyncio.sleep(0.005)


async def opened(found: SeriesLoader, stored: Sequence[StoredInstance]) -> OpenSeries:
    return await found.open(stored[0].header.study_uid, stored[0].header.series_uid)


@pytest.mark.parametrize("multi_frame", [False, True])
async def test_a_series_is_loaded_and_equals_its_phantom(
    store: Store, tmp_path: Path, multi_frame: bool
) -> None:
    paths = write_phantom(tmp_path / "in", "letter", SHAPE, multi_frame=multi_frame)
    stored = await store_files(store, reversed(paths))
    truth = phantom_values("letter", SHAPE)
    async with loader(store) as found:
        series = await opened(found, stored)
        assert series.total == SHAPE[0]
        assert found.progress(series).state == "idle"
        middle = await found.frame(series, 20)
        scale = series.scale
        assert scale is not None
        assert (middle * scale.slope + scale.intercept == truth[20]).all()
        await loaded(found, series)
        assert series.segment is not None
        assert (series.segment.voxels * scale.slope + scale.intercept == truth).all()
        async with found.volume(series, coarse=False) as source:
            assert source.shape == SHAPE
            raw = (FOLDER / source.shm_name).read_bytes()
            voxels = np.frombuffer(raw, source.dtype, int(np.prod(SHAPE))).reshape(SHAPE)
            assert (voxels * source.slope + source.intercept == truth).all()
            assert set(raw[source.status_offset : source.status_offset + SHAPE[0]]) == {1}
        name = series.segment.name
    assert not (FOLDER / name).exists()


async def test_the_asked_for_comes_first_then_every_eighth_then_outward(store: Store, tmp_path: Path) -> None:
    stored = await store_files(store, write_phantom(tmp_path / "in", "ramp", SHAPE))
    async with loader(store, threads=1) as found:
        series = await opened(found, stored)
        order: list[int] = []
        read = found._reader.read_into

        def watched(one: OpenSeries, position: int, *rest: object) -> object:
            order.append(position)
            return read(one, position, *rest)  # type: ignore[arg-type]

        found._reader.read_into = watched  # type: ignore[method-assign, assignment]
        await found.frame(series, 21)
        await loaded(found, series)
    coarse = list(range(0, SHAPE[0], COARSE_STEP))
    assert sorted(order) == sorted(set(range(SHAPE[0])) - {21})
    assert sorted(order[: len(coarse)]) == coarse
    distances = [abs(position - 21) for position in order[len(coarse) :]]
    assert distances == sorted(distances)


async def test_what_lies_on_the_way_is_fetched_before_what_lies_behind(store: Store, tmp_path: Path) -> None:
    stored = await store_files(store, write_phantom(tmp_path / "in", "ramp", SHAPE))
    async with loader(store) as found:
        series = await opened(found, stored)
        series.look_at(20)
        assert series.frames_around(4) == [20, 21, 19, 22, 18, 23, 17], (
            "nobody knows where a reader goes first"
        )
        series.look_at(21)
        assert series.frames_around(7) == [21, 22, 23, 24, 20, 25, 26, 27, 19, 18, 17, 16, 15]
        series.look_at(20)
        assert series.frames_around(4)[:4] == [20, 19, 18, 21]
        assert sorted(series.frames_around(100)) == list(range(SHAPE[0]))


async def test_one_load_serves_everybody(store: Store, tmp_path: Path) -> None:
    stored = await store_files(store, write_phantom(tmp_path / "in", "ramp", SHAPE))
    async with loader(store) as found:
        many = await asyncio.gather(*(opened(found, stored) for _ in range(10)))
        assert len({id(one) for one in many}) == 1
        frames = await asyncio.gather(*(found.frame(many[0], 5) for _ in range(10)))
        assert all((frame == frames[0]).all() for frame in frames)
        await loaded(found, many[0])
        assert found.used_bytes == size_of(SHAPE, "int16")


async def test_who_goes_away_takes_only_his_own_request_along(store: Store, tmp_path: Path) -> None:
    stored = await store_files(store, write_phantom(tmp_path / "in", "ramp", SHAPE))
    async with loader(store, threads=1) as found:
        series = await opened(found, stored)
        tasks = [asyncio.create_task(found.frame(series, position)) for position in (3, 3, 4)]
        await asyncio.sleep(0)
        tasks[0].cancel()
        tasks[2].cancel()
        assert (await tasks[1]).shape == SHAPE[1:]
        again = await found.frame(series, 4)
        assert again.shape == SHAPE[1:]


async def test_the_budget_holds_however_many_series_are_opened(store: Store, tmp_path: Path) -> None:
    series_bytes = int(np.prod(SHAPE)) * 2
    all_stored = [
        await store_files(
            store, write_phantom(tmp_path / str(n), "ramp", SHAPE, study=f"s{n}", multi_frame=True)
        )
        for n in range(10)
    ]
    async with loader(store, megabytes=3.5 * series_bytes / MEGABYTE) as found:
        for stored in all_stored:
            series = await opened(found, stored)
            async with found.volume(series, coarse=False) as source:
                assert source.shape == SHAPE
                assert found.used_bytes <= 3.5 * series_bytes
        segments = [one for one in found._series.values() if one.segment is not None]
        assert len(segments) == 3
        assert segments[-1].study_uid == all_stored[-1][0].header.study_uid
        # The first can be read again although its memory was given back.
        series = await opened(found, all_stored[0])
        assert (await found.frame(series, 7)).shape == SHAPE[1:]


async def test_a_series_over_the_budget_is_read_slice_by_slice(store: Store, tmp_path: Path) -> None:
    stored = await store_files(store, write_phantom(tmp_path / "in", "letter", SHAPE))
    truth = phantom_values("letter", SHAPE)
    frame_bytes = SHAPE[1] * SHAPE[2] * 2
    async with loader(store, megabytes=6 * frame_bytes / MEGABYTE) as found:
        series = await opened(found, stored)
        for position in (0, 39, 20, 21, 22):
            frame = await found.frame(series, position)
            assert series.scale is not None
            assert (frame * series.scale.slope + series.scale.intercept == truth[position]).all()
            assert found.used_bytes <= 6 * frame_bytes
        assert series.segment is None


async def test_a_volume_over_the_budget_is_shown_from_means(store: Store, tmp_path: Path) -> None:
    stored = await store_files(store, write_phantom(tmp_path / "in", "letter", SHAPE))
    truth = phantom_values("letter", SHAPE)
    budget = size_of(SHAPE, "int16") // 3
    async with loader(store, megabytes=budget / MEGABYTE) as found:
        series = await opened(found, stored)
        async with found.volume(series, coarse=False) as source:
            factors = source.reduced
            assert np.prod(factors) in (3, 4) and not source.preliminary
            assert source.shape == reduced_shape(SHAPE, factors)
            assert found.used_bytes <= budget
            assert series.segment is not None and series.scale is not None
            wanted = block_means_by_numpy(truth / series.scale.slope, factors)
            offset = series.scale.intercept / series.scale.slope
            assert np.abs(series.segment.voxels + offset - wanted).max() <= 0.5
            # The same patient at the same place: the middle of the volume does not move.
            full, means = np.array(grid_of(series).lps_from_ijk), np.array(source.lps_from_ijk)
            low = np.array([*(np.array(factors[::-1]) - 1.0), 0]) / 2
            assert np.allclose(means @ [0, 0, 0, 1], full @ np.add(low, [0, 0, 0, 1]))
        progress = found.progress(series)
        assert progress.state == "complete" and progress.slices_loaded == progress.slices_total == SHAPE[0]
        # Slices are read in full beside it.
        frame = await found.frame(series, 17)
        assert (frame * series.scale.slope + series.scale.intercept == truth[17]).all()
        assert series.segment is not None and series.segment.reduced
        async with found.volume(series, coarse=True) as source:
            assert source.reduced == factors
        assert found.used_bytes <= budget


async def test_padding_is_no_part_of_means_and_broken_slices_are_left_out(
    store: Store, tmp_path: Path
) -> None:
    def change(data: pydicom.Dataset, number: int) -> None:
        values = np.full((64, 48), 1000 + number, np.int16)
        values[:8] = -2000
        values[:, 47] = -2000
        data.PixelRepresentation = 1
        data.add_new(0x00280120, "SS", -2000)
        data.add_new(0x7FE00010, "OW", values.tobytes())

    paths = rewritten(tmp_path / "out", write_phantom(tmp_path / "in", "ramp", SHAPE), change)
    stored = await store_files(store, paths)
    lame = BrokenBlobs(store.blobs, stored[1].sha256)
    budget = size_of(SHAPE, "int16") // 7
    async with loader(store, megabytes=budget / MEGABYTE, blobs=lame) as found:  # type: ignore[arg-type]
        series = await opened(found, stored)
        async with found.volume(series, coarse=False) as source:
            assert series.segment is not None and source.padding_value == -2000
            voxels, deep = series.segment.voxels, source.reduced[0]
            image = voxels[:, -(-8 // source.reduced[1]) :, : 47 // source.reduced[2]]
            for k, layer in enumerate(image):
                of = [n for n in range(k * deep, min((k + 1) * deep, SHAPE[0])) if n != 1]
                assert (layer == round(1000 + float(np.mean(of)))).all() if of else (layer == -2000).all()
            assert (voxels[:, : 8 // source.reduced[1]] == -2000).all()
        assert list(found.progress(series).broken) == ["2"]


async def test_a_reduced_volume_is_shown_in_full_when_there_is_room_again(
    store: Store, tmp_path: Path
) -> None:
    first = await store_files(
        store, write_phantom(tmp_path / "a", "ramp", SHAPE, study="a", multi_frame=True)
    )
    second = await store_files(
        store, write_phantom(tmp_path / "b", "ramp", SHAPE, study="b", multi_frame=True)
    )
    size = size_of(SHAPE, "int16")
    async with loader(store, megabytes=1.5 * size / MEGABYTE) as found:
        one, other = await opened(found, first), await opened(found, second)
        async with found.volume(one, coarse=False) as source:
            async with found.volume(other, coarse=False) as beside:
                assert beside.reduced != (1, 1, 1)
                assert found.used_bytes <= 1.5 * size
            assert (FOLDER / source.shm_name).exists(), "a volume in use is not evicted"
        one.asked -= 60
        async with found.volume(other, coarse=False) as whole:
            # Its own means make room; the first, of which nobody looks at pictures any more, does too.
            assert whole.reduced == (1, 1, 1) and whole.shape == SHAPE
        assert found.used_bytes <= 1.5 * size
        assert not (FOLDER / beside.shm_name).exists()


async def test_a_volume_that_cannot_be_held_at_all_is_refused(store: Store, tmp_path: Path) -> None:
    stored = await store_files(store, write_phantom(tmp_path / "in", "ramp", (8, 16, 16)))
    async with loader(store, megabytes=0.00001) as found:
        series = await opened(found, stored)
        with pytest.raises(Exhausted, match="MB of memory"):
            async with found.volume(series, coarse=True):
                pass


def grid_of(series: OpenSeries) -> VolumeGrid:
    assert series.stack.volume is not None
    return series.stack.volume


def block_means_by_numpy(values: Array, factors: tuple[int, int, int]) -> Array:
    """Means of blocks, the slow way."""
    shape = reduced_shape(values.shape, factors)
    found = np.empty(shape)
    for place in np.ndindex(*shape):
        block = tuple(slice(n * f, (n + 1) * f) for n, f in zip(place, factors, strict=True))
        found[place] = values[block].mean()
    return found


async def test_a_coarse_volume_is_there_before_the_whole(store: Store, tmp_path: Path) -> None:
    shape = (160, 128, 128)
    stored = await store_files(store, write_phantom(tmp_path / "in", "ramp", shape, multi_frame=True))
    async with loader(store, threads=1) as found:
        series = await opened(found, stored)
        async with found.volume(series, coarse=True):
            assert series.segment is not None
            ready = series.segment.ready.copy()
            assert ready[::COARSE_STEP].all()
            assert not ready.all()
        async with found.volume(series, coarse=False):
            assert series.segment.ready.all()


async def test_loading_pauses_for_the_first_coarse_picture(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sivr.services.volume_loading.HOLD_S", 60.0)
    shape = (320, 64, 64)
    stored = await store_files(store, write_phantom(tmp_path / "in", "ramp", shape, multi_frame=True))
    async with loader(store, threads=1) as found:
        series = await opened(found, stored)
        async with found.volume(series, coarse=True):
            assert series.segment is not None
            # What had begun is finished; nothing new is begun.
            while series.slices_in_flight:
                await asyncio.sleep(0.001)
            before = int(series.segment.ready.sum())
            found._pool.wake()
            await asyncio.sleep(0.05)
            assert int(series.segment.ready.sum()) == before < shape[0]
            assert (await found.frame(series, 3)).shape == shape[1:], "slices are read all the same"
        # Others, and the next ones, are not waited for.
        async with found.volume(series, coarse=True):
            while not series.segment.ready.all():
                await asyncio.sleep(0.001)


async def test_loading_does_not_wait_for_a_picture_that_does_not_come(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sivr.services.volume_loading.HOLD_S", 0.05)
    shape = (320, 64, 64)
    stored = await store_files(store, write_phantom(tmp_path / "in", "ramp", shape, multi_frame=True))
    async with loader(store, threads=1) as found:
        series = await opened(found, stored)
        async with found.volume(series, coarse=True):
            assert series.segment is not None
            while not series.segment.ready.all():
                await asyncio.sleep(0.001)


async def test_a_broken_frame_is_told_and_the_rest_is_loaded(store: Store, tmp_path: Path) -> None:
    paths = write_phantom(tmp_path / "in", "letter", SHAPE)
    stored = await store_files(store, paths)
    # The object loses its pixels after it was indexed, as on a failing disk.
    broken = stored[11]
    lame = BrokenBlobs(store.blobs, broken.sha256)
    async with loader(store, blobs=lame) as found:  # type: ignore[arg-type]
        series = await opened(found, stored)
        with pytest.raises(Invalid) as caught:
            await found.frame(series, 11)
        assert caught.value.message.endswith(".")
        async with found.volume(series, coarse=False):
            assert series.segment is not None
            assert len(np.unique(series.segment.voxels[11])) == 1
        assert found.progress(series).broken == {"12": caught.value.message}
        assert found.progress(series).state == "complete"
        with pytest.raises(Invalid):
            await found.frame(series, 11)
        assert (await found.frame(series, 12)).shape == SHAPE[1:]


class BrokenBlobs:
    """Blobs of which one is cut short."""

    def __init__(self, blobs: Blobs, sha256: str) -> None:
        self._blobs = blobs
        self._sha256 = sha256

    def read(self, sha256: str, offset: int, length: int) -> bytes:
        found = self._blobs.read(sha256, offset, length)
        return found[:100] if sha256 == self._sha256 else found

    def read_into(self, sha256: str, offset: int, out: memoryview) -> int:
        found = self.read(sha256, offset, len(out))
        out[: len(found)] = found
        return len(found)


async def test_new_objects_of_a_series_are_seen(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sivr.services.loading.REVALIDATE_S", 0.0)
    paths = write_phantom(tmp_path / "in", "ramp", SHAPE)
    stored = await store_files(store, paths[:20])
    async with loader(store) as found:
        series = await opened(found, stored)
        assert series.total == 20
        async with found.volume(series, coarse=False) as source:
            await store_files(store, paths[20:])
            grown = await opened(found, stored)
            assert grown.total == 40
            assert (FOLDER / source.shm_name).exists(), "a picture is being made from it"
            async with found.volume(grown, coarse=False) as whole:
                assert whole.shape == SHAPE
        assert not (FOLDER / source.shm_name).exists()
        assert await opened(found, stored) is grown


async def test_what_is_not_there_is_not_found(store: Store, tmp_path: Path) -> None:
    stored = await store_files(store, write_phantom(tmp_path / "in", "ramp", (3, 8, 8)))
    async with loader(store) as found:
        with pytest.raises(NotFound):
            await found.open("1.2.3", "4.5.6")
        series = await opened(found, stored)
        with pytest.raises(NotFound):
            await found.frame(series, 3)
        with pytest.raises(NotFound):
            series.position_of("1.2.3", 1)
        with pytest.raises(NotFound):
            series.position_of(stored[0].header.instance_uid, 2)


async def test_objects_that_can_only_be_read_whole_are_read_once(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pydicom = pytest.importorskip("pydicom")
    shape = (12, 32, 32)
    path = write_phantom(tmp_path / "in", "letter", shape, multi_frame=True)[0]
    data = pydicom.dcmread(path)
    data.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
    data.save_as(path)
    stored = await store_files(store, [path])
    assert all(not frame.parts for frame in stored[0].header.frames)
    opened_files = 0
    real = store.blobs.open

    def counted(sha256: str) -> object:
        nonlocal opened_files
        opened_files += 1
        return real(sha256)

    monkeypatch.setattr(store.blobs, "open", counted)
    async with loader(store) as found:
        series = await opened(found, stored)
        frames = await asyncio.gather(*(found.frame(series, position) for position in (3, 9, 0)))
        truth = phantom_values("letter", shape)
        assert series.scale is not None
        assert (frames[1] * series.scale.slope + series.scale.intercept == truth[9]).all()
        async with found.volume(series, coarse=False):
            pass
        assert opened_files == 1


class Hiccup:
    """Blobs on a disk that fails for a while."""

    def __init__(self, blobs: Blobs, sha256: str) -> None:
        self._blobs = blobs
        self._sha256 = sha256
        self.failing = True

    def read(self, sha256: str, offset: int, length: int) -> bytes:
        if self.failing and sha256 == self._sha256:
            raise OSError(5, "Input/output error")
        return self._blobs.read(sha256, offset, length)

    def read_into(self, sha256: str, offset: int, out: memoryview) -> int:
        if self.failing and sha256 == self._sha256:
            raise OSError(5, "Input/output error")
        return self._blobs.read_into(sha256, offset, out)


async def test_a_disk_that_fails_for_a_while_breaks_nothing_for_good(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sivr.services.loading.RETRY_S", 0.2)
    stored = await store_files(store, write_phantom(tmp_path / "in", "letter", SHAPE))
    truth = phantom_values("letter", SHAPE)
    disk = Hiccup(store.blobs, stored[11].sha256)
    async with loader(store, blobs=disk) as found:  # type: ignore[arg-type]
        series = await opened(found, stored)
        with pytest.raises(Unavailable):
            await found.frame(series, 11)
        with pytest.raises(Unavailable):
            async with found.volume(series, coarse=False):
                pass
        assert not found.progress(series).broken
        assert found.progress(series).state == "loading"
        disk.failing = False
        async with found.volume(series, coarse=False):
            assert series.segment is not None and series.scale is not None
            voxels = series.segment.voxels * series.scale.slope + series.scale.intercept
            assert (voxels == truth).all()
        assert (
            await found.frame(series, 11) * series.scale.slope + series.scale.intercept == truth[11]
        ).all()


@pytest.mark.parametrize("multi_frame", [False, True])
async def test_no_memory_for_a_while_breaks_nothing_for_good(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, multi_frame: bool
) -> None:
    monkeypatch.setattr("sivr.services.loading.RETRY_S", 0.2)
    stored = await store_files(
        store, write_phantom(tmp_path / "in", "letter", SHAPE, multi_frame=multi_frame)
    )
    truth = phantom_values("letter", SHAPE)
    write, full = os.pwrite, True

    def to_a_full_disk(file: int, data: memoryview, at: int) -> int:
        if full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(file, data, at)

    monkeypatch.setattr("sivr.services.segments.os.pwrite", to_a_full_disk)
    async with loader(store) as found:
        series = await opened(found, stored)
        assert series.scale is not None
        with pytest.raises(Unavailable):
            async with found.volume(series, coarse=False):
                pass
        frame = await found.frame(series, 11)
        assert (frame * series.scale.slope + series.scale.intercept == truth[11]).all()
        assert not found.progress(series).broken
        full = False
        # What was on its way when there was no memory may still say so.
        await asyncio.sleep(0.3)
        async with found.volume(series, coarse=False):
            assert series.segment is not None
            voxels = series.segment.voxels * series.scale.slope + series.scale.intercept
            assert (voxels == truth).all()


def rewritten(
    folder: Path, paths: Sequence[Path], change: Callable[[pydicom.Dataset, int], None]
) -> list[Path]:
    """Copies of files, changed by pydicom."""
    folder.mkdir()
    found = []
    for number, path in enumerate(paths):
        data = pydicom.dcmread(path)
        change(data, number)
        data.save_as(folder / path.name, enforce_file_format=True)
        found.append(folder / path.name)
    return found


async def test_signed_bytes_are_shown_from_the_volume_too(store: Store, tmp_path: Path) -> None:
    values = np.linspace(-120, 120, 64 * 48).reshape(64, 48).astype(np.int8)

    def change(data: pydicom.Dataset, number: int) -> None:
        data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 8, 8, 7, 1
        data.RescaleIntercept, data.WindowCenter, data.WindowWidth = 0, 0, 256
        data.add_new(0x7FE00010, "OB", values.tobytes())

    paths = rewritten(tmp_path / "out", write_phantom(tmp_path / "in", "ramp", (5, 64, 48)), change)
    stored = await store_files(store, paths)
    async with loader(store) as found:
        series = await opened(found, stored)
        alone = shown(stored[2].header, 0, await found.frame(series, 2), None, invert=False)
        await loaded(found, series)
        assert series.segment is not None and series.segment.ready.all()
        again = shown(stored[2].header, 0, await found.frame(series, 2), None, invert=False)
        assert np.array_equal(alone, again)
        assert np.abs(alone.astype(int) - (values.astype(int) + 128)).max() <= 1


async def test_a_range_of_padding_is_padding_in_the_volume(store: Store, tmp_path: Path) -> None:
    def change(data: pydicom.Dataset, number: int) -> None:
        values = np.full((64, 48), 1000 + number, np.uint16)
        values[:8] = 4000 + np.arange(48)
        data.PixelRepresentation = 0
        data.add_new(0x00280120, "US", 4000)
        data.add_new(0x00280121, "US", 4095)
        data.add_new(0x7FE00010, "OW", values.tobytes())

    paths = rewritten(tmp_path / "out", write_phantom(tmp_path / "in", "ramp", (5, 64, 48)), change)
    stored = await store_files(store, paths)
    async with loader(store) as found:
        series = await opened(found, stored)
        async with found.volume(series, coarse=False) as source:
            assert source.padding_value == 4000
            assert series.segment is not None
            assert (series.segment.voxels[:, :8] == 4000).all()
            assert (series.segment.voxels[3, 8:] == 1003).all()


async def test_float_padding_is_not_part_of_the_range(store: Store, tmp_path: Path) -> None:
    lowest = float(np.finfo(np.float32).min)

    def change(data: pydicom.Dataset, number: int) -> None:
        values = np.linspace(-5, 5, 64 * 48).reshape(64, 48).astype(np.float32)
        values[:8] = lowest
        del data.PixelData
        for name in ("PixelRepresentation", "BitsStored", "HighBit", "RescaleSlope", "RescaleIntercept"):
            if name in data:
                delattr(data, name)
        data.BitsAllocated = 32
        data.add_new(0x00280122, "FL", lowest)
        data.add_new(0x7FE00008, "OF", values.tobytes())

    paths = rewritten(tmp_path / "out", write_phantom(tmp_path / "in", "ramp", (4, 64, 48)), change)
    stored = await store_files(store, paths)
    async with loader(store) as found:
        series = await opened(found, stored)
        async with found.volume(series, coarse=False) as source:
            assert series.segment is not None and source.padding_value is not None
            values = series.segment.voxels * source.slope + source.intercept
            assert (series.segment.voxels[:, :8] == source.padding_value).all()
            truth = np.linspace(-5, 5, 64 * 48).reshape(64, 48)[8:]
            assert np.abs(values[:, 8:] - truth).max() < 0.001
        pixels = shown(stored[0].header, 0, await found.frame(series, 0), None, invert=False)
        assert not pixels[:8].any() and pixels[-1, -1] > 200


async def test_a_record_that_was_closed_stays_closed(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sivr.services.loading.REVALIDATE_S", 0.0)
    stored = await store_files(store, write_phantom(tmp_path / "in", "ramp", (4, 16, 16)))
    async with loader(store) as found:
        series = await opened(found, stored)
        key = (series.study_uid, series.series_uid)
        again = asyncio.create_task(found.open(*key))
        await asyncio.sleep(0)
        # Too many others were opened while the database was asked.
        found._retire(key)
        fresh = await again
        assert not fresh.retired and fresh is not series
        async with found.volume(fresh, coarse=False) as source:
            assert source.shape == (4, 16, 16)
        await found.frame(fresh, 0)
        assert fresh.segment is not None
