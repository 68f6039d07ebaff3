"""Movies of series. Not in the standard, whose series are rendered as parts."""

from __future__ import annotations

import msgspec
from aiohttp import web

from sivr.api.dicomweb.answers import IMAGING, allowed_study, media_type, parameters, picture_response, uid
from sivr.api.node_sessions import session_of
from sivr.api.routing import Routes
from sivr.movie import MOVIE_TYPES
from sivr.services.cine import MovieProgress

routes = Routes()
_CINE = "/studies/{study}/series/{series}/cine"


class ProgressQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which movie."""

    view: str
    """The key it was asked for with."""


@routes.get(_CINE, summary="A movie of the frames of a series", media_types=MOVIE_TYPES)
async def cine(request: web.Request) -> web.StreamResponse:
    """In reading order; a closed connection ends it."""
    study = allowed_study(request)
    imaging = request.app[IMAGING]
    series = await imaging.loader.open(study, uid(request, "series"))
    given = parameters(request, "cine")
    chosen = media_type(request, given, MOVIE_TYPES)
    made = await imaging.cine.make(series, given, chosen, user=session_of(request))
    response = picture_response(msgspec.structs.replace(made, lasting=False), "", given)
    suffix = chosen.rpartition("/")[2]
    response.headers["Content-Disposition"] = f'attachment; filename="cine.{suffix}"'
    return response


@routes.get(
    _CINE + "/progress",
    summary="How far a movie is made that was asked for with a view",
    query=ProgressQuery,
    response=MovieProgress,
)
async def cine_progress(request: web.Request, query: ProgressQuery) -> MovieProgress:
    """Of one's own movies; 0 of 0 when none is being made under this key (any more)."""
    allowed_study(request)
    return request.app[IMAGING].cine.progress(session_of(request), query.view)
