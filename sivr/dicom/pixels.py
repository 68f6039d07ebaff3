"""Frames to arrays of stored values: signs and unused bits put right, color turned into RGB."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from sivr.dicom.codecs import decompress, stored_dtype, stream_is_signed
from sivr.dicom.presentation import lut_values, modality_values, render_reference
from sivr.dicom.read import frames_inside, parse
from sivr.dicom.stream import Stream
from sivr.dicom.syntax import SYNTAXES
from sivr.errors import Invalid
from sivr.model.pixels import Palette, PixelFormat
from sivr.model.studies import InstanceHeader

__all__ = [
    "decode_frame",
    "decode_frames",
    "encoded_frame",
    "modality_values",
    "render_reference",
    "stored_dtype",
]

Array = np.ndarray[Any, np.dtype[Any]]

_YBR = frozenset({"YBR_FULL", "YBR_FULL_422"})


def encoded_frame(header: InstanceHeader, frame: int, source: BinaryIO | Path | bytes) -> bytes:
    """The encoded bytes of a frame (counted from 0) out of its file: its parts, joined.

    Raises Invalid when the file ends before the frame does or the frame cannot be read alone.
    """
    _check(header, frame)
    parts = header.frames[frame].parts
    if not parts:
        raise Invalid("The frames of this object cannot be read one by one.")
    with Stream(source) as stream:
        return b"".join(stream.at(offset, length) for offset, length in parts)


def decode_frame(header: InstanceHeader, frame: int, encoded: bytes) -> Array:
    """Stored values of a frame (counted from 0).

    Grey frames come as (rows, columns) of ``stored_dtype``: sign extended from the stored bits, bits beyond
    them (overlays of old) cleared. Color frames come as (rows, columns, 3) RGB, uint8 or uint16: YBR
    converted, planes interleaved, palettes applied. Raises Invalid when the frame is damaged.
    """
    pixel_format = _check(header, frame)
    try:
        samples = decompress(header, pixel_format, frame, encoded)
    except MemoryError as error:
        raise Invalid("The frame asks for more memory than there is.") from error
    if pixel_format.samples_per_pixel == 3:
        return _rgb(header, pixel_format, samples)
    values = _stored_values(header, pixel_format, samples, encoded)
    if pixel_format.photometric_interpretation == "PALETTE COLOR":
        if header.palette is None:
            raise Invalid(header.not_renderable or "The palette is missing.")
        return _expanded(values, header.palette)
    return values


def plain_frame(header: InstanceHeader, frame: int, dtype: Any) -> tuple[int, int] | None:
    """Where the frame's bytes lie in its file when they are the samples of a gray frame as this machine holds
    them in ``dtype``: offset and length. None for all others, which ``decode_frame`` is for.

    Bits beyond the stored ones may still be there: ``settle`` takes them away.
    """
    form, parts = header.pixel_format, header.frames[frame].parts if frame < len(header.frames) else ()
    syntax = SYNTAXES.get(header.transfer_syntax_uid)
    if form is None or header.not_renderable or len(parts) != 1 or syntax is None or syntax.codec != "native":
        return None
    if (
        form.samples_per_pixel != 1
        or form.color
        or form.kind != "integer"
        or form.bits_allocated not in (8, 16)
    ):
        return None
    if not syntax.pixels_little_endian or sys.byteorder != "little" or stored_dtype(form) != dtype:
        return None
    length = form.rows * form.columns * form.bits_allocated // 8
    return (parts[0][0], length) if parts[0][1] >= length else None


def settle(pixel_format: PixelFormat, samples: Array, out: Array) -> None:
    """Stored values of samples (which are spoiled) into ``out``: signs extended, other bits cleared."""
    left, unused = _shifts(pixel_format, high_bit_counts=True)
    np.left_shift(samples, left, out=samples)
    np.right_shift(samples, unused, out=out)


def has_other_bits(pixel_format: PixelFormat) -> bool:
    """Whether samples may hold more than the stored bits."""
    return pixel_format.bits_stored < pixel_format.bits_allocated


def _shifts(pixel_format: PixelFormat, *, high_bit_counts: bool) -> tuple[int, int]:
    """How far to the top, and down again: an arithmetic shift extends the sign, a logical one clears."""
    stored, high = pixel_format.bits_stored, pixel_format.high_bit
    unused = pixel_format.bits_allocated - stored
    if high_bit_counts and stored <= high + 1 <= pixel_format.bits_allocated:
        return pixel_format.bits_allocated - 1 - high, unused
    return unused, unused


def decode_frames(header: InstanceHeader, source: BinaryIO | Path | bytes) -> Iterator[Array]:
    """Every frame in order; also of objects whose frames cannot be read alone (deflated data sets).

    A deflated data set is inflated once, up to a limit. Raises Invalid as ``decode_frame`` does.
    """
    pixel_format = _check(header, 0)
    with Stream(source) as stream:
        if all(frame.parts for frame in header.frames):
            every = tuple(frame.parts for frame in header.frames)
            place = stream
        else:
            place, every = frames_inside(parse(stream), pixel_format, len(header.frames))
        for index, parts in enumerate(every):
            yield decode_frame(header, index, b"".join(place.at(offset, length) for offset, length in parts))


def _check(header: InstanceHeader, frame: int) -> PixelFormat:
    if header.not_renderable or header.pixel_format is None:
        raise Invalid(header.not_renderable or "The object has no pixels.")
    if not 0 <= frame < len(header.frames):
        raise Invalid(f"The object has {len(header.frames)} frames; there is no frame {frame + 1}.")
    return header.pixel_format


def _stored_values(
    header: InstanceHeader, pixel_format: PixelFormat, samples: Array, encoded: bytes
) -> Array:
    """Samples as decoded to stored values of the header's type (PS3.5 8.1.1)."""
    dtype = stored_dtype(pixel_format)
    if pixel_format.kind != "integer" or pixel_format.bits_allocated == 1:
        return samples.astype(dtype, copy=False)
    codec = SYNTAXES[header.transfer_syntax_uid].codec
    if samples.dtype.itemsize > dtype.itemsize:
        info = np.iinfo(dtype)
        if samples.min() < info.min or samples.max() > info.max:
            raise Invalid("The compressed frame holds larger values than its header allows.")
    values = samples.astype(dtype, copy=False)
    if not has_other_bits(pixel_format):
        return values
    explicit = codec in ("jpeg-ls", "jpeg2000", "htj2k", "jpeg-xl")
    if explicit and (not pixel_format.signed or stream_is_signed(codec, encoded)):
        # These code streams say how wide a sample is: nothing else can hide in them.
        return values
    left, unused = _shifts(pixel_format, high_bit_counts=codec in ("native", "deflated-frame", "rle"))
    return (values << left) >> unused


