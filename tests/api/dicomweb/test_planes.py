"""Planes at any angle, along curves and with a second series over them, held against plain resampling."""

from __future__ import annotations

import uuid
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pydicom
import pytest

from sivr.dicom.pet_phantom import HOT_SPOT, pet_affine, pet_values, write_pet
from sivr.dicom.phantom import phantom_affine, phantom_values, write_phantom
from sivr.gl.curves import path_of
from sivr.model.palettes import palette_entries
from sivr.model.rendering import Curve
from tests.api.dicomweb.node import Node, Viewer, instance_path, series_path

pytestmark = pytest.mark.asyncio(loop_scope="module")
SHAPE = (48, 64, 64)
W = "window=300,2600,linear-exact"
Array = npt.NDArray[np.float64]


def sampled(values: npt.NDArray[np.generic], affine: Array, points: Array) -> Array:
    """Linear interpolation at LPS points (..., 3) by plain numpy; NaN outside the outermost centers."""
    at = (points - affine[:3, 3]) @ np.linalg.inv(affine[:3, :3]).T
    size = np.array(values.shape[::-1])
    inside = ((at >= 0) & (at <= size - 1)).all(axis=-1)
    at = np.clip(at, 0, size - 1)
    low = np.minimum(np.floor(at), size - 2).astype(int)
    part = at - low
    total = np.zeros(points.shape[:-1])
    for corner in range(8):
        pick = [(corner >> axis) & 1 for axis in range(3)]
        i, j, k = (low[..., axis] + pick[axis] for axis in range(3))
        weight = np.prod([part[..., a] if pick[a] else 1 - part[..., a] for a in range(3)], axis=0)
        total += weight * np.asarray(values[k, j, i], float)
    return np.where(inside, total, np.nan)


def grey(values: Array, center: float = 300, width: float = 2600) -> Array:
    """Values through a linear-exact window; black where there are none."""
    levels = np.clip((values - center) / width + 0.5, 0, 1)
    return np.floor(np.nan_to_num(levels) * 255 + 0.5)


def grid(look_at: Array, right: Array, up: Array, width: int, height: int, pixel_mm: float) -> Array:
    """LPS of the pixels of a plane (h, w, 3)."""
    x = (np.arange(width) - (width - 1) / 2) * pixel_mm
    y = ((height - 1) / 2 - np.arange(height)) * pixel_mm
    return look_at + x[None, :, None] * right + y[:, None, None] * up


def triple(vector: Array) -> str:
    return ",".join(f"{one:.9g}" for one in vector)


def turned(seed: int) -> tuple[Array, Array, Array]:
    """Right, up and toward the viewer of a plane at an angle to every axis."""
    axes, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    axes = axes * np.sign(np.linalg.det(axes))
    return axes[:, 0], axes[:, 1], axes[:, 2]


async def spheres(node: Node, tmp_path: Path) -> tuple[Viewer, str]:
    stored = await node.phantom(tmp_path / "in", "spheres", SHAPE, multi_frame=True)
    return node.viewer("ana", stored[0].header.study_uid), series_path(stored[0])


async def test_oblique_planes_and_slabs_equal_numpy(node: Node, tmp_path: Path) -> None:
    stored = await node.phantom(tmp_path / "in", "head", SHAPE, multi_frame=True)
    ana, series = node.viewer("ana", stored[0].header.study_uid), series_path(stored[0])
    values, affine = phantom_values("head", SHAPE), phantom_affine("head", SHAPE)
    look_at = np.array([3.0, -4.0, 2.0])
    for seed in (1, 2, 3):
        right, up, toward = turned(seed)
        query = (
            f"viewpointposition={triple(look_at + 100 * toward)}&viewpointlookat={triple(look_at)}"
            f"&viewpointup={triple(up)}&viewport=80,60&fov=180&accept=image/png&{W}"
        )
        points = grid(look_at, right, up, 80, 60, 3.0)
        got = (await ana.get(f"{series}/renderedmpr?{query}")).pixels.astype(float)
        want = sampled(values, affine, points)
        there = np.isfinite(want)
        assert there.mean() > 0.6 and len(np.unique(got)) > 20
        assert np.abs(got - grey(want))[there].max() <= 1, seed
        # A slab: what lies up to 6 mm to either side, a voxel apart along this very direction.
        for method, join in (
            ("maximum_ip", np.nanmax),
            ("minimum_ip", np.nanmin),
            ("average_ip", np.nanmean),
        ):
            answer = await ana.get(f"{series}/renderedmpr?{query}&mprslab=12&renderingmethod={method}")
            spacing = 1 / np.linalg.norm(np.linalg.inv(affine[:3, :3]) @ toward)
            count = round(12 / spacing)
            away = (np.arange(count) - (count - 1) / 2) * 12 / count
            stacked = np.stack([sampled(values, affine, points - one * toward) for one in away])
            whole = np.isfinite(stacked).all(axis=0)
            want = grey(join(stacked[:, whole], axis=0))
            assert np.abs(answer.pixels.astype(float)[whole] - want).max() <= 1, (seed, method)


