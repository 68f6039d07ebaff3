"""Sessions of browsers on both databases, in both roles that have them."""

from __future__ import annotations

import asyncio
import time

import pytest
import sqlalchemy as sa

from sivr.store.browser_sessions import BrowserSessionRows
from sivr.store.database import Database, SchemaName, metadata_of


@pytest.mark.parametrize("schema", ["institution", "render"])
async def test_save_find_remove(database_url: str, schema: SchemaName) -> None:
    table = metadata_of(schema).tables["cookie_session"]
    later = int(time.time()) + 60
    async with Database(database_url, schema) as database:
        rows = BrowserSessionRows(database, table)
        assert await rows.find("a") is None
        await rows.save("a", b"\x00first", later)
        await rows.save("b", b"other", later)
        await rows.save("a", b"second", later + 1)
        assert (await rows.find("a"), await rows.find("b")) == (b"second", b"other")
        await rows.remove("a")
        await rows.remove("a")
        assert (await rows.find("a"), await rows.find("b")) == (None, b"other")
    async with Database(database_url, schema) as database:
        assert await BrowserSessionRows(database, table).find("b") == b"other"


async def test_expired_ones_are_swept(database_url: str) -> None:
    table = metadata_of("institution").tables["cookie_session"]
    async with Database(database_url, "institution") as database:
        rows = BrowserSessionRows(database, table)
        await rows.save("old", b"x", int(time.time()) - 1)
        assert await rows.find("old") is None
        await rows.save("new", b"x", int(time.time()) + 60)
        async with database.connect() as connection:
            assert (await connection.scalars(sa.select(table.c.hash))).all() == ["new"]


async def test_one_session_saved_at_once(database_url: str) -> None:
    table = metadata_of("institution").tables["cookie_session"]
    later = int(time.time()) + 60
    async with Database(database_url, "institution") as database:
        rows = BrowserSessionRows(database, table)
        await asyncio.gather(*(rows.save("a", str(number).encode(), later) for number in range(8)))
        assert await rows.find("a") in [str(number).encode() for number in range(8)]


async def test_changes_at_once_see_each_other(database_url: str) -> None:
    table = metadata_of("render").tables["cookie_session"]
    later = int(time.time()) + 60
    async with Database(database_url, "render") as one, Database(database_url, "render") as other:
        processes = [BrowserSessionRows(database, table) for database in (one, other)]
        await processes[0].save("a", b"", later)
        await asyncio.gather(
            *(
                processes[number % 2].change("a", lambda body, n=number: (body + bytes([n]), later))
                for number in range(10)
            )
        )
        assert sorted(await processes[0].find("a") or b"") == list(range(10))


async def test_changes_of_nothing(database_url: str) -> None:
    table = metadata_of("render").tables["cookie_session"]
    later = int(time.time()) + 60
    async with Database(database_url, "render") as database:
        rows = BrowserSessionRows(database, table)
        await rows.save("old", b"x", int(time.time()) - 1)
        await rows.save("a", b"x", later)
        for key in ("none", "old"):
            await rows.change(key, lambda body: (b"never", later))
        await rows.change("a", lambda body: None)
        assert [await rows.find(key) for key in ("none", "old", "a")] == [None, None, b"x"]
        await rows.change("a", lambda body: (b"y", int(time.time()) - 1))
        assert await rows.find("a") is None
