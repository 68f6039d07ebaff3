"""Render nodes of the institution."""

from __future__ import annotations

from aiohttp import web

from sivr.api.institution import services
from sivr.api.routing import Routes, actor, address
from sivr.model.archive import NewNode, Node, NodeChange, Nodes

routes = Routes()


@routes.get("/nodes", summary="The institution's render nodes", response=Nodes)
async def all_nodes(request: web.Request) -> Nodes:
    """Every node, by id."""
    return await services(request).nodes.all()


@routes.post(
    "/nodes", summary="Add a node", body=NewNode, response=Node, status=201, roles=("administrator",)
)
async def create(request: web.Request, body: NewNode) -> Node:
    """Add a node."""
    return await services(request).nodes.create(actor(request), body, address(request))


@routes.patch(
    "/nodes/{id}", summary="Change a node", body=NodeChange, response=Node, roles=("administrator",)
)
async def change(request: web.Request, body: NodeChange) -> Node:
    """Change a node."""
    node_id = request.match_info["id"]
    return await services(request).nodes.change(actor(request), node_id, body, address(request))


@routes.delete(
    "/nodes/{id}", summary="Forget a node that holds no study", status=204, roles=("administrator",)
)
async def remove(request: web.Request) -> None:
    """Forget a node."""
    await services(request).nodes.remove(actor(request), request.match_info["id"], address(request))
