"""Overviews of volumes: exactly means of voxels, shown at once after a restart, never taken for the whole."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest

from sivr.dicom.phantom import phantom_values, write_phantom
from sivr.services import overviews
from sivr.services.loading import SeriesLoader
from sivr.services.open_series import OpenSeries
from sivr.services.overviews import Overviews, overview_of
from sivr.services.segments import FOLDER
from sivr.store.derived import Derived
from sivr.store.index import StoredInstance
from sivr.store.sealing import Form, StudyKey
from tests.services.stored import Store, store_files
from tests.services.test_loading import block_means_by_numpy

SHAPE = (40, 64, 48)
MEGABYTE = 1024 * 1024
KEY = StudyKey(b"k" * 16, b"s" * 32)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Overviews of volumes that are small enough for tests, made at once."""
    monkeypatch.setattr("sivr.services.overviews.MOST_BYTES", 8192)
    monkeypatch.setattr("sivr.services.volume_loading.KEEP_AFTER_S", 0.0)


def derived_in(folder: Path, form: Form | None = None) -> Derived:
    return Derived(folder / "derived", form, lambda study: KEY, lambda number: KEY.key)


@asynccontextmanager
async def node(
    store: Store, derived: Derived | None, *, budget: int = 64 * MEGABYTE, threads: int = 1
) -> AsyncIterator[SeriesLoader]:
    """A loader as after a start of the node."""
    kept = None if derived is None else Overviews(derived, budget)
    async with SeriesLoader(
        store.index,
        store.blobs,
        node_id=f"test-{uuid4().hex}",
        budget_bytes=64 * MEGABYTE,
        threads=threads,
        overviews=kept,
    ) as found:
        yield found


async def opened(found: SeriesLoader, stored: list[StoredInstance]) -> OpenSeries:
    return await found.open(stored[0].header.study_uid, stored[0].header.series_uid)


def files(folder: Path) -> list[Path]:
    return sorted((folder / "derived").glob("*/*"))


async def made(store: Store, stored: list[StoredInstance], derived: Derived, folder: Path) -> None:
    """Look at the whole volume once, and wait until its overview is kept."""
    async with node(store, derived) as found:
        async with found.volume(await opened(found, stored), coarse=False) as source:
            assert source.reduced == (1, 1, 1) and not source.preliminary
        while not files(folder):
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    "form", [Form(), Form(compress=True), Form(compress=True, cipher="aes-256-gcm")], ids=str
)
async def test_the_first_volume_after_a_restart_is_the_overview(
    store: Store, tmp_path: Path, form: Form
) -> None:
    stored = await store_files(store, write_phantom(tmp_path / "in", "letter", SHAPE))
    derived = derived_in(tmp_path, form)
    await made(store, stored, derived, tmp_path)
    async with node(store, derived_in(tmp_path, form)) as found:
        series = await opened(found, stored)
        async with found.volume(series, coarse=True) as source:
            assert source.preliminary and np.prod(source.reduced) >= overviews.WORTH
            assert series.segment is None, "nothing competes with the first picture"
            raw = (FOLDER / source.shm_name).read_bytes()
            voxels = np.frombuffer(raw, source.dtype, int(np.prod(source.shape))).reshape(source.shape)
            assert set(raw[source.status_offset : source.status_offset + source.shape[0]]) == {1}
            truth = phantom_values("letter", SHAPE)
            wanted = block_means_by_numpy((truth - source.intercept) / source.slope, source.reduced)
            assert (voxels == np.rint(wanted)).all()
        # The rest comes by itself, and then the whole is shown to those who take coarse volumes too.
        while found.progress(series).state != "complete":
            await asyncio.sleep(0.01)
        async with found.volume(series, coarse=True) as whole:
            assert whole.reduced == (1, 1, 1) and not whole.preliminary and whole.shape == SHAPE
        assert series.overview is None
        assert not (FOLDER / source.shm_name).exists()


async def test_several_panes_are_shown_from_one_overview(store: Store, tmp_path: Path) -> None:
    stored = await store_files(store, write_phantom(tmp_path / "in", "letter", SHAPE))
    derived = derived_in(tmp_path)
    await made(store, stored, derived, tmp_path)
    async with node(store, derived) as found:
        series = await opened(found, stored)

        async def pane() -> tuple[bool, str]:
            async with found.volume(series, coarse=True) as source:
                return source.preliminary, source.shm_name

        first = asyncio.create_task(pane())
        await asyncio.sleep(0)
        others = [asyncio.create_task(pane()) for _ in range(3)]
        await asyncio.sleep(0)
        # The one who began it goes away; nobody else is concerned.
        first.cancel()
        seen = await asyncio.gather(*others)
        assert {preliminary for preliminary, _ in seen} == {True} and len({name for _, name in seen}) == 1


