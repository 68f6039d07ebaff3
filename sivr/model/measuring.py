"""What annotations on frames measure, from their points and the spacing that holds for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from sivr.model.annotations import KINDS, Kind, OnFrame
from sivr.model.shapes import Point, angle_deg, area, distance, path_length, perimeter, radius_of
from sivr.model.spacing import Spacing
from sivr.model.statistics import Statistics

QuantityName = Literal[
    "length",
    "path",
    "horizontal",
    "vertical",
    "angle",
    "cobb",
    "long_axis",
    "short_axis",
    "area",
    "perimeter",
    "radius",
    "value",
    "mean",
    "sd",
    "min",
    "max",
]


class Quantity(msgspec.Struct, frozen=True):
    """One figure."""

    name: QuantityName
    value: float
    unit: str
    """mm, mm2, deg, HU, px ..."""


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """An annotation on a frame with all that is known of it, to be written into a document."""

    id: str
    kind: Kind
    place: OnFrame
    points: tuple[Point, ...]
    name: str = ""
    text: str = ""
    quantities: tuple[Quantity, ...] = ()
    spacing: Spacing = Spacing("pixels", "px", "px", 1.0, 1.0)


def quantities(kind: Kind, points: Sequence[Point], spacing: Spacing) -> tuple[Quantity, ...]:
    """Lengths, angles and sizes of an annotation; none that its units do not allow.

    Where columns and rows count different things (time and depth), a length is told along each alone, and
    nothing else can be.
    """
    unit, step = spacing.unit, (spacing.step_x, spacing.step_y)
    if not unit:
        if kind != "length":
            return ()
        (x0, y0), (x1, y1) = points
        return (
            Quantity("horizontal", abs(x1 - x0) * step[0], spacing.unit_x),
            Quantity("vertical", abs(y1 - y0) * step[1], spacing.unit_y),
        )
    if kind == "length":
        return (Quantity("length", distance(points[0], points[1], step), unit),)
    if kind == "polyline":
        return (Quantity("path", path_length(points, step), unit),)
    if kind == "angle":
        end, vertex, other = points
        return (Quantity("angle", angle_deg((vertex, end), (vertex, other), step), "deg"),)
    if kind == "cobb":
        between = angle_deg((points[0], points[1]), (points[2], points[3]), step)
        # Lines have no direction: the smaller of the two angles they enclose.
        return (Quantity("cobb", min(between, 180.0 - between), "deg"),)
    if kind == "bidirectional":
        return (
            Quantity("long_axis", distance(points[0], points[1], step), unit),
            Quantity("short_axis", distance(points[2], points[3], step), unit),
        )
    shape = KINDS[kind].shape
    if shape is None or shape == "point":
        return ()
    round_one = (Quantity("radius", radius_of(points, step), unit),) if shape == "circle" else ()
    return (
        Quantity("area", area(shape, points, step), f"{unit}2"),
        Quantity("perimeter", perimeter(shape, points, step), unit),
        *round_one,
    )


def counted(kind: Kind, found: Statistics) -> tuple[Quantity, ...]:
    """Figures of values, in every unit they are known in."""
    if kind == "probe":
        return tuple(Quantity("value", one.mean, one.unit) for one in found.figures)
    return tuple(
        figure
        for one in found.figures
        for figure in (
            Quantity("mean", one.mean, one.unit),
            Quantity("sd", one.sd, one.unit),
            Quantity("min", one.min, one.unit),
            Quantity("max", one.max, one.unit),
        )
    )
