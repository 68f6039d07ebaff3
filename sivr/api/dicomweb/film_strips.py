"""Film strips: small pictures of many frames of a series in one picture. Not in the standard."""

from __future__ import annotations

import msgspec
from aiohttp import web

from sivr.api.dicomweb.answers import (
    IMAGING,
    allowed_study,
    format_of,
    not_modified,
    parameters,
    picture_response,
    uid,
)
from sivr.api.node_sessions import session_of
from sivr.api.routing import Routes
from sivr.model.parameters import FRAME_MEDIA_TYPES
from sivr.services.film_strips import has_color

routes = Routes()


@routes.get(
    "/studies/{study}/series/{series}/filmstrip",
    summary="Small pictures of many frames of a series as one picture, for a quick look",
    media_types=FRAME_MEDIA_TYPES,
)
async def film_strip(request: web.Request) -> web.StreamResponse:
    """Tiles in rows, in reading order; always a preview."""
    study = allowed_study(request)
    imaging = request.app[IMAGING]
    series = await imaging.loader.open(study, uid(request, "series"))
    # As of a draft: who accepts several formats and names no quality wants it soon.
    given = msgspec.structs.replace(parameters(request, "filmstrip"), draft=True)
    color = has_color(series) or bool(given.coloring)
    chosen, given = format_of(request, given, "color" if color else "grey")
    tag = imaging.strips.strip_tag(series, given, chosen)
    known = not_modified(request, tag)
    if known is not None:
        return known
    picture = await imaging.strips.strip(series, given, chosen, session=session_of(request))
    return picture_response(picture, tag, given)
