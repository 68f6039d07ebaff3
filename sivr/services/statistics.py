"""Values within a shape on a frame, counted from what is stored, never from what is shown."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sivr.dicom.presentation import is_padding, modality_values
from sivr.errors import Invalid
from sivr.model.importance import Importance
from sivr.model.shapes import Point, Shape, area, check_shape, mask, perimeter
from sivr.model.statistics import Figures, Histogram, Statistics
from sivr.model.studies import InstanceHeader
from sivr.services.contents import spacing_at
from sivr.services.loading import SeriesLoader
from sivr.services.open_series import Array, OpenSeries
from sivr.services.pictures import PictureService

MAX_BINS = 1024


class StatisticsService:
    """Counts on the threads that make pictures; stateless."""

    def __init__(self, loader: SeriesLoader, pictures: PictureService) -> None:
        self._loader = loader
        self._pictures = pictures

    async def of_shape(
        self,
        series: OpenSeries,
        position: int,
        shape: Shape,
        points: Sequence[Point],
        bins: int,
        *,
        user: str,
    ) -> Statistics:
        """Figures of what a shape holds of the frame at a place in reading order; raises Invalid."""
        check_shape(shape, points)
        stored, number = series.header_of(position)
        values = await self._loader.frame(
            series, position, prefetch=False, importance=Importance.INTERACTION, user=user
        )
        return await self._pictures.in_thread(
            lambda: statistics_of(stored.header, number, values, shape, points, bins),
            Importance.INTERACTION,
            user,
        )


def statistics_of(
    header: InstanceHeader, number: int, values: Array, shape: Shape, points: Sequence[Point], bins: int
) -> Statistics:
    """Figures of decoded values (rows, columns) of frame ``number`` (from 0). Blocking; raises Invalid."""
    spacing = spacing_at(header, number, points)
    step = (spacing.step_x, spacing.step_y)
    rows, columns = values.shape[:2]
    down, across, inside = mask(shape, points, rows, columns, step)
    color = None
    stored = values[down, across]
    if stored.ndim == 3:
        if shape != "point":
            raise Invalid("The frame is in color: only single pixels have values.")
        found = stored[inside]
        if found.size:
            eight = found[0] if found.dtype == np.uint8 else found[0] >> 8
            color = (int(eight[0]), int(eight[1]), int(eight[2]))
        chosen = np.empty(0)
        total = 0
    else:
        chosen, total = _counted(header, number, stored[inside])
    display = header.frames[number].display
    figures: tuple[Figures, ...] = ()
    histogram = None
    if chosen.size:
        own = _figures(chosen, display.modality.units)
        suv = header.suv.bw if header.suv is not None else None
        figures = (own,) if suv is None else (own, _scaled(own, suv))
        if bins and shape != "point":
            counts, edges = np.histogram(chosen, bins=bins)
            histogram = Histogram(float(edges[0]), float(edges[-1]), tuple(counts.tolist()))
    unit = spacing.unit
    return Statistics(
        shape=shape,
        count=int(chosen.size),
        excluded=total - int(chosen.size),
        figures=figures,
        histogram=histogram,
        color=color,
        area=area(shape, points, step) if unit else 0.0,
        area_unit=f"{unit}2" if unit else "",
        perimeter=perimeter(shape, points, step) if unit else 0.0,
        perimeter_unit=unit,
        origin=spacing.origin,
        points=tuple(points),
    )


def _counted(header: InstanceHeader, number: int, stored: Array) -> tuple[Array, int]:
    """Modality values in float64 without padding and without what is no number, and how many there were."""
    display = header.frames[number].display
    total = int(stored.size)
    if display.padding is not None:
        stored = stored[~is_padding(stored, display.padding)]
    if display.modality.lut is None:
        stored = stored.astype(np.float64)
    found = modality_values(stored, display).astype(np.float64)
    return found[np.isfinite(found)], total


def _figures(values: Array, unit: str) -> Figures:
    return Figures(
        unit=unit,
        mean=float(values.mean()),
        sd=float(values.std()),
        min=float(values.min()),
        max=float(values.max()),
    )


def _scaled(figures: Figures, factor: float) -> Figures:
    """The same in SUV; the factor is above zero, so that the least stays the least."""
    return Figures(
        "SUVbw", figures.mean * factor, figures.sd * factor, figures.min * factor, figures.max * factor
    )
