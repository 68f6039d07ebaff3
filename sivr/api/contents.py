"""What a study holds, for the viewer: series, frames in reading order, and how much of it is in memory."""

from __future__ import annotations

from aiohttp import web

from sivr.api.dicomweb.answers import IMAGING, allowed_study, uid
from sivr.api.routing import Routes, json_response
from sivr.services.contents import LoadingState, SeriesContents, StudyContents

routes = Routes()


@routes.get(
    "/studies/{study}/contents",
    summary="The series of a study, with frames, geometry and windows",
    response=StudyContents,
)
async def study_contents(request: web.Request) -> web.Response:
    """Needs a view grant."""
    study = allowed_study(request)
    return _compressed(await request.app[IMAGING].contents.study(study))


@routes.get(
    "/studies/{study}/series/{series}/contents",
    summary="One series, with frames, geometry and windows",
    response=SeriesContents,
)
async def series_contents(request: web.Request) -> web.Response:
    """Needs a view grant."""
    study = allowed_study(request)
    return _compressed(await request.app[IMAGING].contents.series(study, uid(request, "series")))


@routes.get(
    "/studies/{study}/series/{series}/loading",
    summary="How far a series is loaded into memory",
    response=LoadingState,
)
async def series_loading(request: web.Request) -> LoadingState:
    """Needs a view grant."""
    study = allowed_study(request)
    return await request.app[IMAGING].contents.loading(study, uid(request, "series"))


def _compressed(value: StudyContents | SeriesContents) -> web.Response:
    """JSON, packed for those who can unpack it: hundreds of frames are alike, and lines may be slow."""
    response = json_response(value)
    response.enable_compression()
    return response
