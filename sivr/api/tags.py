"""The elements of an object, for people who want to read them all."""

from __future__ import annotations

from typing import Annotated

import msgspec
from aiohttp import web

from sivr.api.dicomweb.answers import IMAGING, allowed_study, uid
from sivr.api.node_sessions import session_of
from sivr.api.routing import Routes, json_response
from sivr.model.tags import TagTable

routes = Routes()


class FrameQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Whose functional groups are listed."""

    frame: Annotated[int, msgspec.Meta(ge=1, le=1 << 20)] = 1


@routes.get(
    "/studies/{study}/series/{series}/instances/{instance}/tags",
    summary="Every element of an object but its pixels, as text",
    query=FrameQuery,
    response=TagTable,
)
async def tags(request: web.Request, query: FrameQuery) -> web.Response:
    """Needs a view grant: the patient stands in it. Kept by no cache."""
    study = allowed_study(request)
    imaging = request.app[IMAGING]
    series = await imaging.loader.open(study, uid(request, "series"))
    instance = uid(request, "instance")
    found = await imaging.tags.of_instance(series, instance, query.frame, user=session_of(request))
    response = json_response(found)
    response.headers["Cache-Control"] = "no-store"
    response.enable_compression()
    return response
