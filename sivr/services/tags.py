"""The elements of stored objects as tables."""

from __future__ import annotations

from functools import partial

from sivr.dicom.tags import read_tags
from sivr.errors import NotFound
from sivr.model.importance import Importance
from sivr.model.tags import TagTable
from sivr.services.loading import SeriesLoader
from sivr.services.open_series import OpenSeries
from sivr.services.pictures import PictureService


class TagService:
    """Reads on the threads that make pictures; keeps nothing, since patients stand in it."""

    def __init__(self, loader: SeriesLoader, pictures: PictureService) -> None:
        self._loader = loader
        self._pictures = pictures

    async def of_instance(self, series: OpenSeries, instance_uid: str, frame: int, *, user: str) -> TagTable:
        """Of an object of the series, also of one without pictures; raises NotFound, Invalid."""
        stored = series.by_uid.get(instance_uid)
        if stored is None:
            raise NotFound("There is no such instance in this series.")
        read = partial(read_tags, frame=frame)
        return await self._pictures.in_thread(
            lambda: self._loader.reader.whole(stored, read), Importance.REFINEMENT, user
        )
