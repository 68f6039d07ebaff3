"""Uploads, the fate of their files, and the acceptance of objects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from sivr.errors import NotFound
from sivr.model.ingest import FileResult, Object, Upload, UploadStudy
from sivr.store.audit import By, record
from sivr.store.database import Database
from sivr.store.schema.columns import now
from sivr.store.schema.render import accepted, message, study, upload, upload_file, upload_study
from sivr.store.upsert import insert_for

_HASHES_AT_ONCE = 500
Verdict = Literal["stored", "duplicate", "other bytes", "other patient"]


class Uploads:
    """Uploads of one node."""

    def __init__(self, database: Database) -> None:
        self._database = database

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

    async def results(self, upload_id: str) -> list[FileResult]:
        """Results of all finished files, in the order they finished."""
        query = (
            sa.select(upload_file.c.result)
            .where(upload_file.c.upload_id == upload_id)
            .order_by(upload_file.c.finished_at, upload_file.c.file_id)
        )
        async with self._database.connect() as connection:
            return [msgspec.json.decode(row[0], type=FileResult) for row in await connection.execute(query)]

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
            await _finish(connection, upload_id, result)

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
            return await _verdict(connection, made, owner)

    async def accept(self, made: Object, owner: Upload, result: FileResult | None, by: By) -> Verdict:
        """Take an object whose bytes are durable: the object, its message in the queue and the file's fate
        in one transaction. ``result`` (None for an archive's member) is written when the object is stored.

        Nothing but the verdict comes of an object that is there already or must be refused.
        """

        async def work(connection: AsyncConnection) -> Verdict:
            moment = now()
            claim = insert_for(connection, study).values(
                study_uid=made.study_uid,
                patient_id=owner.patient_id,
                patient_issuer=owner.patient_issuer,
                revision=0,
                created_at=moment,
            )
            claimed = await connection.execute(claim.on_conflict_do_nothing().returning(study.c.study_uid))
            new_study = claimed.one_or_none() is not None
            taken = insert_for(connection, accepted).values(
                **msgspec.structs.asdict(made), accepted_at=moment
            )
            found = await _verdict(connection, made, owner)
            if found == "stored":
                row = await connection.execute(
                    taken.on_conflict_do_nothing().returning(accepted.c.instance_uid)
                )
                if row.one_or_none() is None:
                    found = await _verdict(connection, made, owner)
            if found == "stored":
                await connection.execute(
                    message.insert().values(
                        instance_uid=made.instance_uid,
                        study_uid=made.study_uid,
                        sha256=made.sha256,
                        attempts=0,
                        available_at=moment,
                        worker="",
                        dead=False,
                        reason="",
                        changed_at=moment,
                    )
                )
                await record(connection, by, "instance.store", made.instance_uid)
            elif new_study:
                # A refused object must not claim a study for its sender's patient.
                await connection.execute(study.delete().where(study.c.study_uid == made.study_uid))
            if found in ("stored", "duplicate"):
                await _count(connection, owner.id, made.study_uid)
            if found == "stored" and result is not None:
                await _finish(connection, owner.id, result)
            return found

        return await self._database.write(work)


async def _verdict(connection: AsyncConnection, made: Object, owner: Upload) -> Verdict:
    holder = (
        await connection.execute(
            sa.select(study.c.patient_id, study.c.patient_issuer).where(study.c.study_uid == made.study_uid)
        )
    ).one_or_none()
    if holder is not None and tuple(holder) != (owner.patient_id, owner.patient_issuer):
        return "other patient"
    known = await connection.scalar(
        sa.select(accepted.c.sha256).where(accepted.c.instance_uid == made.instance_uid)
    )
    if known is None:
        return "stored"
    return "duplicate" if known == made.sha256 else "other bytes"


async def _count(connection: AsyncConnection, upload_id: str, study_uid: str) -> None:
    one = insert_for(connection, upload_study).values(upload_id=upload_id, study_uid=study_uid, instances=1)
    await connection.execute(
        one.on_conflict_do_update(
            index_elements=["upload_id", "study_uid"],
            set_={"instances": upload_study.c.instances + 1},
        )
    )


async def _finish(connection: AsyncConnection, upload_id: str, result: FileResult) -> None:
    row = insert_for(connection, upload_file).values(
        upload_id=upload_id,
        file_id=result.file_id,
        result=msgspec.json.encode(result),
        finished_at=now(),
    )
    await connection.execute(
        row.on_conflict_do_update(
            index_elements=["upload_id", "file_id"],
            set_={"result": row.excluded.result, "finished_at": row.excluded.finished_at},
        )
    )
