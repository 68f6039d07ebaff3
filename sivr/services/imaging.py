"""Everything a render node needs to show pictures, opened and closed together."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Literal, NamedTuple

import msgspec
import numpy as np

from sivr import codec
from sivr.gl.devices import DeviceChoice
from sivr.gl.farm import RenderFarm
from sivr.kernels.warm import warm_up_frames
from sivr.services.annotation_objects import AnnotationObjectService
from sivr.services.auto_windows import AutoWindows
from sivr.services.cine import CineService
from sivr.services.contents import Contents
from sivr.services.film_strips import FilmStrips
from sivr.services.loading import SeriesLoader
from sivr.services.overviews import Overviews
from sivr.services.pictures import PictureService
from sivr.services.preparing import Preparer, Source
from sivr.services.slice_processes import SliceProcesses
from sivr.services.statistics import StatisticsService
from sivr.services.tags import TagService
from sivr.services.threads import background
from sivr.services.values import ValueService
from sivr.services.volumes import VolumeService
from sivr.services.workload import Workload
from sivr.store.blobs import Blobs

log = logging.getLogger("sivr.imaging")

MAX_RENDER_WORKERS = 4
MAX_SLICE_PROCESSES = 4
MEGABYTE = 1024 * 1024


class Graphics(NamedTuple):
    """What draws volumes, as the configuration says it."""

    platform: str = "auto"
    device: DeviceChoice = "all"
    texture_budget_mb: int | Literal["auto"] = "auto"


_ANY_GRAPHICS = Graphics()


class Imaging(msgspec.Struct, frozen=True):
    """The services behind every picture of a node."""

    source: Source
    loader: SeriesLoader
    farm: RenderFarm
    pictures: PictureService
    strips: FilmStrips
    volumes: VolumeService
    values: ValueService
    contents: Contents
    statistics: StatisticsService
    annotation_objects: AnnotationObjectService
    auto_windows: AutoWindows
    tags: TagService
    cine: CineService
    warm: asyncio.Task[None]
    preparer: Preparer | None
    """To be told which studies came in; None where nothing is kept between runs."""

    async def health(self) -> str:
        """For ``GET /health``: empty when pictures can be made, else why not."""
        if not self.warm.done():
            return "The kernels are being compiled; this takes a while on the first start."
        return str(self.farm.health().get("reason", ""))

    def told(self) -> dict[str, object]:
        """For ``GET /health``: what each render worker draws with."""
        return {"rendering": self.farm.health()["devices"]}


def _warm_up() -> None:
    """Compile or load what the first picture would otherwise wait for. Blocking."""
    started = time.perf_counter()
    warm_up_frames()
    picture = np.zeros((16, 16), np.uint8)
    for media_type in ("image/png", "image/jpeg", "image/webp"):
        codec.encode(picture, media_type)
    log.info("kernels are ready", extra={"ms": round((time.perf_counter() - started) * 1000)})


@asynccontextmanager
async def _warming() -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(asyncio.to_thread(_warm_up))
    try:
        yield task
    finally:
        # A thread cannot be canceled; what it loads serves the next start.
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def open_imaging(
    source: Source,
    blobs: Blobs,
    *,
    node_id: str,
    memory_mb: int,
    decode_threads: int | None = None,
    render_workers: int | None = None,
    render_queue: int = 64,
    graphics: Graphics = _ANY_GRAPHICS,
    max_pixels: int = 16_777_216,
    overviews: Overviews | None = None,
    workload: Workload | None = None,
) -> AsyncIterator[Imaging]:
    """Open a node's imaging; ``memory_mb`` is shared evenly by decoded pixels and the workers' textures."""
    cores = os.cpu_count() or 1
    threads = decode_threads or cores
    workers = render_workers or min(cores, MAX_RENDER_WORKERS)
    half = memory_mb * MEGABYTE // 2
    async with AsyncExitStack() as stack:
        warm = await stack.enter_async_context(_warming())
        farm = await stack.enter_async_context(
            RenderFarm(
                workers=workers,
                queue_limit=render_queue,
                texture_budget_bytes=half // workers,
                platform=graphics.platform,
                device=graphics.device,
                device_budget_bytes=(
                    None if graphics.texture_budget_mb == "auto" else graphics.texture_budget_mb * MEGABYTE
                ),
            )
        )
        digest = hashlib.sha256(node_id.encode()).hexdigest()[:10]
        processes = await stack.enter_async_context(
            SliceProcesses(f"sivr-{digest}", min(cores, MAX_SLICE_PROCESSES))
        )

        def forget(volume: str) -> None:
            farm.forget(volume)
            processes.forget(volume.rpartition("/")[2])

        loader = await stack.enter_async_context(
            SeriesLoader(
                source,
                blobs,
                node_id=node_id,
                budget_bytes=half,
                threads=threads,
                forget=forget,
                overviews=overviews,
            )
        )
        pictures = await stack.enter_async_context(
            PictureService(
                loader, threads=cores, max_pixels=max_pixels, processes=processes, workload=workload
            )
        )
        volumes = VolumeService(loader, farm, pictures, max_pixels=max_pixels)
        preparer = None
        if overviews is not None:
            preparer = Preparer(source, loader.reader, overviews, pictures.workload)
            await stack.enter_async_context(background(preparer.run()))
        statistics = StatisticsService(loader, pictures)
        yield Imaging(
            source,
            loader,
            farm,
            pictures,
            FilmStrips(loader, pictures, max_pixels),
            volumes,
            ValueService(loader),
            Contents(source, loader),
            statistics,
            AnnotationObjectService(source, loader, pictures, statistics),
            AutoWindows(loader, pictures),
            TagService(loader, pictures),
            CineService(loader, pictures, max_pixels),
            warm,
            preparer,
        )
