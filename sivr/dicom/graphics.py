"""Overlays, display shutters and supplemental palettes: out of a file, and onto pictures of its frames.

They lie before the pixels in a file, and few objects have them: they are read when the first picture asks.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from pydicom.dataset import Dataset

from sivr.dicom import elements, luts
from sivr.dicom.codecs import decompress
from sivr.dicom.facts import FRAME_DISPLAY_SHUTTER, OVERLAY_GROUPS, SHUTTER_SHAPE, is_supplemented
from sivr.dicom.presentation import lut_values
from sivr.dicom.read import damage_told, parse
from sivr.dicom.stream import Stream
from sivr.errors import Invalid
from sivr.model.graphics import Graphics, OverlayPlane, Shutter
from sivr.model.pixels import Palette
from sivr.model.studies import InstanceHeader

Array = np.ndarray[Any, np.dtype[Any]]

_SIDE_LIMIT = 1 << 16
_PALETTE = (
    0x00281101, 0x00281102, 0x00281103, 0x00281201, 0x00281202, 0x00281203, 0x00281221, 0x00281222,
    0x00281223,
)  # fmt: skip
_TAGS = [
    *(group << 16 | element for group in OVERLAY_GROUPS for element in (0x10, 0x11, 0x15, 0x50, 0x51)),
    *(group << 16 | element for group in OVERLAY_GROUPS for element in (0x100, 0x102, 0x3000)),
    *range(SHUTTER_SHAPE, 0x00181626),
    0x00089205, 0x00280004, 0x00280010, 0x00280011, 0x00280100, 0x00280101, 0x00280102, 0x00280103,
    *_PALETTE, 0x52009229, 0x52009230,
]  # fmt: skip


def read_graphics(source: BinaryIO | Path | bytes) -> Graphics:
    """What is drawn over the frames of a file; raises Invalid when it cannot be read."""
    with Stream(source) as stream, damage_told():
        parsed = parse(stream, _TAGS)
        data, little_endian = parsed.data, parsed.syntax.little_endian
        found = (_overlay(data, group, little_endian) for group in OVERLAY_GROUPS)
        shared, shutters = _frame_shutters(data)
        return Graphics(
            overlays=tuple(plane for plane in found if plane is not None),
            shutter=shared or _shutter(data),
            shutters=shutters,
            supplement=_supplement(data, little_endian),
        )


def _overlay(data: Dataset, group: int, little_endian: bool) -> OverlayPlane | None:
    base = group << 16
    rows, columns = elements.integer(data, base | 0x10), elements.integer(data, base | 0x11)
    if not rows or not columns or not 0 < rows < _SIDE_LIMIT or not 0 < columns < _SIDE_LIMIT:
        return None
    origin = elements.numbers(data, base | 0x50)
    top, left = (int(origin[0]) - 1, int(origin[1]) - 1) if len(origin) == 2 else (0, 0)
    frames = elements.integer(data, base | 0x15)
    content = elements.value(data, base | 0x3000)
    planes = max(frames or 1, 1)
    position: int | None = None
    bits = b""
    if isinstance(content, bytes):
        bits = content
        if not little_endian:
            # OW: words of 16 bits, written the other way round.
            bits = np.frombuffer(bits[: len(bits) // 2 * 2], ">u2").astype("<u2").tobytes()
        planes = min(planes, len(bits) * 8 // (rows * columns))
        if planes < 1:
            return None
    else:
        position = elements.integer(data, base | 0x102)
        if (elements.integer(data, base | 0x100) or 0) < 8 or not _is_unused(data, position):
            return None
    return OverlayPlane(
        group,
        rows,
        columns,
        top,
        left,
        first_frame=elements.integer(data, base | 0x51) or 1,
        frames=planes if frames is not None and frames > 1 else 0,
        bits=bits,
        bit_position=position,
    )


def _is_unused(data: Dataset, position: int | None) -> bool:
    """Whether a bit of the stored pixels is none of the picture's: else its noise would be drawn over it."""
    allocated, stored = (elements.integer(data, tag) or 0 for tag in (0x00280100, 0x00280101))
    high = elements.integer(data, 0x00280102)
    top = stored - 1 if high is None else high
    return position is not None and 0 <= position < allocated and not top - stored < position <= top


def _shutter(data: Dataset) -> Shutter | None:
    shapes = {shape.upper() for shape in elements.texts(data, SHUTTER_SHAPE)}
    edges = [elements.number(data, tag) for tag in (0x00181602, 0x00181604, 0x00181606, 0x00181608)]
    left, right, upper, lower = edges
    rectangle = None
    if "RECTANGULAR" in shapes and None not in edges:
        rectangle = (left or 0.0, right or 0.0, upper or 0.0, lower or 0.0)
    center, radius = elements.numbers(data, 0x00181610), elements.number(data, 0x00181612)
    circle = None
    if "CIRCULAR" in shapes and len(center) == 2 and radius and radius > 0:
        circle = (center[0], center[1], radius)
    corners = elements.numbers(data, 0x00181620) if "POLYGONAL" in shapes else ()
    polygon = tuple(zip(corners[0::2], corners[1::2], strict=False)) if len(corners) >= 6 else ()
    group = elements.integer(data, 0x00181623) if "BITMAP" in shapes else None
    if rectangle is None and circle is None and not polygon and group is None:
        return None
    value = elements.integer(data, 0x00181622) or 0
    return Shutter(rectangle, circle, polygon[:1024], group, round(min(max(value, 0), 0xFFFF) / 257))


