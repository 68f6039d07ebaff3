"""Record types: everybody sees them, administrators keep them."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from sivr.model.directory import NewRecordType, RecordType, RecordTypeChange
from sivr.model.people import Actor
from sivr.services.permission import require_role
from sivr.services.text import line, modalities, paragraphs
from sivr.store.audit import By
from sivr.store.record_types import RecordTypes

_Given = TypeVar("_Given", NewRecordType, RecordTypeChange)


class RecordTypeService:
    """Record types of one toplevel."""

    def __init__(self, record_types: RecordTypes) -> None:
        self._record_types = record_types

    async def all(self) -> list[RecordType]:
        """Every record type, by code."""
        return await self._record_types.all()

    async def create(self, actor: Actor, new: NewRecordType, address: str) -> RecordType:
        """Add a record type; raises Forbidden, Invalid, Conflict."""
        require_role(actor, "administrator")
        return await self._record_types.create(_clean(new), By(actor.id, address))

    async def change(self, actor: Actor, key: str, change: RecordTypeChange, address: str) -> RecordType:
        """Change a record type; raises Forbidden, NotFound, Invalid, Conflict."""
        require_role(actor, "administrator")
        return await self._record_types.change(key, _clean(change), By(actor.id, address))

    async def delete(self, actor: Actor, key: str, address: str) -> None:
        """Remove a record type; raises Forbidden, NotFound."""
        require_role(actor, "administrator")
        await self._record_types.delete(key, By(actor.id, address))


def _clean(given: _Given) -> _Given:
    values: dict[str, Any] = {}
    if isinstance(given.code, str):
        values["code"] = line(given.code, "code", "The code", longest=64, required=True)
    if isinstance(given.name, str):
        values["name"] = line(given.name, "name", "The name", required=True)
    if isinstance(given.description, str):
        values["description"] = paragraphs(given.description, "description", "The description", longest=2000)
    if isinstance(given.modalities, tuple):
        values["modalities"] = modalities(given.modalities)
    return msgspec.structs.replace(given, **values)
