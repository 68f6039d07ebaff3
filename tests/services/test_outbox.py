"""Telling the institution: the whole state, the newest revision, again until it is heard."""

from __future__ import annotations

import asyncio
import datetime
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from sivr.errors import Conflict, Forbidden, Unavailable
from sivr.model.archive import StudyNotice
from sivr.model.ingest import Upload
from sivr.services import outbox as outbox_service
from sivr.services.outbox import (
    FIRST_RETRY_S,
    LAST_RETRY_S,
    TOGETHER,
    OutboxSender,
    notice_of,
    stay_present,
    study_date,
    study_time,
)
from sivr.store.database import Database
from sivr.store.index import Index
from sivr.store.outbox import Outbox
from sivr.store.schema.render import outbox as table
from tests.services.ingesting import NODE, phantom
from tests.services.stored import Store, store_files
from tests.store.ingested import BY, accept, an_object, open_upload


class Institution:
    """Answers what it is told to answer."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.heard: list[StudyNotice] = []
        self.present = asyncio.Event()

    async def post_notice(self, notice: StudyNotice) -> None:
        """Hear it or raise."""
        if self.error is not None:
            raise self.error
        # As it arrives, and is checked, on the other side.
        self.heard.append(msgspec.json.decode(msgspec.json.encode(notice), type=StudyNotice))

    async def post_presence(self) -> None:
        """Hear it or raise; the next time nothing is wrong."""
        if self.error is not None:
            error, self.error = self.error, None
            raise error
        self.present.set()


class Waiting(Institution):
    """Answers when it is allowed to, and watches how many ask at once."""

    def __init__(self) -> None:
        super().__init__()
        self.go = asyncio.Event()
        self.many = asyncio.Event()
        self.asking: Counter[str] = Counter()
        self.most = 0
        self.refused = 0
        self.most_after_a_refusal = 0

    async def post_notice(self, notice: StudyNotice) -> None:
        """Let them queue up."""
        assert not self.asking[notice.study_uid], "two revisions of a study at once"
        self.asking[notice.study_uid] += 1
        self.most = max(self.most, self.asking.total())
        if self.refused:
            self.most_after_a_refusal = max(self.most_after_a_refusal, self.asking.total())
        if self.asking.total() == TOGETHER:
            self.many.set()
        try:
            await self.go.wait()
            await super().post_notice(notice)
        except Unavailable:
            self.refused += 1
            raise
        finally:
            self.asking[notice.study_uid] -= 1


class Told:
    """A sender with its ends."""

    def __init__(self, store: Store) -> None:
        self.database: Database = store.index._database
        self.outbox = Outbox(self.database)
        self.institution = Institution()
        self.sender = OutboxSender(self.outbox, Index(self.database), self.institution, NODE)

    async def due(self) -> None:
        """Time passes."""
        async with self.database.begin() as connection:
            past = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)
            await connection.execute(table.update().values(available_at=past))

    def await_answers(self) -> Waiting:
        """The institution takes its time from now on."""
        institution = Waiting()
        self.institution = institution
        self.sender = OutboxSender(self.outbox, Index(self.database), institution, NODE)
        return institution

    @asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.Event]:
        """The sender at work; yields what wakes it."""
        wake = asyncio.Event()
        task = asyncio.create_task(self.sender.run(wake))
        try:
            yield wake
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def wait_s(self) -> float:
        """How far away the next attempt is."""
        (entry,) = (await self.outbox.state()).items
        return (entry.next_at - datetime.datetime.now(datetime.UTC)).total_seconds()


@pytest.fixture
def told(store: Store) -> Told:
    """A sender on an empty store."""
    return Told(store)


async def test_whole_state_once(told: Told, store: Store, tmp_path: Path) -> None:
    stored = await store_files(store, phantom(tmp_path, 5))
    assert not await told.sender.once()
    await told.due()
    assert await told.sender.once()
    (notice,) = told.institution.heard
    assert {one.instance_uid for one in notice.instances} == {one.header.instance_uid for one in stored}
    (series,) = notice.series
    assert (series.instance_count, series.frame_count, series.renderable, series.has_volume) == (
        5,
        5,
        True,
        True,
    )
    assert notice.size_bytes == sum(one.size_bytes for one in stored)
    assert notice.modalities == ("CT",)
    assert notice.node_id == NODE
    assert (await told.outbox.state()).waiting == 0
    assert not await told.sender.once()


async def test_a_newer_revision_is_told_too(told: Told, store: Store, tmp_path: Path) -> None:
    files = phantom(tmp_path, 5)
    await store_files(store, files[:2])
    await told.due()
    delivery = await told.outbox.claim(60)
    assert delivery is not None
    # While it is being told, the study grows.
    await store_files(store, files[2:])
    await told.outbox.done(delivery)
    assert (await told.outbox.state()).waiting == 1
    await told.due()
    assert await told.sender.once()
    (notice,) = told.institution.heard
    assert notice.revision > delivery.revision
    assert len(notice.instances) == 5


async def test_whether_more_of_it_waits_is_told(told: Told, store: Store, tmp_path: Path) -> None:
    files = phantom(tmp_path, 4)
    (first, *_) = await store_files(store, files[:2])
    owner = Upload("of-the-same-patient", "ana", "p", "t", False)
    await store.uploads.create(owner, BY)
    for name in ("1", "2"):
        coming = msgspec.structs.replace(an_object(name), study_uid=first.header.study_uid)
        assert await store.uploads.accept(coming, owner, None, BY) == "stored"
    await told.due()
    assert await told.sender.once()
    assert [one.complete for one in told.institution.heard] == [False]
    # What cannot be indexed does not wait any more either.
    for _ in range(2):
        (message,) = await store.queue.claim("w", 1, 60)
        assert not await told.sender.once()
        await store.queue.fail(message, "w", "This is no DICOM file.", final=True)
        await told.due()
        assert await told.sender.once()
    assert [one.complete for one in told.institution.heard] == [False, False, True]
    assert (await told.outbox.state()).waiting == 0


async def test_of_nothing_but_failures_nothing_is_told(told: Told, store: Store) -> None:
    await accept(store.uploads, await open_upload(store.uploads), 1)
    (message,) = await store.queue.claim("w", 1, 60)
    await store.queue.fail(message, "w", "This is no DICOM file.", final=True)
    await told.due()
    await told.sender.once()
    assert told.institution.heard == []
    assert (await told.outbox.state()).waiting == 0


async def test_again_and_again_with_longer_pauses(told: Told, store: Store, tmp_path: Path) -> None:
    await store_files(store, phantom(tmp_path, 3))
    told.institution.error = Unavailable("The institution does not answer.")
    waits = []
    for attempt in range(1, 15):
        await told.due()
        assert await told.sender.once()
        (entry,) = (await told.outbox.state()).items
        assert (entry.attempts, entry.reason) == (attempt, "The institution does not answer.")
        waits.append(await told.wait_s())
    assert waits[0] <= FIRST_RETRY_S * 1.2
    assert LAST_RETRY_S * 0.7 < waits[-1] <= LAST_RETRY_S * 1.2
    # Whatever the reason is, nothing is given up.
    for error in (Forbidden("This node is not known here."), ValueError("a fault of ours")):
        told.institution.error = error
        await told.due()
        assert await told.sender.once()
        assert (await told.outbox.state()).waiting == 1
    assert (await told.outbox.state()).items[0].reason == "Unexpected: ValueError."
    told.institution.error = None
    await told.due()
    assert await told.sender.once()
    assert (await told.outbox.state()).waiting == 0


async def test_a_study_that_cannot_be_told_does_not_silence_others(
    told: Told, store: Store, tmp_path: Path
) -> None:
    await store_files(store, phantom(tmp_path, 3))
    await told.due()
    told.institution.error = ValueError("a fault of ours")
    assert await told.sender.once()
    told.institution.error = None
    (other, *_) = await store_files(store, phantom(tmp_path, 3))
    async with told.database.begin() as connection:
        past = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)
        mine = table.c.study_uid == other.header.study_uid
        await connection.execute(table.update().where(mine).values(available_at=past))
    assert await told.sender.once()
    assert [one.study_uid for one in told.institution.heard] == [other.header.study_uid]


async def test_two_senders_share_the_work(told: Told, store: Store, tmp_path: Path) -> None:
    for _ in range(3):
        await store_files(store, phantom(tmp_path, 3))
    await told.due()
    claimed = [await told.outbox.claim(60) for _ in range(4)]
    assert len({one.study_uid for one in claimed if one is not None}) == 3
    assert claimed[3] is None
    # Who dies leaves its study to others when the lease is over.
    async with told.database.begin() as connection:
        past = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)
        await connection.execute(table.update().values(leased_until=past))
    assert await told.outbox.claim(60) is not None


async def test_several_studies(told: Told, store: Store, tmp_path: Path, shared_data: Path) -> None:
    files = sorted((shared_data / "transfer-syntaxes").rglob("*.dcm"))[:6]
    stored = await store_files(store, files, apart=True)
    while True:
        await told.due()
        if not await told.sender.once():
            break
    assert {one.study_uid for one in told.institution.heard} == {one.header.study_uid for one in stored}
    facts = [(one.series[0].has_volume, one.series[0].why_no_volume) for one in told.institution.heard]
    assert all(bool(why) is not has for has, why in facts), facts


async def test_many_studies_are_told_at_once(told: Told, store: Store, tmp_path: Path) -> None:
    total = TOGETHER + 4
    for number in range(total):
        await store_files(store, phantom(tmp_path / str(number), 1))
    await told.due()
    institution = told.await_answers()
    async with asyncio.timeout(60), told.running():
        await institution.many.wait()
        institution.go.set()
        while (await told.outbox.state()).waiting:
            await asyncio.sleep(0.02)
    assert institution.most == TOGETHER
    assert len({one.study_uid for one in institution.heard}) == len(institution.heard) == total


async def test_who_does_not_answer_is_asked_one_at_a_time(told: Told, store: Store, tmp_path: Path) -> None:
    for number in range(TOGETHER + 4):
        await store_files(store, phantom(tmp_path / str(number), 1))
    await told.due()
    institution = told.await_answers()
    institution.error = Unavailable("The institution does not answer.")
    institution.go.set()
    async with asyncio.timeout(60), told.running():
        while institution.refused < TOGETHER + 2:
            await asyncio.sleep(0.02)
        seen = institution.refused
        institution.most_after_a_refusal = 0
        while institution.refused < seen + 2:
            await asyncio.sleep(0.02)
        assert institution.most_after_a_refusal == 1
        institution.error = None
        await told.due()
        while (await told.outbox.state()).waiting:
            await asyncio.sleep(0.02)
    assert len(institution.heard) == TOGETHER + 4


async def test_one_study_that_is_refused_slows_nobody(told: Told, store: Store, tmp_path: Path) -> None:
    await store_files(store, phantom(tmp_path, 1))
    await told.due()
    told.institution.error = Conflict("This study belongs to another patient at this institution.")
    assert await told.sender.once()
    assert not told.sender._down


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("20260102", datetime.date(2026, 1, 2)),
        ("2026.01.02", datetime.date(2026, 1, 2)),
        ("", None),
        ("20261302", None),
        ("2026", None),
        ("nothing", None),
    ],
)
def test_dates(text: str, date: datetime.date | None) -> None:
    assert study_date(text) == date


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("101112", "10:11:12"),
        ("101112.123456", "10:11:12"),
        ("10:11:12", "10:11:12"),
        ("1011", "10:11:00"),
        ("10", "10:00:00"),
        ("", ""),
        ("noon", ""),
        ("1", ""),
    ],
)
def test_times(text: str, time: str) -> None:
    assert study_time(text) == time


async def test_notice_is_a_function_of_what_is_stored(told: Told, store: Store, tmp_path: Path) -> None:
    stored = await store_files(store, phantom(tmp_path, 4))
    await told.due()
    delivery = await told.outbox.claim(60)
    assert delivery is not None
    assert notice_of(NODE, delivery, stored, True).series == (
        notice_of(NODE, delivery, stored[::-1], True).series
    )


@pytest.mark.parametrize("error", [None, Unavailable("down"), RuntimeError("unexpected")])
async def test_a_node_says_again_and_again_that_it_is_there(
    error: Exception | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_service, "PRESENCE_S", 0.01)
    institution = Institution()
    institution.error = error
    task = asyncio.create_task(stay_present(institution))
    for _ in range(2):
        await asyncio.wait_for(institution.present.wait(), 10)
        institution.present.clear()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
