"""A CT with a tilted gantry: slices lean against the way of the table, and bodies stay where they are."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pydicom
import pytest

from sivr.dicom.phantom import SPHERES, write_phantom
from tests.api.dicomweb.node import Node, series_path

pytestmark = pytest.mark.asyncio(loop_scope="module")
SLICES, ROWS, COLUMNS = 96, 128, 128
STEP_MM, TILT = 1.2, math.radians(20)


def write_tilted(folder: Path) -> list[Path]:
    """The four spheres, scanned by slices that lean back by 20 degrees while the table moves along z."""
    paths = write_phantom(folder, "spheres", (SLICES, ROWS, COLUMNS), study="tilted")
    down = np.array([0.0, math.cos(TILT), -math.sin(TILT)])
    for k, path in enumerate(paths):
        data = pydicom.dcmread(path)
        center = np.array([0.0, 0.0, (k - (SLICES - 1) / 2) * STEP_MM])
        first = center - (COLUMNS - 1) / 2 * np.array([1.0, 0, 0]) - (ROWS - 1) / 2 * down
        i, j = np.meshgrid(np.arange(COLUMNS), np.arange(ROWS))
        world = first + i[..., None] * np.array([1.0, 0, 0]) + j[..., None] * down
        hu = np.full((ROWS, COLUMNS), -1000)
        for ball in SPHERES:
            hu[((world - ball.center) ** 2).sum(axis=2) <= ball.radii[0] ** 2] = ball.hu
        slope, intercept = float(data.RescaleSlope), float(data.RescaleIntercept)
        data.PixelData = np.rint((hu - intercept) / slope).astype("<u2").tobytes()
        data.ImagePositionPatient = [f"{value:.5f}" for value in first]
        data.ImageOrientationPatient = [1, 0, 0, *(f"{value:.7f}" for value in down)]
        data.PixelSpacing = [1, 1]
        data.save_as(path)
    return paths


async def test_planes_through_a_tilted_volume_show_bodies_where_they_are(node: Node, tmp_path: Path) -> None:
    stored = await node.add(write_tilted(tmp_path / "in"))
    ana = node.viewer("ana", stored[0].header.study_uid)
    contents = await ana.get(f"{series_path(stored[0])}/contents")
    assert any("tilted by 20" in warning for warning in contents.json["warnings"])
    for ball in SPHERES:
        x, y, z = ball.center
        # Axial, coronal and sagittal through the middle of a sphere; what is right and up in each picture.
        for toward, up in (((0, 0, -100), (0, -1, 0)), ((0, -100, 0), (0, 0, 1)), ((100, 0, 0), (0, 0, 1))):
            position = ",".join(f"{a + b}" for a, b in zip(ball.center, toward, strict=True))
            query = (
                f"viewpointposition={position}&viewpointlookat={x},{y},{z}"
                f"&viewpointup={up[0]},{up[1]},{up[2]}&fov=64&viewport=128,128"
                f"&window={ball.hu - 500},2,linear-exact&accept=image/png"
            )
            picture = (await ana.get(f"{series_path(stored[0])}/renderedmpr?{query}")).pixels
            rows, columns = np.nonzero(picture > 128)
            across, down = (columns + 0.5) * 0.5 - 32, (rows + 0.5) * 0.5 - 32
            inside = np.hypot(across, down) < ball.radii[0] + 4
            across, down = across[inside], down[inside]
            # Within a voxel of the middle, and as large as it is.
            assert math.hypot(across.mean(), down.mean()) < 0.7, (ball, toward)
            area = len(across) * 0.25
            assert math.sqrt(area / math.pi) == pytest.approx(ball.radii[0], abs=0.7), (ball, toward)
            for side in (across, down):
                assert (side.max() - side.min()) / 2 == pytest.approx(ball.radii[0], abs=1.1), (ball, toward)
