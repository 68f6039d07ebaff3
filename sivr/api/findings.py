"""Findings of studies."""

from __future__ import annotations

from aiohttp import web

from sivr.api.institution import services
from sivr.api.routing import Routes, actor, address
from sivr.model.archive import Finding, FindingChange, FindingHistory, Findings, NewFinding

routes = Routes()


@routes.get(
    "/studies/{study}/findings", summary="Findings of a study", response=Findings, roles=("physician",)
)
async def of_study(request: web.Request) -> Findings:
    """Oldest first, each in its newest version."""
    return await services(request).findings.of_study(actor(request), request.match_info["study"])


@routes.post(
    "/studies/{study}/findings",
    summary="Write a finding",
    body=NewFinding,
    response=Finding,
    status=201,
    roles=("physician",),
)
async def add(request: web.Request, body: NewFinding) -> Finding:
    """Write a finding; sent again with the same id it is answered and not written twice."""
    study = request.match_info["study"]
    return await services(request).findings.add(actor(request), study, body, address(request))


@routes.put(
    "/studies/{study}/findings/{finding}",
    summary="Change one's own finding; earlier versions are kept",
    body=FindingChange,
    response=Finding,
    roles=("physician",),
)
async def change(request: web.Request, body: FindingChange) -> Finding:
    """Add a version."""
    found = request.match_info
    return await services(request).findings.change(
        actor(request), found["study"], found["finding"], body, address(request)
    )


@routes.get(
    "/studies/{study}/findings/{finding}/history",
    summary="Every version of a finding",
    response=FindingHistory,
    roles=("physician",),
)
async def history(request: web.Request) -> FindingHistory:
    """Newest first."""
    found = request.match_info
    return await services(request).findings.history(actor(request), found["study"], found["finding"])
