"""A decoded frame to 8-bit pixels: modality, window and inversion in one lookup, then region and size."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from sivr.dicom.presentation import colored, display_table, render_reference, stored_dtype
from sivr.errors import Invalid
from sivr.kernels.slices import lookup, resample
from sivr.model.pixels import FrameDisplay, PixelFormat, Window
from sivr.model.rendering import Coloring, Interpolation, Viewport
from sivr.model.studies import InstanceHeader

Array = npt.NDArray[Any]
Pixels = npt.NDArray[np.uint8]

TABLES_KEPT = 128
COLOR_TABLES_KEPT = 32
"""Of 192 KiB each; of those made while a threshold is dragged only the last ones are asked for again."""
PLAIN = Coloring()
_LEAST_REGION = 1 / 64
"""Smallest side of a source region in stored pixels: no screen shows less, and numbers overflow."""


@lru_cache(maxsize=TABLES_KEPT)
def _table(display: FrameDisplay, form: PixelFormat, window: Window | None) -> Pixels:
    """Grey levels of all stored values; 64 KiB for 16 bits."""
    return display_table(display, form, window)


@lru_cache(maxsize=COLOR_TABLES_KEPT)
def _color_table(
    display: FrameDisplay, form: PixelFormat, window: Window | None, invert: bool, coloring: Coloring
) -> Pixels:
    """Red, green and blue of all stored values, by value as unsigned."""
    info = np.iinfo(stored_dtype(form))
    every = np.arange(info.min, info.max + 1).astype(info.dtype)
    levels = _table(display, form, window)
    table = colored(np.bitwise_not(levels) if invert else levels, every, display, coloring)
    return np.roll(table, info.min, axis=0)


def shown(
    header: InstanceHeader,
    number: int,
    values: Array,
    window: Window | None,
    invert: bool,
    coloring: Coloring = PLAIN,
) -> Pixels:
    """Decoded values of frame ``number`` (from 0) as (rows, columns) grey or (rows, columns, 3) RGB.

    ``window`` None means the file's own; windows and ``coloring`` do not act on color. Synchronous, for
    threads.
    """
    form = header.pixel_format
    if form is None:
        raise Invalid(header.not_renderable or "The object has no pixels.")
    return shown_as(form, header.frames[number].display, values, window, invert, coloring)


def shown_as(
    form: PixelFormat,
    display: FrameDisplay,
    values: Array,
    window: Window | None,
    invert: bool,
    coloring: Coloring = PLAIN,
) -> Pixels:
    """As ``shown``, of a frame known by its format and display alone."""
    if values.ndim == 3 or not _has_table(form):
        pixels: Pixels = render_reference(values, display, window)
        if invert:
            pixels = np.bitwise_not(pixels)
        return colored(pixels, values, display, coloring) if coloring and values.ndim == 2 else pixels
    # The memory of a volume may hold them in a wider type than the file.
    values = values.astype(stored_dtype(form), copy=False)
    if coloring:
        table = _color_table(display, form, window, invert, coloring)
        return np.take(table, values.view(f"u{values.itemsize}"), axis=0)
    pixels = np.empty(values.shape, np.uint8)
    lookup(values, _table(display, form, window), pixels)
    return np.bitwise_not(pixels) if invert else pixels


def _has_table(form: PixelFormat) -> bool:
    dtype = stored_dtype(form)
    return dtype.kind in "iu" and dtype.itemsize <= 2 and not form.color


def in_viewport(pixels: Pixels, viewport: Viewport | None, interpolation: Interpolation = "linear") -> Pixels:
    """The source region of the viewport, flipped where it says so, as large as fits (PS3.18 8.3.5.1.3).

    Pixels are taken as square, as the standard's viewport does; where they are not, the viewer stretches.
    """
    if viewport is None:
        return pixels
    rows, columns = pixels.shape[:2]
    x, width = _region("left", viewport.x, viewport.region_width, columns)
    y, height = _region("top", viewport.y, viewport.region_height, rows)
    scale = min(viewport.width / abs(width), viewport.height / abs(height))
    out_width = max(1, min(viewport.width, round(abs(width) * scale)))
    out_height = max(1, min(viewport.height, round(abs(height) * scale)))
    if (out_width, out_height, x, y, width, height) == (columns, rows, 0, 0, columns, rows):
        return pixels
    return resample(pixels, out_width, out_height, x, y, width, height, interpolation)


def _region(side: str, start: float, length: float | None, size: int) -> tuple[float, float]:
    """Start and signed length of the source region along one axis; raises Invalid when it is outside."""
    if start >= size:
        raise Invalid(f"The source region of viewport begins outside the picture ({side}).")
    reach = size - start if length is None else abs(length)
    # What goes beyond the edge is cut off; there is nothing to show there.
    reach = min(reach, size - start)
    if reach < _LEAST_REGION:
        raise Invalid(f"The source region of viewport is smaller than 1/64 of a stored pixel ({side}).")
    return start, -reach if length is not None and length < 0 else reach
