"""Overviews made ahead: the same as those made from the whole volume, when nobody waits for anything."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from sivr.dicom.phantom import write_phantom
from sivr.model.importance import Importance
from sivr.services import preparing
from sivr.services.overviews import Overviews
from sivr.services.preparing import Preparer
from sivr.services.workload import Workload
from tests.services.stored import Store, store_files
from tests.services.test_loading import rewritten
from tests.services.test_overviews import MEGABYTE, SHAPE, derived_in, files, made, node, opened


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Overviews of volumes that are small enough for tests, made soon."""
    monkeypatch.setattr("sivr.services.overviews.MOST_BYTES", 8192)
    monkeypatch.setattr("sivr.services.volume_loading.KEEP_AFTER_S", 0.0)
    monkeypatch.setattr(preparing, "SETTLED_S", 0.1)


@asynccontextmanager
async def at_work(store: Store, folder: Path, workload: Workload | None = None) -> AsyncIterator[Preparer]:
    """A preparer as of a node that was just started."""
    derived = derived_in(folder)
    async with node(store, None) as found:
        kept = Overviews(derived, 64 * MEGABYTE)
        preparer = Preparer(store.index, found.reader, kept, workload or Workload())
        task = asyncio.create_task(preparer.run())
        try:
            yield preparer
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def until_made(preparer: Preparer, count: int) -> None:
    async with asyncio.timeout(30):
        while preparer.made < count:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("multi_frame", [False, True])
async def test_it_is_that_of_the_whole_volume(store: Store, tmp_path: Path, multi_frame: bool) -> None:
    stored = await store_files(
        store, write_phantom(tmp_path / "in", "letter", SHAPE, multi_frame=multi_frame)
    )
    async with at_work(store, tmp_path / "ahead") as preparer:
        await until_made(preparer, 1)
    await made(store, stored, derived_in(tmp_path / "after"), tmp_path / "after")
    ahead, after = files(tmp_path / "ahead"), files(tmp_path / "after")
    assert [one.name for one in ahead] == [one.name for one in after]
    assert len(ahead) == 1 and ahead[0].stat().st_size == after[0].stat().st_size
    async with (
        node(store, derived_in(tmp_path / "ahead")) as found,
        node(store, derived_in(tmp_path / "after")) as other,
    ):
        shown = []
        for one in (found, other):
            series = await opened(one, stored)
            async with one.volume(series, coarse=True) as source:
                assert source.preliminary and series.overview is not None
                shown.append(series.overview.voxels.copy())
        assert np.array_equal(*shown)


async def test_what_comes_later_is_prepared_too_and_nothing_twice(store: Store, tmp_path: Path) -> None:
    async with at_work(store, tmp_path) as preparer:
        stored = await store_files(store, write_phantom(tmp_path / "in", "letter", SHAPE))
        preparer.indexed(stored[0].header.study_uid)
        await until_made(preparer, 1)
        kept = files(tmp_path)
        at = kept[0].stat().st_mtime_ns
        preparer.indexed(stored[0].header.study_uid)
        await asyncio.sleep(0.5)
        assert preparer.made == 1
        assert files(tmp_path) == kept and kept[0].stat().st_mtime_ns == at


async def test_people_go_first_but_not_for_ever(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preparing, "PATIENCE_S", 0.3)
    stored = await store_files(store, write_phantom(tmp_path / "in", "letter", SHAPE))
    workload = Workload()
    with workload.of(Importance.INTERACTION):
        async with at_work(store, tmp_path, workload) as preparer:
            began = time.monotonic()
            preparer.indexed(stored[0].header.study_uid)
            await until_made(preparer, 1)
            # The series and each of several layers waited.
            assert time.monotonic() - began > 3 * 0.3


async def test_a_series_that_cannot_all_be_read_has_none_and_the_next_is_prepared(
    store: Store, tmp_path: Path
) -> None:
    broken = await store_files(store, write_phantom(tmp_path / "in", "letter", SHAPE), apart=False)
    path = next(one for one in store.blobs._folder.rglob(broken[7].sha256))
    path.write_bytes(path.read_bytes()[:2000])
    async with at_work(store, tmp_path) as preparer:
        await asyncio.sleep(0.5)
        sound = write_phantom(tmp_path / "more", "head", SHAPE)
        renamed = rewritten(tmp_path / "renamed", sound, another_study)
        stored = await store_files(store, renamed)
        preparer.indexed(stored[0].header.study_uid)
        await until_made(preparer, 1)
    assert len(files(tmp_path)) == 1


def another_study(data: object, number: int) -> None:
    for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        setattr(data, name, getattr(data, name) + ".9")
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID  # type: ignore[attr-defined]
