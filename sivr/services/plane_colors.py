"""Planes in color: false color, a marked band of values, and a second series laid over the first."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from sivr.dicom.presentation import palette_table
from sivr.errors import Invalid
from sivr.model.rendering import Coloring
from sivr.services.loading import SeriesLoader
from sivr.services.open_series import OpenSeries

Pixels = npt.NDArray[np.uint8]

OVERLAY_PALETTE = "hot-iron"
CLEAR_LEVELS = 64
"""Below this grey level what lies over fades away, so that where there is nothing nothing is hidden."""


async def overlay_of(loader: SeriesLoader, series: OpenSeries, series_uid: str) -> OpenSeries | None:
    """The series of the same study to be laid over this one; None where none is named.

    Raises NotFound, and Invalid where it has no volume or nothing says how the two lie to each other.
    """
    if not series_uid:
        return None
    over = await loader.open(series.study_uid, series_uid)
    if over.stack.volume is None:
        raise Invalid(over.why_no_volume or "The series to be laid over this one has no volume.")
    if not _frames_of_reference(series) & _frames_of_reference(over):
        raise Invalid(
            "The two series do not share a frame of reference; nothing says how they lie to each other."
        )
    return over


def colored(pixels: Pixels, coloring: Coloring) -> Pixels:
    """A plane as it was drawn, (h, w) or with marks (h, w, 3), in color (h, w, 3) where that is asked for.

    As frames are colored: the palette first, then what is marked takes on half of the band's color, rounded
    up.
    """
    if pixels.ndim == 2:
        return pixels
    levels = pixels[..., 0]
    if coloring.palette:
        found = palette_table(coloring.palette)[levels]
        # What lies outside is no darkest value.
        found[pixels[..., 2] > 0] = 0
    else:
        found = np.repeat(levels[..., None], 3, axis=-1)
    if coloring.band is not None:
        inside = pixels[..., 1] > 0
        color = np.asarray(coloring.band.color, np.uint16)
        found[inside] = ((found[inside] + color + 1) >> 1).astype(np.uint8)
    return found


def fused(below: Pixels, above: Pixels, palette: str, opacity: float) -> Pixels:
    """A plane, (h, w) or in color, with grey levels (h, w) over it in color: (h, w, 3)."""
    colors, rest = _mixture(palette or OVERLAY_PALETTE, opacity)
    under = below[..., None] if below.ndim == 2 else below
    mixed = under * rest[above][..., None] + colors[above]
    pixels: Pixels = (mixed + np.float32(0.5)).astype(np.uint8)
    return pixels


@lru_cache(maxsize=32)
def _mixture(palette: str, opacity: float) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """For each level of what lies over: its color times its opacity (256, 3), and what is left for below."""
    levels = np.arange(256, dtype=np.float32)
    alpha = np.float32(opacity) * np.minimum(levels / CLEAR_LEVELS, 1)
    entries = np.repeat(levels[:, None], 3, axis=1) if palette == "grey" else palette_table(palette)
    colors = np.asarray(entries, np.float32) * alpha[:, None]
    return colors, 1 - alpha


def _frames_of_reference(series: OpenSeries) -> set[str]:
    return {header.frame_of_reference_uid for header in series.headers} - {""}
