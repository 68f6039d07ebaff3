"""Findings: physicians write them, only their authors change them, nothing is ever lost."""

from __future__ import annotations

from sivr.errors import Invalid
from sivr.model.archive import Author, Finding, FindingHistory, Findings
from sivr.model.people import Actor
from sivr.store.audit import By
from sivr.store.findings import FindingStore
from sivr.store.studies import StudyStore

MAX_LENGTH = 100_000


class FindingService:
    """Findings of studies that this institution knows."""

    def __init__(self, findings: FindingStore, studies: StudyStore) -> None:
        self._findings = findings
        self._studies = studies

    async def of_study(self, study_uid: str) -> Findings:
        """Findings of a study, oldest first; raises NotFound for an unknown study."""
        await self._studies.get(study_uid)
        return Findings(tuple(await self._findings.of_study(study_uid)))

    async def history(self, study_uid: str, finding_id: str) -> FindingHistory:
        """Every version, newest first; raises NotFound."""
        return FindingHistory(tuple(await self._findings.history(study_uid, finding_id)))

    async def add(self, study_uid: str, text: str, actor: Actor, address: str) -> Finding:
        """Write a finding; raises NotFound, Invalid."""
        await self._studies.get(study_uid)
        author = Author(actor.id, actor.name)
        return await self._findings.add(study_uid, _checked(text), author, By(actor.id, address))

    async def change(
        self, study_uid: str, finding_id: str, text: str, version: int, actor: Actor, address: str
    ) -> Finding:
        """Add a version; raises NotFound, Forbidden, Conflict, Invalid."""
        author = Author(actor.id, actor.name)
        return await self._findings.change(
            study_uid, finding_id, _checked(text), version, author, By(actor.id, address)
        )


def _checked(text: str) -> str:
    if not text.strip():
        raise Invalid("A finding needs a text.", {"field": "text"})
    if len(text) > MAX_LENGTH:
        raise Invalid(f"A finding holds at most {MAX_LENGTH} characters.", {"field": "text"})
    if "\0" in text:
        raise Invalid("A finding cannot hold the character NUL.", {"field": "text"})
    return text.rstrip()
