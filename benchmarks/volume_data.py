"""Volumes to measure with: a body of smooth tissue and noise, and real series read by pydicom alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from sivr.model.rendering import TransferFunction

Array = np.ndarray[Any, Any]

BONE = TransferFunction(
    name="bone",
    points=(
        (150.0, 0.6, 0.3, 0.2, 0.0),
        (350.0, 0.9, 0.75, 0.6, 0.3),
        (900.0, 1.0, 1.0, 0.95, 0.85),
        (3000.0, 1.0, 1.0, 1.0, 0.95),
    ),
)
SKIN = TransferFunction(
    name="skin",
    points=(
        (-400.0, 0.8, 0.5, 0.4, 0.0),
        (-150.0, 0.85, 0.6, 0.5, 0.04),
        (60.0, 0.8, 0.35, 0.3, 0.06),
        (200.0, 0.95, 0.8, 0.7, 0.3),
        (900.0, 1.0, 1.0, 0.95, 0.85),
        (3000.0, 1.0, 1.0, 1.0, 0.95),
    ),
)
"""Two kinds of work: few opaque voxels, and many translucent ones."""


class Volume:
    """``voxels[k, j, i]`` int16 in HU, and ``affine`` 4x4 (i, j, k) to patient LPS mm."""

    def __init__(self, name: str, voxels: Array, affine: Array) -> None:
        self.name, self.voxels, self.affine = name, np.ascontiguousarray(voxels, np.int16), affine
        self.spacing = np.linalg.norm(affine[:3, :3], axis=0)

    @property
    def center(self) -> tuple[float, float, float]:
        """Of the volume, LPS mm."""
        middle = (np.array(self.voxels.shape[::-1]) - 1) / 2
        x, y, z = self.affine[:3, :3] @ middle + self.affine[:3, 3]
        return float(x), float(y), float(z)

    @property
    def extent_mm(self) -> float:
        """Its diagonal: what a view must hold however it is turned."""
        return float(np.linalg.norm(np.array(self.voxels.shape[::-1]) * self.spacing))


def body(slices: int = 555, size: int = 512) -> Volume:
    """A trunk: skin, muscle, organs, lungs, ribs, spine and vessels, blurred a little, with noise."""
    random = np.random.default_rng(2022)
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j].astype(np.float32)
    voxels = np.empty((slices, size, size), np.int16)

    def inside(cx: float, cy: float, rx: float, ry: float) -> Array:
        # Edges a pixel or two wide, as in a reconstruction.
        r = np.sqrt(((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2)
        edge: Array = np.clip((1 - r) * min(rx, ry) * size / 4 + 0.5, 0, 1)
        return edge

    for k in range(slices):
        z = k / max(slices - 1, 1)
        swell = 1 + 0.08 * np.sin(2 * np.pi * z)
        image = np.full((size, size), -1000, np.float32)

        def put(hu: float, mask: Array, image: Array = image) -> None:
            image += (hu - image) * mask

        put(-90, inside(0, 0, 0.80 * swell, 0.58 * swell))
        put(45, inside(0, 0, 0.74 * swell, 0.52 * swell))
        if z > 0.45:
            depth = np.sin(np.pi * (z - 0.45) / 0.6)
            for side in (-1, 1):
                put(-820, inside(side * 0.36, -0.02, 0.26 * depth + 0.01, 0.36 * depth + 0.01))
        else:
            put(110, inside(-0.3, -0.1, 0.30, 0.26 * np.sin(np.pi * (z + 0.3))))
        put(250, inside(0.06, 0.20, 0.06, 0.06))
        put(60, inside(0.0, 0.38, 0.16, 0.13))
        put(700 if k % 18 < 13 else 120, inside(0.0, 0.34, 0.11, 0.09))
        for rib in range(10):
            angle = rib * 0.62 + z * 9
            put(650, inside(0.69 * np.cos(angle) * swell, 0.47 * np.sin(angle) * swell, 0.035, 0.03))
        put(-700, inside(0, 0.80, 0.9, 0.02))
        image += random.normal(0, 12, image.shape).astype(np.float32)
        voxels[k] = np.rint(image)
    affine = np.diag([0.7, 0.7, 0.7, 1.0])
    return Volume(f"body {size}x{size}x{slices}", voxels, affine)


def series(folder: Path) -> Volume:
    """The axial stack of single-frame files in a folder, by pydicom and numpy."""
    import pydicom

    found = []
    for path in sorted(folder.iterdir()):
        try:
            data = pydicom.dcmread(path)
        except pydicom.errors.InvalidDicomError:
            continue
        if "ImagePositionPatient" in data:
            found.append(data)
    across, down = np.array(found[0].ImageOrientationPatient, float).reshape(2, 3)
    normal = np.cross(across, down)
    found.sort(key=lambda data: float(normal @ np.array(data.ImagePositionPatient, float)))
    first, last = (np.array(data.ImagePositionPatient, float) for data in (found[0], found[-1]))
    rows, columns = (float(value) for value in found[0].PixelSpacing)
    affine = np.eye(4)
    affine[:3] = np.stack([across * columns, down * rows, (last - first) / (len(found) - 1), first], axis=1)
    voxels = np.stack(
        [data.pixel_array * float(data.RescaleSlope) + float(data.RescaleIntercept) for data in found]
    )
    return Volume(folder.name, voxels, affine)
