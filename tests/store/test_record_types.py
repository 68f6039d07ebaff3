"""Record types on both databases."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from sivr.errors import Conflict, NotFound
from sivr.model.directory import NewRecordType, RecordTypeChange
from sivr.store.audit import By
from sivr.store.database import Database
from sivr.store.record_types import RecordTypes

BY = By("tester")


@pytest.fixture
async def record_types(database_url: str) -> AsyncIterator[RecordTypes]:
    async with Database(database_url, "toplevel") as opened:
        yield RecordTypes(opened)


async def test_create_list_change_delete(record_types: RecordTypes) -> None:
    mr = await record_types.create(NewRecordType(code="MR", name="Magnetic resonance"), BY)
    ct = await record_types.create(NewRecordType(code="ct", name="CT", modalities=("CT", "PT")), BY)
    assert await record_types.all() == [ct, mr]
    assert ct.modalities == ("CT", "PT")
    changed = await record_types.change(ct.id, RecordTypeChange(version=1, modalities=("CT",)), BY)
    assert (changed.modalities, changed.code, changed.version) == (("CT",), "ct", 2)
    with pytest.raises(Conflict, match="in the meantime"):
        await record_types.change(ct.id, RecordTypeChange(version=1, name="x"), BY)
    await record_types.delete(ct.id, BY)
    assert await record_types.all() == [mr]


async def test_codes_are_unique_in_any_case(record_types: RecordTypes) -> None:
    await record_types.create(NewRecordType(code="CT", name="CT"), BY)
    other = await record_types.create(NewRecordType(code="MR", name="MR"), BY)
    with pytest.raises(Conflict, match="already a record type"):
        await record_types.create(NewRecordType(code="ct", name="CT"), BY)
    with pytest.raises(Conflict, match="already a record type"):
        await record_types.change(other.id, RecordTypeChange(version=1, code="Ct"), BY)


async def test_unknown_ones(record_types: RecordTypes) -> None:
    with pytest.raises(NotFound):
        await record_types.change("no", RecordTypeChange(version=1), BY)
    with pytest.raises(NotFound):
        await record_types.delete("no", BY)
