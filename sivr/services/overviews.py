"""Overviews: the means of a volume's voxels, a few megabytes, kept beside its objects for the first picture.

Made in idle time after a study was taken in, or when all of a volume has been in memory. What an overview
shows is the mean of the stored voxels, block by block, and nothing else; pictures of it are never complete.
It is kept under everything it was made from, so that it is not found any more when the series or the way of
making it changes.
"""

from __future__ import annotations

import hashlib
import logging

import msgspec
import numpy as np
import numpy.typing as npt

from sivr.errors import NotFound, SivrError
from sivr.services.open_series import Array, OpenSeries
from sivr.services.reduction import Means, Shape, reduced_shape, reduction
from sivr.services.segments import Segment
from sivr.store.derived import Derived

log = logging.getLogger("sivr.overviews")

VERSION = 1
MOST_BYTES = 6 * 1024 * 1024
"""Of an overview in memory: voxels four times as long as those of a CT of 555 slices."""
WORTH = 8
"""Volumes that are not so many times larger are as quickly read as an overview of them."""


class Overviews:
    """Overviews among the derived files of a node, within ``budget_bytes``. For threads."""

    def __init__(self, derived: Derived, budget_bytes: int) -> None:
        self._derived = derived
        self._budget_bytes = budget_bytes

    def load(self, series: OpenSeries, segment: Segment) -> bool:
        """Fill a segment of ``factors_of`` the series; False where there is no sound overview of it."""
        try:
            with self._derived.open(series.study_uid, _name(series, segment.factors)) as file:
                voxels = np.empty(segment.shape, segment.dtype)
                if file.size != voxels.nbytes:
                    raise NotFound("The overview is of another size.")
                file.read_into(0, voxels.data.cast("B"))
            for k, image in enumerate(voxels):
                segment.put(k, image)
        except NotFound:
            # Not there, or damaged: then it is made again when all voxels are.
            self._derived.remove(series.study_uid, _name(series, segment.factors))
            return False
        except SivrError as error:
            log.info("no overview", extra={"series": series.series_uid, "reason": error.message})
            return False
        return True

    def exists(self, series: OpenSeries, factors: Shape) -> bool:
        """Whether there is one; it may turn out damaged."""
        try:
            with self._derived.open(series.study_uid, _name(series, factors)):
                return True
        except SivrError:
            return False

    def keep(self, series: OpenSeries, voxels: Array, factors: Shape) -> None:
        """Make and keep the overview of all voxels of a series unless there is one; faults are logged."""
        if self.exists(series, factors):
            return
        scale = series.scale
        assert scale is not None
        self.write(series, overview_of(voxels, factors, scale.padding_value), factors)

    def write(self, series: OpenSeries, means: Array, factors: Shape) -> None:
        """Keep the overview of a series; faults are logged."""
        try:
            self._derived.write(series.study_uid, _name(series, factors), [means.data.cast("B")])
            self._derived.trim(self._budget_bytes)
        except (SivrError, OSError) as error:
            log.warning("no overview is kept", extra={"series": series.series_uid, "reason": str(error)})


def factors_of(series: OpenSeries) -> Shape | None:
    """Voxels of the series that one of its overview is the mean of; None where there is no use for one."""
    grid, scale = series.stack.volume, series.scale
    if grid is None or scale is None:
        return None
    factors = reduction(grid.shape, grid.spacing_mm, scale.dtype, MOST_BYTES)
    return factors if factors is not None and np.prod(factors) >= WORTH else None


def overview_of(voxels: Array, factors: Shape, padding: int | None) -> npt.NDArray[np.generic]:
    """Means over blocks of ``voxels[k, j, i]``, padding left out."""
    deep = factors[0]
    shape = reduced_shape((voxels.shape[0], voxels.shape[1], voxels.shape[2]), factors)
    means = np.empty(shape, voxels.dtype)
    for k in range(shape[0]):
        layer = Means(*shape[1:], factors, padding)
        for image in voxels[k * deep : (k + 1) * deep]:
            layer.add(image)
        means[k] = layer.image(voxels.dtype)
    return means


def _name(series: OpenSeries, factors: Shape) -> str:
    made_from = msgspec.msgpack.encode((series.stack.volume, series.scale, factors))
    geometry = hashlib.sha256(made_from).hexdigest()[:24]
    return f"{series.series_uid}/{series.digest}/{geometry}/overview.{VERSION}"
