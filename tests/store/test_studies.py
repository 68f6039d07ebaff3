"""Studies on both databases: what nodes tell, and how it is found."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import date

import pytest
import sqlalchemy as sa

from sivr.errors import Conflict, Forbidden, Invalid, NotFound
from sivr.model.archive import Author, StudySearch
from sivr.store.audit import Audit, By
from sivr.store.database import Database
from sivr.store.findings import FindingStore
from sivr.store.nodes import Nodes
from sivr.store.studies import StudyStore
from tests.services.institution_place import NODE, OTHER_NODE, instance_of, notice_of, series_of

BY = By("node-1")


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with Database(database_url, "institution") as opened:
        for one in (NODE, OTHER_NODE):
            await Nodes(opened).seed(one.id, one.name, one.url, one.public_key)
        yield opened


@pytest.fixture
def studies(database: Database) -> StudyStore:
    return StudyStore(database)


async def found(studies: StudyStore, **search: object) -> list[str]:
    """The UIDs found, in order."""
    items, total = await studies.find(StudySearch(**search))  # type: ignore[arg-type]
    assert len(items) == total
    return [one.study_uid for one in items]


async def test_whether_more_is_to_come(studies: StudyStore) -> None:
    for revision, complete in enumerate((False, False, True, False), 1):
        assert await studies.note(notice_of(revision=revision, complete=complete), BY)
        (kept,) = await studies.get("1.2.3")
        assert kept.complete is complete


async def test_studies_from_before_that_was_told(database_url: str) -> None:
    async with Database(database_url, "institution") as database:
        await Nodes(database).seed(NODE.id, NODE.name, NODE.url, NODE.public_key)
        await StudyStore(database).note(notice_of(), BY)
        async with database.begin() as connection:
            # What later versions add is not there yet.
            for table in ("annotation_change", "annotation"):
                await connection.execute(sa.text(f"DROP TABLE {table}"))
            await connection.execute(sa.text("ALTER TABLE study DROP COLUMN complete"))
            await connection.execute(sa.text("UPDATE version_institution SET version_num = '0001'"))
    async with Database(database_url, "institution") as database:
        (kept,) = await StudyStore(database).get("1.2.3")
        assert kept.complete


async def test_a_notice_is_kept_whole(database: Database, studies: StudyStore) -> None:
    notice = notice_of(
        modalities=("SR", "CT"),
        series=(
            series_of("1.2.3.9", None, description="Report", modality="SR"),
            series_of("1.2.3.2", 2, has_volume=True, body_part="HEAD"),
            series_of("1.2.3.1", 1, why_no_volume="Two slices lie at one place."),
        ),
    )
    assert await studies.note(notice, BY)
    (kept,) = await studies.get("1.2.3")
    assert [one.series_uid for one in kept.series] == ["1.2.3.1", "1.2.3.2", "1.2.3.9"]
    assert set(kept.series) == set(notice.series)
    assert (kept.patient_id, kept.patient_issuer, kept.node_id) == ("patient-1", "county", "node-1")
    assert kept.node is not None
    assert (kept.node.name, kept.node.url) == (NODE.name, NODE.url)
    assert (kept.modalities, kept.study_date) == (("CT", "SR"), date(2024, 2, 29))
    assert (kept.study_time, kept.accession_number) == ("10:20:30", "A1")
    assert (kept.series_count, kept.instance_count, kept.size_bytes) == (3, 2, 2000)
    assert kept.created_at == kept.updated_at
    assert await studies.instances("1.2.3") == list(notice.instances)
    assert [row.action for row in await Audit(database).newest(object_id="1.2.3")] == ["study.arrive"]
    assert (await Nodes(database).get("node-1")).last_seen_at is not None


async def test_the_newest_revision_wins(studies: StudyStore) -> None:
    assert await studies.note(notice_of(range(3), revision=2), BY)
    assert not await studies.note(notice_of(range(3), revision=2), BY)
    assert not await studies.note(notice_of(range(1), revision=1), BY)
    assert (await studies.get("1.2.3"))[0].instance_count == 3
    assert await studies.note(notice_of(range(5), revision=3, description="MR"), BY)
    (after,) = await studies.get("1.2.3")
    assert (after.instance_count, after.description) == (5, "MR")
    assert after.updated_at > after.created_at
    assert await studies.note(notice_of(range(1), revision=4), BY)
    assert [one.instance_uid for one in await studies.instances("1.2.3")] == ["1.2.3.1.0"]


async def test_what_changed_is_replaced(studies: StudyStore) -> None:
    await studies.note(notice_of(), BY)
    series = series_of("1.2.3.1", description="New")
    objects = (instance_of("1.2.3.1.1", "1.2.3.1", size_bytes=7), instance_of("1.2.3.1.3", "1.2.3.1"))
    await studies.note(notice_of(objects, revision=2, modalities=("MR",), series=(series,)), BY)
    (kept,) = await studies.get("1.2.3")
    assert (kept.modalities, kept.series) == (("MR",), (series,))
    assert await studies.instances("1.2.3") == list(objects)


async def test_a_study_on_two_nodes(studies: StudyStore) -> None:
    await studies.note(notice_of(range(1, 3)), BY)
    await studies.note(notice_of(range(2, 6), node_id="node-2"), By("node-2"))
    assert [one.node_id for one in await studies.get("1.2.3")] == ["node-2", "node-1"]
    assert await studies.held_by("1.2.3") == ["node-2", "node-1"]
    assert await found(studies) == ["1.2.3", "1.2.3"]
    assert len(await studies.instances("1.2.3")) == 5
    # Each node's revisions count for themselves.
    assert not await studies.note(notice_of(range(1, 2), node_id="node-1"), BY)


async def test_one_study_belongs_to_one_patient(database: Database, studies: StudyStore) -> None:
    await studies.note(notice_of(), BY)
    with pytest.raises(Conflict, match="another patient"):
        await studies.note(notice_of(node_id="node-2", patient_id="patient-2"), By("node-2"))
    # The node itself may be told better.
    assert await studies.note(notice_of(revision=2, patient_id="patient-2"), BY)
    rows = await Audit(database).newest(object_id="1.2.3")
    assert [row.action for row in rows] == ["study.move", "study.arrive"]


async def test_unknown_nodes_tell_nothing(studies: StudyStore) -> None:
    with pytest.raises(Forbidden, match="not known"):
        await studies.note(notice_of(node_id="node-9"), By("node-9"))
    assert await found(studies) == []


async def test_one_series_uid_in_two_studies(studies: StudyStore) -> None:
    """Badly de-identified files are like that; both studies must be seen."""
    shared = (series_of("9.9"),)
    for uid in ("1.1", "1.2"):
        await studies.note(notice_of([instance_of("9.9.1", "9.9")], study_uid=uid, series=shared), BY)
    assert [len((await studies.get(uid))[0].series) for uid in ("1.1", "1.2")] == [1, 1]


async def test_notices_at_once(studies: StudyStore) -> None:
    notices = [notice_of(range(revision), revision=revision) for revision in range(1, 13)]
    await asyncio.gather(*(studies.note(one, BY) for one in (*notices, *reversed(notices))))
    (kept,) = await studies.get("1.2.3")
    assert kept.instance_count == 12
    assert len(await studies.instances("1.2.3")) == 12


async def test_two_nodes_at_once_with_two_patients(studies: StudyStore) -> None:
    """Whoever comes first keeps the study; both at once must not get it."""
    for number in range(10):
        uid = f"1.2.{number}"
        done = await asyncio.gather(
            studies.note(notice_of(study_uid=uid), BY),
            studies.note(notice_of(study_uid=uid, node_id="node-2", patient_id="patient-2"), By("node-2")),
            return_exceptions=True,
        )
        assert sorted(type(one).__name__ for one in done) == ["Conflict", "bool"]


async def test_large_studies(studies: StudyStore) -> None:
    await studies.note(notice_of(range(3000)), BY)
    await studies.note(notice_of(range(1000, 4000), revision=2), BY)
    assert {one.instance_uid for one in await studies.instances("1.2.3")} == {
        f"1.2.3.1.{number}" for number in range(1000, 4000)
    }


async def test_search(studies: StudyStore) -> None:
    for uid, day, values in (
        ("1.1", date(2024, 1, 1), {"description": "CT Thorax", "patient_id": "p1"}),
        ("1.2", date(2024, 6, 1), {"description": "Magnetska rezonancija gležnja", "modalities": ("MR",)}),
        ("1.3", None, {"description": "100 % scan_x", "modalities": ("US", "SR")}),
        ("1.4", date(2025, 1, 1), {"description": "", "patient_id": "p1"}),
    ):
        await studies.note(notice_of(study_uid=uid, study_date=day, **values), BY)  # type: ignore[arg-type]
    assert await found(studies) == ["1.4", "1.2", "1.1", "1.3"]
    assert await found(studies, patient_id="p1") == ["1.4", "1.1"]
    assert await found(studies, patient_id="p") == []
    assert await found(studies, modality="mr ") == ["1.2"]
    assert await found(studies, modality="CT") == ["1.4", "1.1"]
    assert await found(studies, modality="SR") == ["1.3"]
    assert await found(studies, date_from=date(2024, 6, 1)) == ["1.4", "1.2"]
    assert await found(studies, date_to=date(2024, 6, 1)) == ["1.2", "1.1"]
    assert await found(studies, date_from=date(2024, 1, 1), date_to=date(2024, 1, 1)) == ["1.1"]
    for description in ("GLEZNJA", "gležnj", "ležn", "rezonan magnet", "Gležnja, magnetska"):
        assert await found(studies, description=description) == ["1.2"], description
    assert await found(studies, description="thorax", patient_id="p1") == ["1.1"]
    assert await found(studies, description="xyz") == []
    # Wildcards of SQL mean nothing here.
    assert await found(studies, description="100 %") == ["1.3"]
    assert await found(studies, description="%xyz_") == []


async def test_pages(studies: StudyStore) -> None:
    for number in range(7):
        await studies.note(notice_of(study_uid=f"1.{number}"), BY)
    pages = [await studies.find(StudySearch(limit=3, offset=offset)) for offset in (0, 3, 6, 9)]
    assert [total for _, total in pages] == [7] * 4
    assert [[one.study_uid for one in items] for items, _ in pages] == [
        ["1.0", "1.1", "1.2"], ["1.3", "1.4", "1.5"], ["1.6"], [],
    ]  # fmt: skip


async def test_findings_are_counted(database: Database, studies: StudyStore) -> None:
    await studies.note(notice_of(), BY)
    for _ in range(3):
        await FindingStore(database).add("1.2.3", "text", Author("a", "A"), By("a"))
    assert (await studies.get("1.2.3"))[0].findings_count == 3
    assert (await studies.find(StudySearch()))[0][0].findings_count == 3


async def test_unknown_studies(studies: StudyStore) -> None:
    for attempt in (
        studies.get("1.9"),
        studies.instances("1.9"),
        studies.require("1.9"),
        studies.held_by("1.9"),
    ):
        with pytest.raises(NotFound, match="no such study"):
            await attempt


async def test_what_no_database_can_hold(studies: StudyStore) -> None:
    with pytest.raises((NotFound, Invalid)):
        await studies.get("1\0")
    for name in ("patient_id", "modality", "description"):
        with contextlib.suppress(Invalid):
            assert await found(studies, **{name: "\0x"}) == []
