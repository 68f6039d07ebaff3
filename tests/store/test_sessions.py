"""Families of refresh tokens on both databases: rotation, reuse, races, endings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import sqlalchemy as sa

from sivr.model.directory import NewUser, UserChange
from sivr.store.audit import Audit, By
from sivr.store.database import Database
from sivr.store.schema.columns import now
from sivr.store.schema.toplevel import refresh_token, session
from sivr.store.sessions import Renewed, Sessions
from sivr.store.users import Account, Users

BY = By("tester")


class Place:
    """A database with one user."""

    def __init__(self, database: Database, account: Account) -> None:
        self.database = database
        self.account = account
        self.sessions = Sessions(database, timedelta(days=14), timedelta(minutes=1))

    async def start(self, token: str) -> str:
        started = await self.sessions.start(self.account, token, BY)
        assert started is not None
        return started

    async def renew(self, token: str, new: str) -> str:
        outcome = await self.sessions.renew(token, new, "192.0.2.1")
        return "good" if isinstance(outcome, Renewed) else outcome

    async def set_replaced_earlier(self) -> None:
        """As if every replacement had happened two minutes before."""
        async with self.database.begin() as connection:
            await connection.execute(
                refresh_token.update()
                .where(refresh_token.c.replaced_at.is_not(None))
                .values(replaced_at=now() - timedelta(minutes=2))
            )


@pytest.fixture
async def place(database_url: str) -> AsyncIterator[Place]:
    async with Database(database_url, "toplevel") as database:
        new = NewUser(login="ana", name="Ana", password="", roles=("physician",))
        user = await Users(database).create(new, "hash", BY, must_change_password=False)
        yield Place(database, await Users(database).account(user.id))


async def test_a_chain_of_renewals(place: Place) -> None:
    session_id = await place.start("t0")
    for step in range(5):
        outcome = await place.sessions.renew(f"t{step}", f"t{step + 1}", "")
        assert isinstance(outcome, Renewed)
        assert outcome.session_id == session_id
        assert outcome.account.user.login == "ana"


async def test_an_old_token_ends_the_family(place: Place) -> None:
    await place.start("a")
    await place.start("other device")
    assert await place.renew("a", "b") == "good"
    assert await place.renew("b", "c") == "good"
    assert await place.renew("a", "x") == "reused"
    assert await place.renew("c", "d") == "unknown"
    assert await place.renew("other device", "e") == "good"
    assert (await Audit(place.database).newest(1))[0].action == "session.reuse"


async def test_the_predecessor_is_good_for_a_moment(place: Place) -> None:
    await place.start("a")
    assert await place.renew("a", "b") == "good"
    assert await place.renew("a", "c") == "good"
    assert await place.renew("c", "d") == "good"
    # Again after a lost answer.
    assert await place.renew("c", "e") == "good"
    assert await place.renew("a", "f") == "reused"


@pytest.mark.parametrize("first", ["own", "stolen"])
async def test_of_two_siblings_one_goes_on(place: Place, first: str) -> None:
    await place.start("a")
    await place.start("other device")
    assert await place.renew("a", "own") == "good"
    assert await place.renew("a", "stolen") == "good"
    assert await place.renew(first, "next") == "good"
    second = "own" if first == "stolen" else "stolen"
    assert await place.renew(second, "x") == "reused"
    assert await place.renew("next", "y") == "unknown"
    assert await place.renew("other device", "z") == "good"
    assert (await Audit(place.database).newest(1))[0].action == "session.reuse"


async def test_the_predecessor_is_not_good_later(place: Place) -> None:
    await place.start("a")
    assert await place.renew("a", "b") == "good"
    await place.set_replaced_earlier()
    assert await place.renew("a", "c") == "reused"
    assert await place.renew("b", "d") == "unknown"


async def test_a_thief_within_the_grace_is_found_at_the_next_renewal(place: Place) -> None:
    await place.start("a")
    assert await place.renew("a", "own") == "good"
    assert await place.renew("a", "stolen") == "good"
    assert await place.renew("own", "own 2") == "good"
    await place.set_replaced_earlier()
    assert await place.renew("stolen", "x") == "reused"
    assert await place.renew("own 2", "y") == "unknown"


async def test_many_tabs_renew_at_once(place: Place) -> None:
    await place.start("a")
    outcomes = await asyncio.gather(*(place.renew("a", f"tab {number}") for number in range(8)))
    assert outcomes == ["good"] * 8
    # They share one cookie: the last answer is what all of them send next.
    outcomes = await asyncio.gather(*(place.renew("tab 5", f"next {number}") for number in range(8)))
    assert outcomes == ["good"] * 8


async def test_siblings_are_bounded(place: Place) -> None:
    await place.start("a")
    outcomes = [await place.renew("a", f"s{number}") for number in range(20)]
    assert outcomes[:16] == ["good"] * 16
    assert outcomes[16] == "reused"


async def test_expiry(place: Place) -> None:
    await place.start("a")
    async with place.database.begin() as connection:
        await connection.execute(session.update().values(expires_at=now() - timedelta(seconds=1)))
    assert await place.renew("a", "b") == "expired"
    assert await place.renew("a", "b") == "unknown"


async def test_renewal_moves_the_end(place: Place) -> None:
    await place.start("a")
    async with place.database.begin() as connection:
        await connection.execute(session.update().values(expires_at=now() + timedelta(minutes=1)))
    assert await place.renew("a", "b") == "good"
    async with place.database.connect() as connection:
        end = await connection.scalar(sa.select(session.c.expires_at))
    assert end > now() + timedelta(days=13)


async def test_inactive_users_have_no_sessions(place: Place) -> None:
    await place.start("a")
    await Users(place.database).change(place.account.user.id, UserChange(version=1, active=False), BY)
    assert await place.renew("a", "b") == "unknown"
    assert await place.sessions.start(place.account, "c", BY) is None


async def test_a_password_changed_meanwhile_starts_nothing(place: Place) -> None:
    users = Users(place.database)
    await users.set_password(place.account.user.id, "another hash", BY, must_change=False)
    assert await place.sessions.start(place.account, "a", BY) is None


async def test_a_new_password_ends_the_other_sessions(place: Place) -> None:
    kept = await place.start("kept")
    await place.start("other")
    users = Users(place.database)
    await users.set_password(place.account.user.id, "new", BY, must_change=False, keep_session=kept)
    assert await place.renew("other", "x") == "unknown"
    assert await place.renew("kept", "y") == "good"


async def test_ending(place: Place) -> None:
    await place.start("a")
    await place.renew("a", "b")
    await place.sessions.end("a", "")
    await place.sessions.end("never seen", "")
    assert await place.renew("b", "c") == "unknown"


async def test_sessions_survive_a_restart(database_url: str, place: Place) -> None:
    await place.start("a")
    async with Database(database_url, "toplevel") as again:
        outcome = await Sessions(again, timedelta(days=1), timedelta(0)).renew("a", "b", "")
        assert isinstance(outcome, Renewed)


async def test_expired_sessions_and_old_tokens_are_swept(place: Place) -> None:
    await place.start("a")
    async with place.database.begin() as connection:
        await connection.execute(session.update().values(expires_at=now() - timedelta(days=1)))
    await place.start("b")
    await place.renew("b", "c")
    async with place.database.begin() as connection:
        await connection.execute(
            refresh_token.update()
            .where(refresh_token.c.hash == "b")
            .values(replaced_at=now() - timedelta(days=8))
        )
    await place.renew("c", "d")
    async with place.database.connect() as connection:
        assert await connection.scalar(sa.select(sa.func.count()).select_from(session)) == 1
        hashes = (await connection.execute(sa.select(refresh_token.c.hash))).scalars()
        assert sorted(hashes) == ["c", "d"]
