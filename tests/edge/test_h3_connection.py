"""HTTP/3 stream by stream: limits, order, giving up, saying goodbye, and what is no QUIC."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from aioquic.h3.connection import ErrorCode

from sivr.edge import h3_connection
from sivr.edge.limits import EdgeLimits
from sivr.edge.listener import Edge
from tests.edge.asking import ask
from tests.edge.quic import quic
from tests.edge.served import HOST, PICTURE, Served, serving


async def still_serves(served: Served, ca: Path) -> None:
    """The server answers others as before."""
    async with quic(served.port, ca) as client:
        assert await client.answer(client.ask("/picture")) == PICTURE


async def test_rapid_reset(tls_folder: Path) -> None:
    async with serving(tls_folder, Edge(limits=EdgeLimits(resets_per_s=2))) as served:
        async with quic(served.port, tls_folder) as client:
            for _ in range(30):
                stream_id = client.ask("/slow")
                client.give_up(stream_id)
            await client.until(lambda: client.closed_with is not None)
            assert client.closed_with == ErrorCode.H3_EXCESSIVE_LOAD
        assert served.traffic.ended["resets"] == 1
        await still_serves(served, tls_folder)


async def test_too_many_streams(tls_folder: Path) -> None:
    async with (
        serving(tls_folder, Edge(limits=EdgeLimits(streams=3))) as served,
        quic(served.port, tls_folder) as client,
    ):
        streams = [client.ask("/held") for _ in range(5)]
        await client.until(lambda: len(client.resets) == 2)
        assert set(client.resets.values()) == {ErrorCode.H3_REQUEST_REJECTED}
        served.go_on.set()
        for stream_id in streams:
            if stream_id not in client.resets:
                assert await client.answer(stream_id) == b"held"


@pytest.mark.parametrize(
    ("more", "method"),
    [
        ((("x-bad", "a\r\nb: c"),), "GET"),
        ((("host", "elsewhere"),), "GET"),
        ((), "GET POST"),
        ((), "CONNECT"),
    ],
)
async def test_malformed_requests(
    more: tuple[tuple[str, str], ...], method: str, served: Served, tls_folder: Path
) -> None:
    async with quic(served.port, tls_folder) as client:
        stream_id = client.ask("/echo", *more, method=method)
        await client.until(lambda: stream_id in client.resets or client.closed_with is not None)
        assert ErrorCode.H3_MESSAGE_ERROR in (client.resets.get(stream_id), client.closed_with)
    await still_serves(served, tls_folder)


@pytest.mark.parametrize("what", ["headers", "frame"])
async def test_large_headers(what: str, served: Served, tls_folder: Path) -> None:
    async with quic(served.port, tls_folder) as client:
        if what == "headers":
            client.ask("/echo", *((f"x-{number}", "y" * 900) for number in range(100)))
        else:
            # A frame of headers of 16 MB that begins to come.
            client._quic.send_stream_data(0, bytes((1, 0x81, 0, 0, 0)) + bytes(200_000))
            client.transmit()
        await client.until(lambda: client.closed_with is not None)
        assert client.closed_with == ErrorCode.H3_EXCESSIVE_LOAD
    assert served.traffic.ended["headers"] == 1
    await still_serves(served, tls_folder)


async def test_bodies_that_did_not_say_how_large(served: Served, tls_folder: Path) -> None:
    async with quic(served.port, tls_folder) as client:
        stream_id = client.ask("/upload", method="PUT", body=[b"x" * 10])
        await client.answer(stream_id)
        assert client.heads[stream_id][":status"] == "421"
        # More than was announced.
        stream_id = client.ask("/unread", ("content-length", "10"), method="PUT", body=[bytes(2 << 20)])
        await client.until(lambda: stream_id in client.resets or client.closed_with is not None)
    await still_serves(served, tls_folder)


async def test_bodies_that_nobody_reads_are_bounded(
    served: Served, tls_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(h3_connection, "UNREAD_BYTES", 1 << 18)
    async with quic(served.port, tls_folder) as client:
        client.ask("/unread", ("content-length", str(1 << 20)), method="PUT", body=[bytes(1 << 20)])
        await client.until(lambda: client.closed_with is not None)
        assert client.closed_with == ErrorCode.H3_EXCESSIVE_LOAD
    assert served.traffic.ended["bodies"] == 1


async def test_too_many_connections(tls_folder: Path) -> None:
    """From half of them on, a newcomer must prove its address; when all are taken it is refused."""
    async with (
        serving(tls_folder, Edge(limits=EdgeLimits(h3_connections=2))) as served,
        quic(served.port, tls_folder) as first,
        quic(served.port, tls_folder) as second,
    ):
        for client in (first, second):
            assert await client.answer(client.ask("/picture")) == PICTURE
        # Nobody else is told of HTTP/3 now.
        assert not (await ask("2", f"{served.url}/picture", tls_folder)).header("alt-svc")
        # The second came with a token.
        assert not first._quic._retry_count and second._quic._retry_count == 1
        async with quic(served.port, tls_folder) as third:
            await third.until(lambda: third.closed_with is not None)
            assert third.closed_with == ErrorCode.H3_EXCESSIVE_LOAD


async def test_writers_wait_and_memory_stays_flat(served: Served, tls_folder: Path) -> None:
    async with quic(served.port, tls_folder) as client:
        stream_id = client.ask("/large?kib=65536")
        await client.until(lambda: len(client.bodies[stream_id]) > 1 << 20)
        came = len(client.bodies[stream_id])
        # What aiohttp wrote and what came differ by what waits: little.
        assert served.sent_bytes - came < 2 << 20
        client.give_up(stream_id)
        await asyncio.sleep(0.3)
        sent = served.sent_bytes
        await asyncio.sleep(0.3)
        assert served.sent_bytes == sent < 32 << 20
    assert served.traffic.canceled["3"] == 1


async def test_urgent_pictures_overtake(served: Served, tls_folder: Path) -> None:
    async with quic(served.port, tls_folder) as client:
        # Something that takes a while, of no hurry.
        slow = client.ask("/large?kib=4096", ("priority", "u=7"))
        await client.until(lambda: bool(client.bodies[slow]))
        asked = [client.ask("/picture", ("priority", f"u={urgency}")) for urgency in (6, 4, 2)]
        for stream_id in asked:
            assert await client.answer(stream_id) == PICTURE
        assert slow not in client.ended
        last = [max(i for i, one in enumerate(client.order) if one == stream_id) for stream_id in asked]
        assert last == sorted(last, reverse=True)


async def test_garbage_at_the_port(served: Served, tls_folder: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        for size in (0, 1, 20, 1200, 1400):
            for first in (0x00, 0x40, 0x80, 0xC0, 0xFF):
                one.sendto(bytes((first,)) + os.urandom(size), (HOST, served.port))
        # A first packet of version 1 with nothing in it that could be decrypted.
        head = bytes((0xC3, 0, 0, 0, 1, 8)) + os.urandom(8) + b"\x00\x00\x44\x96"
        for _ in range(20):
            one.sendto(head + os.urandom(1200), (HOST, served.port))
    await still_serves(served, tls_folder)


async def test_running_requests_are_answered_at_stop(tls_folder: Path) -> None:
    listening = AsyncExitStack()
    served = await listening.enter_async_context(serving(tls_folder))
    async with quic(served.port, tls_folder) as client:
        stream_id = client.ask("/held")
        await served.running.wait()
        stopping = asyncio.create_task(listening.aclose())
        await asyncio.sleep(0.1)
        late = client.ask("/picture")
        await client.until(lambda: late in client.resets)
        assert client.resets[late] == ErrorCode.H3_REQUEST_REJECTED
        served.go_on.set()
        assert await client.answer(stream_id) == b"held"
        await stopping


async def test_idle_connections_end(tls_folder: Path) -> None:
    async with (
        serving(tls_folder, Edge(limits=EdgeLimits(idle_s=0.5))) as served,
        quic(served.port, tls_folder) as client,
    ):
        await client.answer(client.ask("/picture"))
        await client.until(lambda: client.closed_with is not None)
