"""HTTP/3 (RFC 9114): one QUIC connection, its streams as exchanges with the application.

aioquic's own flow control gives a client room as it sends, not as the application reads, so bodies are
bounded here. Names of aioquic that begin with an underscore are used as its own examples use them, and to see
how much of an answer it still holds; the tests would tell if they changed.
"""

from __future__ import annotations

from typing import Any

from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.buffer import encode_uint_var
from aioquic.h3.connection import ErrorCode, FrameType, H3Connection, Setting, encode_frame
from aioquic.h3.events import DataReceived, H3Event, HeadersReceived
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import (
    ConnectionTerminated,
    HandshakeCompleted,
    QuicEvent,
    StopSendingReceived,
    StreamDataReceived,
    StreamReset,
)

from sivr.edge.exchange import Exchange
from sivr.edge.heads import Malformed, request_head
from sivr.edge.limits import Bucket
from sivr.edge.site import Site

VERSION = "3"
UNREAD_BYTES = 4 << 20
"""Bodies of one connection that the application has not read yet."""
_PIECE_BYTES = 1 << 14


class _Http3(H3Connection):
    """What is offered: requests and answers, nothing tunneled."""

    header_bytes = 1 << 16

    def _get_local_settings(self) -> dict[int, int]:
        settings: dict[int, int] = super()._get_local_settings()
        settings.pop(Setting.ENABLE_CONNECT_PROTOCOL, None)
        settings[Setting.MAX_FIELD_SECTION_SIZE] = self.header_bytes
        return settings


