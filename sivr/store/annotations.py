"""Annotations of studies, each a row of its own; what changed is found by a number that grows per study."""

from __future__ import annotations

from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from sivr.errors import Conflict, Exhausted, Forbidden, NotFound
from sivr.model.annotations import Annotation, AnnotationPage, Drawing, OnFrame, Place
from sivr.model.archive import Author
from sivr.store.audit import By, record
from sivr.store.database import Database
from sivr.store.schema.columns import now
from sivr.store.schema.institution import annotation, annotation_change
from sivr.store.upsert import insert_for

MAX_OF_STUDY = 10_000
"""Annotations of a study, the deleted ones too."""


class _Content(msgspec.Struct, frozen=True):
    """What a row keeps as JSON."""

    place: Place
    points: tuple[tuple[float, ...], ...]
    name: str
    text: str
    color: str


class AnnotationStore:
    """Annotations in the institution's database; deleting only marks them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of_study(self, study_uid: str, reader: str, since: int, limit: int) -> AnnotationPage:
        """What ``reader`` may see, changed after ``since``, in the order of changes.

        From the beginning without what is deleted; later on with it, and what its author keeps from others
        now is told to them as deleted, without its content.
        """
        columns = annotation.c
        query = sa.select(annotation).where(columns.study_uid == study_uid, columns.change > since)
        if not since:
            query = query.where(
                columns.deleted.is_(False),
                sa.or_(columns.visibility == "everyone", columns.author_id == reader),
            )
        last = sa.select(annotation_change.c.last).where(annotation_change.c.study_uid == study_uid)
        async with self._database.connect() as connection:
            # First the number, then the rows: what comes between is told once more the next time.
            newest = await connection.scalar(last) or 0
            rows = (await connection.execute(query.order_by(columns.change).limit(limit + 1))).all()
        found = [_annotation(row, reader) for row in rows[:limit]]
        more = len(rows) > limit
        cursor = found[-1].change if more else max([newest, *(one.change for one in found)])
        return AnnotationPage(tuple(found), max(cursor, since), more)

    async def add(self, study_uid: str, made: str, drawing: Drawing, author: Author, by: By) -> Annotation:
        """Write an annotation; raises Conflict when the id belongs to another one, Exhausted at the limit.

        Where the same author sent it with this id before, it is answered as it is now.
        """
        moment = now()

        async def work(connection: AsyncConnection) -> Annotation:
            number = await _next_change(connection, study_uid)
            known = await _row(connection, made)
            if known is not None:
                if (known.study_uid, known.author_id) != (study_uid, author.id):
                    raise Conflict("This id belongs to another annotation.", {"field": "id"})
                return _annotation(known, author.id)
            count = sa.select(sa.func.count()).where(annotation.c.study_uid == study_uid)
            if (await connection.scalar(count) or 0) >= MAX_OF_STUDY:
                raise Exhausted(f"A study holds at most {MAX_OF_STUDY} annotations.")
            await connection.execute(
                annotation.insert().values(
                    id=made,
                    study_uid=study_uid,
                    author_id=author.id,
                    author_name=author.name,
                    version=1,
                    change=number,
                    deleted=False,
                    created_at=moment,
                    updated_at=moment,
                    **_columns(drawing),
                )
            )
            await record(connection, by, "annotation.create", made)
            return await _read(connection, study_uid, made, author.id)

        return await self._database.write(work)

    async def change(
        self,
        study_uid: str,
        annotation_id: str,
        drawing: Drawing | None,
        version: int,
        deleted: bool,
        author: Author,
        by: By,
    ) -> Annotation:
        """Replace the content (None: leave it) and the mark of deletion on a version.

        Raises NotFound, Forbidden (another's), Conflict (stale version; ``current`` is what is kept).
        The newest change once more is answered and not made again.
        """

        async def work(connection: AsyncConnection) -> Annotation:
            number = await _next_change(connection, study_uid)
            before = await _read(connection, study_uid, annotation_id, author.id)
            if before.author.id != author.id:
                raise Forbidden("Only its author may change an annotation.")
            wanted = _columns(drawing) if drawing is not None else _columns(_drawing(before))
            same = before.deleted == deleted and _columns(_drawing(before)) == wanted
            if before.version == version + 1 and same:
                return before
            if before.version != version:
                raise Conflict(
                    "This annotation was changed in the meantime.",
                    {"version": before.version, "current": msgspec.to_builtins(before)},
                )
            await connection.execute(
                annotation.update()
                .where(annotation.c.id == annotation_id)
                .values(
                    version=version + 1,
                    change=number,
                    deleted=deleted,
                    author_name=author.name,
                    updated_at=now(),
                    **wanted,
                )
            )
            action = "annotation.delete" if deleted and not before.deleted else "annotation.change"
            await record(connection, by, action, annotation_id)
            return await _read(connection, study_uid, annotation_id, author.id)

        return await self._database.write(work)


async def _next_change(connection: AsyncConnection, study_uid: str) -> int:
    """The next number of a study; its row is locked until the transaction ends, so that numbers are seen in
    their order."""
    row = insert_for(connection, annotation_change).values(study_uid=study_uid, last=0)
    await connection.execute(row.on_conflict_do_nothing())
    query = (
        annotation_change.update()
        .where(annotation_change.c.study_uid == study_uid)
        .values(last=annotation_change.c.last + 1)
        .returning(annotation_change.c.last)
    )
    return int((await connection.execute(query)).scalar_one())


def _columns(drawing: Drawing) -> dict[str, Any]:
    content = _Content(drawing.place, drawing.points, drawing.name, drawing.text, drawing.color)
    return {
        "kind": drawing.kind,
        "visibility": drawing.visibility,
        "content": msgspec.json.encode(content).decode(),
    }


def _drawing(kept: Annotation) -> Drawing:
    return Drawing(
        kind=kept.kind,
        place=kept.place,
        points=kept.points,
        name=kept.name,
        text=kept.text,
        color=kept.color,
        visibility=kept.visibility,
    )


def _annotation(row: Any, reader: str) -> Annotation:
    content = msgspec.json.decode(row.content, type=_Content)
    hidden = row.visibility != "everyone" and row.author_id != reader
    if hidden:
        content = _Content(OnFrame("0", "0"), (), "", "", "")
    return Annotation(
        id=row.id,
        study_uid=row.study_uid,
        kind=row.kind if not hidden else "key",
        place=content.place,
        points=content.points,
        name=content.name,
        text=content.text,
        color=content.color,
        visibility=row.visibility,
        author=Author(row.author_id, row.author_name),
        version=row.version,
        deleted=bool(row.deleted) or hidden,
        change=row.change,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


async def _row(connection: AsyncConnection, annotation_id: str) -> Any:
    query = sa.select(annotation).where(annotation.c.id == annotation_id)
    return (await connection.execute(query)).one_or_none()


async def _read(connection: AsyncConnection, study_uid: str, annotation_id: str, reader: str) -> Annotation:
    row = await _row(connection, annotation_id)
    hidden = row is not None and row.visibility != "everyone" and row.author_id != reader
    if row is None or row.study_uid != study_uid or hidden:
        raise NotFound("There is no such annotation of this study.")
    return _annotation(row, reader)
