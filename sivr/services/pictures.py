"""Pictures of frames: decoded once for everybody, windowed, scaled and encoded for each who asks."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from types import TracebackType
from typing import TypeVar

import msgspec

from sivr import codec
from sivr.errors import Invalid, NotFound, TooLarge
from sivr.model.importance import Importance
from sivr.model.parameters import Parameters
from sivr.model.pixels import Window
from sivr.model.rendering import PARTS, Picture, Viewport
from sivr.services import slices
from sivr.services.burned_text import burned_in, technique
from sivr.services.contents import default_window_of, first_renderable
from sivr.services.drawings import Drawings
from sivr.services.kept_pictures import KeptPictures
from sivr.services.loading import SeriesLoader
from sivr.services.newest import Newest
from sivr.services.open_series import Array, OpenSeries
from sivr.services.picture_threads import PictureThreads
from sivr.services.slice_processes import SliceProcesses
from sivr.services.workload import Workload
from sivr.store.index import StoredInstance

T = TypeVar("T")

TAG_VERSION = "2"
"""Changes when the same request gives other pixels than before, so that caches let go of the old ones."""
THUMBNAIL_SIDE = 160
THUMBNAIL_QUALITY = 80
THUMBNAILS_KEPT_BYTES = 32 * 1024 * 1024
QUEUE_LIMIT = 256


class PictureService:
    """Makes pictures of frames, an async context manager. Stateless for the caller: all is in the request."""

    def __init__(
        self,
        loader: SeriesLoader,
        *,
        threads: int = 2,
        max_pixels: int = 16_777_216,
        processes: SliceProcesses | None = None,
        workload: Workload | None = None,
    ) -> None:
        self.workload = workload or Workload()
        self._loader = loader
        self._processes = processes
        self._drawings = Drawings(loader.reader)
        self._max_pixels = max_pixels
        self.threads = PictureThreads(threads, QUEUE_LIMIT)
        self._newest = Newest()
        self._thumbnails = KeptPictures(THUMBNAILS_KEPT_BYTES)

    async def __aenter__(self) -> PictureService:
        await self.threads.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.threads.__aexit__(kind, error, trace)

    async def in_thread(
        self, work: Callable[[], T], importance: Importance = Importance.REFINEMENT, user: str = ""
    ) -> T:
        """Run CPU work in one of the picture threads; raises Exhausted when too much is waiting."""
        return await self.threads.run(work, importance, user)

    def frame_tag(self, series: OpenSeries, position: int, given: Parameters, media_type: str) -> str:
        """The ETag of a picture: the same for the same pixels, known before anything is decoded."""
        stored, number = series.header_of(position)
        own = given.window is not None or _says_how(stored, number)
        return _frame_tag(stored, number, "" if own else series.digest, given, media_type)

    async def glance(
        self,
        study_uid: str,
        series_uid: str,
        instance_uid: str,
        frame: int,
        given: Parameters,
        media_type: str,
    ) -> tuple[Picture, str] | None:
        """The first picture of a series nobody has opened yet, and its ETag; the series is opened behind it.

        Made from this one object alone, so that it does not wait for the order of all the others. None where
        that cannot be done: the usual way will do, or say what is wrong.
        """
        if given.annotation:
            return None
        started = time.perf_counter()
        found = await self._loader.glance(study_uid, series_uid, instance_uid, frame)
        if found is None:
            return None
        stored, values = found
        number = frame - 1
        if given.window is None and not _says_how(stored, number):
            return None
        self._check_size(stored, given.viewport)
        timing = dict.fromkeys(PARTS, 0.0)
        timing["load"] = (time.perf_counter() - started) * 1000
        work = partial(
            self._make, stored, number, values, given.window, given, media_type, (), timing, started
        )
        picture = await self.in_thread(work, Importance.INTERACTION)
        return picture, _frame_tag(stored, number, "", given, media_type)

    async def frame(
        self, series: OpenSeries, position: int, given: Parameters, media_type: str, *, session: str
    ) -> Picture:
        """A picture of one frame (PS3.18 8.3.5.1); raises what goes wrong with this frame alone."""
        self._check_size(series.header_of(position)[0], given.viewport)
        key = (session, given.view) if given.view else None
        importance = importance_of(given)
        with self.workload.of(importance):
            return await self._newest.run(
                key, lambda: self._frame(series, position, given, media_type, importance, session)
            )

    def _check_size(self, stored: StoredInstance, viewport: Viewport | None) -> None:
        form = stored.header.pixel_format
        if viewport is not None:
            check_size(viewport.width * viewport.height, self._max_pixels)
        elif form is not None and form.rows * form.columns > self._max_pixels:
            raise TooLarge(
                f"The frame has {form.columns} x {form.rows} pixels; ask for a smaller viewport.",
                {"max_pixels": self._max_pixels},
            )

    async def _frame(
        self,
        series: OpenSeries,
        position: int,
        given: Parameters,
        media_type: str,
        importance: Importance,
        user: str,
    ) -> Picture:
        started = time.perf_counter()
        timing = dict.fromkeys(PARTS, 0.0)
        values = await self._loader.frame(
            series, position, importance=importance, user=user, timing_ms=timing
        )
        stored, number = series.header_of(position)
        window = given.window or await self.window(series, position)
        lines: tuple[str, ...] = ()
        if "technique" in given.annotation:
            own = stored.header.frames[number].display.windows
            used = window or (own[0] if own else None)
            lines = technique(stored.header, position + 1, series.total, used)
        asked = time.perf_counter()
        timing["load"] = (asked - started) * 1000 - timing["queue"] - timing["decode"]
        drawn = self._drawings.known(stored)
        if self._processes is not None and not lines and drawn is not None and not drawn:
            k = series.slice_of_frame.get(position, -1)
            segment = series.segment
            if k < 0 or segment is None or not segment.ready[k]:
                segment = None
            made = await self._processes.make(
                stored.header, number, values, segment, k, window, given, media_type
            )
            if made is not None:
                timing["queue"] += made.timing_ms.pop("queue", 0.0)
                return _picture(
                    made.body, made.width, made.height, made.color, given, media_type,
                    timing | made.timing_ms,
                )  # fmt: skip
        work = partial(self._make, stored, number, values, window, given, media_type, lines, timing, asked)
        return await self.in_thread(work, importance, user)

    def _make(
        self,
        stored: StoredInstance,
        number: int,
        values: Array,
        window: Window | None,
        given: Parameters,
        media_type: str,
        lines: Sequence[str],
        timing: dict[str, float],
        asked: float,
    ) -> Picture:
        """Decoded values to an encoded picture, in a thread."""
        begun = time.perf_counter()
        warnings: list[str] = []
        pixels = self.pixels(stored, number, values, window, given, warnings)
        pixels = slices.in_viewport(pixels, given.viewport, given.interpolation)
        if lines:
            pixels = burned_in(pixels, lines)
        rendered = time.perf_counter()
        body = codec.encode(pixels, media_type, given.quality)
        encoded = time.perf_counter()
        timing["queue"] += (begun - asked) * 1000
        timing["render"] = (rendered - begun) * 1000
        timing["encode"] = (encoded - rendered) * 1000
        height, width = pixels.shape[:2]
        return _picture(body, width, height, pixels.ndim == 3, given, media_type, timing, tuple(warnings))

    def pixels(
        self,
        stored: StoredInstance,
        number: int,
        values: Array,
        window: Window | None,
        given: Parameters,
        warnings: list[str],
    ) -> slices.Pixels:
        """Frame ``number`` (from 0) as stored, (rows, columns) grey or (rows, columns, 3), with all that
        the object wants drawn over it; in a thread. What goes wrong there is added to ``warnings``."""
        pixels = slices.shown(stored.header, number, values, window, given.invert, given.coloring)
        return self._drawings.over(pixels, stored, number, values, given, warnings)

    async def window(self, series: OpenSeries, position: int) -> Window | None:
        """None where the file says how to show the frame, else the window of the whole series."""
        if _says_how(*series.header_of(position)):
            return None
        return await default_window_of(self._loader, series)

    async def thumbnail(
        self, series: OpenSeries, position: int | None, given: Parameters, media_type: str
    ) -> Picture:
        """A small picture without any text; of the middle frame when no position is given."""
        position = first_renderable(series) if position is None else position
        if position is None:
            raise NotFound("There is nothing to show of this series.")
        viewport = Viewport(THUMBNAIL_SIDE, THUMBNAIL_SIDE)
        if given.viewport is not None:
            check_size(given.viewport.width * given.viewport.height, self._max_pixels)
            viewport = Viewport(given.viewport.width, given.viewport.height)
        key = self.thumbnail_tag(series, position, given, media_type)
        found = self._thumbnails.get(key)
        if found is not None:
            return found
        stored, number = series.header_of(position)
        started = time.perf_counter()
        timing = dict.fromkeys(PARTS, 0.0)
        values = await self._loader.frame(series, position, prefetch=False, timing_ms=timing)
        window = await self.window(series, position)
        asked = time.perf_counter()
        timing["load"] = (asked - started) * 1000 - timing["queue"] - timing["decode"]

        def make() -> Picture:
            begun = time.perf_counter()
            pixels = slices.shown(stored.header, number, values, window, invert=False)
            pixels = slices.in_viewport(pixels, viewport)
            rendered = time.perf_counter()
            body = codec.encode(pixels, media_type, given.quality or THUMBNAIL_QUALITY)
            timing["queue"] += (begun - asked) * 1000
            timing["render"] = (rendered - begun) * 1000
            timing["encode"] = (time.perf_counter() - rendered) * 1000
            height, width = pixels.shape[:2]
            return Picture(
                body, media_type, width, height, lossless=False, complete=True, timing_ms=timing,
                kind="thumbnail",
            )  # fmt: skip

        picture = await self.in_thread(make)
        self._thumbnails.put(key, picture)
        return picture

    def thumbnail_tag(
        self, series: OpenSeries, position: int | None, given: Parameters, media_type: str
    ) -> str:
        """The ETag of a thumbnail."""
        position = first_renderable(series) if position is None else position
        return tag(series.key, str(position), "thumbnail", media_type, essence(given))


def _picture(
    body: bytes,
    width: int,
    height: int,
    color: bool,
    given: Parameters,
    media_type: str,
    timing_ms: dict[str, float],
    warnings: tuple[str, ...] = (),
) -> Picture:
    return Picture(
        body=body,
        media_type=media_type,
        width=width,
        height=height,
        lossless=codec.is_lossless(media_type, color, given.quality),
        complete=True,
        quality=given.quality or codec.JPEG_QUALITY,
        timing_ms=timing_ms,
        importance=importance_of(given),
        warnings=warnings,
    )


def importance_of(given: Parameters) -> Importance:
    """Who names a view or asks for a draft scrolls."""
    return Importance.INTERACTION if given.view or given.draft else Importance.REFINEMENT


def _says_how(stored: StoredInstance, number: int) -> bool:
    """Whether the file itself says with what window or LUT to show a frame, or needs none."""
    form = stored.header.pixel_format
    display = stored.header.frames[number].display
    return bool(display.windows or display.voi_luts) or (form is not None and form.color)


def _frame_tag(stored: StoredInstance, number: int, digest: str, given: Parameters, media_type: str) -> str:
    return tag(stored.sha256, str(number), digest, media_type, essence(given))


def check_size(pixels: int, most: int) -> None:
    """Raises TooLarge when a picture would be over the server's limit."""
    if pixels > most:
        raise TooLarge(
            f"The picture would have {pixels} pixels; this server makes at most {most}.", {"max_pixels": most}
        )


def tag(*parts: str) -> str:
    """An ETag (without quotes) of everything that decides a picture's bytes."""
    return hashlib.sha256("\n".join((TAG_VERSION, *parts)).encode()).hexdigest()[:32]


@lru_cache(maxsize=256)
def essence(given: Parameters) -> str:
    """The parameters that change pixels."""
    plain = msgspec.structs.replace(given, accept=(), view="", draft=False, unknown_annotation=())
    return msgspec.json.encode(plain).decode()


def position_in_series(series: OpenSeries, instance_uid: str, frame: int) -> int:
    """The place in reading order of a frame (from 1); raises NotFound, or Invalid with the reason."""
    stored = series.by_uid.get(instance_uid)
    if stored is not None and stored.header.not_renderable:
        raise Invalid(stored.header.not_renderable)
    return series.position_of(instance_uid, frame)
