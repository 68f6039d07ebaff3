"""User accounts: their own data, roles, institutions, password hashes, and failed log-ins."""

from __future__ import annotations

import hashlib
import unicodedata
import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, NoReturn

import msgspec
import sqlalchemy as sa
from msgspec import UNSET
from sqlalchemy.ext.asyncio import AsyncConnection

from sivr.errors import Conflict, Invalid, NotFound
from sivr.model.directory import NewUser, OwnChange, User, UserChange
from sivr.model.names import folded
from sivr.store.audit import By, record
from sivr.store.database import Database
from sivr.store.schema.columns import now
from sivr.store.schema.toplevel import (
    institution,
    login_failure,
    session,
    user_account,
    user_institution,
    user_role,
)

# Failures this old are forgotten, and with them the growing delay.
_FAILURES_KEPT = timedelta(hours=24)
_CHANGED = "Somebody else changed this user in the meantime. Please reload and try again."


class Account(msgspec.Struct, frozen=True):
    """A user and what only the log in needs."""

    user: User
    password_hash: str
    active_institutions: tuple[str, ...]


class Users:
    """The user accounts of one toplevel."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, user_id: str) -> User:
        """One user; raises NotFound."""
        return (await self.account(user_id)).user

    async def account(self, user_id: str) -> Account:
        """One user with the password hash; raises NotFound."""
        async with self._database.connect() as connection:
            found = await read_accounts(connection, user_account.c.id == user_id)
        if not found:
            _unknown()
        return found[0]

    async def account_of_login(self, login: str) -> Account | None:
        """The account a login belongs to, in any case."""
        async with self._database.connect() as connection:
            found = await read_accounts(connection, user_account.c.login_folded == folded_login(login))
        return found[0] if found else None

    async def find(self, query: str, limit: int, offset: int) -> tuple[list[User], int]:
        """Users in whose login, name or e-mail every word occurs, by login; and how many there are."""
        conditions = [
            user_account.c.search_folded.contains(word, autoescape=True) for word in folded(query).split()
        ]
        async with self._database.connect() as connection:
            total = await connection.scalar(
                sa.select(sa.func.count()).select_from(user_account).where(*conditions)
            )
            found = await read_accounts(connection, *conditions, limit=limit, offset=offset)
        return [account.user for account in found], total or 0

    async def create(self, new: NewUser, password_hash: str, by: By, *, must_change_password: bool) -> User:
        """Add a user; raises Conflict when the login is taken, Invalid for unknown institutions."""
        user_id = uuid.uuid4().hex
        moment = now()

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(
                user_account.insert().values(
                    id=user_id,
                    login=new.login,
                    login_folded=folded_login(new.login),
                    name=new.name,
                    search_folded=_search_text(new.login, new.name, new.email),
                    email=new.email,
                    phone=new.phone,
                    language=new.language,
                    password_hash=password_hash,
                    must_change_password=must_change_password,
                    active=new.active,
                    version=1,
                    created_at=moment,
                    updated_at=moment,
                )
            )
            await _set_roles(connection, user_id, new.roles)
            await _set_institutions(connection, user_id, new.institutions)
            await record(connection, by, "user.create", user_id)

        await self._write_login(work)
        return await self.get(user_id)

    async def change(self, user_id: str, change: UserChange, by: By) -> User:
        """Change a user; one that becomes inactive is logged out.

        Raises NotFound, Conflict (stale version, login taken, last administrator), Invalid.
        """

        async def work(connection: AsyncConnection) -> None:
            before = await _lock(connection, user_id)
            if before.version != change.version:
                raise Conflict(_CHANGED, {"version": before.version})
            values = _given(change, "login", "name", "email", "phone", "language", "active")
            if "login" in values:
                values["login_folded"] = folded_login(values["login"])
            after = msgspec.structs.replace(
                before, **_given(change, "active", "roles", "login", "name", "email")
            )
            if _administers(before) and not _administers(after):
                await _require_another_administrator(connection, user_id)
            values["search_folded"] = _search_text(after.login, after.name, after.email)
            await _update(connection, user_id, values)
            if change.roles is not UNSET:
                await _set_roles(connection, user_id, change.roles)
            if change.institutions is not UNSET:
                await _set_institutions(connection, user_id, change.institutions)
            if not after.active:
                await connection.execute(session.delete().where(session.c.user_id == user_id))
            await record(connection, by, "user.change", user_id)

        await self._write_login(work)
        return await self.get(user_id)

    async def change_own(self, user_id: str, change: OwnChange, by: By) -> User:
        """Change what everybody may change about themselves; raises NotFound."""

        async def work(connection: AsyncConnection) -> None:
            before = await _lock(connection, user_id)
            values = _given(change, "name", "email", "phone", "language")
            after = msgspec.structs.replace(before, **values)
            values["search_folded"] = _search_text(after.login, after.name, after.email)
            await _update(connection, user_id, values)
            await record(connection, by, "user.change_own", user_id)

        await self._database.write(work)
        return await self.get(user_id)

    async def set_password(
        self, user_id: str, password_hash: str, by: By, *, must_change: bool, keep_session: str = ""
    ) -> None:
        """Set the password hash and end the user's sessions, but the one to keep; raises NotFound."""

        async def work(connection: AsyncConnection) -> None:
            before = await _lock(connection, user_id)
            values = {"password_hash": password_hash, "must_change_password": must_change}
            await _update(connection, user_id, values)
            await connection.execute(
                session.delete().where(session.c.user_id == user_id, session.c.id != keep_session)
            )
            await clear_failures(connection, before.login)
            await record(connection, by, "user.password", user_id)

        await self._database.write(work)

    async def unlock(self, user_id: str, by: By) -> None:
        """Forget the failed log-ins; raises NotFound."""

        async def work(connection: AsyncConnection) -> None:
            user = await _lock(connection, user_id)
            await clear_failures(connection, user.login)
            await record(connection, by, "user.unlock", user_id)

        await self._database.write(work)

    async def locked_until(self, login: str) -> datetime | None:
        """Until when this login, known or not, is refused; None when it is not."""
        query = sa.select(login_failure.c.locked_until).where(
            login_failure.c.login_hash == _login_hash(login)
        )
        async with self._database.connect() as connection:
            until: datetime | None = await connection.scalar(query)
        return until if until and until > now() else None

    async def add_failure(self, login: str, by: By, *, before_lock: int, lock: timedelta) -> datetime | None:
        """Count a failed log in; from the ``before_lock``-th on the login is locked, each time for twice as
        long, at most 15 minutes. Returns until when, None while it is not locked.
        """
        key = _login_hash(login)
        longest = max(lock, timedelta(minutes=15))

        async def work(connection: AsyncConnection) -> datetime | None:
            moment = now()
            await connection.execute(
                login_failure.delete().where(login_failure.c.last_at < moment - _FAILURES_KEPT)
            )
            row = login_failure.c.login_hash == key
            seen = await connection.scalar(sa.select(login_failure.c.failures).where(row).with_for_update())
            failures = (seen or 0) + 1
            over = failures - before_lock
            until = None if over < 0 else moment + min(longest, lock * 2 ** min(over, 20))
            values: dict[str, Any] = {"failures": failures, "last_at": moment, "locked_until": until}
            if seen is None:
                await connection.execute(login_failure.insert().values(login_hash=key, **values))
            else:
                await connection.execute(login_failure.update().where(row).values(**values))
            await record(connection, by, "session.refuse", by.actor_id)
            return until

        try:
            return await self._database.write(work)
        except sa.exc.IntegrityError:
            # Another server counted the first failure of this login at the same moment.
            return await self._database.write(work)

    async def _write_login(self, work: Any) -> None:
        try:
            await self._database.write(work)
        except sa.exc.IntegrityError as error:
            raise Conflict("This login is taken.", {"field": "login"}) from error