async def test_a_plane_along_a_curve_equals_numpy_and_tells_its_scale(node: Node, tmp_path: Path) -> None:
    ana, series = await spheres(node, tmp_path)
    values, affine = phantom_values("spheres", SHAPE), phantom_affine("spheres", SHAPE)
    points = ((-30.0, -30.0, 0.0), (30.0, -30.0, -10.0), (-30.0, 30.0, 10.0), (30.0, 30.0, 20.0))
    text = ";".join(triple(np.array(point)) for point in points)
    for form in ("straightened", "stretched"):
        query = f"curve={text}&curveform={form}&curveturn=30"
        told = (await ana.get(f"{series}/curve?{query}")).json
        path = path_of(Curve(points, form, None, 30.0))  # type: ignore[arg-type]
        assert told["length_mm"] == pytest.approx(path.length_mm)
        assert told["points_mm"] == pytest.approx(path.knots_mm)
        answer = await ana.get(f"{series}/renderedmpr?{query}&viewport=200,50&{W}&accept=image/png")
        pixel_mm = float(answer.headers["Sivr-Pixel-Mm"])
        assert pixel_mm == pytest.approx(path.length_mm / 200, rel=1e-5), "the whole curve fits"
        places = np.clip((np.arange(200) + 0.5) * pixel_mm, 0, path.length_mm)
        told_at = np.array([one["at_mm"] for one in told["places"]])
        center = np.array([one["center"] for one in told["places"]])
        above = np.array([one["up"] for one in told["places"]])
        own = np.array([one["curve_mm"] for one in told["places"]])
        # What is told is enough to find every pixel in the patient.
        middle = np.stack([np.interp(places, told_at, center[:, n]) for n in range(3)], axis=1)
        up = np.stack([np.interp(places, told_at, above[:, n]) for n in range(3)], axis=1)
        rows = (24.5 - np.arange(50)) * pixel_mm
        want = sampled(values, affine, middle[None] + rows[:, None, None] * up[None])
        there = np.isfinite(want)
        different = np.abs(answer.pixels.astype(float) - grey(want))[there] > 3
        assert there.mean() > 0.5 and different.mean() < 0.03, (form, different.mean())
        # The given points lie where they are said to: in their sphere.
        for at_mm, hu in zip(told["points_mm"], (0, 300, 700, 1500), strict=True):
            column = int(np.clip(round(at_mm / pixel_mm - 0.5), 0, 199))
            row = round(24.5 - np.interp(at_mm, told_at, own) / pixel_mm)
            assert abs(float(answer.pixels[row, column]) - grey(np.array(float(hu)))) <= 1, (form, hu)


async def ct_and_pet(node: Node, tmp_path: Path) -> tuple[Viewer, str, str, str]:
    """A CT, a PET of the same frame of reference and one of another: who may see them, and their paths."""
    ct = write_phantom(tmp_path / "ct", "spheres", SHAPE, study=uuid.uuid4().hex)
    stored = await node.add(ct)
    pet = await node.add(write_pet(tmp_path / "pet", ct[0]))
    apart = await node.add(write_pet(tmp_path / "apart", ct[0], apart=True))
    ana = node.viewer("ana", stored[0].header.study_uid)
    return ana, series_path(stored[0]), pet[0].header.series_uid, apart[0].header.series_uid