def _rgb(header: InstanceHeader, pixel_format: PixelFormat, samples: Array) -> Array:
    unsigned = np.dtype(f"u{stored_dtype(pixel_format).itemsize}")
    if samples.dtype.itemsize > unsigned.itemsize and samples.max() > np.iinfo(unsigned).max:
        raise Invalid("The compressed frame holds larger values than its header allows.")
    samples = samples.astype(unsigned, copy=False)
    codec = SYNTAXES[header.transfer_syntax_uid].codec
    if pixel_format.photometric_interpretation in _YBR and codec != "jpeg" and codec != "jpeg-xl":
        samples = ybr_to_rgb(samples)
    elif unsigned.itemsize == 4:
        return np.ascontiguousarray((samples >> max(pixel_format.bits_stored - 16, 0)).astype(np.uint16))
    elif unsigned.itemsize == 2 and pixel_format.bits_stored < 16:
        # 10 and 12 bit color becomes 16 bit color, so that white is white.
        peak = (1 << pixel_format.bits_stored) - 1
        samples = (np.minimum(samples, peak).astype(np.uint32) * 65535 // peak).astype(np.uint16)
    return np.ascontiguousarray(samples)


def ybr_to_rgb(samples: Array) -> Array:
    """YBR_FULL to RGB (PS3.3 C.7.6.3.1.2), by table, rounded."""
    if samples.dtype != np.uint8:
        samples = (samples >> 8).astype(np.uint8)
    luminance = samples[..., 0].astype(np.float32)
    blue, red = samples[..., 1], samples[..., 2]
    chroma = np.arange(256, dtype=np.float32) - 128
    out = np.empty(samples.shape, np.uint8)
    for channel, add in (
        (0, (1.402 * chroma)[red]),
        (1, (-0.114 * 1.772 / 0.587 * chroma)[blue] + (-0.299 * 1.402 / 0.587 * chroma)[red]),
        (2, (1.772 * chroma)[blue]),
    ):
        out[..., channel] = np.clip(np.floor(luminance + add + np.float32(0.5)), 0, 255)
    return out


def _expanded(values: Array, palette: Palette) -> Array:
    """Palette entries of stored values; values beyond the table take its first or last entry."""
    bits = palette.red.bits
    dtype = np.uint8 if bits <= 8 else np.uint16
    out = np.empty((*values.shape, 3), dtype)
    for channel, table in enumerate((palette.red, palette.green, palette.blue)):
        entries = lut_values(table).astype(dtype)
        index = np.clip(values.astype(np.int64) - table.first_mapped, 0, entries.size - 1)
        out[..., channel] = entries[index]
    return out
