"""Sessions of browsers where several processes share one database: what one does, the others know."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sivr.crypto import SigningKey, grant_claims
from sivr.errors import Unauthenticated
from sivr.model.people import Actor, Grant
from sivr.services.browser_sessions import BrowserSessions
from sivr.store.browser_sessions import BrowserSessionRows
from sivr.store.database import Database
from sivr.store.schema.render import cookie_session
from tests.services.ingesting import INSTITUTION, NODE, person

KEY = SigningKey.generate()
ANA, IVO = person("ana"), person("ivo")


def granted(actor: Actor, study: str, ttl_s: int = 300) -> str:
    """A token that lets somebody view a study."""
    expires = int(time.time()) + ttl_s
    grant = Grant(INSTITUTION, NODE, actor.id, "view", expires, study_uid=study)
    return KEY.sign(grant_claims(grant), ttl_s)


def in_five_minutes() -> int:
    """When the access token ends that a session is opened with, Unix time."""
    return int(time.time()) + 300


class Process:
    """What one process of the node does; ``sessions`` remembers what it likes."""

    def __init__(self, database: Database, **options: float) -> None:
        rows = BrowserSessionRows(database, cookie_session)
        self.sessions = BrowserSessions(rows, NODE, {INSTITUTION: [KEY.public]}, **options)

    async def open(self, actor: Actor, *studies: str, cookie: str | None = None) -> str:
        """Open a session or add grants to it; the cookie."""
        tokens = [granted(actor, study) for study in studies]
        return (await self.sessions.open(actor, in_five_minutes(), tokens, cookie))[0]

    async def studies(self, cookie: str, wanted: str = "") -> set[str]:
        """What the session may view, as a request for ``wanted`` sees it."""
        return {grant.study_uid for grant in (await self.sessions.find(cookie, wanted)).grants}


@pytest.fixture
async def databases(tmp_path: Path) -> AsyncIterator[tuple[Database, Database]]:
    """One database, opened by two."""
    url = f"sqlite:///{tmp_path / 'node.db'}"
    async with Database(url, "render") as one, Database(url, "render") as other:
        yield one, other


async def test_a_grant_shown_to_one_counts_with_the_other_at_once(
    databases: tuple[Database, Database],
) -> None:
    here, there = (Process(one) for one in databases)
    cookie = await here.open(ANA, "1.1")
    assert await there.studies(cookie, "1.1") == {"1.1"}
    assert await here.open(ANA, "1.2", cookie=cookie) == cookie
    assert await there.studies(cookie, "1.2") == {"1.1", "1.2"}


async def test_neither_overwrites_what_the_other_was_shown(databases: tuple[Database, Database]) -> None:
    here, there = (Process(one) for one in databases)
    cookie = await here.open(ANA, "1.1")
    assert await there.studies(cookie, "1.1") == {"1.1"}
    await here.open(ANA, "1.2", cookie=cookie)
    await there.open(ANA, "1.3", cookie=cookie)
    assert await there.studies(cookie, "1.2") == {"1.1", "1.2", "1.3"}
    await asyncio.gather(
        *(
            one.open(ANA, f"2.{place}.{number}", cookie=cookie)
            for place, one in enumerate((here, there))
            for number in range(4)
        )
    )
    for one in (here, there):
        assert len(await one.studies(cookie, "none")) == 11


async def test_a_log_out_with_one_ends_the_session_with_all(databases: tuple[Database, Database]) -> None:
    here, there = (Process(one, believed_s=0.0) for one in databases)
    cookie = await here.open(ANA, "1.1")
    assert await there.studies(cookie, "1.1") == {"1.1"}
    await here.sessions.close(cookie)
    for one in (here, there):
        with pytest.raises(Unauthenticated):
            await one.studies(cookie, "1.1")


async def test_what_was_just_read_is_believed(databases: tuple[Database, Database]) -> None:
    here, there = Process(databases[0]), Process(databases[1], believed_s=float("inf"))
    cookie = await here.open(ANA, "1.1")
    assert await there.studies(cookie, "1.1") == {"1.1"}
    await here.sessions.close(cookie)
    # A picture needs no look into the database; a log out is late by so much at most.
    assert await there.studies(cookie, "1.1") == {"1.1"}
    with pytest.raises(Unauthenticated):
        await there.sessions.find(cookie, anew=True)
    assert await there.open(ANA, "1.2", cookie=cookie) != cookie, "an ended session does not come back"


async def test_expired_grants_are_looked_up_again(databases: tuple[Database, Database]) -> None:
    here, there = (Process(one) for one in databases)
    cookie, _ = await here.sessions.open(ANA, in_five_minutes(), [granted(ANA, "1.1", -20)], None)
    assert await there.studies(cookie) == set()
    await here.open(ANA, "1.1", cookie=cookie)
    assert await there.studies(cookie, "1.1") == {"1.1"}


async def test_another_person_does_not_inherit(databases: tuple[Database, Database]) -> None:
    here, there = (Process(one) for one in databases)
    cookie = await here.open(ANA, "1.1")
    other = await there.open(IVO, "1.2", cookie=cookie)
    assert other != cookie
    assert (await here.studies(cookie), await here.studies(other)) == ({"1.1"}, {"1.2"})


async def test_a_reading_begun_before_a_grant_does_not_hide_it(
    databases: tuple[Database, Database],
) -> None:
    here, there = (Process(one, believed_s=0.0) for one in databases)
    cookie = await here.open(ANA, "1.1")

    async def show_and_view(number: int) -> None:
        study = f"1.2.{number}"
        await here.open(ANA, study, cookie=cookie)
        assert study in await there.studies(cookie, study)

    async def look() -> None:
        for _ in range(60):
            assert await there.studies(cookie, "1.1") >= {"1.1"}

    await asyncio.gather(look(), look(), *(show_and_view(number) for number in range(8)))


async def test_nobody_is_let_in_by_a_reading_that_a_log_out_overtook(
    databases: tuple[Database, Database],
) -> None:
    here = Process(databases[0], believed_s=60.0)
    for _ in range(20):
        cookie = await here.open(ANA, "1.1")
        here.sessions._known.clear()
        looking = asyncio.create_task(here.sessions.find(cookie, "1.1"))
        await asyncio.sleep(0)
        await here.sessions.close(cookie)
        await asyncio.gather(looking, return_exceptions=True)
        with pytest.raises(Unauthenticated):
            await here.sessions.find(cookie, "1.1")
