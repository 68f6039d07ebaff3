"""Sockets of a listener, for every address of a host name."""

from __future__ import annotations

import asyncio
import errno
import socket
from contextlib import ExitStack
from typing import Any

from sivr.errors import Invalid, Unavailable

_NOT_HERE = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)
# Linux; Python knows them by name only from 3.12 on, or nowhere.
_TCP_USER_TIMEOUT = getattr(socket, "TCP_USER_TIMEOUT", 18)
_TCP_NOTSENT_LOWAT = getattr(socket, "TCP_NOTSENT_LOWAT", 25)
_UNSENT_BYTES = 1 << 14


def bind(host: str, port: int, *, udp: bool = False) -> tuple[list[socket.socket], list[socket.socket]]:
    """TCP sockets, and with ``udp`` UDP ones, for every address of the host name, so that localhost answers
    on IPv4 and IPv6; ``::`` is every address of both families.

    Addresses that this machine does not have are left out, such as ::1 where the kernel has no IPv6 but a
    name still resolves to it. Raises Unavailable when none is left or one is taken, Invalid for names that
    cannot be found.
    """
    refused: OSError | None = None
    with ExitStack() as opened:
        tcp: list[socket.socket] = []
        datagrams: list[socket.socket] = []
        for family, address in _addresses(host, port):
            try:
                tcp.append(_bound(opened, family, socket.SOCK_STREAM, address))
                if udp:
                    datagrams.append(_bound(opened, family, socket.SOCK_DGRAM, address))
            except OSError as error:
                refused = error
                if error.errno in _NOT_HERE:
                    continue
                break
        else:
            if tcp:
                opened.pop_all()
                return tcp, datagrams
    reason = refused.strerror if refused else "no address"
    raise Unavailable(f"Cannot listen on {host} port {port}: {reason}.")


def _bound(opened: ExitStack, family: int, kind: int, address: tuple[Any, ...]) -> socket.socket:
    one = opened.enter_context(socket.socket(family, kind))
    if kind == socket.SOCK_STREAM:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    one.bind(address)
    return one


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


def tune(transport: asyncio.BaseTransport, stall_s: float) -> None:
    """Settings of a TCP connection that answers flow on."""
    one = transport.get_extra_info("socket")
    if one is None:
        return
    for option, value in (
        # asyncio leaves Nagle's algorithm on where a socket does not name its protocol; the second half of a
        # picture would wait 40 ms for the acknowledgement of the first.
        (socket.TCP_NODELAY, 1),
        # Little waits in the kernel, where nobody can take it back when a picture is given up.
        (_TCP_NOTSENT_LOWAT, _UNSENT_BYTES),
        # A client that is gone, or has stopped reading altogether.
        (_TCP_USER_TIMEOUT, round(stall_s * 1000)),
    ):
        try:
            one.setsockopt(socket.IPPROTO_TCP, option, value)
        except OSError:
            continue  # Not this system's.