def folded_login(login: str) -> str:
    """Logins are the same whatever their case."""
    return unicodedata.normalize("NFKC", login.strip()).casefold()


async def read_accounts(
    connection: AsyncConnection,
    *conditions: sa.ColumnElement[bool],
    limit: int | None = None,
    offset: int = 0,
) -> list[Account]:
    """Accounts by login, each with its roles and institutions."""
    query = sa.select(user_account).where(*conditions).order_by(user_account.c.login_folded)
    rows = (await connection.execute(query.limit(limit).offset(offset))).mappings().all()
    ids = [row["id"] for row in rows]
    roles = await _lists(
        connection, sa.select(user_role.c.user_id, user_role.c.role), user_role.c.user_id, ids
    )
    membership = (
        sa.select(user_institution.c.user_id, institution.c.id, institution.c.active)
        .join(institution)
        .order_by(institution.c.id)
    )
    institutions = await _lists(connection, membership, user_institution.c.user_id, ids)
    hashes = {_login_hash(row["login"]): row["id"] for row in rows}
    locks: dict[str, datetime] = {}
    failures = sa.select(login_failure.c.login_hash, login_failure.c.locked_until).where(
        login_failure.c.locked_until > now()
    )
    for key, until in await _all(connection, failures, login_failure.c.login_hash, list(hashes)):
        locks[hashes[key]] = until
    accounts = []
    for row in rows:
        belongs = institutions.get(row["id"], [])
        user = User(
            **{name: row[name] for name in _OWN_COLUMNS},
            roles=tuple(sorted((role for (role,) in roles.get(row["id"], [])), reverse=True)),
            institutions=tuple(one for one, _ in belongs),
            locked_until=locks.get(row["id"]),
        )
        active = tuple(one for one, active in belongs if active)
        accounts.append(Account(user, row["password_hash"], active))
    return accounts


