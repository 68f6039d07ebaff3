"""Studies at this institution, and the notices by which nodes tell of them."""

from __future__ import annotations

import logging

from sivr.crypto import PublicKey, Verifier
from sivr.errors import Forbidden, Invalid, Unauthenticated
from sivr.model.archive import Instances, Study, StudyNotice, StudyPage, StudySearch
from sivr.store.audit import By
from sivr.store.nodes import Nodes as NodeStore
from sivr.store.studies import StudyStore

log = logging.getLogger("sivr.studies")


class StudyService:
    """What the institution knows of its studies."""

    def __init__(self, studies: StudyStore, nodes: NodeStore, institution_id: str) -> None:
        self._studies = studies
        self._nodes = nodes
        self._institution = institution_id

    async def find(self, search: StudySearch) -> StudyPage:
        """Studies that match, newest first; raises Invalid when the dates are the wrong way round."""
        if search.date_from and search.date_to and search.date_from > search.date_to:
            raise Invalid("The first date is later than the last.", {"field": "date_from"})
        items, total = await self._studies.find(search)
        return StudyPage(tuple(items), total)

    async def get(self, study_uid: str) -> Study:
        """A study, on the node that holds most of it; raises NotFound."""
        return (await self._studies.get(study_uid))[0]

    async def instances(self, study_uid: str) -> Instances:
        """The study's instances with their hashes; raises NotFound."""
        return Instances(tuple(await self._studies.instances(study_uid)))

    async def verified_node(self, token: str | None) -> str:
        """Which node signed this token for us; raises Unauthenticated, Forbidden."""
        if token is None:
            raise Unauthenticated("A notice needs a node's token.")
        nodes = await self._nodes.all()
        keys = {node.id: [PublicKey.parse(node.public_key)] for node in nodes}
        claims = Verifier(keys, self._institution).verify(token)
        node_id = str(claims["iss"])
        if not next(node for node in nodes if node.id == node_id).active:
            raise Forbidden(f"The node {node_id} is not active at this institution.")
        return node_id

    async def note(self, node_id: str, notice: StudyNotice, address: str) -> None:
        """Take over a node's state of a study; repeated and older notices change nothing.

        Raises Forbidden when a node speaks for another, Conflict when the study is another patient's.
        """
        if notice.node_id != node_id:
            raise Forbidden("A node speaks only for itself.")
        changed = await self._studies.note(notice, By(node_id, address))
        await self._nodes.seen(node_id)
        log.info(
            "notice",
            extra={"node": node_id, "study": notice.study_uid, "revision": notice.revision, "new": changed},
        )
