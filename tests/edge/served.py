"""An application like those of the roles, with everything that a protocol could get wrong."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from sivr.api.app import build_app
from sivr.api.bodies import pieces
from sivr.api.routing import Routes
from sivr.api.session_cookies import cookie_of
from sivr.edge.certificates import ServerCertificate
from sivr.edge.listener import Edge, listen_https
from sivr.edge.traffic import Traffic
from sivr.errors import Conflict, Unauthenticated
from sivr.model.people import Actor
from tests.flows.system import free_ports

HOST = "127.0.0.1"
PICTURE = os.urandom(50_000)
ETAG = '"picture"'


class Served:
    """A listener and what its handlers have seen."""

    def __init__(self) -> None:
        self.port = free_ports(1)
        self.url = f"https://{HOST}:{self.port}"
        self.traffic = Traffic()
        self.canceled = asyncio.Event()
        self.running = asyncio.Event()
        self.go_on = asyncio.Event()
        self.sent_bytes = 0
        self.served: list[str] = []

    def routes(self) -> Routes:
        """The addresses."""
        routes = Routes()
        for method, path, handler in (
            ("GET", "/picture", self._picture),
            ("GET", "/parts", self._parts),
            ("GET", "/large", self._large),
            ("GET", "/sized", self._sized),
            ("GET", "/range", self._range),
            ("GET", "/nothing", self._nothing),
            ("GET", "/problem", self._problem),
            ("GET", "/broken", self._broken),
            ("GET", "/slow", self._slow),
            ("GET", "/held", self._held),
            ("GET", "/echo", self._echo),
            ("POST", "/json", self._json),
            ("PUT", "/upload", self._upload),
            ("PUT", "/refuse", self._refuse),
            ("PUT", "/unread", self._unread),
        ):
            routes.add(method, path, summary="", public=True, raw=True)(handler)
        return routes

    async def _picture(self, request: web.Request) -> web.Response:
        headers = {"ETag": ETAG, "Cache-Control": "private, max-age=60", "Server-Timing": "render;dur=1"}
        self.served.append(request.query.get("n", ""))
        if any(tag.value == "picture" for tag in request.if_none_match or ()):
            return web.Response(status=304, headers=headers)
        return web.Response(body=PICTURE, content_type="image/png", headers=headers)

    async def _parts(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "multipart/related; boundary=x"})
        await response.prepare(request)
        for number in range(5):
            await response.write(b"--x\r\n\r\n%d\r\n" % number)
            await asyncio.sleep(0.01)
        await response.write_eof(b"--x--")
        return response

    async def _large(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(int(request.query["kib"]) // 64):
            await response.write(bytes(1 << 16))
            self.sent_bytes += 1 << 16
        return response

    async def _sized(self, request: web.Request) -> web.Response:
        return web.Response(body=b"." * int(request.query["n"]))

    async def _range(self, request: web.Request) -> web.Response:
        wanted = request.http_range
        part = PICTURE[wanted]
        headers = {"Content-Range": f"bytes {wanted.start}-{wanted.start + len(part) - 1}/{len(PICTURE)}"}
        return web.Response(status=206, body=part, headers=headers)

    async def _nothing(self, request: web.Request) -> None:
        return None

    async def _problem(self, request: web.Request) -> None:
        raise Conflict("Somebody else was quicker.", {"version": 3})

    async def _broken(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100000"})
        await response.prepare(request)
        await response.write(b"only this")
        raise OSError("the disk is gone")

    async def _slow(self, request: web.Request) -> web.Response:
        self.running.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            self.canceled.set()
            raise
        return web.Response()

    async def _held(self, request: web.Request) -> web.Response:
        self.running.set()
        await self.go_on.wait()
        return web.Response(text="held")

    async def _echo(self, request: web.Request) -> web.Response:
        return web.json_response(
            {
                "url": str(request.url),
                "query": dict(request.query),
                "remote": request.remote,
                "secure": request.secure,
                "host": request.host,
                "first": cookie_of(request, "first"),
                "second": cookie_of(request, "second"),
                "given": request.headers.getall("X-Given", []),
            },
            headers={"Set-Cookie": "a=1; Secure"},
        )

    async def _json(self, request: web.Request) -> web.Response:
        return web.json_response(await request.json())

    async def _upload(self, request: web.Request) -> web.Response:
        found, size = hashlib.sha256(), 0
        async for piece in pieces(request, 10):
            found.update(piece)
            size += len(piece)
        return web.json_response({"size": size, "sha256": found.hexdigest()})

    async def _refuse(self, request: web.Request) -> None:
        raise Conflict("This is not wanted.")

    async def _unread(self, request: web.Request) -> web.Response:
        self.running.set()
        await self.go_on.wait()
        size = sum([len(piece) async for piece in request.content.iter_chunked(1 << 16)])
        return web.json_response({"size": size})


async def _nobody(request: web.Request) -> Actor:
    raise Unauthenticated("Please log in.")


def application(served: Served) -> web.Application:
    """The application, as roles build theirs."""
    return build_app("test", served.routes(), _nobody, web_origins=("https://page.example.org",))


@asynccontextmanager
async def serving(tls: Path, edge: Edge | None = None) -> AsyncIterator[Served]:
    """Serve the application with the certificate of a folder."""
    served = Served()
    certificate = ServerCertificate(tls / "server.pem", tls / "server.key")
    async with listen_https(
        application(served), HOST, served.port, certificate, edge or Edge(), served.traffic
    ):
        yield served