async def test_nobody_who_waits_for_the_whole_gets_an_overview(store: Store, tmp_path: Path) -> None:
    stored = await store_files(store, write_phantom(tmp_path / "in", "letter", SHAPE))
    derived = derived_in(tmp_path)
    await made(store, stored, derived, tmp_path)
    async with node(store, derived) as found:
        series = await opened(found, stored)
        async with found.volume(series, coarse=False) as source:
            assert not source.preliminary and source.shape == SHAPE


@pytest.mark.parametrize("form", [Form(), Form(compress=True, cipher="aes-256-gcm")], ids=str)
@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "exchanged"])
async def test_a_damaged_overview_is_not_shown_and_made_again(
    store: Store, tmp_path: Path, form: Form, damage: str
) -> None:
    stored = await store_files(store, write_phantom(tmp_path / "in", "letter", SHAPE))
    derived = derived_in(tmp_path, form)
    await made(store, stored, derived, tmp_path)
    (file,) = files(tmp_path)
    sound = file.read_bytes()
    body = bytearray(sound)
    if damage == "cut":
        del body[len(body) // 2 :]
    elif damage == "flipped":
        body[-100] ^= 1
    elif damage == "empty":
        body.clear()
    else:
        other = await store_files(store, write_phantom(tmp_path / "other", "ramp", SHAPE, study="other"))
        await made(store, other, derived_in(tmp_path / "o", form), tmp_path / "o")
        body[:] = files(tmp_path / "o")[0].read_bytes()
    file.write_bytes(body)
    async with node(store, derived) as found:
        series = await opened(found, stored)
        async with found.volume(series, coarse=True) as source:
            assert not source.preliminary and source.reduced == (1, 1, 1)
        async with found.volume(series, coarse=False):
            pass
        async with asyncio.timeout(20):
            while not (files(tmp_path) and files(tmp_path)[0].read_bytes() != bytes(body)):
                await asyncio.sleep(0.01)
    async with (
        node(store, derived) as found,
        found.volume(await opened(found, stored), coarse=True) as source,
    ):
        assert source.preliminary


async def test_an_overview_of_fewer_slices_is_not_found(store: Store, tmp_path: Path) -> None:
    paths = write_phantom(tmp_path / "in", "letter", SHAPE)
    stored = await store_files(store, paths[:30])
    derived = derived_in(tmp_path)
    await made(store, stored, derived, tmp_path)
    await store_files(store, paths[30:])
    async with (
        node(store, derived) as found,
        found.volume(await opened(found, stored), coarse=True) as source,
    ):
        assert not source.preliminary and source.shape == SHAPE


async def test_overviews_stay_within_the_budget_of_the_disk(store: Store, tmp_path: Path) -> None:
    derived = derived_in(tmp_path)
    for number in range(3):
        stored = await store_files(
            store, write_phantom(tmp_path / f"in{number}", "ramp", SHAPE, study=f"s{number}")
        )
        async with node(store, derived, budget=20_000) as found:
            before = files(tmp_path)
            async with found.volume(await opened(found, stored), coarse=False):
                pass
            while files(tmp_path) == before:
                await asyncio.sleep(0.01)
        assert sum(file.stat().st_size for file in files(tmp_path)) <= 20_000
    assert len(files(tmp_path)) == 2


async def test_a_full_disk_costs_the_overview_and_nothing_else(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stored = await store_files(store, write_phantom(tmp_path / "in", "ramp", SHAPE))
    (tmp_path / "derived").write_text("in the way of the folder")
    async with node(store, derived_in(tmp_path)) as found:
        series = await opened(found, stored)
        for coarse in (True, False):
            async with found.volume(series, coarse=coarse) as source:
                assert not source.preliminary
        while "no overview is kept" not in caplog.text:
            await asyncio.sleep(0.01)
        assert (await found.frame(series, 3)).shape == SHAPE[1:]


def test_means_leave_padding_out_and_reach_the_far_edges() -> None:
    random = np.random.default_rng(5)
    voxels = random.integers(-1000, 1000, (7, 9, 10)).astype(np.int16)
    voxels[random.random(voxels.shape) < 0.3] = -2000
    voxels[:2, :2, :3] = -2000
    means = overview_of(voxels, (2, 2, 3), -2000)
    assert means.shape == (4, 5, 4) and means[0, 0, 0] == -2000
    for place in np.ndindex(*means.shape):
        block = voxels[tuple(slice(n * f, (n + 1) * f) for n, f in zip(place, (2, 2, 3), strict=True))]
        image = block[block != -2000]
        assert means[place] == (np.rint(image.mean()) if image.size else -2000)
