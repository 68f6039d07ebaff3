"""The institutions of a toplevel: names and addresses of their servers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NoReturn

import msgspec
import sqlalchemy as sa
from msgspec import UNSET
from sqlalchemy.ext.asyncio import AsyncConnection

from sivr.errors import Conflict, NotFound
from sivr.model.directory import Institution, InstitutionChange, NewInstitution
from sivr.store.audit import By, record
from sivr.store.database import Database
from sivr.store.schema.columns import now
from sivr.store.schema.toplevel import institution, user_institution

_COLUMNS = [institution.c[name] for name in Institution.__struct_fields__]
_IN_USE = "Users still belong to this institution; make it inactive instead, or move them first."
_TAKEN = "There is already an institution with this id."


class Institutions:
    """The institutions of one toplevel."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> list[Institution]:
        """Every institution, by name."""
        query = sa.select(*_COLUMNS).order_by(sa.func.lower(institution.c.name), institution.c.id)
        async with self._database.connect() as connection:
            return [Institution(**row._mapping) for row in await connection.execute(query)]

    async def get(self, institution_id: str) -> Institution:
        """One institution; raises NotFound."""
        async with self._database.connect() as connection:
            return await _read(connection, institution_id)

    async def create(self, new: NewInstitution, by: By) -> Institution:
        """Add an institution; raises Conflict when the id is taken."""

        async def work(connection: AsyncConnection) -> Institution:
            await _insert(connection, new, by)
            return await _read(connection, new.id)

        try:
            return await self._database.write(work)
        except sa.exc.IntegrityError as error:
            raise Conflict(_TAKEN, {"field": "id"}) from error

    async def ensure(self, institutions: Iterable[NewInstitution], by: By) -> None:
        """Add those that are not there yet; what administrators changed since stays."""
        for new in institutions:

            async def work(connection: AsyncConnection, new: NewInstitution = new) -> None:
                there = await connection.scalar(sa.select(institution.c.id).where(institution.c.id == new.id))
                if there is None:
                    await _insert(connection, new, by)

            try:
                await self._database.write(work)
            except sa.exc.IntegrityError:
                # Another toplevel server added it at the same moment.
                continue

    async def change(self, institution_id: str, change: InstitutionChange, by: By) -> Institution:
        """Change an institution; raises NotFound, Conflict on a stale version."""
        values: dict[str, Any] = {
            name: value
            for name, value in msgspec.structs.asdict(change).items()
            if value is not UNSET and name != "version"
        }

        async def work(connection: AsyncConnection) -> Institution:
            done = await connection.execute(
                institution.update()
                .where(institution.c.id == institution_id, institution.c.version == change.version)
                .values(**values, version=institution.c.version + 1, updated_at=now())
            )
            present = await _read(connection, institution_id)
            if done.rowcount == 0:
                raise Conflict(
                    "Somebody else changed this institution in the meantime. Please reload and try again.",
                    {"version": present.version},
                )
            await record(connection, by, "institution.change", institution_id)
            return present

        return await self._database.write(work)

    async def delete(self, institution_id: str, by: By) -> None:
        """Remove an institution nobody belongs to; raises NotFound, Conflict."""

        async def work(connection: AsyncConnection) -> None:
            await _read(connection, institution_id)
            members = await connection.scalar(
                sa.select(sa.func.count())
                .select_from(user_institution)
                .where(user_institution.c.institution_id == institution_id)
            )
            if members:
                raise Conflict(_IN_USE, {"users": members})
            await connection.execute(institution.delete().where(institution.c.id == institution_id))
            await record(connection, by, "institution.delete", institution_id)

        try:
            await self._database.write(work)
        except sa.exc.IntegrityError as error:
            raise Conflict(_IN_USE) from error


async def _insert(connection: AsyncConnection, new: NewInstitution, by: By) -> None:
    moment = now()
    await connection.execute(
        institution.insert().values(
            **msgspec.structs.asdict(new), version=1, created_at=moment, updated_at=moment
        )
    )
    await record(connection, by, "institution.create", new.id)


async def _read(connection: AsyncConnection, institution_id: str) -> Institution:
    query = sa.select(*_COLUMNS).where(institution.c.id == institution_id)
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        _unknown()
    return Institution(**row._mapping)


def _unknown() -> NoReturn:
    raise NotFound("There is no such institution.")
