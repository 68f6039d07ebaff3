"""The indexing queue on both databases: each message to one worker, none lost, none in the way of others."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator

import pytest

from sivr.errors import NotFound
from sivr.model.ingest import Message
from sivr.store.audit import Audit
from sivr.store.database import Database
from sivr.store.index import Index
from sivr.store.outbox import Outbox
from sivr.store.queue import MAX_ATTEMPTS, MAX_CRASHES, Queue
from sivr.store.uploads import Uploads
from tests.store.ingested import BY, a_header, accept, open_upload

MESSAGES = 60
CLAIM_ALL = """
import asyncio, sys
from sivr.store.database import Database
from sivr.store.queue import Queue

async def claim_all(url, worker):
    async with Database(url, "render") as database:
        while taken := await Queue(database).claim(worker, 4, 600):
            print(*(one.instance_uid for one in taken), flush=True)

asyncio.run(claim_all(*sys.argv[1:]))
"""


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with Database(database_url, "render") as opened:
        yield opened


@pytest.fixture
def queue(database: Database) -> Queue:
    return Queue(database)


@pytest.fixture
async def filled(database: Database, queue: Queue) -> Queue:
    """A queue of three messages."""
    uploads = Uploads(database)
    await accept(uploads, await open_upload(uploads), 3)
    return queue


async def test_nothing_is_due(queue: Queue) -> None:
    assert await queue.claim("a", 10, 60) == []
    state = await queue.state()
    assert (state.waiting, state.leased, state.dead) == (0, 0, ())


async def test_each_message_once_and_oldest_first(filled: Queue) -> None:
    first = await filled.claim("a", 2, 60)
    second = await filled.claim("b", 2, 60)
    assert [one.instance_uid for one in first + second] == ["1.2.1.1", "1.2.1.2", "1.2.1.3"]
    assert [one.attempts for one in first] == [1, 1]
    assert await filled.claim("c", 2, 60) == []
    state = await filled.state()
    assert (state.waiting, state.leased) == (0, 3)


async def test_a_lease_that_runs_out_goes_to_others_one_by_one(filled: Queue) -> None:
    await filled.claim("killed", 3, -1)
    # Perhaps one of them killed the worker: it must not take the others with it again.
    taken = [await filled.claim("b", 3, 60) for _ in range(4)]
    assert [len(one) for one in taken] == [1, 1, 1, 0]
    assert {one[0].attempts for one in taken[:3]} == {2}


async def test_a_message_that_kills_its_workers_is_put_aside(filled: Queue) -> None:
    taken = [await filled.claim("killed", 1, -1) for _ in range(MAX_CRASHES)]
    poison = taken[0][0]
    assert {one[0].id for one in taken} == {poison.id}
    others = await filled.claim("b", 9, 60)
    assert [one.instance_uid for one in others] == ["1.2.1.2", "1.2.1.3"]
    dead = (await filled.state()).dead
    assert [(one.id, one.attempts) for one in dead] == [(poison.id, MAX_CRASHES)]
    assert "ended without a word" in dead[0].reason


async def test_the_end_of_what_was_waited_for_is_told(filled: Queue, database: Database) -> None:
    index = Index(database)
    (done,) = await filled.claim("a", 1, 60)
    await index.add([(done, a_header(done.instance_uid))], "a")
    revisions = [await index.revision("1.2")]
    (broken,) = await filled.claim("a", 1, 60)
    await filled.fail(broken, "a", "This is no DICOM file.", final=True)
    revisions.append(await index.revision("1.2"))
    for _ in range(MAX_CRASHES):
        await filled.claim("killed", 1, -1)
    assert await filled.claim("b", 9, 60) == []
    revisions.append(await index.revision("1.2"))
    assert not await index.indexing("1.2")
    assert revisions == sorted(set(revisions))
    (entry,) = (await Outbox(database).state()).items
    assert (entry.study_uid, entry.revision) == ("1.2", revisions[-1])


async def test_failures_wait_longer_and_longer_then_die(filled: Queue, database: Database) -> None:
    one = (await filled.claim("a", 1, 60))[0]
    await filled.fail(one, "a", "The disk does not answer.\0")
    state = await filled.state()
    assert (state.waiting, state.leased, state.dead) == (3, 0, ())
    assert one.id not in [other.id for other in await filled.claim("a", 9, 60)]
    last = Message(one.id, one.instance_uid, one.study_uid, one.sha256, MAX_ATTEMPTS)
    await filled.fail(last, "a", "The disk does not answer.\0")
    dead = (await filled.state()).dead
    assert [(letter.id, letter.kind, letter.name) for letter in dead] == [(one.id, "index", one.instance_uid)]
    assert dead[0].reason == "The disk does not answer."


async def test_what_is_broken_stays_dead_until_somebody_looks(filled: Queue, database: Database) -> None:
    one = (await filled.claim("a", 1, 60))[0]
    await filled.fail(one, "a", "This is no DICOM file.", final=True)
    others = await filled.claim("a", 9, 60)
    await filled.release(others, "a")
    assert len(others) == 2
    await filled.retry(one.id, BY)
    assert (await filled.state()).dead == ()
    again = (await filled.claim("a", 1, 60))[0]
    assert (again.id, again.attempts) == (one.id, 1)
    assert (await Audit(database).newest(1))[0].action == "queue.retry"
    for number in (one.id, 999_999):
        with pytest.raises(NotFound):
            await filled.retry(number, BY)


async def test_only_the_holder_may_give_back(filled: Queue) -> None:
    held = await filled.claim("a", 3, 60)
    await filled.fail(held[0], "b", "not mine", final=True)
    await filled.release(held, "b")
    await filled.extend(held, "b", -60)
    assert (await filled.state()).leased == 3
    await filled.fail(held[0], "a", "broken", final=True)
    await filled.release(held, "a")
    state = await filled.state()
    assert (state.waiting, state.leased) == (2, 0)
    # The dead one was not held any more, and keeps its count.
    assert [one.attempts for one in state.dead] == [1]
    assert [one.attempts for one in await filled.claim("c", 3, 60)] == [1, 1]


async def test_leases_are_prolonged(filled: Queue) -> None:
    held = await filled.claim("a", 3, -1)
    await filled.extend(held, "a", 60)
    assert await filled.claim("b", 3, 60) == []


async def test_leases_of_workers_that_are_gone(filled: Queue) -> None:
    await filled.claim("host/1/a", 1, 3600)
    await filled.claim("host/2/b", 1, 3600)
    assert await filled.take_from(lambda worker: worker == "host/1/a") == 1
    assert await filled.take_from(lambda worker: worker == "nobody") == 0
    assert [one.instance_uid for one in await filled.claim("c", 1, 60)] == ["1.2.1.1"]


async def test_two_processes_claim_at_once(database_url: str) -> None:
    async with Database(database_url, "render") as database:
        uploads = Uploads(database)
        await accept(uploads, await open_upload(uploads), MESSAGES)
    workers = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", CLAIM_ALL, database_url, name, stdout=asyncio.subprocess.PIPE
        )
        for name in ("a", "b")
    ]
    taken = [(await one.communicate())[0].decode().split() for one in workers]
    assert [one.returncode for one in workers] == [0, 0]
    assert sorted(taken[0] + taken[1]) == sorted(f"1.2.1.{number}" for number in range(1, MESSAGES + 1))
