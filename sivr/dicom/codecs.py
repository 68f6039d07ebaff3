"""Encoded frames to arrays, one function per codec (PS3.5 8.2, Annex A.4).

All decoding is imagecodecs: it releases the interpreter while it works, so that threads use all cores. There
is no second try with pydicom's plug-ins: they wrap the same libraries and hold the interpreter; on damaged
frames gdcm ends the whole process, and pydicom's walk through JPEG 2000 boxes may never end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import imagecodecs
import numpy as np

from sivr.dicom.fragments import frame_bits
from sivr.dicom.runs import rle_planes
from sivr.dicom.stream import inflate_frame
from sivr.dicom.syntax import SYNTAXES, Codec
from sivr.errors import Invalid
from sivr.model.pixels import PixelFormat
from sivr.model.studies import InstanceHeader

Array = np.ndarray[Any, np.dtype[Any]]

_SOF = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}


def stored_dtype(pixel_format: PixelFormat) -> np.dtype[Any]:
    """The type of decoded stored values: (u)int8, (u)int16, (u)int32, float32 or float64."""
    if pixel_format.kind == "float":
        return np.dtype(np.float32)
    if pixel_format.kind == "double":
        return np.dtype(np.float64)
    size = max(pixel_format.bits_allocated // 8, 1)
    return np.dtype(f"{'i' if pixel_format.signed and pixel_format.bits_allocated > 1 else 'u'}{size}")


def decompress(header: InstanceHeader, pixel_format: PixelFormat, frame: int, encoded: bytes) -> Array:
    """Samples of one frame: (rows, columns), or (rows, columns, samples), before color is converted.

    Raises Invalid when no decoder makes sense of it or its size is not what the header says.
    """
    codec = SYNTAXES[header.transfer_syntax_uid].codec
    if codec is None:
        raise Invalid(header.not_renderable or "The frame cannot be decoded.")
    if not encoded:
        raise Invalid(f"Frame {frame + 1} is empty.")
    shape = _shape(pixel_format)
    if codec not in ("native", "deflated-frame", "rle"):
        _check_size(codec, encoded, pixel_format)
    try:
        found = _DECODERS[codec](header, pixel_format, frame, encoded)
        if found.shape != shape:
            found = _fitted(found, shape)
    except Invalid:
        raise
    except Exception as error:
        # imagecodecs raises a kind of error per codec; to us all are one.
        raise Invalid(f"Frame {frame + 1} is damaged.") from error
    return found


def _shape(pixel_format: PixelFormat) -> tuple[int, ...]:
    plane = (pixel_format.rows, pixel_format.columns)
    return plane if pixel_format.samples_per_pixel == 1 else (*plane, pixel_format.samples_per_pixel)


def _fitted(found: Array, shape: tuple[int, ...]) -> Array:
    """The same samples in the shape of the header; Invalid when the frame is of another size."""
    if found.shape == shape:
        return found
    if found.ndim == 3 and len(shape) == 3 and (found.shape[1], found.shape[2], found.shape[0]) == shape:
        return np.ascontiguousarray(np.moveaxis(found, 0, -1))
    if found.size == np.prod(shape, dtype=np.int64) and 1 in found.shape:
        return found.reshape(shape)
    size = " x ".join(map(str, found.shape))
    raise Invalid(f"A frame is {size} pixels where the header says {' x '.join(map(str, shape))}.")


def _array(found: Any) -> Array:
    """What imagecodecs returns, with a type."""
    return np.asarray(found)


def _native(header: InstanceHeader, pixel_format: PixelFormat, frame: int, encoded: bytes) -> Array:
    bits = frame_bits(pixel_format)
    if pixel_format.bits_allocated == 1:
        return _unpacked(pixel_format, encoded, frame * bits % 8)
    if len(encoded) * 8 < bits:
        raise Invalid(f"Frame {frame + 1} is shorter than its rows and columns ask for.")
    dtype = stored_dtype(pixel_format)
    little = SYNTAXES[header.transfer_syntax_uid].pixels_little_endian
    ordered = dtype.newbyteorder("<") if little else dtype.newbyteorder(">")
    values = np.frombuffer(encoded, ordered, count=bits // (8 * dtype.itemsize))
    values = values.astype(dtype, copy=False)
    rows, columns, samples = pixel_format.rows, pixel_format.columns, pixel_format.samples_per_pixel
    if samples == 1:
        return values.reshape(rows, columns)
    if pixel_format.photometric_interpretation == "YBR_FULL_422":
        return _from_422(values.reshape(rows, columns // 2, 4))
    if pixel_format.planar_configuration == 1:
        return np.ascontiguousarray(np.moveaxis(values.reshape(samples, rows, columns), 0, -1))
    return values.reshape(rows, columns, samples)


def _unpacked(pixel_format: PixelFormat, encoded: bytes, first_bit: int) -> Array:
    """One bit per pixel, least significant first (PS3.5 8.1.1)."""
    count = pixel_format.rows * pixel_format.columns
    bits = np.unpackbits(np.frombuffer(encoded, np.uint8), bitorder="little")[first_bit : first_bit + count]
    if bits.size < count:
        raise Invalid("A frame is shorter than its rows and columns ask for.")
    return bits.reshape(pixel_format.rows, pixel_format.columns)


def _from_422(pairs: Array) -> Array:
    """Two luminances, then the color both share (PS3.3 C.7.6.3.1.2) to one color per pixel."""
    rows, half, _ = pairs.shape
    out = np.empty((rows, half * 2, 3), pairs.dtype)
    out[:, 0::2, 0], out[:, 1::2, 0] = pairs[:, :, 0], pairs[:, :, 1]
    for channel in (1, 2):
        out[:, 0::2, channel] = out[:, 1::2, channel] = pairs[:, :, channel + 1]
    return out


def _deflated_frame(header: InstanceHeader, pixel_format: PixelFormat, frame: int, encoded: bytes) -> Array:
    frame_bytes = (frame_bits(pixel_format) + 7) // 8
    # Every frame is deflated on its own and starts on a byte, also when pixels are bits.
    return _native(header, pixel_format, 0, inflate_frame(encoded, frame_bytes))


def _rle(header: InstanceHeader, pixel_format: PixelFormat, frame: int, encoded: bytes) -> Array:
    """PS3.5 Annex G: one segment per byte of a pixel, the most significant first, plane after plane."""
    bits = frame_bits(pixel_format)
    if pixel_format.bits_allocated == 1:
        count = (bits + 7) // 8
        return _unpacked(pixel_format, bytes(imagecodecs.dicomrle_decode(encoded, "u1", out=count)), 0)
    rows, columns, samples = pixel_format.rows, pixel_format.columns, pixel_format.samples_per_pixel
    dtype = stored_dtype(pixel_format)
    expected = rows * columns * samples * dtype.itemsize
    try:
        flat = bytes(imagecodecs.dicomrle_decode(encoded, dtype.newbyteorder("<").str, out=expected))
    except (RuntimeError, ValueError):
        bytes_of = np.frombuffer(
            rle_planes(encoded, samples * dtype.itemsize, rows * columns), np.uint8
        ).reshape(samples, dtype.itemsize, rows * columns)
        flat = np.ascontiguousarray(np.moveaxis(bytes_of, 1, 2)[:, :, ::-1]).tobytes()
    if len(flat) < expected:
        raise Invalid(f"Frame {frame + 1} is shorter than its rows and columns ask for.")
    values = np.frombuffer(flat, dtype, count=rows * columns * samples)
    if samples == 1:
        return values.reshape(rows, columns)
    return np.ascontiguousarray(np.moveaxis(values.reshape(samples, rows, columns), 0, -1))


def _jpeg(header: InstanceHeader, pixel_format: PixelFormat, frame: int, encoded: bytes) -> Array:
    """All JPEG processes, 8 to 16 bits; color comes out as RGB."""
    if pixel_format.samples_per_pixel == 1:
        return _array(imagecodecs.jpeg8_decode(encoded))
    rgb = _adobe_transform(encoded) == 0 or (
        pixel_format.photometric_interpretation == "RGB" and _adobe_transform(encoded) is None
    )
    space = "RGB" if rgb else "YCBCR"
    return _array(imagecodecs.jpeg8_decode(encoded, colorspace=space, outcolorspace="RGB"))


def _adobe_transform(encoded: bytes) -> int | None:
    """0 for RGB and 1 for YCbCr when Adobe's marker says so, else None: then the header decides."""
    for marker, content in _jpeg_segments(encoded):
        if marker == 0xEE and content.startswith(b"Adobe") and len(content) >= 12:
            return content[11]
    return None


