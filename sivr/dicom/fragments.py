"""Where each frame's bytes lie in a file: by arithmetic, or by walking the items (PS3.5 A.4)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import pairwise

from sivr.dicom.stream import Stream
from sivr.errors import Invalid
from sivr.model.pixels import PixelFormat

Part = tuple[int, int]
Parts = tuple[Part, ...]

_ITEM = 0xFFFEE000
_SEQUENCE_END = 0xFFFEE0DD
_STARTS = (
    b"\xff\xd8\xff",
    b"\xff\x4f\xff\x51",
    b"\x00\x00\x00\x0cjP  ",
    b"\xff\x0a",
    b"\x00\x00\x00\x0cJXL ",
)
"""How a JPEG, JPEG 2000 or JPEG XL frame begins: tells frames apart where no offset table does."""


def frame_bits(pixel_format: PixelFormat) -> int:
    """Bits of one uncompressed frame as stored; YBR_FULL_422 keeps half of the color (PS3.3 C.7.6.3.1.2)."""
    samples = pixel_format.samples_per_pixel
    if pixel_format.photometric_interpretation == "YBR_FULL_422":
        samples = 2
    return pixel_format.rows * pixel_format.columns * samples * pixel_format.bits_allocated


def native_frames(pixel_format: PixelFormat, frames: int, offset: int, length: int) -> tuple[Parts, ...]:
    """Frames of an uncompressed pixel element; as many of them as there are bytes for.

    Frames of one bit per pixel may begin inside a byte: their part starts at the byte that holds the first
    bit (PS3.5 8.1.1).
    """
    bits = frame_bits(pixel_format)
    if bits == 0:
        return ()
    present = min(frames, length * 8 // bits)
    found: list[Parts] = []
    for index in range(present):
        first, last = index * bits // 8, ((index + 1) * bits + 7) // 8
        found.append(((offset + first, last - first),))
    return tuple(found)


def encapsulated_frames(
    stream: Stream,
    offset: int,
    frames: int,
    little_endian: bool,
    extended_offsets: Sequence[int] = (),
) -> tuple[tuple[Parts, ...], tuple[str, ...]]:
    """Frames of an encapsulated pixel element and warnings about its shape.

    One fragment per frame needs no table; else the Extended Offset Table (PS3.3 C.7.6.3.1.8) comes first,
    then the Basic Offset Table, then the start markers of JPEG and its kin. Invalid when an item reaches
    beyond the file.
    """
    table, fragments, warnings = _items(stream, offset, little_endian)
    if not fragments:
        return (), warnings
    start = fragments[0][0] - 8
    if frames == 1:
        return (tuple(fragments),), warnings
    if len(fragments) == frames:
        return tuple((part,) for part in fragments), warnings
    for offsets in (extended_offsets, table):
        grouped = _by_offsets(fragments, [start + o for o in offsets]) if len(offsets) == frames else None
        if grouped is not None:
            return grouped, warnings
    marked = [o - 8 for o, length in fragments if length > 12 and _starts_frame(stream, o)]
    grouped = _by_offsets(fragments, marked) if marked and len(marked) <= frames else None
    if grouped is not None:
        return grouped, warnings
    if len(fragments) < frames:
        return tuple((part,) for part in fragments), warnings
    return (), (*warnings, "Frames cannot be told apart: there is no offset table.")


def _starts_frame(stream: Stream, offset: int) -> bool:
    return stream.at(offset, 12).startswith(_STARTS)


def _by_offsets(fragments: Sequence[Part], starts: Sequence[int]) -> tuple[Parts, ...] | None:
    """Group fragments whose items begin at these places in the file; None when the table does not fit."""
    at = {offset - 8: index for index, (offset, _) in enumerate(fragments)}
    places = [at.get(start, -1) for start in starts]
    if not places or places[0] != 0 or any(b <= a for a, b in pairwise(places)):
        return None
    ends = [*places[1:], len(fragments)]
    return tuple(tuple(fragments[a:b]) for a, b in zip(places, ends, strict=True))


def _items(stream: Stream, offset: int, little_endian: bool) -> tuple[list[int], list[Part], tuple[str, ...]]:
    """Basic offset table, fragments as (offset, length), and warnings."""
    header = struct.Struct("<HHL" if little_endian else ">HHL")
    table: list[int] = []
    fragments: list[Part] = []
    position, first = offset, True
    while True:
        if position + 8 > stream.size:
            if not fragments:
                raise Invalid("The file is cut off: its pixel data has no frames.")
            return table, fragments, ("The pixel data does not end with a sequence delimiter.",)
        group, element, length = header.unpack(stream.at(position, 8))
        tag = group << 16 | element
        position += 8
        if tag == _SEQUENCE_END:
            return table, fragments, ()
        if tag != _ITEM:
            if not fragments:
                raise Invalid("The encapsulated pixel data is damaged: an item was expected.")
            return table, fragments, ("The pixel data is followed by something that is no item.",)
        if position + length > stream.size:
            raise Invalid("The file is cut off: a compressed frame lies beyond its end.")
        if first:
            content = stream.at(position, length)
            count = length // 4
            table = list(struct.unpack(f"{'<' if little_endian else '>'}{count}L", content[: count * 4]))
            first = False
        else:
            fragments.append((position, length))
        position += length
