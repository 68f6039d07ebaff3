"""Pictures of frames made by processes: the same as those made in threads, and never waited for in vain."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sivr import codec
from sivr.dicom.presentation import stored_dtype
from sivr.dicom.read import read_header
from sivr.model.parameters import Parameters
from sivr.model.pixels import PixelFormat, Window
from sivr.model.rendering import Band, Viewport
from sivr.model.studies import InstanceHeader
from sivr.services import slices
from sivr.services.segments import FOLDER, Segment
from sivr.services.slice_process import SLOTS
from sivr.services.slice_processes import QUEUE_LIMIT, Made, SliceProcesses
from tests.services.ingesting import phantom

PREFIX = f"sivr-test-{os.getpid()}"
WINDOW = Window(40, 400)


@pytest.fixture
async def processes() -> AsyncIterator[SliceProcesses]:
    """One process that can work."""
    async with SliceProcesses(PREFIX, 1, begin_after=0) as found:
        await ready(found, 1)
        yield found
    assert not list(FOLDER.glob(f"{PREFIX}-*"))


@pytest.fixture
def header(tmp_path: Path) -> InstanceHeader:
    """Of a 16-bit CT slice."""
    with phantom(tmp_path, 1, 64)[0].open("rb") as file:
        return read_header(file)


async def ready(processes: SliceProcesses, count: int) -> None:
    """Wait until so many can work."""
    while processes.running < count:
        await asyncio.sleep(0.01)


def stored(header: InstanceHeader, shape: tuple[int, ...] = (64, 64), seed: int = 0) -> Any:
    """Values as a frame of this header may hold."""
    form = header.pixel_format
    assert form is not None
    dtype = stored_dtype(form)
    return np.random.default_rng(seed).integers(0, 3000, shape).astype(dtype)


async def make(
    processes: SliceProcesses,
    header: InstanceHeader,
    values: Any,
    given: Parameters | None = None,
    window: Window | None = WINDOW,
    media_type: str = "image/png",
    segment: Segment | None = None,
    k: int = -1,
) -> Made | None:
    """Ask for a picture of the header's first frame."""
    return await processes.make(header, 0, values, segment, k, window, given or Parameters(), media_type)


async def test_the_same_bytes_as_in_a_thread(processes: SliceProcesses, header: InstanceHeader) -> None:
    wishes = (
        Parameters(),
        Parameters(invert=True),
        Parameters(viewport=Viewport(100, 80)),
        Parameters(viewport=Viewport(30, 30, 5, 5, -20, 40)),
        Parameters(quality=70),
    )
    windows = (None, WINDOW, Window(-600, 1500, "sigmoid"))
    values = stored(header)
    for given, media_type, window in itertools.product(
        wishes, ("image/png", "image/jpeg", "image/webp"), windows
    ):
        made = await make(processes, header, values, given, window, media_type)
        assert made is not None
        pixels = slices.in_viewport(slices.shown(header, 0, values, window, given.invert), given.viewport)
        assert made.body == codec.encode(pixels, media_type, given.quality)
        assert (made.height, made.width, made.color) == (*pixels.shape, False)
        assert made.timing_ms.keys() == {"queue", "render", "encode"}


async def test_color_and_interpolation_are_the_same_as_in_a_thread(
    processes: SliceProcesses, header: InstanceHeader
) -> None:
    values = stored(header)
    given = Parameters(
        viewport=Viewport(100, 80),
        interpolation="cubic",
        palette="pet",
        threshold=Band(-500, 200),
        invert=True,
    )
    made = await make(processes, header, values, given)
    assert made is not None and made.color
    pixels = slices.shown(header, 0, values, WINDOW, True, given.coloring)
    assert np.array_equal(codec.decode(made.body), slices.in_viewport(pixels, given.viewport, "cubic"))


async def test_color(processes: SliceProcesses, header: InstanceHeader) -> None:
    form = PixelFormat(32, 48, 3, "RGB", 8, 8, 7, False)
    colored = InstanceHeader(**{**header_fields(header), "pixel_format": form})
    values = np.random.default_rng(1).integers(0, 256, (32, 48, 3), np.uint8)
    made = await make(processes, colored, values, window=None)
    assert made is not None and made.color
    assert np.array_equal(codec.decode(made.body), values)


def header_fields(header: InstanceHeader) -> dict[str, Any]:
    """The fields of a header by name."""
    return {name: getattr(header, name) for name in header.__struct_fields__}


