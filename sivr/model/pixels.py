"""Stored pixel data and how the standard says to show it (PS3.3 C.7.6.3, C.11.1, C.11.2)."""

from __future__ import annotations

from typing import Literal

import msgspec

VoiFunction = Literal["linear", "linear-exact", "sigmoid"]


class Window(msgspec.Struct, frozen=True):
    """A VOI window, in modality values, e.g. HU (PS3.3 C.11.2.1.2)."""

    center: float
    width: float
    function: VoiFunction = "linear"
    explanation: str = ""


class Lut(msgspec.Struct, frozen=True):
    """A table of unsigned entries (PS3.3 C.11.1.1, C.11.2.1.1): ``values`` are uint16 little endian."""

    first_mapped: int
    bits: int
    values: bytes
    explanation: str = ""


class Palette(msgspec.Struct, frozen=True):
    """Red, green and blue lookup tables, already expanded when segmented (PS3.3 C.7.6.3.1.5)."""

    red: Lut
    green: Lut
    blue: Lut


class PixelFormat(msgspec.Struct, frozen=True):
    """What one stored frame looks like (PS3.3 C.7.6.3)."""

    rows: int
    columns: int
    samples_per_pixel: int
    photometric_interpretation: str
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    planar_configuration: int = 0
    kind: Literal["integer", "float", "double"] = "integer"

    @property
    def color(self) -> bool:
        """True where a frame is shown in color (RGB, YBR or palette)."""
        return self.samples_per_pixel > 1 or self.photometric_interpretation == "PALETTE COLOR"


class Modality(msgspec.Struct, frozen=True):
    """Stored to modality values: a LUT, else slope and intercept (PS3.3 C.11.1)."""

    slope: float = 1.0
    intercept: float = 0.0
    lut: Lut | None = None
    units: str = ""


class FrameDisplay(msgspec.Struct, frozen=True):
    """Everything between stored values and the screen for one frame, functional groups resolved."""

    modality: Modality = Modality()
    windows: tuple[Window, ...] = ()
    voi_luts: tuple[Lut, ...] = ()
    padding: tuple[int | float, int | float] | None = None
    """Inclusive range of stored values that are not image (Pixel Padding Value and Range Limit, or their
    float and double kin)."""
    invert: bool = False
    """MONOCHROME1 or Presentation LUT Shape INVERSE."""


class FramePlane(msgspec.Struct, frozen=True):
    """Where a frame lies in the patient, LPS mm (PS3.3 C.7.6.2)."""

    position: tuple[float, float, float]
    """Center of the first (top left) voxel."""
    orientation: tuple[float, float, float, float, float, float]
    """Direction cosines of increasing column index, then of increasing row index."""
