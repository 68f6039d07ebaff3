"""The institution's render nodes, managed by administrators."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

import msgspec
from msgspec import UNSET

from sivr.crypto import PublicKey
from sivr.errors import Invalid
from sivr.model.archive import NewNode, Node, NodeChange, Nodes
from sivr.model.people import Actor
from sivr.store.audit import By
from sivr.store.nodes import Nodes as NodeStore

_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


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
        """Make sure that the nodes of the configuration file are known."""
        for one in seeds:
            await self._nodes.seed(one.id, one.name, one.url, one.public_key)

    async def all(self) -> Nodes:
        """Every node, by id."""
        return Nodes(tuple(await self._nodes.all()))

    async def create(self, new: NewNode, actor: Actor, address: str) -> Node:
        """Add a node; raises Invalid, Conflict."""
        if not _ID.fullmatch(new.id):
            raise Invalid("A node's id is made of a-z, 0-9 and -.", {"field": "id"})
        _check(new.name, new.url, new.public_key)
        return await self._nodes.create(new, By(actor.id, address))

    async def change(self, node_id: str, change: NodeChange, actor: Actor, address: str) -> Node:
        """Change a node; raises NotFound, Invalid, Conflict."""
        _check(
            *(
                None if value is UNSET else str(value)
                for value in (change.name, change.url, change.public_key)
            )
        )
        return await self._nodes.change(node_id, change, By(actor.id, address))

    async def remove(self, node_id: str, actor: Actor, address: str) -> None:
        """Forget a node that holds no study; raises NotFound, Conflict."""
        await self._nodes.remove(node_id, By(actor.id, address))


def _check(name: str | None, url: str | None, public_key: str | None) -> None:
    if name is not None and not 1 <= len(name.strip()) <= 200:
        raise Invalid("A node needs a name of at most 200 characters.", {"field": "name"})
    if url is not None:
        parts = urlsplit(url)
        if parts.scheme != "https" or not parts.hostname or parts.query or parts.fragment:
            raise Invalid("A node's address begins with https:// and names a host.", {"field": "url"})
        if url.endswith("/"):
            raise Invalid("A node's address has no slash at its end.", {"field": "url"})
    if public_key is not None:
        try:
            PublicKey.parse(public_key)
        except Invalid as error:
            raise Invalid(error.message, {"field": "public_key"}) from error