def _jpeg_segments(encoded: bytes) -> Iterator[tuple[int, bytes]]:
    """Marker segments up to the first scan (ISO/IEC 10918-1 B.1.1.4)."""
    position = 2
    while position + 4 <= len(encoded) and encoded[position] == 0xFF:
        marker = encoded[position + 1]
        if marker == 0xFF:
            position += 1
            continue
        if marker == 0xDA:
            return
        length = int.from_bytes(encoded[position + 2 : position + 4], "big")
        yield marker, encoded[position + 4 : position + 2 + length]
        position += 2 + max(length, 2)


def _jpeg_ls(header: InstanceHeader, pixel_format: PixelFormat, frame: int, encoded: bytes) -> Array:
    return _array(imagecodecs.jpegls_decode(encoded))


def _jpeg2000(header: InstanceHeader, pixel_format: PixelFormat, frame: int, encoded: bytes) -> Array:
    return _array(imagecodecs.jpeg2k_decode(encoded, numthreads=1))


def _htj2k(header: InstanceHeader, pixel_format: PixelFormat, frame: int, encoded: bytes) -> Array:
    if SYNTAXES[header.transfer_syntax_uid].lossy:
        # OpenJPH does not clip what quantization pushes beyond black and white; OpenJPEG does.
        return _array(imagecodecs.jpeg2k_decode(encoded, numthreads=1))
    try:
        return _array(imagecodecs.htj2k_decode(encoded))
    except imagecodecs.Htj2kError:
        return _array(imagecodecs.jpeg2k_decode(encoded, numthreads=1))


