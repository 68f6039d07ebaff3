"""What every picture route shares: who may, what is accepted, and the headers of the answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from functools import lru_cache

import msgspec
from aiohttp import web
from yarl import URL

from sivr.api.metrics import METRICS, PICTURE
from sivr.api.node_sessions import grants_of
from sivr.api.routing import actor
from sivr.errors import Invalid
from sivr.model.format_choice import LINE_BYTES_S, Kind, choose_format
from sivr.model.parameters import (
    FRAME_MEDIA_TYPES,
    LOSSY,
    REMEMBERED_LENGTH,
    Parameters,
    Resource,
    choose_media_type,
    read,
)
from sivr.model.rendering import PARTS, Picture
from sivr.services.imaging import Imaging
from sivr.services.permission import check_view

IMAGING = web.AppKey("sivr.imaging", Imaging)

VARY = "Accept, Downlink"
"""Request headers that decide between formats."""
CACHE_CONTROL = "private, max-age=300"
"""Pictures may be shown again for five minutes without asking; shared caches keep nothing."""
MAX_UID_LENGTH = 96
"""PS3.5 9.1 ends at 64 characters; some writers go on a little, and reading takes what they wrote."""
MAX_FRAMES = 4096
BOUNDARY = "sivr-picture-part"


def allowed_study(request: web.Request) -> str:
    """The study of the path; raises Forbidden where the caller has no grant to view it."""
    study_uid = uid(request, "study")
    check_view(actor(request), grants_of(request), study_uid)
    return study_uid


def uid(request: web.Request, name: str) -> str:
    """A UID out of the path (PS3.5 9.1); raises Invalid."""
    text = request.match_info[name]
    if len(text) > MAX_UID_LENGTH or not text.replace(".", "").isdecimal() or not text.isascii():
        raise Invalid(f"The {name} in the address is not a UID.")
    return text


def frame_numbers(request: web.Request) -> tuple[int, ...]:
    """The frame list of the path, counted from 1; raises Invalid."""
    parts = request.match_info["frames"].split(",")
    if len(parts) > MAX_FRAMES:
        raise Invalid(f"At most {MAX_FRAMES} frames can be asked for at once.")
    if not all(
        part.isascii() and part.isdecimal() and 1 <= len(part) <= 9 and int(part) >= 1 for part in parts
    ):
        raise Invalid("Frames are numbers from 1, separated by commas.")
    return tuple(int(part) for part in parts)


def parameters(request: web.Request, resource: Resource) -> Parameters:
    """The picture parameters of the request; raises Invalid, TooLarge."""
    text = request.rel_url.raw_query_string
    return (_remembered if len(text) <= REMEMBERED_LENGTH else _parameters)(text, resource)


def _parameters(text: str, resource: Resource) -> Parameters:
    found: dict[str, list[str]] = {}
    for name, value in URL.build(query_string=text, encoded=True).query.items():
        found.setdefault(name.lower(), []).append(value)
    return read(found, resource)


# Somebody who scrolls asks for picture after picture with the same parameters.
_remembered = lru_cache(maxsize=1024)(_parameters)


def media_type(request: web.Request, given: Parameters, offered: Sequence[str]) -> str:
    """The type to answer with; raises NotAcceptable."""
    return choose_media_type(given.accept, accept_header(request), tuple(offered))


def format_of(request: web.Request, given: Parameters, kind: Kind) -> tuple[str, Parameters]:
    """The type to answer with, and the parameters with the quality it is written with; raises NotAcceptable.

    A caller that accepts several types and names no quality gets the one that arrives first on its line,
    of which browsers may tell (the client hint Downlink, in Mbit/s).
    """
    if given.quality is not None:
        return media_type(request, given, FRAME_MEDIA_TYPES), given
    try:
        line_bytes_s = float(request.headers["Downlink"]) * 1e6 / 8
    except (KeyError, ValueError):
        line_bytes_s = LINE_BYTES_S
    if not 0 < line_bytes_s < float("inf"):
        line_bytes_s = LINE_BYTES_S
    chosen, quality = _format(given.accept, accept_header(request), kind, given.draft, line_bytes_s)
    return chosen, given if quality is None else msgspec.structs.replace(given, quality=quality)


@lru_cache(maxsize=256)
def _format(
    accept: tuple[str, ...], header: str, kind: Kind, draft: bool, line_bytes_s: float
) -> tuple[str, int | None]:
    return choose_format(accept, header, kind=kind, draft=draft, bytes_per_s=line_bytes_s)


def accept_header(request: web.Request) -> str:
    """All Accept headers of the request as one."""
    given = request.headers.getall("Accept", ())
    return given[0] if len(given) == 1 else ",".join(given)


def not_modified(request: web.Request, tag: str) -> web.Response | None:
    """304 when the caller has this picture already."""
    known = request.if_none_match or ()
    if not any(one.value in (tag, "*") for one in known):
        return None
    return web.Response(
        status=304, headers={"ETag": f'"{tag}"', "Cache-Control": CACHE_CONTROL, "Vary": VARY}
    )


def picture_response(
    picture: Picture, tag: str, given: Parameters, annotations: Sequence[str] = ()
) -> web.Response:
    """A picture with everything a viewer must know of it; ``annotations`` are those this resource can make.

    An incomplete or reduced volume carries no ETag and must not be kept: the next answer may show more.
    """
    keeps = picture.complete and picture.lasting
    headers = {
        "Sivr-Quality": quality_of(picture, given),
        "Sivr-Complete": "yes" if picture.complete else "no",
        "Vary": VARY,
        "Cache-Control": CACHE_CONTROL if keeps else "no-store",
    }
    if picture.sampling is not None:
        headers["Sivr-Sampling"] = picture.sampling
    if picture.pixel_mm is not None:
        headers["Sivr-Pixel-Mm"] = f"{picture.pixel_mm:.6g}"
    if keeps:
        headers["ETag"] = f'"{tag}"'
    headers["Server-Timing"] = server_timing(picture)
    if picture.missing:
        headers["Sivr-Missing"] = ",".join(map(str, picture.missing))
    warnings = [*_warnings(given, annotations), *picture.warnings]
    if warnings:
        headers["Warning"] = ", ".join(f'299 sivr "{sentence}"' for sentence in warnings)
    response = web.Response(body=picture.body, content_type=picture.media_type, headers=headers)
    response[PICTURE] = picture
    return response


def server_timing(picture: Picture) -> str:
    """Where the time of a picture went, in milliseconds: ``PARTS``, then what is contained in them."""
    timing = picture.timing_ms
    told = [f"{name};dur={timing.get(name, 0.0):.2f}" for name in PARTS]
    if len(timing) > len(PARTS):
        told += [f"{name};dur={spent:.2f}" for name, spent in timing.items() if name not in PARTS]
    return ", ".join(told)


def quality_of(picture: Picture, given: Parameters) -> str:
    """What the badge of the viewer says: lossless, lossy qNN, or preview."""
    reduced = picture.kind == "filmstrip" or (given.draft and not picture.lossless)
    if reduced or not picture.complete:
        return "preview"
    if picture.lossless:
        return "lossless"
    return f"lossy q{picture.quality}" if picture.media_type in LOSSY else "lossy"


def _warnings(given: Parameters, can_do: Sequence[str]) -> list[str]:
    """PS3.18 8.3.5.1.1: annotation keywords that could not be honored."""
    ignored = (*given.unknown_annotation, *(word for word in given.annotation if word not in can_do))
    if not ignored:
        return []
    return [f"The following annotation values are not supported: {', '.join(ignored)}"]


async def multipart_response(
    request: web.Request, part_type: str, parts: AsyncIterator[tuple[str, Picture]]
) -> web.StreamResponse:
    """Several pictures as multipart/related (RFC 2387), each with its Content-Location, as they are made."""
    response = web.StreamResponse(
        headers={
            "Content-Type": f'multipart/related; type="{part_type}"; boundary={BOUNDARY}',
            "Cache-Control": "no-store",
            "Vary": VARY,
        }
    )
    first = await anext(parts, None)
    # Only now: when not even the first can be made, the answer is a problem and no broken stream.
    await response.prepare(request)
    while first is not None:
        location, picture = first
        request.app[METRICS].picture(picture)
        head = f"--{BOUNDARY}\r\nContent-Type: {picture.media_type}\r\nContent-Location: {location}\r\n"
        head += f"Content-Length: {len(picture.body)}\r\nServer-Timing: {server_timing(picture)}\r\n\r\n"
        await response.write(head.encode() + picture.body + b"\r\n")
        first = await anext(parts, None)
    await response.write(f"--{BOUNDARY}--\r\n".encode())
    await response.write_eof()
    return response
