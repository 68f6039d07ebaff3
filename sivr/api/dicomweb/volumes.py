"""Rendered volumes and planes through them (PS3.18 10.4.1.1.5, 10.4.1.1.6)."""

from __future__ import annotations

from typing import Literal

import msgspec
from aiohttp import web

from sivr.api.dicomweb.answers import (
    IMAGING,
    allowed_study,
    format_of,
    frame_numbers,
    media_type,
    not_modified,
    parameters,
    picture_response,
    uid,
)
from sivr.api.node_sessions import session_of
from sivr.api.routing import Routes
from sivr.errors import Invalid, NotFound
from sivr.model.parameters import FRAME_MEDIA_TYPES
from sivr.model.rendering import Vector
from sivr.services.histograms import HistogramQuery, VolumeHistogram, volume_histogram
from sivr.services.open_series import OpenSeries
from sivr.services.pictures import position_in_series
from sivr.services.volumes import volumetric_metadata

routes = Routes()
VolumeResource = Literal["rendered3d", "renderedmpr"]
METADATA_TYPE = "application/dicom+json"
_STUDY = "/studies/{study}"
_SERIES = _STUDY + "/series/{series}"
_INSTANCE = _SERIES + "/instances/{instance}"
# The standard itself spells these rendered3d, rendered3D, renderedmpr and renderedMPR.
_ANY_3D = "/{resource:(?i:rendered3d)}"
_ANY_MPR = "/{resource:(?i:renderedmpr)}"


@routes.get(
    _SERIES + "/rendered3d",
    summary="A picture of the volume of a series; the last word may be spelled in any case",
    media_types=FRAME_MEDIA_TYPES,
)
@routes.get(_SERIES + _ANY_3D, summary="As rendered3d", media_types=FRAME_MEDIA_TYPES)
async def series_3d(request: web.Request) -> web.StreamResponse:
    """By rays: volume rendering or an intensity projection."""
    return await _series(request, "rendered3d")


@routes.get(
    _SERIES + "/renderedmpr",
    summary="A picture of a plane through the volume of a series; the last word may be spelled in any case",
    media_types=FRAME_MEDIA_TYPES,
)
@routes.get(_SERIES + _ANY_MPR, summary="As renderedmpr", media_types=FRAME_MEDIA_TYPES)
async def series_mpr(request: web.Request) -> web.StreamResponse:
    """A thin plane, or a slab with mprslab."""
    return await _series(request, "renderedmpr")


@routes.get(
    _STUDY + _ANY_3D, summary="A picture of the only volume of a study", media_types=FRAME_MEDIA_TYPES
)
async def study_3d(request: web.Request) -> web.StreamResponse:
    """Where a study has several volumes the series must be named."""
    return await _study(request, "rendered3d")


@routes.get(
    _STUDY + _ANY_MPR, summary="A plane through the only volume of a study", media_types=FRAME_MEDIA_TYPES
)
async def study_mpr(request: web.Request) -> web.StreamResponse:
    """Where a study has several volumes the series must be named."""
    return await _study(request, "renderedmpr")


@routes.get(
    _INSTANCE + _ANY_3D, summary="A picture of a multi-frame instance's volume", media_types=FRAME_MEDIA_TYPES
)
@routes.get(
    _INSTANCE + "/frames/{frames}" + _ANY_3D, summary="As at the instance", media_types=FRAME_MEDIA_TYPES
)
async def instance_3d(request: web.Request) -> web.StreamResponse:
    """The volume of the series the instance is the whole of."""
    return await _instance(request, "rendered3d")


@routes.get(
    _INSTANCE + _ANY_MPR, summary="A plane through a multi-frame instance", media_types=FRAME_MEDIA_TYPES
)
@routes.get(
    _INSTANCE + "/frames/{frames}" + _ANY_MPR, summary="As at the instance", media_types=FRAME_MEDIA_TYPES
)
async def instance_mpr(request: web.Request) -> web.StreamResponse:
    """The volume of the series the instance is the whole of."""
    return await _instance(request, "renderedmpr")


class PickedPoint(msgspec.Struct, frozen=True):
    """A point of the patient that a picture shows."""

    point: Vector
    """LPS mm."""
    value: float
    """Modality value there."""
    opacity: float
    """Of all that is seen along the ray, 0..1."""
    complete: bool
    """False while slices are missing."""


