"""Listening for HTTPS: TLS 1.2 and newer, nothing in the clear except an optional redirect."""

from __future__ import annotations

import errno
import logging
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from sivr.errors import Invalid, Unavailable

log = logging.getLogger("sivr.edge")

SHUTDOWN_S = 10.0
KEEP_ALIVE_S = 75.0
MAX_LINE_BYTES = 16 * 1024
_NOT_HERE = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)


class _ServerLog(logging.LoggerAdapter[logging.Logger]):
    """aiohttp's own log, where what strangers send is no error of ours."""

    def exception(self, msg: object, *args: object, exc_info: Any = True, **options: Any) -> None:
        """As of loggers; what is no HTTP is noted in a line, without what was sent."""
        if isinstance(exc_info, HttpProcessingError):
            extra = {"peer": str(args[0]) if args else "", "reason": type(exc_info).__name__}
            self.logger.info("malformed request", extra=extra)
        else:
            super().exception(msg, *args, exc_info=exc_info, **options)


def tls_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """A server context that speaks TLS 1.2 and 1.3 only; raises Invalid when the files do not fit."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise Invalid(f"The TLS certificate {certificate} and key {key} cannot be used: {error}.") from error
    return context


def _bind(host: str, port: int) -> list[socket.socket]:
    """Sockets for every address of the host name, so that localhost answers on IPv4 and IPv6; ``::`` is every
    address of both families.

    Addresses that this machine does not have are left out, such as ::1 where the kernel has no IPv6 but a
    name still resolves to it. Raises Unavailable when none is left or one is taken, Invalid for names that
    cannot be found.
    """
    refused: OSError | None = None
    with ExitStack() as opened:
        sockets: list[socket.socket] = []
        for family, address in _addresses(host, port):
            try:
                one = opened.enter_context(socket.socket(family, socket.SOCK_STREAM))
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                one.bind(address)
            except OSError as error:
                refused = error
                if error.errno in _NOT_HERE:
                    continue
                break
            sockets.append(one)
        else:
            if sockets:
                opened.pop_all()
                return sockets
    reason = refused.strerror if refused else "no address"
    raise Unavailable(f"Cannot listen on {host} port {port}: {reason}.")


def _addresses(host: str, port: int) -> list[tuple[socket.AddressFamily, tuple[Any, ...]]]:
    """The socket addresses of a host name, each once."""
    # Two sockets rather than one for both: callers over IPv4 keep their usual address in logs and limits.
    names = ("::", "0.0.0.0") if host == "::" else (host,)  # noqa: S104
    found: dict[tuple[socket.AddressFamily, tuple[Any, ...]], None] = {}
    for name in names:
        try:
            for family, _, _, _, address in socket.getaddrinfo(name, port, type=socket.SOCK_STREAM):
                found[family, address] = None
        except OSError as error:
            raise Invalid(f"The address {host} cannot be found: {error.strerror}.") from error
    return list(found)


@asynccontextmanager
async def listen_https(
    app: web.Application, host: str, port: int, tls: ssl.SSLContext
) -> AsyncIterator[None]:
    """Serve the application on an address until the context ends; running requests get time to finish."""
    runner = web.AppRunner(
        app,
        access_log=None,
        logger=_ServerLog(log),
        shutdown_timeout=SHUTDOWN_S,
        handler_cancellation=True,
        keepalive_timeout=KEEP_ALIVE_S,
        max_line_size=MAX_LINE_BYTES,
        max_field_size=MAX_LINE_BYTES,
    )
    await runner.setup()
    try:
        for one in _bind(host, port):
            await web.SockSite(runner, one, ssl_context=tls, backlog=1024).start()
        log.info("listening", extra={"host": host, "port": port})
        yield
    finally:
        await runner.cleanup()


@asynccontextmanager
async def listen_redirect(host: str, port: int, https_url: str) -> AsyncIterator[None]:
    """Answer plain HTTP with a redirect to the HTTPS address and nothing else."""

    async def redirect(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=308, headers={"Location": https_url + "/"})

    runner = web.ServerRunner(web.Server(redirect, access_log=None, logger=_ServerLog(log)))
    await runner.setup()
    try:
        for one in _bind(host, port):
            await web.SockSite(runner, one).start()
        yield
    finally:
        await runner.cleanup()
