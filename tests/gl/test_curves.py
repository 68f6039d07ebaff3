"""Planes along curves: the line itself, and pictures of a bent tube that must come out straight."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from sivr.errors import Invalid
from sivr.gl import curves
from sivr.model.pixels import Window
from sivr.model.rendering import Curve, PlaneView, Vector, Viewpoint
from tests.gl.paths import PATHS, renderer
from tests.gl.test_raycast import trilinear, windowed

WINDOW = Window(500, 1001)
NOWHERE = Viewpoint((0, -1, 0), (0, 0, 0), (0, 0, 1))
AFFINE = np.array([[0.8, 0.05, 0.0, -21.0], [0.0, 0.9, 0.1, -20.0], [0.03, 0.0, 1.1, -18.0], [0, 0, 0, 1.0]])
SHAPE = (44, 56, 60)


@pytest.fixture(params=PATHS)
def draw(request: pytest.FixtureRequest) -> Iterator[Callable[..., Any]]:
    """Draws a curved plane one way; OpenGL needs a context."""
    if request.param == "gl":
        request.getfixturevalue("current_context")
    volumes, caster = renderer(request.param)

    def picture(bench: Any, view: PlaneView) -> Any:
        return caster.plane(volumes.get(bench.source), view)

    yield picture
    volumes.clear()


def helix(count: int, turns: float = 0.8, radius: float = 12.0, rise: float = 14.0) -> np.ndarray[Any, Any]:
    """Points of a helix around z through the origin's neighborhood, LPS mm."""
    angle = np.linspace(0, 2 * np.pi * turns, count)
    z = np.linspace(-rise / 2, rise / 2, count)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), z], axis=1)


def given(points: np.ndarray[Any, Any]) -> tuple[Vector, ...]:
    return tuple((float(x), float(y), float(z)) for x, y, z in points)


def tube(around: np.ndarray[Any, Any], radius: float = 4.0) -> np.ndarray[Any, Any]:
    """Voxels that are brighter the nearer they are to a curve."""
    k, j, i = np.indices(SHAPE)
    lps = np.stack([i, j, k, np.ones(SHAPE)], axis=-1) @ AFFINE.T
    least = np.full(SHAPE, np.inf)
    for point in around:
        np.minimum(least, np.linalg.norm(lps[..., :3] - point, axis=-1), out=least)
    return np.clip(1000 * (1 - least / radius), 0, None).astype(np.int16)


def view(curve: Curve, width: int = 96, height: int = 40, mm: float = 20.0, **options: Any) -> PlaneView:
    return PlaneView(NOWHERE, width, height, mm, WINDOW, curve=curve, **options)


def test_the_spline_goes_through_its_points_and_is_as_long_as_a_circle() -> None:
    angle = np.linspace(0, np.pi, 9)
    points = 30 * np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=1)
    fine, knots = curves.spline(given(points))
    assert np.allclose(fine[knots], points)
    # Between its first two and last two points a spline knows no curvature of the circle beyond them.
    inner = fine[knots[1] : knots[-2] + 1]
    assert np.abs(np.linalg.norm(inner, axis=1) - 30).max() < 0.1
    assert np.linalg.norm(np.diff(inner, axis=0), axis=1).sum() == pytest.approx(30 * np.pi * 6 / 8, rel=2e-3)


def test_two_points_are_a_straight_line_with_the_head_up() -> None:
    path = curves.path_of(Curve(((0, 0, 0), (30, 0, 0))))
    assert path.length_mm == pytest.approx(30)
    center, along, across = path.at(np.array([0.0, 7.5, 30.0]))
    assert np.allclose(center, [[0, 0, 0], [7.5, 0, 0], [30, 0, 0]])
    assert np.allclose(along, [1, 0, 0]) and np.allclose(across, [0, 0, 1])
    upward = curves.path_of(Curve(((0, 0, 0), (0, 0, 30))))
    assert np.allclose(upward.across, [0, -1, 0]), "where the head is ahead, the front is up"


