"""Uploads, the fate of their files, and the acceptance of objects."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TypeVar

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from sivr.errors import NotFound
from sivr.model.ingest import FileResult, FileStatus, Object, Upload, UploadStudy
from sivr.store.acceptance import Acceptance, Offer, Verdict, finish, verdicts_of
from sivr.store.audit import By, record
from sivr.store.database import Database
from sivr.store.schema.columns import now
from sivr.store.schema.render import accepted, message, upload, upload_file, upload_study

_HASHES_AT_ONCE = 500
_FEW_BYTES = 64 << 10
_T = TypeVar("_T")


class Fate(msgspec.Struct, frozen=True):
    """What a file's result says of its fate alone."""

    status: FileStatus
    size_bytes: int
    members: tuple[Fate, ...] = ()


class Uploads:
    """Uploads of one node."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._acceptance = Acceptance(database)

    async def create(self, made: Upload, by: By) -> None:
        """Open an upload."""

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(upload.insert().values(**msgspec.structs.asdict(made), created_at=now()))
            await record(connection, by, "upload.create", made.id)

        await self._database.write(work)

    async def get(self, upload_id: str) -> Upload:
        """An upload; raises NotFound."""
        query = sa.select(*(upload.c[name] for name in Upload.__struct_fields__))
        async with self._database.connect() as connection:
            row = (await connection.execute(query.where(upload.c.id == upload_id))).one_or_none()
        if row is None:
            raise NotFound("There is no such upload.")
        return Upload(**row._mapping)

    async def cancel(self, upload_id: str, by: By) -> None:
        """Nothing more is taken for this upload."""

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(upload.update().where(upload.c.id == upload_id).values(canceled=True))
            await record(connection, by, "upload.cancel", upload_id)

        await self._database.write(work)

    async def result(self, upload_id: str, file_id: str) -> FileResult | None:
        """What was answered for a finished file."""
        query = sa.select(upload_file.c.result).where(
            upload_file.c.upload_id == upload_id, upload_file.c.file_id == file_id
        )
        async with self._database.connect() as connection:
            body = await connection.scalar(query)
        return None if body is None else msgspec.json.decode(body, type=FileResult)

    async def find(self, upload_id: str, file_id: str) -> tuple[Upload, FileResult | None]:
        """An upload, and what was answered for a file of it if it is finished; raises NotFound."""
        ours = sa.and_(upload_file.c.upload_id == upload.c.id, upload_file.c.file_id == file_id)
        query = (
            sa.select(*(upload.c[name] for name in Upload.__struct_fields__), upload_file.c.result)
            .join_from(upload, upload_file, ours, isouter=True)
            .where(upload.c.id == upload_id)
        )
        async with self._database.connect() as connection:
            row = (await connection.execute(query)).one_or_none()
        if row is None:
            raise NotFound("There is no such upload.")
        body = row.result
        return Upload(*row[:-1]), None if body is None else msgspec.json.decode(body, type=FileResult)

    async def results(self, upload_id: str) -> list[FileResult]:
        """Results of all finished files, in the order they finished."""
        return await _decoded(await self._bodies(upload_id), FileResult)

    async def fates(self, upload_id: str) -> list[Fate]:
        """As ``results``, for counting: without names, reasons and hashes."""
        return await _decoded(await self._bodies(upload_id), Fate)

    async def _bodies(self, upload_id: str) -> list[bytes]:
        query = (
            sa.select(upload_file.c.result)
            .where(upload_file.c.upload_id == upload_id)
            .order_by(upload_file.c.finished_at, upload_file.c.file_id)
        )
        async with self._database.connect() as connection:
            return list((await connection.execute(query)).scalars())

    async def studies(self, upload_id: str) -> tuple[list[UploadStudy], int, int]:
        """Studies the upload added to, how many of their objects wait for the index, how many failed."""
        ours = message.c.study_uid == upload_study.c.study_uid
        query = (
            sa.select(
                upload_study.c.study_uid,
                upload_study.c.instances,
                sa.func.count(message.c.id).filter(message.c.dead.is_(False)).label("waiting"),
                sa.func.count(message.c.id).filter(message.c.dead.is_(True)).label("dead"),
            )
            .join_from(upload_study, message, ours, isouter=True)
            .where(upload_study.c.upload_id == upload_id)
            .group_by(upload_study.c.study_uid, upload_study.c.instances)
            .order_by(upload_study.c.study_uid)
        )
        async with self._database.connect() as connection:
            rows = (await connection.execute(query)).all()
        found = [UploadStudy(row.study_uid, row.instances, not row.waiting) for row in rows]
        return found, sum(row.waiting for row in rows), sum(row.dead for row in rows)

    async def finish(self, upload_id: str, result: FileResult) -> None:
        """Write down a file's fate where no object is accepted with it (refused, archive)."""

        async def work(connection: AsyncConnection) -> None:
            await finish(connection, [(upload_id, result)])

        await self._database.write(work)

    async def not_accepted(self, hashes: Sequence[str]) -> list[str]:
        """Those of the hashes that no accepted object has."""
        known: set[str] = set()
        async with self._database.connect() as connection:
            for start in range(0, len(hashes), _HASHES_AT_ONCE):
                some = hashes[start : start + _HASHES_AT_ONCE]
                rows = await connection.execute(
                    sa.select(accepted.c.sha256).where(accepted.c.sha256.in_(some))
                )
                known.update(rows.scalars())
        return [one for one in hashes if one not in known]

    async def verdict(self, made: Object, owner: Upload) -> Verdict:
        """What ``accept`` would say at this moment."""
        async with self._database.connect() as connection:
            return (await verdicts_of(connection, [(made, owner)]))[0]

    async def accept(self, made: Object, owner: Upload, result: FileResult | None, by: By) -> Verdict:
        """Take an object whose bytes are durable: the object, its message in the queue and the file's fate
        in one transaction. ``result`` (None for an archive's member) is written for one that is stored or
        known already, with the status that it has then.

        Nothing but the verdict comes of an object that must be refused.
        """
        return await self._acceptance.accept(Offer(made, owner, result, by))


async def _decoded(bodies: Sequence[bytes], kind: type[_T]) -> list[_T]:
    decoder = msgspec.json.Decoder(kind)

    def decode() -> list[_T]:
        return [decoder.decode(body) for body in bodies]

    # Thousands of files take tens of milliseconds.
    few = sum(len(body) for body in bodies) <= _FEW_BYTES
    return decode() if few else await asyncio.to_thread(decode)
