"""Movies over a real socket: which frames, how fast, with what progress, and given up in the middle."""

from __future__ import annotations

import asyncio
import io
import threading
from pathlib import Path

import aiohttp
import numpy as np
import pydicom
import pytest
from PIL import Image, ImageSequence

from sivr.dicom.phantom import write_phantom
from sivr.services.cine import MAX_FRAMES
from tests.api.dicomweb.node import Node, frame_path, series_path

pytestmark = pytest.mark.asyncio(loop_scope="module")
SHAPE = (12, 40, 56)
WINDOW = "window=-800,500,linear-exact"


def opened(body: bytes) -> list[np.ndarray]:
    with Image.open(io.BytesIO(body)) as image:
        return [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(image)]


async def test_the_frames_of_a_movie_are_those_of_their_pictures(node: Node, tmp_path: Path) -> None:
    stored = await node.phantom(tmp_path / "in", "letter", SHAPE)
    ana = node.viewer("ana", stored[0].header.study_uid)
    path = f"{series_path(stored[0])}/cine?frames=3-9&step=2&fps=8&palette=hot-iron&{WINDOW}"
    answer = await ana.get(path)
    assert answer.status == 200 and answer.headers["Content-Type"] == "image/webp"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="cine.webp"'
    assert answer.headers["Cache-Control"] == "no-store"
    with Image.open(io.BytesIO(answer.body)) as image:
        image.load()
        assert image.info["duration"] == 125
    shown = opened(answer.body)
    assert len(shown) == 4
    for frame, number in zip(shown, (3, 5, 7, 9), strict=True):
        one = f"{frame_path(stored[number - 1])}?palette=hot-iron&{WINDOW}&accept=image/png"
        want = (await ana.get(one)).pixels
        # Pixels of this phantom are higher than wide: the movie is as high as the patient is.
        assert frame.shape[1] == want.shape[1] and frame.shape[0] >= want.shape[0]
        small = np.asarray(Image.fromarray(frame).resize(want.shape[1::-1], Image.Resampling.BOX))
        assert np.abs(small.astype(int) - want.astype(int)).mean() < 12
    video = await ana.get(f"{path}&accept=video/mp4")
    assert video.headers["Content-Type"] == "video/mp4" and video.body[4:8] == b"ftyp"


async def test_what_is_asked_wrongly_is_told(node: Node, tmp_path: Path) -> None:
    stored = await node.phantom(tmp_path / "in", "ramp", SHAPE)
    ana = node.viewer("ana", stored[0].header.study_uid)
    path = f"{series_path(stored[0])}/cine"
    assert (await ana.get(f"{path}?frames=13-20")).status == 404
    assert (await ana.get(f"{path}?accept=video/quicktime")).status == 406
    assert (await ana.get(f"{path}?viewport=8000,8000")).status == 413
    assert (await ana.get(f"{path}/progress?view=nothing")).json == {"done": 0, "total": 0}
    assert (await node.viewer("ivo").get(path)).status == 403
    assert MAX_FRAMES >= 1000


async def test_a_broken_frame_is_black_and_named(node: Node, tmp_path: Path) -> None:
    paths = write_phantom(tmp_path / "in", "ramp", (4, 40, 56), study="broken movie")
    data = pydicom.dcmread(paths[2])
    data.file_meta.TransferSyntaxUID = pydicom.uid.JPEG2000Lossless
    data.PixelData = pydicom.encaps.encapsulate([b"\xff\x4f\xff\x51 this is no code stream"])
    data["PixelData"].VR = "OB"
    data.save_as(paths[2])
    stored = await node.add(paths)
    ana = node.viewer("ana", stored[0].header.study_uid)
    answer = await ana.get(f"{series_path(stored[0])}/cine?{WINDOW}")
    assert "black: 3." in answer.headers["Warning"]
    shown = opened(answer.body)
    assert len(shown) == 4 and shown[2].max() == 0 and shown[1].max() > 0


async def test_progress_is_told_and_a_closed_connection_ends_the_movie(node: Node, tmp_path: Path) -> None:
    stored = await node.phantom(tmp_path / "in", "ramp", SHAPE)
    study = stored[0].header.study_uid
    ana, ivo = node.viewer("ana", study), node.viewer("ivo", study)
    gate = threading.Event()
    pictures, cine = node.imaging.pictures, node.imaging.cine
    busy = [asyncio.create_task(pictures.in_thread(gate.wait)) for _ in range(pictures.threads.count)]
    path = f"{series_path(stored[0])}/cine"
    async with aiohttp.ClientSession() as http:
        asked = asyncio.create_task(http.get(f"{node.url}{path}?view=m1", headers=ana.headers))
        while not (answer := await ana.get(f"{path}/progress?view=m1")).json["total"]:
            await asyncio.sleep(0.01)
        assert answer.json["total"] == SHAPE[0]
        assert not (await ivo.get(f"{path}/progress?view=m1")).json["total"], "not somebody else's"
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)
    while (await ana.get(f"{path}/progress?view=m1")).json["total"]:
        await asyncio.sleep(0.01)
    assert cine._asked == 0
    gate.set()
    await asyncio.gather(*busy)
