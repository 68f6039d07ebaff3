"""The index on both databases: all or nothing, once, and what pictures read from it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import sqlalchemy as sa

from sivr.store.database import Database
from sivr.store.index import Index, pack, unpack
from sivr.store.queue import Queue
from sivr.store.schema.columns import now
from sivr.store.schema.render import instance
from sivr.store.uploads import Uploads
from tests.store.ingested import a_header, accept, index_all, open_upload


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with Database(database_url, "render") as opened:
        yield opened


@pytest.fixture
async def index(database: Database) -> Index:
    """An index with five instances of one study waiting for it."""
    uploads = Uploads(database)
    await accept(uploads, await open_upload(uploads), 5)
    return Index(database)


async def test_before_and_after(database: Database, index: Index) -> None:
    assert await index.study("1.2") == []
    assert await index.indexing("1.2")
    assert await index.revision("1.2") == 0
    await index_all(database)
    assert not await index.indexing("1.2")
    stored = await index.study("1.2")
    assert [one.header.instance_uid for one in stored] == [f"1.2.1.{number}" for number in range(1, 6)]
    assert (await index.revision("1.2"), stored) == await index.opened("1.2", "1.2.1")
    assert await index.series_uids("1.2") == ["1.2.1"]
    assert await index.instance("1.2", "1.2.1", "1.2.1.3") == stored[2]
    assert await index.revision("1.2") > 0
    assert (await Queue(database).state()).waiting == 0


async def test_what_is_not_there(index: Index) -> None:
    assert await index.study("9") == []
    assert await index.opened("1.2", "9") == (0, [])
    assert await index.series_uids("9") == []
    assert await index.instance("1.2", "1.2.1", "9") is None
    assert await index.revision("9") == 0
    assert not await index.indexing("9")


async def test_each_batch_is_a_new_revision(database: Database, index: Index) -> None:
    revisions = []
    queue = Queue(database)
    for _ in range(5):
        taken = await queue.claim("w", 1, 60)
        assert await index.add([(one, a_header(one.instance_uid)) for one in taken], "w") == 1
        revisions.append(await index.revision("1.2"))
    assert revisions == sorted(set(revisions))


async def test_a_lost_lease_writes_nothing(database: Database, index: Index) -> None:
    queue = Queue(database)
    slow = await queue.claim("slow", 5, -1)
    quick = await queue.claim("quick", 5, 60)
    done = [(one, a_header(one.instance_uid)) for one in quick]
    assert await index.add(done, "quick") == 1
    everything = [(one, a_header(one.instance_uid)) for one in slow]
    assert await index.add(everything, "slow") == 4
    assert await index.add(everything, "slow") == 0
    assert len(await index.study("1.2")) == 5


async def test_all_or_nothing(database: Database, index: Index) -> None:
    taken = await Queue(database).claim("w", 5, 60)
    done = [(one, a_header(one.instance_uid)) for one in taken]
    row: dict[str, object]
    row = {"instance_uid": "1.2.1.3", "study_uid": "1.2", "series_uid": "1.2.1", "sha256": "", "md5": ""}
    row |= {"size_bytes": 0, "header": pack(done[2][1]), "indexed_at": now()}
    async with database.begin() as connection:
        await connection.execute(instance.insert().values(row))
    with pytest.raises(sa.exc.IntegrityError):
        await index.add(done, "w")
    assert len(await index.study("1.2")) == 1
    assert await index.revision("1.2") == 0
    async with database.begin() as connection:
        await connection.execute(instance.delete())
    assert await index.add(done, "w") == 5


def test_headers_are_packed() -> None:
    header = a_header("1.2.3", frames=2000)
    assert unpack(pack(header)) == header
    assert len(pack(header)) < 20_000
