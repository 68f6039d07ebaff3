"""What a view takes away, in the texels of the volume that is drawn: for both ways of drawing."""

from __future__ import annotations

import functools
import itertools

import msgspec
import numpy as np
import numpy.typing as npt

from sivr.errors import Invalid
from sivr.gl.camera import Array, Rays
from sivr.model.cameras import basis
from sivr.model.rendering import MAX_LASSOS, MAX_PLANES, Box, Cut, VolumeView

SIDE = 1024
"""Cells of a lasso's mask along each side of the box around it."""
NOTHING = Cut()
_KEPT_MASKS = 16
_HAIR_MM = 1e-6


class Cuts(msgspec.Struct, frozen=True):
    """A cut for parallel rays through one volume."""

    low: Array
    """(3,) texels along i, j, k: nothing below is kept."""
    high: Array
    planes: Array
    """(MAX_PLANES, 4): a point p is taken away where planes[n, :3] . p + planes[n, 3] > 0."""
    along: Array
    """(MAX_PLANES,): 1 / change of that sum per mm along the rays, never infinite."""
    masks: tuple[npt.NDArray[np.uint8], ...]
    """(SIDE, SIDE) per lasso: 1 where what is seen there is taken away; the border stands for all beyond."""
    cells: Array
    """(lassos, 2, 4): column and row of a mask = cells[n, :, :3] . p + cells[n, :, 3], rounded down."""
    near_mm: float
    """Distance from the plane of look_at to the nearest point of what is kept, along the rays."""
    per_mm: float
    """1 / distance from there to the farthest."""


def cuts_for(view: VolumeView, rays: Rays, lps_from_texel: Array, size: tuple[int, ...]) -> Cuts:
    """The cut of a view for a volume of ``size`` (i, j, k) texels whose centers lie at n + 0.5; raises
    Invalid for nonsense."""
    cut = view.cut or NOTHING
    if len(cut.planes) > MAX_PLANES or len(cut.lassos) > MAX_LASSOS:
        raise Invalid(f"A cut has at most {MAX_PLANES} planes and {MAX_LASSOS} lassos.")
    low, high = np.zeros(3), np.asarray(size, float)
    planes = np.zeros((MAX_PLANES, 4))
    planes[:, 3] = -1
    for n, plane in enumerate(cut.planes):
        normal, point = np.asarray(plane.normal, float), np.asarray(plane.point, float)
        length = float(np.linalg.norm(normal))
        if not np.isfinite([*normal, *point]).all() or length < 1e-9:
            raise Invalid("A clipping plane needs a point and a normal that is not zero.")
        lps = np.append(normal, -normal @ point) / length
        planes[n] = lps @ lps_from_texel
    change = planes[:, :3] @ rays.direction
    along = 1 / np.where(np.abs(change) < 1e-9, 1e-9, change)
    cells = np.zeros((len(cut.lassos), 2, 4))
    masks = []
    for n, lasso in enumerate(cut.lassos):
        if not np.isfinite(lasso.height_mm) or lasso.height_mm <= 0:
            raise Invalid("The height of the view of a lasso must be more than 0 mm.")
        mask, corner, cell = _mask(lasso.points, lasso.outside)
        right, up, _ = (np.asarray(axis) for axis in basis(lasso.viewpoint))
        center = np.asarray(lasso.viewpoint.look_at, float)
        for row, (axis, first) in enumerate(((right, corner[0]), (-up, corner[1]))):
            lps = np.append(axis, -axis @ center) / lasso.height_mm
            lps[3] -= first
            cells[n, row] = lps / cell[row] @ lps_from_texel
        masks.append(mask)
    if cut.box is not None:
        first, last = _box(cut.box, lps_from_texel)
        low, high = np.maximum(low, first), np.minimum(high, last)
    near, far = _reach(view, rays, lps_from_texel, low, high)
    return Cuts(low, high, planes, along, tuple(masks), cells, near, 1 / max(far - near, _HAIR_MM))


def _box(box: Box, lps_from_texel: Array) -> tuple[Array, Array]:
    """First and last texel coordinates of what is kept."""
    edges = np.asarray([box.low, box.high], float)
    affine = np.asarray(box.lps_from_ijk, float)
    if edges.shape != (2, 3) or affine.shape != (4, 4) or not np.isfinite([*edges.flat, *affine.flat]).all():
        raise Invalid("A crop box needs two ends along each axis.")
    if (edges[0] >= edges[1]).any():
        raise Invalid("A crop box must end behind its beginning along each axis.")
    # Both grids have the same axes; the other parts of the matrix are rounding.
    texel_from_ijk = np.linalg.inv(lps_from_texel) @ affine
    scale, first = np.diag(texel_from_ijk)[:3], texel_from_ijk[:3, 3]
    return edges[0] * scale + first, edges[1] * scale + first


def _reach(
    view: VolumeView, rays: Rays, lps_from_texel: Array, low: Array, high: Array
) -> tuple[float, float]:
    """Distances in mm from the plane of look_at to the nearest and farthest corner of a box of texels."""
    corners = np.array(list(itertools.product(*zip(low, high, strict=True), (1,))), float)
    away = ((corners @ lps_from_texel.T)[:, :3] - np.asarray(view.viewpoint.look_at)) @ -rays.toward
    return float(away.min()), float(away.max())


@functools.lru_cache(maxsize=_KEPT_MASKS)
def _mask(
    points: tuple[tuple[float, float], ...], outside: bool
) -> tuple[npt.NDArray[np.uint8], Array, Array]:
    """A polygon as cells of 0 and 1, the place of its first corner and the size of a cell, all to the right
    and down."""
    corners = np.asarray(points, float)
    if corners.ndim != 2 or corners.shape[0] < 3 or corners.shape[1] != 2 or not np.isfinite(corners).all():
        raise Invalid("A lasso needs at least three corners.")
    corners = corners * (1, -1)
    # One cell is left free on every side: it stands for all beyond.
    cell = np.maximum(np.ptp(corners, axis=0), 1e-6) / (SIDE - 2)
    first = corners.min(axis=0) - cell
    at = (corners - first) / cell
    crossings = np.zeros((SIDE, SIDE + 1), np.int32)
    rows = np.arange(SIDE) + 0.5
    for (x0, y0), (x1, y1) in zip(at, np.roll(at, -1, axis=0), strict=True):
        hit = np.flatnonzero((y0 <= rows) != (y1 <= rows))
        if len(hit):
            x = x0 + (rows[hit] - y0) * (x1 - x0) / (y1 - y0)
            np.add.at(crossings, (hit, np.clip(np.ceil(x - 0.5), 0, SIDE).astype(int)), 1)
    inside = np.cumsum(crossings, axis=1)[:, :SIDE] % 2
    mask = (inside ^ 1 if outside else inside).astype(np.uint8)
    return mask, first, cell
