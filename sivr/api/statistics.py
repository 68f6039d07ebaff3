"""Figures of regions of frames, and values of single pixels."""

from __future__ import annotations

from typing import Annotated

import msgspec
from aiohttp import web

from sivr.api.dicomweb.answers import IMAGING, allowed_study, frame_numbers, uid
from sivr.api.node_sessions import session_of
from sivr.api.routing import Routes
from sivr.errors import Invalid
from sivr.model.directory import Body
from sivr.model.shapes import Point, Shape
from sivr.model.statistics import Statistics
from sivr.services.pictures import position_in_series
from sivr.services.statistics import MAX_BINS

routes = Routes()
_PATH = "/studies/{study}/series/{series}/instances/{instance}/frames/{frames}/statistics"
Bins = Annotated[int, msgspec.Meta(ge=0, le=MAX_BINS)]


class ShapeQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A shape in a query: ``shape=rectangle&points=10,10,40.5,30``."""

    shape: Shape
    points: str
    """Column and row of each point in turn, separated by commas."""
    bins: Bins = 64


class ShapeBody(Body, frozen=True, kw_only=True):
    """A shape of any number of points."""

    shape: Shape
    points: tuple[Point, ...]
    bins: Bins = 64


@routes.get(
    _PATH, summary="Mean, SD, extremes and histogram within a shape", query=ShapeQuery, response=Statistics
)
async def statistics(request: web.Request, query: ShapeQuery) -> Statistics:
    """Needs a view grant. Of one frame."""
    try:
        numbers = [float(part) for part in query.points.split(",")]
    except ValueError as error:
        raise Invalid("The points are numbers separated by commas.", {"field": "points"}) from error
    if len(numbers) % 2:
        raise Invalid("Every point has a column and a row.", {"field": "points"})
    points = tuple(zip(numbers[::2], numbers[1::2], strict=True))
    return await _statistics(request, ShapeBody(shape=query.shape, points=points, bins=query.bins))


@routes.post(
    _PATH,
    summary="The same for shapes that are too long for an address; nothing is stored",
    body=ShapeBody,
    response=Statistics,
)
async def statistics_of_body(request: web.Request, body: ShapeBody) -> Statistics:
    """Needs a view grant. Of one frame."""
    return await _statistics(request, body)


async def _statistics(request: web.Request, given: ShapeBody) -> Statistics:
    study = allowed_study(request)
    imaging = request.app[IMAGING]
    numbers = frame_numbers(request)
    if len(numbers) != 1:
        raise Invalid("Statistics are made of one frame.")
    series = await imaging.loader.open(study, uid(request, "series"))
    position = position_in_series(series, uid(request, "instance"), numbers[0])
    return await imaging.statistics.of_shape(
        series, position, given.shape, given.points, given.bins, user=session_of(request)
    )
