"""Heads of requests from HTTP/2 and HTTP/3 fields to the text of HTTP/1.1, with nothing smuggled in."""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from sivr.edge.priorities import DEFAULT, Priority, parse_priority

_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+")
_METHOD = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
# Printable ASCII without spaces, as in a request line; an IRI that was not encoded is refused.
_TARGET = re.compile(rb"(?:/[!-~]*|\*)")
_AUTHORITY = re.compile(rb"[A-Za-z0-9.\-_~:\[\]%]+")
_FORBIDDEN_IN_VALUE = re.compile(rb"[\x00\r\n]")
_PSEUDO = frozenset((b":method", b":scheme", b":path", b":authority"))
# They speak of a connection, and here is none of that kind (RFC 9113 section 8.2.2).
_OF_CONNECTIONS = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade", b"te")
)


class Malformed(Exception):
    """A request that no correct client sends; it has no answer but the end of its stream."""


class RequestHead(msgspec.Struct, frozen=True):
    """What is known of a request before its body."""

    text: bytes
    """The head in HTTP/1.1, blank line included."""
    method: bytes
    length: int | None
    """Of the body as the client told it, bytes."""
    chunked: bool
    """Whether the body follows in chunks, because nobody told its length."""
    priority: Priority


def request_head(fields: Iterable[tuple[bytes, bytes]], *, has_body: bool) -> RequestHead:
    """The head of a request; raises Malformed. Several Cookie fields become one (RFC 9113 section 8.2.3)."""
    pseudo: dict[bytes, bytes] = {}
    lines: list[bytes] = []
    cookies: list[bytes] = []
    host: bytes | None = None
    length: int | None = None
    priority = DEFAULT
    for name, value in fields:
        if name[:1] == b":":
            if name not in _PSEUDO or name in pseudo or lines:
                raise Malformed("pseudo-header")
            pseudo[name] = value
            continue
        if not _TOKEN.fullmatch(name) or _FORBIDDEN_IN_VALUE.search(value):
            raise Malformed("field")
        if name in _OF_CONNECTIONS:
            if name == b"te" and value == b"trailers":
                continue
            raise Malformed("connection")
        if name == b"cookie":
            cookies.append(value)
            continue
        if name == b"host":
            host = value
            continue
        if name == b"content-length":
            if length is not None or not value.isdigit() or len(value) > 15:
                raise Malformed("content-length")
            length = int(value)
        elif name == b"priority":
            priority = parse_priority(value)
        lines.append(name + b": " + value)
    method, target = pseudo.get(b":method", b""), pseudo.get(b":path", b"")
    authority = pseudo.get(b":authority") or host or b""
    if pseudo.get(b":scheme") not in (b"https", b"http"):
        raise Malformed("scheme")
    if not _METHOD.fullmatch(method) or method == b"CONNECT":
        raise Malformed("method")
    if not _TARGET.fullmatch(target) or not _AUTHORITY.fullmatch(authority):
        raise Malformed("target")
    if host is not None and host != authority:
        raise Malformed("host")
    if cookies:
        lines.append(b"cookie: " + b"; ".join(cookies))
    chunked = has_body and length is None
    if chunked:
        lines.append(b"transfer-encoding: chunked")
    # One request per in-memory connection: aiohttp closes it when it is done with the request.
    first = b"%b %b HTTP/1.1\r\nhost: %b\r\nconnection: close" % (method, target, authority)
    text = b"\r\n".join((first, *lines, b"", b""))
    return RequestHead(text=text, method=method, length=length, chunked=chunked, priority=priority)