def _jpeg_xl(header: InstanceHeader, pixel_format: PixelFormat, frame: int, encoded: bytes) -> Array:
    return _array(imagecodecs.jpegxl_decode(encoded, numthreads=1))


_Decoder = Callable[[InstanceHeader, PixelFormat, int, bytes], Array]
_DECODERS: dict[Codec, _Decoder] = {
    "native": _native,
    "deflated-frame": _deflated_frame,
    "rle": _rle,
    "jpeg": _jpeg,
    "jpeg-ls": _jpeg_ls,
    "jpeg2000": _jpeg2000,
    "htj2k": _htj2k,
    "jpeg-xl": _jpeg_xl,
}


def _check_size(codec: Codec, encoded: bytes, pixel_format: PixelFormat) -> None:
    """Refuse a code stream that announces another size than the header before memory is taken for it."""
    if codec in ("jpeg", "jpeg-ls"):
        size = _jpeg_size(encoded)
    elif codec in ("jpeg2000", "htj2k"):
        size = _jpeg2000_size(encoded)
    else:
        return
    if size is not None and size != (pixel_format.rows, pixel_format.columns):
        raise Invalid(
            f"A frame is {size[0]} x {size[1]} pixels where the header says "
            f"{pixel_format.rows} x {pixel_format.columns}."
        )


def _jpeg_size(encoded: bytes) -> tuple[int, int] | None:
    """Rows and columns from the frame header (ISO/IEC 10918-1 B.2.2, 14495-1 C.2.2)."""
    for marker, content in _jpeg_segments(encoded):
        if (marker in _SOF or marker == 0xF7) and len(content) >= 5:
            rows = int.from_bytes(content[1:3], "big")
            return (rows, int.from_bytes(content[3:5], "big")) if rows else None
    return None


def _jpeg2000_size(encoded: bytes) -> tuple[int, int] | None:
    """Rows and columns from the SIZ marker (ISO/IEC 15444-1 A.5.1)."""
    start = encoded.find(b"\xff\x4f\xff\x51", 0, 4096)
    if start < 0 or start + 24 > len(encoded):
        return None
    x1, y1, x0, y0 = (
        int.from_bytes(encoded[start + 8 + 4 * i : start + 12 + 4 * i], "big") for i in range(4)
    )
    return y1 - y0, x1 - x0


def stream_is_signed(codec: Codec | None, encoded: bytes) -> bool:
    """Whether a JPEG 2000 code stream itself carries signed samples (Ssiz, ISO/IEC 15444-1 A.5.1)."""
    if codec not in ("jpeg2000", "htj2k"):
        return False
    start = encoded.find(b"\xff\x4f\xff\x51", 0, 4096)
    return 0 <= start < len(encoded) - 43 and encoded[start + 42] >> 7 == 1
