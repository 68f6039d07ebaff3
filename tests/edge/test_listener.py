"""The listener: TLS 1.2 and newer, plain HTTP refused or redirected, several families, clean stop."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from sivr.cli.local_ca import LocalCa
from sivr.edge.certificates import ServerCertificate
from sivr.edge.listener import listen_https, listen_redirect
from sivr.errors import Invalid, Unavailable
from tests.flows.system import free_ports


@pytest.fixture(scope="module")
def tls_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    ca = LocalCa()
    ca.save(folder)
    ca.issue(folder, ["localhost", "127.0.0.1"])
    return folder


def client_context(folder: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(folder / "ca.pem"))


@pytest.fixture
async def port(tls_folder: Path) -> AsyncIterator[int]:
    async def hello(request: web.Request) -> web.Response:
        await asyncio.sleep(float(request.query.get("s", 0)))
        return web.Response(text="hello")

    app = web.Application()
    app.router.add_get("/", hello)
    found = free_ports(1)
    context = ServerCertificate(tls_folder / "server.pem", tls_folder / "server.key")
    async with listen_https(app, "127.0.0.1", found, context):
        yield found


@pytest.mark.parametrize(
    "sent",
    [
        b"GARBAGE\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\n\r\n",
    ],
    ids=["line", "number", "length", "long"],
)
async def test_what_is_no_http_is_noted_without_a_traceback(
    port: int, tls_folder: Path, sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client_context(tls_folder))
    try:
        writer.write(sent)
        answer = await reader.read()
    finally:
        writer.close()
    assert b"HTTP/1.1 400 " in answer or b"HTTP/1.0 400 " in answer
    assert not [one.message for one in caplog.records if one.exc_info or one.levelname != "INFO"]
    # What is no HTTP from its first word on comes from scanners all day, and is not noted.
    noted = [vars(one)["peer"] for one in caplog.records if one.message == "malformed request"]
    assert noted == ([] if sent.startswith(b"GARBAGE") else ["127.0.0.1"])


async def test_https_answers_with_the_local_authority(port: int, tls_folder: Path) -> None:
    async with aiohttp.ClientSession() as session:
        url = f"https://127.0.0.1:{port}/"
        async with session.get(url, ssl=client_context(tls_folder)) as answer:
            assert await answer.text() == "hello"


async def test_plain_http_is_refused(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    answer = await reader.read()
    writer.close()
    assert b"hello" not in answer
    assert not answer.startswith(b"HTTP")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize(
    ("version", "answers"),
    [
        (ssl.TLSVersion.TLSv1_1, False),
        (ssl.TLSVersion.TLSv1_2, True),
        (ssl.TLSVersion.TLSv1_3, True),
    ],
)
async def test_tls_versions(port: int, tls_folder: Path, version: ssl.TLSVersion, answers: bool) -> None:
    context = client_context(tls_folder)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = version
    context.maximum_version = version
    if answers:
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        writer.close()
        await writer.wait_closed()
    else:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asyncio.open_connection("127.0.0.1", port, ssl=context)


async def test_running_requests_finish_at_stop(tls_folder: Path) -> None:
    async def slow(request: web.Request) -> web.Response:
        started.set()
        await asyncio.sleep(0.3)
        return web.Response(text="finished")

    started = asyncio.Event()
    app = web.Application()
    app.router.add_get("/", slow)
    port = free_ports(1)
    context = ServerCertificate(tls_folder / "server.pem", tls_folder / "server.key")

    async def ask() -> str:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"https://127.0.0.1:{port}/", ssl=client_context(tls_folder)) as answer,
        ):
            return await answer.text()

    async with listen_https(app, "127.0.0.1", port, context):
        asking = asyncio.create_task(ask())
        await started.wait()
    assert await asking == "finished"


async def test_taken_port_is_one_sentence(port: int, tls_folder: Path) -> None:
    context = ServerCertificate(tls_folder / "server.pem", tls_folder / "server.key")
    with pytest.raises(Unavailable, match=f"Cannot listen on 127.0.0.1 port {port}"):
        async with listen_https(web.Application(), "127.0.0.1", port, context):
            pass


async def reached(host: str, port: int) -> bool:
    """Whether somebody listens there."""
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True


def has_ipv6() -> bool:
    """Whether this machine has ::1; containers often have not."""
    try:
        with socket.socket(socket.AF_INET6) as one:
            one.bind(("::1", 0))
    except OSError:
        return False
    return True


def resolve_to_both(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with ``::1 localhost`` in /etc/hosts."""
    real = socket.getaddrinfo

    def found(host: Any, port: Any, *args: Any, **options: Any) -> list[Any]:
        if host != "localhost":
            return real(host, port, *args, **options)
        return [*real("::1", port, *args, **options), *real("127.0.0.1", port, *args, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", found)


def without_ipv6(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a kernel that was started with ipv6.disable=1."""

    class Socket(socket.socket):
        def __init__(self, family: int = socket.AF_INET, *args: Any, **options: Any) -> None:
            if family == socket.AF_INET6:
                raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
            super().__init__(family, *args, **options)

    monkeypatch.setattr(socket, "socket", Socket)


async def test_families_that_the_kernel_lacks_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve_to_both(monkeypatch)
    without_ipv6(monkeypatch)
    for host in ("localhost", "::"):
        port = free_ports(1)
        async with listen_redirect(host, port, "https://x"):
            assert await reached("127.0.0.1", port)
    with pytest.raises(Unavailable, match="Cannot listen on ::1 port"):
        async with listen_redirect("::1", free_ports(1), "https://x"):
            pass


async def test_a_name_of_both_families(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve_to_both(monkeypatch)
    port = free_ports(1)
    async with listen_redirect("localhost", port, "https://x"):
        assert await reached("127.0.0.1", port)
        assert await reached("::1", port) == has_ipv6()
    # Half of a name is no listener: the other half would be somebody else's.
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(Unavailable, match=f"Cannot listen on localhost port {port}"):
            async with listen_redirect("localhost", port, "https://x"):
                pass
    assert not await reached("::1", port)


async def test_all_addresses_of_both_families() -> None:
    port = free_ports(1)
    async with listen_redirect("::", port, "https://x"):
        assert await reached("127.0.0.1", port)
        assert await reached("::1", port) == has_ipv6()


async def test_redirect(tls_folder: Path) -> None:
    port = free_ports(1)
    async with (
        listen_redirect("127.0.0.1", port, "https://sivr.example.org:8443"),
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}/some?x=1", allow_redirects=False) as answer,
    ):
        assert answer.status == 308
        assert answer.headers["Location"] == "https://sivr.example.org:8443/"


def test_certificate_that_does_not_fit(tls_folder: Path, tmp_path: Path) -> None:
    other = LocalCa()
    other.issue(tmp_path, ["localhost"])
    with pytest.raises(Invalid, match="cannot be used"):
        ServerCertificate(tls_folder / "server.pem", tmp_path / "server.key")
