"""Findings: physicians write them, only their authors change them, nothing is ever lost."""

from __future__ import annotations

import uuid

from sivr.errors import Invalid
from sivr.model.archive import Author, Finding, FindingChange, FindingHistory, Findings, NewFinding
from sivr.model.people import Actor
from sivr.services.permission import require_role
from sivr.store.audit import By
from sivr.store.findings import FindingStore
from sivr.store.studies import StudyStore

MAX_LENGTH = 100_000


class FindingService:
    """Findings of studies that this institution knows."""

    def __init__(self, findings: FindingStore, studies: StudyStore) -> None:
        self._findings = findings
        self._studies = studies

    async def of_study(self, actor: Actor, study_uid: str) -> Findings:
        """Findings of a study, oldest first; raises Forbidden, NotFound for an unknown study."""
        require_role(actor, "physician")
        await self._studies.require(study_uid)
        return Findings(tuple(await self._findings.of_study(study_uid)))

    async def history(self, actor: Actor, study_uid: str, finding_id: str) -> FindingHistory:
        """Every version, newest first; raises Forbidden, NotFound."""
        require_role(actor, "physician")
        return FindingHistory(tuple(await self._findings.history(study_uid, finding_id)))

    async def add(self, actor: Actor, study_uid: str, new: NewFinding, address: str) -> Finding:
        """Write a finding; raises Forbidden, NotFound, Invalid, Conflict (the id belongs to another finding).

        The same finding sent again with its id is answered and not written again.
        """
        require_role(actor, "physician")
        text = _checked(new.text)
        await self._studies.require(study_uid)
        author = Author(actor.id, actor.name)
        made = (new.id or uuid.uuid4()).hex
        return await self._findings.add(study_uid, text, author, By(actor.id, address), finding_id=made)

    async def change(
        self, actor: Actor, study_uid: str, finding_id: str, change: FindingChange, address: str
    ) -> Finding:
        """Add a version; raises NotFound, Forbidden (another's finding), Conflict (stale version), Invalid.

        The same change sent again, because its answer was lost on the way, is answered as the first time.
        """
        require_role(actor, "physician")
        text = _checked(change.text)
        author = Author(actor.id, actor.name)
        return await self._findings.change(
            study_uid, finding_id, text, change.version, author, By(actor.id, address)
        )


def _checked(text: str) -> str:
    clean = text.replace("\r\n", "\n").replace("\r", "\n").rstrip()
    if not clean.strip():
        raise Invalid("A finding needs a text.", {"field": "text"})
    if len(clean) > MAX_LENGTH:
        raise Invalid(
            f"A finding holds at most {MAX_LENGTH} characters; this one has {len(clean)}.",
            {"field": "text", "longest": MAX_LENGTH},
        )
    if "\0" in clean:
        raise Invalid("A finding cannot hold the character U+0000.", {"field": "text"})
    return clean
