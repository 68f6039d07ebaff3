"""Studies at the institution."""

from __future__ import annotations

from aiohttp import web

from sivr.api.institution import services
from sivr.api.routing import Routes, actor
from sivr.model.archive import Instances, Study, StudyPage, StudySearch

routes = Routes()


@routes.get(
    "/studies",
    summary="Find studies",
    query=StudySearch,
    response=StudyPage,
    roles=("physician",),
)
async def find(request: web.Request, query: StudySearch) -> StudyPage:
    """Studies by patient's record, modality, dates and description, newest first."""
    return await services(request).studies.find(actor(request), query)


@routes.get("/studies/{study}", summary="A study", response=Study, roles=("physician",))
async def get(request: web.Request) -> Study:
    """One study, on the node that holds most of it."""
    return await services(request).studies.get(actor(request), request.match_info["study"])


@routes.get(
    "/studies/{study}/instances",
    summary="The study's instances with their hashes",
    response=Instances,
    roles=("physician",),
)
async def instances(request: web.Request) -> Instances:
    """MD5 and SHA-256 of every object."""
    return await services(request).studies.instances(actor(request), request.match_info["study"])
