"""Query parameters of volumes that are more than a number: transfer functions, light, what is cut away.

Text in, frozen values out, one sentence (Invalid) for every rule that is broken. Lists end early enough that
an address stays below the 8 KB that servers read.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from itertools import pairwise

from sivr.errors import Invalid
from sivr.model.rendering import (
    MAX_LASSOS,
    MAX_PLANES,
    ClipPlane,
    Lasso,
    TransferFunction,
    Vector,
    Viewpoint,
)

Decimal = Callable[[str, str], float]
"""Reads a decimal number; raises Invalid."""

MAX_POINTS = 32
"""Of a transfer function."""
MAX_CORNERS = 96
"""Of a lasso."""
MAX_FACTOR = 10.0
_COLOR = re.compile(r"[0-9a-fA-F]{6}")
_SCALES = ("absolute", "relative")


def color(name: str, text: str) -> tuple[float, float, float]:
    """``rrggbb`` as 0..1."""
    if not _COLOR.fullmatch(text):
        raise Invalid(f"The parameter {name} needs colors of six hexadecimal digits, rrggbb.")
    red, green, blue = (int(text[n : n + 2], 16) / 255 for n in (0, 2, 4))
    return red, green, blue


def transfer(name: str, text: str, decimal: Decimal) -> TransferFunction:
    """``absolute|relative;value,rrggbb,opacity;...`` with values ascending."""
    scale, *entries = text.split(";")
    if scale not in _SCALES:
        raise Invalid(f"The parameter {name} must begin with absolute; or relative;.")
    if not 2 <= len(entries) <= MAX_POINTS:
        raise Invalid(f"The parameter {name} needs 2 to {MAX_POINTS} points of value,rrggbb,opacity.")
    points = []
    for entry in entries:
        parts = entry.split(",")
        if len(parts) != 3:
            raise Invalid(f"The parameter {name} needs points of value,rrggbb,opacity.")
        value, opacity = decimal(name, parts[0]), decimal(name, parts[2])
        if not 0 <= opacity <= 1:
            raise Invalid(f"The opacities of the parameter {name} must be 0 to 1.")
        points.append((value, *color(name, parts[1]), opacity))
    values = [point[0] for point in points]
    if any(b < a for a, b in pairwise(values)) or values[-1] - values[0] < 1e-6:
        raise Invalid(f"The values of the parameter {name} must ascend.")
    return TransferFunction("", tuple(points), relative=scale == "relative")


def light(name: str, text: str, decimal: Decimal) -> tuple[float, float, float]:
    """``ambient,diffuse,specular``, 0..1 each."""
    parts = [decimal(name, part) for part in text.split(",")]
    if len(parts) != 3 or not all(0 <= part <= 1 for part in parts):
        raise Invalid(f"The parameter {name} needs ambient,diffuse,specular of 0 to 1 each.")
    return parts[0], parts[1], parts[2]


def factor(name: str, text: str, decimal: Decimal) -> float:
    """A factor that is no more than ``MAX_FACTOR`` or less than one over it."""
    value = decimal(name, text)
    if not 1 / MAX_FACTOR <= value <= MAX_FACTOR:
        raise Invalid(f"The parameter {name} must be {1 / MAX_FACTOR:g} to {MAX_FACTOR:g}.")
    return value


def part(name: str, text: str, decimal: Decimal) -> float:
    """0..1."""
    value = decimal(name, text)
    if not 0 <= value <= 1:
        raise Invalid(f"The parameter {name} must be 0 to 1.")
    return value


def crop(name: str, text: str, decimal: Decimal) -> tuple[Vector, Vector]:
    """``i0,i1,j0,j1,k0,k1`` in voxels: what is kept along columns, rows and slices."""
    ends = [decimal(name, one) for one in text.split(",")]
    if len(ends) != 6:
        raise Invalid(f"The parameter {name} needs six decimals, i0,i1,j0,j1,k0,k1, in voxels.")
    if not (ends[0] < ends[1] and ends[2] < ends[3] and ends[4] < ends[5]):
        raise Invalid(f"The parameter {name} must end behind its beginning along each axis.")
    return (ends[0], ends[2], ends[4]), (ends[1], ends[3], ends[5])


def clip(name: str, text: str, decimal: Decimal) -> tuple[ClipPlane, ...]:
    """``x,y,z,nx,ny,nz;...``: points and normals in LPS mm; what normals point to is taken away."""
    entries = text.split(";")
    if len(entries) > MAX_PLANES:
        raise Invalid(f"The parameter {name} takes at most {MAX_PLANES} planes.")
    planes = []
    for entry in entries:
        numbers = [decimal(name, one) for one in entry.split(",")]
        if len(numbers) != 6:
            raise Invalid(
                f"The parameter {name} needs planes of six decimals: a point and a normal in LPS mm."
            )
        point, normal = _vector(numbers[:3]), _vector(numbers[3:])
        if math.hypot(*normal) < 1e-9:
            raise Invalid(f"The normals of the parameter {name} must not be the zero vector.")
        planes.append(ClipPlane(point, normal))
    return tuple(planes)


def cut(name: str, text: str, decimal: Decimal) -> tuple[Lasso, ...]:
    """``inside|outside,position,look_at,up,fov,x1,y1,x2,y2,...;...``: lines over views (three decimals each
    position, look_at and up as of a viewpoint, fov in mm), corners to the right and up from the center in
    heights of the picture; what is seen inside (or outside) is taken away."""
    entries = text.split(";")
    if len(entries) > MAX_LASSOS:
        raise Invalid(f"The parameter {name} takes at most {MAX_LASSOS} lassos.")
    return tuple(_lasso(name, entry, decimal) for entry in entries)


def _lasso(name: str, entry: str, decimal: Decimal) -> Lasso:
    side, *rest = entry.split(",")
    if side not in ("inside", "outside"):
        raise Invalid(f"Every lasso of the parameter {name} must begin with inside or outside.")
    numbers = [decimal(name, one) for one in rest]
    corners = tuple(zip(numbers[10::2], numbers[11::2], strict=False))
    if len(numbers) % 2 or not 3 <= len(corners) <= MAX_CORNERS:
        raise Invalid(
            f"Every lasso of the parameter {name} needs position, look_at, up (three decimals each), fov, "
            f"and 3 to {MAX_CORNERS} corners x,y."
        )
    position, look_at, up = (_vector(numbers[n : n + 3]) for n in (0, 3, 6))
    away = [a - b for a, b in zip(position, look_at, strict=True)]
    across = math.hypot(
        away[1] * up[2] - away[2] * up[1],
        away[2] * up[0] - away[0] * up[2],
        away[0] * up[1] - away[1] * up[0],
    )
    if math.hypot(*away) < 1e-9 or across < 1e-6 * math.hypot(*away) * math.hypot(*up) or not math.hypot(*up):
        raise Invalid(
            f"The view of a lasso of the parameter {name} looks nowhere, or its up is where it looks."
        )
    if not numbers[9] > 0:
        raise Invalid(f"The fov of a lasso of the parameter {name} must be more than 0 mm.")
    if any(abs(one) > 1000 for one in numbers[10:]):
        raise Invalid(f"The corners of a lasso of the parameter {name} lie too far outside of its picture.")
    return Lasso(Viewpoint(position, look_at, up), numbers[9], corners, side == "outside")


def _vector(numbers: list[float]) -> Vector:
    x, y, z = numbers
    return x, y, z