def _frame_shutters(data: Dataset) -> tuple[Shutter | None, dict[int, Shutter]]:
    """The shutter of the shared functional groups, and those of single frames (PS3.3 C.7.6.16.2.16)."""

    def of(groups: Dataset | None) -> Shutter | None:
        item = None if groups is None else elements.first_item(groups, FRAME_DISPLAY_SHUTTER)
        return None if item is None else _shutter(item)

    found = {number: of(item) for number, item in enumerate(elements.items(data, 0x52009230))}
    own = {number: shutter for number, shutter in found.items() if shutter is not None}
    return of(elements.first_item(data, 0x52009229)), own


def _supplement(data: Dataset, little_endian: bool) -> Palette | None:
    if not is_supplemented(data):
        return None
    return luts.palette(data, elements.integer(data, 0x00280103) == 1, little_endian)[0]


def hidden_bits(header: InstanceHeader, frame: int, encoded: bytes, position: int) -> Array:
    """The plane in one unused bit of a frame's (from 0) pixels: bool (rows, columns). Raises Invalid."""
    if header.pixel_format is None:
        raise Invalid(header.not_renderable or "The object has no pixels.")
    samples = decompress(header, header.pixel_format, frame, encoded)
    found: Array = (samples.astype(np.int64) >> position & 1).astype(bool)
    return found


def overlay_mask(plane: OverlayPlane, frame: int, rows: int, columns: int) -> Array | None:
    """Where an overlay with bits of its own covers a frame (from 0) of this size: bool (rows, columns).

    None where it has no plane for this frame. What lies outside of the frame is cut off.
    """
    number = frame + 1 - plane.first_frame if plane.frames else 0
    if plane.frames and not 0 <= number < plane.frames:
        return None
    size = plane.rows * plane.columns
    first, last = number * size, (number + 1) * size
    packed = np.frombuffer(plane.bits, np.uint8)[first // 8 : (last + 7) // 8]
    flat = np.unpackbits(packed, bitorder="little")[first % 8 :][:size]
    own = flat.reshape(plane.rows, plane.columns).astype(bool)
    mask = np.zeros((rows, columns), bool)
    top, left = max(plane.top, 0), max(plane.left, 0)
    bottom, right = min(plane.top + plane.rows, rows), min(plane.left + plane.columns, columns)
    if top < bottom and left < right:
        mask[top:bottom, left:right] = own[
            top - plane.top : bottom - plane.top, left - plane.left : right - plane.left
        ]
    return mask


@lru_cache(maxsize=16)
def shutter_mask(shutter: Shutter, rows: int, columns: int, aspect: float = 1.0) -> Array:
    """Where a shutter lets a frame of this size be seen: bool (rows, columns), read only.

    ``aspect`` is the height of a pixel by its width: circles are round on the screen. A bitmap is not among
    its shapes here; that is an overlay.
    """
    row, column = np.arange(1, rows + 1)[:, None], np.arange(1, columns + 1)[None, :]
    seen = np.ones((rows, columns), bool)
    if shutter.rectangle is not None:
        left, right, upper, lower = shutter.rectangle
        seen &= (column >= left) & (column <= right) & (row >= upper) & (row <= lower)
    if shutter.circle is not None:
        center_row, center_column, radius = shutter.circle
        seen &= ((row - center_row) * aspect) ** 2 + (column - center_column) ** 2 <= radius**2
    if shutter.polygon:
        seen &= _inside(shutter.polygon, row, column)
    seen.flags.writeable = False
    return seen


def _inside(polygon: tuple[tuple[float, float], ...], row: Array, column: Array) -> Array:
    """Pixels whose center lies within: a ray to the left meets the sides an odd number of times."""
    inside = np.zeros((row.shape[0], column.shape[1]), bool)
    for (row_a, column_a), (row_b, column_b) in zip(polygon, (*polygon[1:], polygon[0]), strict=True):
        if row_a == row_b:
            continue
        crosses = (row_a > row) != (row_b > row)
        at = column_a + (row - row_a) / (row_b - row_a) * (column_b - column_a)
        inside ^= crosses & (column > at)
    return inside


def with_supplement(pixels: Array, values: Array, palette: Palette) -> Array:
    """A picture of stored ``values`` in which those from the first mapped one up have their own colors."""
    first = palette.red.first_mapped
    colored = values >= first
    if not colored.any():
        return pixels
    out = pixels.copy() if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)
    for channel, table in enumerate((palette.red, palette.green, palette.blue)):
        entries = lut_values(table) >> max(table.bits - 8, 0)
        index = np.clip(values[colored].astype(np.int64) - first, 0, entries.size - 1)
        out[..., channel][colored] = entries[index]
    return out
