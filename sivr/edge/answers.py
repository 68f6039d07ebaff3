"""Answers as aiohttp writes them, HTTP/1.1, taken apart into a head, pieces of a body, and an end."""

from __future__ import annotations

from collections.abc import Callable

Fields = list[tuple[bytes, bytes]]
Head = Callable[[int, Fields], None]
Piece = Callable[[memoryview], None]
End = Callable[[], None]

_OF_CONNECTIONS = frozenset((b"connection", b"keep-alive", b"transfer-encoding"))
_HEAD, _LENGTH, _SIZE, _CHUNK, _LINE_END, _CLOSE, _DONE = range(7)


class AnswerReader:
    """Reads one answer (after any number of interim ones) however it is cut into pieces.

    What it reads was written by aiohttp, not by a stranger, so it knows the forms that aiohttp writes and
    raises ValueError at any other.
    """

    def __init__(self, method: bytes, head: Head, piece: Piece, end: End) -> None:
        self._bodyless = method == b"HEAD"
        self._head, self._piece, self._end = head, piece, end
        self._state = _HEAD
        self._text = bytearray()
        """Of a head or a line that is not whole yet."""
        self._left = 0

    @property
    def done(self) -> bool:
        """Whether the whole answer was read."""
        return self._state == _DONE

    def feed(self, data: bytes) -> None:
        """The next bytes."""
        view = memoryview(data)
        while view and self._state != _DONE:
            if self._state in (_LENGTH, _CHUNK):
                taken = min(self._left, len(view))
                self._left -= taken
                self._piece(view[:taken])
                view = view[taken:]
                if not self._left:
                    self._after_body()
            elif self._state == _CLOSE:
                self._piece(view)
                return
            else:
                view = self._feed_text(view)

    def feed_eof(self) -> bool:
        """Nothing follows; False when the answer is not whole."""
        if self._state == _CLOSE:
            self._finish()
        return self._state == _DONE

    def _after_body(self) -> None:
        if self._state == _LENGTH:
            self._finish()
        else:
            self._state = _LINE_END

    def _finish(self) -> None:
        self._state = _DONE
        self._end()

    def _feed_text(self, view: memoryview) -> memoryview:
        """Read a head, or the line before or after a chunk; returns what follows it."""
        mark, most = (b"\r\n\r\n", 1 << 16) if self._state == _HEAD else (b"\r\n", 64)
        before = len(self._text)
        self._text += view[:most]
        found = self._text.find(mark, max(0, before - len(mark)))
        if found < 0:
            return view[most:]
        text = bytes(self._text[:found])
        rest = view[found + len(mark) - before :]
        self._text.clear()
        if self._state == _HEAD:
            self._read_head(text)
        elif self._state == _LINE_END:
            if text:
                raise ValueError("no end of a chunk")
            self._state = _SIZE
        else:
            self._left = int(text, 16)
            self._state = _CHUNK if self._left else _SIZE
            if not self._left:
                # aiohttp writes no trailers: the blank line after the last chunk says nothing more.
                self._finish()
        return rest

    def _read_head(self, text: bytes) -> None:
        first, *lines = text.split(b"\r\n")
        status = int(first[9:12])
        fields: Fields = []
        length: int | None = None
        chunked = False
        for line in lines:
            name, _, value = line.partition(b":")
            name, value = name.lower(), value.strip()
            if name == b"transfer-encoding":
                chunked = value.lower() == b"chunked"
            elif name == b"content-length":
                length = int(value)
            if name not in _OF_CONNECTIONS:
                fields.append((name, value))
        self._head(status, fields)
        if status < 200:
            return
        if self._bodyless or status in (204, 304) or length == 0:
            self._finish()
        elif chunked:
            self._state = _SIZE
        elif length is not None:
            self._left, self._state = length, _LENGTH
        else:
            self._state = _CLOSE
