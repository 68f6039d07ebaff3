"""Planes along a drawn line: where the columns of a curved picture lie in the patient (curved MPR).

The line is a centripetal Catmull-Rom spline through its points: it goes through every point and makes no
loops between close ones. *Straightened*, the picture shows what lies across the curve at each place of it,
in a frame that turns as little as possible along the way (double reflection, Wang et al., ACM Transactions
on Graphics 27, 2008) or keeps to a direction that is given. *Stretched*, it shows the surface that a
straight line of one direction sweeps along the curve, unrolled. Lengths along a straightened curve, and all
lengths on a stretched surface, are true; both have square pixels.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from sivr.errors import Invalid
from sivr.gl.camera import Samples
from sivr.model.cameras import dot, rotated, scaled, subtract, unit
from sivr.model.rendering import Curve, Vector

Array = npt.NDArray[np.float64]

NUMBERS = 9
"""What describes a column: texel of its first row, change per row, change per mm away from the viewer."""
FINE_MM = 0.2
"""Distance of the points that stand for the spline: a circle of 2 mm is kept within 0.003 mm."""
MOST_POINTS = 20_000
MOST_FRAMES = 1024
"""Directions are found at so many places and interpolated between them."""
CLOSEST_MM = 0.01
LONGEST_MM = 5_000.0
STRAIGHT = 0.02
"""A curve that leaves its chord by no more than this part of its length has no plane of its own."""
PARALLEL = math.sin(math.radians(5))
"""A direction that is so near to the curve's own is none across it."""


class Path(msgspec.Struct, frozen=True, eq=False):
    """A curve on the way to its picture, at places that follow each other closely."""

    length_mm: float
    """Of the picture's part that shows the curve."""
    curve_mm: float
    """Of the curve itself; a stretched surface is as long or shorter."""
    knots_mm: tuple[float, ...]
    """Where along the picture the drawn points lie."""
    at_mm: Array
    """(n,) places along the picture, ascending from 0."""
    center: Array
    """(n, 3) LPS of the picture's middle row there."""
    along: Array
    """(n, 3) unit vectors to the right of the picture."""
    across: Array
    """(n, 3) unit vectors up in the picture."""
    offset_mm: Array
    """(n,) how far above the middle row the curve lies: 0 where it is straightened."""

    def at(self, places_mm: Array) -> tuple[Array, Array, Array]:
        """Center, along and across (m, 3) at places along the picture."""

        def between(values: Array) -> Array:
            return np.stack([np.interp(places_mm, self.at_mm, values[:, n]) for n in range(3)], axis=1)

        along, across = between(self.along), between(self.across)
        across -= along * (along * across).sum(axis=1, keepdims=True) / (along * along).sum(1, keepdims=True)
        return between(self.center), _units(along), _units(across)


def path_of(curve: Curve) -> Path:
    """The way along a curve; raises Invalid where it cannot be drawn."""
    return _path(curve.points, curve.form == "stretched", curve.up, curve.turn_deg)


# While somebody changes the window, the slab or the place, the curve stays.
@lru_cache(maxsize=32)
def _path(points: tuple[Vector, ...], stretched: bool, up: Vector | None, turn_deg: float) -> Path:
    fine, knots = spline(points)
    return (_stretched if stretched else _straightened)(fine, knots, up, math.radians(turn_deg))


def spline(points: tuple[Vector, ...]) -> tuple[Array, list[int]]:
    """A centripetal Catmull-Rom spline as a close polyline (n, 3), and which of them are the given points.

    Raises Invalid for points that lie on each other, and for a curve that is too long.
    """
    given = np.asarray(points, np.float64)
    chords = np.linalg.norm(np.diff(given, axis=0), axis=1)
    if len(given) < 2 or not np.isfinite(given).all() or (chords < CLOSEST_MM).any():
        raise Invalid("A curve needs at least two points, each at another place than the one before.")
    total = float(chords.sum())
    if total > LONGEST_MM:
        raise Invalid(f"The curve is {total:.0f} mm long; at most {LONGEST_MM:.0f} mm can be shown.")
    fine_mm = max(FINE_MM, total / MOST_POINTS)
    # One more point at each end, so that the first and last part have neighbors like the others.
    padded = np.concatenate([[2 * given[0] - given[1]], given, [2 * given[-1] - given[-2]]])
    parts, knots = [], [0]
    for n, chord in enumerate(chords):
        count = max(8, math.ceil(chord / fine_mm))
        parts.append(_between(padded[n : n + 4], np.arange(count) / count))
        knots.append(knots[-1] + count)
    return np.concatenate([*parts, given[-1:]]), knots


