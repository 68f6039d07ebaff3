"""Listening for QUIC: datagrams of one UDP port to their connections."""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import Any

from aioquic.asyncio.server import QuicServer
from aioquic.h3.connection import H3_ALPN
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.retry import QuicRetryTokenHandler

from sivr.edge.certificates import ServerCertificate
from sivr.edge.h3_connection import VERSION, Http3Connection
from sivr.edge.site import Site

log = logging.getLogger("sivr.edge")

# It tells of every packet that strangers get wrong.
logging.getLogger("quic").setLevel(logging.ERROR)


class Http3Listener(QuicServer):
    """The server's side of one UDP socket."""

    def __init__(self, site: Site, configuration: QuicConfiguration) -> None:
        super().__init__(configuration=configuration, create_protocol=self._connection)
        self._site = site
        self._retries = QuicRetryTokenHandler()

    def _connection(self, quic: QuicConnection, stream_handler: Any = None) -> Http3Connection:
        full = self._count() >= self._site.limits.h3_connections or self._site.full()
        return Http3Connection(quic, self._site, refused=full)

    def _count(self) -> int:
        return self._site.traffic.open[VERSION]

    def datagram_received(self, data: bytes | str, addr: Any) -> None:
        """As of protocols."""
        # With many connections newcomers must first show that they are where they say (RFC 9000 section
        # 8.1.2); it costs them a round trip, and an attacker his false addresses.
        many = self._count() * 2 >= self._site.limits.h3_connections
        self._retry: QuicRetryTokenHandler | None = self._retries if many else None  # type: ignore[assignment]
        try:
            super().datagram_received(data, addr)
        except Exception:
            # One connection's mistake, or the library's, is not to end the others.
            self._site.traffic.ended["datagram"] += 1
            log.exception("datagram", extra={"peer": str(addr[0])})


def quic_configuration(certificate: ServerCertificate, idle_s: float) -> QuicConfiguration:
    """Settings for HTTP/3 with this certificate; a renewed one is taken up by new connections."""
    configuration = QuicConfiguration(
        is_client=False,
        alpn_protocols=list(H3_ALPN),
        idle_timeout=idle_s,
        congestion_control_algorithm="cubic",
    )
    certificate.on_change(lambda: configuration.load_cert_chain(certificate.certificate, certificate.key))
    return configuration


async def listen_udp(
    site: Site, bound: socket.socket, configuration: QuicConfiguration
) -> asyncio.DatagramTransport:
    """Serve HTTP/3 on a bound UDP socket, until the transport is closed."""
    bound.setblocking(False)
    for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        # As much as the kernel grants: bursts of many clients arrive while a picture is drawn.
        bound.setsockopt(socket.SOL_SOCKET, option, 1 << 21)
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: Http3Listener(site, configuration), sock=bound
    )
    return transport
