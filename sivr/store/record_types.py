"""The kinds of DICOM records a toplevel's institutions work with."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any, NoReturn

import msgspec
import sqlalchemy as sa
from msgspec import UNSET
from sqlalchemy.ext.asyncio import AsyncConnection

from sivr.errors import Conflict, NotFound
from sivr.model.directory import NewRecordType, RecordType, RecordTypeChange
from sivr.store.audit import By, record
from sivr.store.database import Database
from sivr.store.schema.columns import now
from sivr.store.schema.toplevel import record_type

_COLUMNS = [record_type.c[name] for name in RecordType.__struct_fields__]


class RecordTypes:
    """The record types of one toplevel."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> list[RecordType]:
        """Every record type, by code."""
        query = sa.select(*_COLUMNS).order_by(record_type.c.code_folded)
        async with self._database.connect() as connection:
            return [_from_row(row._mapping) for row in await connection.execute(query)]

    async def create(self, new: NewRecordType, by: By) -> RecordType:
        """Add a record type; raises Conflict when the code is taken."""
        moment = now()
        key = uuid.uuid4().hex

        async def work(connection: AsyncConnection) -> RecordType:
            await connection.execute(
                record_type.insert().values(
                    id=key,
                    **_values(msgspec.structs.asdict(new)),
                    version=1,
                    created_at=moment,
                    updated_at=moment,
                )
            )
            await record(connection, by, "record_type.create", key)
            return await _read(connection, key)

        return await self._write(work)

    async def change(self, key: str, change: RecordTypeChange, by: By) -> RecordType:
        """Change a record type; raises NotFound, Conflict (stale version, code taken)."""
        given = {
            name: value
            for name, value in msgspec.structs.asdict(change).items()
            if value is not UNSET and name != "version"
        }

        async def work(connection: AsyncConnection) -> RecordType:
            done = await connection.execute(
                record_type.update()
                .where(record_type.c.id == key, record_type.c.version == change.version)
                .values(**_values(given), version=record_type.c.version + 1, updated_at=now())
            )
            present = await _read(connection, key)
            if done.rowcount == 0:
                raise Conflict(
                    "Somebody else changed this record type in the meantime. Please reload and try again.",
                    {"version": present.version},
                )
            await record(connection, by, "record_type.change", key)
            return present

        return await self._write(work)

    async def delete(self, key: str, by: By) -> None:
        """Remove a record type; raises NotFound."""
        async with self._database.begin() as connection:
            await _read(connection, key)
            await connection.execute(record_type.delete().where(record_type.c.id == key))
            await record(connection, by, "record_type.delete", key)

    async def _write(self, work: Any) -> RecordType:
        try:
            done: RecordType = await self._database.write(work)
        except sa.exc.IntegrityError as error:
            raise Conflict("There is already a record type with this code.", {"field": "code"}) from error
        return done


def _values(given: Mapping[str, Any]) -> dict[str, Any]:
    values = dict(given)
    if "modalities" in values:
        values["modalities"] = json.dumps(values["modalities"])
    if "code" in values:
        values["code_folded"] = values["code"].casefold()
    return values


def _from_row(row: Mapping[Any, Any]) -> RecordType:
    return RecordType(**{**row, "modalities": tuple(json.loads(row["modalities"]))})


async def _read(connection: AsyncConnection, key: str) -> RecordType:
    row = (await connection.execute(sa.select(*_COLUMNS).where(record_type.c.id == key))).one_or_none()
    if row is None:
        _unknown()
    return _from_row(row._mapping)


def _unknown() -> NoReturn:
    raise NotFound("There is no such record type.")
