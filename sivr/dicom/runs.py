"""Run lengths that a strict decoder refuses (PS3.5 G.3): excess bytes and a cut last run are forgiven."""

from __future__ import annotations

import struct

from sivr.errors import Invalid


def rle_planes(encoded: bytes, planes: int, plane_bytes: int) -> bytes:
    """The segments of an RLE frame, decoded and joined; Invalid when one is missing or too short."""
    if len(encoded) < 64:
        raise Invalid("The RLE frame is damaged: its header is cut off.")
    count, *offsets = struct.unpack("<16L", encoded[:64])
    if count != planes:
        raise Invalid(f"The RLE frame has {count} segments where {planes} are expected.")
    ends = [*offsets[1:count], len(encoded)]
    return b"".join(
        _segment(encoded[begin:end], plane_bytes) for begin, end in zip(offsets[:count], ends, strict=True)
    )


def _segment(data: bytes, size: int) -> bytes:
    out = bytearray()
    position = 0
    while len(out) < size and position + 1 < len(data):
        head = data[position]
        if head < 128:
            out += data[position + 1 : position + 2 + head]
            position += 2 + head
        elif head > 128:
            out += data[position + 1 : position + 2] * (257 - head)
            position += 2
        else:
            position += 1
    if len(out) < size:
        raise Invalid("The RLE frame is shorter than its rows and columns ask for.")
    return bytes(out[:size])
