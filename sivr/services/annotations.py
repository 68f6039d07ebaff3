"""Annotations: physicians draw them, only their authors change them, others see them as they come."""

from __future__ import annotations

import uuid
from uuid import UUID

import msgspec

from sivr.errors import Conflict, Exhausted, Invalid
from sivr.model.annotations import (
    Annotation,
    AnnotationBatch,
    AnnotationChange,
    AnnotationDocument,
    AnnotationPage,
    AnnotationsAsked,
    BatchResult,
    NewAnnotation,
    Refused,
    check_drawing,
    drawing_of,
)
from sivr.model.archive import Author
from sivr.model.people import Actor
from sivr.services.permission import require_role
from sivr.store.annotations import AnnotationStore
from sivr.store.audit import By
from sivr.store.studies import StudyStore

_PAGE = 1000


class AnnotationService:
    """Annotations of studies that this institution knows."""

    def __init__(self, annotations: AnnotationStore, studies: StudyStore) -> None:
        self._annotations = annotations
        self._studies = studies

    async def of_study(self, actor: Actor, study_uid: str, asked: AnnotationsAsked) -> AnnotationPage:
        """What the actor may see of a study; raises Forbidden, NotFound for an unknown study."""
        require_role(actor, "physician")
        await self._studies.require(study_uid)
        return await self._annotations.of_study(study_uid, actor.id, asked.since, asked.limit)

    async def document(self, actor: Actor, study_uid: str) -> AnnotationDocument:
        """All that the actor may see, as one document; raises Forbidden, NotFound."""
        require_role(actor, "physician")
        await self._studies.require(study_uid)
        found: list[Annotation] = []
        since, more = 0, True
        while more:
            page = await self._annotations.of_study(study_uid, actor.id, since, _PAGE)
            found.extend(one for one in page.items if not one.deleted)
            since, more = page.cursor, page.more
        return AnnotationDocument(study_uid=study_uid, annotations=tuple(found))

    async def add(self, actor: Actor, study_uid: str, new: NewAnnotation, address: str) -> Annotation:
        """Write an annotation; raises Forbidden, NotFound, Invalid, Conflict (the id belongs to another one),
        Exhausted.

        Sent again with its id it is answered and not written again.
        """
        require_role(actor, "physician")
        check_drawing(new)
        await self._studies.require(study_uid)
        author, by = Author(actor.id, actor.name), By(actor.id, address)
        return await self._annotations.add(study_uid, new.id.hex, new, author, by)

    async def change(
        self, actor: Actor, study_uid: str, annotation_id: str, change: AnnotationChange, address: str
    ) -> Annotation:
        """Replace one; raises NotFound, Forbidden (another's), Conflict (stale version), Invalid."""
        require_role(actor, "physician")
        check_drawing(change)
        author, by = Author(actor.id, actor.name), By(actor.id, address)
        return await self._annotations.change(
            study_uid, _hex(annotation_id), change, change.version, change.deleted, author, by
        )

    async def delete(
        self, actor: Actor, study_uid: str, annotation_id: str, version: int, address: str
    ) -> Annotation:
        """Mark an annotation as deleted; a change brings it back. Raises as ``change``."""
        require_role(actor, "physician")
        author, by = Author(actor.id, actor.name), By(actor.id, address)
        return await self._annotations.change(study_uid, _hex(annotation_id), None, version, True, author, by)

    async def take(self, actor: Actor, study_uid: str, batch: AnnotationBatch, address: str) -> BatchResult:
        """Write what a file holds as the actor's own, each item by itself; raises Forbidden, NotFound.

        Ids are kept where they are free; those of another study give way to ids that follow from them, so
        that the same file taken twice adds nothing the second time.
        """
        require_role(actor, "physician")
        await self._studies.require(study_uid)
        author, by = Author(actor.id, actor.name), By(actor.id, address)
        there = {one.id for one in (await self.document(actor, study_uid)).annotations}
        added: list[Annotation] = []
        refused: list[Refused] = []
        known = 0
        for index, item in enumerate(batch.annotations):
            try:
                drawing, given = drawing_of(item)
                ids = _ids(given, study_uid, actor.id, item)
                if any(one in there for one in ids):
                    known += 1
                    continue
                try:
                    kept = await self._annotations.add(study_uid, ids[0], drawing, author, by)
                except Conflict:
                    kept = await self._annotations.add(study_uid, ids[1], drawing, author, by)
            except (Invalid, Conflict, Exhausted) as error:
                refused.append(Refused(index, error.message))
                continue
            there.add(kept.id)
            added.append(kept)
        return BatchResult(added=tuple(added), known=known, refused=tuple(refused))


def _ids(given: UUID | None, study_uid: str, actor_id: str, item: object) -> tuple[str, str]:
    """The id that a file gives, and one that follows from everything that is known."""
    text = given.hex if given is not None else msgspec.json.encode(item, order="sorted").decode()
    derived = uuid.uuid5(uuid.NAMESPACE_URL, f"annotation/{study_uid}/{actor_id}/{text}").hex
    return (given.hex if given is not None else derived, derived)


def _hex(annotation_id: str) -> str:
    """An id as it is kept, however its UUID was written."""
    return annotation_id.replace("-", "").lower()
