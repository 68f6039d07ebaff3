"""Grants: the institution's signed word that somebody may do something on one of its nodes."""

from __future__ import annotations

import time

import msgspec

from sivr.crypto import SigningKey, grant_claims
from sivr.errors import Conflict, Forbidden, Invalid, NotFound
from sivr.model.archive import Granted, GrantedNode, GrantRequest, Node
from sivr.model.people import Actor, Grant
from sivr.store.nodes import Nodes as NodeStore
from sivr.store.studies import StudyStore

TTL_S = 3600


class GrantService:
    """Decides who may view and store, and signs it.

    Viewing is open to every physician of a trusted toplevel; storing only to those of this institution
    (paper, section 2.2).
    """

    def __init__(
        self, studies: StudyStore, nodes: NodeStore, institution_id: str, name: str, key: SigningKey
    ) -> None:
        self._studies = studies
        self._nodes = nodes
        self._institution = institution_id
        self._name = name
        self._key = key

    async def grant(self, request: GrantRequest, actor: Actor) -> Granted:
        """Sign a grant; raises Forbidden, NotFound, Conflict, Invalid."""
        if not actor.has("physician"):
            raise Forbidden("Only physicians may view or store studies.")
        match request.action:
            case "view":
                node, grant = await self._view(request, actor)
            case "store":
                node, grant = await self._store(request, actor)
            case _:
                raise Invalid("A grant is for view or store.", {"field": "action"})
        signed = self._key.sign(grant_claims(grant), TTL_S)
        return Granted(signed, TTL_S, GrantedNode(node.id, node.url))

    async def _view(self, request: GrantRequest, actor: Actor) -> tuple[Node, Grant]:
        if not request.study_uid:
            raise Invalid("Which study is to be viewed?", {"field": "study_uid"})
        held = [one.node_id for one in await self._studies.get(request.study_uid)]
        if request.node_id:
            if request.node_id not in held:
                raise NotFound(f"The study is not on the node {request.node_id}.")
            held = [request.node_id]
        active = {node.id: node for node in await self._nodes.all() if node.active}
        node = next((active[one] for one in held if one in active), None)
        if node is None:
            raise Conflict(f"The node {held[0]}, which holds the study, is not active.")
        return node, msgspec.structs.replace(self._base(node, actor, "view"), study_uid=request.study_uid)

    async def _store(self, request: GrantRequest, actor: Actor) -> tuple[Node, Grant]:
        if self._institution not in actor.institutions:
            raise Forbidden(f"You may store only at your own institution; {self._name} is not yours.")
        if not request.patient_id or not request.patient_issuer:
            raise Invalid("Whose studies are to be stored?", {"field": "patient_id"})
        if request.patient_issuer != actor.toplevel:
            raise Invalid("The patient's record is kept by another toplevel.", {"field": "patient_issuer"})
        nodes = {one.id: one for one in await self._nodes.all()}
        if request.node_id:
            node = nodes.get(request.node_id)
            if node is None:
                raise NotFound("There is no such node at this institution.")
            if not (node.active and node.accepts_storage):
                raise Conflict(f"The node {node.id} does not accept new studies.")
        else:
            node = next((one for one in nodes.values() if one.active and one.accepts_storage), None)
            if node is None:
                raise Conflict("No node of this institution accepts new studies.")
        grant = msgspec.structs.replace(
            self._base(node, actor, "store"),
            patient=request.patient_id,
            patient_issuer=request.patient_issuer,
        )
        return node, grant

    def _base(self, node: Node, actor: Actor, action: str) -> Grant:
        return msgspec.convert(
            {
                "institution": self._institution,
                "node": node.id,
                "actor": actor.id,
                "action": action,
                "expires": int(time.time()) + TTL_S,
            },
            Grant,
        )
