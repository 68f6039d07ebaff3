"""A client of HTTP/3 that does what it is told, stream by stream."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aioquic.asyncio.client import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.h3.connection import H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated, QuicEvent, StreamReset

from tests.edge.served import HOST

WAIT_S = 30


class Http3Client(QuicConnectionProtocol):
    """One connection."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.http = H3Connection(self._quic)
        self.heads: dict[int, dict[str, str]] = {}
        self.bodies: defaultdict[int, bytes] = defaultdict(bytes)
        self.order: list[int] = []
        """Streams in the order in which pieces of their bodies came."""
        self.ended: set[int] = set()
        self.resets: dict[int, int] = {}
        self.closed_with: int | None = None
        self.port = 0
        self._changed = asyncio.Event()

    def quic_event_received(self, event: QuicEvent) -> None:
        """As of QUIC protocols."""
        if isinstance(event, StreamReset):
            self.resets[event.stream_id] = event.error_code
        elif isinstance(event, ConnectionTerminated):
            self.closed_with = event.error_code
        for one in self.http.handle_event(event):
            if isinstance(one, HeadersReceived):
                self.heads[one.stream_id] = {name.decode(): value.decode() for name, value in one.headers}
            elif isinstance(one, DataReceived):
                self.bodies[one.stream_id] += one.data
                self.order.append(one.stream_id)
            if getattr(one, "stream_ended", False):
                self.ended.add(one.stream_id)
        self._changed.set()

    def ask(
        self,
        path: str,
        *more: tuple[str, str],
        method: str = "GET",
        body: Sequence[bytes] | None = None,
        end: bool = True,
    ) -> int:
        """Ask for something; returns the stream."""
        stream_id = self._quic.get_next_available_stream_id()
        fields = [
            (":method", method),
            (":scheme", "https"),
            (":path", path),
            (":authority", f"{HOST}:{self.port}"),
        ]
        headers = [(name.encode(), value.encode()) for name, value in (*fields, *more)]
        self.http.send_headers(stream_id, headers, end_stream=end and body is None)
        for number, piece in enumerate(body or ()):
            self.http.send_data(stream_id, piece, end_stream=end and number == len(body or ()) - 1)
        self.transmit()
        return stream_id

    def give_up(self, stream_id: int) -> None:
        """As browsers do when a picture is not wanted any more."""
        self._quic.stop_stream(stream_id, 0x10C)
        self.transmit()

    async def until(self, done: Any) -> None:
        """Wait for something that comes with an event."""
        async with asyncio.timeout(WAIT_S):
            while not done():
                self._changed.clear()
                await self._changed.wait()

    async def answer(self, stream_id: int) -> bytes:
        """The body of the whole answer."""
        await self.until(lambda: stream_id in self.ended or stream_id in self.resets)
        assert stream_id in self.ended, self.resets
        return self.bodies[stream_id]


@asynccontextmanager
async def quic(port: int, ca: Path) -> AsyncIterator[Http3Client]:
    """A connection."""
    configuration = QuicConfiguration(alpn_protocols=["h3"], cafile=str(ca / "ca.pem"), server_name=HOST)
    async with connect(HOST, port, configuration=configuration, create_protocol=Http3Client) as client:
        assert isinstance(client, Http3Client)
        client.port = port
        yield client
