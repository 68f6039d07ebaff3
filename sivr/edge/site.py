"""What all connections of one address have in common."""

from __future__ import annotations

import asyncio
import logging
import ssl
from typing import Any, Protocol

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from sivr.edge.limits import EdgeLimits
from sivr.edge.traffic import Traffic

log = logging.getLogger("sivr.edge")

MAX_LINE_BYTES = 16 * 1024


class ServerLog(logging.LoggerAdapter[logging.Logger]):
    """aiohttp's own log, where what strangers send is no error of ours."""

    def exception(self, msg: object, *args: object, exc_info: Any = True, **options: Any) -> None:
        """As of loggers; what is no HTTP is noted in a line, without what was sent."""
        if isinstance(exc_info, HttpProcessingError):
            extra = {"peer": str(args[0]) if args else "", "reason": type(exc_info).__name__}
            self.logger.info("malformed request", extra=extra)
        else:
            super().exception(msg, *args, exc_info=exc_info, **options)


class Connection(Protocol):
    """A connection of HTTP/2 or HTTP/3."""

    def check(self, now: float) -> None:
        """Close what is idle or stalled."""

    def leave(self) -> None:
        """Take no further request, and close when those that run are answered."""

    def abort(self) -> None:
        """Close at once."""


class Site:
    """One application at one address: its handlers, limits, figures and open connections."""

    def __init__(self, server: web.Server, limits: EdgeLimits, traffic: Traffic, tls: ssl.SSLContext) -> None:
        self.limits = limits
        self.traffic = traffic
        self.tls = tls
        self.open: set[Connection] = set()
        self.leaving = False
        self.empty = asyncio.Event()
        """Set while no connection of HTTP/2 or HTTP/3 is open."""
        self.empty.set()
        self._server = server
        self._loop = asyncio.get_running_loop()

    def native_handler(self) -> asyncio.Protocol:
        """aiohttp's own protocol for a connection of HTTP/1.1."""
        return self._server()

    def stream_handler(self) -> web.RequestHandler:
        """aiohttp's protocol for one request of HTTP/2 or HTTP/3."""
        return web.RequestHandler(
            self._server,
            loop=self._loop,
            access_log=None,  # type: ignore[arg-type]
            logger=ServerLog(log),  # type: ignore[arg-type]
            # These are matters of the connection below, which has its own.
            keepalive_timeout=0,
            tcp_keepalive=False,
            lingering_time=0,
            max_line_size=MAX_LINE_BYTES,
            max_field_size=MAX_LINE_BYTES,
        )

    def full(self) -> bool:
        """Whether no further connection is accepted."""
        # Requests of HTTP/2 and HTTP/3 count as well: each is a connection to aiohttp.
        return len(self.open) + len(self._server.connections) >= self.limits.connections

    def joined(self, connection: Connection, version: str) -> None:
        """A connection of HTTP/2 or HTTP/3 is open."""
        self.open.add(connection)
        self.empty.clear()
        self.traffic.connections[version] += 1
        self.traffic.open[version] += 1

    def left(self, connection: Connection, version: str) -> None:
        """A connection is closed."""
        if connection in self.open:
            self.open.remove(connection)
            self.traffic.open[version] -= 1
        if not self.open:
            self.empty.set()

    def ended(self, limit: str, peer: str) -> None:
        """A limit ended a connection or a request."""
        self.traffic.ended[limit] += 1
        log.info("limit", extra={"limit": limit, "peer": peer})
