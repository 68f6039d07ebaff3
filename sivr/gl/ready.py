"""A volume as far as its slices are ready: which are shown, and the range of values in every brick."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from sivr.gl.attach import SharedVoxels
from sivr.gl.camera import lps_from_texel
from sivr.gl.source import VolumeSource
from sivr.gl.transfer import visible_values
from sivr.kernels.bricks import (
    brick_ranges,
    distance_field,
    occupied_bricks,
    quick_distance_field,
)
from sivr.kernels.tiles import fits, tile_ranges, tiles_of
from sivr.kernels.volumes import reduce_slice, replace
from sivr.model.rendering import TransferFunction

Array = npt.NDArray[Any]

COARSE = 16
"""Every so many slices make the first picture of a volume, whatever time they take."""


class ReadyVolume:
    """The part of a volume that does not depend on who draws it.

    A missing slice shows the nearest ready one, so that every eighth slice makes a coarse volume.
    """

    def __init__(self, source: VolumeSource, dtype: str, lowest: int, factors: tuple[int, int, int]) -> None:
        self.source = source
        self.dtype = np.dtype(dtype)
        self.lowest = lowest
        self.shared = SharedVoxels(source)
        self.factors = factors
        shape = [-(-n // f) for n, f in zip(source.shape, factors, strict=True)]
        self.shape = (shape[0], shape[1], shape[2])
        self.lps_from_texel = lps_from_texel(source.lps_from_ijk, factors)
        self._seen = np.zeros(source.shape[0], bool)
        self._covered = np.zeros(self.shape[0], np.int64)
        self._shown = np.full(self.shape[0], -1, np.int64)
        given = self.shared.ranges
        self._ranges_given = given is not None and factors == (1, 1, 1) and given.dtype == self.dtype
        if given is not None and self._ranges_given:
            self._low, self._high = given
        else:
            tiles = tiles_of(self.shape)
            self._low, self._high = np.zeros(tiles, self.dtype), np.zeros(tiles, self.dtype)
        self._bricks: tuple[int, Array, Array] | None = None
        self._typical: tuple[int, float, float] | None = None
        self.version = 0
        """Counts changes of what is shown."""

    def _put(self, k: int, image: Array) -> None:
        """Layer k shows this image."""

    def _holds_images(self) -> bool:
        """Whether ``_put`` does anything."""
        return True

    @property
    def reduced(self) -> bool:
        """Whether texels are means of several voxels."""
        return self.factors != (1, 1, 1)

    @property
    def complete(self) -> bool:
        """Whether every slice is shown."""
        return bool(self._seen.all())

    @property
    def slices_ready(self) -> int:
        """How many slices of the source are shown."""
        return int(self._seen.sum())

    def update(self, limit_s: float | None = None, check: Callable[[], None] | None = None) -> int:
        """Upload slices that became ready, spread over the volume first; returns how many.

        Ends after about ``limit_s``, but not before the slices of a coarse volume are there; ``check`` is
        called between slices and may raise Canceled. The rest is left for the next time.
        """
        new = np.flatnonzero((self.shared.ready != 0) & ~self._seen)
        if not len(new):
            return 0
        until = None if limit_s is None else time.perf_counter() + limit_s
        step = self.factors[0]
        done = 0
        coarse = -(-self.shape[0] // COARSE)
        try:
            for k in _spread(np.unique(new // step)):
                if done and check:
                    check()
                if done >= coarse and until is not None and time.perf_counter() > until:
                    break
                mine = new[new // step == k]
                self._seen[mine] = True
                done += len(mine)
                if self._holds_images() or not self._ranges_given:
                    image = self._layer_image(k)
                    if not self._ranges_given:
                        self._low[k], self._high[k] = tile_ranges(image)
                    self._put(k, image)
                self._shown[k] = k
                self._covered[k] = 1
        finally:
            if done:
                self._fill()
                self.version += 1
        return done

    def _layer_image(self, k: int) -> Array:
        """The texels of layer k: stored voxels, or the mean of the ready slices it covers."""
        step = self.factors[0]
        ready = [n for n in range(k * step, min((k + 1) * step, len(self._seen))) if self._seen[n]]
        images = [self._texels(n) for n in ready]
        if len(images) == 1:
            return images[0]
        mean = np.mean(images, axis=0, dtype=np.float64)
        return (mean if self.dtype == np.float32 else np.rint(mean)).astype(self.dtype)

    def _texels(self, n: int) -> Array:
        image = np.ascontiguousarray(self.shared.voxels[n])
        if image.dtype != self.dtype:
            image = image.astype(self.dtype)
        padding = self.source.padding_value
        if padding is not None and padding != self.lowest and fits(padding, image.dtype):
            image = replace(image, padding, self.lowest)
        return reduce_slice(image, self.factors[1], self.factors[2])

    def _fill(self) -> None:
        """Let missing layers show the nearest one that is there."""
        there = np.flatnonzero(self._covered)
        layers = np.arange(self.shape[0])
        after = np.clip(np.searchsorted(there, layers), 0, len(there) - 1)
        before = np.clip(after - 1, 0, len(there) - 1)
        nearest = np.where(
            np.abs(there[after] - layers) <= np.abs(layers - there[before]), there[after], there[before]
        )
        changed = np.flatnonzero((self._covered == 0) & (self._shown != nearest))
        image, of = None, -1
        for k in changed if self._holds_images() else ():
            if image is None or of != nearest[k]:
                of = int(nearest[k])
                image = self._layer_image(of)
            self._put(int(k), image)
        self._shown[:] = nearest

    def brick_ranges(self) -> tuple[Array, Array]:
        """Least and largest voxel of each brick of what is shown at present."""
        if self._bricks is None or self._bricks[0] != self.version:
            low, high = brick_ranges(self._low, self._high, self._shown)
            self._bricks = (self.version, low, high)
        return self._bricks[1], self._bricks[2]

    def value_range(self) -> tuple[float, float]:
        """Least and largest modality value shown, padding left out."""
        low, high = self._low[self._covered > 0], self._high[self._covered > 0]
        if not low.size:
            return 0.0, 1.0
        least, most = float(low.min()), float(high.max())
        if self.source.padding_value is not None and least <= self.lowest:
            image = low[low > self.lowest]
            least = float(image.min()) if image.size else most
        a = least * self.source.slope + self.source.intercept
        b = most * self.source.slope + self.source.intercept
        return min(a, b), max(a, b)

    def typical_range(self) -> tuple[float, float]:
        """Modality values that a relative transfer function calls 0 and 1: the darkest, and one that all
        but the brightest voxels of the body stay below."""
        if self._typical is None or self._typical[0] != self.version:
            low, high = self.value_range()
            self._typical = (self.version, low, self._bright(low, high))
        return self._typical[1], self._typical[2]

    def _bright(self, low: float, high: float) -> float:
        rows, columns = (max(1, n // 128) for n in self.source.shape[1:])
        ready = np.flatnonzero(self._seen)[:: max(1, self.slices_ready // 48)]
        sample = self.shared.voxels[ready, ::rows, ::columns]
        if self.source.padding_value is not None:
            sample = sample[sample != self.source.padding_value]
        values = sample.astype(np.float64) * self.source.slope + self.source.intercept
        # Air is most of the picture and says nothing about the body.
        body = values[values > low + 0.02 * (high - low)]
        return float(np.percentile(body, 99.5)) if body.size else high

    def distances(self, function: TransferFunction, *, quick: bool = False) -> npt.NDArray[np.uint8]:
        """Distance of every brick to the nearest one that this function shows; ``quick`` may say less."""
        low, high = self.brick_ranges()
        flags, first, step = visible_values(function)
        slope, intercept = self.source.slope, self.source.intercept
        if slope < 0:
            flags = flags[::-1]
            first += step * len(flags)
        occupied = occupied_bricks(low, high, flags, (first - intercept) / slope, step / abs(slope))
        return quick_distance_field(occupied) if quick else distance_field(occupied)


def _spread(layers: npt.NDArray[np.int64]) -> list[int]:
    """The same layers, every 16th first, then every 8th, 4th..., so that any beginning covers the volume."""

    def fineness(k: int) -> int:
        return COARSE if k == 0 else min(k & -k, COARSE)

    return sorted((int(k) for k in layers), key=lambda k: -fineness(k))