async def test_a_hot_spot_lies_where_it_belongs(node: Node, tmp_path: Path) -> None:
    ana, ct, pet, apart = await ct_and_pet(node, tmp_path)
    hot = np.array(HOT_SPOT)
    planes = [(np.eye(3)[0], np.array([0.0, -1, 0])), (np.eye(3)[0], np.eye(3)[2]), turned(5)[:2]]
    for right, up in planes:
        toward = np.cross(right, up)
        query = (
            f"viewpointposition={triple(hot + 100 * toward)}&viewpointlookat={triple(hot)}"
            f"&viewpointup={triple(up)}&viewport=64,64&fov=64&accept=image/png&{W}"
            f"&overlay_series={pet}&overlay_window=20000,40000,linear-exact&overlay_palette=hot-iron"
        )
        below = (await ana.get(f"{ct}/renderedmpr?{query.split('&overlay')[0]}")).pixels.astype(float)
        answer = await ana.get(f"{ct}/renderedmpr?{query}&overlay_opacity=1")
        assert answer.pixels.shape == (64, 64, 3)
        assert answer.headers["Sivr-Quality"] == "lossless" and answer.headers["Sivr-Complete"] == "yes"
        points = grid(hot, right, up, 64, 64, 1.0)
        activity = sampled(pet_values(), pet_affine(), points)
        level = grey(activity, 20000, 40000).astype(int)
        alpha = np.minimum(level / 64, 1)[..., None]
        want = below[..., None] * (1 - alpha) + np.array(palette_entries("hot-iron"), float)[level] * alpha
        # One grey level of the PET is up to four of a color.
        there = np.isfinite(activity)
        assert np.abs(answer.pixels - want)[there].max() <= 5
        # The middle of the heat is the middle of the picture, to half a voxel of the PET in every plane.
        heat = np.clip(level - 128, 0, None)
        seen = np.clip(answer.pixels[..., 0].astype(float) - below, 0, None) * (heat > 0)
        rows, columns = np.mgrid[:64, :64]
        off = np.array([(seen * rows).sum(), (seen * columns).sum()]) / seen.sum() - 31.5
        assert np.abs(off).max() < 1.5
        clear = await ana.get(f"{ct}/renderedmpr?{query}&overlay_opacity=0")
        assert (clear.pixels == below[..., None]).all()
    again = await ana.get(
        f"{ct}/renderedmpr?{query}&overlay_opacity=1", **{"If-None-Match": answer.headers["ETag"]}
    )
    assert again.status == 304
    refused = await ana.get(f"{ct}/renderedmpr?overlay_series={apart}")
    assert refused.status == 400 and "frame of reference" in refused.json["detail"]
    assert (await ana.get(f"{ct}/renderedmpr?overlay_series=1.2.3")).status == 404


async def test_values_at_points(node: Node, tmp_path: Path) -> None:
    ana, ct, pet, _ = await ct_and_pet(node, tmp_path)
    points = np.array([HOT_SPOT, (-30.0, -30.0, 0.0), (5.3, -7.9, 11.1), (500.0, 0.0, 0.0)])
    text = ";".join(triple(point) for point in points)
    below, over = (await ana.get(f"{ct}/values?points={text}&overlay_series={pet}")).json["items"]
    assert below["units"] == "HU" and over["series_uid"] == pet and not below["reduced"]
    assert below["suv_bw"] is None and over["units"] == "BQML"
    assert over["suv_bw"] == pytest.approx(70_000 / 350e6), "decay is corrected to the injection"
    for found, values, affine, worst in (
        (below, phantom_values("spheres", SHAPE), phantom_affine("spheres", SHAPE), 1e-3),
        (over, pet_values(), pet_affine(), 1.01),
    ):
        want = sampled(values, affine, points)
        for one, value in zip(found["points"][:3], want[:3], strict=True):
            assert one["inside"] and one["value"] == pytest.approx(value, abs=worst)
            i, j, k = one["voxel"]
            assert one["nearest"] == pytest.approx(float(values[k, j, i]), abs=worst)
        assert found["points"][3] == {"inside": False, "value": None, "nearest": None, "voxel": None}
    assert below["points"][0]["nearest"] == 1500 and over["points"][0]["value"] > 35000


