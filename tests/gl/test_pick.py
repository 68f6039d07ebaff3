"""The point that a pixel shows, on volumes whose answer is known."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from sivr.errors import Invalid
from sivr.gl.pick import Picked, found_in, picked
from sivr.model.cameras import basis, lps_of_pixel, viewpoint_for
from sivr.model.pixels import Window
from sivr.model.rendering import ClipPlane, Cut, Lasso, TransferFunction, Viewpoint, VolumeView
from tests.gl.paths import PATHS, renderer

pytestmark = pytest.mark.usefixtures("current_context")

RADIUS, CENTER = 11.0, np.array([21.0, 18.0, 34.0])
AFFINE = np.array([[1.0, 0, 0.1, 1.0], [0, 1.0, 0, -2.0], [0, 0, 2.0, 4.0], [0, 0, 0, 1.0]])
OBLIQUE = Viewpoint((80.0, -120.0, 90.0), (20.0, 18.0, 33.0), (0.0, 0.0, 1.0))
SOLID = TransferFunction("solid", ((490, 1, 1, 1, 0), (510, 1, 1, 1, 1)))


def ball() -> np.ndarray[Any, Any]:
    """500 on a sphere around CENTER, more inside, less outside."""
    k, j, i = np.mgrid[:32, :40, :44].astype(float)
    lps = np.stack([i, j, k, np.ones_like(i)], axis=-1) @ AFFINE.T
    away = np.linalg.norm(lps[..., :3] - CENTER, axis=-1)
    return np.clip(500 + (RADIUS - away) * 40, 0, 1200).astype(np.int16)


@pytest.fixture(params=PATHS)
def pick(request: pytest.FixtureRequest) -> Iterator[Callable[..., Picked | None]]:
    """Picks in a view of a bench, with the volume of either way of drawing."""
    volumes, _ = renderer(request.param)

    def one(bench: Any, view: VolumeView, column: float, row: float) -> Picked | None:
        return found_in(picked(volumes.get(bench.source), view, (column, row)))

    yield one
    volumes.clear()


def seen_on_sphere(view: VolumeView, column: float, row: float) -> tuple[np.ndarray[Any, Any], float]:
    """Where the ray of a pixel enters the sphere, and how far from its center it passes."""
    start = np.array(lps_of_pixel(view.viewpoint, view.width, view.height, view.height_mm, column, row))
    toward = np.array(basis(view.viewpoint)[2])
    across = start - CENTER - ((start - CENTER) @ toward) * toward
    deep = np.sqrt(max(0.0, RADIUS**2 - across @ across))
    return CENTER + across + deep * toward, float(np.linalg.norm(across))


@pytest.mark.parametrize("surface", [None, 500.0], ids=["composite", "surface"])
def test_a_point_of_a_sphere(bench: Any, pick: Any, surface: float | None) -> None:
    made = bench(ball(), AFFINE)
    view = VolumeView("volume_rendered", OBLIQUE, 61, 51, 40.0, transfer_function=SOLID, surface=surface)
    hits = 0
    for column in range(3, 60, 7):
        for row in range(2, 50, 7):
            want, beside = seen_on_sphere(view, column, row)
            got = pick(made, view, column, row)
            # What is grazed may be met or not.
            if beside > RADIUS + 1:
                assert got is None, (column, row)
            elif beside < RADIUS - 2:
                hits += 1
                assert got is not None
                assert np.linalg.norm(np.array(got.point) - want) < 0.8, (got, want, column, row)
                assert abs(got.value - 500) < 30 and got.opacity > 0.98
    assert hits > 6


def test_what_is_cut_is_not_picked(bench: Any, pick: Any) -> None:
    made = bench(ball(), AFFINE)
    middle = (30.0, 25.0)
    view = VolumeView("volume_rendered", OBLIQUE, 61, 51, 40.0, transfer_function=SOLID)
    toward = np.array(basis(OBLIQUE)[2])
    front = pick(made, view, *middle)
    assert front is not None
    plane = ClipPlane(tuple(CENTER), tuple(toward))
    behind = pick(made, VolumeView(**{**_fields(view), "cut": Cut(planes=(plane,))}), *middle)
    assert abs((np.array(behind.point) - CENTER) @ toward) < 0.6
    square = ((-0.1, -0.1), (0.1, -0.1), (0.1, 0.1), (-0.1, 0.1))
    lasso = Lasso(OBLIQUE, 40.0, square)
    assert pick(made, VolumeView(**{**_fields(view), "cut": Cut(lassos=(lasso,))}), *middle) is None
    beside = pick(made, VolumeView(**{**_fields(view), "cut": Cut(lassos=(lasso,))}), 40.0, 25.0)
    assert beside is not None


def _fields(view: VolumeView) -> dict[str, Any]:
    return {name: getattr(view, name) for name in view.__struct_fields__}


def test_the_extreme_of_a_ray(bench: Any, pick: Any) -> None:
    voxels = np.full((20, 20, 20), 100, np.int16)
    voxels[4, 13, 7], voxels[4, 3, 7] = 900, -50
    made = bench(voxels)
    here = viewpoint_for("a", (9.5, 9.5, 9.5), 80.0)
    column, row = 7.0, 15.0
    for method, j, value in (("maximum_ip", 13, 900), ("minimum_ip", 3, -50)):
        view = VolumeView(method, here, 20, 20, 20.0, Window(0, 10))  # type: ignore[arg-type]
        got = pick(made, view, column, row)
        assert got is not None
        assert np.allclose(got.point, (7, j, 4), atol=0.3) and abs(got.value - value) < 1
    with pytest.raises(Invalid, match="lies nowhere"):
        pick(made, VolumeView("average_ip", here, 20, 20, 20.0, Window(0, 10)), column, row)
    padded = bench(voxels, padding=900)
    view = VolumeView("maximum_ip", here, 20, 20, 20.0, Window(0, 10))
    assert abs(pick(padded, view, column, row).value - 100) < 1


def test_nothing_is_there_before_a_slice_is(bench: Any, pick: Any) -> None:
    made = bench(ball(), AFFINE, ready=False)
    view = VolumeView("volume_rendered", OBLIQUE, 61, 51, 40.0, transfer_function=SOLID)
    assert pick(made, view, 30, 25) is None
    made.make_ready(15)
    assert pick(made, view, 30, 25) is not None, "its neighbors look like it"
