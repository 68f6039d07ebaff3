"""Two users view one series at once with different windows: each gets their own pictures."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from sivr import codec
from sivr.dicom.phantom import phantom_values, write_phantom
from tests.flows.people import physician
from tests.flows.system import System

SHAPE = (16, 96, 96)
WINDOWS = ((40.0, 400.0), (300.0, 1500.0))


def linear(hu: np.ndarray, center: float, width: float) -> np.ndarray:
    """PS3.3 C.11.2.1.2.1, in plain numpy."""
    grey = ((hu - (center - 0.5)) / (width - 1) + 0.5) * 255
    return np.clip(grey, 0, 255)


@pytest.mark.slow
async def test_each_gets_their_own_pictures(sivr_system: System, tmp_path: Path) -> None:
    files = write_phantom(tmp_path, "ramp", SHAPE, study="two users")
    truth = phantom_values("ramp", SHAPE)
    async with physician(sivr_system, 0) as ana, physician(sivr_system, 1) as marko:
        url = await ana.new_upload(await ana.new_patient())
        await ana.upload(url, files)
        study = (await ana.indexed(url))["studies"][0]["study_uid"]
        await ana.listed(study, len(files))
        readers = [(ana, await ana.series(study)), (marko, await marko.series(study))]

        async def read(number: int) -> None:
            person, series = readers[number]
            center, width = WINDOWS[number]
            for place in range(SHAPE[0]):
                answer = await person.rendered(study, series, place, window=f"{center},{width},linear")
                expected = linear(truth[place].astype(float), center, width)
                difference = np.abs(codec.decode(answer.body).astype(float) - expected)
                assert difference.max() <= 1.0

        await asyncio.gather(read(0), read(1))
