"""Patients' records and the index of their names."""

from __future__ import annotations

import uuid
from typing import Any, NoReturn

import msgspec
import sqlalchemy as sa
from msgspec import UNSET
from sqlalchemy.ext.asyncio import AsyncConnection

from sivr.errors import Conflict, NotFound
from sivr.model.directory import NewPatient, Patient, PatientChange, PatientSearch
from sivr.model.names import folded, folded_number, name_parts
from sivr.store.audit import By, record
from sivr.store.database import Database
from sivr.store.patient_search import find_rows
from sivr.store.schema.columns import now
from sivr.store.schema.toplevel import patient, patient_name

_CHANGED = "Somebody else changed this patient's record in the meantime. Please reload and try again."
_COLUMNS = [patient.c[name] for name in Patient.__struct_fields__]


class Patients:
    """The patients' records of one toplevel."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, patient_id: str) -> Patient:
        """One record; raises NotFound."""
        async with self._database.connect() as connection:
            return await _read(connection, patient_id)

    async def find(self, search: PatientSearch) -> tuple[list[Patient], int]:
        """Records that match everything asked, by family and given name; and how many there are.

        The count stops at 10 000.
        """
        async with self._database.connect() as connection:
            rows, total = await find_rows(connection, search, _COLUMNS)
        return [Patient(**row._mapping) for row in rows], total

    async def create(self, new: NewPatient, by: By) -> Patient:
        """Add a record; raises Conflict when the insurance number is taken within its issuer."""
        moment = now()
        made = Patient(
            id=uuid.uuid4().hex,
            version=1,
            created_at=moment,
            updated_at=moment,
            **msgspec.structs.asdict(new),
        )

        async def work(connection: AsyncConnection) -> None:
            await _require_free(connection, made)
            await connection.execute(patient.insert().values(**_values(made)))
            await _index(connection, made)
            await record(connection, by, "patient.create", made.id)

        await self._write(work)
        return made

    async def change(self, patient_id: str, change: PatientChange, by: By) -> Patient:
        """Change a record; raises NotFound, Conflict (stale version, insurance number taken)."""
        given = {
            name: value
            for name, value in msgspec.structs.asdict(change).items()
            if value is not UNSET and name != "version"
        }

        async def work(connection: AsyncConnection) -> Patient:
            await connection.execute(
                sa.select(patient.c.id).where(patient.c.id == patient_id).with_for_update()
            )
            before = await _read(connection, patient_id)
            if before.version != change.version:
                raise Conflict(_CHANGED, {"version": before.version})
            after = msgspec.structs.replace(before, **given, version=before.version + 1, updated_at=now())
            await _require_free(connection, after)
            await connection.execute(
                patient.update().where(patient.c.id == patient_id).values(**_values(after))
            )
            await connection.execute(patient_name.delete().where(patient_name.c.patient_id == patient_id))
            await _index(connection, after)
            await record(connection, by, "patient.change", patient_id)
            return after

        changed: Patient = await self._write(work)
        return changed

    async def _write(self, work: Any) -> Any:
        try:
            return await self._database.write(work)
        except sa.exc.IntegrityError as error:
            # Somebody took the number between our look and our write.
            raise _taken({}) from error


def _insurance_key(issuer: str, number: str) -> str | None:
    bare = folded_number(number)
    return f"{folded(issuer)}\n{bare}" if bare else None


def _values(made: Patient) -> dict[str, Any]:
    sort_key = "\n".join(folded(name) for name in (made.family_name, made.given_name, made.middle_name))
    return {
        **msgspec.structs.asdict(made),
        "sort_key": sort_key,
        "insurance_folded": folded_number(made.insurance_number),
        "insurance_key": _insurance_key(made.insurance_issuer, made.insurance_number),
    }


async def _read(connection: AsyncConnection, patient_id: str) -> Patient:
    row = (await connection.execute(sa.select(*_COLUMNS).where(patient.c.id == patient_id))).one_or_none()
    if row is None:
        _unknown()
    return Patient(**row._mapping)


async def _index(connection: AsyncConnection, made: Patient) -> None:
    parts = name_parts(made.family_name, made.given_name, made.middle_name)
    rows = [{"part": part, "patient_id": made.id} for part in sorted(parts)]
    if rows:
        await connection.execute(patient_name.insert(), rows)


async def _require_free(connection: AsyncConnection, made: Patient) -> None:
    key = _insurance_key(made.insurance_issuer, made.insurance_number)
    if key is None:
        return
    other = await connection.scalar(
        sa.select(patient.c.id).where(patient.c.insurance_key == key, patient.c.id != made.id)
    )
    if other is not None:
        raise _taken({"patient_id": other})


def _taken(details: dict[str, object]) -> Conflict:
    return Conflict(
        "Another patient's record already has this insurance number of this issuer.",
        {"field": "insurance_number", **details},
    )


def _unknown() -> NoReturn:
    raise NotFound("There is no such patient's record.")
