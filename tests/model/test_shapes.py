"""Which pixels a shape holds, against a second way: one center after another."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sivr.errors import Invalid
from sivr.model.shapes import COUNTS, Point, Shape, angle_deg, area, mask, path_length, perimeter

ROWS, COLUMNS = 40, 50
coordinate = st.floats(-15, 65).map(lambda value: round(value, 2))
point = st.tuples(coordinate, coordinate)


def whole(shape: Shape, points: list[Point], step: tuple[float, float] = (1.0, 1.0)) -> np.ndarray:
    down, across, inside = mask(shape, points, ROWS, COLUMNS, step)
    found = np.zeros((ROWS, COLUMNS), bool)
    found[down, across] = inside
    return found


def inside_polygon(points: list[Point], x: float, y: float) -> bool:
    """By the sum of crossings of a ray to the left, edge by edge, in plain floats."""
    inside = False
    for (x0, y0), (x1, y1) in zip(points, points[1:] + points[:1], strict=True):
        if (y0 > y) != (y1 > y) and x >= x0 + (y - y0) * (x1 - x0) / (y1 - y0):
            inside = not inside
    return inside


@settings(max_examples=60, deadline=None)
@given(st.lists(point, min_size=3, max_size=9))
def test_polygons(points: list[Point]) -> None:
    found = whole("polygon", points)
    for row in range(0, ROWS, 3):
        for column in range(0, COLUMNS, 3):
            assert found[row, column] == inside_polygon(points, column + 0.5, row + 0.5), (column, row)


@settings(max_examples=60, deadline=None)
@given(point, point, st.sampled_from([(1.0, 1.0), (0.5, 0.8), (2.0, 0.3)]))
def test_rectangles_and_circles(a: Point, b: Point, step: tuple[float, float]) -> None:
    rectangle, circle = whole("rectangle", [a, b]), whole("circle", [a, b], step)
    radius = math.hypot((b[0] - a[0]) * step[0], (b[1] - a[1]) * step[1])
    for row in range(0, ROWS, 3):
        for column in range(0, COLUMNS, 3):
            x, y = column + 0.5, row + 0.5
            assert rectangle[row, column] == (
                min(a[0], b[0]) <= x <= max(a[0], b[0]) and min(a[1], b[1]) <= y <= max(a[1], b[1])
            )
            away = math.hypot((x - a[0]) * step[0], (y - a[1]) * step[1])
            if abs(away - radius) > 1e-9:
                assert circle[row, column] == (away < radius)


def test_known_figures() -> None:
    box: list[Point] = [(10, 10), (14, 13)]
    assert whole("rectangle", box).sum() == 12
    assert (area("rectangle", box, (0.5, 0.8)), perimeter("rectangle", box, (0.5, 0.8))) == pytest.approx(
        (4.8, 8.8)
    )
    corners: list[Point] = [(10, 10), (14, 10), (14, 13), (10, 13)]
    assert whole("polygon", corners).sum() == 12 and area("polygon", corners) == 12
    # Neighbors that share an edge through centers share no pixel and leave none out.
    left: list[Point] = [(0.5, 0.5), (20.5, 0.5), (20.5, 30.5), (0.5, 30.5)]
    right: list[Point] = [(20.5, 0.5), (40.5, 0.5), (40.5, 30.5), (20.5, 30.5)]
    both = whole("polygon", left).astype(int) + whole("polygon", right)
    assert both.max() == 1 and both.sum() == 40 * 30
    ellipse: list[Point] = [(5, 20), (45, 20), (25, 10), (25, 30)]
    assert area("ellipse", ellipse) == pytest.approx(math.pi * 200)
    assert whole("ellipse", ellipse).sum() == pytest.approx(math.pi * 200, rel=0.02)
    # Turned by 45 degrees it is as large, and held by the same rule.
    turned: list[Point] = [(15, 10), (35, 30), (30, 15), (20, 25)]
    assert whole("ellipse", turned).sum() == pytest.approx(area("ellipse", turned), rel=0.02)
    assert perimeter("ellipse", [(0, 5), (10, 5), (5, 0), (5, 10)]) == pytest.approx(10 * math.pi)
    # Ramanujan's formula against the integral for half axes of 20 and 10.
    t = np.linspace(0, 2 * np.pi, 200_001)
    exact = np.trapezoid(np.hypot(20 * np.sin(t), 10 * np.cos(t)), t)
    assert perimeter("ellipse", ellipse) == pytest.approx(exact, rel=1e-6)
    assert path_length([(0, 0), (3, 4), (3, 0)], (1, 1)) == 9
    assert angle_deg(((0, 0), (1, 0)), ((0, 0), (0, 5))) == 90
    assert angle_deg(((0, 0), (1, 1)), ((0, 0), (1, 0)), (0.5, 0.8)) == pytest.approx(
        math.degrees(math.atan2(0.8, 0.5))
    )
    assert angle_deg(((0, 0), (1, 0)), ((9, 9), (2, 9))) == 180
    assert angle_deg(((0, 0), (0, 0)), ((9, 9), (2, 9))) == 0


def test_what_lies_outside() -> None:
    assert whole("rectangle", [(-50, -50), (-10, -10)]).sum() == 0
    assert whole("rectangle", [(-50, -50), (500, 500)]).all()
    assert whole("point", [(49.9, 39.9)])[39, 49] and whole("point", [(0, 0)])[0, 0]
    assert whole("point", [(50, 3)]).sum() == 0
    assert whole("ellipse", [(5, 5), (5, 5), (5, 5), (5, 5)]).sum() == 0


@pytest.mark.parametrize("shape", list(COUNTS))
def test_wrong_numbers_of_points(shape: Shape) -> None:
    least, most = COUNTS[shape]
    for count in (least - 1, most + 1):
        with pytest.raises(Invalid):
            whole(shape, [(1.0, 1.0)] * count)
    for wrong in (1e300, float("nan"), float("inf")):
        with pytest.raises(Invalid):
            whole(shape, [(1.0, wrong)] * least)
