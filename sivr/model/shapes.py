"""Shapes that people draw on frames: which pixels they hold, and how long, wide and large they are.

Coordinates are column, row as in ``sivr.model.spacing``: pixel (0, 0) reaches from 0, 0 to 1, 1 with its
center at 0.5, 0.5. A pixel belongs to a shape when its center lies inside or on the outline; on that of a
polygon only where the polygon lies to the right of it or below it, so that neighbors share no pixel.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from sivr.errors import Invalid

Point = tuple[float, float]
Mask = npt.NDArray[np.bool_]
Shape = Literal["point", "rectangle", "ellipse", "circle", "polygon"]

COUNTS: dict[Shape, tuple[int, int]] = {
    "point": (1, 1),
    "rectangle": (2, 2),
    "ellipse": (4, 4),
    "circle": (2, 2),
    "polygon": (3, 4096),
}
"""Least and most points: a rectangle's opposite corners; the ends of an ellipse's two axes, one after the
other (PS3.3 C.18.6.1.2); a circle's center and a point on it; the corners of a polygon."""

_REACH = 1e6


def check_shape(shape: Shape, points: Sequence[Point]) -> None:
    """Raises Invalid when these points are no such shape."""
    least, most = COUNTS[shape]
    if not least <= len(points) <= most:
        wanted = f"{least}" if least == most else f"{least} to {most}"
        raise Invalid(f"A {shape} has {wanted} points; {len(points)} were given.", {"field": "points"})
    if not all(abs(value) <= _REACH for point in points for value in point):
        raise Invalid("A point lies too far away from the frame.", {"field": "points"})


def mask(
    shape: Shape, points: Sequence[Point], rows: int, columns: int, step: tuple[float, float] = (1.0, 1.0)
) -> tuple[slice, slice, Mask]:
    """The rows and the columns that a shape touches, and which pixels of those are in it, (rows, columns).

    ``step`` is the size of a pixel along columns and rows: a circle is round in the patient, not in pixels.
    What lies outside the frame is cut off; the mask is empty when all of it does.
    """
    check_shape(shape, points)
    left, top, right, bottom = _box(shape, points, step)
    if shape == "point":
        first_row, last_row = math.floor(points[0][1]), math.floor(points[0][1]) + 1
        first_column, last_column = math.floor(points[0][0]), math.floor(points[0][0]) + 1
    else:
        first_row, last_row = math.floor(top), math.ceil(bottom)
        first_column, last_column = math.floor(left), math.ceil(right)
    across = slice(min(max(first_column, 0), columns), min(max(last_column, 0), columns))
    down = slice(min(max(first_row, 0), rows), min(max(last_row, 0), rows))
    x = np.arange(across.start, across.stop, dtype=np.float64) + 0.5
    y = (np.arange(down.start, down.stop, dtype=np.float64) + 0.5)[:, None]
    return down, across, _inside(shape, points, x, y, step)


def _inside(
    shape: Shape,
    points: Sequence[Point],
    x: npt.NDArray[np.float64],
    y: npt.NDArray[np.float64],
    step: tuple[float, float],
) -> Mask:
    if shape == "point":
        return np.ones((y.shape[0], x.shape[0]), np.bool_)
    if shape == "rectangle":
        (x0, y0), (x1, y1) = points
        return (x >= min(x0, x1)) & (x <= max(x0, x1)) & (y >= min(y0, y1)) & (y <= max(y0, y1))
    if shape == "circle":
        (cx, cy), (px, py) = points
        radius = ((px - cx) * step[0]) ** 2 + ((py - cy) * step[1]) ** 2
        return np.asarray(((x - cx) * step[0]) ** 2 + ((y - cy) * step[1]) ** 2 <= radius)
    if shape == "ellipse":
        cx, cy, first, second = ellipse_of(points)
        size = first[0] * second[1] - first[1] * second[0]
        if abs(size) < 1e-12:
            return np.zeros((y.shape[0], x.shape[0]), np.bool_)
        dx, dy = x - cx, y - cy
        u = (dx * second[1] - dy * second[0]) / size
        v = (dy * first[0] - dx * first[1]) / size
        return np.asarray(u**2 + v**2 <= 1.0)
    return _in_polygon(points, x, y)


