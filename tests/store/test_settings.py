"""Settings of users on both databases."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from sivr.errors import Conflict, NotFound, TooLarge
from sivr.model.directory import NewUser
from sivr.model.settings import MAX_SETTINGS, MAX_TOTAL_BYTES
from sivr.store.audit import By
from sivr.store.database import Database
from sivr.store.settings import Settings
from sivr.store.users import Users

BY = By("tester")


@pytest.fixture
async def opened(database_url: str) -> AsyncIterator[tuple[Settings, str, str]]:
    async with Database(database_url, "toplevel") as database:
        users = Users(database)
        keys = []
        for login in ("ana", "marko"):
            new = NewUser(login=login, name=login, password="x", roles=(), institutions=())
            keys.append((await users.create(new, "hash", BY, must_change_password=False)).id)
        yield Settings(database), keys[0], keys[1]


async def test_write_read_list_remove(opened: tuple[Settings, str, str]) -> None:
    settings, ana, marko = opened
    with pytest.raises(NotFound):
        await settings.get(ana, "layout.ct")
    made = await settings.put(ana, "layout.ct", b'{"rows": 2}', 0)
    assert (made.name, bytes(made.value), made.version) == ("layout.ct", b'{"rows": 2}', 1)
    changed = await settings.put(ana, "layout.ct", '"žuto"'.encode(), 1)
    assert changed.version == 2 and changed.updated_at >= made.updated_at
    assert await settings.get(ana, "layout.ct") == changed
    await settings.put(ana, "layout_mr", b"null", 0)
    assert [(one.name, one.version, one.size_bytes) for one in await settings.all(ana)] == [
        ("layout.ct", 2, 7),
        ("layout_mr", 1, 4),
    ]
    assert [one.name for one in await settings.all(ana, "layout_")] == ["layout_mr"]
    assert await settings.all(marko) == []
    with pytest.raises(NotFound):
        await settings.delete(marko, "layout.ct")
    await settings.delete(ana, "layout.ct")
    assert [one.name for one in await settings.all(ana)] == ["layout_mr"]


async def test_the_second_of_two_writers_is_told(opened: tuple[Settings, str, str]) -> None:
    settings, ana, _ = opened
    done = await asyncio.gather(
        *(settings.put(ana, "a", str(n).encode(), 0) for n in range(4)), return_exceptions=True
    )
    assert sorted(type(one).__name__ for one in done) == ["Conflict"] * 3 + ["Setting"]
    with pytest.raises(Conflict) as told:
        await settings.put(ana, "a", b"5", 7)
    assert told.value.details == {"version": 1}
    with pytest.raises(Conflict) as told:
        await settings.put(ana, "never", b"5", 1)
    assert told.value.details == {"version": 0}


async def test_room_is_bounded(opened: tuple[Settings, str, str]) -> None:
    settings, ana, marko = opened
    half = b'"' + b"x" * (MAX_TOTAL_BYTES // 2) + b'"'
    await settings.put(ana, "one", half, 0)
    with pytest.raises(TooLarge, match="together"):
        await settings.put(ana, "two", half, 0)
    assert (await settings.put(ana, "one", half, 1)).version == 2, "what is replaced does not count"
    for n in range(MAX_SETTINGS):
        await settings.put(marko, f"n{n}", b"0", 0)
    with pytest.raises(TooLarge, match="limit"):
        await settings.put(marko, "more", b"0", 0)
    assert (await settings.put(marko, "n0", b"1", 1)).version == 2