class Http3Connection(QuicConnectionProtocol):
    """The server's side of one connection."""

    def __init__(self, quic: QuicConnection, site: Site, *, refused: bool = False) -> None:
        super().__init__(quic)
        self._site = site
        self._refused = refused
        self._http: _Http3 | None = None
        self._live: dict[int, Exchange] = {}
        """Whose handler runs."""
        self._sending: dict[int, Exchange] = {}
        """Whose answer waits to be sent, wholly or in part."""
        self._fed: set[int] = set()
        """Streams of which QUIC may hold bytes that were never sent."""
        self._lingering: dict[int, int] = {}
        """Streams that were answered before the request was whole, and how much of it may still come."""
        self._unread_bytes = 0
        self._leaving = self._gone = False
        now = self._loop.time()
        self._used_at = now
        self._next_stream_id = 0
        per_s = site.limits.resets_per_s
        self._resets = Bucket(per_s, 10 * per_s, now)
        self._extra: dict[str, Any] = {}
        site.joined(self, VERSION)

    # QuicConnectionProtocol

    def quic_event_received(self, event: QuicEvent) -> None:
        """As of QUIC protocols."""
        if isinstance(event, HandshakeCompleted):
            self._begin()
        elif isinstance(event, ConnectionTerminated):
            self._lost()
        if self._http is None or self._gone:
            return
        for one in self._http.handle_event(event):
            self._on_http(one)
        if isinstance(event, StreamDataReceived):
            if self._gathers_too_much(event.stream_id):
                self._calm("headers")
        elif isinstance(event, StreamReset | StopSendingReceived):
            self._on_reset(event)

    def transmit(self) -> None:
        """As of QUIC protocols: what QUIC holds first, then what waits for it, piece by piece."""
        self._feed()
        super().transmit()
        while self._feed():
            super().transmit()

    def _begin(self) -> None:
        # Where the handshake ended: the one address that is proven to be the client's.
        peer = self._quic.get_peer_address()
        sockname = self._transport.get_extra_info("sockname") if self._transport else None
        self._extra = {
            "peername": peer,
            "sockname": sockname,
            "sslcontext": self._site.tls,
            "http": VERSION,
            "body_limit_bytes": self._site.limits.h3_body_bytes,
        }
        if self._refused or self._site.leaving:
            self._quic.close(error_code=ErrorCode.H3_EXCESSIVE_LOAD, reason_phrase="full")
            return
        self._http = _Http3(self._quic)

    def _lost(self) -> None:
        self._gone = True
        self._site.left(self, VERSION)
        for exchange in list((self._live | self._sending).values()):
            if not exchange.answered:
                self._site.traffic.canceled[VERSION] += 1
            exchange.lose("The connection was lost.")
        self._live.clear()
        self._sending.clear()

    # What the listener asks.

    def check(self, now: float) -> None:
        """Close when idle; QUIC's own idle timeout sees to clients that are gone."""
        limits = self._site.limits
        if not self._live and not self._sending:
            if now - self._used_at > limits.idle_s:
                self.leave()
        else:
            for exchange in list(self._sending.values()):
                if exchange.waiting_bytes and now - exchange.moved_at > limits.stall_s:
                    self._site.ended("stalled", self._peer)
                    self._reset(exchange, ErrorCode.H3_REQUEST_CANCELLED)
        if self._leaving:
            self._close_if_done()

    def leave(self) -> None:
        """Take no further request; close when all are answered."""
        if not self._leaving and self._http is not None and not self._gone:
            self._leaving = True
            frame = encode_frame(FrameType.GOAWAY, encode_uint_var(self._next_stream_id))
            control = self._http._local_control_stream_id
            assert control is not None
            self._quic.send_stream_data(control, frame)
            self._transmit_soon()
        elif self._http is None:
            self.abort()
        self._close_if_done()

    def abort(self) -> None:
        """Close at once."""
        if not self._gone:
            self.close(error_code=ErrorCode.H3_NO_ERROR)

    # Carrier, for exchanges.

    def ready(self, exchange: Exchange) -> None:
        """As of carriers."""
        if not self._gone and not exchange.answered:
            self._sending[exchange.stream_id] = exchange
            self._transmit_soon()

    def taken(self, exchange: Exchange, size: int) -> None:
        """As of carriers."""
        self._unread_bytes -= size

    def broken(self, exchange: Exchange) -> None:
        """As of carriers."""
        self._reset(exchange, ErrorCode.H3_INTERNAL_ERROR)

    def over(self, exchange: Exchange) -> None:
        """As of carriers."""
        self._live.pop(exchange.stream_id, None)
        self._used_at = self._loop.time()
        self._close_if_done()

    # Events.

    def _gathers_too_much(self, stream_id: int) -> bool:
        """Whether the frame that aioquic keeps until it is whole is larger than headers may be."""
        stream = self._http._stream.get(stream_id) if self._http is not None else None
        return stream is not None and len(stream.buffer) > self._site.limits.header_bytes

    def _on_http(self, event: H3Event) -> None:
        if isinstance(event, HeadersReceived):
            if event.stream_id in self._live:
                if event.stream_ended:
                    self._live[event.stream_id].receive_end()
            else:
                self._on_request(event)
        elif isinstance(event, DataReceived):
            exchange = self._live.get(event.stream_id)
            if exchange is None or exchange.answered:
                self._discard(event)
                return
            limit = self._site.limits.h3_body_bytes
            self._unread_bytes += len(event.data)
            if event.data:
                exchange.receive(event.data, len(event.data))
            if event.stream_ended:
                exchange.receive_end()
            if self._unread_bytes > UNREAD_BYTES:
                self._calm("bodies")
            elif exchange.received_bytes > limit:
                # The application was told the limit; this one did not say how much it would send.
                self._site.ended("body", self._peer)
                self._reset(exchange, ErrorCode.H3_REQUEST_REJECTED)

    def _discard(self, event: DataReceived) -> None:
        """The rest of a request that is answered is thrown away, as far as a body may go.

        Chromium takes no answer before it has sent all, and waits for ever when it is told to stop.
        """
        if event.stream_id not in self._lingering:
            return
        self._lingering[event.stream_id] -= len(event.data)
        if event.stream_ended:
            del self._lingering[event.stream_id]
        elif self._lingering[event.stream_id] < 0:
            del self._lingering[event.stream_id]
            self._stop(event.stream_id, ErrorCode.H3_NO_ERROR)

    def _on_request(self, event: HeadersReceived) -> None:
        stream_id = event.stream_id
        if self._leaving:
            self._refuse(stream_id)
            return
        self._next_stream_id = max(self._next_stream_id, stream_id + 4)
        if len(self._live) >= self._site.limits.streams:
            self._refuse(stream_id)
            self._count_reset()
            return
        if sum(len(name) + len(value) + 32 for name, value in event.headers) > self._site.limits.header_bytes:
            self._calm("headers")
            return
        try:
            head = request_head(event.headers, has_body=not event.stream_ended)
        except Malformed:
            self._refuse(stream_id, ErrorCode.H3_MESSAGE_ERROR)
            self._count_reset()
            return
        if head.length is not None and head.length > self._site.limits.h3_body_bytes:
            # Browsers send it again by TCP, at once; an answer they would take only after the whole body.
            self._site.ended("body", self._peer)
            self._refuse(stream_id, ErrorCode.H3_VERSION_FALLBACK)
            return
        now = self._loop.time()
        exchange = Exchange(self, stream_id, head, self._site.stream_handler(), self._extra, now)
        exchange.request_ended = event.stream_ended
        self._live[stream_id] = exchange
        self._used_at = now
        exchange.start()

    def _on_reset(self, event: StreamReset | StopSendingReceived) -> None:
        # The application may be done with it while its answer is being sent.
        exchange = self._live.get(event.stream_id) or self._sending.get(event.stream_id)
        self._sending.pop(event.stream_id, None)
        self._lingering.pop(event.stream_id, None)
        if exchange is None or exchange.answered:
            return
        exchange.answered = True
        self._quic.reset_stream(event.stream_id, ErrorCode.H3_REQUEST_CANCELLED)
        self._stop(event.stream_id, ErrorCode.H3_REQUEST_CANCELLED)
        self._site.traffic.canceled[VERSION] += 1
        exchange.lose("The client gave the request up.")
        self._count_reset()

    # Ending things early.

    def _refuse(self, stream_id: int, error: int = ErrorCode.H3_REQUEST_REJECTED) -> None:
        self._quic.reset_stream(stream_id, error)
        self._stop(stream_id, error)

    def _reset(self, exchange: Exchange, error: int) -> None:
        """End a stream before its answer is whole."""
        self._sending.pop(exchange.stream_id, None)
        if self._gone or exchange.answered:
            return
        exchange.answered = True
        self._refuse(exchange.stream_id, error)
        exchange.lose("The answer could not be sent.")
        self._transmit_soon()

    def _stop(self, stream_id: int, error: int) -> None:
        stream = self._quic._streams.get(stream_id)
        if stream is not None and not stream.receiver.is_finished:
            self._quic.stop_stream(stream_id, error)

    def _count_reset(self) -> None:
        if not self._resets.take(self._loop.time()):
            self._calm("resets")

    def _calm(self, limit: str) -> None:
        self._site.ended(limit, self._peer)
        self._quic.close(error_code=ErrorCode.H3_EXCESSIVE_LOAD, reason_phrase=limit)
        self._transmit_soon()

    def _close_if_done(self) -> None:
        if self._leaving and not self._live and not self._sending and not self._gone and not self._holding():
            self.close(error_code=ErrorCode.H3_NO_ERROR)

    @property
    def _peer(self) -> str:
        peer = self._extra.get("peername") or ("",)
        return str(peer[0])

    # Sending.

    def _holding(self) -> bool:
        """Whether QUIC holds bytes that were never sent, and could be as far as their stream goes."""
        for stream_id in list(self._fed):
            stream = self._quic._streams.get(stream_id)
            if stream is None or stream.sender.buffer_is_empty:
                self._fed.discard(stream_id)
            elif stream.sender.next_offset >= stream.sender._buffer_stop:
                # All was sent; QUIC will notice when it looks for more.
                self._fed.discard(stream_id)
            elif stream.sender.next_offset < stream.max_stream_data_remote:
                return True
        return False

    def _feed(self) -> bool:
        """Give QUIC the next piece of the most important answer, once it has sent what it was given."""
        if self._http is None or self._gone:
            return False
        for exchange in list(self._sending.values()):
            if exchange.heads:
                self._send_heads(exchange)
        if not self._sending or self._holding():
            return False
        able = [
            one
            for one in self._sending.values()
            if one.stream_id not in self._fed and (one.waiting_bytes or one.ended)
        ]
        if not able:
            return False
        exchange = min(able, key=lambda one: one.turn)
        data = b"".join(exchange.take(_PIECE_BYTES))
        ended = exchange.ended and not exchange.waiting_bytes
        self._http.send_data(exchange.stream_id, data, end_stream=ended)
        self._fed.add(exchange.stream_id)
        exchange.moved_at = self._loop.time()
        if ended:
            self._answered(exchange)
        elif not exchange.waiting_bytes:
            del self._sending[exchange.stream_id]
        return True

    def _send_heads(self, exchange: Exchange) -> None:
        assert self._http is not None
        while exchange.heads:
            status, fields = exchange.heads.popleft()
            ended = status >= 200 and exchange.ended and not exchange.waiting_bytes
            self._http.send_headers(exchange.stream_id, [(b":status", b"%d" % status), *fields], ended)
            if ended:
                self._answered(exchange)
        if not exchange.answered and not exchange.waiting_bytes and not exchange.ended:
            self._sending.pop(exchange.stream_id, None)

    def _answered(self, exchange: Exchange) -> None:
        exchange.answered = True
        self._sending.pop(exchange.stream_id, None)
        if not exchange.request_ended:
            left = self._site.limits.h3_body_bytes - exchange.received_bytes
            self._lingering[exchange.stream_id] = left
