"""When frames were taken and how fast they are to be shown (PS3.3 C.7.6.5)."""

from __future__ import annotations

from pathlib import Path

import pydicom
import pytest

from sivr.dicom.read import read_header


def test_uneven_times_of_a_real_ultrasound(shared_data: Path) -> None:
    folder = shared_data / "various" / "cornerstonejs__dicomParser" / "us"
    path = folder / "IM00001.fragmented_no_bot_jpeg_baseline.50.dcm"
    header = read_header(path)
    vector = [float(v) for v in pydicom.dcmread(path).FrameTimeVector]
    assert len(header.frame_times_ms) == len(header.frames) == 8
    assert header.frame_times_ms[0] == 0
    for n in range(8):
        assert header.frame_times_ms[n] == pytest.approx(sum(vector[1 : n + 1]), abs=0.01)


def test_the_rate_that_a_real_ultrasound_asks_for(shared_data: Path) -> None:
    path = shared_data / "various" / "grailbio__go-dicom" / "us" / "I_000002.dcm"
    header = read_header(path)
    assert (header.cine_rate_hz, header.frame_time_ms, header.frame_times_ms) == (32.0, 31.0, ())
