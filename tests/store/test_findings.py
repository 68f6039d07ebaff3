"""Findings on both databases: every version is kept, changes do not overwrite each other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import sqlalchemy as sa

from sivr.errors import Conflict, Forbidden, NotFound
from sivr.model.archive import Author
from sivr.store.audit import Audit, By
from sivr.store.database import Database
from sivr.store.findings import FindingStore
from sivr.store.schema.institution import finding_version

ANA = Author("ana", "Dr. Ana Đurić")
MARKO = Author("marko", "Dr. Marko")
BY = By("ana")


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with Database(database_url, "institution") as opened:
        yield opened


@pytest.fixture
def findings(database: Database) -> FindingStore:
    return FindingStore(database)


async def test_write_change_history(findings: FindingStore) -> None:
    first = await findings.add("1.2", "One\n\U0001f480", ANA, BY)
    other = await findings.add("1.2", "Other", MARKO, By("marko"))
    await findings.add("1.3", "Elsewhere", ANA, BY)
    # A new name of the author stands with what was written under it.
    renamed = Author("ana", "Dr. Ana Horvat")
    second = await findings.change("1.2", first.id, "Two", 1, renamed, BY)
    assert (second.version, second.text, second.author) == (2, "Two", renamed)
    assert second.created_at == first.created_at < second.updated_at
    assert await findings.of_study("1.2") == [second, other]
    history = await findings.history("1.2", first.id)
    assert [(one.version, one.text, one.author) for one in history] == [
        (2, "Two", renamed), (1, "One\n\U0001f480", ANA),
    ]  # fmt: skip


async def test_refusals_change_nothing(database: Database, findings: FindingStore) -> None:
    first = await findings.add("1.2", "One", ANA, BY)
    with pytest.raises(Forbidden):
        await findings.change("1.2", first.id, "Mine", 1, MARKO, By("marko"))
    with pytest.raises(Conflict) as stale:
        await findings.change("1.2", first.id, "Two", 2, ANA, BY)
    assert stale.value.details == {"version": 1}
    for study, finding in (("1.3", first.id), ("1.2", "none")):
        with pytest.raises(NotFound):
            await findings.change(study, finding, "Two", 1, ANA, BY)
        with pytest.raises(NotFound):
            await findings.history(study, finding)
    async with database.connect() as connection:
        assert await connection.scalar(sa.select(sa.func.count()).select_from(finding_version)) == 1


async def test_the_same_change_twice_is_one(findings: FindingStore) -> None:
    first = await findings.add("1.2", "One", ANA, BY)
    second = await findings.change("1.2", first.id, "Two", 1, ANA, BY)
    assert await findings.change("1.2", first.id, "Two", 1, ANA, BY) == second
    assert len(await findings.history("1.2", first.id)) == 2


async def test_the_same_finding_twice_is_one(findings: FindingStore) -> None:
    first = await findings.add("1.2", "One", ANA, BY, finding_id="a1")
    assert first.id == "a1"
    renamed = Author("ana", "Dr. Ana Horvat")
    assert await findings.add("1.2", "One", renamed, BY, finding_id="a1") == first
    for study, text, author in (("1.2", "Two", ANA), ("1.2", "One", MARKO), ("1.3", "One", ANA)):
        with pytest.raises(Conflict):
            await findings.add(study, text, author, By(author.id), finding_id="a1")
    # What arrives late is what was asked for first, whatever became of it since.
    changed = await findings.change("1.2", "a1", "Two", 1, ANA, BY)
    assert await findings.add("1.2", "One", ANA, BY, finding_id="a1") == changed
    assert await findings.of_study("1.2") == [changed]
    assert len(await findings.history("1.2", "a1")) == 2


async def test_the_same_finding_at_once(database: Database, findings: FindingStore) -> None:
    asked = (findings.add("1.2", "One", ANA, BY, finding_id="a1") for _ in range(8))
    written = await asyncio.gather(*asked)
    assert await findings.of_study("1.2") == written[:1]
    assert {one.created_at for one in written} == {written[0].created_at}
    assert len(await Audit(database).newest(object_id="a1")) == 1


async def test_changes_at_once(findings: FindingStore) -> None:
    first = await findings.add("1.2", "One", ANA, BY)
    changes = (findings.change("1.2", first.id, f"Text {number}", 1, ANA, BY) for number in range(8))
    done = await asyncio.gather(*changes, return_exceptions=True)
    assert [type(one) for one in done].count(Conflict) == 7
    (kept,) = await findings.of_study("1.2")
    assert kept in done
    assert len(await findings.history("1.2", first.id)) == 2


async def test_writing_at_once(findings: FindingStore) -> None:
    written = await asyncio.gather(*(findings.add("1.2", f"Text {number}", ANA, BY) for number in range(20)))
    assert {one.id for one in await findings.of_study("1.2")} == {one.id for one in written}