_OWN_COLUMNS = (
    "id", "login", "name", "email", "phone", "language", "active", "must_change_password", "version",
    "created_at",
)  # fmt: skip


async def _all(
    connection: AsyncConnection, query: sa.Select[Any], column: sa.Column[Any], ids: Sequence[str]
) -> Sequence[sa.Row[Any]]:
    return (await connection.execute(query.where(column.in_(ids)))).all() if ids else []


async def _lists(
    connection: AsyncConnection, query: sa.Select[Any], column: sa.Column[Any], ids: Sequence[str]
) -> dict[str, list[tuple[Any, ...]]]:
    lists: dict[str, list[tuple[Any, ...]]] = {}
    for row in await _all(connection, query, column, ids):
        lists.setdefault(row[0], []).append(tuple(row[1:]))
    return lists


async def _lock(connection: AsyncConnection, user_id: str) -> User:
    """The user, whom no other transaction changes until this one ends; raises NotFound."""
    await connection.execute(
        sa.select(user_account.c.id).where(user_account.c.id == user_id).with_for_update()
    )
    found = await read_accounts(connection, user_account.c.id == user_id)
    if not found:
        _unknown()
    return found[0].user


async def _update(connection: AsyncConnection, user_id: str, values: dict[str, Any]) -> None:
    await connection.execute(
        user_account.update()
        .where(user_account.c.id == user_id)
        .values(**values, version=user_account.c.version + 1, updated_at=now())
    )


async def _set_roles(connection: AsyncConnection, user_id: str, roles: Iterable[str]) -> None:
    await connection.execute(user_role.delete().where(user_role.c.user_id == user_id))
    for role in sorted(set(roles)):
        await connection.execute(user_role.insert().values(user_id=user_id, role=role))


async def _set_institutions(connection: AsyncConnection, user_id: str, ids: Iterable[str]) -> None:
    wanted = sorted(set(ids))
    known = (
        await connection.execute(
            sa.select(institution.c.id).where(institution.c.id.in_(wanted)).with_for_update(key_share=True)
        )
    ).scalars()
    missing = sorted(set(wanted) - set(known))
    if missing:
        raise Invalid(f"There is no institution {missing[0]}.", {"field": "institutions"})
    await connection.execute(user_institution.delete().where(user_institution.c.user_id == user_id))
    for one in wanted:
        await connection.execute(user_institution.insert().values(user_id=user_id, institution_id=one))


async def _require_another_administrator(connection: AsyncConnection, user_id: str) -> None:
    # Locking them all makes two administrators who resign at once wait for each other.
    others = await connection.execute(
        sa.select(user_account.c.id)
        .join(user_role)
        .where(user_role.c.role == "administrator", user_account.c.active)
        .order_by(user_account.c.id)
        .with_for_update()
    )
    if not set(others.scalars()) - {user_id}:
        raise Conflict("This is the last active administrator; make somebody else administrator first.")


async def clear_failures(connection: AsyncConnection, login: str) -> None:
    """Forget the failed log-ins of a login."""
    await connection.execute(login_failure.delete().where(login_failure.c.login_hash == _login_hash(login)))


def _login_hash(login: str) -> str:
    # People type passwords into the login field by mistake; what they typed is not kept.
    return hashlib.sha256(folded_login(login).encode()).hexdigest()


def _administers(user: User) -> bool:
    return user.active and "administrator" in user.roles


def _search_text(*texts: str) -> str:
    return " ".join(folded(text) for text in texts)


def _given(change: msgspec.Struct, *names: str) -> dict[str, Any]:
    """The members that were given."""
    return {name: getattr(change, name) for name in names if getattr(change, name, UNSET) is not UNSET}


def _unknown() -> NoReturn:
    raise NotFound("There is no such user.")
