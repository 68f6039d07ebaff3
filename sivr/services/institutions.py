"""Institutions: everybody sees them, administrators keep them."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from sivr.model.directory import Institution, InstitutionChange, NewInstitution
from sivr.model.people import Actor
from sivr.services.permission import require_role
from sivr.services.text import https_url, line, paragraphs, slug
from sivr.store.audit import By
from sivr.store.institutions import Institutions

_Given = TypeVar("_Given", NewInstitution, InstitutionChange)


class InstitutionService:
    """Institutions of one toplevel."""

    def __init__(self, institutions: Institutions) -> None:
        self._institutions = institutions

    async def all(self) -> list[Institution]:
        """Every institution, by name."""
        return await self._institutions.all()

    async def create(self, actor: Actor, new: NewInstitution, address: str) -> Institution:
        """Add an institution; raises Forbidden, Invalid, Conflict."""
        require_role(actor, "administrator")
        slug(new.id)
        return await self._institutions.create(_clean(new), By(actor.id, address))

    async def change(
        self, actor: Actor, institution_id: str, change: InstitutionChange, address: str
    ) -> Institution:
        """Change an institution; raises Forbidden, NotFound, Invalid, Conflict."""
        require_role(actor, "administrator")
        return await self._institutions.change(institution_id, _clean(change), By(actor.id, address))

    async def delete(self, actor: Actor, institution_id: str, address: str) -> None:
        """Remove an institution nobody belongs to; raises Forbidden, NotFound, Conflict."""
        require_role(actor, "administrator")
        await self._institutions.delete(institution_id, By(actor.id, address))


def _clean(given: _Given) -> _Given:
    values: dict[str, Any] = {}
    if isinstance(given.name, str):
        values["name"] = line(given.name, "name", "The name", required=True)
    if isinstance(given.url, str):
        values["url"] = https_url(given.url)
    if isinstance(given.address, str):
        values["address"] = paragraphs(given.address, "address", "The address", longest=500)
    return msgspec.structs.replace(given, **values)
