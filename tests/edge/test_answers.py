"""Answers of HTTP/1.1 taken apart, however they are cut."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sivr.edge.answers import AnswerReader

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nConnection: close\r\n"
SIZED = HEAD + b"Content-Length: 11\r\n\r\nhello world"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n6\r\nhello \r\n5\r\nworld\r\n0\r\n\r\n"
CONTINUED = b"HTTP/1.1 100 Continue\r\n\r\n" + SIZED
UNTIL_CLOSE = HEAD + b"\r\nhello world"


class Seen:
    """What a reader has told."""

    def __init__(self, method: bytes = b"GET") -> None:
        self.heads: list[tuple[int, list[tuple[bytes, bytes]]]] = []
        self.body = b""
        self.ends = 0
        self.reader = AnswerReader(
            method, lambda status, fields: self.heads.append((status, fields)), self._piece, self._end
        )

    def _piece(self, piece: memoryview) -> None:
        assert not self.ends
        self.body += piece

    def _end(self) -> None:
        self.ends += 1


@settings(deadline=None)
@given(st.sampled_from([SIZED, CHUNKED, CONTINUED]), st.lists(st.integers(0, 150), max_size=12))
def test_however_it_is_cut(answer: bytes, cuts: list[int]) -> None:
    seen = Seen()
    places = sorted({0, len(answer), *(min(cut, len(answer)) for cut in cuts)})
    for start, stop in itertools.pairwise(places):
        seen.reader.feed(answer[start:stop])
    assert seen.reader.feed_eof()
    assert (seen.heads[-1][0], seen.body, seen.ends) == (200, b"hello world", 1)
    fields = dict(seen.heads[-1][1])
    assert fields[b"content-type"] == b"image/png"
    assert not fields.keys() & {b"connection", b"transfer-encoding"}
    assert [status for status, _ in seen.heads] == ([100, 200] if answer is CONTINUED else [200])


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        (b"HEAD", HEAD + b"Content-Length: 11\r\n\r\n"),
        (b"HEAD", HEAD + b"Transfer-Encoding: chunked\r\n\r\n"),
        (b"GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 11\r\n\r\n"),
        (b"GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
        (b"GET", HEAD + b"Content-Length: 0\r\n\r\n"),
    ],
)
def test_without_a_body(method: bytes, answer: bytes) -> None:
    seen = Seen(method)
    seen.reader.feed(answer)
    assert (seen.ends, seen.body) == (1, b"")


def test_until_the_connection_closes() -> None:
    seen = Seen()
    seen.reader.feed(UNTIL_CLOSE)
    assert not seen.ends
    assert seen.reader.feed_eof()
    assert (seen.ends, seen.body) == (1, b"hello world")


@pytest.mark.parametrize("answer", [SIZED[:-1], CHUNKED[:-6], HEAD, b""])
def test_half_an_answer(answer: bytes) -> None:
    seen = Seen()
    seen.reader.feed(answer)
    assert not seen.reader.feed_eof()
    assert not seen.ends


def test_what_is_no_answer() -> None:
    with pytest.raises(ValueError):
        Seen().reader.feed(CHUNKED.replace(b"6\r\n", b"x\r\n"))
    with pytest.raises(ValueError):
        Seen().reader.feed(CHUNKED.replace(b"hello \r\n", b"hello !\r\n"))


def test_a_large_body_is_read_once() -> None:
    seen = Seen(b"GET")
    piece = b"x" * (1 << 20)
    seen.reader.feed(HEAD + b"Content-Length: %d\r\n\r\n" % (4 * len(piece)) + piece)
    for _ in range(3):
        seen.reader.feed(piece)
    assert len(seen.body) == 4 << 20
    assert seen.ends == 1
