"""How a request wants a volume to look: its transfer function and light, and what is cut away."""

from __future__ import annotations

import msgspec

from sivr.model.parameters import Parameters
from sivr.model.pixels import Window
from sivr.model.rendering import Box, Cut, TransferFunction
from sivr.model.studies import VolumeGrid

ISO_COLOR = (0.93, 0.88, 0.78)
"""Of a surface for which none is named."""


def one_surface(
    value: float, color: tuple[float, float, float], function: TransferFunction
) -> TransferFunction:
    """A function for the surface of one modality value, lit as another one."""
    points = ((value, *color, 0.0), (value + 1.0, *color, 1.0))
    return msgspec.structs.replace(function, name="surface", points=points, relative=False)


def lit(function: TransferFunction, given: Parameters) -> TransferFunction:
    """As the request wants its light and density."""
    if given.light is not None:
        ambient, diffuse, specular = given.light
        function = msgspec.structs.replace(function, ambient=ambient, diffuse=diffuse, specular=specular)
    return msgspec.structs.replace(function, opacity_unit_mm=function.opacity_unit_mm / given.opacity)


def cut_of(given: Parameters, grid: VolumeGrid) -> Cut | None:
    """What a request takes away of a volume."""
    if given.crop is None and not given.clip and not given.cut:
        return None
    box = None if given.crop is None else Box(*given.crop, grid.lps_from_ijk)
    return Cut(box, given.clip, given.cut)


def moved(function: TransferFunction, own: Window, wanted: Window) -> TransferFunction:
    """The transfer function moved as the window was moved from the series' own: brighter, darker, steeper."""
    factor = wanted.width / own.width
    points = tuple(
        ((value - own.center) * factor + wanted.center, red, green, blue, opacity)
        for value, red, green, blue, opacity in function.points
    )
    return msgspec.structs.replace(function, points=points)