def _between(four: Array, part: Array) -> Array:
    """The spline between the second and third of four points (Barry and Goldman's form)."""
    steps = np.linalg.norm(np.diff(four, axis=0), axis=1) ** 0.5
    times = np.concatenate([[0.0], np.cumsum(steps)])
    t = (times[1] + part * (times[2] - times[1]))[:, None]

    def mixed(a: Any, b: Any, first: int, last: int) -> Any:
        return ((times[last] - t) * a + (t - times[first]) * b) / (times[last] - times[first])

    lines = [mixed(four[n], four[n + 1], n, n + 1) for n in range(3)]
    curves = [mixed(lines[n], lines[n + 1], n, n + 2) for n in range(2)]
    found: Array = mixed(curves[0], curves[1], 1, 2)
    return found


def _straightened(fine: Array, knots: list[int], up: Vector | None, turn: float) -> Path:
    length = _lengths(fine)
    total = float(length[-1])
    at_mm = np.linspace(0, total, min(MOST_FRAMES, max(32, math.ceil(total / FINE_MM))))
    center = np.stack([np.interp(at_mm, length, fine[:, n]) for n in range(3)], axis=1)
    along = _units(np.gradient(center, axis=0))
    across = _least_turning(center, along, _own_up(fine)) if up is None else _toward(along, up)
    across = across * math.cos(turn) + np.cross(along, across) * math.sin(turn)
    places = tuple(float(length[n]) for n in knots)
    return Path(total, total, places, at_mm, center, along, across, np.zeros(len(at_mm)))


def _stretched(fine: Array, knots: list[int], up: Vector | None, turn: float) -> Path:
    direction = _vector(_units(np.asarray([_own_up(fine) if up is None else up]))[0])
    chord = _vector(fine[-1] - fine[0])
    if turn and math.sqrt(dot(chord, chord)) > CLOSEST_MM:
        direction = rotated(direction, unit(chord), turn)
    line = np.asarray(direction)
    height = fine @ line
    flat = fine - height[:, None] * line
    length = _lengths(flat)
    total, whole = float(length[-1]), float(_lengths(fine)[-1])
    if total < max(CLOSEST_MM, PARALLEL * whole):
        raise Invalid("The curve runs along the direction that its surface is made of; choose another one.")
    at_mm = np.linspace(0, total, min(4 * MOST_FRAMES, max(32, math.ceil(total / FINE_MM))))
    middle = (float(height.min()) + float(height.max())) / 2
    center = np.stack([np.interp(at_mm, length, flat[:, n]) for n in range(3)], axis=1)
    along = _units(np.gradient(center, axis=0))
    offset = np.interp(at_mm, length, height) - middle
    across = np.broadcast_to(line, along.shape).copy()
    places = tuple(float(length[n]) for n in knots)
    return Path(total, whole, places, at_mm, center + middle * line, along, across, offset)


def columns(
    path: Path,
    shift_mm: tuple[float, float],
    width: int,
    height: int,
    height_mm: float,
    lps_from_texel: Array,
) -> npt.NDArray[np.float32]:
    """What each column of a picture shows: (width, ``NUMBERS``), in texels; no numbers where the curve ends.

    The middle of the curve is seen in the middle of the picture, ``shift_mm`` (right, up) away from it.
    """
    if not np.isfinite(height_mm) or height_mm <= 0:
        raise Invalid("The height of the view must be more than 0 mm.")
    if abs(np.linalg.det(lps_from_texel[:3, :3])) < 1e-12:
        raise Invalid("The volume has no extent in some direction.")
    texel_from_lps = np.linalg.inv(lps_from_texel)
    linear = texel_from_lps[:3, :3]
    pixel_mm = height_mm / height
    places = np.asarray(
        path.length_mm / 2 + shift_mm[0] + (np.arange(width) - (width - 1) / 2) * pixel_mm, np.float64
    )
    center, along, across = path.at(places)
    top = center + across * ((height - 1) / 2 * pixel_mm + shift_mm[1])
    away = -np.cross(along, across)
    out = np.concatenate(
        [top @ linear.T + texel_from_lps[:3, 3], -pixel_mm * (across @ linear.T), away @ linear.T], axis=1
    )
    # Half a pixel beyond its ends is still the curve.
    out[(places < -pixel_mm / 2) | (places > path.length_mm + pixel_mm / 2)] = np.nan
    return np.ascontiguousarray(out, np.float32)