async def test_a_slice_of_a_segment(processes: SliceProcesses, header: InstanceHeader) -> None:
    values = stored(header, (5, 64, 64))
    segment = Segment(PREFIX, (5, 64, 64), np.float32)
    segment.voxels[:] = values
    # What lies in the segment counts, whatever its type, not what is shown beside it.
    found = await asyncio.gather(
        *(make(processes, header, np.zeros_like(values[0]), segment=segment, k=k) for k in range(5))
    )
    for k, made in enumerate(found):
        assert made is not None
        assert np.array_equal(codec.decode(made.body), slices.shown(header, 0, values[k], WINDOW, False))
    maps = [Path(f"/proc/{pid}/maps").read_text() for pid in processes.pids]
    assert any(segment.name in one for one in maps)
    processes.forget(segment.name)
    name = segment.name
    segment.close()
    assert await make(processes, header, values[0]) is not None
    async with asyncio.timeout(20):
        while any(name in Path(f"/proc/{pid}/maps").read_text() for pid in processes.pids):
            await make(processes, header, values[0])


async def test_who_asks_makes_it_himself_when_the_segment_is_gone(
    processes: SliceProcesses, header: InstanceHeader
) -> None:
    values = stored(header)
    segment = Segment(PREFIX, (1, 64, 64), values.dtype)
    (FOLDER / segment.name).unlink()
    assert await make(processes, header, values, segment=segment, k=0) is None
    segment.close()


async def test_large_frames_and_large_pictures_are_not_for_them(
    processes: SliceProcesses, header: InstanceHeader
) -> None:
    assert await make(processes, header, stored(header, (2048, 2048))) is None
    assert await make(processes, header, stored(header), Parameters(viewport=Viewport(2000, 2000))) is None


async def test_more_at_once_than_there_is_room_for(processes: SliceProcesses, header: InstanceHeader) -> None:
    wanted = [stored(header, seed=seed) for seed in range(40)]
    found = await asyncio.gather(*(make(processes, header, values) for values in wanted))
    for values, made in zip(wanted, found, strict=True):
        assert made is not None
        assert np.array_equal(codec.decode(made.body), slices.shown(header, 0, values, WINDOW, False))


async def test_the_queue_is_bounded(processes: SliceProcesses, header: InstanceHeader) -> None:
    values = stored(header)
    asked = QUEUE_LIMIT + SLOTS + 40
    found = await asyncio.gather(*(make(processes, header, values) for _ in range(asked)))
    assert sum(made is None for made in found) == 40


async def test_canceled_ones_leave_no_slot_taken_and_no_wrong_picture(
    processes: SliceProcesses, header: InstanceHeader
) -> None:
    for seed in range(30):
        asked = [asyncio.create_task(make(processes, header, stored(header, seed=n))) for n in range(6)]
        await asyncio.sleep(0)
        for one in asked[seed % 3 :]:
            one.cancel()
        await asyncio.wait(asked)
    values = stored(header, seed=99)
    found = await asyncio.gather(*(make(processes, header, values) for _ in range(8)))
    expected = codec.encode(slices.shown(header, 0, values, WINDOW, False), "image/png", None)
    assert [made is not None and made.body == expected for made in found] == [True] * 8


async def test_killed_in_the_middle(processes: SliceProcesses, header: InstanceHeader) -> None:
    asked = [asyncio.create_task(make(processes, header, stored(header, seed=n))) for n in range(20)]
    await asyncio.sleep(0)
    for pid in processes.pids:
        os.kill(pid, signal.SIGKILL)
    async with asyncio.timeout(20):
        for seed, made in enumerate(await asyncio.gather(*asked)):
            if made is not None:
                pixels = slices.shown(header, 0, stored(header, seed=seed), WINDOW, False)
                assert np.array_equal(codec.decode(made.body), pixels)
        while processes.running:
            await asyncio.sleep(0.01)
    assert await make(processes, header, stored(header)) is None


async def test_they_begin_when_pictures_are_wanted_one_after_the_other(header: InstanceHeader) -> None:
    async with SliceProcesses(PREFIX, 1, begin_after=3) as processes:
        assert await make(processes, header, stored(header)) is None
        assert not processes.pids
        for _ in range(3):
            assert await make(processes, header, stored(header)) is None
        async with asyncio.timeout(60):
            await ready(processes, 1)
        assert await make(processes, header, stored(header)) is not None
    assert not processes.pids
