"""Grants for the institution's nodes."""

from __future__ import annotations

from aiohttp import web

from sivr.api.institution import services
from sivr.api.routing import Routes, actor, address
from sivr.model.archive import Granted, GrantRequest

routes = Routes()


@routes.post(
    "/grants",
    summary="Ask to view a study, or to store for a patient",
    body=GrantRequest,
    response=Granted,
    status=201,
    roles=("physician",),
)
async def grant(request: web.Request, body: GrantRequest) -> Granted:
    """A signed grant, and the node to show it to."""
    return await services(request).grants.grant(actor(request), body, address(request))