WRONG = [
    ("renderedmpr", "curve=1,2,3"),
    ("renderedmpr", "curve=1,2,3;1,2,3"),
    ("renderedmpr", "curve=0,0,0;0,0,9;x"),
    ("renderedmpr", "curve=" + ";".join(f"{n},0,0" for n in range(101))),
    ("renderedmpr", "curve=0,0,0;0,0,90000"),
    ("renderedmpr", "curve=0,0,0;0,0,9&orientation=a"),
    ("renderedmpr", "curve=0,0,0;0,0,9&curveform=bent"),
    ("renderedmpr", "curve=0,0,0;0,0,9&curveup=0,0,0"),
    ("renderedmpr", "curve=0,0,0;0,0,9&curveup=0,0,1"),
    ("renderedmpr", "curve=0,0,0;0,0,9&renderedvolumetricmetadata=yes"),
    ("renderedmpr", "curveturn=3"),
    ("renderedmpr", "overlay_series=x"),
    ("renderedmpr", "overlay_opacity=2"),
    ("renderedmpr", "overlay_palette=plaid"),
    ("renderedmpr", "overlay_window=1,2"),
    ("values", ""),
    ("values", "points=1,2"),
    ("curve", ""),
]


async def test_wrong_parameters(node: Node, tmp_path: Path) -> None:
    ana, series = await spheres(node, tmp_path)
    for resource, query in WRONG:
        answer = await ana.get(f"{series}/{resource}?{query}")
        assert answer.status == 400, (query, answer.body)
        assert answer.json["detail"].endswith(".")
    nobody = node.viewer("eva")
    for resource in ("values?points=0,0,0", "curve?curve=0,0,0;0,0,9"):
        assert (await nobody.get(f"{series}/{resource}")).status == 403


async def test_real_pet_values_are_those_of_the_file(node: Node, shared_data: Path) -> None:
    """Each slice of this PET has a slope of its own; a probe must not notice."""
    named = {
        path: pydicom.dcmread(path, stop_before_pixels=True)
        for path in (shared_data / "pet-whole-body").glob("*.dcm")
    }
    files = sorted(named, key=lambda path: float(named[path].ImagePositionPatient[2]))[:40]
    stored = await node.add(files)
    ana = node.viewer("ana", stored[0].header.study_uid)
    data = pydicom.dcmread(files[20])
    x, y, z = (float(one) for one in data.ImagePositionPatient)
    dy, dx = (float(one) for one in data.PixelSpacing)
    row, column = np.unravel_index(int(data.pixel_array.argmax()), data.pixel_array.shape)
    text = f"{x + dx * column},{y + dy * row},{z}"
    one = (await ana.get(f"{series_path(stored[0])}/values?points={text}")).json["items"][0]["points"][0]
    want = float(data.pixel_array.max()) * float(data.RescaleSlope) + float(data.RescaleIntercept)
    assert one["nearest"] == pytest.approx(want, rel=2e-3)


async def test_a_plane_is_colored_as_its_slice_is(node: Node, tmp_path: Path) -> None:
    stored = await node.phantom(tmp_path / "in", "head", SHAPE)
    ana, series = node.viewer("ana", stored[0].header.study_uid), series_path(stored[0])
    k = 20
    x, y, z = (float(one) for one in (phantom_affine("head", SHAPE) @ [31.5, 31.5, k, 1])[:3])
    lies = f"viewpointposition={x},{y},{z - 100}&viewpointlookat={x},{y},{z}&viewpointup=0,-1,0"
    size = f"viewport=64,64&fov={64 * phantom_affine('head', SHAPE)[1, 1]}"
    frame = instance_path(stored[k]) + "/frames/1/rendered"
    for color in ("palette=pet", "threshold=20,60", "palette=hot-iron&threshold=30,1000,00ff00&invert=yes"):
        query = f"accept=image/png&window=40,100,linear&{color}"
        flat = (await ana.get(f"{frame}?{query}")).pixels
        got = (await ana.get(f"{series}/renderedmpr?{lies}&{size}&{query}")).pixels
        assert got.shape == (64, 64, 3) and len(np.unique(got.reshape(-1, 3), axis=0)) > 20
        # One grey level beside it is up to a few levels of a color.
        assert np.mean(np.abs(got.astype(int) - flat).max(axis=-1) > 6) < 0.01, color
    wide = f"viewport=64,64&fov={200 * phantom_affine('head', SHAPE)[1, 1]}&palette=spring&accept=image/png"
    outside = (await ana.get(f"{series}/renderedmpr?{lies}&{wide}")).pixels
    assert not outside[:8].any() and outside[32, 32].any(), "beside the volume all palettes are black"
