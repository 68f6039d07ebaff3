"""Uploads: files in pieces, resumable by offset, acknowledged only when they are durable."""

from __future__ import annotations

import asyncio
import re
from typing import Literal
from urllib.parse import unquote_to_bytes

import msgspec
from aiohttp import web

from sivr.api.bodies import pieces
from sivr.api.ingest import BASE_URL, IDLE_S, services
from sivr.api.node_sessions import grants_of
from sivr.api.routing import Header, Routes, actor, address
from sivr.errors import Invalid, SivrError
from sivr.model.ingest import FileResult, NewUpload, OpenedUpload, UploadState

routes = Routes()

_CHUNK = 1 << 18
_FILE_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_MAX_NAME = 1024
_ENCODED = re.compile(r"(?:[!-$&-~]|%[0-9A-Fa-f]{2})*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_NAME_HEADER = Header(
    "Sivr-File-Name",
    "What the sender calls the file, percent-encoded UTF-8; a label only. It stands in no address, because "
    "file and folder names often hold a patient's name.",
)
_OFFSET_HEADER = Header("Upload-Offset", "Where in the file the body begins, bytes", "integer")
_LENGTH_HEADER = Header("Upload-Length", "Size of the whole file, bytes", "integer")
_DRAIN_BYTES = 64 << 20


class Detail(msgspec.Struct, frozen=True):
    """How much of an upload's state is wanted; who asks every second leaves the list of files out."""

    files: Literal["yes", "no"] = "yes"


@routes.post(
    "/uploads",
    summary="Open an upload for a patient's record (needs a store grant)",
    body=NewUpload,
    response=OpenedUpload,
    status=201,
)
async def create(request: web.Request, body: NewUpload) -> OpenedUpload:
    """Files are then put below the answer's address."""
    made = await services(request).uploads.create(body, actor(request), grants_of(request), address(request))
    return OpenedUpload(made, f"{request.app[BASE_URL]}/uploads/{made}")


@routes.get("/uploads/{upload}", summary="An upload as it stands", query=Detail, response=UploadState)
async def state(request: web.Request, query: Detail) -> UploadState:
    """What became of each file, and whether everything is indexed."""
    upload = request.match_info["upload"]
    return await services(request).uploads.state(upload, actor(request), files=query.files == "yes")


@routes.delete("/uploads/{upload}", summary="Take no more for this upload")
async def cancel(request: web.Request) -> None:
    """What was acknowledged stays."""
    upload = request.match_info["upload"]
    await services(request).uploads.cancel(upload, actor(request), address(request))


@routes.head(
    "/uploads/{upload}/files/{file}",
    summary="How much of a file has arrived (Upload-Offset)",
    headers=(_NAME_HEADER,),
)
async def offset(request: web.Request) -> web.Response:
    """The sender goes on from there; a name that its PUT would be refused for is refused here."""
    _name(request)
    arrived = await services(request).uploads.offset(
        request.match_info["upload"], _file_id(request), actor(request)
    )
    return web.Response(headers={_OFFSET_HEADER.name: str(arrived)})


@routes.put(
    "/uploads/{upload}/files/{file}",
    summary="A DICOM file or zip archive, or the rest of it from Upload-Offset on",
    headers=(_NAME_HEADER, _OFFSET_HEADER, _LENGTH_HEADER),
    response=FileResult,
    raw=True,
)
async def receive(request: web.Request) -> FileResult:
    """200 means that the file and its database row are on disk."""
    body = pieces(request, request.app[IDLE_S])
    try:
        return await services(request).uploads.receive(
            request.match_info["upload"],
            _file_id(request),
            _name(request) or request.match_info["file"],
            body,
            offset=_number(request, _OFFSET_HEADER.name),
            length=request.content_length,
            total=_number(request, _LENGTH_HEADER.name),
            actor=actor(request),
            address=address(request),
        )
    except SivrError:
        await _drain(request)
        raise


def _file_id(request: web.Request) -> str:
    found = request.match_info["file"]
    if not _FILE_ID.fullmatch(found):
        raise Invalid("A file's id is made of up to 64 letters, digits, _ and -.")
    return found


def _name(request: web.Request) -> str:
    """What the sender calls the file, empty when it does not say; raises Invalid."""
    encoded = request.headers.get(_NAME_HEADER.name, "")
    try:
        name = unquote_to_bytes(encoded).decode() if _ENCODED.fullmatch(encoded) else None
    except UnicodeDecodeError:
        name = None
    # PostgreSQL takes no NUL, and a line break would forge lines wherever the name is listed.
    if name is None or len(name) > _MAX_NAME or _CONTROL.search(name):
        raise Invalid(
            f"{_NAME_HEADER.name} must be percent-encoded UTF-8 of up to {_MAX_NAME} characters, "
            "without control characters."
        )
    return name


def _number(request: web.Request, header: str) -> int | None:
    text = request.headers.get(header)
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 15:
        raise Invalid(f"{header} must be a number of bytes.")
    return int(text)


async def _drain(request: web.Request) -> None:
    """Read what is left of a body that was refused early, so that the sender gets to see the answer."""
    left = _DRAIN_BYTES
    try:
        async with asyncio.timeout(request.app[IDLE_S]):
            while left > 0 and (piece := await request.content.read(_CHUNK)):
                left -= len(piece)
    except (TimeoutError, ConnectionError, web.RequestPayloadError):
        # The sender is gone or too slow; the connection is closed with the answer.
        return
