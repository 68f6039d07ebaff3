"""Stored values to grey levels: modality LUT, VOI LUT, window, padding, inversion (PS3.3 C.11.1, C.11.2)."""

from __future__ import annotations

import numpy as np

from sivr.model.pixels import FrameDisplay, PixelFormat, Window
from sivr.model.studies import InstanceHeader


def stored_dtype(pixel_format: PixelFormat) -> np.dtype:
    """The type of decoded stored values: (u)int8, (u)int16, (u)int32, float32 or float64."""
    raise NotImplementedError


def modality_values(values: np.ndarray, display: FrameDisplay) -> np.ndarray:
    """Stored to modality values (float32, float64 for wide integers and doubles)."""
    raise NotImplementedError


def render_reference(
    values: np.ndarray, display: FrameDisplay, window: Window | None = None, voi_lut_index: int | None = None
) -> np.ndarray:
    """Stored values (rows, columns) or RGB (rows, columns, 3) to uint8 grey levels, in plain numpy."""
    raise NotImplementedError


def display_table(
    display: FrameDisplay,
    pixel_format: PixelFormat,
    window: Window | None = None,
    voi_lut_index: int | None = None,
) -> np.ndarray:
    """uint8 grey levels for every value of the 8 or 16 bit type; index = value - np.iinfo(dtype).min."""
    raise NotImplementedError


def default_window(header: InstanceHeader, frame: int, values: np.ndarray | None = None) -> Window:
    """The window a frame is first shown with: the file's first, else from a VOI LUT, else from the values."""
    raise NotImplementedError
