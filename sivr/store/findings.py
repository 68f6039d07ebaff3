"""Findings and every version they ever had."""

from __future__ import annotations

import uuid
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from sivr.errors import Conflict, Forbidden, NotFound
from sivr.model.archive import Author, Finding, FindingVersion
from sivr.store.audit import By, record
from sivr.store.database import Database
from sivr.store.schema.columns import now
from sivr.store.schema.institution import finding, finding_version
from sivr.store.upsert import insert_for


class FindingStore:
    """Findings in the institution's database; versions are added, never changed or removed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of_study(self, study_uid: str) -> list[Finding]:
        """Findings of a study, oldest first."""
        query = _newest().where(finding.c.study_uid == study_uid).order_by(finding.c.created_at, finding.c.id)
        async with self._database.connect() as connection:
            return [_finding(row) for row in await connection.execute(query)]

    async def history(self, study_uid: str, finding_id: str) -> list[FindingVersion]:
        """Every version, newest first; raises NotFound."""
        columns = finding_version.c
        query = (
            sa.select(columns.version, columns.text, columns.author_id, columns.author_name, columns.at)
            .join(finding, finding.c.id == columns.finding_id)
            .where(finding.c.id == finding_id, finding.c.study_uid == study_uid)
            .order_by(columns.version.desc())
        )
        async with self._database.connect() as connection:
            rows = (await connection.execute(query)).all()
        if not rows:
            raise _unknown()
        return [
            FindingVersion(row.version, row.text, Author(row.author_id, row.author_name), row.at)
            for row in rows
        ]

    async def add(
        self, study_uid: str, text: str, author: Author, by: By, *, finding_id: str = ""
    ) -> Finding:
        """Write a finding; raises Conflict when the id belongs to another one.

        Where the same finding was written with this id already, it is answered as it is now.
        """
        made = finding_id or uuid.uuid4().hex
        moment = now()

        async def work(connection: AsyncConnection) -> Finding:
            row = insert_for(connection, finding).values(
                id=made, study_uid=study_uid, author_id=author.id, created_at=moment, version=1
            )
            if not (await connection.execute(row.on_conflict_do_nothing())).rowcount:
                await _require_same(connection, study_uid, made, text, author)
                return await _read(connection, study_uid, made)
            await _add_version(connection, made, 1, text, author, moment)
            await record(connection, by, "finding.create", made)
            return await _read(connection, study_uid, made)

        return await self._database.write(work)

    async def change(
        self, study_uid: str, finding_id: str, text: str, version: int, author: Author, by: By
    ) -> Finding:
        """Add a version; raises NotFound, Forbidden (another's finding), Conflict (stale version).

        The newest version once more, asked for on the version before it, is answered and not added again.
        """

        async def work(connection: AsyncConnection) -> Finding:
            lock = sa.select(finding.c.id).where(finding.c.id == finding_id).with_for_update()
            await connection.execute(lock)
            before = await _read(connection, study_uid, finding_id)
            if before.author.id != author.id:
                raise Forbidden("Only its author may change a finding.")
            if before.version == version + 1 and before.text == text:
                return before
            if before.version != version:
                raise Conflict(
                    "This finding was changed in the meantime. Please reload and try again.",
                    {"version": before.version},
                )
            number = version + 1
            await connection.execute(
                finding.update().where(finding.c.id == finding_id).values(version=number)
            )
            await _add_version(connection, finding_id, number, text, author, now())
            await record(connection, by, "finding.change", finding_id)
            return await _read(connection, study_uid, finding_id)

        return await self._database.write(work)


def _newest() -> sa.Select[Any]:
    return sa.select(
        finding.c.id,
        finding.c.study_uid,
        finding.c.created_at,
        finding.c.version,
        finding_version.c.text,
        finding_version.c.author_id,
        finding_version.c.author_name,
        finding_version.c.at,
    ).join(
        finding_version,
        sa.and_(finding_version.c.finding_id == finding.c.id, finding_version.c.version == finding.c.version),
    )


def _finding(row: Any) -> Finding:
    return Finding(
        id=row.id,
        study_uid=row.study_uid,
        text=row.text,
        author=Author(row.author_id, row.author_name),
        version=row.version,
        created_at=row.created_at,
        updated_at=row.at,
    )


async def _read(connection: AsyncConnection, study_uid: str, finding_id: str) -> Finding:
    query = _newest().where(finding.c.id == finding_id, finding.c.study_uid == study_uid)
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise _unknown()
    return _finding(row)


async def _require_same(
    connection: AsyncConnection, study_uid: str, finding_id: str, text: str, author: Author
) -> None:
    """Raises Conflict unless the finding was written by this author with this text, whatever became of it."""
    query = (
        sa.select(finding.c.study_uid, finding.c.author_id, finding_version.c.text)
        .join(finding_version, finding_version.c.finding_id == finding.c.id)
        .where(finding.c.id == finding_id, finding_version.c.version == 1)
    )
    if tuple((await connection.execute(query)).one()) != (study_uid, author.id, text):
        raise Conflict("This id belongs to another finding.", {"field": "id"})


async def _add_version(
    connection: AsyncConnection, finding_id: str, version: int, text: str, author: Author, at: Any
) -> None:
    await connection.execute(
        finding_version.insert().values(
            finding_id=finding_id,
            version=version,
            text=text,
            author_id=author.id,
            author_name=author.name,
            at=at,
        )
    )


def _unknown() -> NotFound:
    return NotFound("There is no such finding for this study.")
