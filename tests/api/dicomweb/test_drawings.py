"""Overlays, shutters and colored values over a real socket: drawn, switched off, and told when broken."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pydicom
import pytest

from sivr.dicom.phantom import write_phantom
from sivr.model.parameters import Parameters
from sivr.services.drawings import UNREADABLE, Drawings
from sivr.store.index import StoredInstance
from tests.api.dicomweb.node import Node, frame_path
from tests.dicom.test_graphics import add_overlay

pytestmark = pytest.mark.asyncio(loop_scope="module")
SHAPE = (2, 40, 56)
WINDOW = "window=-800,500,linear-exact&accept=image/png"


async def drawn_on(node: Node, folder: Path, study: str) -> tuple[str, np.ndarray]:
    """The path of a slice with an overlay over all of it and a shutter, and where the overlay has bits."""
    path = write_phantom(folder, "ramp", SHAPE, study=study)[0]
    data = pydicom.dcmread(path)
    mask = np.random.default_rng(2).random(SHAPE[1:]) > 0.9
    add_overlay(data, mask, (1, 1))
    data.ShutterShape = "RECTANGULAR"
    data.ShutterLeftVerticalEdge, data.ShutterRightVerticalEdge = "11", "40"
    data.ShutterUpperHorizontalEdge, data.ShutterLowerHorizontalEdge = "6", "30"
    data.ShutterPresentationValue = 0x4040
    data.save_as(path)
    return frame_path((await node.add([path]))[0]), mask


async def test_overlays_and_shutters_are_drawn_unless_the_request_says_no(node: Node, tmp_path: Path) -> None:
    path, mask = await drawn_on(node, tmp_path / "in", "drawn")
    ana = node.viewer("ana", path.split("/")[2])
    plain = (await ana.get(f"{path}?{WINDOW}&overlay=no&shutter=no")).pixels
    seen = np.zeros(SHAPE[1:], bool)
    seen[5:30, 10:40] = True
    covered = np.where(seen, plain, 0x40)
    want = np.where(mask, 255, covered)
    first = await ana.get(f"{path}?{WINDOW}")
    assert np.array_equal(first.pixels, want)
    assert "Warning" not in first.headers
    assert np.array_equal((await ana.get(f"{path}?{WINDOW}&overlay=no")).pixels, covered)
    assert np.array_equal((await ana.get(f"{path}?{WINDOW}&shutter=no")).pixels, np.where(mask, 255, plain))
    inverted = (await ana.get(f"{path}?{WINDOW}&invert=yes&shutter=no")).pixels
    assert np.array_equal(inverted, np.where(mask, 0, 255 - plain))
    colored = (await ana.get(f"{path}?{WINDOW}&palette=pet")).pixels
    assert (colored[mask] == 255).all() and (colored[~seen & ~mask] == 0x40).all()
    whole = (await ana.get(f"{path}?{WINDOW}&interpolation=nearest&viewport=112,80")).pixels
    assert np.array_equal(whole, want.repeat(2, axis=0).repeat(2, axis=1)), "scaled with the picture"


async def test_the_first_picture_of_a_series_has_them_too(node: Node, tmp_path: Path) -> None:
    path, mask = await drawn_on(node, tmp_path / "in", "glanced")
    first = await node.viewer("ana", path.split("/")[2]).get(f"{path}?{WINDOW}&shutter=no")
    assert (first.pixels[mask] == 255).all()


async def test_what_cannot_be_read_leaves_the_picture_and_a_warning(node: Node, tmp_path: Path) -> None:
    stored = (await node.phantom(tmp_path / "in", "ramp", SHAPE))[0]
    # Its object is gone, and its index entry is of a time when nobody looked for overlays.
    header = msgspec.structs.replace(stored.header, graphics=None)
    gone = StoredInstance(header, "0" * 64, 1, "")
    warnings: list[str] = []
    pixels = np.zeros(SHAPE[1:], np.uint8)
    drawings = Drawings(node.imaging.loader.reader)
    assert drawings.over(pixels, gone, 0, pixels, Parameters(), warnings) is pixels
    assert warnings == [UNREADABLE]


async def test_values_with_colors_of_their_own_are_colored(node: Node, shared_data: Path) -> None:
    path = next((shared_data / "various").rglob("CT0012.explicit_little_endian.dcm"))
    stored = (await node.add([path], apart=True))[0]
    ana = node.viewer("ana", stored.header.study_uid)
    picture = (await ana.get(f"{frame_path(stored)}?accept=image/png")).pixels
    values = pydicom.dcmread(path).pixel_array[0]
    colored = (picture != picture[..., :1]).any(axis=2)
    assert colored.any() and (values[colored] >= 1024).all()
