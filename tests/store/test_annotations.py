"""Annotations on both databases: independent rows, and nothing that changes is missed by a cursor."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator

import msgspec
import pytest

from sivr.errors import Conflict, Exhausted, Forbidden, NotFound
from sivr.model.annotations import Drawing, InPatient, OnFrame
from sivr.model.archive import Author
from sivr.store import annotations as module
from sivr.store.annotations import AnnotationStore
from sivr.store.audit import By
from sivr.store.database import Database

ANA, MARKO = Author("ana", "Dr. Ana Đurić"), Author("marko", "Dr. Marko")
BY = By("ana")
LINE = Drawing(
    kind="length", place=OnFrame("1.2.3", "1.2.3.4", 7), points=((1.5, 2.25), (30.0, 40.0)), text="č"
)


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[AnnotationStore]:
    async with Database(database_url, "institution") as opened:
        yield AnnotationStore(opened)


async def test_write_change_delete_restore(store: AnnotationStore) -> None:
    first = await store.add("1.2", "a1", LINE, ANA, BY)
    assert (first.version, first.points, first.text, first.author) == (1, LINE.points, "č", ANA)
    assert await store.add("1.2", "a1", LINE, ANA, BY) == first, "the same sent again"
    for study, author in (("1.3", ANA), ("1.2", MARKO)):
        with pytest.raises(Conflict):
            await store.add(study, "a1", LINE, author, By(author.id))
    moved = msgspec.structs.replace(LINE, points=((1.0, 1.0), (2.0, 2.0)))
    second = await store.change("1.2", "a1", moved, 1, False, ANA, BY)
    assert (second.version, second.points) == (2, moved.points)
    assert await store.change("1.2", "a1", moved, 1, False, ANA, BY) == second, "its answer was lost"
    with pytest.raises(Conflict) as stale:
        await store.change("1.2", "a1", LINE, 1, False, ANA, BY)
    assert stale.value.details["version"] == 2
    assert stale.value.details["current"]["points"] == moved.points  # type: ignore[index]
    with pytest.raises(Forbidden):
        await store.change("1.2", "a1", LINE, 2, False, MARKO, By("marko"))
    for study, known in (("1.3", "a1"), ("1.2", "none")):
        with pytest.raises(NotFound):
            await store.change(study, known, LINE, 2, False, ANA, BY)
    gone = await store.change("1.2", "a1", None, 2, True, ANA, BY)
    assert (gone.deleted, gone.points) == (True, moved.points)
    assert (await store.of_study("1.2", "marko", 0, 10)).items == ()
    back = await store.change("1.2", "a1", moved, 3, False, ANA, BY)
    assert (back.deleted, back.version) == (False, 4)
    assert (await store.of_study("1.2", "marko", 0, 10)).items == (back,)


async def test_a_cursor_misses_nothing(store: AnnotationStore) -> None:
    place = InPatient("1.9", "1.2.3")
    drawings = [Drawing(kind="probe", place=place, points=((float(n), 0.0, 1.0),)) for n in range(30)]
    seen: dict[str, int] = {}
    done = asyncio.Event()

    async def follow() -> None:
        cursor, last = 0, False
        while not last:
            last = done.is_set()
            page = await store.of_study("1.2", "marko", cursor, 4)
            for one in page.items:
                assert one.change > cursor
                seen[one.id] = one.version
            cursor, last = page.cursor, last and not page.more
            await asyncio.sleep(0)

    follower = asyncio.create_task(follow())
    made = await asyncio.gather(
        *(
            store.add("1.2", uuid.uuid4().hex, one, ANA if n % 2 else MARKO, BY)
            for n, one in enumerate(drawings)
        )
    )
    await asyncio.gather(*(store.change("1.2", one.id, None, 1, True, one.author, BY) for one in made[:10]))
    done.set()
    await follower
    assert seen == {one.id: 2 if n < 10 else 1 for n, one in enumerate(made)}
    assert len({one.change for one in made}) == 30
    assert len((await store.of_study("1.2", "ana", 0, 100)).items) == 20


async def test_what_its_author_keeps(store: AnnotationStore) -> None:
    shown = await store.add("1.2", "a1", LINE, ANA, BY)
    cursor = (await store.of_study("1.2", "marko", 0, 10)).cursor
    own = msgspec.structs.replace(LINE, visibility="author")
    kept = await store.change("1.2", "a1", own, shown.version, False, ANA, BY)
    assert (await store.of_study("1.2", "ana", 0, 10)).items == (kept,)
    assert (await store.of_study("1.2", "marko", 0, 10)).items == ()
    (told,) = (await store.of_study("1.2", "marko", cursor, 10)).items
    assert (told.id, told.deleted, told.points, told.text) == ("a1", True, (), "")


async def test_a_study_holds_so_many(store: AnnotationStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_OF_STUDY", 2)
    for name in ("a1", "a2"):
        await store.add("1.2", name, LINE, ANA, BY)
    with pytest.raises(Exhausted):
        await store.add("1.2", "a3", LINE, ANA, BY)
    await store.add("1.3", "a3", LINE, ANA, BY)
