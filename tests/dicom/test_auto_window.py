"""Windows for what is in view, against plain numpy and against what a reader would want."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sivr.dicom.auto_window import BINS, auto_window
from sivr.dicom.pixels import decode_frames
from sivr.dicom.presentation import modality_values
from sivr.dicom.read import read_header
from sivr.errors import Invalid
from sivr.model.pixels import FrameDisplay, Modality

HU = FrameDisplay(Modality(1.0, -1024.0), padding=(0, 0))
rng = np.random.default_rng(11)


def body() -> np.ndarray:
    """Air all around, tissue of 30 HU and some bone in the middle, a corner of padding."""
    hu = rng.normal(-1000, 5, (200, 300))
    hu[60:160, 80:240] = rng.normal(30, 10, (100, 160))
    hu[100:104, 80:240] = 900
    stored = np.clip(np.rint(hu) + 1024, 1, 4095).astype(np.uint16)
    stored[:40, :40] = 0
    return stored


def shortest(values: np.ndarray, share: float) -> tuple[float, float]:
    """Ends of the shortest stretch with this share of values, looked for one by one."""
    ordered = np.sort(values)
    count = int(np.ceil(share * len(ordered))) - 1
    best = min(range(len(ordered) - count), key=lambda at: ordered[at + count] - ordered[at])
    return float(ordered[best]), float(ordered[best + count])


def test_air_and_padding_are_left_out() -> None:
    found = auto_window(body(), HU, (0, 0, 300, 200))
    assert found.background is not None and -1000 < found.background < -700
    hu = body()[60:160, 80:240].astype(float).reshape(-1) - 1024
    low, high = shortest(hu, 0.9)
    assert found.window.center == pytest.approx((low + high) / 2, abs=1)
    assert found.window.width == pytest.approx((high - low) * 1.2, abs=1)
    assert found.least > -1024, "padding is no value"
    assert sum(found.histogram.counts) == 200 * 300 - 40 * 40
    assert len(found.histogram.counts) == BINS


def test_the_region_in_view_decides() -> None:
    stored = body()
    bone = auto_window(stored, HU, (100, 100, 200, 104))
    assert bone.window.center == 900 and bone.background is None
    around = auto_window(stored, HU, (-50, 170, 1000, 500))
    assert around.window.center == pytest.approx(-1000, abs=5), "nothing but air: then air is shown"
    with pytest.raises(Invalid, match="outside"):
        auto_window(stored, HU, (300, 0, 310, 10))
    with pytest.raises(Invalid, match="no image"):
        auto_window(stored, HU, (0, 0, 30, 30))


def test_values_of_every_kind_have_a_window() -> None:
    for values in (
        np.zeros((4, 4), np.int16),
        np.full((4, 4), 0.25, np.float32),
        np.asarray([[np.nan, np.inf, 1e-4, 2e-4]], np.float32),
        np.asarray([[7]], np.uint8),
    ):
        found = auto_window(values, FrameDisplay(), (0, 0, 9, 9))
        assert found.window.width > 0 and np.isfinite(found.window.center)
    with pytest.raises(Invalid, match="color"):
        auto_window(np.zeros((4, 4, 3), np.uint8), FrameDisplay(), (0, 0, 4, 4))


def test_a_plate_in_view_is_shown_narrowly(shared_data: Path) -> None:
    """The head is a phantom itself: in its middle lies a plate of even plastic, all around it is air."""
    headers = {}
    for path in (shared_data / "ct-head-1mm").glob("I*"):
        header = read_header(path)
        plane = header.frames[0].plane
        if plane is not None:
            headers[plane.position[2]] = (header, path)
    header, path = headers[sorted(headers)[60]]
    values = next(iter(decode_frames(header, path)))
    display = header.frames[0].display
    plate = modality_values(values, display)[140:175, 200:260]
    window = auto_window(values, display, (200, 140, 260, 175)).window
    assert window.center == pytest.approx(np.median(plate), abs=15) and window.width < 150
    whole = auto_window(values, display, (0, 0, 512, 512))
    assert whole.background is not None and -1000 < whole.background < -800
