"""HTTP/2 (RFC 9113): one TLS connection, its streams as exchanges with the application."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

import h2.events as happened
from h2.config import H2Configuration
from h2.connection import ConnectionState, H2Connection
from h2.errors import ErrorCodes
from h2.exceptions import DenialOfServiceError, H2Error, ProtocolError
from h2.settings import SettingCodes, Settings
from hyperframe.frame import GoAwayFrame

from sivr.edge.exchange import Exchange
from sivr.edge.heads import Malformed, request_head
from sivr.edge.limits import Bucket
from sivr.edge.priorities import parse_priority
from sivr.edge.site import Site, log

VERSION = "2"
STREAM_WINDOW_BYTES = 1 << 20
CONNECTION_WINDOW_BYTES = 1 << 21
"""What a client may send ahead of the application, so no more than this is held for one connection."""
_BATCH_BYTES = 1 << 15
"""Written to the line at once, and so much waits there before more is held back."""
LINGER_S = 1.0
"""What is sent on after an early answer is thrown away so long: some clients take the end of a stream in the
middle of their sending for a failure, and do not look at the answer."""
_NO_RFC7540_PRIORITIES = 0x9
_PRIORITY_UPDATE = 0x10
_CONTROL_PER_S, _CONTROL_BURST = 100.0, 1000.0
_CONTROL = (
    happened.PingReceived,
    happened.RemoteSettingsChanged,
    happened.PriorityUpdated,
    happened.UnknownFrameReceived,
    happened.WindowUpdated,
)
_UPDATES_PER_FRAME = 4.0


class Http2Connection(asyncio.Protocol):
    """The server's side of one connection."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._loop = asyncio.get_running_loop()
        now = self._loop.time()
        self._h2 = H2Connection(
            H2Configuration(
                client_side=False,
                header_encoding=None,
                validate_outbound_headers=False,
                normalize_outbound_headers=False,
            )
        )
        self._transport: asyncio.Transport | None = None
        self._live: dict[int, Exchange] = {}
        """Whose handler runs."""
        self._sending: dict[int, Exchange] = {}
        """Whose answer waits to be sent, wholly or in part."""
        self._lingering: dict[int, float] = {}
        """Streams that were answered before the request was whole, and until when that is let pass."""
        self._flushing: asyncio.Handle | None = None
        self._paused = False
        self._leaving = self._ended = False
        self._last_stream_id = 0
        self._used_at = self._sent_at = now
        per_s = site.limits.resets_per_s
        self._resets = Bucket(per_s, 10 * per_s, now)
        self._control = Bucket(_CONTROL_PER_S, _CONTROL_BURST, now)
        self._extra: dict[str, Any] = {}
        self._handlers: dict[type[happened.Event], Callable[[Any], None]] = {
            happened.RequestReceived: self._on_request,
            happened.DataReceived: self._on_data,
            happened.StreamEnded: self._on_end,
            happened.StreamReset: self._on_reset,
            happened.ConnectionTerminated: self._on_goaway,
            happened.WindowUpdated: self._on_window,
            happened.RemoteSettingsChanged: self._on_window,
            happened.UnknownFrameReceived: self._on_unknown,
        }

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """As of protocols."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=_BATCH_BYTES)
        names = ("peername", "sockname", "ssl_object", "cipher")
        self._extra = {name: transport.get_extra_info(name) for name in names}
        self._extra |= {"sslcontext": self._site.tls, "http": VERSION}
        self._site.joined(self, VERSION)
        limits = self._site.limits
        self._h2.local_settings = Settings(
            client=False,
            initial_values={
                SettingCodes.ENABLE_PUSH: 0,
                SettingCodes.INITIAL_WINDOW_SIZE: STREAM_WINDOW_BYTES,
                SettingCodes.MAX_HEADER_LIST_SIZE: limits.header_bytes,
                # Unknown to h2, which sends it all the same.
                cast(SettingCodes, _NO_RFC7540_PRIORITIES): 1,
            },
        )
        # In force at once, whether or not the client has said that it knows.
        self._h2.decoder.max_header_list_size = limits.header_bytes
        self._h2.initiate_connection()
        # Apart from the others, which h2 takes to be in force: until it knows the limit, a client that opens
        # more is refused these streams and nothing worse.
        self._h2.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: limits.streams})
        self._h2.increment_flow_control_window(CONNECTION_WINDOW_BYTES - 65_535)
        self._write()
        if self._site.leaving:
            self.leave()

    def data_received(self, data: bytes) -> None:
        """As of protocols."""
        try:
            for event in self._h2.receive_data(data) if not self._ended else ():
                if isinstance(event, _CONTROL) and not self._control.take(self._loop.time()):
                    self._calm("control frames")
                    return
                if handle := self._handlers.get(type(event)):
                    handle(event)
                if self._ended:
                    return
        except DenialOfServiceError:
            self._site.ended("headers", self._peer)
            self._end()
        except (H2Error, ValueError, IndexError):
            # h2 has written why into the GOAWAY that goes out now. The last two: frames that its parser
            # trips over.
            self._site.traffic.ended["protocol"] += 1
            with suppress(ProtocolError):
                self._h2.close_connection(ErrorCodes.PROTOCOL_ERROR)
            self._end()
        else:
            # Acknowledgements, and what the application has answered meanwhile.
            self._flush_soon()

    def eof_received(self) -> bool | None:
        """As of protocols."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """As of protocols."""
        self._transport = None
        if self._flushing is not None:
            self._flushing.cancel()
        self._site.left(self, VERSION)
        for exchange in list((self._live | self._sending).values()):
            if not exchange.answered:
                self._site.traffic.canceled[VERSION] += 1
            exchange.lose("The connection was lost.")
        self._live.clear()
        self._sending.clear()
        self._lingering.clear()

    def pause_writing(self) -> None:
        """As of protocols."""
        self._paused = True

    def resume_writing(self) -> None:
        """As of protocols."""
        self._paused = False
        self._flush()

    # What the listener asks.

    def check(self, now: float) -> None:
        """Close when idle or stalled."""
        limits = self._site.limits
        for stream_id in [one for one, until in self._lingering.items() if now > until]:
            # The rest of the request is of no use to anybody (RFC 9113 section 8.1).
            del self._lingering[stream_id]
            with suppress(ProtocolError):
                self._h2.reset_stream(stream_id, ErrorCodes.NO_ERROR)
            self._flush_soon()
        if not self._live and not self._sending:
            if now - self._used_at > limits.idle_s:
                self.leave()
        elif self._paused and now - self._sent_at > limits.stall_s:
            self._site.ended("stalled", self._peer)
            self.abort()
        else:
            for exchange in list(self._sending.values()):
                stuck = exchange.waiting_bytes and now - exchange.moved_at > limits.stall_s
                if stuck and self._window(exchange) <= 0:
                    self._site.ended("stalled", self._peer)
                    self._reset(exchange, ErrorCodes.CANCEL)
            self._flush_soon()

    def leave(self) -> None:
        """Take no further request; close when all are answered."""
        if not self._leaving and self._transport is not None:
            self._leaving = True
            # By hand: h2 sends nothing more after its own GOAWAY, but streams that run shall be answered.
            frame = GoAwayFrame(0)
            frame.last_stream_id = self._last_stream_id
            frame.error_code = ErrorCodes.NO_ERROR
            self._write()
            self._transport.write(frame.serialize())
        self._close_if_done()

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    # Carrier, for exchanges.

    def ready(self, exchange: Exchange) -> None:
        """As of carriers."""
        if self._transport is not None and not exchange.answered:
            self._sending[exchange.stream_id] = exchange
            self._flush_soon()

    def taken(self, exchange: Exchange, size: int) -> None:
        """As of carriers: the client may send so much more."""
        if self._transport is not None and size:
            try:
                self._h2.acknowledge_received_data(size, exchange.stream_id)
            except H2Error:
                return
            self._flush_soon()

    def broken(self, exchange: Exchange) -> None:
        """As of carriers."""
        self._reset(exchange, ErrorCodes.INTERNAL_ERROR)

    def over(self, exchange: Exchange) -> None:
        """As of carriers."""
        self._live.pop(exchange.stream_id, None)
        self._used_at = self._loop.time()
        self._close_if_done()

    # Events of h2.

    def _on_request(self, event: happened.RequestReceived) -> None:
        stream_id = event.stream_id
        assert event.headers is not None and stream_id is not None
        if self._leaving:
            self._h2.reset_stream(stream_id, ErrorCodes.REFUSED_STREAM)
            return
        self._last_stream_id = stream_id
        if len(self._live) >= self._site.limits.streams:
            self._refuse(stream_id, ErrorCodes.REFUSED_STREAM)
            return
        ended = event.stream_ended is not None
        try:
            head = request_head(cast(Any, event.headers), has_body=not ended)
        except Malformed:
            self._refuse(stream_id, ErrorCodes.PROTOCOL_ERROR)
            return
        now = self._loop.time()
        exchange = Exchange(self, stream_id, head, self._site.stream_handler(), self._extra, now)
        exchange.request_ended = ended
        self._live[stream_id] = exchange
        self._used_at = now
        exchange.start()

    def _on_data(self, event: happened.DataReceived) -> None:
        assert event.stream_id is not None and event.data is not None
        size = event.flow_controlled_length or 0
        if not event.data and event.stream_ended is None and not self._control.take(self._loop.time()):
            self._calm("control frames")
            return
        exchange = self._live.get(event.stream_id)
        if exchange is not None:
            exchange.receive(event.data, size)
        elif size:
            self._h2.acknowledge_received_data(size, event.stream_id)

    def _on_end(self, event: happened.StreamEnded) -> None:
        self._lingering.pop(event.stream_id or 0, None)
        exchange = self._live.get(event.stream_id or 0)
        if exchange is not None and not exchange.request_ended:
            exchange.receive_end()

    def _on_reset(self, event: happened.StreamReset) -> None:
        exchange = self._find(event.stream_id or 0)
        self._sending.pop(event.stream_id or 0, None)
        self._lingering.pop(event.stream_id or 0, None)
        if exchange is not None and not exchange.answered:
            self._site.traffic.canceled[VERSION] += 1
            exchange.lose("The client gave the request up.")
            self._count_reset()

    def _on_goaway(self, event: happened.ConnectionTerminated) -> None:
        if event.error_code:
            self._end()
            return
        # The client opens no more but waits for answers; h2 takes the connection for closed.
        self._h2.state_machine.state = ConnectionState.SERVER_OPEN
        self._leaving = True
        self._close_if_done()

    def _on_window(self, event: happened.Event) -> None:
        if self._sending:
            self._flush_soon()

    def _on_unknown(self, event: happened.UnknownFrameReceived) -> None:
        frame = cast(Any, event.frame)
        if frame.type == _PRIORITY_UPDATE and frame.stream_id == 0 and len(frame.body) >= 4:
            # RFC 9218 section 7.1
            exchange = self._find(int.from_bytes(frame.body[:4], "big") & 0x7FFFFFFF)
            if exchange is not None:
                exchange.priority = parse_priority(frame.body[4:])

    def _find(self, stream_id: int) -> Exchange | None:
        """The exchange of a stream; the application may be done with it while its answer is being sent."""
        return self._live.get(stream_id) or self._sending.get(stream_id)

    # Ending things early.

    def _refuse(self, stream_id: int, error: ErrorCodes) -> None:
        self._h2.reset_stream(stream_id, error)
        self._count_reset()

    def _reset(self, exchange: Exchange, error: ErrorCodes) -> None:
        """End a stream before its answer is whole."""
        self._sending.pop(exchange.stream_id, None)
        if self._transport is None or exchange.answered:
            return
        exchange.answered = True
        try:
            self._h2.reset_stream(exchange.stream_id, error)
        except ProtocolError:
            return  # It is closed already.
        exchange.lose("The answer could not be sent.")
        self._flush_soon()

    def _count_reset(self) -> None:
        """Whoever opens streams only to have them closed lets us work for nothing (CVE-2023-44487)."""
        if not self._resets.take(self._loop.time()):
            self._calm("resets")

    def _calm(self, limit: str) -> None:
        if self._transport is not None:
            self._site.ended(limit, self._peer)
            self._h2.close_connection(ErrorCodes.ENHANCE_YOUR_CALM)
            self._end()

    def _end(self) -> None:
        """Send what h2 has to say, and close."""
        if self._transport is not None and not self._ended:
            self._ended = True
            self._write()
            self._transport.close()

    def _close_if_done(self) -> None:
        if self._leaving and not self._live and not self._sending and self._transport is not None:
            self._end()

    @property
    def _peer(self) -> str:
        peer = self._extra.get("peername") or ("",)
        return str(peer[0])

    # Sending.

    def _window(self, exchange: Exchange) -> int:
        return self._h2.local_flow_control_window(exchange.stream_id)

    def _flush_soon(self) -> None:
        if self._flushing is None and self._transport is not None:
            self._flushing = self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        """Send heads, then bodies, the most important first, as far as windows and the line allow."""
        self._flushing = None
        if self._transport is None or self._ended:
            return
        try:
            self._send_all()
        except H2Error:
            # h2 and we differ about a stream: better no connection than answers in doubt.
            log.exception("HTTP/2", extra={"peer": self._peer})
            self.abort()
            return
        self._close_if_done()

    def _send_all(self) -> None:
        for exchange in list(self._sending.values()):
            if exchange.heads:
                self._send_heads(exchange)
        batch = 0
        while not self._paused and (first := self._next()) is not None:
            batch += self._send_piece(first)
            if batch >= _BATCH_BYTES:
                self._write()
                batch = 0
        self._write()

    def _next(self) -> Exchange | None:
        able = [
            one
            for one in self._sending.values()
            if (one.waiting_bytes and self._window(one) > 0) or (one.ended and not one.waiting_bytes)
        ]
        return min(able, key=lambda one: one.turn, default=None)

    def _send_heads(self, exchange: Exchange) -> None:
        while exchange.heads:
            status, fields = exchange.heads.popleft()
            final = status >= 200
            ended = final and exchange.ended and not exchange.waiting_bytes
            self._h2.send_headers(
                exchange.stream_id, [(b":status", b"%d" % status), *fields], end_stream=ended
            )
            if ended:
                self._answered(exchange)
        if not exchange.answered and not exchange.waiting_bytes and not exchange.ended:
            del self._sending[exchange.stream_id]

    def _send_piece(self, exchange: Exchange) -> int:
        size = min(self._window(exchange), self._h2.max_outbound_frame_size, _BATCH_BYTES)
        pieces = exchange.take(size)
        data: Any = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        ended = exchange.ended and not exchange.waiting_bytes
        self._h2.send_data(exchange.stream_id, data, end_stream=ended)
        exchange.moved_at = self._sent_at = self._loop.time()
        self._control.give(_UPDATES_PER_FRAME)
        if ended:
            self._answered(exchange)
        elif not exchange.waiting_bytes:
            del self._sending[exchange.stream_id]
        return len(data)

    def _answered(self, exchange: Exchange) -> None:
        exchange.answered = True
        self._sending.pop(exchange.stream_id, None)
        if not exchange.request_ended:
            self._lingering[exchange.stream_id] = self._loop.time() + LINGER_S

    def _write(self) -> None:
        if self._transport is not None and (data := self._h2.data_to_send()):
            self._transport.write(data)
