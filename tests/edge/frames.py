"""A client of HTTP/2 that sends any frame it likes, also what no client should."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from hpack import Decoder, Encoder
from hyperframe.frame import DataFrame, Frame, HeadersFrame, SettingsFrame, WindowUpdateFrame

from tests.edge.served import HOST

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
WAIT_S = 30


class Extension(Frame):
    """A frame of a type of its own, on the connection."""

    def __init__(self, kind: int, body: bytes) -> None:
        super().__init__(0)
        self._raw = len(body).to_bytes(3, "big") + bytes((kind, 0)) + bytes(4) + body

    def serialize(self) -> bytes:
        """As it is sent."""
        return self._raw


class Frames:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
        self.writer = writer
        self._reader = reader
        self._encoder = Encoder()
        self._decoder = Decoder()
        self._authority = f"{HOST}:{port}"
        self.seen: list[Frame] = []

    def send(self, *frames: Frame) -> None:
        """Send frames as they are."""
        self.writer.write(b"".join(frame.serialize() for frame in frames))

    def settings(self, values: dict[int, int] | None = None) -> None:
        """Begin the connection."""
        self.writer.write(PREFACE)
        self.send(SettingsFrame(0, settings=values or {}))

    def head(
        self, stream_id: int, path: str, *more: tuple[str, str], method: str = "GET", end: bool = True
    ) -> HeadersFrame:
        """A frame that asks for something."""
        fields = [(":method", method), (":scheme", "https"), (":path", path), (":authority", self._authority)]
        flags = ["END_HEADERS", "END_STREAM"] if end else ["END_HEADERS"]
        return HeadersFrame(stream_id, self._encoder.encode([*fields, *more]), flags=flags)

    async def frame(self) -> Frame | None:
        """The next frame of the server; None at the end of the connection."""
        async with asyncio.timeout(WAIT_S):
            try:
                found, length = Frame.parse_frame_header(memoryview(await self._reader.readexactly(9)))
                found.parse_body(memoryview(await self._reader.readexactly(length)))
            except (asyncio.IncompleteReadError, ConnectionError):
                return None
        self.seen.append(found)
        return found

    async def until(self, wanted: Callable[[Any], bool]) -> Any:
        """The next frame that is wanted; fails when the connection ends before."""
        while (found := await self.frame()) is not None:
            if wanted(found):
                return found
        raise AssertionError(f"not among {self.seen[-10:]}")

    async def rest(self) -> list[Any]:
        """Every frame until the connection ends."""
        while await self.frame() is not None:
            pass
        return self.seen

    def fields(self, frame: HeadersFrame) -> dict[str, str]:
        """The fields of an answer's head; heads must be read in the order of their coming."""
        return {str(name): str(value) for name, value in self._decoder.decode(frame.data)}

    def open_windows(self, stream_id: int, size: int = 1 << 28) -> None:
        """Let the server send as much as it has."""
        self.send(WindowUpdateFrame(0, window_increment=size))
        if stream_id:
            self.send(WindowUpdateFrame(stream_id, window_increment=size))


def is_data(stream_id: int) -> Callable[[Any], bool]:
    """Data of this stream."""
    return lambda frame: isinstance(frame, DataFrame) and frame.stream_id == stream_id


def ends(stream_id: int) -> Callable[[Any], bool]:
    """The end of this stream."""
    return lambda frame: frame.stream_id == stream_id and "END_STREAM" in frame.flags


def is_a(kind: type[Frame]) -> Callable[[Any], bool]:
    """Frames of this kind."""
    return lambda frame: isinstance(frame, kind)


@asynccontextmanager
async def connected(port: int, ca: Path, *, alpn: str = "h2", begin: bool = True) -> AsyncIterator[Frames]:
    """A connection by TLS."""
    context = ssl.create_default_context(cafile=str(ca / "ca.pem"))
    context.set_alpn_protocols([alpn])
    reader, writer = await asyncio.open_connection(HOST, port, ssl=context, limit=1 << 22)
    try:
        found = Frames(reader, writer, port)
        if begin:
            found.settings()
        yield found
    finally:
        writer.transport.abort()
        await asyncio.sleep(0)
