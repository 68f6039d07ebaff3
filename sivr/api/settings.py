"""Settings: what the asking user keeps for the pages."""

from __future__ import annotations

from aiohttp import web

from sivr.api.routing import Routes, actor
from sivr.api.toplevel import services
from sivr.model.settings import Setting, SettingChange, SettingList, SettingQuery

routes = Routes()


@routes.get(
    "/settings", summary="My settings, without their values", query=SettingQuery, response=SettingList
)
async def every(request: web.Request, query: SettingQuery) -> SettingList:
    """The asking user's settings, by name."""
    return SettingList(await services(request).settings.all(actor(request), query.prefix))


@routes.get("/settings/{name}", summary="One of my settings", response=Setting)
async def get(request: web.Request) -> Setting:
    """One setting with its value."""
    return await services(request).settings.get(actor(request), request.match_info["name"])


@routes.put("/settings/{name}", summary="Keep a setting", body=SettingChange, response=Setting)
async def put(request: web.Request, body: SettingChange) -> Setting:
    """Write a setting over the version that is known, 0 for a new one."""
    return await services(request).settings.put(actor(request), request.match_info["name"], body)


@routes.delete("/settings/{name}", summary="Remove one of my settings")
async def delete(request: web.Request) -> None:
    """Remove a setting."""
    await services(request).settings.delete(actor(request), request.match_info["name"])
