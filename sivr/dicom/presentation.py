"""Stored values to grey levels: modality LUT, VOI LUT, window, padding, inversion (PS3.3 C.11.1, C.11.2).

Plain numpy: the second way to every grey level that the kernels and shaders show.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np

from sivr.dicom.codecs import stored_dtype
from sivr.errors import Invalid
from sivr.model.palettes import palette_entries
from sivr.model.pixels import FrameDisplay, Lut, PixelFormat, Window
from sivr.model.rendering import Coloring
from sivr.model.studies import InstanceHeader

__all__ = [
    "colored",
    "default_window",
    "display_table",
    "lut_values",
    "modality_values",
    "render_reference",
    "stored_dtype",
    "value_range",
    "window_levels",
]

Array = np.ndarray[Any, np.dtype[Any]]

_STATISTICS_SAMPLES = 1 << 16


def lut_values(table: Lut) -> Array:
    """The entries of a table as uint16."""
    return np.frombuffer(table.values, "<u2")


def _looked_up(values: Array, table: Lut) -> Array:
    """Entries for these inputs; beyond the table its first or last entry (C.11.1.1)."""
    entries = lut_values(table)
    return entries[np.clip(np.floor(values).astype(np.int64) - table.first_mapped, 0, entries.size - 1)]


def modality_values(values: Array, display: FrameDisplay) -> Array:
    """Stored values to modality values, e.g. HU (PS3.3 C.11.1): float32, or float64 for wider types."""
    modality = display.modality
    if modality.lut is not None:
        return _looked_up(values, modality.lut).astype(np.float32)
    wide = values.dtype.itemsize > 2 and values.dtype != np.float32
    result = values.astype(np.float64)
    result *= modality.slope
    result += modality.intercept
    return result if wide else result.astype(np.float32)


def window_levels(values: Array, window: Window) -> Array:
    """Modality values to 0..1 (PS3.3 C.11.2.1.2, C.11.2.1.3)."""
    x = values.astype(np.float64, copy=False)
    center, width = window.center, window.width
    if window.function == "sigmoid":
        return np.asarray(1.0 / (1.0 + np.exp(np.clip(-4.0 * (x - center) / width, -700, 700))))
    if window.function == "linear-exact":
        return np.clip((x - center) / width + 0.5, 0.0, 1.0)
    if width <= 1.0:
        return (x > center - 0.5).astype(np.float64)
    return np.clip((x - (center - 0.5)) / (width - 1.0) + 0.5, 0.0, 1.0)


def _grey(values: Array, display: FrameDisplay, window: Window | None, voi_lut_index: int | None) -> Array:
    """Stored values to grey levels before padding: uint8."""
    if voi_lut_index is not None and not 0 <= voi_lut_index < len(display.voi_luts):
        raise Invalid(
            f"The frame has {len(display.voi_luts)} VOI LUTs; there is no number {voi_lut_index + 1}."
        )
    modality = modality_values(values, display)
    if window is None and voi_lut_index is None:
        window = display.windows[0] if display.windows else None
        voi_lut_index = 0 if window is None and display.voi_luts else None
    if voi_lut_index is not None and window is None:
        table = display.voi_luts[voi_lut_index]
        level = _looked_up(modality, table) / ((1 << table.bits) - 1)
    else:
        level = window_levels(modality, window or _full_range(modality))
    level = np.floor(np.clip(np.nan_to_num(level, nan=0.0), 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)
    return 255 - level if display.invert else level


def render_reference(
    values: Array, display: FrameDisplay, window: Window | None = None, voi_lut_index: int | None = None
) -> Array:
    """Stored values (rows, columns) to uint8 grey levels; RGB (rows, columns, 3) to uint8 RGB.

    Without a window or a VOI LUT of the frame asked for, the frame's first window is used, else its first VOI
    LUT, else all its values are shown from least to greatest. Padding is black, also when the rest is
    inverted (PS3.3 C.7.5.1.1.2). Windows do not act on color.
    """
    if values.ndim == 3:
        return values if values.dtype == np.uint8 else (values >> 8).astype(np.uint8)
    level = _grey(values, display, window, voi_lut_index)
    if display.padding is not None:
        level[is_padding(values, display.padding)] = 0
    return level


def colored(levels: Array, values: Array, display: FrameDisplay, coloring: Coloring) -> Array:
    """Grey levels (any shape, uint8) of stored ``values`` in color: uint8, with an axis of 3 more.

    The palette goes first; then what lies in the band takes on half of its color, rounded up. Padding stays
    as black as it is without a palette, and is in no band.
    """
    padding = None if display.padding is None else is_padding(values, display.padding)
    if coloring.palette:
        pixels = palette_table(coloring.palette)[levels]
        if padding is not None:
            pixels[padding] = levels[padding][..., None]
    else:
        pixels = np.repeat(levels[..., None], 3, axis=-1)
    if coloring.band is not None:
        band = coloring.band
        modality = modality_values(values, display)
        inside = (modality >= band.low) & (modality <= band.high)
        if padding is not None:
            inside &= ~padding
        color = np.asarray(band.color, np.uint16)
        pixels[inside] = ((pixels[inside] + color + 1) >> 1).astype(np.uint8)
    return pixels


@cache
def palette_table(name: str) -> Array:
    """A well-known palette as uint8 (256, 3)."""
    return np.asarray(palette_entries(name), np.uint8)


def display_table(
    display: FrameDisplay,
    pixel_format: PixelFormat,
    window: Window | None = None,
    voi_lut_index: int | None = None,
) -> Array:
    """uint8 grey levels of every value of the 8 or 16 bit stored type: one lookup per pixel shows a frame.

    Of 256 or 65536 entries; the index of a value is ``value - np.iinfo(stored_dtype(pixel_format)).min``: the
    value itself when unsigned, value + 128 or value + 32768 when signed. Equal to ``render_reference``.
    Raises Invalid for color, float and 32-bit pixels, which have no table.
    """
    dtype = stored_dtype(pixel_format)
    if pixel_format.color or dtype.kind == "f" or dtype.itemsize > 2:
        raise Invalid("Only grey frames of 8 and 16 bits have a display table.")
    info = np.iinfo(dtype)
    values = np.arange(info.min, info.max + 1).astype(dtype)
    if window is None and voi_lut_index is None and not display.windows and not display.voi_luts:
        window = _range_window(*_format_range(display, pixel_format))
    return render_reference(values, display, window, voi_lut_index)


def _range_window(low: float, high: float) -> Window:
    """The window that shows low as black and high as white."""
    return Window((low + high) / 2, max(high - low, 1e-9, abs(high) * 1e-9), "linear-exact")


def _full_range(modality: Array) -> Window:
    finite = modality[np.isfinite(modality)] if modality.dtype.kind == "f" else modality
    return _range_window(float(finite.min()), float(finite.max())) if finite.size else _range_window(0.0, 1.0)


def _format_range(display: FrameDisplay, pixel_format: PixelFormat) -> tuple[float, float]:
    """Modality values that the stored bits can reach."""
    bits = pixel_format.bits_stored
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if pixel_format.signed else (0, (1 << bits) - 1)
    if display.modality.lut is not None:
        entries = lut_values(display.modality.lut)
        return float(entries.min()), float(entries.max())
    ends = (low * display.modality.slope, high * display.modality.slope)
    return min(ends) + display.modality.intercept, max(ends) + display.modality.intercept


def is_padding(values: Array, padding: tuple[int | float, int | float]) -> Array:
    """Where stored values are no image: within the range, ends included."""
    low, high = padding
    found: Array = (values >= low) & (values <= high)
    return found


def value_range(values: Array, display: FrameDisplay) -> tuple[float, float] | None:
    """Least and greatest modality value of a frame without its padding; None when all is padding or color."""
    if values.ndim != 2:
        return None
    if display.padding is not None:
        values = values[~is_padding(values, display.padding)]
    modality = modality_values(values, display)
    modality = modality[np.isfinite(modality)]
    return (float(modality.min()), float(modality.max())) if modality.size else None


def default_window(header: InstanceHeader, frame: int, values: Array | None = None) -> Window:
    """The window a frame (counted from 0) is first shown with, in modality values.

    The file's first window; else the range of its first VOI LUT (as a window, for the viewer's numbers;
    ``voi_lut_index=0`` shows the LUT itself); else from the ``values`` of the decoded frame, leaving out
    padding and the outermost half percent; else what the stored bits can reach.
    """
    if header.pixel_format is None or not header.frames:
        raise Invalid(header.not_renderable or "The object has no pixels.")
    display = header.frames[frame].display
    pixel_format = header.pixel_format
    if pixel_format.color:
        return Window(128.0, 256.0)
    if display.windows:
        return display.windows[0]
    if display.voi_luts:
        table = display.voi_luts[0]
        return Window(
            table.first_mapped + len(table.values) / 4,
            max(len(table.values) / 2, 1.0),
            "linear",
            table.explanation,
        )
    if pixel_format.bits_stored == 8 and display.modality.lut is None and pixel_format.kind == "integer":
        return _range_window(*_format_range(display, pixel_format))
    if values is not None:
        found = _statistics(values, display)
        if found is not None:
            return found
    if pixel_format.kind == "integer":
        return _range_window(*_format_range(display, pixel_format))
    return Window(0.5, 1.0, "linear-exact")


def _statistics(values: Array, display: FrameDisplay) -> Window | None:
    """From the first to the last half percent of the image's values."""
    if values.ndim != 2:
        return None
    if display.padding is not None:
        values = values[~is_padding(values, display.padding)]
    flat = values.reshape(-1)
    flat = flat[:: max(flat.size // _STATISTICS_SAMPLES, 1)]
    modality = modality_values(flat, display)
    modality = modality[np.isfinite(modality)]
    if not modality.size:
        return None
    low_value, high_value = (float(v) for v in np.percentile(modality, (0.5, 99.5)))
    if math.isclose(low_value, high_value):
        low_value, high_value = float(modality.min()), float(modality.max())
    if high_value - low_value > 4:
        return Window(round((low_value + high_value) / 2), max(round(high_value - low_value), 1))
    return _range_window(low_value, high_value)
