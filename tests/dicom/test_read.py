"""Headers: what is found, what is refused and with which words."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import UID

from sivr.dicom.phantom import phantom_affine, write_phantom
from sivr.dicom.pixels import decode_frame, decode_frames, encoded_frame
from sivr.dicom.read import read_header
from sivr.dicom.syntax import SYNTAXES
from sivr.errors import Invalid
from sivr.model.pixels import Window
from sivr.model.studies import InstanceHeader
from tests.dicom import reference

WHEEL = reference.wheel_files()


def written(data: Dataset, syntax: str = "1.2.840.10008.1.2.1") -> bytes:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = UID(syntax)
    meta.MediaStorageSOPClassUID = data.get("SOPClassUID", UID("1.2.3"))
    meta.MediaStorageSOPInstanceUID = data.get("SOPInstanceUID", UID("1.2.3"))
    file = io.BytesIO()
    implicit, little = syntax == "1.2.840.10008.1.2", syntax != "1.2.840.10008.1.2.2"
    FileDataset(file, data, file_meta=meta, preamble=b"\0" * 128).save_as(
        file, implicit_vr=implicit, little_endian=little
    )
    return file.getvalue()


def image(**changes: object) -> Dataset:
    data = Dataset()
    data.SOPClassUID, data.SOPInstanceUID = UID("1.2.840.10008.5.1.4.1.1.2"), UID("1.2.3.4")
    data.StudyInstanceUID, data.SeriesInstanceUID = UID("1.2.3"), UID("1.2.3.5")
    data.Modality = "CT"
    data.PatientName, data.PatientID = "Novak^Ana", "12345"
    data.Rows = data.Columns = 4
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated = data.BitsStored = 16
    data.HighBit, data.PixelRepresentation = 15, 0
    for keyword, value in changes.items():
        setattr(data, keyword, value)
    if "PixelData" not in changes:
        data.PixelData = np.arange(16, dtype="<u2").tobytes()
    data["PixelData"].VR = "OW"
    return data


def test_a_header_keeps_what_the_file_says(shared_data: Path) -> None:
    header = read_header(shared_data / "ct-head-1mm" / "I10")
    assert header.modality == "CT" and header.manufacturer
    assert header.pixel_format is not None
    assert (header.pixel_format.rows, header.pixel_format.columns) == (512, 512)
    frame = header.frames[0]
    assert frame.parts == ((8136, 524288),)
    assert frame.display.modality.units == "HU" and frame.display.modality.intercept == -1024
    assert frame.display.windows[0] == Window(40, 80)
    assert frame.plane is not None and frame.plane.orientation == (1, 0, 0, 0, 1, 0)
    assert header.calibration is not None and header.calibration.cross_section


@pytest.mark.parametrize("kind", [Path, bytes, io.BytesIO])
def test_every_kind_of_source_gives_the_same_header(kind: type) -> None:
    path = WHEEL / "CT_small.dcm"
    source = path if kind is Path else kind(path.read_bytes())
    assert read_header(source) == read_header(path)


def test_headers_survive_msgpack(shared_data: Path) -> None:
    for path in reference.files(WHEEL, shared_data / "transfer-syntaxes"):
        try:
            header = read_header(path)
        except Invalid:
            continue
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(header), type=InstanceHeader) == header


def test_no_patient_in_a_header() -> None:
    text = msgspec.json.encode(read_header(written(image()))).decode()
    assert "Novak" not in text and "12345" not in text


def test_window_values_as_people_write_them() -> None:
    data = image(WindowCenter=["-0450", "40"], WindowWidth=["1600.0", "400"])
    assert read_header(written(data)).frames[0].display.windows == (Window(-450, 1600), Window(40, 400))


def test_windows_that_make_no_sense_are_left_out() -> None:
    data = image(WindowCenter=["40", "30", "20"], WindowWidth=["0", "-5", "0.5"])
    assert read_header(written(data)).frames[0].display.windows == ()


@pytest.mark.parametrize("charset", ["ISO_IR 192", "ISO_IR 101", "ISO_IR 144"])
def test_descriptions_are_read_in_their_character_set(charset: str) -> None:
    text = "Снимак" if charset != "ISO_IR 101" else "Pregled č"
    data = image(SpecificCharacterSet=charset, StudyDescription=text)
    assert read_header(written(data)).study_description == text


def test_signed_padding_written_unsigned() -> None:
    data = image(PixelRepresentation=1)
    data.add_new(0x00280120, "US", 63536)
    assert read_header(written(data)).frames[0].display.padding == (-2000, -2000)


def test_the_names_of_missing_identifiers() -> None:
    data = image()
    del data.StudyInstanceUID
    del data.SeriesInstanceUID
    with pytest.raises(Invalid, match="The mandatory Study Instance UID and Series Instance UID are missing"):
        read_header(written(data))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "The file is empty."),
        (b"hello", "This is not a DICOM file: its DICM prefix is missing."),
        (b"\0" * 4096, "This is not a DICOM file: its DICM prefix is missing."),
        (b"\0" * 128 + b"DICM", "The file is cut off."),
    ],
)
def test_what_is_not_dicom(content: bytes, sentence: str) -> None:
    with pytest.raises(Invalid, match=sentence):
        read_header(content)


def test_a_directory_is_refused_by_name() -> None:
    with pytest.raises(Invalid, match="DICOMDIR"):
        read_header(WHEEL / "dicomdirtests" / "DICOMDIR")


def test_objects_without_pixels_are_instances(shared_data: Path) -> None:
    for path in (
        shared_data / "transfer-syntaxes" / "no-pixel-data.dcm",
        WHEEL / "rtplan.dcm",
        WHEEL / "test-SR.dcm",
    ):
        header = read_header(path)
        assert header.not_renderable.startswith("The object has no pixels")
        assert header.frames == ()
        with pytest.raises(Invalid, match="no pixels"):
            next(decode_frames(header, path))


def test_an_unknown_transfer_syntax_is_stored_and_not_shown() -> None:
    data = written(image())
    raw = data.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.999.1.2.3.4\0")
    header = read_header(raw)
    assert (
        header.not_renderable
        == "No picture can be made: the transfer syntax 1.2.840.999.1.2.3.4 is not known."
    )
    assert header.transfer_syntax_uid == "1.2.840.999.1.2.3.4"


def test_every_syntax_of_the_table_has_a_codec_or_a_reason() -> None:
    for syntax in SYNTAXES.values():
        assert (syntax.codec is None) == bool(syntax.why_not)


def test_a_preamble_with_a_program_changes_nothing(shared_data: Path) -> None:
    path = shared_data / "various" / "d00rt__pedicom" / "bad" / "pedicom-cylera.dcm"
    header = read_header(path)
    assert next(decode_frames(header, path)).max() == 250


@pytest.mark.parametrize("rows", [65535, 0])
def test_sizes_the_pixels_do_not_have(rows: int) -> None:
    header = read_header(written(image(Rows=rows, Columns=65535)))
    assert header.not_renderable and header.frames == ()


def test_a_claim_of_three_gigabytes_costs_nothing() -> None:
    raw = written(image())
    place = raw.index(struct.pack("<HH2sH", 0x7FE0, 0x0010, b"OW", 0)) + 8
    claimed = raw[:place] + struct.pack("<L", 3 << 30) + raw[place + 4 :]
    with pytest.raises(Invalid, match="3221225472 bytes of pixels are announced, 32 are there"):
        read_header(claimed)


@pytest.mark.parametrize("defined", [True, False])
def test_sequences_nested_thousands_deep(defined: bool) -> None:
    head = written(image())
    place = head.index(struct.pack("<HH2sH", 0x7FE0, 0x0010, b"OW", 0))
    open_sequence = struct.pack("<HH2sHL", 0x5200, 0x9229, b"SQ", 0, 0xFFFFFFFF)
    nested = (open_sequence + struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF)) * 5000
    if defined:
        nested = struct.pack("<HHL", 0xFFFE, 0xE000, len(nested)) + nested
        nested = struct.pack("<HH2sHL", 0x5200, 0x9229, b"SQ", 0, len(nested)) + nested
    with pytest.raises(Invalid, match="nests sequences too deep"):
        read_header(head[:place] + nested + (head[place:] if defined else b""))


def deflated(head: bytes, zeros: int, tail: bytes = b"") -> bytes:
    """A deflated file: data set ``head``, so many zeros, ``tail``."""
    raw = written(image(), "1.2.840.10008.1.2.1.99")
    machine = zlib.compressobj(1, wbits=-15)
    pieces = [raw[: raw.index(b"1.2.840.10008.1.2.1.99") + 22], machine.compress(head)]
    pieces += [machine.compress(bytes(1 << 20)) for _ in range(zeros >> 20)]
    return b"".join([*pieces, machine.compress(tail), machine.flush()])


def data_set(**changes: object) -> bytes:
    """The bytes of an image's data set, in explicit little endian, up to its pixels' place."""
    raw = written(image(**changes))
    start = raw.index(struct.pack("<HH2s", 8, 0x16, b"UI"))
    return raw[start : raw.index(struct.pack("<HH2s", 0x7FE0, 0x10, b"OW"))]


def pixel_element(length: int) -> bytes:
    """How an element of pixels begins."""
    return struct.pack("<HH2sHL", 0x7FE0, 0x10, b"OW", 0, length)


def test_a_deflated_bomb_of_pixels_is_stopped() -> None:
    body = deflated(data_set() + pixel_element(256 << 20), 256 << 20)
    with (
        peak_memory() as peak,
        pytest.raises(Invalid, match="more than its rows, columns and frames explain"),
    ):
        read_header(body)
    assert peak[0] < 32 << 20
    for group, element, vr in ((9, 0x1001, b"OB"), (9, 0x1001, b"UN"), (8, 0x1030, b"UT")):
        large = struct.pack("<HH2sHL", group, element, vr, 0, 256 << 20)
        with peak_memory() as peak, pytest.raises(Invalid, match="grows beyond"):
            read_header(deflated(large, 256 << 20))
        assert peak[0] < 128 << 20


def test_deflated_pixels_are_checked_without_being_held() -> None:
    columns = rows = 1 << 13
    body = deflated(data_set(Rows=rows, Columns=columns) + pixel_element(128 << 20), 128 << 20)
    with peak_memory() as peak:
        header = read_header(body)
    assert peak[0] < 16 << 20
    assert not header.not_renderable and len(header.frames) == 1
    head = data_set(Rows=rows, Columns=columns, NumberOfFrames=3) + pixel_element(384 << 20)
    header = read_header(deflated(head, 384 << 20))
    assert header.not_renderable == "Deflated pixels of 384 MiB are too large to be shown."
    with pytest.raises(Invalid, match="cut off"):
        read_header(deflated(head, 383 << 20))
    with pytest.raises(Invalid, match="deflated data set does not end"):
        read_header(body[:-8])


@pytest.mark.parametrize("bits", [1, 8, 16])
def test_deflated_frames_are_decoded_one_after_the_other(bits: int) -> None:
    rows, columns, frames = (3, 5, 40) if bits == 1 else (400, 300, 40)
    values = np.random.default_rng(bits).integers(0, 1 << bits, (frames, rows, columns)).astype("<u2")
    packed = values.astype(f"<u{max(bits // 8, 1)}")
    if bits == 1:
        packed = np.packbits(packed, bitorder="little")
    content = packed.tobytes() + b"\0" * (packed.nbytes % 2)
    data = image(Rows=rows, Columns=columns, NumberOfFrames=frames, PixelData=content)
    data.BitsAllocated = data.BitsStored = bits
    data.HighBit = bits - 1
    raw = written(data, "1.2.840.10008.1.2.1.99")
    header = read_header(raw)
    with peak_memory() as peak:
        for number, frame in enumerate(decode_frames(header, raw)):
            np.testing.assert_array_equal(frame, values[number])
    assert number == frames - 1
    assert peak[0] < 8 << 20


@contextmanager
def peak_memory() -> Iterator[list[int]]:
    """Bytes held at most by what happens inside, known afterwards."""
    peak: list[int] = []
    tracemalloc.start()
    try:
        yield peak
    finally:
        peak.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()


def test_a_cut_file_says_so() -> None:
    with pytest.raises(Invalid, match="8192 bytes of pixels are announced, 8130 are there"):
        read_header(WHEEL / "MR_truncated.dcm")
    with pytest.raises(Invalid, match="cut off"):
        read_header(WHEEL / "rtplan_truncated.dcm")


def test_an_image_cut_off_right_before_its_pixels() -> None:
    whole = written(image())
    cut = whole[: whole.index(struct.pack("<HH2s", 0x7FE0, 0x0010, b"OW"))]
    with pytest.raises(Invalid, match="cut off: it describes an image, but its pixels are missing"):
        read_header(cut)
    with pytest.raises(Invalid, match="its pixels are missing"):
        read_header(deflated(data_set(), 0))


def test_objects_that_need_no_pixels_are_taken() -> None:
    referenced = image(PixelDataProviderURL="https://archive.example.org/1.2.3.4")
    del referenced.PixelData
    assert read_header(written(referenced)).not_renderable.startswith("The object has no pixels")
    for sop_class in ("1.2.840.10008.5.1.4.1.1.11.1", "1.2.840.10008.5.1.4.1.1.88.22"):
        other = image(SOPClassUID=UID(sop_class))
        del other.PixelData
        assert read_header(written(other)).not_renderable.startswith("The object has no pixels")
    undescribed = image()
    del undescribed.PixelData, undescribed.Rows, undescribed.Columns
    assert read_header(written(undescribed)).not_renderable.startswith("The object has no pixels")


def test_enhanced_frames_have_their_own_place(tmp_path: Path) -> None:
    (path,) = write_phantom(tmp_path, "letter", (5, 16, 16), multi_frame=True)
    header = read_header(path)
    affine = phantom_affine("letter", (5, 16, 16))
    assert len(header.frames) == 5
    for k, frame in enumerate(header.frames):
        assert frame.plane is not None
        assert frame.plane.position == pytest.approx(tuple(affine[:3, 3] + k * affine[:3, 2]))
        assert frame.spacing_mm == (8.0, 8.0)
        assert frame.display.modality.intercept == -1024
        assert frame.display.windows == (Window(300, 2600),)
    assert header.frames[0].display is header.frames[4].display


def test_dose_frames_lie_by_their_offsets() -> None:
    header = read_header(WHEEL / "rtdose.dcm")
    data = pydicom.dcmread(WHEEL / "rtdose.dcm")
    heights = [frame.plane.position[2] for frame in header.frames if frame.plane is not None]
    expected = [float(data.ImagePositionPatient[2]) + float(o) for o in data.GridFrameOffsetVector]
    assert heights == pytest.approx(expected)
    assert header.frames[0].display.modality.slope == pytest.approx(float(data.DoseGridScaling))
    assert header.frames[0].display.modality.units == ("Gy" if data.DoseUnits == "GY" else "")


def test_ultrasound_spacing_comes_from_its_region() -> None:
    region = Dataset()
    region.RegionSpatialFormat, region.PhysicalUnitsXDirection, region.PhysicalUnitsYDirection = 1, 3, 3
    region.PhysicalDeltaX, region.PhysicalDeltaY = 0.02, 0.03
    header = read_header(written(image(SequenceOfUltrasoundRegions=Sequence([region]), Modality="US")))
    assert header.frames[0].spacing_mm == pytest.approx((0.3, 0.2))
    assert header.calibration is not None and len(header.calibration.regions) == 1


def test_fragments_are_joined_with_and_without_tables(shared_data: Path) -> None:
    folder = shared_data / "various" / "cornerstonejs__dicomParser"
    found = sorted(p for p in folder.rglob("CT1_UNC.*fragmented*jpeg_ls*.dcm"))
    assert len(found) >= 3
    arrays = [next(decode_frames(read_header(path), path)) for path in found]
    assert any(len(read_header(path).frames[0].parts) > 1 for path in found)
    assert all(np.array_equal(arrays[0], other) for other in arrays[1:])


def encapsulated(items: list[bytes], table: bytes = b"", extended: list[int] | None = None) -> bytes:
    """A data set of two 4x4 RLE frames with these items."""
    data = image(NumberOfFrames="2", BitsAllocated=8, BitsStored=8, HighBit=7)
    if extended is not None:
        data.ExtendedOffsetTable = struct.pack(f"<{len(extended)}Q", *extended)
        data.ExtendedOffsetTableLengths = struct.pack(f"<{len(extended)}Q", *(0 for _ in extended))
    raw = written(data)
    place = raw.index(struct.pack("<HH2sH", 0x7FE0, 0x0010, b"OW", 0))
    head = raw[:place].replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.5\0")
    pixels = struct.pack("<HH2sHL", 0x7FE0, 0x0010, b"OB", 0, 0xFFFFFFFF)
    pixels += b"".join(struct.pack("<HHL", 0xFFFE, 0xE000, len(item)) + item for item in (table, *items))
    return head + pixels + struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)


def rle(value: int) -> bytes:
    return struct.pack("<16L", 1, 64, *([0] * 14)) + bytes((256 - 15, value))


@pytest.mark.parametrize("form", ["one each", "basic table", "extended table"])
def test_two_frames_found_by_each_way(form: str) -> None:
    a, b = rle(7), rle(9)
    halves = [a[:64], a[64:], b[:64], b[64:]]
    second = 64 + 8 + 2 + 8
    if form == "one each":
        raw = encapsulated([a, b])
    elif form == "basic table":
        raw = encapsulated(halves, struct.pack("<2L", 0, second))
    else:
        raw = encapsulated(halves, extended=[0, second])
    header = read_header(raw)
    assert len(header.frames) == 2
    for frame, value in enumerate((7, 9)):
        assert (decode_frame(header, frame, encoded_frame(header, frame, raw)) == value).all()


def test_frames_that_cannot_be_told_apart() -> None:
    a, b = rle(7), rle(9)
    header = read_header(encapsulated([a[:64], a[64:], b]))
    assert header.not_renderable
    assert "Frames cannot be told apart: there is no offset table." in header.warnings


def test_missing_frames_are_told() -> None:
    data = image(NumberOfFrames="10", PixelData=np.arange(48, dtype="<u2").tobytes())
    header = read_header(written(data))
    assert len(header.frames) == 3
    assert "Only 3 of 10 frames are in the object." in header.warnings


def test_a_frame_of_another_size_than_its_header(shared_data: Path) -> None:
    path = WHEEL / "JPEG2000.dcm"
    header = read_header(path)
    assert header.pixel_format is not None
    other = msgspec.structs.replace(
        header, pixel_format=msgspec.structs.replace(header.pixel_format, rows=header.pixel_format.rows + 1)
    )
    with pytest.raises(Invalid, match="where the header says"):
        next(decode_frames(other, path))


def test_every_various_file_is_a_header_or_a_sentence(shared_data: Path) -> None:
    refused: list[str] = []
    shown = not_shown = 0
    for path in reference.files(shared_data / "various"):
        try:
            header = read_header(path)
            if header.not_renderable:
                not_shown += 1
                refused.append(f"{path.name}: {header.not_renderable}")
            else:
                next(decode_frames(header, path))
                shown += 1
        except Invalid as refusal:
            assert refusal.message.endswith(".") and refusal.message[0].isupper()
            refused.append(f"{path.name}: {refusal}")
    print("\n".join(refused))
    assert shown > 350 and not_shown >= 15


FUZZED = [
    WHEEL / name
    for name in (
        "CT_small.dcm",
        "JPEG2000.dcm",
        "MR_small_RLE.dcm",
        "SC_rgb_jpeg.dcm",
        "rtdose.dcm",
        "test-SR.dcm",
        "image_dfl.dcm",
        "MR_small_bigendian.dcm",
        "MR_small_jpeg_ls_lossless.dcm",
        "eCT_Supplemental.dcm",
    )
    if (WHEEL / name).exists()
]


def only_invalid(raw: bytes) -> None:
    try:
        header = read_header(raw)
        for values in decode_frames(header, raw):
            assert values.ndim in (2, 3)
            break
    except Invalid as refusal:
        assert refusal.message


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(path=st.sampled_from(FUZZED), cut=st.floats(0, 1))
def test_any_cut_is_a_sentence(path: Path, cut: float) -> None:
    raw = path.read_bytes()
    only_invalid(raw[: int(len(raw) * cut)])


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(
    path=st.sampled_from(FUZZED),
    flips=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=30),
    early=st.booleans(),
)
def test_any_flip_is_a_sentence(path: Path, flips: list[tuple[float, int]], early: bool) -> None:
    raw = bytearray(path.read_bytes())
    span = min(len(raw), 3000) if early else len(raw)
    for place, value in flips:
        raw[int(place * (span - 1))] = value
    only_invalid(bytes(raw))


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(body=st.binary(max_size=400))
def test_any_bytes_after_the_prefix_are_a_sentence(body: bytes) -> None:
    only_invalid(b"\0" * 128 + b"DICM" + body)


def test_damaged_frames_end_neither_the_process_nor_never(shared_data: Path) -> None:
    """What gdcm aborts on, and what pydicom's JPEG 2000 box walk never comes back from."""
    rgb = bytearray((WHEEL / "SC_rgb_jpeg.dcm").read_bytes())
    start = rgb.index(b"\xff\xd8\xff\xee")
    for place in range(start + 16, len(rgb), 97):
        rgb[place] = 255
    only_invalid(bytes(rgb))
    jp2 = bytearray((WHEEL / "JPEG2000.dcm").read_bytes())
    place = jp2.index(b"\xff\x4f\xff\x51")
    jp2[place : place + 12] = b"\x00\x00\x00\x0cjP  \x0d\x0a\x87\x0a"
    jp2[place + 12 : place + 20] = bytes(8)
    only_invalid(bytes(jp2))


@pytest.mark.parametrize(
    ("position", "code", "view"),
    [("CC", "", "CC"), ("", "R-10226", "MLO"), ("", "399162004", "CC"), ("pa", "", "PA"), ("LL", "1", "LL")],
)
def test_the_view_of_a_projection_is_its_code_or_its_position(
    tmp_path: Path, position: str, code: str, view: str
) -> None:
    [path] = write_phantom(tmp_path, "ramp", (1, 16, 16))
    data = pydicom.dcmread(path)
    data.ImageLaterality, data.ViewPosition = "R", position
    if code:
        item = pydicom.Dataset()
        item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code, "SCT", "view"
        data.ViewCodeSequence = [item]
    data.save_as(path)
    header = read_header(path)
    assert (header.laterality, header.view) == ("R", view)