def _in_polygon(points: Sequence[Point], x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> Mask:
    """Even-odd: a center is inside when a ray to the left crosses the outline an odd number of times."""
    found = np.zeros((y.shape[0], x.shape[0]), np.bool_)
    heights = y[:, 0]
    for (x0, y0), (x1, y1) in zip(points, (*points[1:], points[0]), strict=True):
        if y0 == y1:
            continue
        rows = np.flatnonzero((heights >= min(y0, y1)) & (heights < max(y0, y1)))
        if rows.size:
            crossing = x0 + (heights[rows] - y0) * (x1 - x0) / (y1 - y0)
            found[rows] ^= x[None, :] >= crossing[:, None]
    return found


def ellipse_of(points: Sequence[Point]) -> tuple[float, float, Point, Point]:
    """Center and the two half axes of an ellipse given by the ends of its axes."""
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = points
    center = ((ax + bx + cx + dx) / 4, (ay + by + cy + dy) / 4)
    return (*center, ((bx - ax) / 2, (by - ay) / 2), ((dx - cx) / 2, (dy - cy) / 2))


def _box(
    shape: Shape, points: Sequence[Point], step: tuple[float, float]
) -> tuple[float, float, float, float]:
    """Left, top, right, bottom."""
    if shape == "circle":
        (cx, cy), _ = points
        radius = radius_of(points, step)
        return (cx - radius / step[0], cy - radius / step[1], cx + radius / step[0], cy + radius / step[1])
    if shape == "ellipse":
        cx, cy, first, second = ellipse_of(points)
        half_x, half_y = math.hypot(first[0], second[0]), math.hypot(first[1], second[1])
        return (cx - half_x, cy - half_y, cx + half_x, cy + half_y)
    xs, ys = [point[0] for point in points], [point[1] for point in points]
    return (min(xs), min(ys), max(xs), max(ys))


def distance(one: Point, other: Point, step: tuple[float, float] = (1.0, 1.0)) -> float:
    """From one point to another."""
    return math.hypot((other[0] - one[0]) * step[0], (other[1] - one[1]) * step[1])


def path_length(
    points: Sequence[Point], step: tuple[float, float] = (1.0, 1.0), closed: bool = False
) -> float:
    """Along a line of points, back to the first where it is closed."""
    line = [*points, points[0]] if closed and points else list(points)
    return math.fsum(distance(a, b, step) for a, b in pairwise(line))


def radius_of(points: Sequence[Point], step: tuple[float, float] = (1.0, 1.0)) -> float:
    """Of a circle given by its center and a point on it."""
    return distance(points[0], points[1], step)


def angle_deg(
    first: tuple[Point, Point], second: tuple[Point, Point], step: tuple[float, float] = (1.0, 1.0)
) -> float:
    """Between two directions, 0 to 180; 0 where one of them is none."""
    ax, ay = (first[1][0] - first[0][0]) * step[0], (first[1][1] - first[0][1]) * step[1]
    bx, by = (second[1][0] - second[0][0]) * step[0], (second[1][1] - second[0][1]) * step[1]
    return (
        math.degrees(abs(math.atan2(ax * by - ay * bx, ax * bx + ay * by)))
        if (ax or ay) and (bx or by)
        else 0.0
    )


def area(shape: Shape, points: Sequence[Point], step: tuple[float, float] = (1.0, 1.0)) -> float:
    """Within the outline, whatever of it lies on the frame."""
    one = step[0] * step[1]
    if shape == "rectangle":
        (x0, y0), (x1, y1) = points
        return abs((x1 - x0) * (y1 - y0)) * one
    if shape == "ellipse":
        _, _, first, second = ellipse_of(points)
        return math.pi * abs(first[0] * second[1] - first[1] * second[0]) * one
    if shape == "circle":
        return math.pi * radius_of(points, step) ** 2
    if shape == "point":
        return 0.0
    pairs: Any = zip(points, (*points[1:], points[0]), strict=True)
    return abs(math.fsum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in pairs)) / 2 * one


def perimeter(shape: Shape, points: Sequence[Point], step: tuple[float, float] = (1.0, 1.0)) -> float:
    """Around the outline; of an ellipse by Ramanujan's second formula."""
    if shape == "rectangle":
        (x0, y0), (x1, y1) = points
        return 2 * (abs(x1 - x0) * step[0] + abs(y1 - y0) * step[1])
    if shape == "circle":
        return 2 * math.pi * radius_of(points, step)
    if shape == "ellipse":
        a, b = (distance(points[k], points[k + 1], step) / 2 for k in (0, 2))
        if a + b == 0:
            return 0.0
        h = ((a - b) / (a + b)) ** 2
        return math.pi * (a + b) * (1 + 3 * h / (10 + math.sqrt(4 - 3 * h)))
    return path_length(points, step, closed=True) if shape == "polygon" else 0.0
