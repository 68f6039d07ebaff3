"""What an object wants drawn over its frames, or hidden of them (PS3.3 C.7.6.11, C.7.6.19, C.9.2)."""

from __future__ import annotations

import msgspec

from sivr.model.pixels import Palette


class OverlayPlane(msgspec.Struct, frozen=True):
    """A plane of bits over some or all frames (PS3.3 C.9.2)."""

    group: int
    """0x6000 to 0x601E."""
    rows: int
    columns: int
    top: int
    """Row of the frame, from 0, under the first row of the plane; may lie outside of the frame."""
    left: int
    first_frame: int = 1
    """The frame, from 1, that the first plane belongs to."""
    frames: int = 0
    """Number of planes, one a frame; 0 for one plane over every frame."""
    bits: bytes = b""
    """The planes one after the other, row by row, the first pixel in the lowest bit."""
    bit_position: int | None = None
    """Where the plane hides in the unused bits of the stored pixels; None where it has bits of its own."""


class Shutter(msgspec.Struct, frozen=True):
    """What is to be seen of a frame: what lies within every shape (PS3.3 C.7.6.11). Rows and columns count
    from 1, as in the standard."""

    rectangle: tuple[float, float, float, float] | None = None
    """Left and right column, upper and lower row; these are still seen."""
    circle: tuple[float, float, float] | None = None
    """Row and column of the center, radius in columns."""
    polygon: tuple[tuple[float, float], ...] = ()
    """(row, column) of the corners."""
    overlay_group: int | None = None
    """The overlay whose bits hide the pixels under them (PS3.3 C.7.6.15)."""
    level: int = 0
    """Grey level of what is hidden, 0 to 255."""


class Graphics(msgspec.Struct, frozen=True):
    """Everything drawn on the frames of one object."""

    overlays: tuple[OverlayPlane, ...] = ()
    shutter: Shutter | None = None
    """Of every frame that has none of its own."""
    shutters: dict[int, Shutter] = {}
    """By frame, from 0."""
    supplement: Palette | None = None
    """Colors of the stored values from the first mapped one up (PS3.3 C.7.6.19); the others are grey."""

    def __bool__(self) -> bool:
        return bool(self.overlays or self.shutter or self.shutters or self.supplement)

    @property
    def size_bytes(self) -> int:
        """What it costs to keep."""
        return 1024 + sum(len(plane.bits) for plane in self.overlays) + 256 * len(self.shutters)
