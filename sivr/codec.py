"""Arrays to pictures and back: PNG, JPEG, WebP, GIF, AVIF.

Everything here is synchronous and meant for threads: PNG and JPEG, the two that are on the interactive path,
release the GIL while they compress.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from functools import cache, lru_cache
from io import BytesIO
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from sivr.errors import Invalid, NotAcceptable

Pixels = npt.NDArray[np.uint8]
"""(height, width) gray or (height, width, 3) RGB."""

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_ZLIB_HEADER = b"\x78\x01"
"""RFC 1950: deflate, a window of 32 KiB, the quickest kind."""
_CRC_OF_BEGINNING = zlib.crc32(_ZLIB_HEADER, zlib.crc32(b"IDAT"))
_SAMPLES = 8
_SAMPLE_BYTES = 8192
_PNG_END = b"\x00\x00\x00\x00IEND\xaeB`\x82"

JPEG_QUALITY = 90
"""Used when no quality is asked for: 45 dB and more on CT, still a third of the PNG's size."""


class Codec(msgspec.Struct, frozen=True):
    """How one media type is written."""

    media_type: str
    encode: Callable[[Pixels, int | None], bytes]
    lossless: Callable[[bool, int | None], bool]
    """(color, quality) to whether the encoded picture equals its input."""
    max_size: int
    """Largest width or height the format can carry."""


def encode(pixels: Pixels, media_type: str, quality: int | None = None) -> bytes:
    """Encode ``pixels`` (h, w) or (h, w, 3) uint8.

    ``quality`` is 1..100 and concerns lossy types only (PS3.18 8.3.5.1.2); without it WebP and AVIF are
    written lossless. Raises NotAcceptable for an unknown type, Invalid for a picture or quality that
    cannot be written.
    """
    codec = _codec(media_type)
    if pixels.dtype != np.uint8 or not (pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == 3)):
        raise Invalid("A picture must be 8-bit gray or RGB.")
    if 0 in pixels.shape:
        raise Invalid("A picture must have at least one pixel.")
    if max(pixels.shape[:2]) > codec.max_size:
        raise Invalid(f"{media_type} pictures end at {codec.max_size} pixels per side.")
    if quality is not None and not 1 <= quality <= 100:
        raise Invalid("Quality must be between 1 and 100.")
    return codec.encode(pixels, quality)


def is_lossless(media_type: str, color: bool, quality: int | None = None) -> bool:
    """Whether ``encode`` with these arguments keeps every pixel."""
    return _codec(media_type).lossless(color, quality)


