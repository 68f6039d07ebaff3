"""Modality values of a volume at points of the patient: for probes and crosshairs."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from sivr.gl.attach import SharedVoxels
from sivr.gl.source import VolumeSource
from sivr.model.rendering import Vector
from sivr.services.contents import first_renderable
from sivr.services.loading import SeriesLoader
from sivr.services.open_series import OpenSeries


class PointValue(msgspec.Struct, frozen=True):
    """What a volume holds at one point."""

    inside: bool
    """Whether the point lies in the volume; half a voxel beyond the outermost centers still does."""
    value: float | None = None
    """Interpolated between the eight voxels around it, padding left out; null where there is no image."""
    nearest: float | None = None
    """Of the voxel that the point lies in."""
    voxel: tuple[int, int, int] | None = None
    """Column, row and slice of that voxel, from 0."""


class SeriesValues(msgspec.Struct, frozen=True):
    """Values of one series at the points asked for, in their order."""

    series_uid: str
    units: str
    """What the object says, e.g. HU; empty where it says nothing."""
    suv_bw: float | None
    """Of PET: a value times this is SUV by body weight, g/ml; null where the object does not tell enough."""
    reduced: bool
    """Whether the server holds means of voxels only: values are means then."""
    points: tuple[PointValue, ...]


class PointValues(msgspec.Struct, frozen=True):
    """Values of the series, then of the one laid over it."""

    items: tuple[SeriesValues, ...]


class ValueService:
    """Reads single values out of volumes in memory."""

    def __init__(self, loader: SeriesLoader) -> None:
        self._loader = loader

    async def at(self, series: OpenSeries, points: Sequence[Vector]) -> SeriesValues:
        """Values at points, LPS mm; waits for the volume. Raises Invalid where there is none, Exhausted."""
        async with self._loader.volume(series, coarse=False) as source:
            found = await asyncio.to_thread(values_at, source, points)
        units, suv_bw = _units(series)
        return SeriesValues(series.series_uid, units, suv_bw, source.reduced != (1, 1, 1), found)


def values_at(source: VolumeSource, points: Sequence[Vector]) -> tuple[PointValue, ...]:
    """What a volume holds at points, LPS mm. Synchronous, for threads."""
    voxels = SharedVoxels(source).voxels
    ijk_from_lps = np.linalg.inv(np.asarray(source.lps_from_ijk, np.float64))
    return tuple(_value(voxels, source, (ijk_from_lps @ [*point, 1.0])[:3]) for point in points)


def _value(voxels: npt.NDArray[Any], source: VolumeSource, at: npt.NDArray[np.float64]) -> PointValue:
    size = np.array(voxels.shape[::-1])
    if (at < -0.5).any() or (at > size - 0.5).any():
        return PointValue(inside=False)
    i, j, k = (int(one) for one in np.clip(np.floor(at + 0.5), 0, size - 1))
    voxel = (i, j, k)
    own = float(voxels[k, j, i])
    if source.padding_value is not None and own == source.padding_value:
        return PointValue(inside=True, voxel=voxel)
    at = np.clip(at, 0, size - 1)
    first = np.minimum(np.floor(at), np.maximum(size - 2, 0)).astype(int)
    part = at - first
    total = weights = 0.0
    for corner in itertools.product((0, 1), repeat=3):
        weight = float(np.prod([part[n] if corner[n] else 1 - part[n] for n in range(3)]))
        if weight:
            a, b, c = (int(first[n]) + corner[n] for n in range(3))
            one = float(voxels[c, b, a])
            if source.padding_value is None or one != source.padding_value:
                total, weights = total + weight * one, weights + weight
    return PointValue(
        inside=True,
        value=round(total / weights * source.slope + source.intercept, 6),
        nearest=round(own * source.slope + source.intercept, 6),
        voxel=voxel,
    )


def _units(series: OpenSeries) -> tuple[str, float | None]:
    """The unit of modality values, and the factor to SUV."""
    position = first_renderable(series)
    if position is None:
        return "", None
    stored, number = series.header_of(position)
    suv = stored.header.suv
    return stored.header.frames[number].display.modality.units, suv.bw if suv is not None else None
