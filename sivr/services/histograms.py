"""How often which values occur in a volume, for the editor of transfer functions."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from sivr.errors import Invalid
from sivr.gl.attach import SharedVoxels
from sivr.gl.source import VolumeSource
from sivr.kernels.volumes import histogram
from sivr.model.importance import Importance
from sivr.services.loading import SeriesLoader
from sivr.services.open_series import OpenSeries
from sivr.services.pictures import PictureService

MAX_BINS = 1024
MOST_VOXELS = 1 << 24
"""Of larger volumes every second (third, ...) slice is counted."""


class HistogramQuery(msgspec.Struct, frozen=True):
    """Which values are counted; without ends, all that occur."""

    bins: int = 256
    low: float | None = None
    high: float | None = None
    draft: Literal["yes", "no"] = "no"
    """What is loaded will do."""


class VolumeHistogram(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of modality values in equal steps from low to high."""

    low: float
    high: float
    counts: tuple[int, ...]
    below: int
    """Voxels whose values are less than low."""
    above: int
    voxels: int
    """Voxels that were looked at, padding left out."""
    complete: bool
    """False while slices are missing, or where means or a part of the slices were counted."""


async def volume_histogram(
    loader: SeriesLoader, pictures: PictureService, series: OpenSeries, query: HistogramQuery, *, session: str
) -> VolumeHistogram:
    """The histogram of a volume, or of what is loaded of it; raises Invalid."""
    if not 2 <= query.bins <= MAX_BINS:
        raise Invalid(f"A histogram has 2 to {MAX_BINS} bins.")
    given = [one for one in (query.low, query.high) if one is not None]
    if not np.isfinite(given).all() or (len(given) == 2 and not given[0] < given[1]):
        raise Invalid("The low end of a histogram must be less than the high end.")
    async with loader.volume(series, coarse=query.draft == "yes") as source:
        return await pictures.in_thread(lambda: count(source, query), Importance.REFINEMENT, session)


def count(source: VolumeSource, query: HistogramQuery) -> VolumeHistogram:
    """The histogram of the ready slices of a source. Blocking."""
    shared = SharedVoxels(source)
    ready = np.flatnonzero(shared.ready)
    step = -(-len(ready) * shared.voxels[0].size // MOST_VOXELS)
    chosen = ready[:: max(1, step)]
    least, most = _ends(shared, chosen, source)
    low = least if query.low is None else query.low
    high = most if query.high is None else query.high
    if not low < high:
        # All values are the same, or the end that was given lies beyond all of them.
        low, high = (low, low + 1.0) if query.high is None else (high - 1.0, high)
    # One bin more on either side takes what lies beyond the ends; the high end itself is inside.
    width = (high - low) / query.bins * (1 + 1e-9)
    first, last = (
        (end - source.intercept) / source.slope for end in (low - width, low + width * (query.bins + 1))
    )
    counts = np.zeros(query.bins + 2, np.int64)
    for k in chosen:
        counts += histogram(_image(shared, k, source), first, last, query.bins + 2)
    return VolumeHistogram(
        low=low,
        high=high,
        counts=tuple(int(one) for one in counts[1:-1]),
        below=int(counts[0]),
        above=int(counts[-1]),
        voxels=int(counts.sum()),
        complete=len(chosen) == len(shared.ready) and source.reduced == (1, 1, 1) and not source.preliminary,
    )


def _image(shared: SharedVoxels, k: int, source: VolumeSource) -> npt.NDArray[Any]:
    """The voxels of a slice that are no padding."""
    voxels: npt.NDArray[Any] = shared.voxels[k]
    if source.padding_value is None:
        return voxels
    found: npt.NDArray[Any] = voxels[voxels != source.padding_value]
    return found


def _ends(shared: SharedVoxels, chosen: npt.NDArray[np.int64], source: VolumeSource) -> tuple[float, float]:
    """The least and the largest modality value of some slices; 0 and 1 where there is none."""
    images = (_image(shared, k, source) for k in chosen)
    ends = [(float(one.min()), float(one.max())) for one in images if one.size]
    if not ends:
        return 0.0, 1.0
    least, most = min(one for one, _ in ends), max(one for _, one in ends)
    a, b = (one * source.slope + source.intercept for one in (least, most))
    return min(a, b), max(a, b)
