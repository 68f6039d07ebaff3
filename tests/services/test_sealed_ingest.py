"""A node that compresses and encrypts: the whole chain from upload to voxels, over restarts and lost keys."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from sivr.crypto import MasterKeys
from sivr.dicom.phantom import phantom_values
from sivr.errors import Gone, Invalid, NotFound
from sivr.services.loading import SeriesLoader
from sivr.store.sealing import Form, is_sealed
from sivr.store.study_keys import StudyKeys
from tests.services.ingesting import phantom, running_ingest, sender, zipped

SLICES = 6
BOTH = Form(True, "aes-256-gcm")


@pytest.fixture
def options(tmp_path: Path) -> dict[str, Any]:
    """How the node is opened."""
    MasterKeys.generate().save(tmp_path / "master")
    return {"form": BOTH, "masters": partial(MasterKeys.load, tmp_path / "master")}


def stored_at(folder: Path, sha256: str) -> Path:
    return folder / "data" / "blobs" / sha256[:2] / sha256[2:4] / sha256


async def test_from_upload_to_voxels_over_restarts(tmp_path: Path, options: dict[str, Any]) -> None:
    files = phantom(tmp_path, SLICES)
    async with running_ingest(tmp_path, **options) as ingest:
        ana = await sender(ingest)
        first = await ana.put("f0", files[0].read_bytes())
        assert (await ana.put("again", files[0].read_bytes())).status == "duplicate"
        assert (await ana.put("zip", zipped(files[1:3]), "some.zip")).status == "archive"
        await ana.indexed()
    assert is_sealed(stored_at(tmp_path, first.sha256).read_bytes())
    # The setting changes: what is there stays readable, what comes is stored as it came.
    async with running_ingest(tmp_path, masters=options["masters"]) as ingest:
        ana.ingest = ingest
        last = [await ana.put(f"g{number}", one.read_bytes()) for number, one in enumerate(files[3:])][-1]
        await ana.indexed()
        assert stored_at(tmp_path, last.sha256).read_bytes() == files[-1].read_bytes()
        loading = SeriesLoader(ingest.index, ingest.blobs, node_id="n", budget_bytes=1 << 26, threads=2)
        async with loading as loader:
            series = await loader.open(first.study_uid, first.series_uid)
            async with loader.volume(series, coarse=False):
                assert series.segment is not None and series.scale is not None
                found = series.segment.voxels * series.scale.slope + series.scale.intercept
                assert (found == phantom_values("letter", (SLICES, 16, 16))).all()


async def test_a_damaged_object_is_told_and_the_others_are_shown(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    async with running_ingest(tmp_path, **options) as ingest:
        ana = await sender(ingest)
        results = [
            await ana.put(f"f{n}", one.read_bytes()) for n, one in enumerate(phantom(tmp_path, SLICES))
        ]
        await ana.indexed()
        path = stored_at(tmp_path, results[2].sha256)
        body = bytearray(path.read_bytes())
        body[-5] ^= 4
        path.write_bytes(body)
        loading = SeriesLoader(ingest.index, ingest.blobs, node_id="n", budget_bytes=1 << 26, threads=2)
        async with loading as loader:
            series = await loader.open(results[0].study_uid, results[0].series_uid)
            async with loader.volume(series, coarse=False):
                assert list(loader.progress(series).broken.values()) == ["The stored object is damaged."]
    async with running_ingest(tmp_path, **options) as ingest:
        with pytest.raises(Invalid, match="damaged"):
            await asyncio.to_thread(ingest.blobs.read, results[2].sha256, 0, 1 << 30)


async def test_a_node_does_not_start_without_its_master_key(tmp_path: Path, options: dict[str, Any]) -> None:
    async with running_ingest(tmp_path, **options):
        pass
    with pytest.raises(Invalid, match="is needed to open them"):
        async with running_ingest(tmp_path):
            pass
    MasterKeys.generate().save(tmp_path / "other")
    with pytest.raises(Invalid, match="not the one that this node's objects were encrypted with"):
        async with running_ingest(tmp_path, form=BOTH, masters=partial(MasterKeys.load, tmp_path / "other")):
            pass


async def test_an_erased_study_is_gone_until_it_is_sent_again(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    [file] = phantom(tmp_path, 1)
    async with running_ingest(tmp_path, **options) as ingest:
        ana = await sender(ingest)
        made = await ana.put("f", file.read_bytes())
        await ana.indexed()
        study = made.study_uid
        await asyncio.to_thread(ingest.derived.write, study, "bricks", [b"made of it"])
        keys = StudyKeys(ingest.database, options["masters"])
        await keys.start()
        await keys.shred(study)
    async with running_ingest(tmp_path, **options) as ingest:
        with pytest.raises(Gone):
            await asyncio.to_thread(ingest.blobs.open, made.sha256)
        with pytest.raises(NotFound):
            await asyncio.to_thread(ingest.derived.open, study, "bricks")
        ana.ingest = ingest
        assert (await ana.put("again", file.read_bytes())).status == "duplicate"
        assert await asyncio.to_thread(ingest.blobs.read, made.sha256, 0, 1 << 30) == file.read_bytes()
