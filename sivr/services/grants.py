"""Grants: the institution's signed word that somebody may do something on one of its nodes."""

from __future__ import annotations

import re
import time

from sivr.crypto import SigningKey, grant_claims
from sivr.errors import Conflict, Forbidden, Invalid, NotFound
from sivr.model.archive import Granted, GrantedNode, GrantRequest, Node
from sivr.model.people import Actor, Grant
from sivr.services.permission import require_role
from sivr.store.audit import Audit, By
from sivr.store.nodes import Nodes as NodeStore
from sivr.store.studies import StudyStore

TTL_S = 3600
_RECORD_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class GrantService:
    """Decides who may view and store, and signs it.

    Viewing is open to every physician of a trusted toplevel; storing only to those of this institution
    (paper, section 2.2).
    """

    def __init__(
        self,
        studies: StudyStore,
        nodes: NodeStore,
        audit: Audit,
        institution_id: str,
        name: str,
        key: SigningKey,
    ) -> None:
        self._studies = studies
        self._nodes = nodes
        self._audit = audit
        self._institution = institution_id
        self._name = name
        self._key = key

    async def grant(self, actor: Actor, request: GrantRequest, address: str) -> Granted:
        """Sign a grant and write it down; raises Forbidden, NotFound, Conflict, Invalid."""
        require_role(actor, "physician")
        decide = {"view": self._view, "store": self._store}[request.action]
        node, what = await decide(request, actor)
        grant = Grant(
            institution=self._institution,
            node=node.id,
            actor=actor.id,
            action=request.action,
            expires=int(time.time()) + TTL_S,
            **what,
        )
        await self._audit.add(
            By(actor.id, address), f"grant.{grant.action}", grant.study_uid or grant.patient
        )
        return Granted(self._key.sign(grant_claims(grant), TTL_S), TTL_S, GrantedNode(node.id, node.url))

    async def _view(self, request: GrantRequest, actor: Actor) -> tuple[Node, dict[str, str]]:
        if not request.study_uid:
            raise Invalid("A grant to view names the study.", {"field": "study_uid"})
        held = await self._studies.held_by(request.study_uid)
        if request.node_id:
            if request.node_id not in held:
                raise NotFound("The study is not on this node.", {"field": "node_id"})
            held = [request.node_id]
        nodes = {node.id: node for node in await self._nodes.all()}
        node = next((nodes[one] for one in held if one in nodes and nodes[one].active), None)
        if node is None:
            raise Conflict(f"The node {held[0]}, which holds the study, is not active.")
        return node, {"study_uid": request.study_uid}

    async def _store(self, request: GrantRequest, actor: Actor) -> tuple[Node, dict[str, str]]:
        if self._institution not in actor.institutions:
            raise Forbidden(f"You may store only at your own institution; {self._name} is not yours.")
        if not _RECORD_ID.fullmatch(request.patient_id):
            raise Invalid("A grant to store names the patient's record.", {"field": "patient_id"})
        if request.patient_issuer != actor.toplevel:
            raise Invalid("The patient's record is kept by another toplevel.", {"field": "patient_issuer"})
        nodes = {one.id: one for one in await self._nodes.all()}
        if request.node_id:
            node = nodes.get(request.node_id)
            if node is None:
                raise NotFound("There is no such node at this institution.", {"field": "node_id"})
            if not (node.active and node.accepts_storage):
                raise Conflict(f"The node {node.id} does not accept new studies.")
        else:
            node = next((one for one in nodes.values() if one.active and one.accepts_storage), None)
            if node is None:
                raise Conflict("No node of this institution accepts new studies.")
        return node, {"patient": request.patient_id, "patient_issuer": request.patient_issuer}
