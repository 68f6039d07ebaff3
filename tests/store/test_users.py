"""User accounts on both databases."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from sivr.errors import Conflict, Invalid, NotFound
from sivr.model.directory import InstitutionChange, NewInstitution, NewUser, OwnChange, User, UserChange
from sivr.store.audit import Audit, By
from sivr.store.database import Database
from sivr.store.institutions import Institutions
from sivr.store.schema.columns import now
from sivr.store.users import Users

BY = By("tester", "192.0.2.1")
MINUTE = timedelta(minutes=1)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with Database(database_url, "toplevel") as opened:
        for key in ("general", "county"):
            new = NewInstitution(id=key, name=key.title(), url=f"https://{key}.example.org")
            await Institutions(opened).create(new, BY)
        yield opened


async def add(database: Database, login: str, **facts: Any) -> User:
    new = NewUser(login=login, password="", **{"name": login.title(), **facts})
    return await Users(database).create(new, f"hash of {login}", BY, must_change_password=True)


async def test_what_is_created_is_read_back(database: Database) -> None:
    made = await add(
        database,
        "Ana.Marić",
        name="Ana Marić",
        email="a@example.org",
        phone="1",
        language="hr",
        roles=("administrator", "physician", "physician"),
        institutions=("general", "county"),
    )
    assert made.roles == ("physician", "administrator")
    assert made.institutions == ("county", "general")
    assert (made.version, made.must_change_password, made.locked_until) == (1, True, None)
    account = await Users(database).account_of_login("ANA.MARIĆ")
    assert account is not None
    assert account.user == made
    assert account.password_hash == "hash of Ana.Marić"


async def test_logins_are_unique_in_any_case(database: Database) -> None:
    await add(database, "ana")
    with pytest.raises(Conflict, match="taken"):
        await add(database, "ANA")
    other = await add(database, "marko")
    with pytest.raises(Conflict, match="taken"):
        await Users(database).change(other.id, UserChange(version=1, login="Ana"), BY)


async def test_unknown_institutions_are_refused_and_nothing_is_made(database: Database) -> None:
    with pytest.raises(Invalid, match="no institution nowhere"):
        await add(database, "ana", institutions=("nowhere",))
    assert await Users(database).account_of_login("ana") is None


async def test_inactive_institutions_are_not_in_the_token(database: Database) -> None:
    user = await add(database, "ana", institutions=("general", "county"))
    await Institutions(database).change("county", InstitutionChange(version=1, active=False), BY)
    account = await Users(database).account(user.id)
    assert account.active_institutions == ("general",)
    assert account.user.institutions == ("county", "general")


async def test_only_the_first_of_two_changes_wins(database: Database) -> None:
    user = await add(database, "ana")
    results = await asyncio.gather(
        *(Users(database).change(user.id, UserChange(version=1, name=name), BY) for name in ("One", "Two")),
        return_exceptions=True,
    )
    refused = [one for one in results if isinstance(one, Conflict)]
    assert len(refused) == 1
    assert refused[0].details == {"version": 2}
    assert (await Users(database).get(user.id)).version == 2


async def test_absent_members_stay(database: Database) -> None:
    user = await add(database, "ana", phone="1", roles=("physician",), institutions=("general",))
    changed = await Users(database).change(user.id, UserChange(version=1, email="b@example.org"), BY)
    assert (changed.phone, changed.roles, changed.institutions) == ("1", ("physician",), ("general",))
    own = await Users(database).change_own(user.id, OwnChange(language="hr"), BY)
    assert (own.language, own.email, own.version) == ("hr", "b@example.org", 3)


@pytest.mark.parametrize("loss", [{"active": False}, {"roles": ("physician",)}])
async def test_the_last_administrator_stays(database: Database, loss: dict[str, Any]) -> None:
    first = await add(database, "first", roles=("administrator",))
    await add(database, "gone", roles=("administrator",), active=False)
    with pytest.raises(Conflict, match="last active administrator"):
        await Users(database).change(first.id, UserChange(version=1, **loss), BY)
    await add(database, "second", roles=("administrator",))
    await Users(database).change(first.id, UserChange(version=1, **loss), BY)


async def test_two_administrators_cannot_resign_at_once(database: Database) -> None:
    users = [await add(database, login, roles=("administrator",)) for login in ("first", "second")]
    results = await asyncio.gather(
        *(Users(database).change(user.id, UserChange(version=1, roles=()), BY) for user in users),
        return_exceptions=True,
    )
    assert sum(isinstance(one, Conflict) for one in results) == 1


async def test_finding_users(database: Database) -> None:
    await add(database, "ana", name="Ana Kovačević", email="ana@general.example.org")
    await add(database, "marko", name="Marko Đurić")
    await add(database, "per%cent", name="100% _real_")

    async def logins(query: str, limit: int = 50, offset: int = 0) -> tuple[list[str], int]:
        items, total = await Users(database).find(query, limit, offset)
        return [user.login for user in items], total

    assert await logins("") == (["ana", "marko", "per%cent"], 3)
    assert await logins("", 1, 1) == (["marko"], 3)
    assert await logins("KOVAC") == (["ana"], 1)
    assert await logins("general ana") == (["ana"], 1)
    assert await logins("ana marko") == ([], 0)
    assert await logins("", 10, 10) == ([], 3)


async def test_locks_grow_and_end(database: Database) -> None:
    users = Users(database)
    user = await add(database, "ana")
    spans = []
    for _ in range(12):
        until = await users.add_failure("ANA", BY, before_lock=3, lock=MINUTE)
        spans.append(0 if until is None else round((until - now()) / MINUTE))
    assert spans == [0, 0, 1, 2, 4, 8, 15, 15, 15, 15, 15, 15]
    assert await users.locked_until("ana") is not None
    assert (await users.get(user.id)).locked_until is not None
    assert await users.locked_until("marko") is None
    await users.unlock(user.id, BY)
    assert await users.locked_until("ana") is None
    assert (await users.get(user.id)).locked_until is None


async def test_failures_at_once_are_all_counted(database: Database) -> None:
    users = Users(database)
    await asyncio.gather(*(users.add_failure("nobody", BY, before_lock=10, lock=MINUTE) for _ in range(9)))
    assert await users.locked_until("nobody") is None
    assert await users.add_failure("nobody", BY, before_lock=10, lock=MINUTE) is not None


async def test_unknown_users(database: Database) -> None:
    users = Users(database)
    for attempt in (
        users.get("no"),
        users.change("no", UserChange(version=1), BY),
        users.change_own("no", OwnChange(), BY),
        users.set_password("no", "h", BY, must_change=False),
        users.unlock("no", BY),
    ):
        with pytest.raises(NotFound):
            await attempt


async def test_changes_are_written_down_without_names(database: Database) -> None:
    user = await add(database, "ana")
    await Users(database).change(user.id, UserChange(version=1, name="Other"), BY)
    rows = await Audit(database).newest(object_id=user.id)
    assert [(row.actor_id, row.action, row.address) for row in rows] == [
        ("tester", "user.change", "192.0.2.1"),
        ("tester", "user.create", "192.0.2.1"),
    ]
