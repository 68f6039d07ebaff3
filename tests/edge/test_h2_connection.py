"""HTTP/2 frame by frame: what no well-meaning client sends, windows, order, giving up, saying goodbye."""

from __future__ import annotations

import asyncio
import os
import resource
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from sivr.edge.limits import EdgeLimits
from sivr.edge.listener import Edge
from tests.edge.frames import PREFACE, Extension, Frames, connected, ends, is_a, is_data
from tests.edge.served import PICTURE, Served, serving

CALM = 11
PROTOCOL_ERROR = 1
REFUSED = 7


async def picture(client: Frames, stream_id: int) -> bytes:
    """A picture by this connection."""
    client.send(client.head(stream_id, "/picture"))
    await client.until(ends(stream_id))
    return b"".join(frame.data for frame in client.seen if is_data(stream_id)(frame))


async def still_serves(served: Served, ca: Path) -> None:
    """The server answers others as before."""
    async with connected(served.port, ca) as client:
        assert await picture(client, 1) == PICTURE


async def goodbye(client: Frames) -> GoAwayFrame:
    """The GOAWAY with which the server ended the connection."""
    found = [frame for frame in await client.rest() if isinstance(frame, GoAwayFrame)]
    assert found, client.seen[-5:]
    return found[-1]


async def test_settings_are_told(served: Served, tls_folder: Path) -> None:
    async with connected(served.port, tls_folder) as client:
        told = (await client.until(is_a(SettingsFrame))).settings
        told |= (await client.until(is_a(SettingsFrame))).settings
    assert told[SettingsFrame.MAX_CONCURRENT_STREAMS] == 100
    assert told[SettingsFrame.MAX_HEADER_LIST_SIZE] == 65_536
    assert told[SettingsFrame.ENABLE_PUSH] == 0
    # No priorities of the old kind (RFC 9218 section 2.1).
    assert told[0x9] == 1


async def test_rapid_reset(served: Served, tls_folder: Path) -> None:
    async with connected(served.port, tls_folder) as client:
        for number in range(1200):
            stream_id = 2 * number + 1
            client.send(client.head(stream_id, "/slow"), RstStreamFrame(stream_id, error_code=8))
        assert (await goodbye(client)).error_code == CALM
    assert served.traffic.ended["resets"] == 1
    await still_serves(served, tls_folder)


async def test_made_to_reset(served: Served, tls_folder: Path) -> None:
    """Streams that the server itself must reset count alike (CVE-2025-8671)."""
    async with connected(served.port, tls_folder) as client:
        for number in range(1200):
            stream_id = 2 * number + 1
            client.send(
                client.head(stream_id, "/slow"), WindowUpdateFrame(stream_id, window_increment=(1 << 31) - 1)
            )
        assert (await goodbye(client)).error_code == CALM
    await still_serves(served, tls_folder)


async def test_scrolling_is_no_attack(served: Served, tls_folder: Path) -> None:
    """A viewer that gives up nine pictures of ten."""
    async with connected(served.port, tls_folder) as client:
        for number in range(600):
            stream_id = 2 * number + 1
            client.send(client.head(stream_id, "/picture"))
            if number % 10:
                client.send(RstStreamFrame(stream_id, error_code=8))
            else:
                client.open_windows(0, 1 << 16)
                await client.until(ends(stream_id))
        assert await picture(client, 1201) == PICTURE
    assert not served.traffic.ended


def pings(count: int) -> list[Frame]:
    return [PingFrame(0, opaque_data=bytes(8)) for _ in range(count)]


@pytest.mark.parametrize(
    ("name", "frames"),
    [
        ("pings", pings(3000)),
        ("settings", [SettingsFrame(0, settings={1: 4096}) for _ in range(3000)]),
        ("unknown", [Extension(0xB0, b"x") for _ in range(3000)]),
        ("windows", [WindowUpdateFrame(0, window_increment=1) for _ in range(3000)]),
    ],
)
async def test_floods_of_control_frames(
    name: str, frames: list[Frame], served: Served, tls_folder: Path
) -> None:
    async with connected(served.port, tls_folder) as client:
        client.send(*frames)
        assert (await goodbye(client)).error_code == CALM
    assert served.traffic.ended["control frames"] == 1
    await still_serves(served, tls_folder)


