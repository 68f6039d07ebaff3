"""Patients' records: only physicians see, make and change them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeVar

import msgspec
from msgspec import UNSET

from sivr.errors import Invalid
from sivr.model.directory import NewPatient, Patient, PatientChange, PatientPage, PatientSearch
from sivr.model.people import Actor
from sivr.services.permission import require_role
from sivr.services.text import email, line, paragraphs, search_text
from sivr.store.audit import By
from sivr.store.patients import Patients

_OLDEST_YEARS = 150
_LABELS: dict[str, tuple[str, int]] = {
    "family_name": ("The family name", 100),
    "given_name": ("The given name", 100),
    "middle_name": ("The middle name", 100),
    "insurance_number": ("The insurance number", 64),
    "insurance_issuer": ("The insurance issuer", 200),
    "phone": ("The phone number", 50),
}
_Given = TypeVar("_Given", NewPatient, PatientChange)


class PatientService:
    """Patients' records of one toplevel."""

    def __init__(self, patients: Patients) -> None:
        self._patients = patients

    async def find(self, actor: Actor, search: PatientSearch) -> PatientPage:
        """Records by parts of the name, insurance number and birth date; raises Forbidden, Invalid."""
        require_role(actor, "physician")
        query = line(search_text(search.query, "query"), "query", "The search", longest=200)
        items, total = await self._patients.find(msgspec.structs.replace(search, query=query))
        return PatientPage(items, total)

    async def get(self, actor: Actor, patient_id: str) -> Patient:
        """One record; raises Forbidden, NotFound."""
        require_role(actor, "physician")
        return await self._patients.get(patient_id)

    async def create(self, actor: Actor, new: NewPatient, address: str) -> Patient:
        """Make a record; raises Forbidden, Invalid, Conflict."""
        require_role(actor, "physician")
        return await self._patients.create(_clean(new), By(actor.id, address))

    async def change(self, actor: Actor, patient_id: str, change: PatientChange, address: str) -> Patient:
        """Change a record; raises Forbidden, NotFound, Invalid, Conflict."""
        require_role(actor, "physician")
        return await self._patients.change(patient_id, _clean(change), By(actor.id, address))


def _clean(given: _Given) -> _Given:
    values: dict[str, Any] = {}
    for name, (label, longest) in _LABELS.items():
        text = getattr(given, name)
        if text is not UNSET:
            values[name] = line(text, name, label, longest=longest, required=name == "family_name")
    if given.email is not UNSET:
        values["email"] = email(given.email)
    if given.address is not UNSET:
        values["address"] = paragraphs(given.address, "address", "The address", longest=500)
    if given.notes is not UNSET:
        values["notes"] = paragraphs(given.notes, "notes", "The notes")
    if isinstance(given.birth_date, date):
        _check_birth_date(given.birth_date)
    return msgspec.structs.replace(given, **values)


def _check_birth_date(birth_date: date) -> None:
    # A newborn east of here may have been born "tomorrow" in UTC.
    today = datetime.now(UTC).date()
    if birth_date > today + timedelta(days=1):
        raise Invalid("The birth date lies in the future.", {"field": "birth_date"})
    if birth_date.year < today.year - _OLDEST_YEARS:
        raise Invalid(
            f"The birth date lies more than {_OLDEST_YEARS} years in the past.", {"field": "birth_date"}
        )
