"""Orthographic viewpoints in the patient (PS3.18 8.3.5.3): the six sides, axes, edge letters."""

from __future__ import annotations

import math

from sivr.errors import Invalid
from sivr.model.rendering import Orientation, Vector, Viewpoint

SIDES: dict[Orientation, tuple[Vector, Vector]] = {
    "a": ((0.0, -1.0, 0.0), (0.0, 0.0, 1.0)),
    "p": ((0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
    "r": ((-1.0, 0.0, 0.0), (0.0, 0.0, 1.0)),
    "l": ((1.0, 0.0, 0.0), (0.0, 0.0, 1.0)),
    "h": ((0.0, 0.0, 1.0), (0.0, -1.0, 0.0)),
    "f": ((0.0, 0.0, -1.0), (0.0, -1.0, 0.0)),
}
"""On which side of the patient the camera is, and what is up: superior, but anterior for h and f."""

_LETTERS = (("L", "R"), ("P", "A"), ("H", "F"))
"""Positive and negative direction of x, y and z in LPS."""


def viewpoint_for(orientation: Orientation, center: Vector, extent: float) -> Viewpoint:
    """The camera on one side of the patient, looking through ``center`` from ``extent`` mm away."""
    toward, up = SIDES[orientation]
    return Viewpoint(add(center, scaled(toward, extent)), center, up)


def basis(viewpoint: Viewpoint) -> tuple[Vector, Vector, Vector]:
    """Unit vectors to the right, up and toward the viewer of a view, LPS.

    Up is made perpendicular to the viewing direction. Raises Invalid when the camera lies where it looks at
    or up is parallel to where it looks.
    """
    toward = subtract(viewpoint.position, viewpoint.look_at)
    if not math.isfinite(length(toward)) or length(toward) < 1e-9:
        raise Invalid("The viewpoint must not lie where it looks at.")
    toward = unit(toward)
    right = cross(viewpoint.up, toward)
    if not math.isfinite(length(right)) or length(right) < 1e-6 * max(length(viewpoint.up), 1e-9):
        raise Invalid("The up direction must not be parallel to the viewing direction.")
    right = unit(right)
    return right, cross(toward, right), toward


def lps_of_pixel(
    viewpoint: Viewpoint, width: int, height: int, height_mm: float, column: float, row: float
) -> Vector:
    """The point of the plane through look_at that is seen at the center of a pixel (column, row from the top
    left, from 0)."""
    right, up, _ = basis(viewpoint)
    pixel_mm = height_mm / height
    return add(
        viewpoint.look_at,
        add(
            scaled(right, (column - (width - 1) / 2) * pixel_mm),
            scaled(up, ((height - 1) / 2 - row) * pixel_mm),
        ),
    )


def pixel_of_lps(
    viewpoint: Viewpoint, width: int, height: int, height_mm: float, point: Vector
) -> tuple[float, float]:
    """Where a point of the patient is seen: (column, row) from the top left pixel's center."""
    right, up, _ = basis(viewpoint)
    pixel_mm = height_mm / height
    away = subtract(point, viewpoint.look_at)
    return (
        dot(away, right) / pixel_mm + (width - 1) / 2,
        (height - 1) / 2 - dot(away, up) / pixel_mm,
    )


def edge_letters(viewpoint: Viewpoint) -> dict[str, str]:
    """Orientation letters at the left, right, top and bottom of a view, the main direction first (PS3.3
    C.7.6.1.1.1): ``{"left": "R", "right": "L", "top": "H", "bottom": "F"}`` from the front."""
    right, up, _ = basis(viewpoint)
    return {
        "left": letters(scaled(right, -1.0)),
        "right": letters(right),
        "top": letters(up),
        "bottom": letters(scaled(up, -1.0)),
    }


def letters(direction: Vector) -> str:
    """Up to three of L R P A H F, largest component first; components under a tenth are left out."""
    size = length(direction)
    if size < 1e-9:
        return ""
    parts = sorted(((abs(value) / size, axis, value) for axis, value in enumerate(direction)), reverse=True)
    return "".join(_LETTERS[axis][0 if value > 0 else 1] for part, axis, value in parts if part > 0.1)


def turned(viewpoint: Viewpoint, right_rad: float, up_rad: float) -> Viewpoint:
    """The view after the body was turned under the finger: to the right about up, upward about right."""
    right, up, toward = basis(viewpoint)
    distance = length(subtract(viewpoint.position, viewpoint.look_at))
    toward, right = rotated(toward, up, -right_rad), rotated(right, up, -right_rad)
    toward, up = rotated(toward, right, up_rad), rotated(up, right, up_rad)
    return Viewpoint(add(viewpoint.look_at, scaled(toward, distance)), viewpoint.look_at, up)


def rotated(vector: Vector, axis: Vector, angle_rad: float) -> Vector:
    """A vector turned about a unit axis, counterclockwise seen from the axis' tip."""
    cos, sin = math.cos(angle_rad), math.sin(angle_rad)
    return add(
        add(scaled(vector, cos), scaled(cross(axis, vector), sin)),
        scaled(axis, dot(axis, vector) * (1 - cos)),
    )


def add(a: Vector, b: Vector) -> Vector:
    """a + b."""
    return (a[0] + b[0], a[1] + b[1], a[2] + b[2])


def subtract(a: Vector, b: Vector) -> Vector:
    """a - b."""
    return (a[0] - b[0], a[1] - b[1], a[2] - b[2])


def scaled(a: Vector, factor: float) -> Vector:
    """a * factor."""
    return (a[0] * factor, a[1] * factor, a[2] * factor)


def dot(a: Vector, b: Vector) -> float:
    """Scalar product."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def cross(a: Vector, b: Vector) -> Vector:
    """Vector product."""
    return (a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0])


def length(a: Vector) -> float:
    """Euclidean length."""
    return math.sqrt(dot(a, a))


def unit(a: Vector) -> Vector:
    """a at length 1."""
    return scaled(a, 1 / length(a))
