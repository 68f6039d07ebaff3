"""Decoded frames and grey levels against pydicom, for every file at hand."""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path

import numpy as np
import pydicom
import pytest

from sivr.dicom.pixels import decode_frame, decode_frames, encoded_frame, render_reference
from sivr.dicom.presentation import default_window, display_table
from sivr.dicom.read import read_header
from sivr.errors import Invalid
from sivr.model.studies import InstanceHeader
from tests.dicom import reference

# pydicom decodes these otherwise: it reads a big endian palette as little endian (its twin's is
# compared below), and 32-bit color is shown with 16.
OTHERWISE = {"OBXXXX1A_expb.dcm", "SC_rgb_rle_32bit.dcm", "SC_rgb_rle_32bit_2frame.dcm"}


def compare(*roots: Path) -> tuple[Counter[str], list[str]]:
    """Counts, and every file whose pixels or grey levels differ from pydicom's."""
    counts: Counter[str] = Counter()
    wrong: list[str] = []
    for path in reference.files(*roots):
        data = reference.data_set(path)
        expected = None if data is None else reference.pixels(data)
        if data is None or expected is None or path.name in OTHERWISE:
            counts["not decoded by pydicom"] += 1
            continue
        source: Path | bytes = path
        try:
            header = read_header(source)
        except Invalid as refusal:
            assert "mandatory" in refusal.message, (path, refusal)
            source = reference.completed(data)
            header = read_header(source)
        try:
            values = next(decode_frames(header, source))
        except Invalid as refusal:
            wrong.append(f"{path.name} refused: {refusal}")
            continue
        if values.shape != expected.shape:
            wrong.append(f"{path.name} {values.shape} {expected.shape}")
            continue
        far = np.abs(values.astype(np.float64) - expected.astype(np.float64)).max()
        # Decoders of lossy JPEG may round differently (ISO 10918-2): YCbCr to RGB with integers, and the
        # cosine transform of 12 bits, where one plugin of pydicom can do it; all else is exact.
        twelve_bit_jpeg = header.transfer_syntax_uid == "1.2.840.10008.1.2.4.51" and values.ndim == 2
        allowed = 1 if header.transfer_syntax_lossy and (values.ndim == 3 or twelve_bit_jpeg) else 0
        if far > allowed:
            wrong.append(f"{path.name} differs by {far}")
        counts["equal" if far == 0 else "within 1"] += 1
        if values.ndim == 2:
            level = worst_grey_level(header, data, values)
            counts["no window"] += level is None
            counts["grey within 1"] += level is not None and level <= 1
            if level is not None and level > 1:
                wrong.append(f"{path.name} is {level:.2f} grey levels off")
    return counts, wrong


def worst_grey_level(header: InstanceHeader, data: pydicom.Dataset, values: np.ndarray) -> float | None:
    display = header.frames[0].display
    if not display.windows and not display.voi_luts:
        return None
    worst: float | None = None
    for window in (True, False):
        if not (display.windows if window else display.voi_luts):
            continue
        expected = reference.grey(data, values, window=window)
        if expected is None:
            continue
        shown = render_reference(
            values, display, display.windows[0] if window else None, None if window else 0
        ).astype(np.float64)
        if display.invert:
            expected = 255 - expected
        if display.padding is not None:
            low, high = display.padding
            image = (values < low) | (values > high)
            assert (shown[~image] == 0).all()
            shown, expected = shown[image], expected[image]
        if shown.size:
            worst = max(worst or 0.0, float(np.abs(shown - expected).max()))
    return worst


def test_the_files_of_the_wheel_equal_pydicom() -> None:
    counts, wrong = compare(reference.wheel_files())
    assert not wrong
    assert counts["equal"] + counts["within 1"] >= 50
    print(counts)


