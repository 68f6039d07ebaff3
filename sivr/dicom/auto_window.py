"""A window from the values in view: robust ends of the histogram, without padding and without air.

The rule, so that a reader can rely on it:

1. Of the region all finite values that are not padding are taken (every n-th of a large region).
2. A histogram of ``BINS`` bins goes from the 0.1st to the 99.9th percentile.
3. Background is left out: when the highest peak of the lowest quarter of the bins holds at least a tenth of
   all values within two bins to either side, and at least a twentieth of all values lies above its end, then
   everything up to its end is background. The end is the first bin above the peak with less than a twentieth
   of the peak's height, or at the latest the end of the lowest quarter.
4. The window is the shortest stretch of values that holds nine tenths of the rest, and a tenth of its length
   more at either end; it is at least one step of values wide.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from sivr.dicom.presentation import is_padding, modality_values
from sivr.errors import Invalid
from sivr.model.pixels import FrameDisplay, Window

Array = np.ndarray[Any, np.dtype[Any]]

BINS = 128
SAMPLES = 1 << 18
_ENDS = (0.1, 99.9)
_SHOWN_SHARE = 0.9
_MARGIN = 0.1
_PEAK_SHARE = 0.1
_REST_SHARE = 0.05
_END_SHARE = 0.05


class WindowHistogram(msgspec.Struct, frozen=True):
    """Counts of values in bins of one width; what lies beyond the ends is in the outermost ones."""

    low: float
    high: float
    counts: tuple[int, ...]


class AutoWindow(msgspec.Struct, frozen=True):
    """A window for what is in view."""

    window: Window
    histogram: WindowHistogram
    least: float
    greatest: float
    """Of the values looked at."""
    background: float | None = None
    """Values up to this one were taken for background; None where there was none."""


def auto_window(
    values: Array, display: FrameDisplay, region: tuple[float, float, float, float]
) -> AutoWindow:
    """The window for a region (left, top, right, bottom; pixels from the corner) of stored ``values``.

    Raises Invalid when the region lies outside of the frame or holds no image, and for color.
    """
    if values.ndim != 2:
        raise Invalid("Windows do not act on color.")
    rows, columns = values.shape
    left, top, right, bottom = region
    first_column, last_column = max(0, int(np.floor(left))), min(columns, int(np.ceil(right)))
    first_row, last_row = max(0, int(np.floor(top))), min(rows, int(np.ceil(bottom)))
    if first_column >= last_column or first_row >= last_row:
        raise Invalid("The region lies outside of the frame.")
    inside = values[first_row:last_row, first_column:last_column].reshape(-1)
    if display.padding is not None:
        inside = inside[~is_padding(inside, display.padding)]
    inside = inside[:: max(1, inside.size // SAMPLES)]
    modality = modality_values(inside, display).astype(np.float64)
    modality = modality[np.isfinite(modality)]
    if not modality.size:
        raise Invalid("There is no image in this region.")
    step = abs(display.modality.slope) if display.modality.lut is None and values.dtype.kind in "iu" else 0.0
    return _window_of(modality, step)


def _window_of(modality: Array, step: float) -> AutoWindow:
    """``step`` is the least distance between two values; 0 where it is not known."""
    low, high = (float(end) for end in np.percentile(modality, _ENDS))
    if high <= low:
        low, high = float(modality.min()), float(modality.max())
    if high <= low:
        high = low + max(step, 1e-6, abs(low) * 1e-6)
    counts, edges = np.histogram(np.clip(modality, low, high), BINS, (low, high))
    background = _background(counts, edges)
    shown = modality if background is None else modality[modality > background]
    first, last = _shortest(np.sort(shown), _SHOWN_SHARE)
    width = max((last - first) * (1 + 2 * _MARGIN), step, (high - low) / BINS)
    center = (first + last) / 2
    if step >= 1:
        # Whole numbers, as readers write windows.
        center, width = float(round(center)), float(max(round(width), 1))
    window = Window(center, width, "linear" if width >= 1 else "linear-exact")
    return AutoWindow(
        window,
        WindowHistogram(low, high, tuple(int(count) for count in counts)),
        float(modality.min()),
        float(modality.max()),
        background,
    )


def _shortest(ascending: Array, share: float) -> tuple[float, float]:
    """Ends of the shortest stretch that holds this share of values, the lowest where several are equal."""
    count = max(int(np.ceil(share * ascending.size)) - 1, 0)
    at = int(np.argmin(ascending[count:] - ascending[: ascending.size - count]))
    return float(ascending[at]), float(ascending[at + count])


def _background(counts: Array, edges: Array) -> float | None:
    total, quarter = int(counts.sum()), BINS // 4
    peak = int(np.argmax(counts[:quarter]))
    if counts[max(0, peak - 2) : peak + 3].sum() < _PEAK_SHARE * total:
        return None
    under = np.flatnonzero(counts[peak:quarter] < _END_SHARE * counts[peak])
    end = peak + int(under[0]) if under.size else quarter
    if counts[end:].sum() < _REST_SHARE * total:
        return None
    return float(edges[end])
