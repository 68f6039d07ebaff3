"""The outbox on both databases: newest state only, at least once, nobody silenced by others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import sqlalchemy as sa

from sivr.model.ingest import Delivery
from sivr.store.database import Database
from sivr.store.index import Index
from sivr.store.outbox import Outbox
from sivr.store.schema.columns import now
from sivr.store.schema.render import outbox as table
from sivr.store.uploads import Uploads
from tests.store.ingested import accept, index_all, open_upload


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with Database(database_url, "render") as opened:
        yield opened


@pytest.fixture
def outbox(database: Database) -> Outbox:
    return Outbox(database)


async def grow(database: Database, study: str = "1.2", first: int = 1, patient: str = "p1") -> None:
    """Index two more objects of a study."""
    uploads = Uploads(database)
    await accept(uploads, await open_upload(uploads, patient), 2, study, first)
    await index_all(database)


async def due(outbox: Outbox) -> Delivery:
    """What is due, once it is."""
    for _ in range(100):
        if (found := await outbox.claim(60)) is not None:
            return found
        await asyncio.sleep(0.05)
    raise AssertionError("nothing is due")


async def test_nothing(outbox: Outbox) -> None:
    assert await outbox.claim(60) is None
    assert (await outbox.state()).items == ()


async def test_a_stream_of_objects_is_told_once(database: Database, outbox: Outbox) -> None:
    await grow(database)
    await grow(database, first=3)
    # Not at once: more may come.
    assert await outbox.claim(60) is None
    delivery = await due(outbox)
    assert (delivery.study_uid, delivery.patient_id, delivery.patient_issuer) == ("1.2", "p1", "county")
    assert delivery.revision == await Index(database).revision("1.2")
    assert delivery.attempts == 1
    assert await outbox.claim(60) is None
    await outbox.done(delivery)
    assert (await outbox.state()).waiting == 0


async def test_what_comes_while_telling_is_told_too(database: Database, outbox: Outbox) -> None:
    await grow(database)
    first = await due(outbox)
    await grow(database, first=3)
    await outbox.done(first, pause_s=3600)
    # Due after the pause, which leaves time to a study that grows.
    assert await outbox.claim(60) is None
    state = await outbox.state()
    assert (state.waiting, state.items[0].attempts, state.items[0].reason) == (1, 0, "")
    assert state.items[0].revision > first.revision
    await outbox.done(first)
    second = await due(outbox)
    assert second.revision == state.items[0].revision


async def test_failures_wait_and_say_why(database: Database, outbox: Outbox) -> None:
    await grow(database)
    await grow(database, "9.9", patient="p2")
    first = await due(outbox)
    await outbox.failed(first, "The institution does not answer.\0", 3600)
    # The other one is not held up, nor is the back-off cut short by news.
    other = await due(outbox)
    assert other.study_uid != first.study_uid
    await outbox.done(other)
    await grow(database, first.study_uid, first=3, patient=first.patient_id)
    assert await outbox.claim(60) is None
    entry = (await outbox.state()).items[0]
    assert (entry.study_uid, entry.attempts) == (first.study_uid, 1)
    assert entry.reason == "The institution does not answer."
    assert entry.next_at > now()


async def test_leases(database: Database, outbox: Outbox) -> None:
    await grow(database)
    delivery = await due(outbox)
    assert await outbox.claim(60) is None
    await outbox.forget_leases()
    again = await outbox.claim(-1)
    assert again is not None
    assert again.attempts == delivery.attempts + 1
    # A lease that has run out goes to the next sender.
    assert (await due(outbox)).attempts == 3


async def test_a_study_that_is_not_here_silences_nobody(database: Database, outbox: Outbox) -> None:
    row = {"study_uid": "0.0", "revision": 1, "attempts": 0, "available_at": now(), "reason": ""}
    async with database.begin() as connection:
        await connection.execute(table.insert().values(row | {"changed_at": now()}))
    await grow(database)
    assert (await due(outbox)).study_uid == "1.2"
    async with database.connect() as connection:
        assert (await connection.execute(sa.select(table.c.study_uid))).scalars().all() == ["1.2"]


async def test_two_senders(database: Database, outbox: Outbox) -> None:
    for number in range(6):
        await grow(database, f"1.{number}")
    await asyncio.sleep(0.4)
    found = await asyncio.gather(*(outbox.claim(60) for _ in range(12)))
    assert sorted(one.study_uid for one in found if one is not None) == [f"1.{n}" for n in range(6)]