def test_every_transfer_syntax_equals_pydicom(shared_data: Path) -> None:
    counts, wrong = compare(shared_data / "transfer-syntaxes", shared_data / "multiframe")
    assert not wrong
    assert counts["equal"] + counts["within 1"] >= 13
    print(counts)


def test_all_various_files_equal_pydicom(shared_data: Path) -> None:
    counts, wrong = compare(shared_data / "various")
    assert not wrong
    assert counts["equal"] + counts["within 1"] >= 330
    print(counts)


def test_all_transfer_syntaxes_of_one_ct_agree(shared_data: Path) -> None:
    folder = shared_data / "transfer-syntaxes"
    truth = next(decode_frames(read_header(folder / "CTImage.dcm"), folder / "CTImage.dcm")).astype(int)
    for path in sorted(folder.glob("CTImage.dcm_*")):
        header = read_header(path)
        assert not header.not_renderable, path
        values = next(decode_frames(header, path)).astype(int)
        if header.transfer_syntax_lossy:
            # The 8 and 12 bit processes of JPEG keep a rescaled picture of their own.
            assert values.shape == truth.shape
            if "JPEGLS" in path.name or "JPEG2000" in path.name:
                assert np.abs(values - truth).mean() < 10
            else:
                assert np.corrcoef(values.ravel(), truth.ravel())[0, 1] > 0.9
        else:
            assert np.array_equal(values, truth), path


def test_jpeg_with_a_wrong_spectral_selection_is_decoded_as_dcmtk_does(shared_data: Path) -> None:
    folder = shared_data / "various" / "wearemothership__dicom-test-files" / "wg04"
    for name in ("MR4", "NM1"):
        lossy, truth = (
            next(decode_frames(read_header(folder / f"{name}_{kind}"), folder / f"{name}_{kind}")).astype(int)
            for kind in ("JPLY", "UNC")
        )
        assert np.abs(lossy - truth).mean() < 0.02 * truth.max()


def test_a_big_endian_palette_equals_its_little_endian_twin(shared_data: Path) -> None:
    big = next((shared_data / "various").rglob("OBXXXX1A_expb.dcm"))
    assert read_header(big).palette == read_header(big.with_name("OBXXXX1A.dcm")).palette


def test_bits_beyond_the_stored_ones_are_no_pixels() -> None:
    data = pydicom.dcmread(reference.wheel_files() / "CT_small.dcm")
    values = np.arange(128 * 128, dtype=np.uint16).reshape(128, 128) % 4096
    data.BitsStored, data.HighBit, data.PixelRepresentation = 12, 11, 0
    data.PixelData = (values | 0xF000).astype("<u2").tobytes()
    file = io.BytesIO()
    data.save_as(file)
    header = read_header(file.getvalue())
    assert np.array_equal(next(decode_frames(header, file.getvalue())), values)
    data.PixelRepresentation = 1
    file = io.BytesIO()
    data.save_as(file)
    header = read_header(file.getvalue())
    signed = np.where(values > 2047, values.astype(int) - 4096, values)
    assert np.array_equal(next(decode_frames(header, file.getvalue())), signed)


def test_a_high_bit_above_the_stored_ones_is_shifted_down() -> None:
    data = pydicom.dcmread(reference.wheel_files() / "CT_small.dcm")
    values = np.arange(128 * 128, dtype=np.uint16).reshape(128, 128) % 4096
    data.BitsStored, data.HighBit, data.PixelRepresentation = 12, 15, 0
    data.PixelData = (values << 4).astype("<u2").tobytes()
    file = io.BytesIO()
    data.save_as(file)
    assert np.array_equal(next(decode_frames(read_header(file.getvalue()), file.getvalue())), values)


@pytest.mark.parametrize("name", ["liver.dcm", "liver_nonbyte_aligned.dcm"])
def test_one_bit_frames_are_read_alone(name: str, shared_data: Path) -> None:
    path = shared_data / "various" / "pydicom__pydicom-data" / "pydicom_data" / name
    header = read_header(path)
    truth = pydicom.dcmread(path).pixel_array
    for frame in range(len(header.frames)):
        assert np.array_equal(decode_frame(header, frame, encoded_frame(header, frame, path)), truth[frame])


