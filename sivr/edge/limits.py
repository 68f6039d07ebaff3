"""What a stranger may ask of the listener: the limits of one address, and how often is too often."""

from __future__ import annotations

import msgspec


class EdgeLimits(msgspec.Struct, frozen=True):
    """Limits of one address; the defaults are those of the YAML."""

    connections: int = 4096
    """Open at once, all protocols together; more are closed at once."""
    header_bytes: int = 65_536
    """Names and values of all headers of one request, with 32 bytes for each (RFC 9113 section 6.5.2)."""
    streams: int = 100
    """Requests at once on one connection of HTTP/2 or HTTP/3."""
    resets_per_s: float = 100.0
    """Requests that a client gives up, on one connection; ten seconds' worth may come at once."""
    idle_s: float = 75.0
    """A connection without a request is closed after so long."""
    stall_s: float = 60.0
    """So long an answer may wait for a client that reads nothing of it."""
    h3_connections: int = 32
    """HTTP/3 connections at once; further ones are refused, and browsers stay with TCP."""
    h3_body_bytes: int = 1 << 20
    """Largest body of a request over HTTP/3; larger ones are sent to TCP (421)."""


class Bucket:
    """Tokens that come back at a steady rate, up to a burst."""

    def __init__(self, per_s: float, burst: float, now: float) -> None:
        self._per_s = per_s
        self._burst = burst
        self._left = burst
        self._at = now

    def take(self, now: float, count: float = 1.0) -> bool:
        """Take tokens; False when there are not so many."""
        self._left = min(self._burst, self._left + (now - self._at) * self._per_s) - count
        self._at = now
        return self._left >= 0.0

    def give(self, count: float) -> None:
        """Put tokens in, as a reward for work that explains what will be taken."""
        self._left = min(self._burst, self._left + count)
