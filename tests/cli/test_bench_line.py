"""The slow line: bytes go through whole, no sooner than the line allows, and wait for each other."""

from __future__ import annotations

import asyncio

import pytest

from sivr.cli.bench.line import LINES, Direction, Profile, open_line

BODY = bytes(range(256)) * 160
SLOW = Profile("slow", 800_000.0, 400_000.0, 40.0)


async def download(url: str, size: int) -> tuple[bytes, float]:
    """What a server sends after one byte was asked for, and seconds from the asking to the last byte."""
    host, _, port = url.removeprefix("tcp://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    loop = asyncio.get_running_loop()
    started = loop.time()
    writer.write(b"?")
    body = await reader.readexactly(size)
    taken = loop.time() - started
    writer.close()
    return body, taken


@pytest.fixture
async def server() -> object:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(1)
        writer.write(BODY)
        await writer.drain()
        await reader.read()
        writer.close()

    listening = await asyncio.start_server(answer, "127.0.0.1", 0)
    yield f"tcp://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    listening.close()


def test_the_paper_s_lines() -> None:
    assert [(one.name, one.down_bits_s, one.up_bits_s, one.round_trip_ms) for one in LINES] == [
        ("none", 0, 0, 0),
        ("2G", 750_000, 250_000, 100),
        ("4G", 4_000_000, 3_000_000, 20),
    ]


def test_bytes_leave_at_the_pace_of_the_line() -> None:
    way = Direction(8000.0, 0.0)
    assert way.departure(10.0, 500) == 10.5
    # The line is busy until then.
    assert way.departure(10.1, 1000) == 11.5
    # And idle in between.
    assert way.departure(20.0, 100) == 20.1
    assert Direction(0.0, 0.0).departure(3.0, 1 << 30) == 3.0


async def test_a_body_takes_as_long_as_its_bytes_and_the_delay(server: str) -> None:
    async with open_line(server, SLOW) as line:
        body, taken = await download(line.url, len(BODY))
    assert body == BODY
    # A slow machine may take longer, but no machine can be quicker than the line.
    assert taken >= len(BODY) * 8 / SLOW.down_bits_s + SLOW.round_trip_ms / 1000


async def test_two_downloads_share_the_line(server: str) -> None:
    async with open_line(server, SLOW) as line:
        found = await asyncio.gather(*(download(line.url, len(BODY)) for _ in range(2)))
    assert all(body == BODY for body, _ in found)
    assert max(taken for _, taken in found) >= 2 * len(BODY) * 8 / SLOW.down_bits_s


async def test_a_full_line_is_told(server: str) -> None:
    async with open_line(server, SLOW) as line:
        assert await line.round_trip_ms() == pytest.approx(40.0)
        line.down.departure(asyncio.get_running_loop().time(), 100_000)
        assert 900 < await line.round_trip_ms() <= 1040


async def test_a_line_that_ends_takes_its_connections_with_it(server: str) -> None:
    async with open_line(server, SLOW) as line:
        host, _, port = line.url.removeprefix("tcp://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"?")
        assert await reader.read(1) == BODY[:1]
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        await reader.readexactly(len(BODY))
    writer.close()
