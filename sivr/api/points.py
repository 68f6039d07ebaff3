"""Points and lines in a volume: what its voxels say there, and where a curved plane runs."""

from __future__ import annotations

from aiohttp import web

from sivr.api.dicomweb.answers import IMAGING, allowed_study, parameters, uid
from sivr.api.routing import Routes
from sivr.errors import Invalid
from sivr.services.curves import CurveContents, curve_of, describe
from sivr.services.values import PointValues

routes = Routes()


@routes.get(
    "/studies/{study}/series/{series}/values",
    summary="Modality values of a volume at points=x,y,z;x,y,z;... (LPS mm), and of overlay_series there",
    response=PointValues,
)
async def values(request: web.Request) -> PointValues:
    """Needs a view grant."""
    study = allowed_study(request)
    imaging = request.app[IMAGING]
    given = parameters(request, "values")
    if not given.points:
        raise Invalid("The parameter points needs at least one point: x,y,z in patient LPS millimeters.")
    series = await imaging.loader.open(study, uid(request, "series"))
    over = await imaging.volumes.overlay_of(series, given)
    found = [await imaging.values.at(one, given.points) for one in (series, over) if one is not None]
    return PointValues(tuple(found))


@routes.get(
    "/studies/{study}/series/{series}/curve",
    summary="Where the columns of a plane along curve=x,y,z;x,y,z;... lie in the patient",
    response=CurveContents,
)
async def curve(request: web.Request) -> CurveContents:
    """Needs a view grant."""
    allowed_study(request)
    asked = curve_of(parameters(request, "renderedmpr"))
    if asked is None:
        raise Invalid("The parameter curve needs at least two points: x,y,z;x,y,z;...")
    return await describe(asked)
