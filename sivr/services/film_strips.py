"""Film strips: small pictures of many frames in one sheet, so that on a slow line any slice is there at once.

One request carries what would be dozens; over a round trip of 100 ms a long series is at hand within seconds.
A strip is a preview by its nature and says so.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from sivr import codec
from sivr.errors import Invalid, NotFound, SivrError
from sivr.model.importance import Importance
from sivr.model.parameters import Parameters
from sivr.model.pixels import Window
from sivr.model.rendering import PARTS, Picture, Viewport
from sivr.services import slices
from sivr.services.kept_pictures import KeptPictures
from sivr.services.loading import SeriesLoader
from sivr.services.open_series import Array, OpenSeries
from sivr.services.pictures import PictureService, check_size, essence, tag

T = TypeVar("T")
Pixels = npt.NDArray[np.uint8]

MOST_TILES = 256
BATCH_BYTES = 16 * 1024 * 1024
"""Decoded frames held at once while a strip is made."""
MOST_AT_ONCE = 16
KEPT_BYTES = 32 * 1024 * 1024


class _Frame(NamedTuple):
    """A frame of the strip: its place in reading order, its decoded values or why there are none, and the
    window to show it with."""

    position: int
    values: Array | SivrError
    window: Window | None


class FilmStrips:
    """Makes film strips of open series; those made last are kept for the next reader."""

    def __init__(self, loader: SeriesLoader, pictures: PictureService, max_pixels: int) -> None:
        self._loader = loader
        self._pictures = pictures
        self._max_pixels = max_pixels
        self._kept = KeptPictures(KEPT_BYTES)

    def strip_tag(self, series: OpenSeries, given: Parameters, media_type: str) -> str:
        """The ETag of a strip: the same for the same tiles, known before anything is decoded."""
        return tag(series.key, "filmstrip", media_type, essence(given))

    async def strip(self, series: OpenSeries, given: Parameters, media_type: str, *, session: str) -> Picture:
        """The tiles of ``given.frames``, row by row from the top left, each frame fitted into the top left
        corner of its square.

        Tiles of frames that cannot be shown stay black, and the picture names them. Canceling the caller
        leaves undone what is not begun. Raises Invalid, NotFound, TooLarge, Exhausted.
        """
        positions = positions_of(series, given)
        columns = min(given.columns, len(positions))
        rows = -(-len(positions) // columns)
        check_size(rows * columns * given.tile**2, self._max_pixels)
        key = self.strip_tag(series, given, media_type)
        found = self._kept.get(key)
        if found is not None:
            return found
        with self._pictures.workload.of(Importance.REFINEMENT):
            made = await self._make(series, positions, (rows, columns), given, media_type, session)
        if made.lasting:
            self._kept.put(key, made)
        return made

    async def _make(
        self,
        series: OpenSeries,
        positions: Sequence[int],
        shape: tuple[int, int],
        given: Parameters,
        media_type: str,
        user: str,
    ) -> Picture:
        timing = dict.fromkeys(PARTS, 0.0)
        tiles: list[Pixels | None] = []
        warnings: list[str] = []
        lasting = True
        largest = max(1, *(series.frame_bytes(position) for position in positions))
        many = max(1, min(MOST_AT_ONCE, BATCH_BYTES // largest))
        for start in range(0, len(positions), many):
            asked = time.perf_counter()
            wanted = positions[start : start + many]
            batch = await asyncio.gather(*(self._frame(series, one, given, user) for one in wanted))
            timing["load"] += (time.perf_counter() - asked) * 1000
            # What is broken stays so; all else may be readable the next time.
            errors = [one.values for one in batch if isinstance(one.values, SivrError)]
            lasting = lasting and all(isinstance(error, Invalid | NotFound) for error in errors)
            tiled = partial(self._tiles, series, batch, given, warnings)
            tiles += await self._timed("render", timing, tiled, user)
        encode = partial(_encoded, tiles, shape, given, media_type)
        body = await self._timed("encode", timing, encode, user)
        missing = (position + 1 for position, tile in zip(positions, tiles, strict=True) if tile is None)
        rows, columns = shape
        return Picture(
            body, media_type, columns * given.tile, rows * given.tile, lossless=False, complete=True,
            timing_ms=timing, kind="filmstrip", quality=given.quality or codec.JPEG_QUALITY, lasting=lasting,
            missing=tuple(missing), warnings=tuple(dict.fromkeys(warnings)),
        )  # fmt: skip

    def _tiles(
        self, series: OpenSeries, batch: Sequence[_Frame], given: Parameters, warnings: list[str]
    ) -> list[Pixels | None]:
        """Frames made small, in a thread; None for those that cannot be shown."""
        tiles: list[Pixels | None] = []
        for position, values, window in batch:
            if isinstance(values, SivrError):
                tiles.append(None)
                continue
            pixels = self._pictures.pixels(*series.header_of(position), values, window, given, warnings)
            tiles.append(slices.in_viewport(pixels, Viewport(given.tile, given.tile)))
        return tiles

    async def _frame(self, series: OpenSeries, position: int, given: Parameters, user: str) -> _Frame:
        try:
            values = await self._loader.frame(
                series, position, prefetch=False, importance=Importance.REFINEMENT, user=user
            )
        except SivrError as error:
            return _Frame(position, error, None)
        return _Frame(position, values, given.window or await self._pictures.window(series, position))

    async def _timed(self, part: str, timing: dict[str, float], work: Callable[[], T], user: str) -> T:
        """The result of ``work`` in a picture thread; waiting for it and doing it are noted in ms."""
        asked = time.perf_counter()

        def run() -> T:
            begun = time.perf_counter()
            timing["queue"] += (begun - asked) * 1000
            result = work()
            timing[part] += (time.perf_counter() - begun) * 1000
            return result

        return await self._pictures.in_thread(run, Importance.REFINEMENT, user)


def positions_of(series: OpenSeries, given: Parameters) -> Sequence[int]:
    """Places in reading order, from 0, of the frames of a strip; what lies beyond the end is left out. Raises
    NotFound when nothing is left, Invalid when it is too much."""
    first, last = given.frames or (1, series.total)
    found = range(first - 1, min(last, series.total), given.step)
    if not found:
        raise NotFound(f"This series ends at frame {series.total}.")
    if len(found) > MOST_TILES:
        raise Invalid(
            f"A film strip has at most {MOST_TILES} tiles, not {len(found)}; use frames and step.",
            {"max_tiles": MOST_TILES},
        )
    return found


def has_color(series: OpenSeries) -> bool:
    """Whether any frame of the series is in color."""
    forms = (header.pixel_format for header in series.headers)
    return any(form is not None and form.color for form in forms)


def _encoded(
    tiles: Sequence[Pixels | None], shape: tuple[int, int], given: Parameters, media_type: str
) -> bytes:
    """The sheet of ``shape`` rows and columns of tiles, in a thread."""
    rows, columns = shape
    depth = 3 if any(tile is not None and tile.ndim == 3 for tile in tiles) else 1
    sheet = np.zeros((rows * given.tile, columns * given.tile, depth), np.uint8)
    for number, tile in enumerate(tiles):
        if tile is not None:
            row, column = divmod(number, columns)
            corner = sheet[row * given.tile :, column * given.tile :]
            # Grey among color is the same in red, green and blue.
            corner[: tile.shape[0], : tile.shape[1]] = tile if tile.ndim == 3 else tile[..., None]
    return codec.encode(sheet if depth == 3 else sheet[..., 0], media_type, given.quality)