def test_a_frame_never_twists_more_than_its_curve() -> None:
    path = curves.path_of(Curve(given(helix(24))))
    assert np.allclose((path.along * path.across).sum(axis=1), 0, atol=1e-6)
    assert np.allclose(np.linalg.norm(path.across, axis=1), 1)
    # Rotation-minimizing: the direction changes along the tangent only.
    change = np.diff(path.across, axis=0)
    middle = (path.along[1:] + path.along[:-1]) / 2
    sideways = change - middle * (change * middle).sum(axis=1, keepdims=True)
    assert np.linalg.norm(sideways, axis=1).max() < 0.02 * np.linalg.norm(change, axis=1).max()


def test_turning_and_a_fixed_direction() -> None:
    points = given(helix(12))
    plain = curves.path_of(Curve(points))
    quarter = curves.path_of(Curve(points, turn_deg=90))
    assert np.allclose(quarter.across, np.cross(plain.along, plain.across), atol=1e-6)
    fixed = curves.path_of(Curve(points, up=(0, 0, 2)))
    plane = np.cross(fixed.along, fixed.across)
    assert np.allclose(plane[:, 2], 0, atol=1e-6), "up lies between the curve and the head"
    assert (fixed.across[:, 2] > 0.9).all()


def test_a_stretched_surface_is_as_long_as_its_shadow() -> None:
    points = helix(60)
    path = curves.path_of(Curve(given(points), "stretched", up=(0, 0, 1)))
    shadow = np.linalg.norm(np.diff(points[:, :2], axis=0), axis=1).sum()
    assert path.length_mm == pytest.approx(shadow, rel=5e-3)
    assert path.curve_mm == pytest.approx(np.hypot(shadow, 14.0), rel=5e-3)
    assert np.allclose(path.across, [0, 0, 1])
    assert path.offset_mm[0] == pytest.approx(-7, abs=0.1) and path.offset_mm[-1] == pytest.approx(7, abs=0.1)
    turned = curves.path_of(
        Curve(((0, 0, 0), (30, 5, 0), (60, 0, 0)), "stretched", up=(0, 0, 1), turn_deg=90)
    )
    assert np.allclose(np.abs(turned.across[:, 1]), 1), "around the chord, by a quarter"


def test_a_curve_may_turn_back_on_itself() -> None:
    there_and_back: tuple[Vector, ...] = ((0, 0, 0), (20, 0, 0), (0, 0, 0))
    for points in (
        there_and_back,
        ((0, 0, 0), (20, 0, 0), (10, 0, 0), (20, 0, 0)),
        ((0, 0, 0), (9, 9, 0), (0, 0, 0)),
    ):
        path = curves.path_of(Curve(points))
        columns = curves.columns(path, (0, 0), 64, 8, 10.0, np.eye(4))
        _, along, across = path.at(np.linspace(0, path.length_mm, 200))
        assert np.isfinite(along).all() and np.isfinite(across).all()
        assert np.allclose(np.linalg.norm(across, axis=1), 1, atol=1e-6)
        assert np.isfinite(columns).any()


@pytest.mark.parametrize(
    "curve",
    [
        Curve(((0, 0, 0),)),
        Curve(((0, 0, 0), (0, 0, 0.001))),
        Curve(((0, 0, 0), (0, 0, 9000))),
        Curve(((0, 0, 0), (0, 0, 50)), up=(0, 0, 1)),
        Curve(((0, 0, 0), (0, 0, 50)), "stretched", up=(0, 0, 1)),
    ],
)
def test_a_curve_that_cannot_be_drawn_is_refused(curve: Curve) -> None:
    with pytest.raises(Invalid, match=r"\.$"):
        curves.path_of(curve)


def sampled(voxels: Any, columns: Any, height: int, first: float, step: float, count: int) -> Any:
    """Numbers along the columns by plain numpy: (count, h, w), NaN outside."""
    rows = np.arange(height)[:, None, None]
    found = []
    for n in range(count):
        at = columns[:, :3] + rows * columns[:, 3:6] + (first + n * step) * columns[:, 6:]
        flat = at.reshape(-1, 3)
        inside = ((flat >= 0) & (flat <= np.array(voxels.shape[::-1]))).all(axis=1)
        values = np.full(len(flat), np.nan)
        values[inside] = trilinear(voxels, flat[inside])
        found.append(values.reshape(height, -1))
    return np.stack(found)


