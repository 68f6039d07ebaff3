"""Readers that never promise more bytes than there are."""

from __future__ import annotations

import io
import os
import sys
import zlib
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from sivr.errors import Invalid

INFLATED_PIXELS_LIMIT_BYTES = 1 << 30
"""Most bytes of pixels that a deflated data set may inflate to, whatever its rows and columns say."""
_BESIDE_PIXELS_BYTES = 16 << 20
_BESIDE_PIXELS_RATIO = 32
"""What is no pixels may inflate to so much and so many times the deflated bytes; deflate itself could reach a
thousand times as much (RFC 1951)."""
_KEPT_BYTES = 1 << 20
"""Inflated bytes kept behind the place of reading: pydicom looks ahead and goes back."""
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


class Inflated(Stream):
    """The rest of a deflated file as a stream of its own (PS3.5 A.5), inflated while it is read.

    Only a window of it is held: going far back begins anew. Every method raises Invalid when the deflated
    data is damaged, ends too early, or grows beyond what its header explains. ``size`` is known after
    ``finish``.
    """

    def __init__(self, deflated: Stream) -> None:
        self._owned = False
        self._deflated = deflated
        self._begin = deflated.tell()
        self._pixel_bytes = 0
        self.size = sys.maxsize
        self.short = False
        self._restart()

    def read(self, length: int = -1) -> bytes:
        """Up to ``length`` bytes, never more than are left."""
        wanted = self.size if length is None or length < 0 else length
        while self._end < self._position + wanted and self._inflate():
            pass
        first = self._position - self._start
        data = bytes(self._window[first : first + wanted])
        if len(data) < wanted < self.size and not (not data and wanted == 8):
            self.short = True
        self._position += len(data)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """As of files; a place beyond the end is noted and becomes the end."""
        target = max(offset + (0, self._position, self.size)[whence], 0)
        if target < self._start:
            self._restart()
        while self._end < target:
            self._position = self._end
            if not self._inflate():
                self.short = True
                target = self._end
        self._position = target
        return target

    def finish(self, pixel_bytes: int) -> None:
        """Inflate to the end without keeping anything; ``pixel_bytes`` is what the header says of pixels."""
        self._pixel_bytes = min(pixel_bytes, INFLATED_PIXELS_LIMIT_BYTES)
        self._position = self._end
        while self._inflate():
            self._position = self._end
        self.size = self._end

    @property
    def _end(self) -> int:
        return self._start + len(self._window)

    def _restart(self) -> None:
        self._deflated.seek(self._begin)
        self._machine = zlib.decompressobj(-zlib.MAX_WBITS)
        self._window = bytearray()
        self._start = self._position = 0

    def _inflate(self) -> bool:
        """Put a little more into the window; False at the end."""
        if self._machine.eof:
            return False
        data = self._machine.unconsumed_tail or self._deflated.read(_CHUNK)
        try:
            piece = self._machine.decompress(data, _CHUNK * 16)
        except zlib.error as error:
            raise Invalid("The deflated data set is damaged.") from error
        if not data and not piece and not self._machine.eof:
            raise Invalid("The file is cut off: its deflated data set does not end.")
        del self._window[: max(self._position - _KEPT_BYTES - self._start, 0)]
        self._start = max(self._position - _KEPT_BYTES, self._start)
        self._window += piece
        deflated_bytes = self._deflated.tell() - self._begin
        limit = self._pixel_bytes + _BESIDE_PIXELS_BYTES + _BESIDE_PIXELS_RATIO * deflated_bytes
        if self._end > limit:
            raise Invalid(
                f"The deflated data set grows beyond {limit >> 20} MiB, more than its rows, columns and "
                "frames explain."
            )
        return True


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
