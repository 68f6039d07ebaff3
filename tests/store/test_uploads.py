"""Uploads and acceptance on both databases: one patient's study, one UID's bytes, all in one transaction."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator

import msgspec
import pytest
import sqlalchemy as sa

from sivr.errors import NotFound
from sivr.model.ingest import FileResult, Object, Upload
from sivr.store.audit import Audit
from sivr.store.database import Database
from sivr.store.queue import Queue
from sivr.store.schema.render import accepted, audit, message, study, upload_file
from sivr.store.uploads import Uploads
from tests.store.ingested import BY, accept, an_object, open_upload

OBJECTS = 40
ACCEPT_ALL = """
import asyncio, sys
from sivr.store.database import Database
from sivr.store.uploads import Uploads
from tests.store.ingested import BY, an_object, open_upload

async def accept_all(url, patient, count):
    async with Database(url, "render") as database:
        uploads = Uploads(database)
        owner = await open_upload(uploads, patient)
        offers = (uploads.accept(an_object(str(n), f"1.{n % 7}"), owner, None, BY) for n in range(int(count)))
        print(*(verdict.replace(" ", "-") for verdict in await asyncio.gather(*offers)))

asyncio.run(accept_all(*sys.argv[1:]))
"""


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with Database(database_url, "render") as opened:
        yield opened


@pytest.fixture
def uploads(database: Database) -> Uploads:
    return Uploads(database)


async def rows(database: Database, table: sa.Table) -> int:
    """Rows of a table."""
    async with database.connect() as connection:
        return await connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0


def result_of(made: Object, file_id: str = "f1") -> FileResult:
    """What is answered for a file that is stored."""
    return FileResult(file_id=file_id, name="name č", status="stored", size_bytes=made.size_bytes)


async def test_open_and_cancel(uploads: Uploads, database: Database) -> None:
    made = await open_upload(uploads)
    assert await uploads.get(made.id) == made
    await uploads.cancel(made.id, BY)
    assert (await uploads.get(made.id)).canceled
    assert [one.action for one in await Audit(database).newest()] == ["upload.cancel", "upload.create"]
    with pytest.raises(NotFound):
        await uploads.get("nothing")


async def test_accepted_queued_and_answered_together(uploads: Uploads, database: Database) -> None:
    owner, made = await open_upload(uploads), an_object("1")
    assert await uploads.verdict(made, owner) == "stored"
    assert await uploads.accept(made, owner, result_of(made), BY) == "stored"
    assert await uploads.result(owner.id, "f1") == result_of(made)
    assert await uploads.result(owner.id, "f2") is None
    waiting = await Queue(database).claim("w", 9, 60)
    assert [(one.instance_uid, one.sha256) for one in waiting] == [(made.instance_uid, made.sha256)]
    assert await uploads.verdict(made, owner) == "duplicate"
    newest = (await Audit(database).newest(1))[0]
    assert (newest.action, newest.object_id, newest.actor_id) == ("instance.store", made.instance_uid, "ana")


async def test_a_duplicate_is_answered_as_one(uploads: Uploads, database: Database) -> None:
    owner, made = await open_upload(uploads), an_object("1")
    for expected in ("stored", "duplicate"):
        assert await uploads.accept(made, owner, result_of(made, expected), BY) == expected
        found = await uploads.result(owner.id, expected)
        assert found is not None
        assert found.status == expected
    assert (await rows(database, accepted), await rows(database, message)) == (1, 1)
    studies, waiting, failed = await uploads.studies(owner.id)
    assert [(one.study_uid, one.instances, one.indexed) for one in studies] == [("1.2", 2, False)]
    assert (waiting, failed) == (1, 0)


async def test_the_first_bytes_of_a_uid_stay(uploads: Uploads, database: Database) -> None:
    owner, made = await open_upload(uploads), an_object("1")
    await uploads.accept(made, owner, None, BY)
    other = an_object("1", body="other")
    assert await uploads.accept(other, owner, result_of(other), BY) == "other bytes"
    # Nor in another study, which is not claimed by that.
    moved = msgspec.structs.replace(other, study_uid="9.9")
    assert await uploads.accept(moved, owner, result_of(other), BY) == "other bytes"
    assert await uploads.result(owner.id, "f1") is None
    async with database.connect() as connection:
        assert (await connection.execute(sa.select(study.c.study_uid))).scalars().all() == ["1.2"]
        assert (await connection.execute(sa.select(accepted.c.sha256))).scalars().all() == [made.sha256]


async def test_a_study_belongs_to_one_patient(uploads: Uploads, database: Database) -> None:
    mine, other = await open_upload(uploads, "p1"), await open_upload(uploads, "p2")
    issuer = Upload("u", "ana", "p1", "another county", False)
    await uploads.accept(an_object("1"), mine, None, BY)
    for owner in (other, issuer):
        for name in ("1", "2"):
            assert await uploads.verdict(an_object(name), owner) == "other patient"
            assert await uploads.accept(an_object(name), owner, None, BY) == "other patient"
    assert await rows(database, accepted) == 1


async def test_many_at_once_in_one_batch(uploads: Uploads, database: Database) -> None:
    mine, other = await open_upload(uploads, "p1"), await open_upload(uploads, "p2")
    offers = [(an_object(str(number // 2)), mine) for number in range(200)]
    offers += [(an_object("0", body="other"), mine), (an_object("7"), other), (an_object("x"), other)]
    offers += [(an_object("y", "5.5"), other), (an_object("z", "5.5"), mine)]
    verdicts = await asyncio.gather(
        *(uploads.accept(made, owner, result_of(made, f"f{n}"), BY) for n, (made, owner) in enumerate(offers))
    )
    assert verdicts[:200] == ["stored", "duplicate"] * 100
    assert verdicts[200:] == ["other bytes", "other patient", "other patient", "stored", "other patient"]
    assert await rows(database, accepted) == await rows(database, message) == 101
    assert await rows(database, upload_file) == 201
    assert len(await uploads.results(mine.id)) == 200


async def test_one_that_cannot_be_written_stands_alone(uploads: Uploads, database: Database) -> None:
    owner = await open_upload(uploads)
    nobody = Upload("no such upload", "ana", "p1", "county", False)
    offers = [(an_object("1"), owner), (an_object("2"), nobody), (an_object("3"), owner)]
    answers = await asyncio.gather(
        *(uploads.accept(made, by, result_of(made), BY) for made, by in offers), return_exceptions=True
    )
    assert (answers[0], answers[2]) == ("stored", "stored")
    assert isinstance(answers[1], sa.exc.IntegrityError)
    assert await rows(database, accepted) == await rows(database, message) == 2
    assert await rows(database, audit) == 3


async def test_two_processes_accept_the_same_objects(database_url: str) -> None:
    async with Database(database_url, "render"):
        pass
    workers = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", ACCEPT_ALL, database_url, patient, str(OBJECTS),
            stdout=asyncio.subprocess.PIPE,
        )
        for patient in ("p1", "p1", "p2")
    ]  # fmt: skip
    said = [(await one.communicate())[0].decode().split() for one in workers]
    assert [one.returncode for one in workers] == [0, 0, 0]
    async with Database(database_url, "render") as database:
        assert await rows(database, accepted) == await rows(database, message) == OBJECTS
        async with database.connect() as connection:
            found = await connection.execute(sa.select(study.c.study_uid, study.c.patient_id))
            holders = {row.study_uid: row.patient_id for row in found}
    for number, (first, second, third) in enumerate(zip(*said, strict=True)):
        holder = holders[f"1.{number % 7}"]
        if holder == "p1":
            assert sorted([first, second]) == ["duplicate", "stored"]
            assert third == "other-patient"
        else:
            assert (first, second, third) == ("other-patient", "other-patient", "stored")


async def test_hashes_that_nobody_has(uploads: Uploads) -> None:
    made = await accept(uploads, await open_upload(uploads), 3)
    strangers = [f"{number:064x}" for number in range(1200)]
    asked = [strangers[0], *(one.sha256 for one in made), *strangers[1:]]
    assert await uploads.not_accepted(asked) == strangers
    assert await uploads.not_accepted([]) == []


async def test_dead_objects_are_told(uploads: Uploads, database: Database) -> None:
    owner, queue = await open_upload(uploads), Queue(database)
    await accept(uploads, owner, 3)
    one = (await queue.claim("w", 1, 60))[0]
    await queue.fail(one, "w", "broken", final=True)
    studies, waiting, failed = await uploads.studies(owner.id)
    assert (waiting, failed) == (2, 1)
    assert not studies[0].indexed


async def test_results_and_fates(uploads: Uploads) -> None:
    owner = await open_upload(uploads)
    members = tuple(
        FileResult(file_id=f"zip.{n}", name=f"member {n}", status="refused", size_bytes=n, reason="x" * 100)
        for n in range(2000)
    )
    archive = FileResult(file_id="zip", name="a.zip", status="archive", size_bytes=7, members=members)
    single = FileResult(file_id="one", name="a", status="refused", size_bytes=3, reason="No DICOM file.")
    for result in (archive, single):
        await uploads.finish(owner.id, result)
    assert await uploads.results(owner.id) == [archive, single]
    fates = await uploads.fates(owner.id)
    assert [(one.status, one.size_bytes, len(one.members)) for one in fates] == [
        ("archive", 7, 2000),
        ("refused", 3, 0),
    ]
    assert await uploads.find(owner.id, "one") == (owner, single)
    assert await uploads.find(owner.id, "two") == (owner, None)
    with pytest.raises(NotFound):
        await uploads.find("nothing", "one")
    assert await uploads.fates("nothing") == []