@pytest.mark.parametrize("form", ["straightened", "stretched"])
def test_a_curved_plane_equals_numpy(bench: Any, draw: Any, form: Any) -> None:
    voxels = np.random.default_rng(3).integers(0, 1000, SHAPE).astype(np.int16)
    curve = Curve(given(helix(14)), form, up=(0.1, 0.2, 1.0), turn_deg=20, shift_mm=(3.0, -1.0))
    asked = view(curve)
    made = bench(voxels, AFFINE)
    affine = AFFINE.copy()
    affine[:3, 3] -= AFFINE[:3, :3] @ [0.5, 0.5, 0.5]
    columns = curves.columns(curves.path_of(curve), curve.shift_mm, 96, 40, 20.0, affine).astype(float)
    want = sampled(voxels, columns, 40, 0, 0, 1)[0]
    got = draw(made, asked).astype(float)
    there = np.isfinite(want)
    assert there.mean() > 0.4
    # Positions are single floats there and double ones here, of noise that is steep everywhere.
    assert np.mean(np.abs(got - windowed(np.nan_to_num(want), WINDOW))[there] > 1) < 0.01
    edge = np.mean(got[~there] > 0) if (~there).any() else 0
    assert edge < 0.01


@pytest.mark.parametrize(
    "method,join", [("maximum_ip", np.nanmax), ("minimum_ip", np.nanmin), ("average_ip", np.nanmean)]
)
def test_a_slab_along_a_curve_equals_numpy(bench: Any, draw: Any, method: Any, join: Any) -> None:
    voxels = tube(helix(200))
    curve = Curve(given(helix(14)))
    affine = AFFINE.copy()
    affine[:3, 3] -= AFFINE[:3, :3] @ [0.5, 0.5, 0.5]
    columns = curves.columns(curves.path_of(curve), (0, 0), 48, 20, 12.0, affine).astype(float)
    samples = curves.slab_samples(6.0, affine, SHAPE[::-1])
    assert samples.count == 7 and samples.first_mm == pytest.approx(-3 * samples.step_mm)
    want = windowed(join(sampled(voxels, columns, 20, samples.first_mm, samples.step_mm, 7), axis=0), WINDOW)
    got = draw(bench(voxels, AFFINE), view(curve, 48, 20, 12.0, slab_mm=6.0, method=method)).astype(float)
    assert want.max() > 50
    assert np.mean(np.abs(got - want) > 1) < 0.02


def test_a_bent_tube_comes_out_straight(bench: Any, draw: Any) -> None:
    made = bench(tube(helix(400)), AFFINE)
    for turn in (0.0, 45.0, 130.0):
        curve = Curve(given(helix(16)), turn_deg=turn)
        length = curves.path_of(curve).length_mm
        picture = draw(made, view(curve, 150, 41, 41 * length / 160)).astype(float)
        rows = np.arange(41)[:, None]
        middle = (picture * rows).sum(axis=0) / picture.sum(axis=0)
        pixel_mm = length / 160
        assert np.abs(middle - 20).max() * pixel_mm < 0.4, "in the middle row everywhere, to half a voxel"
        assert picture[20].min() > 180, "and never leaves it"
        wide = (picture > 128).sum(axis=0) * pixel_mm
        assert abs(wide.mean() - 4.0) < 0.4 and wide.std() < 0.3, "4 mm wide where it is half as bright"


def test_beyond_its_ends_a_curve_shows_nothing(bench: Any, draw: Any) -> None:
    made = bench(np.full(SHAPE, 900, np.int16), AFFINE)
    curve = Curve(((-10, 0, 0), (10, 0, 0)))
    picture = draw(made, view(curve, 80, 20, 20.0))
    bright = picture[10] > 0
    assert bright[30:50].all() and not bright[:29].any() and not bright[51:].any(), "20 mm of a pixel a mm"
    shifted = draw(made, view(Curve(curve.points, shift_mm=(5.0, 0.0)), 80, 20, 20.0))
    assert (shifted[:, :70] == picture[:, 5:75]).all()
