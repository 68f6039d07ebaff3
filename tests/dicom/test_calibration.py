"""Sizes out of files, against phantoms with known answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest

from sivr.dicom.phantom import write_phantom
from sivr.dicom.read import read_header
from sivr.dicom.rulers import DOT, DOTS, RulerKind, write_ruler
from sivr.services.contents import scale_of, spacing_at

EXPECTED: dict[RulerKind, tuple[str, float, float]] = {
    "ct": ("patient", 0.5, 0.8),
    "dx": ("detector corrected by ERMF", 0.12, 0.12),
    "dx-detector": ("detector", 0.15, 0.15),
    "mg": ("calibrated geometry", 0.08, 0.08),
    "us": ("pixels", 1, 1),
    "pixels": ("pixels", 1, 2),
}


@pytest.mark.parametrize("kind", list(EXPECTED))
def test_rulers(tmp_path: Path, kind: RulerKind) -> None:
    path = write_ruler(tmp_path / "a.dcm", kind)
    found = scale_of(read_header(path), 0).spacing
    assert (found.origin, found.step_x, found.step_y) == (
        EXPECTED[kind][0],
        *map(pytest.approx, EXPECTED[kind][1:]),
    )
    pixels = pydicom.dcmread(path).pixel_array
    assert [tuple(one) for one in np.argwhere(pixels == DOT)] == sorted((row, column) for column, row in DOTS)
    assert write_ruler(tmp_path / "b.dcm", kind).read_bytes() == path.read_bytes()


def test_regions_of_ultrasound(tmp_path: Path) -> None:
    header = read_header(write_ruler(tmp_path / "a.dcm", "us"))
    assert header.frames[0].spacing_mm is None, "two planes of unlike scale have none in common"
    for points, expected in (
        ([(0, 0), (160, 120)], ("mm", "mm", 0.2, 0.2)),
        ([(160.5, 0), (320, 120)], ("mm", "mm", 0.1, 0.3)),
        ([(10, 130), (20, 140)], ("s", "mm", 0.005, 0.2)),
        ([(170, 130), (180, 230)], ("s", "cm/s", 0.004, 2.0)),
        ([(170, 130), (180, 231)], ("px", "px", 1.0, 1.0)),
        ([(10, 10), (300, 10)], ("px", "px", 1.0, 1.0)),
    ):
        found = spacing_at(header, 0, points)
        assert (found.unit_x, found.unit_y) == expected[:2], points
        assert (found.step_x, found.step_y) == pytest.approx(expected[2:])


@pytest.mark.parametrize("multi_frame", [False, True])
def test_cross_sections(tmp_path: Path, multi_frame: bool) -> None:
    path = write_phantom(tmp_path, "ramp", (3, 8, 8), multi_frame=multi_frame)[0]
    found = scale_of(read_header(path), 0).spacing
    assert (found.origin, found.step_x) == ("patient", pytest.approx(16.0))


def test_objects_indexed_earlier_claim_little(tmp_path: Path) -> None:
    import msgspec

    header = msgspec.structs.replace(read_header(write_ruler(tmp_path / "a.dcm", "dx")), calibration=None)
    assert spacing_at(header, 0).origin == "stated"
