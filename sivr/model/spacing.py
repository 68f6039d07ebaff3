"""How far apart pixels are, and who says so: the one place that decides it.

Coordinates are those of PS3.3 C.18.6: column, row; the top left corner of the first pixel is 0, 0 and its
center 0.5, 0.5. Every answer names its origin, because a millimeter on a detector is none in the patient.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal

import msgspec

Point = tuple[float, float]
Pair = tuple[float, float]

Origin = Literal[
    "patient",
    "calibrated geometry",
    "calibrated fiducial",
    "calibrated",
    "detector corrected by ERMF",
    "detector",
    "nominal",
    "stated",
    "ultrasound region",
    "pixels",
]
"""Where a spacing comes from (PS3.3 10.7.1.3).

- ``patient``: Pixel Spacing of a cross section, true everywhere in its plane
- ``calibrated ...``: Pixel Spacing of a projection, corrected at one depth: by geometry, by something of
  known size, or in a way that the file does not tell
- ``detector``: Imager Pixel Spacing, at the receptor: things in the patient are smaller than they look;
  ``detector corrected by ERMF``: divided by the Estimated Radiographic Magnification Factor
- ``nominal``: of scanned film or paper; ``stated``: a Pixel Spacing that holds nobody knows where
- ``ultrasound region``: of the calibrated region that the points lie in (PS3.3 C.8.5.5)
- ``pixels``: nobody says; distances are counted in pixels
"""

ULTRASOUND_UNITS: dict[int, tuple[str, float]] = {
    0: ("", 1.0),
    1: ("%", 1.0),
    2: ("dB", 1.0),
    3: ("mm", 10.0),
    4: ("s", 1.0),
    5: ("Hz", 1.0),
    6: ("dB/s", 1.0),
    7: ("cm/s", 1.0),
    8: ("cm2", 1.0),
    9: ("cm2/s", 1.0),
    10: ("cm3", 1.0),
    11: ("cm3/s", 1.0),
    12: ("deg", 1.0),
}
"""Physical Units X and Y Direction (PS3.3 C.8.5.5.1.15): our unit, and how many of it are one of theirs."""

RegionKind = Literal["none", "2d", "m-mode", "spectral", "waveform", "graphics", "other"]
REGION_KINDS: dict[int, RegionKind] = {
    0: "none",
    1: "2d",
    2: "m-mode",
    3: "spectral",
    4: "waveform",
    5: "graphics",
}
"""Region Spatial Format (PS3.3 C.8.5.5.1.1)."""

_SAME = 1e-3
"""Relative difference below which two spacings are the same one, written with other digits."""


class Region(msgspec.Struct, frozen=True):
    """A part of an ultrasound frame with scales of its own (PS3.3 C.8.5.5), the whole pixels within
    ``left <= column < right``, ``top <= row < bottom``."""

    left: int
    top: int
    right: int
    bottom: int
    kind: RegionKind
    unit_x: str
    unit_y: str
    step_x: float
    """``unit_x`` from one column to the next; never negative."""
    step_y: float


class Calibration(msgspec.Struct, frozen=True):
    """Everything an object says about its size, as it says it. Pairs are (between rows, between columns)."""

    pixel_mm: Pair | None = None
    """Pixel Spacing."""
    imager_mm: Pair | None = None
    """Imager Pixel Spacing."""
    nominal_mm: Pair | None = None
    """Nominal Scanned Pixel Spacing."""
    kind: str = ""
    """Pixel Spacing Calibration Type: GEOMETRY, FIDUCIAL or nothing."""
    description: str = ""
    """Pixel Spacing Calibration Description."""
    magnification: float | None = None
    """Estimated Radiographic Magnification Factor."""
    projection: bool = False
    """Whether rays go through the patient onto a receptor, so that size depends on depth."""
    cross_section: bool = False
    """Whether the frames are planes through the patient."""
    regions: tuple[Region, ...] = ()
    """In the order in which they are asked: those with priority first."""


class Spacing(msgspec.Struct, frozen=True):
    """From pixels to what can be read on a ruler."""

    origin: Origin
    unit_x: str
    unit_y: str
    step_x: float
    """``unit_x`` from one column to the next."""
    step_y: float
    """``unit_y`` from one row to the next."""
    note: str = ""
    """The factor or the description that belongs to the origin."""

    @property
    def unit(self) -> str:
        """The unit of distances in any direction; empty where columns and rows count different things."""
        return self.unit_x if self.unit_x == self.unit_y else ""


def spacing_of(
    calibration: Calibration,
    frame_mm: Pair | None = None,
    points: Iterable[Point] = (),
    aspect: tuple[int, int] = (1, 1),
) -> Spacing:
    """The spacing that holds for these points of a frame.

    ``frame_mm`` is the frame's own Pixel Spacing (Pixel Measures of the functional groups) and ``aspect`` the
    vertical to horizontal Pixel Aspect Ratio, for where nothing else is known. Points of several regions, or
    partly outside, have no common scale: pixels.
    """
    if calibration.regions:
        region = region_of(calibration.regions, points)
        if region is not None:
            return Spacing("ultrasound region", region.unit_x, region.unit_y, region.step_x, region.step_y)
        return _pixels(aspect)
    own = frame_mm or calibration.pixel_mm
    imager = calibration.imager_mm
    if own is not None and not (imager is not None and calibration.projection and _same(own, imager)):
        return _mm(_origin_of_pixel_spacing(calibration, frame_mm), own, calibration.description)
    if imager is not None:
        factor = calibration.magnification
        if factor is not None and factor > 0:
            corrected = (imager[0] / factor, imager[1] / factor)
            return _mm("detector corrected by ERMF", corrected, f"{factor:g}")
        return _mm("detector", imager)
    if calibration.nominal_mm is not None:
        return _mm("nominal", calibration.nominal_mm)
    return _pixels(aspect)


def region_of(regions: Iterable[Region], points: Iterable[Point]) -> Region | None:
    """The first region that holds all of the points, edges included; None without points."""
    given = tuple(points)
    if not given:
        return None
    for region in regions:
        if all(region.left <= x <= region.right and region.top <= y <= region.bottom for x, y in given):
            return region
    return None


def frame_spacing_mm(calibration: Calibration, frame_mm: Pair | None = None) -> Pair | None:
    """Millimeters between rows and between columns of a frame as a whole; None where nobody says or where
    parts of it differ."""
    if calibration.regions:
        flat = {
            (round(one.step_y, 9), round(one.step_x, 9))
            for one in calibration.regions
            if one.kind == "2d" and one.unit_x == one.unit_y == "mm"
        }
        return flat.pop() if len(flat) == 1 else None
    found = spacing_of(calibration, frame_mm)
    return (found.step_y, found.step_x) if found.unit == "mm" else None


def _origin_of_pixel_spacing(calibration: Calibration, frame_mm: Pair | None) -> Origin:
    if calibration.kind == "GEOMETRY":
        return "calibrated geometry"
    if calibration.kind == "FIDUCIAL":
        return "calibrated fiducial"
    if calibration.cross_section or (frame_mm is not None and not calibration.projection):
        return "patient"
    if calibration.projection and calibration.imager_mm is not None:
        return "calibrated"
    return "stated"


def _same(one: Pair, other: Pair) -> bool:
    return all(math.isclose(a, b, rel_tol=_SAME) for a, b in zip(one, other, strict=True))


def _mm(origin: Origin, pair: Pair, note: str = "") -> Spacing:
    return Spacing(origin, "mm", "mm", pair[1], pair[0], note)


def _pixels(aspect: tuple[int, int]) -> Spacing:
    return Spacing("pixels", "px", "px", 1.0, aspect[0] / aspect[1])
