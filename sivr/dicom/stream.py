"""Readers that never promise more bytes than there are."""

from __future__ import annotations

import io
import os
import zlib
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from sivr.errors import Invalid

INFLATE_LIMIT_BYTES = 1 << 30
"""Most bytes a deflated data set may inflate to."""
_CHUNK = 1 << 16


class Stream:
    """A seekable reader of known size that clips reads to it and notes whether it was asked for more.

    pydicom asks for whatever length a file claims; a claim of 3 GB in a 98 kB file must cost nothing.
    """

    def __init__(self, source: BinaryIO | Path | bytes) -> None:
        self._owned = isinstance(source, Path | bytes)
        if isinstance(source, bytes):
            self._file: BinaryIO = io.BytesIO(source)
        elif isinstance(source, Path):
            self._file = source.open("rb")
        else:
            self._file = source
        self.size = self._file.seek(0, os.SEEK_END)
        self._position = self._file.seek(0)
        self.short = False
        """True once something reached beyond the end."""

    def __enter__(self) -> Stream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._owned:
            self._file.close()

    def read(self, length: int = -1) -> bytes:
        """Up to ``length`` bytes, never more than are left."""
        left = max(self.size - self._position, 0)
        wanted = left if length is None or length < 0 else length
        if wanted > left and not (left == 0 and wanted == 8):
            # Eight bytes at the very end are pydicom looking for one more element: that is no cut.
            self.short = True
        data = self._file.read(min(wanted, left)) if left else b""
        self._position += len(data)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """As of files; a place beyond the end is noted and becomes the end."""
        target = offset + (0, self._position, self.size)[whence]
        if target > self.size:
            self.short = True
            target = self.size
        self._position = self._file.seek(max(target, 0))
        return self._position

    def tell(self) -> int:
        """Where the next read starts."""
        return self._position

    def at(self, offset: int, length: int) -> bytes:
        """``length`` bytes from ``offset``; Invalid when they are not all there."""
        if offset < 0 or length < 0 or offset + length > self.size:
            raise Invalid("The file is cut off: a frame lies beyond its end.")
        self.seek(offset)
        return self.read(length)


def inflate(stream: Stream, limit: int = INFLATE_LIMIT_BYTES) -> Stream:
    """The rest of a deflated file as a stream of its own (PS3.5 A.5); Invalid past ``limit`` bytes."""
    machine = zlib.decompressobj(-zlib.MAX_WBITS)
    pieces: list[bytes] = []
    total = 0
    try:
        while not machine.eof:
            data = machine.unconsumed_tail or stream.read(_CHUNK)
            if not data:
                raise Invalid("The file is cut off: its deflated data set does not end.")
            piece = machine.decompress(data, _CHUNK * 16)
            total += len(piece)
            if total > limit:
                raise Invalid(f"The deflated data set grows beyond {limit >> 20} MiB.")
            pieces.append(piece)
    except zlib.error as error:
        raise Invalid("The deflated data set is damaged.") from error
    return Stream(b"".join(pieces))


def inflate_frame(data: bytes, expected: int) -> bytes:
    """One deflated frame (PS3.5 A.4.13): at most ``expected`` bytes and a pad byte come out."""
    try:
        machine = zlib.decompressobj(-zlib.MAX_WBITS)
        frame = machine.decompress(data, expected + 1)
    except zlib.error as error:
        raise Invalid("The deflated frame is damaged.") from error
    if len(frame) < expected:
        raise Invalid("The deflated frame is shorter than its rows and columns ask for.")
    return frame[:expected]
