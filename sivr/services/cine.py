"""Movies of series: frames in reading order, each made as its picture would be."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from functools import partial

import msgspec
import numpy as np

from sivr.errors import Exhausted, Invalid, NotFound, TooLarge
from sivr.kernels.slices import resample
from sivr.model.importance import Importance
from sivr.model.parameters import Parameters
from sivr.model.rendering import Picture
from sivr.movie import DEFAULT_QUALITY, Movie, movie
from sivr.services.loading import SeriesLoader
from sivr.services.open_series import OpenSeries
from sivr.services.pictures import PictureService, check_size
from sivr.services.slices import Pixels, in_viewport

MAX_FRAMES = 1200
MAX_MOVIE_PIXELS = 1 << 30
"""Of all frames together: 4096 of 512 x 512."""
MAX_MOVIE_BYTES = 256 * 1024 * 1024
AT_ONCE = 2
"""Movies that are made at the same time; so many more may wait."""
WAITING = 6
DEFAULT_FPS = 15.0


class MovieProgress(msgspec.Struct, frozen=True):
    """How far a movie is made."""

    done: int
    total: int


class CineService:
    """Makes movies on the threads that make pictures, frame by frame: others' pictures go in between, and a
    movie that nobody waits for any more ends after the frame at hand."""

    def __init__(self, loader: SeriesLoader, pictures: PictureService, max_pixels: int) -> None:
        self._loader = loader
        self._pictures = pictures
        self._max_pixels = max_pixels
        self._room = asyncio.Semaphore(AT_ONCE)
        self._asked = 0
        self._progress: dict[tuple[str, str], MovieProgress] = {}

    def progress(self, user: str, view: str) -> MovieProgress:
        """Of the movie that this user asked for under this key; 0 of 0 when none is being made."""
        return self._progress.get((user, view)) or MovieProgress(0, 0)

    async def make(self, series: OpenSeries, given: Parameters, media_type: str, *, user: str) -> Picture:
        """A movie of ``given.frames``. Frames that cannot be shown are black, and the answer names them.

        Raises NotFound, Invalid, TooLarge, Exhausted when too many movies are being made.
        """
        positions = _positions(series, given)
        key = (user, given.view)
        if self._asked >= AT_ONCE + WAITING:
            raise Exhausted("Too many movies are being made; please try again soon.", {"retry_after_s": 10})
        self._asked += 1
        try:
            self._note(key, 0, len(positions))
            async with self._room:
                return await self._make(series, positions, given, media_type, user)
        finally:
            self._asked -= 1
            self._progress.pop(key, None)

    def _note(self, key: tuple[str, str], done: int, total: int) -> None:
        if key[1]:
            self._progress[key] = MovieProgress(done, total)

    async def _make(
        self, series: OpenSeries, positions: Sequence[int], given: Parameters, media_type: str, user: str
    ) -> Picture:
        started = time.perf_counter()
        fps = given.fps or series_rate(series) or DEFAULT_FPS
        size = self._size(series, positions[0], given)
        if size[0] * size[1] * len(positions) > MAX_MOVIE_PIXELS:
            raise TooLarge(
                "This movie would be too large; ask for fewer frames or a smaller viewport.",
                {"max_movie_pixels": MAX_MOVIE_PIXELS},
            )
        written = movie(media_type, max(1, round(1000 / fps)), given.quality)
        warnings: list[str] = []
        missing: list[int] = []
        for done, position in enumerate(positions):
            self._note((user, given.view), done, len(positions))
            if not await self._add(written, series, position, size, given, warnings, user):
                missing.append(position + 1)
            if written.size_bytes > MAX_MOVIE_BYTES:
                raise TooLarge("This movie would be too large; ask for fewer frames or a lower quality.")
        if len(missing) == len(positions):
            raise Invalid("None of these frames can be shown.")
        body = await self._pictures.in_thread(written.finish, Importance.PREFETCH, user)
        if missing:
            warnings.append(f"Frames that cannot be shown and are black: {_listed(missing)}.")
        return Picture(
            body, media_type, size[1], size[0], lossless=False, complete=True, kind="movie",
            quality=given.quality or DEFAULT_QUALITY, warnings=tuple(dict.fromkeys(warnings)),
            timing_ms={"render": (time.perf_counter() - started) * 1000},
            importance=Importance.PREFETCH,
        )  # fmt: skip

    async def _add(
        self,
        written: Movie,
        series: OpenSeries,
        position: int,
        size: tuple[int, int],
        given: Parameters,
        warnings: list[str],
        user: str,
    ) -> bool:
        """Whether the frame can be shown; a black one is added where it cannot."""
        stored, number = series.header_of(position)
        try:
            values = await self._loader.frame(
                series, position, prefetch=False, importance=Importance.PREFETCH, user=user
            )
            window = given.window or await self._pictures.window(series, position)
        except (Invalid, NotFound):
            black = np.zeros((*size, 3), np.uint8)
            await self._pictures.in_thread(partial(written.add, black), Importance.PREFETCH, user)
            return False

        def add() -> None:
            pixels = self._pictures.pixels(stored, number, values, window, given, warnings)
            written.add(_fitted(pixels, size, given))

        await self._pictures.in_thread(add, Importance.PREFETCH, user)
        return True

    def _size(self, series: OpenSeries, position: int, given: Parameters) -> tuple[int, int]:
        """Height and width of the movie: of its first frame with square pixels, within the viewport."""
        stored, number = series.header_of(position)
        form = stored.header.pixel_format
        if form is None:
            raise Invalid(stored.header.not_renderable or "The object has no pixels.")
        spacing, ratio = stored.header.frames[number].spacing_mm, stored.header.pixel_aspect
        aspect = spacing[0] / spacing[1] if spacing else ratio[0] / ratio[1]
        height, width = float(form.rows), float(form.columns)
        if given.viewport is not None:
            view = given.viewport
            width = abs(view.region_width or width - view.x)
            height = abs(view.region_height or height - view.y)
        # Nothing that was stored is left out: pixels grow along the side that is too short.
        height, width = (height * aspect, width) if aspect >= 1 else (height, width / aspect)
        scale = 1.0
        if given.viewport is not None:
            scale = min(given.viewport.width / width, given.viewport.height / height)
        found = max(1, round(height * scale)), max(1, round(width * scale))
        check_size(found[0] * found[1], self._max_pixels)
        return found


def series_rate(series: OpenSeries) -> float | None:
    """Frames per second that the first object of a series asks to be shown with."""
    header = series.headers[0]
    if header.cine_rate_hz:
        return header.cine_rate_hz
    return 1000 / header.frame_time_ms if header.frame_time_ms else None


def _positions(series: OpenSeries, given: Parameters) -> Sequence[int]:
    first, last = given.frames or (1, series.total)
    found = range(first - 1, min(last, series.total), given.step)
    if not found:
        raise NotFound(f"This series ends at frame {series.total}.")
    if len(found) > MAX_FRAMES:
        raise Invalid(
            f"A movie has at most {MAX_FRAMES} frames, not {len(found)}; use frames and step.",
            {"max_frames": MAX_FRAMES},
        )
    return found


def _fitted(pixels: Pixels, size: tuple[int, int], given: Parameters) -> Pixels:
    """A picture as large as the movie: its region stretched to square pixels."""
    region = given.viewport
    if region is not None:
        whole = msgspec.structs.replace(
            region,
            width=max(1, round(abs(region.region_width or pixels.shape[1] - region.x))),
            height=max(1, round(abs(region.region_height or pixels.shape[0] - region.y))),
        )
        pixels = in_viewport(pixels, whole, given.interpolation)
    if pixels.shape[:2] == size:
        return pixels
    return resample(pixels, size[1], size[0], interpolation=given.interpolation)


def _listed(numbers: Sequence[int]) -> str:
    told = ", ".join(map(str, numbers[:20]))
    return told if len(numbers) <= 20 else f"{told} and {len(numbers) - 20} more"
