"""False color, highlighted values and interpolation over a real socket, against plain numpy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sivr.dicom.phantom import phantom_values
from sivr.model.palettes import palette_entries
from tests.api.dicomweb.node import Node, frame_path

pytestmark = pytest.mark.asyncio(loop_scope="module")
SHAPE = (4, 40, 56)
WINDOW = "window=-800,500,linear-exact&accept=image/png"


async def test_a_palette_replaces_grey_levels_after_window_and_inversion(node: Node, tmp_path: Path) -> None:
    stored = await node.phantom(tmp_path / "in", "ramp", SHAPE)
    ana = node.viewer("ana", stored[0].header.study_uid)
    path = f"{frame_path(stored[2])}?{WINDOW}"
    grey = (await ana.get(path)).pixels
    for name in ("hot-iron", "pet-20-step"):
        table = np.asarray(palette_entries(name))
        assert np.array_equal((await ana.get(f"{path}&palette={name}")).pixels, table[grey])
        inverted = (await ana.get(f"{path}&palette={name}&invert=yes")).pixels
        assert np.array_equal(inverted, table[255 - grey])
    same = await ana.get(f"{path}&palette=grey")
    assert np.array_equal(same.pixels, grey)


async def test_a_threshold_highlights_its_values_and_no_others(node: Node, tmp_path: Path) -> None:
    stored = await node.phantom(tmp_path / "in", "ramp", SHAPE)
    ana = node.viewer("ana", stored[0].header.study_uid)
    path = f"{frame_path(stored[2])}?{WINDOW}"
    grey = (await ana.get(path)).pixels.astype(int)
    hu = phantom_values("ramp", SHAPE)[2]
    got = (await ana.get(f"{path}&threshold=-900,-860,00ff00")).pixels
    inside = (hu >= -900) & (hu <= -860)
    assert 0 < inside.sum() < inside.size
    want = np.repeat(grey[..., None], 3, axis=2)
    want[inside] = np.ceil((want[inside] + (0, 255, 0)) / 2)
    assert np.array_equal(got, want)


async def test_interpolation_is_chosen_by_the_request(node: Node, tmp_path: Path) -> None:
    stored = await node.phantom(tmp_path / "in", "letter", SHAPE)
    ana = node.viewer("ana", stored[0].header.study_uid)
    path = f"{frame_path(stored[2])}?window=0,2000,linear&accept=image/png"
    whole = (await ana.get(path)).pixels
    large = f"{path}&viewport=112,80"
    nearest = (await ana.get(f"{large}&interpolation=nearest")).pixels
    assert np.array_equal(nearest, whole.repeat(2, axis=0).repeat(2, axis=1))
    pictures = {
        name: (await ana.get(f"{large}&interpolation={name}")) for name in ("linear", "cubic", "lanczos")
    }
    assert len({one.pixels.tobytes() for one in pictures.values()}) == 3
    assert len({one.headers["ETag"] for one in pictures.values()}) == 3
