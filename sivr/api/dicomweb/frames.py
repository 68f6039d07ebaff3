"""Rendered frames and thumbnails (PS3.18 10.4.1.1.3, 10.4.1.1.4)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable

from aiohttp import web

from sivr.api.dicomweb.answers import (
    IMAGING,
    accept_header,
    allowed_study,
    format_of,
    frame_numbers,
    media_type,
    multipart_response,
    not_modified,
    parameters,
    picture_response,
    uid,
)
from sivr.api.node_sessions import session_of
from sivr.api.routing import Routes
from sivr.errors import Invalid, NotAcceptable, NotFound
from sivr.model.format_choice import Kind
from sivr.model.parameters import FRAME_MEDIA_TYPES, Parameters, choose_part_type
from sivr.model.rendering import Picture
from sivr.services.burned_text import SUPPORTED
from sivr.services.open_series import OpenSeries
from sivr.services.pictures import position_in_series

routes = Routes()
_INSTANCE = "/studies/{study}/series/{series}/instances/{instance}"


@routes.get(
    _INSTANCE + "/frames/{frames}/rendered",
    summary="A picture of a frame; of several frames as multipart/related",
    media_types=FRAME_MEDIA_TYPES,
)
async def rendered_frames(request: web.Request) -> web.StreamResponse:
    """One frame as a picture, a list of frames as parts."""
    study, series_uid, instance = allowed_study(request), uid(request, "series"), uid(request, "instance")
    numbers = frame_numbers(request)
    given = parameters(request, "rendered")
    part_type = choose_part_type(given.accept, accept_header(request), FRAME_MEDIA_TYPES)
    imaging = request.app[IMAGING]
    if len(numbers) == 1 and part_type is None and not request.if_none_match:
        chosen, exactly = format_of(request, given, _kind(given))
        first = await imaging.pictures.glance(study, series_uid, instance, numbers[0], exactly, chosen)
        if first is not None:
            return picture_response(*first, exactly, SUPPORTED)
    series = await imaging.loader.open(study, series_uid)
    positions = [position_in_series(series, instance, number) for number in numbers]
    if len(positions) == 1 and part_type is None:
        return await _one(request, series, positions[0], given)
    return await _several(request, series, positions, given, part_type)


@routes.get(
    _INSTANCE + "/rendered",
    summary="A picture of an instance: its first frame, or every frame as multipart/related",
    media_types=FRAME_MEDIA_TYPES,
)
async def rendered_instance(request: web.Request) -> web.StreamResponse:
    """A caller that accepts no multipart gets the first frame of a multi-frame instance."""
    study = allowed_study(request)
    series = await request.app[IMAGING].loader.open(study, uid(request, "series"))
    given = parameters(request, "rendered")
    instance = uid(request, "instance")
    first = position_in_series(series, instance, 1)
    part_type = choose_part_type(given.accept, accept_header(request), FRAME_MEDIA_TYPES)
    if part_type is None:
        return await _one(request, series, first, given)
    count = len(series.by_uid[instance].header.frames)
    positions = [position_in_series(series, instance, number) for number in range(1, count + 1)]
    return await _several(request, series, positions, given, part_type)


@routes.get(
    "/studies/{study}/series/{series}/rendered",
    summary="Pictures of every frame of a series, as multipart/related",
    media_types=("multipart/related",),
)
async def rendered_series(request: web.Request) -> web.StreamResponse:
    """All frames in reading order, each sent when it is made."""
    study = allowed_study(request)
    series = await request.app[IMAGING].loader.open(study, uid(request, "series"))
    given = parameters(request, "rendered")
    part_type = choose_part_type(given.accept, accept_header(request), FRAME_MEDIA_TYPES)
    return await _several(request, series, range(series.total), given, part_type)


def _kind(given: Parameters) -> Kind:
    return "color" if given.coloring else "grey"


async def _one(
    request: web.Request, series: OpenSeries, position: int, given: Parameters
) -> web.StreamResponse:
    pictures = request.app[IMAGING].pictures
    chosen, given = format_of(request, given, _kind(given))
    tag = pictures.frame_tag(series, position, given, chosen)
    known = not_modified(request, tag)
    if known is not None:
        return known
    picture = await pictures.frame(series, position, given, chosen, session=session_of(request))
    return picture_response(picture, tag, given, SUPPORTED)


async def _several(
    request: web.Request,
    series: OpenSeries,
    positions: Iterable[int],
    given: Parameters,
    part_type: str | None,
) -> web.StreamResponse:
    if part_type is None:
        raise NotAcceptable(
            "Several pictures are sent as multipart/related only, for example "
            'Accept: multipart/related; type="image/png".'
        )
    pictures = request.app[IMAGING].pictures
    session = session_of(request)
    base = request.url.with_query(None)
    start = str(base).partition("/studies/")[0]

    async def parts() -> AsyncIterator[tuple[str, Picture]]:
        for position in positions:
            address = series.stack.frames[position]
            location = (
                f"{start}/studies/{series.study_uid}/series/{series.series_uid}"
                f"/instances/{address.instance_uid}/frames/{address.frame}/rendered"
            )
            yield location, await pictures.frame(series, position, given, part_type, session=session)

    return await multipart_response(request, part_type, parts())


async def _thumbnail(request: web.Request, series: OpenSeries, position: int | None) -> web.StreamResponse:
    pictures = request.app[IMAGING].pictures
    given = parameters(request, "thumbnail")
    chosen = media_type(request, given, FRAME_MEDIA_TYPES)
    tag = pictures.thumbnail_tag(series, position, given, chosen)
    known = not_modified(request, tag)
    if known is not None:
        return known
    return picture_response(await pictures.thumbnail(series, position, given, chosen), tag, given)


@routes.get("/studies/{study}/thumbnail", summary="A small picture of a study", media_types=FRAME_MEDIA_TYPES)
async def study_thumbnail(request: web.Request) -> web.StreamResponse:
    """Of the first series that can be shown."""
    study = allowed_study(request)
    imaging = request.app[IMAGING]
    parameters(request, "thumbnail")
    for series_uid in await imaging.source.series_uids(study):
        try:
            return await _thumbnail(request, await imaging.loader.open(study, series_uid), None)
        except (Invalid, NotFound):
            continue
    raise NotFound("There is nothing to show of this study.")


@routes.get(
    "/studies/{study}/series/{series}/thumbnail",
    summary="A small picture of a series: its middle frame",
    media_types=FRAME_MEDIA_TYPES,
)
async def series_thumbnail(request: web.Request) -> web.StreamResponse:
    """Of the middle frame."""
    study = allowed_study(request)
    series = await request.app[IMAGING].loader.open(study, uid(request, "series"))
    return await _thumbnail(request, series, None)


@routes.get(
    _INSTANCE + "/thumbnail",
    summary="A small picture of an instance: its middle frame",
    media_types=FRAME_MEDIA_TYPES,
)
async def instance_thumbnail(request: web.Request) -> web.StreamResponse:
    """Of the middle frame."""
    study = allowed_study(request)
    series = await request.app[IMAGING].loader.open(study, uid(request, "series"))
    instance = uid(request, "instance")
    stored = series.by_uid.get(instance)
    middle = (len(stored.header.frames) + 1) // 2 if stored is not None else 1
    return await _thumbnail(request, series, position_in_series(series, instance, max(1, middle)))


@routes.get(
    _INSTANCE + "/frames/{frames}/thumbnail",
    summary="A small picture of a frame",
    media_types=FRAME_MEDIA_TYPES,
)
async def frame_thumbnail(request: web.Request) -> web.StreamResponse:
    """Of the first frame in the list."""
    study = allowed_study(request)
    series = await request.app[IMAGING].loader.open(study, uid(request, "series"))
    number = frame_numbers(request)[0]
    return await _thumbnail(request, series, position_in_series(series, uid(request, "instance"), number))
