"""A slow line to a server on this machine: a TCP proxy with a bandwidth and a delay each way.

Bytes leave no sooner than a line of that bandwidth would have carried everything before them, and arrive half
the round trip later. All connections share the line, as all that a browser opens do. TLS goes through
untouched.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import msgspec

PIECE_BYTES = 1400
"""As much as a packet carries."""
IN_FLIGHT_BYTES = 256 * 1024
"""What the line holds before the sender must wait: so much lies in the buffers of a network."""


_END_S = 1.0


class Profile(msgspec.Struct, frozen=True):
    """A kind of line."""

    name: str
    down_bits_s: float
    """From the server; 0 is no limit."""
    up_bits_s: float
    round_trip_ms: float


NO_LIMIT = Profile("none", 0.0, 0.0, 0.0)
LINES = (
    NO_LIMIT,
    Profile("2G", 750_000.0, 250_000.0, 100.0),
    Profile("4G", 4_000_000.0, 3_000_000.0, 20.0),
)
"""The network profiles that the paper set in Chromium."""


class Direction:
    """One way of the line, shared by all connections."""

    def __init__(self, bits_s: float, delay_s: float) -> None:
        self._bytes_s = bits_s / 8
        self.delay_s = delay_s
        self._free_at = 0.0

    def delay_now(self) -> float:
        """Seconds that a packet given now would need."""
        return max(0.0, self._free_at - asyncio.get_running_loop().time()) + self.delay_s

    def departure(self, now: float, size: int) -> float:
        """When the last of so many bytes has left, given at ``now`` (seconds); they take their turn."""
        begin = max(now, self._free_at)
        self._free_at = begin + (size / self._bytes_s if self._bytes_s else 0.0)
        return self._free_at


class Line:
    """The proxy; use ``open_line``."""

    def __init__(self, host: str, port: int, profile: Profile) -> None:
        self._host, self._port = host, port
        self.url = ""
        """Under which the server is reached over the line."""
        delay_s = profile.round_trip_ms / 2000
        self.down = Direction(profile.down_bits_s, delay_s)
        self.up = Direction(profile.up_bits_s, delay_s)
        self._tasks: set[asyncio.Task[None]] = set()

    async def round_trip_ms(self) -> float:
        """What a packet would need now, there and back: it waits for what is on the line already."""
        return 1000 * (self.up.delay_now() + self.down.delay_now())

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection until either side ends it."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._carry(reader, writer)
        except (OSError, asyncio.CancelledError):
            # Nobody waits for this task: what it was told by canceling it, it has done.
            pass
        finally:
            writer.close()
            await _end(writer)
            self._tasks.discard(task)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(self._host, self._port)
        ways = [
            asyncio.create_task(_pour(reader, far_writer, self.up)),
            asyncio.create_task(_pour(far_reader, writer, self.down)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            # Before anything is waited for: this task may be canceled a second time.
            far_writer.close()
            await asyncio.gather(*ways, return_exceptions=True)
            await _end(far_writer)

    async def close(self) -> None:
        """End every connection."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _end(writer: asyncio.StreamWriter) -> None:
    """Send what is left and close; whoever does not take it in time goes without."""
    writer.close()
    with contextlib.suppress(OSError, TimeoutError):
        await asyncio.wait_for(writer.wait_closed(), _END_S)
        return
    writer.transport.abort()


async def _pour(source: asyncio.StreamReader, target: asyncio.StreamWriter, way: Direction) -> None:
    """Move bytes from one end to the other at the pace of the line until the source ends."""
    loop = asyncio.get_running_loop()
    room = asyncio.Semaphore(IN_FLIGHT_BYTES // PIECE_BYTES)
    flying: asyncio.Queue[tuple[float, bytes] | None] = asyncio.Queue()

    async def land() -> None:
        while (piece := await flying.get()) is not None:
            arrives, body = piece
            if (wait := arrives - loop.time()) > 0:
                await asyncio.sleep(wait)
            target.write(body)
            await target.drain()
            room.release()

    landing = asyncio.create_task(land())
    try:
        while body := await source.read(PIECE_BYTES if way.delay_s else 1 << 16):
            await room.acquire()
            flying.put_nowait((way.departure(loop.time(), len(body)) + way.delay_s, body))
        flying.put_nowait(None)
        await landing
        with contextlib.suppress(OSError, RuntimeError):
            target.write_eof()
    finally:
        landing.cancel()


@asynccontextmanager
async def open_line(url: str, profile: Profile) -> AsyncIterator[Line]:
    """A line to the server of this URL."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    line = Line(parts.hostname, parts.port or 443, profile)
    server = await asyncio.start_server(line.accept, "127.0.0.1", 0, limit=1 << 16)
    port = server.sockets[0].getsockname()[1]
    try:
        line.url = f"{parts.scheme}://{parts.hostname}:{port}{parts.path}"
        yield line
    finally:
        server.close()
        await line.close()
        await server.wait_closed()
