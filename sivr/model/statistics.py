"""Figures of the values within a shape."""

from __future__ import annotations

import msgspec

from sivr.model.shapes import Point, Shape
from sivr.model.spacing import Origin


class Figures(msgspec.Struct, frozen=True):
    """Of the values in one unit."""

    unit: str
    """HU, SUVbw (g/ml), BQML ...; empty where the file names none."""
    mean: float
    sd: float
    """Of these values themselves (population): divided by their number."""
    min: float
    max: float


class Histogram(msgspec.Struct, frozen=True):
    """How many values fall where; bins are of one width, the last includes its upper end."""

    low: float
    high: float
    counts: tuple[int, ...]


class Statistics(msgspec.Struct, frozen=True, kw_only=True):
    """What a shape on a frame holds, from stored values after the modality transformation (PS3.3 C.11.1)."""

    shape: Shape
    count: int
    """Pixels whose values were counted."""
    excluded: int
    """Pixels inside that hold no image: padding, or no finite number."""
    figures: tuple[Figures, ...]
    """In the file's own unit, then SUVbw where the file tells enough; none when nothing is counted."""
    histogram: Histogram | None
    """In the unit of the first figures."""
    color: tuple[int, int, int] | None = None
    """Red, green and blue of the pixel of a point on a color frame."""
    area: float
    area_unit: str
    """mm2, px2, or empty where columns and rows count different things."""
    perimeter: float
    perimeter_unit: str
    origin: Origin
    """Who says how large pixels are."""
    points: tuple[Point, ...]
