"""A second series laid over the first in color, as PET over CT: found, checked, mixed."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from sivr.errors import Invalid
from sivr.model.palettes import palette_entries
from sivr.services.loading import SeriesLoader
from sivr.services.open_series import OpenSeries

Pixels = npt.NDArray[np.uint8]

PALETTE = "hot-iron"
OPACITY = 0.5
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


def fused(below: Pixels, above: Pixels, palette: str, opacity: float) -> Pixels:
    """Grey levels (h, w) with others over them in color: (h, w, 3)."""
    colors, rest = _mixture(palette or PALETTE, opacity)
    mixed = below[..., None] * rest[above][..., None] + colors[above]
    pixels: Pixels = (mixed + np.float32(0.5)).astype(np.uint8)
    return pixels


@lru_cache(maxsize=32)
def _mixture(palette: str, opacity: float) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """For each level of what lies over: its color times its opacity (256, 3), and what is left for below."""
    levels = np.arange(256, dtype=np.float32)
    alpha = np.float32(opacity) * np.minimum(levels / CLEAR_LEVELS, 1)
    grey = [(level, level, level) for level in range(256)]
    entries = grey if palette == "grey" else palette_entries(palette)
    colors = np.asarray(entries, np.float32) * alpha[:, None]
    return colors, 1 - alpha


def _frames_of_reference(series: OpenSeries) -> set[str]:
    return {header.frame_of_reference_uid for header in series.headers} - {""}
