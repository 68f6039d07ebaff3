"""Film strips over a real socket: every tile is the small picture of its frame; what is canceled stops."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import JPEG2000Lossless

from sivr.dicom.phantom import phantom_values, write_phantom
from sivr.dicom.presentation import render_reference
from sivr.model.importance import Importance
from sivr.model.pixels import Window
from sivr.store.index import StoredInstance
from tests.api.dicomweb.node import Node, frame_path, series_path

pytestmark = pytest.mark.asyncio(loop_scope="module")
SHAPE = (20, 48, 64)
WINDOW = "window=0,2000,linear"


def small(stored: list[StoredInstance], name: str, k: int, window: Window) -> np.ndarray:  # type: ignore[type-arg]
    """Frame k of a phantom at half its size in plain numpy: windowed, then means of 2 x 2."""
    display = stored[k].header.frames[0].display
    values = phantom_values(name, SHAPE)[k]
    raw = np.round((values - display.modality.intercept) / display.modality.slope).astype(np.int16)
    grey = render_reference(raw, display, window).astype(float)
    return grey.reshape(SHAPE[1] // 2, 2, SHAPE[2] // 2, 2).mean(axis=(1, 3))


async def test_every_tile_is_its_frame(node: Node, tmp_path: Path) -> None:
    stored = await node.phantom(tmp_path / "in", "letter", SHAPE)
    ana = node.viewer("ana", stored[0].header.study_uid)
    strip = f"{series_path(stored[0])}/filmstrip"
    answer = await ana.get(f"{strip}?frames=3-19&step=2&tile=32&columns=4&{WINDOW}&accept=image/png")
    assert answer.pixels.shape == (3 * 32, 4 * 32)
    assert answer.headers["Sivr-Quality"] == "preview", "a small picture is never called lossless"
    assert answer.headers["Content-Type"] == "image/png"
    assert "Sivr-Missing" not in answer.headers
    assert "render;dur=" in answer.headers["Server-Timing"]
    for number, k in enumerate(range(2, 19, 2)):
        row, column = divmod(number, 4)
        tile = answer.pixels[row * 32 : (row + 1) * 32, column * 32 : (column + 1) * 32]
        wanted = small(stored, "letter", k, Window(0, 2000))
        assert np.abs(tile[:24] - wanted).max() <= 1, k
        assert not tile[24:].any(), "the frame is wider than it is tall"
    assert not answer.pixels[64:, 32:].any(), "nothing stands after the last tile"
    inverted = await ana.get(f"{strip}?frames=3&tile=32&{WINDOW}&invert=yes&accept=image/png")
    assert inverted.pixels.shape == (32, 32)
    assert np.abs(255.0 - inverted.pixels[:24] - small(stored, "letter", 2, Window(0, 2000))).max() <= 1


async def test_the_whole_series_with_the_files_own_window_and_an_etag(node: Node, tmp_path: Path) -> None:
    stored = await node.phantom(tmp_path / "in", "head", SHAPE)
    ana = node.viewer("ana", stored[0].header.study_uid)
    strip = f"{series_path(stored[0])}/filmstrip?tile=64&accept=image/png"
    answer = await ana.get(strip)
    assert answer.pixels.shape == (3 * 64, 8 * 64)
    for k in (0, 9, 19):
        row, column = divmod(k, 8)
        alone = (await ana.get(f"{frame_path(stored[k])}?accept=image/png")).pixels
        tile = answer.pixels[row * 64 : row * 64 + 48, column * 64 : column * 64 + 64]
        assert (tile == alone).all(), "as large as the frame it is the frame"
    again = await ana.get(strip, **{"If-None-Match": answer.headers["ETag"]})
    assert again.status == 304
    assert (await ana.get(strip)).body == answer.body
    assert (await ana.get(strip.replace("tile=64", "tile=63"))).headers["ETag"] != answer.headers["ETag"]
    lossy = await ana.get(strip.replace("image/png", "image/jpeg,image/webp"))
    assert lossy.headers["Content-Type"] in ("image/jpeg", "image/webp")
    assert len(lossy.body) < len(answer.body)
    beyond = await ana.get(strip + "&frames=19-500")
    assert beyond.pixels.shape == (64, 2 * 64)


async def test_wrong_strips_are_refused_in_a_sentence(node: Node, tmp_path: Path) -> None:
    stored = await node.phantom(tmp_path / "in", "ramp", SHAPE)
    study = stored[0].header.study_uid
    ana = node.viewer("ana", study)
    strip = f"{series_path(stored[0])}/filmstrip"
    for query, status in (
        ("frames=21-30", 404),
        ("frames=0-3", 400),
        ("frames=5-3", 400),
        ("frames=a", 400),
        ("step=0", 400),
        ("tile=8", 400),
        ("tile=5000", 400),
        ("columns=0", 400),
        ("window=40", 400),
        ("accept=text/plain", 406),
    ):
        answer = await ana.get(f"{strip}?{query}")
        assert answer.status == status, query
        assert answer.json["detail"].endswith("."), query
    assert (await node.viewer("ivo").get(strip)).status == 403


async def test_a_broken_frame_is_named_and_leaves_the_others(node: Node, tmp_path: Path) -> None:
    paths = write_phantom(tmp_path / "in", "letter", SHAPE, study="broken-strip")
    data = pydicom.dcmread(paths[4])
    data.file_meta.TransferSyntaxUID = JPEG2000Lossless
    data.PixelData = pydicom.encaps.encapsulate([b"\xff\x4f\xff\x51 this is no code stream"])
    data["PixelData"].VR = "OB"
    data.save_as(paths[4])
    stored = await node.add(paths)
    ana = node.viewer("ana", stored[0].header.study_uid)
    answer = await ana.get(f"{series_path(stored[0])}/filmstrip?tile=32&columns=5&accept=image/png")
    assert answer.headers["Sivr-Missing"] == "5"
    assert not answer.pixels[:32, 4 * 32 :].any()
    assert answer.pixels[:24, 3 * 32 : 4 * 32].any()


async def test_colors_stay_colors(node: Node) -> None:
    path = Path(pydicom.__file__).parent / "data" / "test_files" / "SC_rgb_small_odd.dcm"
    stored = await node.add([path], apart=True)
    ana = node.viewer("ana", stored[0].header.study_uid)
    alone = (await ana.get(f"{frame_path(stored[0])}?accept=image/png")).pixels
    answer = await ana.get(f"{series_path(stored[0])}/filmstrip?tile=16&accept=image/png")
    assert answer.pixels.shape[2] == 3
    assert np.abs(answer.pixels.mean(axis=(0, 1)) - alone.mean(axis=(0, 1))).max() < 64


async def test_who_goes_away_is_not_decoded_for(node: Node, tmp_path: Path) -> None:
    """The socket is closed after the first frames; those that have not begun never begin."""
    shape = (200, 64, 64)
    paths = write_phantom(tmp_path / "in", "letter", shape, study="canceled-strip")
    stored = await node.add(paths)
    loader = node.imaging.loader
    series = await loader.open(stored[0].header.study_uid, stored[0].header.series_uid)
    ana = node.viewer("ana", stored[0].header.study_uid)
    gate, begun = threading.Event(), threading.Event()
    read = loader.reader.read

    def held(*given: object) -> object:
        begun.set()
        gate.wait(30)
        return read(*given)  # type: ignore[arg-type]

    before = loader.pool.done[Importance.REFINEMENT]
    loader._reader.read = held  # type: ignore[method-assign, assignment]
    try:
        asking = asyncio.create_task(ana.get(f"{series_path(stored[0])}/filmstrip?tile=32"))
        await asyncio.to_thread(begun.wait, 30)
        asking.cancel()
        while series.waiters:
            await asyncio.sleep(0.01)
        assert not any(loader.pool.waiting().values())
    finally:
        gate.set()
        loader._reader.read = read  # type: ignore[method-assign]
    while series.in_flight:
        await asyncio.sleep(0.01)
    assert loader.pool.done[Importance.REFINEMENT] - before <= loader.pool._threads
    assert (await ana.get(f"{series_path(stored[0])}/filmstrip?tile=32")).status == 200


async def test_a_palette_colors_the_tiles_as_it_does_the_frame(node: Node, tmp_path: Path) -> None:
    stored = await node.phantom(tmp_path / "in", "head", SHAPE)
    ana = node.viewer("ana", stored[0].header.study_uid)
    query = "palette=hot-iron&accept=image/png"
    alone = (await ana.get(f"{frame_path(stored[9])}?{query}")).pixels
    strip = await ana.get(f"{series_path(stored[0])}/filmstrip?frames=10&tile=64&{query}")
    assert (strip.pixels[:48] == alone).all()
