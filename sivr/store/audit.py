"""Who did what to which thing, when: a row in the same transaction as the change itself."""

from __future__ import annotations

from datetime import datetime

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from sivr.store.database import Database
from sivr.store.schema.columns import now
from sivr.store.schema.toplevel import audit


class By(msgspec.Struct, frozen=True):
    """Who causes a change, and from where."""

    actor_id: str
    address: str = ""


class AuditRow(msgspec.Struct, frozen=True):
    """One thing that was done; never a name or a content."""

    at: datetime
    actor_id: str
    action: str
    object_id: str
    address: str


async def record(connection: AsyncConnection, by: By, action: str, object_id: str) -> None:
    """Write down one action, e.g. ``patient.change``."""
    await connection.execute(
        audit.insert().values(
            at=now(), actor_id=by.actor_id, action=action, object_id=object_id, address=by.address[:64]
        )
    )


class Audit:
    """Reading what was written down."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, by: By, action: str, object_id: str) -> None:
        """Write down one action that changes nothing else in this database, e.g. ``grant.view``."""
        async with self._database.begin() as connection:
            await record(connection, by, action, object_id)

    async def newest(self, limit: int = 100, *, object_id: str = "") -> list[AuditRow]:
        """The newest rows first, all or those about one thing."""
        columns = (audit.c.at, audit.c.actor_id, audit.c.action, audit.c.object_id, audit.c.address)
        query = sa.select(*columns).order_by(audit.c.id.desc()).limit(limit)
        if object_id:
            query = query.where(audit.c.object_id == object_id)
        async with self._database.connect() as connection:
            return [AuditRow(*row) for row in await connection.execute(query)]
