"""Institutions on both databases."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from sivr.errors import Conflict, NotFound
from sivr.model.directory import InstitutionChange, NewInstitution, NewUser
from sivr.store.audit import By
from sivr.store.database import Database
from sivr.store.institutions import Institutions
from sivr.store.users import Users

BY = By("tester")
GENERAL = NewInstitution(id="general", name="General Hospital", url="https://general.example.org")
CLINIC = NewInstitution(id="clinic", name="a clinic", url="https://clinic.example.org", address="Street 1")


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with Database(database_url, "toplevel") as opened:
        yield opened


async def test_create_list_change(database: Database) -> None:
    institutions = Institutions(database)
    assert await institutions.all() == []
    await institutions.create(GENERAL, BY)
    await institutions.create(CLINIC, BY)
    assert [one.id for one in await institutions.all()] == ["clinic", "general"]
    changed = await institutions.change("clinic", InstitutionChange(version=1, active=False), BY)
    assert (changed.active, changed.version, changed.address) == (False, 2, "Street 1")
    with pytest.raises(Conflict, match="in the meantime") as stale:
        await institutions.change("clinic", InstitutionChange(version=1, name="x"), BY)
    assert stale.value.details == {"version": 2}
    assert await institutions.get("clinic") == changed


async def test_ids_are_unique(database: Database) -> None:
    await Institutions(database).create(GENERAL, BY)
    with pytest.raises(Conflict, match="already an institution"):
        await Institutions(database).create(GENERAL, BY)


async def test_those_of_the_configuration_are_added_once(database: Database) -> None:
    institutions = Institutions(database)
    await institutions.create(GENERAL, BY)
    await institutions.change("general", InstitutionChange(version=1, name="Renamed"), BY)
    await asyncio.gather(*(institutions.ensure([GENERAL, CLINIC], BY) for _ in range(4)))
    assert [one.name for one in await institutions.all()] == ["a clinic", "Renamed"]


async def test_only_empty_ones_are_deleted(database: Database) -> None:
    institutions = Institutions(database)
    await institutions.create(GENERAL, BY)
    await institutions.create(CLINIC, BY)
    new = NewUser(login="ana", name="Ana", password="", institutions=("general",))
    await Users(database).create(new, "hash", BY, must_change_password=False)
    with pytest.raises(Conflict, match="make it inactive") as refused:
        await institutions.delete("general", BY)
    assert refused.value.details == {"users": 1}
    await institutions.delete("clinic", BY)
    assert [one.id for one in await institutions.all()] == ["general"]


async def test_unknown_ones(database: Database) -> None:
    institutions = Institutions(database)
    for attempt in (
        institutions.get("no"),
        institutions.change("no", InstitutionChange(version=1), BY),
        institutions.delete("no", BY),
    ):
        with pytest.raises(NotFound):
            await attempt
