"""Pictures of one size to a movie: animated WebP, or AV1 in MP4.

Frame by frame, so that a movie can be given up between any two of them and only what is encoded is kept.
Both formats are free of patents' fees and of the GPL (decision 0018). Synchronous, for threads.
"""

from __future__ import annotations

import struct
from typing import Any, Protocol

import numpy as np

from sivr import codec
from sivr.codec import Pixels
from sivr.errors import Invalid, NotAcceptable

MOVIE_TYPES = ("image/webp", "video/mp4")
"""What movies can be written as; the first is the default."""
DEFAULT_QUALITY = 90
_MAX_SIDE = 16383
_SPEED = 9
"""Of the AV1 encoder, 0 to 10: some 20 ms a frame of 512 x 512."""
_BRANDS = b"iso8mp41av01isom"


class Movie(Protocol):
    """A movie that is being written."""

    def add(self, pixels: Pixels) -> None:
        """The next frame: (height, width) grey or (height, width, 3) RGB, all of the size of the first."""

    def finish(self) -> bytes:
        """The whole file."""

    @property
    def size_bytes(self) -> int:
        """What is encoded so far, as far as it is known."""


def movie(media_type: str, frame_ms: int, quality: int | None = None) -> Movie:
    """A new movie of ``frame_ms`` milliseconds a frame; raises NotAcceptable for an unknown type."""
    if media_type == "image/webp":
        return WebpMovie(frame_ms, quality or DEFAULT_QUALITY)
    if media_type == "video/mp4":
        return Mp4Movie(frame_ms, quality or DEFAULT_QUALITY)
    raise NotAcceptable(f"Movies can be sent as {' or '.join(MOVIE_TYPES)} only.")


class _Sized:
    def __init__(self) -> None:
        self._shape: tuple[int, int] | None = None

    def _rgb(self, pixels: Pixels) -> Pixels:
        """In color, as both formats want it; raises Invalid when its size is another than the first's."""
        shape = (pixels.shape[0], pixels.shape[1])
        if self._shape is None:
            if max(shape) > _MAX_SIDE:
                raise Invalid(f"Movies end at {_MAX_SIDE} pixels per side.")
            self._shape = shape
        if shape != self._shape:
            raise Invalid("The frames of a movie must be of one size.")
        rgb = pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)
        return np.ascontiguousarray(rgb)


class WebpMovie(_Sized):
    """Animated WebP (RFC 9649 2.7.1): stills behind one another, repeated for ever."""

    def __init__(self, frame_ms: int, quality: int) -> None:
        super().__init__()
        self._frame_ms = frame_ms
        self._quality = quality
        self._chunks: list[bytes] = []
        self.size_bytes = 0

    def add(self, pixels: Pixels) -> None:
        """See ``Movie``."""
        still = codec.encode(self._rgb(pixels), "image/webp", self._quality)
        height, width = pixels.shape[:2]
        # Flags: what is beneath is replaced and not blended with.
        head = bytes(6) + _three(width - 1) + _three(height - 1) + _three(self._frame_ms) + b"\x02"
        chunk = _chunk(b"ANMF", head + _bitstream(still))
        self._chunks.append(chunk)
        self.size_bytes += len(chunk)

    def finish(self) -> bytes:
        """See ``Movie``."""
        if self._shape is None:
            raise Invalid("A movie needs at least one frame.")
        height, width = self._shape
        canvas = _chunk(b"VP8X", b"\x02\0\0\0" + _three(width - 1) + _three(height - 1))
        # Black behind the frames; 0 repetitions mean for ever.
        animation = _chunk(b"ANIM", b"\0\0\0\xff" + struct.pack("<H", 0))
        body = b"".join((b"WEBP", canvas, animation, *self._chunks))
        return b"RIFF" + struct.pack("<I", len(body)) + body


class Mp4Movie(_Sized):
    """AV1 in MP4: what libavif writes as an image sequence is a movie but for three names."""

    def __init__(self, frame_ms: int, quality: int) -> None:
        super().__init__()
        self._frame_ms = frame_ms
        self._quality = quality
        self._encoder: Any = None
        self.size_bytes = 0
        """Unknown before the end: the encoder keeps its output to itself."""

    def add(self, pixels: Pixels) -> None:
        """See ``Movie``."""
        from PIL import _avif

        rgb = self._rgb(pixels)
        size = (rgb.shape[1], rgb.shape[0])
        if self._encoder is None:
            # 4:2:0 is what every decoder of AV1 plays. One thread: the others make pictures.
            self._encoder = _avif.AvifEncoder(
                size, "4:2:0", self._quality, _SPEED, 1, "auto", "full", 0, 0, False, True,
                b"", b"", 1, b"", None,
            )  # fmt: skip
        self._encoder.add(rgb.tobytes(), self._frame_ms, size, "RGB", False)

    def finish(self) -> bytes:
        """See ``Movie``."""
        if self._encoder is None:
            raise Invalid("A movie needs at least one frame.")
        body = self._encoder.finish()
        if body is None:
            raise Invalid("This movie cannot be written as MP4.")
        return _as_mp4(bytes(body))


def _three(number: int) -> bytes:
    return number.to_bytes(3, "little")


def _chunk(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def _bitstream(still: bytes) -> bytes:
    """The chunk with the pixels of a still WebP, its head included."""
    at = 12
    while at + 8 <= len(still):
        name, size = still[at : at + 4], struct.unpack("<I", still[at + 4 : at + 8])[0]
        end = at + 8 + size + size % 2
        if name in (b"VP8 ", b"VP8L"):
            return still[at:end]
        at = end
    raise Invalid("This picture cannot be a frame of a movie.")


def _as_mp4(sequence: bytes) -> bytes:
    """An AVIF image sequence (ISO/IEC 23000-22) as MP4 (ISO/IEC 14496-12): no box changes its size.

    The file type names other brands, the still picture beside the track becomes free space, and the track is
    of video and no longer of pictures.
    """
    out = bytearray(sequence)
    at = 0
    while at + 8 <= len(out):
        size, name = struct.unpack(">I4s", out[at : at + 8])
        if name == b"ftyp":
            out[at + 8 : at + 12] = b"iso8"
            room = size - 16
            out[at + 16 : at + size] = (_BRANDS * (room // len(_BRANDS) + 1))[:room]
        elif name == b"meta":
            out[at + 4 : at + 8] = b"free"
        elif name == b"moov":
            handler = out.index(b"hdlr", at, at + size)
            out[handler + 12 : handler + 16] = b"vide"
        at += max(size, 8)
    return bytes(out)
