"""Institutions: read by everybody, kept by administrators."""

from __future__ import annotations

from aiohttp import web

from sivr.api.routing import Routes, actor, address
from sivr.api.toplevel import services
from sivr.model.directory import Institution, InstitutionChange, InstitutionList, NewInstitution

routes = Routes()


@routes.get("/institutions", summary="All institutions", response=InstitutionList)
async def every(request: web.Request) -> InstitutionList:
    """All institutions, by name."""
    return InstitutionList(await services(request).institutions.all())


@routes.post(
    "/institutions",
    summary="Add an institution",
    body=NewInstitution,
    response=Institution,
    status=201,
    roles=("administrator",),
)
async def create(request: web.Request, body: NewInstitution) -> Institution:
    """Add an institution."""
    return await services(request).institutions.create(actor(request), body, address(request))


@routes.patch(
    "/institutions/{id}",
    summary="Change an institution",
    body=InstitutionChange,
    response=Institution,
    roles=("administrator",),
)
async def change(request: web.Request, body: InstitutionChange) -> Institution:
    """Change an institution."""
    key = request.match_info["id"]
    return await services(request).institutions.change(actor(request), key, body, address(request))


@routes.delete("/institutions/{id}", summary="Remove an institution", roles=("administrator",))
async def delete(request: web.Request) -> None:
    """Remove an institution nobody belongs to."""
    await services(request).institutions.delete(actor(request), request.match_info["id"], address(request))
