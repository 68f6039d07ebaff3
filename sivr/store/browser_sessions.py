"""Sessions of browsers at an institution or node; their content is the service's business."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from sivr.store.database import Database
from sivr.store.schema.columns import now
from sivr.store.upsert import insert_for


class BrowserSessionRows:
    """Rows of one role's ``cookie_session`` table."""

    def __init__(self, database: Database, table: sa.Table) -> None:
        self._database = database
        self._table = table

    async def save(self, key: str, body: bytes, expires: int) -> None:
        """Insert or replace; ``expires`` is Unix time in seconds. Expired sessions go at the same time."""
        moment = datetime.fromtimestamp(expires, UTC)

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(self._table.delete().where(self._table.c.expires_at < now()))
            # Several servers of one role may prolong one session at once.
            row = insert_for(connection, self._table).values(hash=key, body=body, expires_at=moment)
            newer = {"body": row.excluded.body, "expires_at": row.excluded.expires_at}
            await connection.execute(row.on_conflict_do_update(index_elements=["hash"], set_=newer))

        await self._database.write(work)

    async def change(self, key: str, work: Callable[[bytes], tuple[bytes, int] | None]) -> None:
        """Replace body and expiry (Unix time, seconds) of a session that has not expired by what ``work``
        makes of its body, nobody else in between; nothing is changed where there is no session or ``work``
        answers None. ``work`` may run several times.
        """
        mine = self._table.c.hash == key

        async def attempt(connection: AsyncConnection) -> None:
            held = sa.select(self._table.c.body).where(mine, self._table.c.expires_at >= now())
            body = await connection.scalar(held.with_for_update())
            made = None if body is None else work(body)
            if made is not None:
                values = {"body": made[0], "expires_at": datetime.fromtimestamp(made[1], UTC)}
                await connection.execute(self._table.update().where(mine).values(**values))

        await self._database.write(attempt)

    async def find(self, key: str) -> bytes | None:
        """The body of a session that has not expired."""
        query = sa.select(self._table.c.body).where(
            self._table.c.hash == key, self._table.c.expires_at >= now()
        )
        async with self._database.connect() as connection:
            found: bytes | None = await connection.scalar(query)
            return found

    async def remove(self, key: str) -> None:
        """End a session; absent ones are fine."""
        async with self._database.begin() as connection:
            await connection.execute(self._table.delete().where(self._table.c.hash == key))
