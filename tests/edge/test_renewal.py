"""A renewed certificate is in force for new connections over TCP and QUIC, while the old ones go on."""

from __future__ import annotations

import datetime
import ssl
from pathlib import Path

from cryptography import x509

from sivr.cli.local_ca import LocalCa
from sivr.edge.certificates import ServerCertificate
from sivr.edge.listener import listen_https
from tests.edge.frames import connected
from tests.edge.quic import Http3Client, quic
from tests.edge.served import HOST, PICTURE, Served, application
from tests.edge.test_h2_connection import picture


def days_left(certificate: x509.Certificate) -> int:
    return (certificate.not_valid_after_utc - datetime.datetime.now(datetime.UTC)).days


async def over_tcp(port: int, ca: Path) -> int:
    async with connected(port, ca) as client:
        tls: ssl.SSLObject = client.writer.get_extra_info("ssl_object")
        shown = tls.getpeercert(binary_form=True)
    assert shown is not None
    return days_left(x509.load_der_x509_certificate(shown))


def over_quic(client: Http3Client) -> int:
    return days_left(client._quic.tls._peer_certificate)


async def test_renewal(tmp_path: Path) -> None:
    ca = LocalCa()
    ca.save(tmp_path)
    ca.issue(tmp_path, [HOST], 10)
    certificate = ServerCertificate(tmp_path / "server.pem", tmp_path / "server.key")
    served = Served()
    async with (
        listen_https(application(served), HOST, served.port, certificate),
        connected(served.port, tmp_path) as tcp,
        quic(served.port, tmp_path) as udp,
    ):
        assert await picture(tcp, 1) == PICTURE
        assert (await over_tcp(served.port, tmp_path), over_quic(udp)) == (9, 9)
        ca.issue(tmp_path / "new", [HOST], 100)
        for name in ("server.pem", "server.key"):
            (tmp_path / "new" / name).replace(tmp_path / name)
        assert certificate.reload()
        assert await over_tcp(served.port, tmp_path) == 99
        async with quic(served.port, tmp_path) as other:
            assert over_quic(other) == 99
        tcp.open_windows(0)
        assert await picture(tcp, 3) == PICTURE
        assert await udp.answer(udp.ask("/picture")) == PICTURE
