"""Listening for HTTPS: HTTP/1.1 and HTTP/2 by TLS 1.2 and newer, HTTP/3 by QUIC, nothing in the clear except
an optional redirect.

HTTP/1.1 is aiohttp's own; requests of the others are brought to the same application as connections in memory
(``exchange``). One process listens; should several ever share an address with SO_REUSEPORT, QUIC's datagrams
need to be sent to the process that has their connection.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, Literal

import msgspec
from aiohttp import web

from sivr.edge.certificates import ServerCertificate
from sivr.edge.h2_connection import Http2Connection
from sivr.edge.limits import EdgeLimits
from sivr.edge.site import MAX_LINE_BYTES, ServerLog, Site
from sivr.edge.sockets import bind, tune
from sivr.edge.traffic import Traffic

log = logging.getLogger("sivr.edge")

ProtocolName = Literal["http/1.1", "h2", "h3"]
PROTOCOLS: tuple[ProtocolName, ...] = ("http/1.1", "h2", "h3")
SHUTDOWN_S = 10.0
HANDSHAKE_S = 15.0
TLS_CLOSE_S = 5.0
CHECK_S = 1.0
"""So often idle and stalled connections are looked for."""
ALT_SVC_S = 3600
"""So long a browser remembers that HTTP/3 is to be had here."""


class Edge(msgspec.Struct, frozen=True):
    """How an address is served."""

    protocols: Sequence[ProtocolName] = PROTOCOLS
    limits: EdgeLimits = EdgeLimits()
    advertise_h3: bool = True
    """Whether browsers that came by TCP are told of HTTP/3 (Alt-Svc)."""
    public_port: int | None = None
    """The port that browsers know, where it is not the one listened at."""


class _Front(asyncio.Protocol):
    """A TLS connection before its protocol is known."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """As of protocols."""
        assert isinstance(transport, asyncio.Transport)
        if self._site.full():
            peer = transport.get_extra_info("peername") or ("",)
            self._site.ended("connections", str(peer[0]))
            transport.abort()
            return
        tune(transport, self._site.limits.stall_s)
        tls = transport.get_extra_info("ssl_object")
        protocol: asyncio.Protocol
        if tls is not None and tls.selected_alpn_protocol() == "h2":
            protocol = Http2Connection(self._site)
        else:
            self._site.traffic.connections["1.1"] += 1
            protocol = self._site.native_handler()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)


@asynccontextmanager
async def listen_https(
    app: web.Application,
    host: str,
    port: int,
    certificate: ServerCertificate,
    edge: Edge = Edge(),  # noqa: B008
    traffic: Traffic | None = None,
) -> AsyncIterator[None]:
    """Serve the application on an address until the context ends; running requests get time to finish.

    Raises Unavailable and Invalid as ``sockets.bind``.
    """
    traffic = traffic or Traffic()
    with_h3 = "h3" in edge.protocols
    if with_h3 and edge.advertise_h3:
        app.on_response_prepare.append(_alt_svc(edge.public_port or port, traffic, edge.limits))
    runner = web.AppRunner(
        app,
        access_log=None,
        logger=ServerLog(log),
        shutdown_timeout=SHUTDOWN_S,
        handler_cancellation=True,
        keepalive_timeout=edge.limits.idle_s,
        max_line_size=MAX_LINE_BYTES,
        max_field_size=MAX_LINE_BYTES,
    )
    certificate.context.set_alpn_protocols([one for one in ("h2", "http/1.1") if one in edge.protocols])
    async with AsyncExitStack() as stack:
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        assert runner.server is not None
        site = Site(runner.server, edge.limits, traffic, certificate.context)
        tcp, udp = bind(host, port, udp=with_h3)
        if udp:
            await _listen_quic(site, udp, certificate, stack)
        servers = [await _listen_tls(site, one, certificate.context) for one in tcp]
        checking = asyncio.create_task(_check(site))
        log.info("listening", extra={"host": host, "port": port, "protocols": ",".join(edge.protocols)})
        try:
            yield
        finally:
            checking.cancel()
            await _leave(site, servers, runner)


async def _listen_tls(site: Site, bound: socket.socket, context: ssl.SSLContext) -> asyncio.Server:
    return await asyncio.get_running_loop().create_server(
        lambda: _Front(site),
        sock=bound,
        ssl=context,
        backlog=1024,
        ssl_handshake_timeout=HANDSHAKE_S,
        ssl_shutdown_timeout=TLS_CLOSE_S,
    )


async def _listen_quic(
    site: Site, bound: Sequence[socket.socket], certificate: ServerCertificate, stack: AsyncExitStack
) -> None:
    # Imported only when wanted: it brings cryptography of its own.
    from sivr.edge.h3_listener import listen_udp, quic_configuration

    configuration = quic_configuration(certificate, site.limits.idle_s)
    for one in bound:
        stack.callback((await listen_udp(site, one, configuration)).close)


async def _check(site: Site) -> None:
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(CHECK_S)
        now = loop.time()
        for connection in list(site.open):
            connection.check(now)


async def _leave(site: Site, servers: Sequence[asyncio.Server], runner: web.AppRunner) -> None:
    """Take no new connections and requests; those that run get ``SHUTDOWN_S`` to be answered."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + SHUTDOWN_S
    site.leaving = True
    for server in servers:
        server.close()
    for connection in list(site.open):
        connection.leave()
    await runner.cleanup()
    # The application is done; what it has answered may still be on its way.
    with suppress(TimeoutError):
        async with asyncio.timeout_at(deadline):
            await site.empty.wait()
    for connection in list(site.open):
        connection.abort()
    # Let transports say goodbye.
    await asyncio.sleep(0)


def _alt_svc(port: int, traffic: Traffic, limits: EdgeLimits) -> Any:
    value = f'h3=":{port}"; ma={ALT_SVC_S}'

    async def tell(request: web.Request, response: web.StreamResponse) -> None:
        # A picture by HTTP/3 costs the event loop six times one by HTTP/2: not more of them than allowed.
        if request.get_extra_info("http") != "3" and traffic.open["3"] < limits.h3_connections:
            response.headers["Alt-Svc"] = value

    return tell


@asynccontextmanager
async def listen_redirect(host: str, port: int, https_url: str) -> AsyncIterator[None]:
    """Answer plain HTTP with a redirect to the HTTPS address and nothing else."""

    async def redirect(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=308, headers={"Location": https_url + "/"})

    runner = web.ServerRunner(web.Server(redirect, access_log=None, logger=ServerLog(log)))
    await runner.setup()
    try:
        for one in bind(host, port)[0]:
            await web.SockSite(runner, one).start()
        yield
    finally:
        await runner.cleanup()


__all__ = ["PROTOCOLS", "Edge", "ProtocolName", "listen_https", "listen_redirect"]
