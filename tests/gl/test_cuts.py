"""Crop boxes, clipping planes, lassos, depth cue and surfaces: both ways of drawing against plain numpy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from sivr.errors import Invalid
from sivr.gl.camera import lps_from_texel, rays
from sivr.gl.raycast import FLAT
from sivr.model.cameras import basis, viewpoint_for
from sivr.model.pixels import Window
from sivr.model.rendering import Box, ClipPlane, Cut, Lasso, TransferFunction, Viewpoint, VolumeView
from tests.gl.paths import PATHS, renderer
from tests.gl.test_raycast import METHODS, OBLIQUE, RAMP, SHEARED, blobs, march, psnr, trilinear, windowed

pytestmark = pytest.mark.usefixtures("current_context")

Points = np.ndarray[Any, Any]
SIDEWAYS = Viewpoint((-150.0, 60.0, 30.0), (20.0, 20.0, 28.0), (0.0, 0.2, 1.0))
STAR = ((-0.3, -0.2), (0.25, 0.3), (-0.2, 0.3), (0.3, -0.25), (0.05, 0.4))
"""Its lines cross each other."""
TRIANGLE = ((-0.2, -0.3), (0.35, -0.1), (0.0, 0.3))


@pytest.fixture(params=PATHS)
def draw(request: pytest.FixtureRequest) -> Iterator[Callable[..., Any]]:
    """Draws a view of a bench, with OpenGL and on the processor."""
    volumes, caster = renderer(request.param)

    def one(bench: Any, view: VolumeView) -> Any:
        return caster.volume(volumes.get(bench.source), view)

    one.full_step = caster.full_step  # type: ignore[attr-defined]
    yield one
    volumes.clear()


def box_of(low: Any, high: Any, affine: Any) -> Box:
    rows = tuple(tuple(float(x) for x in row) for row in affine)
    return Box(low, high, rows)  # type: ignore[arg-type]


def in_polygon(x: Points, y: Points, corners: Any) -> Points:
    """Even-odd, corner by corner."""
    inside = np.zeros(len(x), bool)
    for (x0, y0), (x1, y1) in zip(corners, (*corners[1:], corners[0]), strict=True):
        if y0 != y1:
            inside ^= ((y0 <= y) != (y1 <= y)) & (x < x0 + (y - y0) * (x1 - x0) / (y1 - y0))
    return inside


def kept(cut: Cut, lps: Points) -> Points:
    """Which points are left, said plainly."""
    left = np.ones(len(lps), bool)
    if cut.box is not None:
        ijk = (np.c_[lps, np.ones(len(lps))] @ np.linalg.inv(np.array(cut.box.lps_from_ijk)).T)[:, :3]
        left &= ((ijk >= cut.box.low) & (ijk <= cut.box.high)).all(axis=1)
    for plane in cut.planes:
        left &= (lps - plane.point) @ np.array(plane.normal) <= 0
    for lasso in cut.lassos:
        right, up, _ = basis(lasso.viewpoint)
        away = (lps - lasso.viewpoint.look_at) / lasso.height_mm
        inside = in_polygon(away @ np.array(right), away @ np.array(up), lasso.points)
        left &= inside if lasso.outside else ~inside
    return left


def cuts(affine: Any) -> dict[str, Cut]:
    middle = (np.array(affine) @ (19.37, 17.41, 13.59, 1))[:3]
    plane = ClipPlane(tuple(float(x) for x in middle), (0.51, 0.317, -0.83))  # type: ignore[arg-type]
    box = box_of((12.2, 9.3, 9.6), (30.1, 19.7, 17.4), affine)
    return {
        "box": Cut(box),
        "plane": Cut(planes=(plane,)),
        "wedge": Cut(planes=(plane, ClipPlane(plane.point, (-0.213, 0.93, 0.107)))),
        "lasso": Cut(lassos=(Lasso(SIDEWAYS, 60.0, STAR),)),
        "outside": Cut(lassos=(Lasso(OBLIQUE, 70.0, TRIANGLE, outside=True),)),
        "all": Cut(
            box_of((5.2, 4.3, 4.6), (33.1, 30.2, 24.3), affine),
            (plane,),
            (Lasso(SIDEWAYS, 60.0, TRIANGLE), Lasso(OBLIQUE, 90.0, STAR)),
        ),
    }


@pytest.mark.parametrize("name", list(cuts(SHEARED)))
def test_what_is_cut_is_not_drawn(bench: Any, draw: Any, name: str) -> None:
    voxels, cut = blobs(), cuts(SHEARED)[name]
    view = VolumeView("volume_rendered", OBLIQUE, 80, 72, 80.0, transfer_function=RAMP, cut=cut)
    step = draw.full_step * float(np.linalg.norm(SHEARED[:3, :3], axis=0).min())
    made = bench(voxels, SHEARED)
    got = draw(made, view)
    want = march(voxels, SHEARED, view, FLAT, step, keep=lambda lps: kept(cut, lps))
    whole = march(voxels, SHEARED, view, FLAT, step)
    assert want.max() > 25
    assert psnr(whole, want) < 34, "the cut must change something to be tested"
    # On the border a sample may fall on either side of it.
    assert psnr(got, want) > 40


@pytest.mark.parametrize("name", ["box", "all"])
def test_drafts_and_converged_pictures_are_cut_alike(bench: Any, draw: Any, name: str) -> None:
    made = bench(blobs(), SHEARED)
    cut = cuts(SHEARED)[name]
    full = draw(made, VolumeView("volume_rendered", OBLIQUE, 80, 72, 80.0, transfer_function=RAMP, cut=cut))
    for options in ({"draft": True}, {"refine": 4}):
        view = VolumeView(
            "volume_rendered", OBLIQUE, 80, 72, 80.0, transfer_function=RAMP, cut=cut, **options
        )  # type: ignore[arg-type]
        assert psnr(draw(made, view), full) > 25, options


@pytest.mark.parametrize("name", list(cuts(np.eye(4))))
@pytest.mark.parametrize("method", METHODS)
def test_projections_leave_out_what_is_cut(bench: Any, draw: Any, method: Any, name: str) -> None:
    """Along an axis, where samples are voxels."""
    voxels = blobs()
    depth, rows, columns = voxels.shape
    cut = cuts(np.eye(4))[name]
    k, j, i = np.mgrid[:depth, :rows, :columns]
    left = kept(cut, np.stack([i, j, k], axis=-1).reshape(-1, 3).astype(float)).reshape(voxels.shape)
    viewpoint = viewpoint_for("f", ((columns - 1) / 2, (rows - 1) / 2, (depth - 1) / 2), 200.0)
    window = Window(300, 900)
    view = VolumeView(method, viewpoint, columns, rows, float(rows), window, cut=cut)
    masked = np.ma.masked_array(voxels, ~left)
    how = {"maximum_ip": np.ma.max, "minimum_ip": np.ma.min, "average_ip": np.ma.mean}[method]
    flat = how(masked, axis=0)
    want = np.where(np.ma.getmaskarray(flat), 0, windowed(np.ma.filled(flat, 0), window))
    got = draw(bench(voxels), view).astype(int)
    assert 0.02 < (~left).mean() < 0.98
    # Voxels whose centers lie on a border may fall on either side of it.
    assert np.mean(np.abs(got - want) > 1) < 0.004


def test_a_cut_of_nothing_changes_nothing(bench: Any, draw: Any) -> None:
    made = bench(blobs(), SHEARED)
    for method in ("volume_rendered", "maximum_ip", "minimum_ip", "average_ip"):
        plain = VolumeView(method, OBLIQUE, 64, 64, 80.0, Window(300, 900), RAMP)  # type: ignore[arg-type]
        cut = Cut(box_of((-5, -5, -5), (99, 99, 99), SHEARED))
        same = VolumeView(method, OBLIQUE, 64, 64, 80.0, Window(300, 900), RAMP, cut=cut)  # type: ignore[arg-type]
        difference = np.abs(draw(made, plain).astype(int) - draw(made, same))
        assert difference.max() <= 1 and plain.cut is None, method


def test_what_is_farther_is_darker(bench: Any, draw: Any) -> None:
    voxels = blobs()
    view = VolumeView("volume_rendered", OBLIQUE, 80, 72, 80.0, transfer_function=RAMP, depth_cue=0.8)
    _, _, toward = basis(OBLIQUE)
    corners = (
        np.array([(i, j, k, 1) for i in (0, 40) for j in (0, 36) for k in (0, 28)], float)
        @ lps_from_texel(SHEARED, (1, 1, 1)).T
    )
    far = -corners[:, :3] @ np.array(toward)

    def cue(lps: Points) -> Points:
        return 1 - 0.8 * (-lps @ np.array(toward) - far.min()) / np.ptp(far)

    step = draw.full_step * float(np.linalg.norm(SHEARED[:3, :3], axis=0).min())
    want = march(voxels, SHEARED, view, FLAT, step, cue=cue)
    got = draw(bench(voxels, SHEARED), view)
    assert psnr(got, want) > 44
    assert psnr(march(voxels, SHEARED, view, FLAT, step), want) < 33


def surface_of(voxels: Points, affine: Points, view: VolumeView) -> tuple[Points, Points]:
    """Distance to the first point that is as bright as the surface, and its shade: by very small steps."""
    ray = rays(view.viewpoint, view.width, view.height, view.height_mm, lps_from_texel(affine, (1, 1, 1)))
    y, x = np.mgrid[: view.height, : view.width]
    origin = ray.origin + x.reshape(-1, 1) * ray.right + y.reshape(-1, 1) * ray.down
    size = np.array(voxels.shape[::-1], float)
    found = np.full(len(origin), np.nan)
    for t in np.arange(-80, 80, 0.02):
        at = origin + t * ray.direction
        there = np.isnan(found) & ((at >= 0) & (at <= size)).all(axis=1)
        bright = there.copy()
        bright[there] = trilinear(voxels, at[there]) >= view.surface
        found[bright] = t
    hit = ~np.isnan(found)
    at = origin[hit] + found[hit, None] * ray.direction
    gradient = (
        np.stack([trilinear(voxels, at + axis) - trilinear(voxels, at - axis) for axis in np.eye(3)], axis=1)
        / 2
        @ ray.lps_from_gradient.T
    )
    facing = np.abs(gradient @ ray.toward) / np.linalg.norm(gradient, axis=1)
    shade = np.zeros(len(origin))
    shade[hit] = facing
    return hit.reshape(y.shape), shade.reshape(y.shape)


@pytest.mark.parametrize("slope", [1.0, -2.0])
def test_a_surface_is_where_its_value_is(bench: Any, draw: Any, slope: float) -> None:
    smooth = blobs().astype(float)
    voxels = np.rint((np.maximum(smooth, 0) ** 0.999 - 30) / slope).astype(np.int16)
    function = TransferFunction("s", ((0, 0, 0, 0, 0), (1, 0.9, 0.6, 0.3, 1)), specular=0.0)
    view = VolumeView("volume_rendered", OBLIQUE, 72, 72, 70.0, transfer_function=function, surface=420.0)
    hit, facing = surface_of(voxels * slope + 30, SHEARED, view)
    got = draw(bench(voxels, SHEARED, slope=slope, intercept=30.0), view).astype(float)
    assert 0.05 < hit.mean() < 0.6
    assert np.mean((got.max(axis=2) > 0) != hit) < 0.01
    both = hit & (got.max(axis=2) > 0)
    want = 255 * 0.9 * (0.2 + 0.8 * facing)
    # Seen at a grazing angle the surface lies deeper by much for a little.
    assert np.mean(np.abs(got[..., 0] - want)[both] > 6) < 0.03
    assert np.abs(got[both] / (0.9, 0.6, 0.3) - (got[..., 0][both] / 0.9)[:, None]).max() < 4


def test_a_surface_that_is_cut_has_a_flat_lid(bench: Any, draw: Any) -> None:
    """Shading would follow the noise inside."""
    rng = np.random.default_rng(4)
    voxels = rng.integers(900, 1100, (20, 20, 20)).astype(np.int16)
    function = TransferFunction("s", ((0, 0, 0, 0, 0), (1, 1, 1, 1, 1)), specular=0.0)
    here = viewpoint_for("a", (9.5, 9.5, 9.5), 100.0)
    cut = Cut(planes=(ClipPlane((9.5, 9.5, 9.5), (0.0, -1.0, 0.0)),))
    view = VolumeView(
        "volume_rendered", here, 32, 32, 16.0, transfer_function=function, surface=500.0, cut=cut
    )
    got = draw(bench(voxels), view)
    assert (got == round(255 * (0.2 + 0.75 * 0.8))).all()


def test_a_cut_of_nonsense_is_refused(bench: Any, draw: Any) -> None:
    made = bench(blobs())
    here = viewpoint_for("a", (10, 10, 10), 50.0)
    far = float("nan")
    for bad in (
        Cut(box_of((5, 5, 5), (5, 9, 9), np.eye(4))),
        Cut(box_of((5, 5, far), (9, 9, 9), np.eye(4))),
        Cut(planes=(ClipPlane((0, 0, 0), (0, 0, 0)),)),
        Cut(planes=(ClipPlane((0, far, 0), (0, 0, 1)),)),
        Cut(planes=(ClipPlane((0, 0, 0), (0, 0, 1)),) * 5),
        Cut(lassos=(Lasso(here, 50.0, ((0, 0), (1, 1))),)),
        Cut(lassos=(Lasso(here, 50.0, ((0, 0), (1, 1), (far, 0))),)),
        Cut(lassos=(Lasso(here, 0.0, TRIANGLE),)),
        Cut(lassos=(Lasso(here, 50.0, TRIANGLE),) * 9),
        Cut(lassos=(Lasso(Viewpoint((0, 0, 0), (0, 0, 0), (0, 0, 1)), 50.0, TRIANGLE),)),
    ):
        with pytest.raises(Invalid):
            draw(made, VolumeView("volume_rendered", here, 8, 8, 8.0, transfer_function=RAMP, cut=bad))
