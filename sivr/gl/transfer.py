"""Transfer functions as tables: for the shader, and for finding the bricks that show something."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np
import numpy.typing as npt

from sivr.errors import Invalid
from sivr.model.pixels import Window
from sivr.model.presets import preset_for
from sivr.model.rendering import TransferFunction, VolumeView

ENTRIES = 4096


class Table(msgspec.Struct, frozen=True):
    """A transfer function sampled over its range of modality values."""

    colors: npt.NDArray[np.float32]
    """(ENTRIES, 4) red, green, blue, opacity per step of the ray."""
    low: float
    """Modality value of the first entry; lower values look like it."""
    high: float
    """Modality value of the last entry; higher values look like it."""


def placed(function: TransferFunction, window: tuple[float, float]) -> TransferFunction:
    """A relative function in modality values; 0 and 1 fall on the two values given."""
    if not function.relative:
        return function
    low, high = window
    reach = high - low if high > low else 1.0
    points = tuple((low + point[0] * reach, *point[1:]) for point in function.points)
    return msgspec.structs.replace(function, points=points, relative=False)


def function_of(view: VolumeView, typical_range: Callable[[], tuple[float, float]]) -> TransferFunction:
    """The transfer function of a composite, in modality values: relative ones placed on the view's window, or
    on what is typical of the volume; of a surface, everything above its value."""
    function = view.transfer_function or preset_for("", "")
    if view.surface is not None:
        red, green, blue = function.points[-1][1:4]
        value = float(view.surface)
        if function.relative:
            low, high = _ends(view.window, typical_range)
            value = low + value * (high - low)
        points = ((value, red, green, blue, 0.0), (value + max(1.0, abs(value)), red, green, blue, 1.0))
        return msgspec.structs.replace(function, points=points, relative=False)
    return placed(function, _ends(view.window, typical_range)) if function.relative else function


def window_of(
    view: VolumeView,
    typical_range: Callable[[], tuple[float, float]],
    value_range: Callable[[], tuple[float, float]],
) -> Window:
    """The window of a projection: the view's, one over what is typical of the volume, or over all of it."""
    if view.window is not None:
        return view.window
    low, high = value_range()
    if view.span is not None:
        first, last = typical_range()
        low, high = (first + one * (last - first) for one in view.span)
    return Window((low + high) / 2, max(high - low, 1e-6), "linear-exact")


def _ends(window: Window | None, typical_range: Callable[[], tuple[float, float]]) -> tuple[float, float]:
    """What a relative function calls 0 and 1."""
    if window is None:
        return typical_range()
    return window.center - window.width / 2, window.center + window.width / 2


def table_of(function: TransferFunction, step_mm: float) -> Table:
    """Sample a function, opacity corrected for the ray's step: 1 - (1 - a)^(step / unit).

    Raises Invalid unless values ascend and colors and opacities are 0..1.
    """
    values, colors = _points(function)
    low, high = float(values[0]), float(values[-1])
    at = np.linspace(low, high, ENTRIES)
    sampled = np.stack([np.interp(at, values, colors[:, channel]) for channel in range(4)], axis=1)
    opacity = np.minimum(sampled[:, 3], 0.999999)
    sampled[:, 3] = -np.expm1(np.log1p(-opacity) * step_mm / function.opacity_unit_mm)
    return Table(sampled.astype(np.float32), low, high)


def visible_values(function: TransferFunction) -> tuple[npt.NDArray[np.bool_], float, float]:
    """Which modality values have any opacity: (flags, first, step) as ``kernels.bricks.occupied_bricks``
    reads them. The first and last flag stand for everything below and above the function's points."""
    values, colors = _points(function)
    low, high = float(values[0]), float(values[-1])
    step = (high - low) / ENTRIES
    edges = np.linspace(low, high, ENTRIES + 1)
    opacity = np.interp(edges, values, colors[:, 3])
    inside = (opacity[:-1] > 0) | (opacity[1:] > 0)
    marked = np.clip(((values[colors[:, 3] > 0] - low) / step).astype(int), 0, ENTRIES - 1)
    inside[marked] = True
    flags = np.concatenate(([colors[0, 3] > 0], inside, [colors[-1, 3] > 0]))
    return flags, low - step, step


def _points(function: TransferFunction) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    points = np.asarray(function.points, dtype=float)
    if points.ndim != 2 or points.shape[0] < 2 or points.shape[1] != 5 or not np.isfinite(points).all():
        raise Invalid("A transfer function needs at least two points of value, red, green, blue, opacity.")
    values, colors = points[:, 0], points[:, 1:]
    if (np.diff(values) < 0).any() or values[-1] <= values[0]:
        raise Invalid("The values of a transfer function must ascend.")
    if colors.min() < 0 or colors.max() > 1:
        raise Invalid("Colors and opacities of a transfer function must be 0 to 1.")
    if not function.opacity_unit_mm > 0:
        raise Invalid("The opacity unit of a transfer function must be more than 0 mm.")
    return values, colors
