"""Windows for what is in view."""

from __future__ import annotations

from sivr.dicom.auto_window import AutoWindow, auto_window
from sivr.errors import Invalid
from sivr.model.importance import Importance
from sivr.services.loading import SeriesLoader
from sivr.services.open_series import OpenSeries
from sivr.services.pictures import PictureService

Region = tuple[float, float, float, float]


class AutoWindows:
    """Counts on the threads that make pictures; stateless."""

    def __init__(self, loader: SeriesLoader, pictures: PictureService) -> None:
        self._loader = loader
        self._pictures = pictures

    async def of_region(
        self, series: OpenSeries, position: int, region: Region | None, *, user: str
    ) -> AutoWindow:
        """The window for a region (left, top, right, bottom; stored pixels) of the frame at a place in
        reading order, or for all of it; raises Invalid."""
        stored, number = series.header_of(position)
        form = stored.header.pixel_format
        if form is None:
            raise Invalid(stored.header.not_renderable or "The object has no pixels.")
        values = await self._loader.frame(
            series, position, prefetch=False, importance=Importance.INTERACTION, user=user
        )
        display = stored.header.frames[number].display
        whole = (0.0, 0.0, float(form.columns), float(form.rows))
        return await self._pictures.in_thread(
            lambda: auto_window(values, display, region or whole), Importance.INTERACTION, user
        )