def decode(body: bytes) -> Pixels:
    """Decode a picture of any type ``encode`` writes to (h, w) or (h, w, 3); the format is told by its bytes.

    Raises Invalid when it is not a picture.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(BytesIO(body)) as image:
            mode = "L" if image.mode in ("L", "1") or _gray_palette(image) else "RGB"
            return np.asarray(image.convert(mode), dtype=np.uint8)
    except (UnidentifiedImageError, OSError, ValueError) as error:
        raise Invalid("This is not a picture that can be decoded.") from error


def encode_png(pixels: Pixels, quality: int | None = None) -> bytes:
    """PNG by kernels of our own: some ten times the speed of libpng's quickest, and smaller files.

    Strings that repeat, which the kernels do not look for, are found by ISA-L where a sample has many:
    in color (charts, text, ultrasound).
    """
    tools = _png_tools()
    color = pixels.ndim == 3
    lines = tools.filtered(pixels)
    if color and _repeats(lines):
        body = tools.compress(lines, 1, tools.raw_deflate)
    else:
        body = tools.runs_and_codes(lines.reshape(-1))
    check = struct.pack(">I", tools.adler32(lines.data))
    whole = tools.crc32(check, tools.crc32(body, _CRC_OF_BEGINNING))
    return b"".join(
        (
            _png_beginning(pixels.shape[1], pixels.shape[0], color),
            struct.pack(">I", len(_ZLIB_HEADER) + len(body) + 4),
            b"IDAT",
            _ZLIB_HEADER,
            body,
            check,
            struct.pack(">I", whole),
            _PNG_END,
        )
    )


class _PngTools(NamedTuple):
    filtered: Callable[[Pixels], Pixels]
    runs_and_codes: Callable[[Pixels], bytes]
    compress: Callable[[Pixels, int, int], bytes]
    raw_deflate: int
    adler32: Callable[[memoryview], int]
    crc32: Callable[[bytes, int], int]


@cache
def _png_tools() -> _PngTools:
    """Imported when the first picture is written: what needs none of them starts sooner."""
    from isal import igzip_lib, isal_zlib

    from sivr.kernels.deflate import runs_and_codes
    from sivr.kernels.scanlines import filtered

    return _PngTools(
        filtered,
        runs_and_codes,
        igzip_lib.compress,
        igzip_lib.COMP_DEFLATE,
        isal_zlib.adler32,
        isal_zlib.crc32,
    )


@lru_cache(maxsize=64)
def _png_beginning(width: int, height: int, color: bool) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2 if color else 0, 0, 0, 0)
    return _PNG_SIGNATURE + _chunk(b"IHDR", header)


def _repeats(lines: Pixels) -> bool:
    """Whether a search for strings makes some groups of neighboring scanlines smaller."""
    tools = _png_tools()
    height, width = lines.shape
    count = max(_SAMPLE_BYTES // width, 1)
    starts = range(0, height, max(height // _SAMPLES, count))
    sample = np.concatenate([lines[start : start + count] for start in starts]).reshape(-1)
    return len(tools.compress(sample, 1, tools.raw_deflate)) < len(tools.runs_and_codes(sample))


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(body, zlib.crc32(name)))


def _encode_jpeg(pixels: Pixels, quality: int | None) -> bytes:
    import imagecodecs

    # 4:4:4: chroma subsampling would smear the thin colored edges of shaded volumes.
    subsampling = None if pixels.ndim == 2 else "444"
    body: bytes = imagecodecs.jpeg8_encode(
        np.ascontiguousarray(pixels), level=quality or JPEG_QUALITY, subsampling=subsampling
    )
    return bytes(body)


def _encode_webp(pixels: Pixels, quality: int | None) -> bytes:
    # WebP has no gray, and method 0 is the only one that fits an interactive picture (reference: 4 ms
    # against 15).
    pixels = pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)
    if quality is None:
        return _save(pixels, "webp", lossless=True, quality=0, method=1)
    return _save(pixels, "webp", quality=quality, method=0)


def _encode_gif(pixels: Pixels, quality: int | None) -> bytes:
    return _save(pixels, "gif")


def _encode_avif(pixels: Pixels, quality: int | None) -> bytes:
    if quality is None:
        import imagecodecs

        rgb = pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)
        rgb = np.ascontiguousarray(rgb)
        body: bytes = imagecodecs.avif_encode(rgb, level=100, speed=10, pixelformat="444")
        return bytes(body)
    subsampling = "4:0:0" if pixels.ndim == 2 else "4:4:4"
    return _save(pixels, "avif", quality=quality, speed=10, subsampling=subsampling)


def _save(pixels: Pixels, name: str, **options: object) -> bytes:
    import imageio.v3 as iio

    body: bytes = iio.imwrite(
        "<bytes>", np.ascontiguousarray(pixels), extension=f".{name}", plugin="pillow", **options
    )
    return body


def _gray_palette(image: Any) -> bool:
    """GIF stores gray as a palette; it should come back as gray."""
    if image.mode != "P":
        return False
    colors = np.asarray(image.getpalette(), dtype=np.uint8).reshape(-1, 3)
    return bool((colors == colors[:, :1]).all())


def _codec(media_type: str) -> Codec:
    try:
        return CODECS[media_type]
    except KeyError:
        raise NotAcceptable(f"Pictures cannot be written as {media_type}.") from None


CODECS: dict[str, Codec] = {
    codec.media_type: codec
    for codec in (
        Codec("image/png", encode_png, lambda color, quality: True, 0x7FFFFFFF),
        Codec("image/jpeg", _encode_jpeg, lambda color, quality: False, 65535),
        Codec("image/webp", _encode_webp, lambda color, quality: quality is None, 16383),
        Codec("image/gif", _encode_gif, lambda color, quality: not color, 65535),
        Codec("image/avif", _encode_avif, lambda color, quality: False, 65535),
    )
}
