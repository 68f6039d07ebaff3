"""Overlays, shutters and supplemental palettes: known answers, and real files as pydicom reads them."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian

from sivr.dicom.graphics import (
    hidden_bits,
    overlay_mask,
    read_graphics,
    shutter_mask,
    with_supplement,
)
from sivr.dicom.phantom import write_phantom
from sivr.dicom.pixels import decode_frame, encoded_frame
from sivr.dicom.read import read_header
from sivr.model.graphics import Shutter
from sivr.model.pixels import Lut, Palette
from tests.dicom.reference import wheel_files

ROWS, COLUMNS = 40, 56
rng = np.random.default_rng(5)


def slice_of_ct(folder: Path, **changes: Any) -> Dataset:
    """One slice of a phantom with more elements."""
    data = pydicom.dcmread(write_phantom(folder, "ramp", (1, ROWS, COLUMNS))[0])
    for keyword, value in changes.items():
        setattr(data, keyword, value)
    return data


def add_overlay(data: Dataset, mask: np.ndarray, origin: tuple[int, int], group: int = 0x6000) -> None:
    rows, columns = mask.shape[-2:]
    packed = np.packbits(mask.reshape(-1), bitorder="little").tobytes()
    data.add_new(group << 16 | 0x10, "US", rows)
    data.add_new(group << 16 | 0x11, "US", columns)
    data.add_new(group << 16 | 0x40, "CS", "G")
    data.add_new(group << 16 | 0x50, "SS", list(origin))
    data.add_new(group << 16 | 0x100, "US", 1)
    data.add_new(group << 16 | 0x102, "US", 0)
    data.add_new(group << 16 | 0x3000, "OW", packed + b"\0" * (len(packed) % 2))


def written(data: Dataset) -> bytes:
    file = io.BytesIO()
    data.save_as(file)
    return file.getvalue()


def test_an_overlay_lies_where_its_origin_says_and_is_cut_at_the_edges(tmp_path: Path) -> None:
    data = slice_of_ct(tmp_path)
    mask = rng.random((13, 17)) > 0.5
    add_overlay(data, mask, (30, -3))
    body = written(data)
    assert read_header(body).graphics is True
    (plane,) = read_graphics(body).overlays
    want = np.zeros((ROWS, COLUMNS), bool)
    want[29:40, 0:13] = mask[:11, 4:]
    assert np.array_equal(overlay_mask(plane, 0, ROWS, COLUMNS), want)


def test_planes_of_a_multi_frame_overlay_begin_inside_of_bytes(tmp_path: Path) -> None:
    data = slice_of_ct(tmp_path)
    masks = rng.random((3, 5, 7)) > 0.5
    add_overlay(data, masks, (1, 1))
    data.add_new(0x60000015, "IS", "3")
    data.add_new(0x60000051, "US", 2)
    (plane,) = read_graphics(written(data)).overlays
    assert overlay_mask(plane, 0, 5, 7) is None and overlay_mask(plane, 4, 5, 7) is None
    for frame, mask in enumerate(masks, start=1):
        assert np.array_equal(overlay_mask(plane, frame, 5, 7), mask)


def test_overlays_of_big_endian_objects(tmp_path: Path) -> None:
    data = slice_of_ct(tmp_path)
    mask = rng.random((ROWS, COLUMNS)) > 0.5
    add_overlay(data, mask, (1, 1))
    little = data.get_item(0x60003000).value
    data[0x6000, 0x3000].value = np.frombuffer(little, "<u2").astype(">u2").tobytes()
    data.PixelData = data.pixel_array.astype(">u2").tobytes()
    data.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    file = io.BytesIO()
    pydicom.dcmwrite(file, data, implicit_vr=False, little_endian=False)
    (plane,) = read_graphics(file.getvalue()).overlays
    assert np.array_equal(overlay_mask(plane, 0, ROWS, COLUMNS), mask)


def test_an_overlay_in_the_unused_bits_of_the_pixels(tmp_path: Path) -> None:
    data = slice_of_ct(tmp_path)
    values = data.pixel_array
    mask = rng.random((ROWS, COLUMNS)) > 0.5
    data.BitsStored, data.HighBit = 12, 11
    data.PixelData = ((values & 0x0FFF) | (mask.astype(np.uint16) << 13)).tobytes()
    data.add_new(0x60020010, "US", ROWS)
    data.add_new(0x60020011, "US", COLUMNS)
    data.add_new(0x60020050, "SS", [1, 1])
    data.add_new(0x60020100, "US", 16)
    data.add_new(0x60020102, "US", 13)
    body = written(data)
    header = read_header(body)
    (plane,) = read_graphics(body).overlays
    assert plane.bit_position == 13
    encoded = encoded_frame(header, 0, body)
    assert np.array_equal(hidden_bits(header, 0, encoded, 13), mask)
    assert np.array_equal(decode_frame(header, 0, encoded), values & 0x0FFF), "and not in the picture itself"


@pytest.mark.parametrize("position", [0, 11, 16])
def test_bits_of_the_picture_itself_are_no_overlay(tmp_path: Path, position: int) -> None:
    data = slice_of_ct(tmp_path)
    data.BitsStored, data.HighBit = 12, 11
    for element, value in ((0x10, ROWS), (0x11, COLUMNS), (0x100, 16), (0x102, position)):
        data.add_new(0x60000000 | element, "US", value)
    assert read_graphics(written(data)).overlays == ()


def test_an_object_without_any_has_none(tmp_path: Path) -> None:
    body = written(slice_of_ct(tmp_path))
    assert read_header(body).graphics is False
    assert not read_graphics(body)


@pytest.mark.parametrize("broken", [{0x60000010: 0}, {0x60003000: b""}, {0x60003000: b"\0\0"}])
def test_overlays_that_make_no_sense_are_left_out(tmp_path: Path, broken: dict[int, Any]) -> None:
    data = slice_of_ct(tmp_path)
    add_overlay(data, np.ones((ROWS, COLUMNS), bool), (1, 1))
    for tag, value in broken.items():
        data[tag].value = value
    assert read_graphics(written(data)).overlays == ()


def test_shutters_show_what_lies_within_every_shape(tmp_path: Path) -> None:
    data = slice_of_ct(
        tmp_path,
        ShutterShape=["RECTANGULAR", "CIRCULAR", "POLYGONAL"],
        ShutterLeftVerticalEdge="5",
        ShutterRightVerticalEdge="50",
        ShutterUpperHorizontalEdge="3",
        ShutterLowerHorizontalEdge="38",
        CenterOfCircularShutter=["20", "28"],
        RadiusOfCircularShutter="21",
        VerticesOfThePolygonalShutter=["1", "1", "1", "50", "40", "30", "40", "1"],
        ShutterPresentationValue=0x8080,
    )
    shutter = read_graphics(written(data)).shutter
    assert shutter is not None and shutter.level == 0x80
    seen = shutter_mask(shutter, ROWS, COLUMNS, 1.5)
    for row in range(1, ROWS + 1):
        for column in range(1, COLUMNS + 1):
            edge = 50 - (row - 1) * 20 / 39
            if abs(column - edge) < 1e-6 or row in (1, 40) or column == 1:
                continue
            want = (
                5 <= column <= 50
                and 3 <= row <= 38
                and math.hypot((row - 20) * 1.5, column - 28) <= 21
                and column < edge
            )
            assert seen[row - 1, column - 1] == want, (row, column)


def test_frames_have_shutters_of_their_own(tmp_path: Path) -> None:
    data = pydicom.dcmread(write_phantom(tmp_path, "ramp", (2, ROWS, COLUMNS), multi_frame=True)[0])
    item = Dataset()
    item.ShutterShape = "CIRCULAR"
    item.CenterOfCircularShutter = [10, 10]
    item.RadiusOfCircularShutter = 4
    data.PerFrameFunctionalGroupsSequence[1].FrameDisplayShutterSequence = [item]
    body = written(data)
    assert read_header(body).graphics is True
    found = read_graphics(body)
    assert found.shutter is None and found.shutters == {1: Shutter(circle=(10.0, 10.0, 4.0))}


def test_a_bitmap_shutter_is_an_overlay_that_hides(tmp_path: Path) -> None:
    data = slice_of_ct(tmp_path, ShutterShape="BITMAP", ShutterOverlayGroup=0x6000)
    add_overlay(data, np.ones((4, 4), bool), (1, 1))
    found = read_graphics(written(data))
    assert found.shutter is not None and found.shutter.overlay_group == 0x6000
    assert len(found.overlays) == 1


def test_values_from_the_first_mapped_one_up_have_their_own_colors() -> None:
    def table(*entries: int) -> Lut:
        return Lut(100, 16, np.asarray(entries, "<u2").tobytes())

    palette = Palette(table(0xFF00, 0), table(0, 0x8000), table(0x1000, 0x2000))
    values = np.asarray([[0, 99, 100, 101, 500]], np.uint16)
    grey = np.asarray([[1, 2, 3, 4, 5]], np.uint8)
    got = with_supplement(grey, values, palette)
    last = [0, 0x80, 0x20]
    assert got.tolist() == [[[1, 1, 1], [2, 2, 2], [255, 0, 16], last, last]]
    assert with_supplement(grey, np.zeros_like(values), palette) is grey


def test_overlays_of_real_files_equal_pydicoms(shared_data: Path) -> None:
    various = shared_data / "various"
    paths = [
        wheel_files() / "examples_overlay.dcm",
        various / "SMI__dicompixelanon" / "overlay" / "MR-SIEMENS-DICOM-WithOverlays.dcm",
        various / "dcmfx__dcmfx" / "overlay" / "OutOfBoundsOverlay.dcm",
    ]
    for path in paths:
        data = pydicom.dcmread(path)
        found = read_graphics(path)
        assert found.overlays, path.name
        for plane in found.overlays:
            top, left = data[plane.group << 16 | 0x50].value
            whole = np.zeros((3000, 3000), bool)
            own = data.overlay_array(plane.group).astype(bool)
            whole[1000 + top - 1 :, 1000 + left - 1 :][: own.shape[0], : own.shape[1]] = own
            want = whole[1000 : 1000 + data.Rows, 1000 : 1000 + data.Columns]
            assert np.array_equal(overlay_mask(plane, 0, data.Rows, data.Columns), want), path.name
    shutter = read_graphics(paths[-1]).shutter
    assert shutter is not None and shutter.rectangle is not None


def test_the_supplemental_palette_of_a_real_file(shared_data: Path) -> None:
    path = next((shared_data / "various").rglob("CT0012.explicit_little_endian.dcm"))
    data = pydicom.dcmread(path)
    palette = read_graphics(path).supplement
    assert palette is not None
    assert palette.red.first_mapped == data.RedPaletteColorLookupTableDescriptor[1] == 1024
