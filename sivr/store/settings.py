"""What users keep for their pages: JSON under names, a version each."""

from __future__ import annotations

from typing import NoReturn

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from sivr.errors import Conflict, NotFound, TooLarge
from sivr.model.settings import MAX_SETTINGS, MAX_TOTAL_BYTES, Setting, SettingSummary
from sivr.store.database import Database
from sivr.store.schema.columns import now
from sivr.store.schema.toplevel import user_setting

_MINE = user_setting.c


class Settings:
    """The settings of all users of one toplevel."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self, user_id: str, prefix: str = "") -> list[SettingSummary]:
        """A user's settings whose names begin with ``prefix``, by name."""
        query = (
            sa.select(_MINE.name, _MINE.version, _MINE.size_bytes, _MINE.updated_at)
            .where(_MINE.user_id == user_id, _MINE.name.startswith(prefix, autoescape=True))
            .order_by(_MINE.name)
        )
        async with self._database.connect() as connection:
            return [SettingSummary(**row._mapping) for row in await connection.execute(query)]

    async def get(self, user_id: str, name: str) -> Setting:
        """One setting of a user; raises NotFound."""
        async with self._database.connect() as connection:
            found = await _read(connection, user_id, name)
        return found if found is not None else _unknown()

    async def put(self, user_id: str, name: str, value: bytes, version: int) -> Setting:
        """Write a value over the ``version`` known, 0 for none; raises Conflict when another is there,
        TooLarge when the user keeps too much."""

        async def work(connection: AsyncConnection) -> Setting:
            values = {"value": value.decode(), "size_bytes": len(value), "updated_at": now()}
            present = await _read(connection, user_id, name)
            if (0 if present is None else present.version) != version:
                _changed(present)
            await _check_room(connection, user_id, name, len(value))
            if present is None:
                await connection.execute(
                    user_setting.insert().values(user_id=user_id, name=name, version=1, **values)
                )
            else:
                done = await connection.execute(
                    user_setting.update()
                    .where(_MINE.user_id == user_id, _MINE.name == name, _MINE.version == version)
                    .values(version=version + 1, **values)
                )
                if done.rowcount == 0:
                    _changed(await _read(connection, user_id, name))
            written = await _read(connection, user_id, name)
            return written if written is not None else _unknown()

        try:
            return await self._database.write(work)
        except sa.exc.IntegrityError as error:
            raise Conflict("This setting was made somewhere else in the meantime.", {"version": 1}) from error

    async def delete(self, user_id: str, name: str) -> None:
        """Remove a setting; raises NotFound."""
        async with self._database.begin() as connection:
            done = await connection.execute(
                user_setting.delete().where(_MINE.user_id == user_id, _MINE.name == name)
            )
            if done.rowcount == 0:
                _unknown()


async def _read(connection: AsyncConnection, user_id: str, name: str) -> Setting | None:
    query = sa.select(_MINE.name, _MINE.value, _MINE.version, _MINE.updated_at).where(
        _MINE.user_id == user_id, _MINE.name == name
    )
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        return None
    return Setting(
        name=row.name, value=msgspec.Raw(row.value.encode()), version=row.version, updated_at=row.updated_at
    )


async def _check_room(connection: AsyncConnection, user_id: str, name: str, size: int) -> None:
    others = sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(_MINE.size_bytes), 0)).where(
        _MINE.user_id == user_id, _MINE.name != name
    )
    count, total = (await connection.execute(others)).one()
    if count >= MAX_SETTINGS:
        raise TooLarge(
            f"You keep {count} settings, which is the limit; remove some first.",
            {"max_settings": MAX_SETTINGS},
        )
    if total + size > MAX_TOTAL_BYTES:
        raise TooLarge(
            f"All your settings together may take {MAX_TOTAL_BYTES} bytes; remove some first.",
            {"max_total_bytes": MAX_TOTAL_BYTES},
        )


def _changed(present: Setting | None) -> NoReturn:
    raise Conflict(
        "This setting was changed somewhere else in the meantime. Please reload and try again.",
        {"version": 0 if present is None else present.version},
    )


def _unknown() -> NoReturn:
    raise NotFound("You have no setting of this name.")
