"""The institution's render nodes, managed by administrators."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

import msgspec

from sivr.crypto import PublicKey
from sivr.errors import Invalid
from sivr.model.archive import NewNode, Node, NodeChange, Nodes
from sivr.model.people import Actor
from sivr.services.permission import require_role
from sivr.services.text import https_url, line, slug
from sivr.store.audit import By
from sivr.store.nodes import Nodes as NodeStore

_Given = TypeVar("_Given", NewNode, NodeChange)


class NodeSeed(msgspec.Struct, frozen=True):
    """A node that the configuration file names."""

    id: str
    name: str
    url: str
    public_key: str


class NodeService:
    """Nodes: where studies are stored and pictures come from."""

    def __init__(self, nodes: NodeStore) -> None:
        self._nodes = nodes

    async def seed(self, seeds: Iterable[NodeSeed]) -> None:
        """Make sure that the nodes of the configuration file are known; raises Invalid."""
        for one in seeds:
            PublicKey.parse(one.public_key)
            await self._nodes.seed(one.id, one.name, one.url.rstrip("/"), one.public_key)

    async def all(self) -> Nodes:
        """Every node, by id."""
        return Nodes(tuple(await self._nodes.all()))

    async def create(self, actor: Actor, new: NewNode, address: str) -> Node:
        """Add a node; raises Forbidden, Invalid, Conflict."""
        require_role(actor, "administrator")
        slug(new.id)
        return await self._nodes.create(_clean(new), By(actor.id, address))

    async def change(self, actor: Actor, node_id: str, change: NodeChange, address: str) -> Node:
        """Change a node; raises Forbidden, NotFound, Invalid, Conflict."""
        require_role(actor, "administrator")
        return await self._nodes.change(node_id, _clean(change), By(actor.id, address))

    async def remove(self, actor: Actor, node_id: str, address: str) -> None:
        """Forget a node that holds no study; raises Forbidden, NotFound, Conflict."""
        require_role(actor, "administrator")
        await self._nodes.remove(node_id, By(actor.id, address))


def _clean(given: _Given) -> _Given:
    values: dict[str, Any] = {}
    if isinstance(given.name, str):
        values["name"] = line(given.name, "name", "The name", required=True)
    if isinstance(given.url, str):
        values["url"] = https_url(given.url)
    if isinstance(given.public_key, str):
        try:
            values["public_key"] = PublicKey.parse(given.public_key.strip()).text
        except Invalid as error:
            raise Invalid(error.message, {"field": "public_key"}) from error
    return msgspec.structs.replace(given, **values)
