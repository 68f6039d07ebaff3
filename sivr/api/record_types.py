"""Record types: read by everybody, kept by administrators."""

from __future__ import annotations

from aiohttp import web

from sivr.api.routing import Routes, actor, address
from sivr.api.toplevel import services
from sivr.model.directory import NewRecordType, RecordType, RecordTypeChange, RecordTypeList

routes = Routes()


@routes.get("/record-types", summary="All record types", response=RecordTypeList)
async def every(request: web.Request) -> RecordTypeList:
    """All record types, by code."""
    return RecordTypeList(await services(request).record_types.all())


@routes.post(
    "/record-types",
    summary="Add a record type",
    body=NewRecordType,
    response=RecordType,
    status=201,
    roles=("administrator",),
)
async def create(request: web.Request, body: NewRecordType) -> RecordType:
    """Add a record type."""
    return await services(request).record_types.create(actor(request), body, address(request))


@routes.patch(
    "/record-types/{id}",
    summary="Change a record type",
    body=RecordTypeChange,
    response=RecordType,
    roles=("administrator",),
)
async def change(request: web.Request, body: RecordTypeChange) -> RecordType:
    """Change a record type."""
    key = request.match_info["id"]
    return await services(request).record_types.change(actor(request), key, body, address(request))


@routes.delete("/record-types/{id}", summary="Remove a record type", roles=("administrator",))
async def delete(request: web.Request) -> None:
    """Remove a record type."""
    await services(request).record_types.delete(actor(request), request.match_info["id"], address(request))
