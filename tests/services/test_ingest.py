"""The whole chain over restarts: what was acknowledged is indexed once and told, the rest is not."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from sivr.errors import Exhausted
from sivr.services.uploads import UploadLimits
from sivr.store.inbox import Inbox
from sivr.store.schema.render import instance, message, upload_file
from tests import postgres
from tests.services.ingesting import Listener, breaking, phantom, running_ingest, sender, zipped
from tests.services.stored import exists

DISK_BYTES = 4 << 20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with four megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("a small file system can be mounted by root only")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database of each kind in turn."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'either.db'}"
        return
    server = postgres.server()
    if server is None:
        pytest.skip("PostgreSQL is not installed here, so only SQLite was tested")
    url = server.create_database()
    yield url
    server.drop_database(url)


async def test_institution_down_then_back_after_a_restart(tmp_path: Path) -> None:
    institution = Listener()
    institution.down = True
    files = phantom(tmp_path, 8)
    async with running_ingest(tmp_path, institution) as ingest:
        ana = await sender(ingest)
        results = [await ana.put(f"f{number}", one.read_bytes()) for number, one in enumerate(files[:5])]
        await ana.indexed()
        study = results[0].study_uid
        while not (state := await ingest.outbox.state()).items or not state.items[0].reason:
            await asyncio.sleep(0.02)
        assert state.waiting == 1
        assert state.items[0].study_uid == study
    assert institution.notices == []
    async with running_ingest(tmp_path, institution) as ingest:
        ana.ingest = ingest
        for number, one in enumerate(files[5:]):
            assert (await ana.put(f"g{number}", one.read_bytes())).status == "stored"
        await ana.indexed()
        assert (await ingest.outbox.state()).waiting == 1
        institution.down = False
        notice = await institution.heard(study, 8)
        assert notice.series[0].has_volume
        while (await ingest.outbox.state()).waiting:
            await asyncio.sleep(0.02)
        assert notice.revision == await ingest.index.revision(study)
    # Told once, not at every start.
    told = len(institution.notices)
    async with running_ingest(tmp_path, institution) as ingest:
        await asyncio.sleep(0)
        assert (await ingest.outbox.state()).waiting == 0
    assert len(institution.notices) == told
    assert institution.present


async def test_acknowledged_but_not_indexed(tmp_path: Path, database_url: str) -> None:
    files = phantom(tmp_path, 10)
    institution = Listener()
    async with running_ingest(tmp_path, institution, database_url=database_url, workers=0) as ingest:
        ana = await sender(ingest)
        for number, one in enumerate(files):
            assert (await ana.put(f"f{number}", one.read_bytes())).status == "stored"
        state = await ana.state()
        assert not state.indexed
        assert state.counts.pending == 10
        assert (await ingest.queue.state()).waiting == 10
        # A worker that dies with messages in its hands.
        assert await ingest.queue.claim("elsewhere/1/x", 4, lease_s=0.2)
    async with running_ingest(tmp_path, institution, database_url=database_url) as ingest:
        ana.ingest = ingest
        state = await ana.indexed()
        study = state.studies[0].study_uid
        assert len(await ingest.index.study(study)) == 10
        await institution.heard(study, 10)


async def test_a_crash_between_object_and_commit(tmp_path: Path) -> None:
    one, two, _ = phantom(tmp_path, 3)
    body = one.read_bytes()
    async with running_ingest(tmp_path) as ingest:
        ana = await sender(ingest)
        kept = await ana.put("kept", two.read_bytes())
        await ana.indexed()
        with pytest.raises(ConnectionResetError):
            await ana.put("f", breaking(body))
    # As the crash left it: the object has its place, its row does not exist.
    part = Inbox(tmp_path / "data" / "inbox").path(ana.upload, "f")
    sha256 = hashlib.sha256(body).hexdigest()
    blob = tmp_path / "data" / "blobs" / sha256[:2] / sha256[2:4] / sha256
    blob.parent.mkdir(parents=True, exist_ok=True)
    part.rename(blob)
    async with running_ingest(tmp_path) as ingest:
        ana.ingest = ingest
        # Young, so its sender may be about to come back; to everybody it is not there.
        assert blob.exists()
        assert await ana.arrived("f") == 0
        assert len(await ingest.index.study(kept.study_uid)) == 1
        assert (await ana.put("f", body)).status == "stored"
        await ana.indexed()
        assert len(await ingest.index.study(kept.study_uid)) == 2


async def test_two_nodes_on_one_database_and_folder(tmp_path: Path, database_url: str) -> None:
    files = phantom(tmp_path, 40)
    first, second = Listener(), Listener()
    async with (
        running_ingest(tmp_path, first, database_url=database_url) as one,
        running_ingest(tmp_path, second, database_url=database_url) as other,
    ):
        ana, marko = await sender(one), await sender(other, "marko")
        results = await asyncio.gather(
            *(who.put(f"f{n}", file.read_bytes()) for n, file in enumerate(files) for who in (ana, marko))
        )
        assert sorted(result.status for result in results) == ["duplicate"] * 40 + ["stored"] * 40
        await ana.indexed()
        study = results[0].study_uid
        assert len(await one.index.study(study)) == 40
        async with one.database.connect() as connection:
            assert await connection.scalar(sa.select(sa.func.count()).select_from(instance)) == 40
            assert await connection.scalar(sa.select(sa.func.count()).select_from(message)) == 0
        while (await one.outbox.state()).waiting:
            await asyncio.sleep(0.02)
        told = max(first.notices + second.notices, key=lambda notice: notice.revision)
        assert len(told.instances) == 40


async def test_disk_full(tmp_path: Path, small_disk: Path) -> None:
    files = phantom(tmp_path, 12, 512)
    bodies = [one.read_bytes() for one in files]
    assert sum(map(len, bodies)) > DISK_BYTES
    database_url = f"sqlite:///{tmp_path / 'node.db'}"
    async with running_ingest(small_disk, database_url=database_url) as ingest:
        ana = await sender(ingest)
        acknowledged = []
        full = 0
        for number, body in enumerate(bodies):
            try:
                acknowledged.append(await ana.put(f"f{number}", body, total=len(body)))
            except Exhausted as error:
                assert error.message.endswith(".")
                full += 1
        assert full
        assert acknowledged
        state = await ana.indexed()
        assert len(state.files) == len(acknowledged)
        for one in acknowledged:
            assert one.status == "stored"
            assert hashlib.sha256(ingest.blobs.read(one.sha256, 0, 1 << 30)).hexdigest() == one.sha256
        async with ingest.database.connect() as connection:
            assert await connection.scalar(sa.select(sa.func.count()).select_from(upload_file)) == len(
                acknowledged
            )
        with pytest.raises(Exhausted):
            await ana.put("zip", zipped(files))
        # Room is made, and everybody goes on from where they were.
        subprocess.run(["mount", "-o", f"remount,size={64 << 20}", str(small_disk)], check=True)
        for number, body in enumerate(bodies):
            offset = await ana.arrived(f"f{number}")
            result = await ana.put(f"f{number}", body[offset:], offset=offset, total=len(body))
            assert (result.status, result.sha256) == ("stored", hashlib.sha256(body).hexdigest())
            assert ingest.blobs.read(result.sha256, 0, 1 << 30) == body
        assert (await ana.indexed()).counts.stored == 12


async def test_what_nobody_came_back_for(tmp_path: Path) -> None:
    one, two, three = (file.read_bytes() for file in phantom(tmp_path, 3))
    async with running_ingest(tmp_path) as ingest:
        ana = await sender(ingest)
        kept = await ana.put("kept", one)
        with pytest.raises(ConnectionResetError):
            await ana.put("lost", breaking(two))
        orphan = hashlib.sha256(three).hexdigest()
        (tmp_path / "orphan").write_bytes(three)
        ingest.blobs.adopt(tmp_path / "orphan", orphan)
    old = time.time() - 10 * 86400
    for path in (*(tmp_path / "data").rglob("*"),):
        os.utime(path, (old, old))
    async with running_ingest(tmp_path) as ingest:
        ana.ingest = ingest
        while exists(ingest.blobs, orphan) or await ana.arrived("lost"):
            await asyncio.sleep(0.02)
        assert ingest.blobs.read(kept.sha256, 0, 1 << 30) == one


async def test_parts_from_before_a_power_cut_are_not_trusted(tmp_path: Path) -> None:
    body = phantom(tmp_path, 3)[0].read_bytes()
    async with running_ingest(tmp_path) as ingest:
        ana = await sender(ingest)
        kept = await ana.put("kept", body)
        with pytest.raises(ConnectionResetError):
            await ana.put("f", breaking(body[:100]))
    part = Inbox(tmp_path / "data" / "inbox").path(ana.upload, "f")
    assert part.exists()
    part.parent.rename(part.parent.with_name("another-boot"))
    async with running_ingest(tmp_path) as ingest:
        ana.ingest = ingest
        assert await ana.arrived("f") == 0
        assert exists(ingest.blobs, kept.sha256)


async def test_data_folder_gone(tmp_path: Path) -> None:
    async with running_ingest(tmp_path, limits=UploadLimits(free_disk_bytes=0)) as ingest:
        assert await ingest.storage_health() == ""
        shutil.rmtree(tmp_path / "data")
        assert "does not answer" in await ingest.storage_health()
