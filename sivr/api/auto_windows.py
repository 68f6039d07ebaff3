"""A window for what is in view of a frame."""

from __future__ import annotations

import math

import msgspec
from aiohttp import web

from sivr.api.dicomweb.answers import IMAGING, allowed_study, frame_numbers, uid
from sivr.api.node_sessions import session_of
from sivr.api.routing import Routes
from sivr.dicom.auto_window import AutoWindow
from sivr.errors import Invalid
from sivr.services.pictures import position_in_series

routes = Routes()


class RegionQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What is in view: ``region=left,top,right,bottom`` in stored pixels from the corner of the frame."""

    region: str = ""
    """The whole frame when it is not given."""


@routes.get(
    "/studies/{study}/series/{series}/instances/{instance}/frames/{frames}/window",
    summary="The window for what is in view, with its histogram",
    query=RegionQuery,
    response=AutoWindow,
)
async def auto_window(request: web.Request, query: RegionQuery) -> AutoWindow:
    """Needs a view grant. Of one frame."""
    study = allowed_study(request)
    imaging = request.app[IMAGING]
    numbers = frame_numbers(request)
    if len(numbers) != 1:
        raise Invalid("A window is made for one frame.")
    region = _region(query.region) if query.region else None
    series = await imaging.loader.open(study, uid(request, "series"))
    position = position_in_series(series, uid(request, "instance"), numbers[0])
    return await imaging.auto_windows.of_region(series, position, region, user=session_of(request))


def _region(text: str) -> tuple[float, float, float, float]:
    try:
        left, top, right, bottom = (float(part) for part in text.split(","))
    except ValueError as error:
        raise Invalid(
            "The region needs four decimals: left,top,right,bottom.", {"field": "region"}
        ) from error
    if not all(map(math.isfinite, (left, top, right, bottom))) or left >= right or top >= bottom:
        raise Invalid("The region must begin left of and above its end.", {"field": "region"})
    return (left, top, right, bottom)
