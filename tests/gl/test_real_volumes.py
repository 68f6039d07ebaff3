"""Real series: projections against numpy, and presets that show something."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from sivr.model.cameras import viewpoint_for
from sivr.model.pixels import Window
from sivr.model.presets import PRESETS
from sivr.model.rendering import VolumeView
from tests.gl.paths import PATHS, renderer

pytestmark = pytest.mark.usefixtures("current_context")

SERIES = {"CT": "ct-head-1mm", "MR": "mr-head-jpeg-lossless", "PT": "pet-whole-body"}


def read(folder: Path) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], float, float]:
    """Voxels, affine, slope and intercept of a folder of single-frame files."""
    sets = []
    for path in sorted(folder.iterdir()):
        try:
            data = pydicom.dcmread(path)
        except pydicom.errors.InvalidDicomError:
            continue
        if "ImagePositionPatient" in data:
            sets.append(data)
    across, down = np.array(sets[0].ImageOrientationPatient, float).reshape(2, 3)
    normal = np.cross(across, down)
    sets.sort(key=lambda data: float(normal @ np.array(data.ImagePositionPatient, float)))
    first, last = (np.array(data.ImagePositionPatient, float) for data in (sets[0], sets[-1]))
    affine = np.eye(4)
    rows, columns = (float(x) for x in sets[0].PixelSpacing)
    affine[:3, :4] = np.stack(
        [across * columns, down * rows, (last - first) / (len(sets) - 1), first], axis=1
    )
    voxels = np.stack([data.pixel_array for data in sets])
    return voxels, affine, float(sets[0].RescaleSlope), float(sets[0].RescaleIntercept)


@pytest.fixture(scope="module")
def series(shared_data: Path) -> dict[str, Any]:
    return {modality: read(shared_data / folder) for modality, folder in SERIES.items()}


@pytest.mark.parametrize("path", PATHS)
def test_mip_of_the_ct_head_equals_numpy_along_each_axis(
    series: dict[str, Any], bench: Any, path: str
) -> None:
    voxels, _, slope, intercept = series["CT"]
    depth, rows, columns = voxels.shape
    # Voxels of 1 mm make pixels of 1 mm meet voxel centers from every side.
    textures, cast = renderer(path, 512 << 20)
    volume = textures.get(bench(voxels, slope=slope, intercept=intercept).source)
    center = ((columns - 1) / 2, (rows - 1) / 2, (depth - 1) / 2)
    values = voxels * slope + intercept
    for orientation, axis, width, height in (
        ("f", 0, columns, rows),
        ("a", 1, columns, depth),
        ("l", 2, rows, depth),
    ):
        for low, high in ((-160.0, 240.0), (-1024.0, 2000.0)):
            window = Window((low + high) / 2, high - low, "linear-exact")
            view = VolumeView(
                "maximum_ip", viewpoint_for(orientation, center, 900.0), width, height, float(height), window
            )  # type: ignore[arg-type]
            flat = values.max(axis=axis)
            want = np.rint(np.clip((flat - low) / (high - low), 0, 1) * 255)
            want = want if axis == 0 else want[::-1]
            assert np.abs(cast.volume(volume, view).astype(int) - want).max() <= 1, (orientation, low)
    textures.clear()


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_shows_its_modality(series: dict[str, Any], bench: Any, name: str, path: str) -> None:
    preset = PRESETS[name]
    # There is no angiography of slices among the data; its presets are tried on what is alike.
    voxels, affine, slope, intercept = series[preset.modalities[0].replace("XA", "MR")]
    textures, cast = renderer(path, 512 << 20)
    volume = textures.get(bench(voxels, affine, slope=slope, intercept=intercept).source)
    center = affine @ [*(np.array(voxels.shape[::-1]) / 2), 1]
    view = VolumeView(
        preset.method, viewpoint_for("a", tuple(center[:3]), 900.0), 160, 160, 330.0,
        window=preset.window, transfer_function=preset.function, surface=preset.surface, span=preset.span,
    )  # fmt: skip
    picture = cast.volume(volume, view)
    picture = picture.max(axis=2) if picture.ndim == 3 else picture
    if preset.method == "minimum_ip":
        # Rays leave this head through air, which is all that a minimum shows: noise.
        assert picture.std() > 0
        return
    seen = picture > 24
    if preset.surface is not None:
        assert 0.005 < seen.mean() < 0.98 and picture[seen].std() > 8
        return
    if preset.method == "maximum_ip":
        assert 0.02 < seen.mean() < 0.98
        return
    assert 0.02 < seen.mean() < 0.98, "neither black nor full"
    assert picture[seen].std() > 8, "not one flat color"
    assert (picture > 250).mean() < 0.1, "not burned out"
    textures.clear()