async def test_flood_of_empty_data(served: Served, tls_folder: Path) -> None:
    async with connected(served.port, tls_folder) as client:
        client.send(client.head(1, "/upload", method="PUT", end=False))
        client.send(*(DataFrame(1, b"") for _ in range(3000)))
        assert (await goodbye(client)).error_code == CALM


async def test_flood_of_continuations(served: Served, tls_folder: Path) -> None:
    async with connected(served.port, tls_folder) as client:
        client.send(HeadersFrame(1, b"\x82", flags=[]))
        client.send(*(ContinuationFrame(1, b"\x82" * 1000) for _ in range(1000)))
        await goodbye(client)
    await still_serves(served, tls_folder)


async def test_headers_that_unpack_to_more(served: Served, tls_folder: Path) -> None:
    """A table entry of 4 kB that is named again and again."""
    async with connected(served.port, tls_folder) as client:
        first = client.head(1, "/picture", ("x-long", "x" * 3900))
        client.send(first)
        bomb = client.head(3, "/picture")
        bomb.data += b"\xbe" * 8000
        client.send(bomb)
        await goodbye(client)
    assert served.traffic.ended["headers"] == 1
    await still_serves(served, tls_folder)


@pytest.mark.parametrize(
    "sent",
    [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", PREFACE[:-6] + b"XX\r\n\r\n", bytes(100), b"\xff" * 100_000],
    ids=["other protocol", "half a preface", "zeros", "ones"],
)
async def test_no_preface(sent: bytes, served: Served, tls_folder: Path) -> None:
    async with connected(served.port, tls_folder, begin=False) as client:
        client.writer.write(sent)
        assert (await goodbye(client)).error_code == PROTOCOL_ERROR
    await still_serves(served, tls_folder)


async def test_random_frames(served: Served, tls_folder: Path) -> None:
    """Whatever comes, the connection ends or goes on, and nobody else notices."""
    for seed in range(60):
        kind, flags = seed % 12, seed * 37 % 256
        body = os.urandom(seed * 11 % 200)
        async with connected(served.port, tls_folder) as client:
            head = len(body).to_bytes(3, "big") + bytes((kind, flags)) + (seed % 4).to_bytes(4, "big")
            client.writer.write(head + body)
            client.send(PingFrame(0, opaque_data=b"12345678"))
            while (frame := await client.frame()) is not None and not isinstance(frame, PingFrame):
                continue
    await still_serves(served, tls_folder)


@pytest.mark.parametrize(
    ("fields", "method"),
    [
        ([("transfer-encoding", "chunked")], "GET"),
        ([("connection", "close")], "GET"),
        ([("x-bad", "a\r\nx-other: b")], "GET"),
        ([("host", "elsewhere.example.org")], "GET"),
        ([], "GET POST"),
        ([], "CONNECT"),
    ],
)
async def test_malformed_requests(
    fields: list[tuple[str, str]], method: str, served: Served, tls_folder: Path
) -> None:
    async with connected(served.port, tls_folder) as client:
        client.send(client.head(1, "/echo", *fields, method=method))
        found = await client.until(lambda one: isinstance(one, GoAwayFrame | RstStreamFrame))
        assert found.error_code == PROTOCOL_ERROR
    await still_serves(served, tls_folder)


async def test_too_many_streams(tls_folder: Path) -> None:
    async with (
        serving(tls_folder, Edge(limits=EdgeLimits(streams=3))) as served,
        connected(served.port, tls_folder) as client,
    ):
        # Before it can know the limit, a client opens as many as it likes.
        client.send(*(client.head(2 * number + 1, "/held") for number in range(5)))
        for stream_id in (7, 9):
            found = await client.until(is_a(RstStreamFrame))
            assert (found.stream_id, found.error_code) == (stream_id, REFUSED)
        served.go_on.set()
        for stream_id in (1, 3, 5):
            if not any(ends(stream_id)(frame) for frame in client.seen):
                await client.until(ends(stream_id))


async def test_nothing_is_sent_without_a_window(served: Served, tls_folder: Path) -> None:
    async with connected(served.port, tls_folder, begin=False) as client:
        client.settings({SettingsFrame.INITIAL_WINDOW_SIZE: 1000})
        client.send(client.head(1, "/picture"), client.head(3, "/sized?n=900"))
        await client.until(ends(3))
        assert sum(len(frame.data) for frame in client.seen if is_data(1)(frame)) == 1000
        client.open_windows(1)
        await client.until(ends(1))
        assert b"".join(frame.data for frame in client.seen if is_data(1)(frame)) == PICTURE


async def test_a_client_that_does_not_read_holds_the_writer(served: Served, tls_folder: Path) -> None:
    async with connected(served.port, tls_folder) as client:
        client.send(client.head(1, "/large?kib=65536"))
        await client.until(is_data(1))
        await asyncio.sleep(0.3)
        # The window of 64 KiB, what waits for it, and what is on its way.
        assert served.sent_bytes <= 4 << 16
        client.open_windows(1)
        await client.until(ends(1))
        assert sum(len(frame.data) for frame in client.seen if is_data(1)(frame)) == 64 << 20


async def test_an_application_that_does_not_read_holds_the_sender(served: Served, tls_folder: Path) -> None:
    async with connected(served.port, tls_folder) as client:
        client.send(client.head(1, "/unread", method="PUT", end=False))
        await served.running.wait()
        room, sent = 65_535, 0
        stream_room = (await client.until(is_a(SettingsFrame))).settings[SettingsFrame.INITIAL_WINDOW_SIZE]
        room += (await client.until(is_a(WindowUpdateFrame))).window_increment
        client.seen.clear()
        while min(room, stream_room) - sent >= 16_384:
            client.send(DataFrame(1, bytes(16_384)))
            sent += 16_384
        await asyncio.sleep(0.3)
        client.send(PingFrame(0, opaque_data=b"12345678"))
        await client.until(is_a(PingFrame))
        # What aiohttp took into its buffer is given back, the rest is not.
        given = sum(one.window_increment for one in client.seen[2:] if isinstance(one, WindowUpdateFrame))
        assert given + (1 << 18) < sent
        served.go_on.set()
        client.send(DataFrame(1, b"", flags=["END_STREAM"]))
        await client.until(ends(1))
        assert [one.data for one in client.seen if is_data(1)(one)] == [b'{"size": %d}' % sent]


async def test_memory_stays_flat(served: Served, tls_folder: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    async with connected(served.port, tls_folder) as client:
        client.open_windows(0)
        client.send(client.head(1, "/large?kib=65536"))
        size = 0
        while not client.seen or not ends(1)(client.seen[-1]):
            frame = await client.frame()
            assert frame is not None
            client.seen = [frame]
            if isinstance(frame, DataFrame):
                size += len(frame.data)
                client.send(WindowUpdateFrame(1, window_increment=max(1, len(frame.data))))
        assert size == 64 << 20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 << 10


async def test_urgent_pictures_overtake(served: Served, tls_folder: Path) -> None:
    """All wait for a window; the header and PRIORITY_UPDATE decide who gets it."""
    async with connected(served.port, tls_folder, begin=False) as client:
        client.settings({SettingsFrame.INITIAL_WINDOW_SIZE: 0})
        asked = {1: "u=5", 3: "u=3", 5: "u=1", 7: "", 9: "u=7", 11: "u=6, i", 13: "u=6, i"}
        for stream_id, priority in asked.items():
            more = [("priority", priority)] if priority else []
            client.send(client.head(stream_id, f"/picture?n={stream_id}", *more))
        for stream_id in asked:
            await client.until(lambda one, wanted=stream_id: isinstance(one, HeadersFrame) and bool(wanted))
        # The one that was least urgent is now looked at.
        update = (9).to_bytes(4, "big") + b"u=0"
        client.send(Extension(0x10, update))
        client.open_windows(0)
        client.send(SettingsFrame(0, settings={SettingsFrame.INITIAL_WINDOW_SIZE: 1 << 20}))
        await client.until(ends(13))
        if not any(ends(11)(one) for one in client.seen):
            await client.until(ends(11))
        order = [one.stream_id for one in client.seen if isinstance(one, DataFrame)]
        whole = [stream_id for stream_id in dict.fromkeys(order) if stream_id not in (11, 13)]
        assert whole == [9, 5, 3, 7, 1]
        # Each of these was sent in one go, and incremental ones in turns.
        assert order[: order.index(11)] == sorted(order[: order.index(11)], key=whole.index)
        assert order[order.index(11) :][:4] == [11, 13, 11, 13]


async def test_given_up_pictures_send_no_more(served: Served, tls_folder: Path) -> None:
    async with connected(served.port, tls_folder) as client:
        client.send(client.head(1, "/large?kib=65536"))
        await client.until(is_data(1))
        client.send(RstStreamFrame(1, error_code=8))
        client.open_windows(0)
        assert await picture(client, 3) == PICTURE
        # No more than the window of 64 KiB that was open before.
        assert sum(len(one.data) for one in client.seen if is_data(1)(one)) <= 65_535
    assert served.traffic.canceled["2"] == 1


async def test_stalled_answers_are_given_up(tls_folder: Path) -> None:
    async with (
        serving(tls_folder, Edge(limits=EdgeLimits(stall_s=0.5))) as served,
        connected(served.port, tls_folder) as client,
    ):
        client.send(client.head(1, "/large?kib=65536"))
        found = await client.until(is_a(RstStreamFrame))
        assert (found.stream_id, found.error_code) == (1, 8)
        assert served.traffic.ended["stalled"] == 1
        client.open_windows(0)
        assert await picture(client, 3) == PICTURE


async def test_idle_connections_end(tls_folder: Path) -> None:
    async with serving(tls_folder, Edge(limits=EdgeLimits(idle_s=0.5))) as served:
        async with connected(served.port, tls_folder) as client:
            assert await picture(client, 1) == PICTURE
            # Pings keep nobody here.
            client.send(*pings(3))
            assert (await goodbye(client)).error_code == 0
        async with connected(served.port, tls_folder) as client:
            # Headers that never end.
            client.send(HeadersFrame(1, b"\x82", flags=[]))
            await goodbye(client)


async def test_too_many_connections(tls_folder: Path) -> None:
    async with (
        serving(tls_folder, Edge(limits=EdgeLimits(connections=1))) as served,
        connected(served.port, tls_folder) as client,
    ):
        assert await picture(client, 1) == PICTURE
        async with connected(served.port, tls_folder) as other:
            assert await other.rest() == []
        assert served.traffic.ended["connections"] == 1


async def test_goodbye_of_a_client(served: Served, tls_folder: Path) -> None:
    """Who says that it opens no more streams still waits for the answers."""
    async with connected(served.port, tls_folder) as client:
        client.send(client.head(1, "/held"))
        await served.running.wait()
        client.send(GoAwayFrame(0))
        served.go_on.set()
        await client.until(ends(1))
        await client.rest()


async def test_running_requests_are_answered_at_stop(tls_folder: Path) -> None:
    listening = AsyncExitStack()
    served = await listening.enter_async_context(serving(tls_folder))
    async with connected(served.port, tls_folder) as client:
        client.send(client.head(1, "/held"))
        await served.running.wait()
        stopping = asyncio.create_task(listening.aclose())
        found = await client.until(is_a(GoAwayFrame))
        assert (found.last_stream_id, found.error_code) == (1, 0)
        client.send(client.head(3, "/picture"))
        refused = await client.until(is_a(RstStreamFrame))
        assert (refused.stream_id, refused.error_code) == (3, REFUSED)
        served.go_on.set()
        frames = await client.rest()
        await stopping
    assert b"".join(one.data for one in frames if is_data(1)(one)) == b"held"
