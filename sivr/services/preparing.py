"""Overviews made ahead: while nobody waits for anything, of the studies that came last.

Then the first volume picture of a study is a small file away, although nobody has looked at it before. What
is not made here (the node was stopped, its disk was full) is made when somebody first looks at the volume.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import OrderedDict
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from sivr.errors import SivrError
from sivr.services.contents import StudySource
from sivr.services.frame_reading import FrameReader
from sivr.services.loading import HeaderSource
from sivr.services.open_series import Array, OpenSeries
from sivr.services.overviews import Overviews, factors_of
from sivr.services.reduction import Means, Shape, reduced_shape
from sivr.services.workload import Workload

log = logging.getLogger("sivr.preparing")

SETTLED_S = 5.0
"""How long after its last object a study is taken to be all there."""
PATIENCE_S = 0.5
"""How long each layer of an overview waits for people who want pictures."""
MOST_WAITING = 10_000
RECENT = 50
"""Studies to look through after a start, which may have come just before it."""


class Source(HeaderSource, StudySource, Protocol):
    """What imaging asks the index: headers of series, series of studies, and which studies are new."""

    async def recent(self, most: int) -> Sequence[str]:
        """The studies that changed last, the newest first."""


class Preparer:
    """One task, ``run``; on the event loop, reading and adding in a thread, one layer at a time."""

    def __init__(self, source: Source, reader: FrameReader, overviews: Overviews, workload: Workload) -> None:
        self._source = source
        self._reader = reader
        self._overviews = overviews
        self._workload = workload
        self._waiting: OrderedDict[str, float] = OrderedDict()
        self._wake = asyncio.Event()
        self.made = 0
        """Overviews made since the start."""

    def indexed(self, study_uid: str) -> None:
        """Objects of this study were indexed just now."""
        self._waiting[study_uid] = time.monotonic() + SETTLED_S
        self._waiting.move_to_end(study_uid)
        while len(self._waiting) > MOST_WAITING:
            self._waiting.popitem(last=False)
        self._wake.set()

    async def run(self) -> None:
        """Prepare studies until canceled."""
        try:
            for study_uid in reversed(await self._source.recent(RECENT)):
                self._waiting.setdefault(study_uid, time.monotonic())
        except SivrError as error:
            log.info("not prepared", extra={"reason": error.message})
        while True:
            if not self._waiting:
                self._wake.clear()
                await self._wake.wait()
            study_uid, due = next(iter(self._waiting.items()))
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            if self._waiting.get(study_uid, math.inf) > time.monotonic():
                # More of it came meanwhile, or so much else that it is not remembered.
                continue
            del self._waiting[study_uid]
            try:
                await self.study(study_uid)
            except SivrError as error:
                log.info("not prepared", extra={"study": study_uid, "reason": error.message})
            except Exception:
                # The next study may be sound.
                log.exception("preparing", extra={"study": study_uid})

    async def study(self, study_uid: str) -> None:
        """Make the overviews of a study that are missing."""
        if await self._source.indexing(study_uid):
            # More will be indexed, and said to be.
            return
        for series_uid in await self._source.series_uids(study_uid):
            await self._workload.quiet(PATIENCE_S)
            _, stored = await self._source.opened(study_uid, series_uid)
            series = await asyncio.to_thread(OpenSeries, study_uid, series_uid, stored)
            factors = factors_of(series)
            if factors is None or await asyncio.to_thread(self._overviews.exists, series, factors):
                continue
            means = await self._means(series, factors)
            if means is not None:
                await asyncio.to_thread(self._overviews.write, series, means, factors)
                self.made += 1

    async def _means(self, series: OpenSeries, factors: Shape) -> Array | None:
        """Means of all voxels; None where not all can be read, or only by holding an object whole."""
        grid, scale = series.stack.volume, series.scale
        assert grid is not None and scale is not None
        if not series.one_by_one:
            return None
        shape = reduced_shape(grid.shape, factors)
        means = np.empty(shape, scale.dtype)

        def fill(k: int) -> bool:
            layer = Means(*shape[1:], factors, scale.padding_value)
            for n in range(k * factors[0], min((k + 1) * factors[0], grid.shape[0])):
                _, voxels = self._reader.slice_voxels(series, n, scale)
                if voxels is None:
                    return False
                layer.add(voxels)
            means[k] = layer.image(means.dtype)
            return True

        for k in range(shape[0]):
            await self._workload.quiet(PATIENCE_S)
            if not await asyncio.to_thread(fill, k):
                return None
        return means
