"""Heads of requests: one text of HTTP/1.1 each, nothing smuggled in."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sivr.edge.heads import Malformed, request_head
from sivr.edge.priorities import Priority

PSEUDO = [(b":method", b"GET"), (b":scheme", b"https"), (b":path", b"/a?b=c"), (b":authority", b"h:8443")]


def test_as_text() -> None:
    more = [
        (b"cookie", b"a=1"),
        (b"x-one", b"1"),
        (b"cookie", b"b=2"),
        (b"te", b"trailers"),
        (b"priority", b"u=1"),
    ]
    head = request_head([*PSEUDO, *more], has_body=False)
    assert head.text == (
        b"GET /a?b=c HTTP/1.1\r\nhost: h:8443\r\nconnection: close\r\nx-one: 1\r\npriority: u=1\r\n"
        b"cookie: a=1; b=2\r\n\r\n"
    )
    assert (head.length, head.chunked, head.priority) == (None, False, Priority(1, False))


def test_bodies() -> None:
    told = request_head([*PSEUDO, (b"content-length", b"12")], has_body=True)
    assert (told.length, told.chunked) == (12, False)
    untold = request_head(PSEUDO, has_body=True)
    assert (untold.length, untold.chunked) == (None, True)
    assert b"transfer-encoding: chunked\r\n" in untold.text


@pytest.mark.parametrize(
    "fields",
    [
        PSEUDO[1:],
        [*PSEUDO, PSEUDO[0]],
        [*PSEUDO, (b":other", b"x")],
        [(b"x-first", b"1"), *PSEUDO],
        [(b":method", b"CONNECT"), *PSEUDO[1:]],
        [(b":method", b"GET / HTTP/1.1\r\nX:"), *PSEUDO[1:]],
        [*PSEUDO[:2], (b":path", b"/a b"), PSEUDO[3]],
        [*PSEUDO[:2], (b":path", b"elsewhere"), PSEUDO[3]],
        [*PSEUDO[:2], (b":path", "/š".encode()), PSEUDO[3]],
        [*PSEUDO[:3], (b":authority", b"user@host")],
        [*PSEUDO[:3], (b":authority", b"")],
        [*PSEUDO, (b"host", b"other")],
        [*PSEUDO, (b"X-Upper", b"1")],
        [*PSEUDO, (b"x y", b"1")],
        [*PSEUDO, (b"", b"1")],
        [*PSEUDO, (b"x-value", b"1\r\nx-other: 2")],
        [*PSEUDO, (b"x-value", b"1\x00")],
        [*PSEUDO, (b"cookie", b"a=1\nx: y")],
        [*PSEUDO, (b"transfer-encoding", b"chunked")],
        [*PSEUDO, (b"connection", b"x-secret")],
        [*PSEUDO, (b"upgrade", b"websocket")],
        [*PSEUDO, (b"te", b"gzip")],
        [*PSEUDO, (b"content-length", b"1"), (b"content-length", b"2")],
        [*PSEUDO, (b"content-length", b"-1")],
        [*PSEUDO, (b"content-length", b"+1")],
    ],
)
def test_malformed(fields: list[tuple[bytes, bytes]]) -> None:
    with pytest.raises(Malformed):
        request_head(fields, has_body=True)


@settings(deadline=None)
@given(st.lists(st.tuples(st.binary(max_size=8), st.binary(max_size=8)), max_size=6))
def test_no_line_that_was_not_meant(fields: list[tuple[bytes, bytes]]) -> None:
    try:
        head = request_head([*PSEUDO, *fields], has_body=False)
    except Malformed:
        return
    first, host, connection, *lines = head.text[:-4].split(b"\r\n")
    assert (first, host, connection) == (b"GET /a?b=c HTTP/1.1", b"host: h:8443", b"connection: close")
    assert len(lines) <= len(fields)
    assert {line.partition(b": ")[0] for line in lines} <= {name for name, _ in fields}
    assert b"\n" not in head.text.replace(b"\r\n", b"")