def test_compressed_one_bit_frames_equal_the_uncompressed(shared_data: Path) -> None:
    folder = shared_data / "various" / "pydicom__pydicom-data" / "pydicom_data"
    truth = pydicom.dcmread(folder / "liver_nonbyte_aligned.dcm").pixel_array
    for name in ("liver_nonbyte_aligned_rle.dcm", "liver_nonbyte_aligned_deflate.dcm"):
        header = read_header(folder / name)
        assert np.array_equal(np.stack(list(decode_frames(header, folder / name))), truth), name


def test_frames_read_alone_equal_frames_in_order(shared_data: Path) -> None:
    path = next((shared_data / "multiframe").glob("*.dcm"))
    header = read_header(path)
    assert len(header.frames) == 96
    for frame, values in enumerate(decode_frames(header, path)):
        if frame % 19 == 0:
            assert np.array_equal(decode_frame(header, frame, encoded_frame(header, frame, path)), values)


def test_a_table_shows_what_the_reference_shows(shared_data: Path) -> None:
    seen = 0
    for path in reference.files(reference.wheel_files(), shared_data / "transfer-syntaxes"):
        try:
            header = read_header(path)
            values = next(decode_frames(header, path))
        except Invalid:
            continue
        if values.ndim != 2 or values.dtype.kind not in "iu" or values.dtype.itemsize > 2:
            continue
        assert header.pixel_format is not None
        display = header.frames[0].display
        window = default_window(header, 0, values)
        index = values.astype(int) - np.iinfo(values.dtype).min
        table = display_table(display, header.pixel_format, window)
        assert np.array_equal(table[index], render_reference(values, display, window)), path
        seen += 1
    assert seen > 40


@pytest.mark.parametrize("explicit", [True, False])
@pytest.mark.parametrize(
    ("signed", "intercept", "first"), [(0, -1024, -1024), (0, 0, 100), (1, 0, -500), (1, 1024, 200)]
)
def test_a_voi_lut_begins_below_zero_where_its_input_does(
    explicit: bool, signed: int, intercept: int, first: int
) -> None:
    data = pydicom.dcmread(reference.wheel_files() / "CT_small.dcm")
    values = np.linspace(-900 * signed, 3000, data.Rows * data.Columns).astype(np.int16)
    data.PixelData = values.tobytes()
    data.PixelRepresentation, data.RescaleIntercept, data.RescaleSlope = signed, intercept, 1
    data.BitsStored, data.HighBit = 12 + signed, 11 + signed
    data.PixelData = values.tobytes()
    item = pydicom.Dataset()
    signed_vr = "SS" if first < 0 else "US"
    item.add_new(0x00283002, signed_vr, [2048, first, 12])
    item.add_new(0x00283006, "OW", (np.arange(2048, dtype="<u2") * 2).tobytes())
    data.VOILUTSequence = [item]
    for name in ("WindowCenter", "WindowWidth", "PixelPaddingValue"):
        if name in data:
            delattr(data, name)
    data.file_meta.TransferSyntaxUID = (
        pydicom.uid.ExplicitVRLittleEndian if explicit else pydicom.uid.ImplicitVRLittleEndian
    )
    file = io.BytesIO()
    data.save_as(file, enforce_file_format=True, implicit_vr=not explicit, little_endian=True)
    header = read_header(file.getvalue())
    values = next(decode_frames(header, file.getvalue()))
    expected = np.interp(values.astype(float) + intercept, [first, first + 2047], [0, 4094]) / 4095 * 255
    got = render_reference(values, header.frames[0].display)
    assert np.abs(got.astype(float) - expected).max() <= 1
    assert got.min() < 20 and got.max() > 230