def slab_samples(slab_mm: float, lps_from_texel: Array, size: tuple[int, ...]) -> Samples:
    """Samples a voxel of the finest axis apart through a slab around a curve."""
    if not np.isfinite(slab_mm) or slab_mm < 0:
        raise Invalid("The thickness of the slab must be 0 mm or more.")
    sides = np.linalg.norm(lps_from_texel[:3, :3], axis=0)
    spacing = float(sides.min())
    if slab_mm < spacing * 1.5:
        return Samples(0.0, 0.0, 1)
    slab_mm = min(slab_mm, 2 * float(np.linalg.norm(sides * np.asarray(size))))
    count = max(1, round(slab_mm / spacing))
    return Samples(-(count - 1) / 2 * slab_mm / count, slab_mm / count, count)


def _lengths(points: Array) -> Array:
    return np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])


def _own_up(fine: Array) -> Vector:
    """The direction across the plane that the curve lies in most nearly, pointing to the head, the front or
    the left; of a straight curve the head, or the front if it runs there."""
    middle = fine - fine.mean(axis=0)
    _, sizes, axes = np.linalg.svd(middle, full_matrices=False)
    if sizes[1] < STRAIGHT * sizes[0]:
        return (0.0, 0.0, 1.0) if abs(axes[0][2]) < 0.7 else (0.0, -1.0, 0.0)
    normal = axes[2]
    largest = int(np.abs(normal).argmax())
    preferred = -1.0 if largest == 1 else 1.0
    return _vector(normal if normal[largest] * preferred > 0 else -normal)


def _least_turning(points: Array, along: Array, start: Vector) -> Array:
    """Directions across a curve, the first as near to ``start`` as can be, each turned against the one before
    no more than the curve itself turns."""
    tangents = [_vector(one) for one in along]
    places = [_vector(one) for one in points]
    first = subtract(start, scaled(tangents[0], dot(start, tangents[0])))
    if dot(first, first) < PARALLEL**2:
        other: Vector = (0.0, -1.0, 0.0) if abs(tangents[0][1]) < 0.7 else (1.0, 0.0, 0.0)
        first = subtract(other, scaled(tangents[0], dot(other, tangents[0])))
    found = [unit(first)]
    for n in range(len(places) - 1):
        step = subtract(places[n + 1], places[n])
        size = dot(step, step)
        if size < 1e-18:
            # Where a curve turns back on itself two places may be one.
            found.append(found[-1])
            continue
        mirrored = subtract(found[-1], scaled(step, 2 / size * dot(step, found[-1])))
        tangent = subtract(tangents[n], scaled(step, 2 / size * dot(step, tangents[n])))
        second = subtract(tangents[n + 1], tangent)
        size = dot(second, second)
        if size > 1e-24:
            mirrored = subtract(mirrored, scaled(second, 2 / size * dot(second, mirrored)))
        found.append(unit(mirrored))
    return np.asarray(found)


def _toward(along: Array, up: Vector) -> Array:
    """One direction, as far as it lies across the curve; raises Invalid where it does not."""
    line = np.asarray(unit(up))
    across = line - along * (along @ line)[:, None]
    if (np.linalg.norm(across, axis=1) < PARALLEL).any():
        raise Invalid("The curve runs along curveup somewhere; choose another direction or leave it out.")
    return _units(across)


def _units(vectors: Array) -> Array:
    sizes = np.linalg.norm(vectors, axis=1, keepdims=True)
    # A cusp has no direction: it takes that of its neighbor.
    known = np.flatnonzero(sizes[:, 0] > 1e-12)
    if not len(known):
        raise Invalid("The curve has no direction.")
    nearest = known[np.clip(np.searchsorted(known, np.arange(len(vectors))), 0, len(known) - 1)]
    result: Array = vectors[nearest] / sizes[nearest]
    return result


def _vector(values: npt.ArrayLike) -> Vector:
    x, y, z = (float(one) for one in np.asarray(values))
    return (x, y, z)
