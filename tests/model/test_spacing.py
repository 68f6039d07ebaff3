"""Every way a file can tell its size, cell by cell."""

from __future__ import annotations

import pytest

from sivr.model.spacing import (
    REGION_KINDS,
    ULTRASOUND_UNITS,
    Calibration,
    Region,
    Spacing,
    frame_spacing_mm,
    spacing_of,
)

A, B, C = (0.2, 0.1), (0.3, 0.3), (0.4, 0.4)


def mm(origin: str, pair: tuple[float, float], note: str = "") -> Spacing:
    return Spacing(origin, "mm", "mm", pair[1], pair[0], note)  # type: ignore[arg-type]


PIXELS = Spacing("pixels", "px", "px", 1.0, 1.0)

# Projection, cross section, Pixel Spacing, Imager Pixel Spacing, calibration type, magnification -> spacing.
TABLE = [
    (False, True, A, None, "", None, mm("patient", A)),
    (False, True, A, B, "", 2.0, mm("patient", A)),
    (False, False, A, None, "", None, mm("stated", A)),
    (False, False, A, None, "FIDUCIAL", None, mm("calibrated fiducial", A)),
    (True, False, A, None, "", None, mm("stated", A)),
    (True, False, A, B, "", None, mm("calibrated", A)),
    (True, False, A, B, "", 1.5, mm("calibrated", A)),
    (True, False, A, B, "GEOMETRY", 1.5, mm("calibrated geometry", A)),
    (True, False, A, B, "FIDUCIAL", None, mm("calibrated fiducial", A)),
    (True, False, B, B, "", None, mm("detector", B)),
    (True, False, B, B, "GEOMETRY", None, mm("detector", B)),
    (True, False, (0.30001, 0.29999), B, "", 1.5, mm("detector corrected by ERMF", (0.2, 0.2), "1.5")),
    (True, False, None, B, "", None, mm("detector", B)),
    (True, False, None, B, "", 1.5, mm("detector corrected by ERMF", (0.2, 0.2), "1.5")),
    (True, False, None, None, "", 1.5, PIXELS),
    (False, False, None, None, "", None, PIXELS),
]


@pytest.mark.parametrize(("projection", "section", "pixel", "imager", "kind", "factor", "expected"), TABLE)
def test_the_table_of_origins(
    projection: bool,
    section: bool,
    pixel: tuple[float, float] | None,
    imager: tuple[float, float] | None,
    kind: str,
    factor: float | None,
    expected: Spacing,
) -> None:
    found = spacing_of(
        Calibration(
            pixel_mm=pixel,
            imager_mm=imager,
            kind=kind,
            magnification=factor,
            projection=projection,
            cross_section=section,
        )
    )
    assert (found.origin, found.unit, found.note) == (expected.origin, expected.unit, expected.note)
    assert (found.step_x, found.step_y) == pytest.approx((expected.step_x, expected.step_y))


def test_film_the_frames_own_and_odd_pixels() -> None:
    assert spacing_of(Calibration(nominal_mm=C)) == mm("nominal", C)
    assert spacing_of(Calibration(imager_mm=B, nominal_mm=C)).origin == "detector"
    assert spacing_of(Calibration(pixel_mm=B), A) == mm("patient", A)
    assert spacing_of(Calibration(), aspect=(2, 1)) == Spacing("pixels", "px", "px", 1.0, 2.0)


def region(box: tuple[int, int, int, int], unit: str = "mm", step: float = 0.2, kind: str = "2d") -> Region:
    return Region(*box, kind, unit, "mm", step, step)  # type: ignore[arg-type]


def test_regions_count_where_they_are() -> None:
    regions = (region((0, 0, 100, 100)), region((50, 0, 200, 100), step=0.5), region((0, 100, 9, 120), "s"))
    both = Calibration(pixel_mm=A, regions=regions)
    cells: list[tuple[list[tuple[float, float]], float | None]] = [
        ([(10, 10), (40, 40)], 0.2),
        ([(60, 10), (70, 40)], 0.2),
        ([(60, 10), (170, 40)], 0.5),
        ([(100, 100)], 0.2),
        ([(10, 10), (170, 40)], None),
        ([(10, 150)], None),
        ([], None),
    ]
    for points, step in cells:
        found = spacing_of(both, points=points)
        assert found.origin == ("pixels" if step is None else "ultrasound region"), points
        assert found.step_x == (step or 1.0)
    trace = spacing_of(both, points=[(1, 110), (8, 118)])
    assert (trace.unit_x, trace.unit_y, trace.unit) == ("s", "mm", "")
    assert frame_spacing_mm(both) is None
    assert frame_spacing_mm(Calibration(regions=regions[::2])) == (0.2, 0.2)


def test_every_unit_of_ultrasound_is_known() -> None:
    # PS3.3 C.8.5.5.1.15 counts to 0CH, C.8.5.5.1.1 to 5.
    assert sorted(ULTRASOUND_UNITS) == list(range(13))
    assert sorted(REGION_KINDS) == list(range(6))
    assert ULTRASOUND_UNITS[3] == ("mm", 10.0)
