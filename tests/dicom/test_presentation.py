"""Windows, tables and padding against the formulas of the standard."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sivr.dicom.presentation import (
    default_window,
    display_table,
    modality_values,
    render_reference,
    value_range,
    window_levels,
)
from sivr.errors import Invalid
from sivr.model.pixels import FrameDisplay, Lut, Modality, PixelFormat, Window
from sivr.model.studies import Frame, InstanceHeader


def pixel_format(bits: int = 16, signed: bool = False, **changes: object) -> PixelFormat:
    fields: dict[str, object] = {
        "rows": 4,
        "columns": 4,
        "samples_per_pixel": 1,
        "photometric_interpretation": "MONOCHROME2",
        "bits_allocated": 8 if bits <= 8 else 16,
        "bits_stored": bits,
        "high_bit": bits - 1,
        "signed": signed,
    }
    return PixelFormat(**(fields | changes))  # type: ignore[arg-type]


def lut(first: int, bits: int, *entries: int) -> Lut:
    return Lut(first, bits, np.asarray(entries, "<u2").tobytes())


@pytest.mark.parametrize("value", [-200, -159.5, -159, 0, 39.5, 40, 239, 239.4, 240, 500])
def test_linear_is_the_formula_of_the_standard(value: float) -> None:
    c, w = 40.0, 400.0
    if value <= c - 0.5 - (w - 1) / 2:
        expected = 0.0
    elif value > c - 0.5 + (w - 1) / 2:
        expected = 1.0
    else:
        expected = (value - (c - 0.5)) / (w - 1) + 0.5
    assert window_levels(np.asarray([value]), Window(c, w))[0] == pytest.approx(expected)


def test_linear_exact_and_sigmoid() -> None:
    x = np.asarray([-160.0, 40.0, 240.0])
    assert window_levels(x, Window(40, 400, "linear-exact")).tolist() == [0.0, 0.5, 1.0]
    expected = [1 / (1 + math.exp(-4 * (v - 40) / 400)) for v in x]
    assert window_levels(x, Window(40, 400, "sigmoid")) == pytest.approx(expected)


def test_a_window_of_width_one_is_a_threshold() -> None:
    assert window_levels(np.asarray([9.0, 9.5, 10.0]), Window(10, 1)).tolist() == [0.0, 0.0, 1.0]


def test_a_sigmoid_far_away_does_not_overflow() -> None:
    assert window_levels(np.asarray([-1e30, 1e30]), Window(0, 1e-3, "sigmoid")).tolist() == pytest.approx(
        [0, 1]
    )


def test_modality_lut_holds_its_ends() -> None:
    display = FrameDisplay(Modality(lut=lut(10, 16, 100, 200, 300)))
    assert modality_values(np.asarray([0, 10, 11, 12, 99], np.uint16), display).tolist() == [
        100,
        100,
        200,
        300,
        300,
    ]


def test_a_voi_lut_of_twelve_bits_fills_the_grey_scale() -> None:
    display = FrameDisplay(voi_luts=(lut(0, 12, 0, 2048, 4095),))
    assert render_reference(np.asarray([[0, 1, 2]], np.uint16), display).tolist() == [[0, 128, 255]]


def test_padding_is_black_also_when_inverted() -> None:
    display = FrameDisplay(windows=(Window(50, 100, "linear-exact"),), padding=(-5, -3), invert=True)
    assert render_reference(np.asarray([[-6, -5, -4, -3, 0, 100]], np.int16), display).tolist() == [
        [255, 0, 0, 0, 255, 0]
    ]


@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("invert", [False, True])
def test_a_table_equals_the_reference_for_every_value(bits: int, signed: bool, invert: bool) -> None:
    form = pixel_format(bits, signed)
    display = FrameDisplay(Modality(1.5, -20.0), padding=(3, 5), invert=invert)
    dtype = np.dtype(f"{'i' if signed else 'u'}{form.bits_allocated // 8}")
    info = np.iinfo(dtype)
    every = np.arange(info.min, info.max + 1).astype(dtype)
    for window in (Window(40, 400), Window(0.5, 10, "linear-exact"), Window(10, 30, "sigmoid")):
        table = display_table(display, form, window)
        assert table.dtype == np.uint8
        assert np.array_equal(table[every.astype(int) - info.min], render_reference(every, display, window))


def test_no_table_for_float_color_and_wide_pixels() -> None:
    for form in (
        pixel_format(kind="float", bits_allocated=32),
        pixel_format(bits_allocated=32),
        pixel_format(samples_per_pixel=3, photometric_interpretation="RGB"),
    ):
        with pytest.raises(Invalid):
            display_table(FrameDisplay(), form, Window(1, 2))


def test_a_lut_that_is_not_there_is_refused() -> None:
    with pytest.raises(Invalid, match="no number 2"):
        render_reference(np.zeros((2, 2), np.uint8), FrameDisplay(voi_luts=(lut(0, 8, 0, 255),)), None, 1)


def header(display: FrameDisplay, form: PixelFormat) -> InstanceHeader:
    return InstanceHeader(
        study_uid="1",
        series_uid="1",
        instance_uid="1",
        sop_class_uid="1",
        transfer_syntax_uid="1",
        pixel_format=form,
        frames=(Frame((), None, None, display),),
    )


def test_the_first_window_comes_from_the_file_then_the_values_then_the_bits() -> None:
    values = np.linspace(100, 1100, 10000, dtype=np.uint16).reshape(100, 100)
    own = FrameDisplay(windows=(Window(1, 2), Window(3, 4)))
    assert default_window(header(own, pixel_format()), 0, values) == Window(1, 2)
    found = default_window(header(FrameDisplay(), pixel_format(12)), 0, values)
    assert found.center == pytest.approx(600, abs=5) and found.width == pytest.approx(990, abs=10)
    assert default_window(header(FrameDisplay(), pixel_format(12)), 0) == Window(2047.5, 4095, "linear-exact")
    assert default_window(header(FrameDisplay(), pixel_format(8)), 0) == Window(127.5, 255, "linear-exact")


def test_statistics_leave_padding_out() -> None:
    values = np.full((100, 100), -2000, np.int16)
    values[40:60, 40:60] = np.arange(400).reshape(20, 20)
    display = FrameDisplay(padding=(-2000, -2000))
    found = default_window(header(display, pixel_format(16, True)), 0, values)
    assert found.center - found.width / 2 > -10
    assert value_range(values, display) == (0.0, 399.0)
    assert value_range(np.full((2, 2), -2000, np.int16), display) is None


def test_constant_and_float_frames_have_a_window() -> None:
    for values in (
        np.zeros((4, 4), np.float32),
        np.full((4, 4), np.nan, np.float32),
        np.full((4, 4), 7, np.int16),
    ):
        form = pixel_format(kind="float" if values.dtype.kind == "f" else "integer", signed=True)
        window = default_window(header(FrameDisplay(), form), 0, values)
        assert window.width > 0
        assert render_reference(values, FrameDisplay(), window).shape == (4, 4)
        assert render_reference(values, FrameDisplay()).shape == (4, 4)
