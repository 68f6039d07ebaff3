"""One request and its answer: a connection in memory between aiohttp and a stream of HTTP/2 or HTTP/3.

aiohttp sees an HTTP/1.1 connection that brings one request, so everything it does for those (limits,
cancellation when the client goes, slow senders, back-pressure both ways) holds for every protocol alike.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Any, Protocol

from aiohttp import web

from sivr.edge.answers import AnswerReader, Fields
from sivr.edge.heads import RequestHead
from sivr.edge.priorities import turn

_HIGH_BYTES = 1 << 16
"""So much of an answer may wait to be sent before its writer is told to wait."""
_LOW_BYTES = 1 << 14


class Carrier(Protocol):
    """The connection that carries exchanges, as one of them sees it."""

    def ready(self, exchange: Exchange) -> None:
        """Something of the answer waits to be sent."""

    def taken(self, exchange: Exchange, size: int) -> None:
        """So many bytes of the request's body have reached the application."""

    def broken(self, exchange: Exchange) -> None:
        """The answer ends before it is whole."""

    def over(self, exchange: Exchange) -> None:
        """The application is done with the request."""


class Exchange(asyncio.Transport):
    """aiohttp's transport for one request."""

    def __init__(
        self,
        carrier: Carrier,
        stream_id: int,
        head: RequestHead,
        handler: web.RequestHandler,
        extra: dict[str, Any],
        now: float,
    ) -> None:
        super().__init__(extra)
        self.stream_id = stream_id
        self.priority = head.priority
        self.served = 0
        """How often a piece of the answer was sent."""
        self.moved_at = now
        """When the answer moved last."""
        self.heads: deque[tuple[int, Fields]] = deque()
        """Heads that wait to be sent: interim ones and the answer's."""
        self.waiting_bytes = 0
        """Of the answer's body, waiting to be sent."""
        self.ended = False
        """Whether the whole answer was written."""
        self.answered = False
        """Set by the carrier when the whole answer was sent."""
        self.request_ended = False
        """Whether the whole request came."""
        self.received_bytes = 0
        self._carrier = carrier
        self._head = head
        self._handler: web.RequestHandler | None = handler
        self._loop = asyncio.get_running_loop()
        self._pieces: deque[memoryview] = deque()
        self._reader = AnswerReader(head.method, self._on_head, self._on_piece, self._on_end)
        self._unread: deque[tuple[bytes, int]] = deque()
        self._reading = True
        self._writing_paused = False
        self._closing = False

    @property
    def turn(self) -> tuple[int, bool, int]:
        """What the exchanges of one connection are sorted by."""
        return turn(self.priority, self.stream_id, self.served)

    def start(self) -> None:
        """Give the request's head to the application."""
        if self._handler is not None:
            self._handler.connection_made(self)
            self._handler.data_received(self._head.text)

    # What comes from the client.

    def receive(self, data: bytes, credit: int) -> None:
        """Bytes of the body; ``credit`` of them are given back to the client when they are read."""
        self.received_bytes += len(data)
        if self._handler is None or self.answered:
            self._carrier.taken(self, credit)
        elif self._reading and not self._unread:
            self._deliver(data, credit)
        else:
            self._unread.append((data, credit))

    def receive_end(self) -> None:
        """The body is whole."""
        self.request_ended = True
        if self._head.chunked:
            self.receive(b"", 0)

    def lose(self, reason: str) -> None:
        """The client is gone, or wants no answer any more: the handler is canceled."""
        self._drop()
        self._disconnect(ConnectionResetError(reason))

    def _deliver(self, data: bytes, credit: int) -> None:
        if self._handler is not None:
            if self._head.chunked:
                # An empty chunk is the last one.
                data = b"%x\r\n%b\r\n" % (len(data), data)
            self._handler.data_received(data)
        if credit:
            self._carrier.taken(self, credit)

    def _deliver_unread(self) -> None:
        while self._unread and self._reading:
            self._deliver(*self._unread.popleft())

    # What goes to the client.

    def take(self, size: int) -> list[memoryview]:
        """The next bytes of the body, at most so many; the carrier sends them."""
        found: list[memoryview] = []
        while size > 0 and self._pieces:
            piece = self._pieces[0]
            if len(piece) > size:
                self._pieces[0] = piece[size:]
                piece = piece[:size]
            else:
                self._pieces.popleft()
            size -= len(piece)
            self.waiting_bytes -= len(piece)
            found.append(piece)
        self.served += 1
        if self._writing_paused and self.waiting_bytes <= _LOW_BYTES:
            self._writing_paused = False
            if self._handler is not None:
                self._handler.resume_writing()
        return found

    def _on_head(self, status: int, fields: Fields) -> None:
        self.heads.append((status, fields))

    def _on_piece(self, piece: memoryview) -> None:
        self._pieces.append(piece)
        self.waiting_bytes += len(piece)

    def _on_end(self) -> None:
        self.ended = True

    def _drop(self) -> None:
        """Forget what has not been sent or read."""
        self._pieces.clear()
        self.heads.clear()
        self.waiting_bytes = 0
        while self._unread:
            _, credit = self._unread.popleft()
            self._carrier.taken(self, credit)

    def _disconnect(self, error: Exception | None) -> None:
        handler, self._handler = self._handler, None
        self._closing = True
        if handler is not None:
            handler.connection_lost(error)
            self._carrier.over(self)

    # asyncio.Transport, for aiohttp.

    def write(self, data: Any) -> None:
        """As of transports."""
        if self._handler is None or self._reader.done:
            return
        # Who gives bytes cannot change them; anything else may be used again by the writer.
        self._reader.feed(data if type(data) is bytes else bytes(data))
        self._carrier.ready(self)
        if self.waiting_bytes > _HIGH_BYTES and not self._writing_paused:
            self._writing_paused = True
            self._handler.pause_writing()

    def writelines(self, list_of_data: Iterable[Any]) -> None:
        """As of transports."""
        for data in list_of_data:
            self.write(data)

    def close(self) -> None:
        """aiohttp is done with the request."""
        if self._closing:
            return
        self._closing = True
        if not self._reader.feed_eof():
            self._carrier.broken(self)
        else:
            self._carrier.ready(self)
        self._loop.call_soon(self._disconnect, None)

    def abort(self) -> None:
        """As of transports."""
        self.close()

    def is_closing(self) -> bool:
        """As of transports."""
        return self._closing

    def pause_reading(self) -> None:
        """As of transports."""
        self._reading = False

    def resume_reading(self) -> None:
        """As of transports."""
        self._reading = True
        if self._unread:
            self._loop.call_soon(self._deliver_unread)

    def is_reading(self) -> bool:
        """As of transports."""
        return self._reading and not self._closing

    def get_write_buffer_size(self) -> int:
        """As of transports."""
        return self.waiting_bytes

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """They are fixed."""

    def can_write_eof(self) -> bool:
        """As of transports."""
        return False
