"""Lines along which planes are curved: asked for by a request, and told to a viewer that draws on them."""

from __future__ import annotations

import asyncio

import msgspec
import numpy as np
import numpy.typing as npt

from sivr.gl.curves import Path, path_of
from sivr.model.parameters import Parameters
from sivr.model.rendering import Curve, Vector

MOST_PLACES = 256
"""Places of a curve that a viewer is told of."""


class CurvePlace(msgspec.Struct, frozen=True):
    """What is seen in one column of a curved picture."""

    at_mm: float
    """From the left end of the curve along the picture."""
    center: Vector
    """LPS mm of the picture's middle row."""
    up: Vector
    """Unit vector up in the picture."""
    curve_mm: float
    """How far above the middle row the curve lies."""


class CurveContents(msgspec.Struct, frozen=True):
    """A curve as its pictures show it: its middle is theirs, unless ``pan`` says otherwise."""

    length_mm: float
    """Of the picture's part that shows the curve."""
    curve_mm: float
    """Of the curve in the patient: the same where it is straightened."""
    points_mm: tuple[float, ...]
    """Where along the picture each given point is seen."""
    places: tuple[CurvePlace, ...]


def curve_of(given: Parameters) -> Curve | None:
    """The curve that a plane follows, if one is asked for."""
    if not given.curve:
        return None
    form, turn = given.curveform or "straightened", given.curveturn or 0.0
    return Curve(given.curve, form, given.curveup, turn, given.pan)


async def length_of(curve: Curve) -> float:
    """Length of the picture's part that shows the curve, mm; raises Invalid."""
    return (await asyncio.to_thread(path_of, curve)).length_mm


async def describe(curve: Curve) -> CurveContents:
    """The way along a curve; raises Invalid where it cannot be drawn."""
    return await asyncio.to_thread(lambda: _described(path_of(curve)))


def _described(path: Path) -> CurveContents:
    count = min(MOST_PLACES, len(path.at_mm))
    at_mm = np.linspace(0, path.length_mm, count)
    center, _, up = path.at(at_mm)
    offset = np.interp(at_mm, path.at_mm, path.offset_mm)
    places = tuple(
        CurvePlace(round(float(one), 4), _vector(middle), _vector(across), round(float(above), 4))
        for one, middle, across, above in zip(at_mm, center, up, offset, strict=True)
    )
    return CurveContents(path.length_mm, path.curve_mm, path.knots_mm, places)


def _vector(values: npt.NDArray[np.float64]) -> Vector:
    x, y, z = (round(float(one), 6) for one in values)
    return (x, y, z)
