"""The first slice of a long series is there long before the series is."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np

from sivr.dicom.phantom import phantom_values, write_phantom
from tests.api.dicomweb.node import frame_path, running_node, series_path

SHAPE = (240, 192, 192)


async def test_the_first_slice_comes_before_the_whole_load(tmp_path: Path) -> None:
    async with running_node(tmp_path / "node") as node:
        paths = write_phantom(tmp_path / "in", "letter", SHAPE)
        stored = await node.add(paths)
    # A node that has just started and knows nothing of the series yet.
    async with running_node(tmp_path / "node") as node:
        ana = node.viewer("ana", stored[0].header.study_uid)
        answer = await ana.get(f"{frame_path(stored[120])}?accept=image/png&window=0,2000,linear")
        loader = node.imaging.loader
        series = loader._series.get((stored[0].header.study_uid, stored[0].header.series_uid))
        assert series is None or loader.progress(series).slices_loaded <= SHAPE[0] / 10
        shown = answer.pixels
        assert np.unique(shown).size == np.unique(phantom_values("letter", SHAPE)[120]).size
        path = f"{series_path(stored[0])}/loading"
        while (loaded := (await ana.get(path)).json)["state"] != "complete":
            await asyncio.sleep(0.02)
        assert loaded["slices_loaded"] == SHAPE[0], "the rest is loaded without being asked for"
        again = await ana.get(f"{frame_path(stored[120])}?accept=image/png&window=0,2000,linear")
        assert (again.pixels == shown).all()
        assert again.headers["ETag"] == answer.headers["ETag"]
