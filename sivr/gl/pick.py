"""The point of a volume that one pixel of a view shows: one ray, in plain numpy, on voxels as they are
stored."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from sivr.errors import Invalid
from sivr.gl import camera, cuts
from sivr.gl.ready import ReadyVolume
from sivr.gl.transfer import function_of
from sivr.model.rendering import Vector, VolumeView

PARTS = 5
"""Floats of an answer: x, y, z, value, opacity; all NaN where nothing is seen."""
STEP = 0.5
"""Of the ray, in voxels of the finest axis."""
LEAST_OPACITY = 0.05
"""What is less to be seen along a ray is nothing that somebody could point at."""
_Floats = npt.NDArray[np.float64]


class Picked(msgspec.Struct, frozen=True):
    """A point of the patient that is seen."""

    point: Vector
    """LPS mm."""
    value: float
    """Modality value there."""
    opacity: float
    """Of all that the ray meets; 1 for projections."""


def found_in(parts: _Floats) -> Picked | None:
    """What ``picked`` says, in words."""
    if np.isnan(parts).any():
        return None
    x, y, z, value, opacity = (float(one) for one in parts)
    return Picked((x, y, z), value, opacity)


def picked(volume: ReadyVolume, view: VolumeView, at: tuple[float, float]) -> _Floats:
    """What a view shows at a column and row of its picture: ``PARTS`` floats.

    Of a composite, where the ray has become half as opaque as it ends; of a projection, where its extreme is.
    Raises Invalid for means, which have no place.
    """
    if view.method == "average_ip":
        raise Invalid("A mean along a ray lies nowhere; pick in another rendering.")
    source = volume.source
    affine = camera.lps_from_texel(source.lps_from_ijk, (1, 1, 1))
    rays = camera.rays(view.viewpoint, view.width, view.height, view.height_mm, affine)
    origin = rays.origin + at[0] * rays.right + at[1] * rays.down
    size = np.array(source.shape[::-1], float)
    cut = cuts.cuts_for(view, rays, affine, source.shape[::-1])
    step = STEP * float(np.linalg.norm(affine[:3, :3], axis=0).min())
    enter, leave = _span(origin, rays.direction, cut)
    nothing = np.full(PARTS, np.nan)
    if not volume.slices_ready or not enter < leave:
        return nothing
    away = np.arange(np.ceil(enter / step), np.floor(leave / step) + 1) * step
    points = origin + away[:, None] * rays.direction
    points = points[_kept(points, cut)]
    if not len(points):
        return nothing
    values = _values(volume, np.clip(points - 0.5, 0, size - 1))
    found = _place(values, points, view, volume, step)
    if found is None:
        return nothing
    place, value, opacity = found
    return np.array([*(affine @ (*place, 1.0))[:3], value, opacity])


def _place(
    values: _Floats, points: _Floats, view: VolumeView, volume: ReadyVolume, step: float
) -> tuple[_Floats, float, float] | None:
    """Texel coordinates of what is seen along a ray, its value and the ray's opacity."""
    real = ~np.isnan(values)
    if view.method != "volume_rendered":
        if not real.any():
            return None
        n = int(np.nanargmax(values) if view.method == "maximum_ip" else np.nanargmin(values))
        return points[n], float(values[n]), 1.0
    function = function_of(view, volume.typical_range)
    if view.surface is not None:
        return _first_above(values, points, function.points[0][0])
    known = np.array(function.points)
    clear = 1 - np.interp(np.where(real, values, known[0, 0]), known[:, 0], known[:, 4])
    clear[~real] = 1.0
    left = np.cumprod(np.maximum(clear, 1e-6) ** (step / function.opacity_unit_mm))
    opacity = 1 - float(left[-1])
    if opacity < LEAST_OPACITY:
        return None
    n = int(np.argmax(1 - left >= opacity / 2))
    return points[n], float(values[n]), opacity


def _first_above(values: _Floats, points: _Floats, value: float) -> tuple[_Floats, float, float] | None:
    above = np.nan_to_num(values, nan=-np.inf) >= value
    if not above.any():
        return None
    n = int(np.argmax(above))
    if n == 0 or np.isnan(values[n - 1]):
        return points[n], float(values[n]), 1.0
    part = (value - values[n - 1]) / (values[n] - values[n - 1])
    return points[n - 1] + part * (points[n] - points[n - 1]), value, 1.0


def _span(origin: _Floats, direction: _Floats, cut: cuts.Cuts) -> tuple[float, float]:
    """Distances in mm between which the ray is in what box and planes keep."""
    inverse = 1 / np.where(np.abs(direction) < 1e-12, 1e-12, direction)
    ends = np.sort([(cut.low - origin) * inverse, (cut.high - origin) * inverse], axis=0)
    enter, leave = float(ends[0].max()), float(ends[1].min())
    for plane, along in zip(cut.planes, cut.along, strict=True):
        at = -(plane[:3] @ origin + plane[3]) * along
        if along > 0:
            leave = min(leave, at)
        else:
            enter = max(enter, at)
    return enter, leave


def _kept(points: _Floats, cut: cuts.Cuts) -> npt.NDArray[np.bool_]:
    left = np.ones(len(points), bool)
    for mask, cell in zip(cut.masks, cut.cells, strict=True):
        column, row = np.clip(points @ cell[:, :3].T + cell[:, 3], 0, cuts.SIDE - 1).astype(int).T
        left &= mask[row, column] == 0
    return left


def _values(volume: ReadyVolume, at: _Floats) -> _Floats:
    """Modality values at voxel coordinates i, j, k (n, 3); NaN where a neighbor is no image. A slice that is
    missing looks like the nearest that is there."""
    voxels, source = volume.shared.voxels, volume.source
    ready = np.flatnonzero(volume.shared.ready)
    low = at.astype(int)
    part = at - low
    high = np.minimum(low + 1, np.array(source.shape[::-1]) - 1)
    total = np.zeros(len(at))
    for corner in range(8):
        pick = [(corner >> axis) & 1 for axis in range(3)]
        i, j, k = (np.where(pick[axis], high[:, axis], low[:, axis]) for axis in range(3))
        weight = np.prod([part[:, a] if pick[a] else 1 - part[:, a] for a in range(3)], axis=0)
        found = voxels[_nearest(ready, k), j, i].astype(np.float64)
        if source.padding_value is not None:
            found[found == source.padding_value] = np.nan
        total += np.where(weight > 0, weight * found, 0.0)
    return total * source.slope + source.intercept


def _nearest(ready: npt.NDArray[np.int64], layers: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    after = np.clip(np.searchsorted(ready, layers), 0, len(ready) - 1)
    before = np.maximum(after - 1, 0)
    return np.where(
        np.abs(ready[after] - layers) <= np.abs(layers - ready[before]), ready[after], ready[before]
    )
