"""The front end's files, held in memory, compressed once, with strong ETags and a strict policy."""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
from collections.abc import Iterable, Mapping
from importlib.resources.abc import Traversable

import msgspec
from aiohttp import web

from sivr import __version__
from sivr.api.routing import Routes
from sivr.errors import NotFound

_TEXT = (".html", ".css", ".js", ".json", ".svg", ".webmanifest")
_TYPES = {".js": "text/javascript", ".webmanifest": "application/manifest+json", ".svg": "image/svg+xml"}


class OfferedToplevel(msgspec.Struct, frozen=True):
    """A toplevel that the log in page offers."""

    id: str
    name: str
    url: str


class FrontEndConfig(msgspec.Struct, frozen=True):
    """What the page must know before anybody logs in."""

    toplevels: tuple[OfferedToplevel, ...]
    version: str = __version__


class _File(msgspec.Struct, frozen=True):
    body: bytes
    compressed: bytes | None
    media_type: str
    etag: str


def _walk(folder: Traversable, prefix: str = "") -> Iterable[tuple[str, Traversable]]:
    for entry in folder.iterdir():
        name = prefix + entry.name
        if entry.is_dir():
            yield from _walk(entry, name + "/")
        elif not entry.name.startswith(".") and entry.name != "__init__.py":
            yield name, entry


def _load(folder: Traversable) -> dict[str, _File]:
    files: dict[str, _File] = {}
    for name, entry in _walk(folder):
        suffix = "." + name.rsplit(".", 1)[-1]
        body = entry.read_bytes()
        compressed = gzip.compress(body, 9, mtime=0) if suffix in _TEXT else None
        media_type = _TYPES.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
        etag = hashlib.sha256(body).hexdigest()[:32]
        files[name] = _File(body=body, compressed=compressed, media_type=media_type, etag=etag)
    return files


def content_policy(connect_origins: Iterable[str]) -> str:
    """The Content-Security-Policy of the page; without origins every https address may be connected to."""
    origins = " ".join(connect_origins) or "https:"
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; manifest-src 'self'; "
        f"img-src 'self' blob: data: {origins}; media-src blob: {origins}; connect-src 'self' {origins}; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )


def front_end_routes(
    folder: Traversable, toplevels: Iterable[Mapping[str, str]], connect_origins: Iterable[str]
) -> Routes:
    """Routes of the web role: ``/``, every file, ``/config.json``."""
    routes = Routes()
    files = _load(folder)
    config = FrontEndConfig(tuple(OfferedToplevel(**one) for one in toplevels))
    policy = content_policy(connect_origins)

    @routes.get("/config.json", summary="Addresses of the toplevels", response=FrontEndConfig, public=True)
    async def front_end_config(request: web.Request) -> FrontEndConfig:
        return config

    @routes.get("/{name:.*}", summary="A file of the front end", media_types=("*/*",), public=True)
    async def front_end_file(request: web.Request) -> web.Response:
        found = files.get(request.match_info["name"] or "index.html")
        if found is None:
            raise NotFound("There is no such page.")
        headers = {
            "ETag": f'"{found.etag}"',
            "Cache-Control": "no-cache",
            "Content-Security-Policy": policy,
            "Vary": "Accept-Encoding",
        }
        if any(tag.value == found.etag for tag in request.if_none_match or ()):
            return web.Response(status=304, headers=headers)
        body = found.body
        if found.compressed is not None and "gzip" in request.headers.get("Accept-Encoding", ""):
            headers["Content-Encoding"] = "gzip"
            body = found.compressed
        text = found.media_type.startswith("text/") or found.media_type.endswith("json")
        return web.Response(
            body=body, content_type=found.media_type, charset="utf-8" if text else None, headers=headers
        )

    return routes