@routes.get(
    _SERIES + "/rendered3d/pick",
    summary="The point that a picture of the volume shows at the pixel `at`; 404 where nothing is seen",
    response=PickedPoint,
)
async def pick(request: web.Request) -> PickedPoint:
    """With the same parameters as rendered3d; draft=yes asks the slices that are loaded."""
    study = allowed_study(request)
    imaging = request.app[IMAGING]
    series = await imaging.loader.open(study, uid(request, "series"))
    given = parameters(request, "rendered3d")
    found, complete = await imaging.volumes.pick(series, given, session=session_of(request))
    if found is None:
        raise NotFound("Nothing is seen there.", {"complete": complete})
    return PickedPoint(found.point, found.value, found.opacity, complete)


@routes.get(
    _SERIES + "/histogram",
    summary="How often which values occur in the volume of a series",
    query=HistogramQuery,
    response=VolumeHistogram,
)
async def histogram(request: web.Request, query: HistogramQuery) -> VolumeHistogram:
    """Of all of it, or with draft=yes of what is loaded."""
    study = allowed_study(request)
    imaging = request.app[IMAGING]
    series = await imaging.loader.open(study, uid(request, "series"))
    return await volume_histogram(
        imaging.loader, imaging.pictures, series, query, session=session_of(request)
    )


async def _series(request: web.Request, resource: VolumeResource) -> web.StreamResponse:
    study = allowed_study(request)
    series = await request.app[IMAGING].loader.open(study, uid(request, "series"))
    return await _answer(request, series, resource)


async def _study(request: web.Request, resource: VolumeResource) -> web.StreamResponse:
    study = allowed_study(request)
    imaging = request.app[IMAGING]
    uids = await imaging.source.series_uids(study)
    if not uids:
        raise NotFound("There is no such study on this node.")
    opened = [await imaging.loader.open(study, series_uid) for series_uid in uids]
    volumes = [series for series in opened if series.stack.volume is not None]
    if not volumes:
        raise Invalid("No series of this study is a volume.")
    if len(volumes) > 1:
        raise Invalid(
            f"This study has {len(volumes)} volumes; name one of its series.",
            {"series": [series.series_uid for series in volumes]},
        )
    return await _answer(request, volumes[0], resource)


async def _instance(request: web.Request, resource: VolumeResource) -> web.StreamResponse:
    study = allowed_study(request)
    series = await request.app[IMAGING].loader.open(study, uid(request, "series"))
    instance = uid(request, "instance")
    position_in_series(series, instance, 1)
    grid = series.stack.volume
    if grid is None:
        raise Invalid(series.why_no_volume or "This series has no volume.")
    wanted = {series.stack.frames[position] for position in (*grid.frame_of_slice, *grid.next_frame_of_slice)}
    if {address.instance_uid for address in wanted} != {instance}:
        raise Invalid("This instance alone is not a volume; ask for its series.")
    if "frames" in request.match_info:
        numbers = set(frame_numbers(request))
        if not numbers >= {address.frame for address in wanted}:
            raise Invalid("A volume of some frames only cannot be made; ask for the instance.")
    return await _answer(request, series, resource)


async def _answer(request: web.Request, series: OpenSeries, resource: VolumeResource) -> web.StreamResponse:
    volumes = request.app[IMAGING].volumes
    given = parameters(request, resource)
    if given.renderedvolumetricmetadata:
        view = await (
            volumes.volume_view(series, given)
            if resource == "rendered3d"
            else volumes.plane_view(series, given)
        )
        media_type(request, given, (METADATA_TYPE, "application/json"))
        body = msgspec.json.encode([volumetric_metadata(view)])
        return web.Response(body=body, content_type=METADATA_TYPE)
    over = await volumes.overlay_of(series, given)
    by_rays = resource == "rendered3d" and given.renderingmethod in (None, "volume_rendered")
    color = by_rays or over is not None or bool(given.coloring)
    chosen, given = format_of(request, given, "color" if color else "grey")
    tag = volumes.volume_tag(series, resource, given, chosen, over)
    known = not_modified(request, tag)
    if known is not None:
        return known
    session = session_of(request)
    if resource == "rendered3d":
        picture = await volumes.volume(series, given, chosen, session=session)
    else:
        picture = await volumes.plane(series, given, chosen, session=session, over=over)
    return picture_response(picture, tag, given)
