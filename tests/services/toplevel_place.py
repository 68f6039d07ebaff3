"""An open toplevel with an administrator and a physician, for the tests of its services and routes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sivr.crypto import SigningKey, actor_from_claims
from sivr.model.directory import NewInstitution, NewUser
from sivr.model.people import Actor
from sivr.services.sessions import SessionRules
from sivr.services.toplevel import CONFIGURATION, ToplevelServices, open_toplevel
from sivr.store.audit import record

ADMINISTRATOR = ("admin", "the administrator's secret")
PHYSICIAN = ("ana", "ana's quite long secret")
GENERAL = NewInstitution(id="general", name="General Hospital", url="https://general.example.org")
KEY = SigningKey.generate()


@asynccontextmanager
async def open_place(folder: Path, rules: SessionRules | None = None) -> AsyncIterator[ToplevelServices]:
    """Open (again) the toplevel in a folder; the users are made the first time."""
    url = f"sqlite:///{folder / 'toplevel.sqlite'}"
    async with open_toplevel(url, KEY, "county", rules=rules, institutions=[GENERAL]) as services:
        if not (await services.audit.newest(1, object_id="made")):
            await _make_users(services)
        yield services


async def _make_users(services: ToplevelServices) -> None:
    for (login, password), role in ((ADMINISTRATOR, "administrator"), (PHYSICIAN, "physician")):
        new = NewUser(
            login=login, name=login.title(), password=password, roles=(role,), institutions=("general",)
        )
        await services.users.add(new, CONFIGURATION, must_change_password=False)
    async with services.database.begin() as connection:
        await record(connection, CONFIGURATION, "test.made", "made")


async def log_in(services: ToplevelServices, credentials: tuple[str, str]) -> Actor:
    """The actor that the access token of a log in speaks of."""
    opened = await services.sessions.log_in(*credentials, "192.0.2.1")
    return actor_from_claims(services.verifier.verify(opened.answer.access_token))
