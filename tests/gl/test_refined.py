"""Refined pictures against a plain march of many rays, on both ways to draw."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import numpy as np
import pytest

from sivr.errors import Canceled
from sivr.gl.camera import lps_from_texel, rays
from sivr.gl.passes import LAYERS, OPAQUE, STEP, passes
from sivr.gl.raycast import FLAT
from sivr.gl.software import SoftwareCaster
from sivr.model.cameras import basis
from sivr.model.pixels import Window
from sivr.model.rendering import TransferFunction, Viewpoint, VolumeView
from tests.gl.paths import PATHS, renderer
from tests.gl.test_raycast import (
    METHODS,
    OBLIQUE,
    SHEARED,
    aligned,
    blobs,
    march,
    noise,
    projected,
    psnr,
    trilinear,
    windowed,
)

pytestmark = pytest.mark.usefixtures("current_context")

SURFACE = TransferFunction(
    "surface", ((0, 0.9, 0.3, 0.1, 0), (350, 0.9, 0.3, 0.1, 0), (450, 1, 0.9, 0.7, 0.9), (2000, 1, 1, 1, 0.9))
)
"""A thin skin: where first samples fall in it makes rings."""
BOX = np.diag([1.0, 1, 2, 1])
AFFINES = {"box": BOX, "sheared": SHEARED}
VIEW = VolumeView("volume_rendered", OBLIQUE, 44, 36, 64.0, transfer_function=SURFACE)
SMALL = VolumeView("volume_rendered", OBLIQUE, 32, 28, 56.0, transfer_function=SURFACE)
WINDOW = Window(900, 3800)


@pytest.fixture(params=PATHS)
def draw(request: pytest.FixtureRequest) -> Iterator[Callable[..., Any]]:
    """Draws a view of a bench with fresh textures, with OpenGL and on the processor."""
    textures, caster = renderer(request.param)
    yield lambda made, view, check=None: caster.volume(textures.get(made.source), view, check)
    textures.clear()


def refined(view: VolumeView, count: int) -> VolumeView:
    return msgspec.structs.replace(view, refine=count)


def marched(voxels: Any, affine: Any, view: VolumeView, places: Any, step: float) -> Any:
    """The mean of plain marches through places (right, down in pixels, ahead in steps) of every pixel."""
    right, up, toward = (np.array(axis) for axis in basis(view.viewpoint))
    step *= float(np.linalg.norm(affine[:3, :3], axis=0).min())
    pixel = view.height_mm / view.height
    total = np.zeros((view.height, view.width, 3))
    for x, y, z in places:
        shift = x * pixel * right - y * pixel * up - z * step * toward
        moved = Viewpoint(
            tuple(view.viewpoint.position + shift), tuple(view.viewpoint.look_at + shift), view.viewpoint.up
        )
        total += march(voxels, affine, msgspec.structs.replace(view, viewpoint=moved), FLAT, step)
    return total / len(places)


@functools.cache
def wanted(kind: str) -> Any:
    """What three passes must give."""
    places = [(one.right, one.down, one.ahead) for one in passes(3)]
    return marched(blobs(), AFFINES[kind], VIEW, places, STEP)


@functools.cache
def truth() -> Any:
    """Many short steps of many rays."""
    parts = (np.arange(4) + 0.5) / 4
    places = [
        (x - 0.5 + (m - 1.5) / 16, y - 0.5 + (n - 1.5) / 16, ((4 * n + 5 * m) % 16 + 0.5) / 16)
        for n, x in enumerate(parts)
        for m, y in enumerate(parts)
    ]
    return marched(blobs(), BOX, SMALL, places, 1 / 3)


@pytest.mark.parametrize("kind", AFFINES)
def test_refined_equals_plain_marches(bench: Any, draw: Any, kind: str) -> None:
    want = wanted(kind)
    got = draw(bench(blobs(), AFFINES[kind]), refined(VIEW, 3))
    assert want.max() > 120
    assert psnr(got, want) > 52
    # What shines through behind the last sample is all that is left out, and edges of rounding.
    assert np.abs(got - want).max() < 255 * (1 - OPAQUE) + 2.5


def test_refined_is_far_nearer_to_the_truth(bench: Any, draw: Any) -> None:
    made = bench(blobs(), BOX)
    whole, converged = draw(made, SMALL), draw(made, refined(SMALL, 8))
    gain = psnr(converged, truth()) - psnr(whole, truth())
    assert gain > 10, gain
    steep = np.hypot(*np.gradient(truth().mean(axis=2)))
    edges = steep > np.percentile(steep[truth().max(axis=2) > 8], 80)
    assert psnr(converged[edges], truth()[edges]) - psnr(whole[edges], truth()[edges]) > 10


def test_the_same_view_gives_the_same_bytes(bench: Any, draw: Any) -> None:
    made = bench(blobs(), BOX)
    first = draw(made, refined(VIEW, 5))
    assert (first == draw(made, refined(VIEW, 5))).all()
    assert (first != draw(made, VIEW)).any()
    assert (draw(made, refined(VIEW, 1)) == draw(made, VIEW)).all()


def test_a_draft_is_not_refined(bench: Any, draw: Any) -> None:
    made = bench(blobs(), BOX)
    draft = msgspec.structs.replace(VIEW, draft=True)
    assert (draw(made, draft) == draw(made, refined(draft, 8))).all()


def test_both_ways_end_alike(bench: Any) -> None:
    made = bench(blobs(), BOX)
    found = []
    for path in PATHS:
        textures, caster = renderer(path)
        found.append(caster.volume(textures.get(made.source), refined(VIEW, 8)).astype(int))
        textures.clear()
    assert np.abs(found[0] - found[1]).max() <= 2


@pytest.mark.parametrize("orientation", "aprlhf")
@pytest.mark.parametrize("method", METHODS)
def test_refined_projections_equal_numpy(bench: Any, draw: Any, method: Any, orientation: Any) -> None:
    voxels = noise((21, 34, 45))
    viewpoint, width, height = aligned(orientation, voxels.shape)
    view = VolumeView(method, viewpoint, width, height, float(height), WINDOW, refine=8)
    want = windowed(projected(voxels, orientation, METHODS[method]), WINDOW)
    assert np.abs(draw(bench(voxels), view).astype(int) - want).max() <= 1


def test_padding_is_not_image_in_refined_projections(bench: Any, draw: Any) -> None:
    voxels = noise((12, 13, 14))
    voxels[3:9, 2:8, 5:9] = 3333
    viewpoint, width, height = aligned("h", voxels.shape)
    masked = np.ma.masked_equal(voxels, 3333)
    made = bench(voxels, padding=3333)
    for method, how in {"maximum_ip": np.ma.max, "minimum_ip": np.ma.min, "average_ip": np.ma.mean}.items():
        view = VolumeView(method, viewpoint, width, height, float(height), WINDOW, refine=8)  # type: ignore[arg-type]
        want = windowed(np.ma.filled(projected(masked, "h", how), 0), WINDOW)
        assert np.abs(draw(made, view).astype(int) - want).max() <= 1, method


@pytest.mark.parametrize("slope", [1.0, -2.0])
@pytest.mark.parametrize("method", ["maximum_ip", "minimum_ip"])
def test_oblique_projections_see_what_lies_between_layers(
    bench: Any, draw: Any, method: Any, slope: float
) -> None:
    voxels = np.pad(noise((30, 26, 33)), 3, mode="edge")
    window = Window(0.0, 9000.0)
    view = VolumeView(method, OBLIQUE, 56, 48, 30.0, window)
    ray = rays(OBLIQUE, 56, 48, 30.0, lps_from_texel(BOX, (1, 1, 1)))
    y, x = np.mgrid[:48, :56]
    origin = ray.origin + x.reshape(-1, 1) * ray.right + y.reshape(-1, 1) * ray.down
    axis = int(np.abs(ray.direction).argmax())
    size = np.array(voxels.shape[::-1], float)

    pick = np.maximum if (method == "maximum_ip") == (slope > 0) else np.minimum

    def along(samples: int) -> Any:
        best = np.full(len(origin), -np.inf if pick is np.maximum else np.inf)
        for n in range((int(size[axis]) - 1) * samples + 1):
            away = (n / samples + 0.5 - origin[:, axis]) / ray.direction[axis]
            at = origin + away[:, None] * ray.direction
            inside = ((at >= 0) & (at <= size)).all(axis=1)
            value = trilinear(voxels, np.clip(at, 0.5, size - 0.5))
            best = np.where(inside, pick(best, value), best)
        hit = np.isfinite(best)
        return np.where(hit, windowed(np.where(hit, best, 0) * slope, window), 0).reshape(48, 56)

    got = draw(bench(voxels, BOX, slope=slope), refined(view, 8)).astype(int)
    assert np.mean(np.abs(got - along(LAYERS)) > 1) < 0.02
    dense = along(16)
    usual = draw(bench(voxels, BOX, slope=slope), view).astype(int)
    assert np.abs(got - dense).mean() < np.abs(usual - dense).mean() / 2


@pytest.mark.parametrize("path", PATHS)
def test_a_refined_picture_is_abandoned_between_passes(bench: Any, path: str) -> None:
    asked = []

    def check() -> None:
        asked.append(1)
        if len(asked) == 3:
            raise Canceled("nobody waits")

    textures, caster = renderer(path)
    if path == "software":
        # One thread, so that it is the one that is asked.
        caster = SoftwareCaster(1)
    volume = textures.get(bench(blobs(), BOX).source)
    # A single band: it is left before all of its passes are drawn.
    view = msgspec.structs.replace(VIEW, width=16, height=12)
    with pytest.raises(Canceled):
        caster.volume(volume, refined(view, 16), check)
    assert len(asked) == 3
    again = caster.volume(volume, refined(VIEW, 2), lambda: None)
    assert (caster.volume(volume, refined(VIEW, 2)) == again).all() and again.any()
    textures.clear()


@pytest.mark.parametrize("count", range(2, 17))
def test_passes_are_spread_evenly(count: int) -> None:
    found = passes(count)
    for name, middle in (("right", 0.0), ("down", 0.0), ("ahead", 0.5)):
        places = sorted(getattr(one, name) for one in found)
        assert np.allclose(places, (np.arange(count) + 0.5) / count - 0.5 + middle), name
    at = np.array([(one.right, one.down) for one in found])
    away = np.abs(at[:, None] - at[None])
    away = np.hypot(*np.moveaxis(np.minimum(away, 1 - away), 2, 0))[~np.eye(count, dtype=bool)]
    assert away.min() > 0.35 / np.sqrt(count), "no two rays of a pixel lie close together"


def test_one_pass_looks_through_the_middle() -> None:
    assert [(one.right, one.down, one.ahead) for one in passes(1)] == [(0.0, 0.0, 0.5)]
