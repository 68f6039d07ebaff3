"""Workers on the queue: each object once, the broken ones put aside, no worker ever ends by itself."""

from __future__ import annotations

import asyncio
import datetime
import hashlib
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from sivr.dicom.read import read_header
from sivr.errors import NotFound, Unavailable
from sivr.model.importance import Importance
from sivr.model.ingest import Object, Upload
from sivr.services import indexing
from sivr.services.indexing import Indexer, running
from sivr.services.workload import Workload
from sivr.store.audit import By
from sivr.store.schema.columns import Instant
from sivr.store.schema.render import message
from tests.services.ingesting import phantom
from tests.services.stored import Store

BY = By("tester")


async def accept(store: Store, files: list[Path]) -> list[Object]:
    """Objects in the queue, their bytes in place."""
    owner = Upload("u" + files[0].parent.name, "tester", "p", "t", False)
    await store.uploads.create(owner, BY)
    made = []
    for path in files:
        body, header = path.read_bytes(), read_header(path)
        one = Object(
            instance_uid=header.instance_uid, series_uid=header.series_uid, study_uid=header.study_uid,
            sha256=hashlib.sha256(body).hexdigest(), md5=hashlib.md5(body).hexdigest(), size_bytes=len(body),
        )  # fmt: skip
        copy = store.folder / one.sha256
        copy.write_bytes(body)
        store.blobs.adopt(copy, one.sha256)
        assert await store.uploads.accept(one, owner, None, BY) == "stored"
        made.append(one)
    return made


def worker(store: Store, seen: Callable[[str], None] = lambda study_uid: None) -> Indexer:
    """A worker on the store."""
    return Indexer(store.queue, store.index, store.blobs, seen)


async def test_indexing_gives_way_to_people_who_move_views(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await accept(store, phantom(tmp_path, 3))
    workload = Workload()
    one = Indexer(store.queue, store.index, store.blobs, lambda study_uid: None, workload)
    monkeypatch.setattr(indexing, "YIELD_S", 3600.0)
    with workload.of(Importance.INTERACTION):
        task = asyncio.create_task(one.once())
        while (await store.queue.state()).leased == 0:
            await asyncio.sleep(0.01)
        assert not task.done()
    assert await task == 3


async def test_indexing_does_not_starve(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await accept(store, phantom(tmp_path, 3))
    workload = Workload()
    one = Indexer(store.queue, store.index, store.blobs, lambda study_uid: None, workload)
    monkeypatch.setattr(indexing, "YIELD_S", 0.001)
    with workload.of(Importance.INTERACTION):
        assert await one.once() == 3


async def test_a_batch(store: Store, tmp_path: Path) -> None:
    made = await accept(store, phantom(tmp_path, 20))
    studies: list[str] = []
    one = worker(store, studies.append)
    study = made[0].study_uid
    revisions = [await store.index.revision(study)]
    for count in (indexing.BATCH, 20 - indexing.BATCH):
        assert await one.once() == count
        revisions.append(await store.index.revision(study))
    assert revisions == sorted(set(revisions))
    assert await one.once() == 0
    assert studies == [study, study]
    found = {stored.header.instance_uid: stored for stored in await store.index.study(study)}
    assert {uid: (stored.sha256, stored.md5, stored.size_bytes) for uid, stored in found.items()} == {
        wanted.instance_uid: (wanted.sha256, wanted.md5, wanted.size_bytes) for wanted in made
    }
    assert not await store.index.indexing(study)


async def test_broken_ones_are_put_aside(store: Store, tmp_path: Path) -> None:
    made = await accept(store, phantom(tmp_path, 6))
    rotten, lost = made[1], made[4]
    copy = tmp_path / "copy"
    copy.write_bytes(b"rotten")
    store.blobs.adopt(copy, rotten.sha256)
    assert store.blobs.remove_old(lost.sha256, 0)
    await worker(store).once()
    assert len(await store.index.study(made[0].study_uid)) == 4
    state = await store.queue.state()
    assert [one.name for one in state.dead] == [rotten.instance_uid]
    # A disk that does not answer may answer later; tried again and again, then put aside too.
    assert (state.waiting, state.leased) == (1, 0)


async def test_an_unexpected_error_takes_nobody_along(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    made = await accept(store, phantom(tmp_path, 5))
    one = worker(store)
    real = one._read

    def stumbling(taken: Any) -> Any:
        if taken.instance_uid == made[2].instance_uid:
            raise ZeroDivisionError
        return real(taken)

    monkeypatch.setattr(one, "_read", stumbling)
    with caplog.at_level(logging.CRITICAL, "sivr.indexing"):
        await one.once()
    assert len(await store.index.study(made[0].study_uid)) == 4
    async with store.index._database.connect() as connection:
        reasons = (await connection.execute(sa.select(message.c.reason))).scalars().all()
    assert reasons == ["Unexpected: ZeroDivisionError."]


async def test_workers_outlive_every_error(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await accept(store, phantom(tmp_path, 12))
    errors: list[Exception] = [
        Unavailable("The database does not answer."),
        ValueError("a fault"),
        NotFound("x"),
    ]
    claim = store.queue.claim

    async def failing(*args: Any) -> Any:
        if errors:
            raise errors.pop()
        return await claim(*args)

    monkeypatch.setattr(store.queue, "claim", failing)
    monkeypatch.setattr(indexing, "IDLE_S", 0.01)
    async with running([worker(store), worker(store)], [asyncio.Event(), asyncio.Event()]):
        async with asyncio.timeout(20):
            while len(await store.index.study(made[0].study_uid)) < 12:
                await asyncio.sleep(0.01)
    assert errors == []
    assert (await store.queue.state()).waiting == 0


async def test_a_worker_that_stops_gives_everything_back(store: Store, tmp_path: Path) -> None:
    made = await accept(store, phantom(tmp_path, 16))
    for _ in range(8):
        task = asyncio.create_task(worker(store).once())
        while not (await store.queue.state()).leased and not task.done():
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        assert (await store.queue.state()).leased == 0
    while await worker(store).once():
        pass
    assert len(await store.index.study(made[0].study_uid)) == 16
    state = await store.queue.state()
    assert (state.waiting, state.dead) == (0, ())


async def test_a_lost_lease_indexes_once(store: Store, tmp_path: Path) -> None:
    made = await accept(store, phantom(tmp_path, 4))
    slow = await store.queue.claim("slow", 4, lease_s=-1)
    while await worker(store).once():
        pass
    headers = [read_header(store.blobs.read(one.sha256, 0, 1 << 30)) for one in slow]
    assert await store.index.add(list(zip(slow, headers, strict=True)), "slow") == 0
    assert len(await store.index.study(made[0].study_uid)) == 4


async def test_leases_are_kept_while_reading(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await accept(store, phantom(tmp_path, 3))
    monkeypatch.setattr(indexing, "LEASE_S", 3.0)
    one = worker(store)
    real, prolonged = one._read, threading.Event()

    def slowly(taken: Any) -> Any:
        prolonged.wait(60)
        return real(taken)

    async def until() -> datetime.datetime | None:
        async with store.index._database.connect() as connection:
            return await connection.scalar(sa.select(sa.func.min(message.c.leased_until, type_=Instant)))

    monkeypatch.setattr(one, "_read", slowly)
    task = asyncio.create_task(one.once())
    while (first := await until()) is None:
        await asyncio.sleep(0.01)
    while (later := await until()) is not None and later <= first:
        await asyncio.sleep(0.05)
    prolonged.set()
    assert await task == 3
    assert len(await store.index.study(made[0].study_uid)) == 3
