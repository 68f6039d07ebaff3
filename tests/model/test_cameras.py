"""Viewpoints and their axes (PS3.18 8.3.5.3)."""

from __future__ import annotations

import math

import pytest

from sivr.errors import Invalid
from sivr.model import cameras
from sivr.model.rendering import Orientation, Viewpoint

EDGES: dict[Orientation, tuple[str, str, str, str]] = {
    "a": ("R", "L", "H", "F"),
    "p": ("L", "R", "H", "F"),
    "r": ("P", "A", "H", "F"),
    "l": ("A", "P", "H", "F"),
    "h": ("L", "R", "A", "P"),
    "f": ("R", "L", "A", "P"),
}
"""left, right, top, bottom of the picture from each side."""


@pytest.mark.parametrize("orientation", EDGES)
def test_edges_of_the_six_sides(orientation: Orientation) -> None:
    viewpoint = cameras.viewpoint_for(orientation, (1.0, 2.0, 3.0), 100.0)
    assert viewpoint.look_at == (1.0, 2.0, 3.0)
    assert math.dist(viewpoint.position, viewpoint.look_at) == pytest.approx(100.0)
    assert tuple(cameras.edge_letters(viewpoint).values()) == EDGES[orientation]


def test_the_front_camera_stands_in_front() -> None:
    assert cameras.viewpoint_for("a", (0, 0, 0), 10).position == (0, -10, 0), "anterior is -y in LPS"


def test_oblique_letters_name_the_main_direction_first() -> None:
    assert cameras.letters((0.9, -0.4, 0.05)) == "LA"
    assert cameras.letters((-0.2, 0.3, 0.9)) == "HPR"
    assert cameras.letters((0, 0, 0)) == ""


def test_pixels_and_points_are_each_others_inverse() -> None:
    view = Viewpoint((30.0, -80.0, 25.0), (4.0, 5.0, 6.0), (0.1, 0.0, 1.0))
    for pixel in ((0.0, 0.0), (99.0, 3.5), (42.0, 59.0)):
        point = cameras.lps_of_pixel(view, 100, 60, 180.0, *pixel)
        assert cameras.pixel_of_lps(view, 100, 60, 180.0, point) == pytest.approx(pixel)
    assert cameras.lps_of_pixel(view, 100, 60, 180.0, 49.5, 29.5) == pytest.approx(view.look_at)
    front = cameras.viewpoint_for("a", (0, 0, 0), 10)
    assert cameras.lps_of_pixel(front, 3, 3, 3.0, 2, 0) == pytest.approx((1, 0, 1))


def test_turning_brings_the_sides_forward() -> None:
    front = cameras.viewpoint_for("a", (0, 0, 0), 100.0)
    to_the_right = cameras.turned(front, math.pi / 2, 0.0)
    assert to_the_right.position == pytest.approx((-100, 0, 0)), "what was on the left comes to the front"
    upward = cameras.turned(front, 0.0, math.pi / 2)
    assert upward.position == pytest.approx((0, 0, -100)), "what was below comes to the front"


@pytest.mark.parametrize(
    "viewpoint",
    [
        Viewpoint((0, 0, 0), (0, 0, 0), (0, 0, 1)),
        Viewpoint((0, 0, 1), (0, 0, 0), (0, 0, 1)),
        Viewpoint((0, 0, 1), (0, 0, 0), (0, 0, 0)),
        Viewpoint((0, 0, float("nan")), (0, 0, 0), (0, 1, 0)),
    ],
)
def test_degenerate_cameras_are_refused(viewpoint: Viewpoint) -> None:
    with pytest.raises(Invalid):
        cameras.basis(viewpoint)
