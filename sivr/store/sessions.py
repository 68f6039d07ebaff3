"""Sessions: one per log in, a family of refresh tokens each replaced by the next; only hashes are kept.

A token is replaced when it is used. Using a replaced token again means that two parties hold it, one of them
perhaps a thief, so the family ends and both must log in. One case is innocent: two tabs renew at the same
moment, or the answer with the new token got lost on a bad line and the browser asks again. Therefore the
immediate predecessor of the newest generation is still good for ``grace`` after its replacement and gets a
sibling of the newest token. Whichever sibling is used first retires the others, and these have no grace: a
thief who comes within it is found when the second of the two renews. Then the whole family ends, for nobody
can tell which of them is the thief. Innocent tabs do not get there: they share one cookie, so that only one
sibling, the last that was answered, is ever sent.
"""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Literal

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from sivr.store.audit import By, record
from sivr.store.database import Database
from sivr.store.schema.columns import now
from sivr.store.schema.toplevel import refresh_token, session, user_account
from sivr.store.users import Account, clear_failures, read_accounts

_MOST_SIBLINGS = 16
_REPLACED_KEPT = timedelta(days=7)
_BEYOND_GRACE = timedelta(days=1)

Refusal = Literal["unknown", "expired", "reused", "inactive"]


class Renewed(msgspec.Struct, frozen=True):
    """A session that goes on, and whose it is."""

    session_id: str
    account: Account


class Sessions:
    """The sessions of one toplevel; one that is not used for ``lifetime`` ends."""

    def __init__(self, database: Database, lifetime: timedelta, grace: timedelta) -> None:
        self._database = database
        self._lifetime = lifetime
        self._grace = grace

    async def start(self, account: Account, token_hash: str, by: By) -> str | None:
        """Start a session; its id, or None when the account's password or state changed meanwhile."""
        session_id = uuid.uuid4().hex

        async def work(connection: AsyncConnection) -> str | None:
            moment = now()
            unchanged = await connection.scalar(
                sa.select(user_account.c.id)
                .where(
                    user_account.c.id == account.user.id,
                    user_account.c.active,
                    user_account.c.password_hash == account.password_hash,
                )
                .with_for_update()
            )
            if unchanged is None:
                return None
            await connection.execute(session.delete().where(session.c.expires_at < moment))
            await connection.execute(
                session.insert().values(
                    id=session_id,
                    user_id=account.user.id,
                    created_at=moment,
                    used_at=moment,
                    expires_at=moment + self._lifetime,
                )
            )
            await _add_token(connection, token_hash, session_id, 1)
            await clear_failures(connection, account.user.login)
            await record(connection, by, "session.start", account.user.id)
            return session_id

        return await self._database.write(work)

    async def renew(self, token_hash: str, new_hash: str, address: str) -> Renewed | Refusal:
        """Replace a token by a new one, or say why not; a token used again ends its session."""

        async def work(connection: AsyncConnection) -> Renewed | Refusal:
            moment = now()
            owner = await _session_of(connection, token_hash)
            if owner is None:
                return "unknown"
            # Locked first and read then: what another renewal of this family did is seen whole.
            row = (
                await connection.execute(sa.select(session).where(session.c.id == owner).with_for_update())
            ).one_or_none()
            token = (
                await connection.execute(sa.select(refresh_token).where(refresh_token.c.hash == token_hash))
            ).one_or_none()
            if row is None or token is None:
                return "unknown"
            if row.expires_at <= moment:
                await _end(connection, owner)
                return "expired"
            found = await read_accounts(connection, user_account.c.id == row.user_id)
            if not found or not found[0].user.active:
                await _end(connection, owner)
                return "inactive"
            if token.replaced_at is None:
                generation = token.generation + 1
                mine, current = refresh_token.c.hash == token_hash, refresh_token.c.replaced_at.is_(None)
                await connection.execute(refresh_token.update().where(mine).values(replaced_at=moment))
                # As if its siblings had been replaced long ago.
                await connection.execute(
                    refresh_token.update()
                    .where(refresh_token.c.session_id == owner, current)
                    .values(replaced_at=moment - self._grace - _BEYOND_GRACE)
                )
            elif await self._is_innocent(connection, token):
                generation = token.generation + 1
            else:
                await _end(connection, owner)
                await record(connection, By(row.user_id, address), "session.reuse", row.user_id)
                return "reused"
            await _add_token(connection, new_hash, owner, generation)
            await connection.execute(
                refresh_token.delete().where(
                    refresh_token.c.session_id == owner,
                    refresh_token.c.replaced_at < moment - _REPLACED_KEPT,
                )
            )
            await connection.execute(
                session.update()
                .where(session.c.id == owner)
                .values(used_at=moment, expires_at=moment + self._lifetime)
            )
            return Renewed(owner, found[0])

        return await self._database.write(work)

    async def exists(self, session_id: str) -> bool:
        """Whether a session has not been ended."""
        async with self._database.connect() as connection:
            query = sa.select(session.c.id).where(session.c.id == session_id)
            return await connection.scalar(query) is not None

    async def end(self, token_hash: str, address: str) -> None:
        """End the session a token belongs to, if there is one."""

        async def work(connection: AsyncConnection) -> None:
            owner = await _session_of(connection, token_hash)
            if owner is None:
                return
            user_id = await connection.scalar(sa.select(session.c.user_id).where(session.c.id == owner))
            await _end(connection, owner)
            await record(connection, By(str(user_id), address), "session.end", str(user_id))

        await self._database.write(work)

    async def _is_innocent(self, connection: AsyncConnection, token: sa.Row[tuple[object, ...]]) -> bool:
        family = refresh_token.c.session_id == token.session_id
        newest, siblings = (
            await connection.execute(
                sa.select(
                    sa.func.max(refresh_token.c.generation),
                    sa.func.count().filter(refresh_token.c.generation == token.generation + 1),
                ).where(family)
            )
        ).one()
        recent: bool = token.replaced_at >= now() - self._grace
        return recent and newest == token.generation + 1 and siblings < _MOST_SIBLINGS


async def _session_of(connection: AsyncConnection, token_hash: str) -> str | None:
    query = sa.select(refresh_token.c.session_id).where(refresh_token.c.hash == token_hash)
    found: str | None = await connection.scalar(query)
    return found


async def _add_token(connection: AsyncConnection, token_hash: str, owner: str, generation: int) -> None:
    await connection.execute(
        refresh_token.insert().values(hash=token_hash, session_id=owner, generation=generation)
    )


async def _end(connection: AsyncConnection, session_id: str) -> None:
    await connection.execute(session.delete().where(session.c.id == session_id))
