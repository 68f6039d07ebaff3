"""Tables of elements, against what was written and on everything that real files have."""

from __future__ import annotations

import io
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset

from sivr.dicom.phantom import write_phantom
from sivr.dicom.tags import MAX_ITEMS, MAX_VALUE, read_tags
from sivr.errors import Invalid
from sivr.model.tags import TagRow, TagTable
from tests.dicom.reference import files, wheel_files


def row(table: TagTable, tag: str) -> TagRow:
    return next(one for one in table.rows if one.tag == tag)


def test_elements_are_told_by_tag_type_name_and_value(tmp_path: Path) -> None:
    data = pydicom.dcmread(write_phantom(tmp_path, "ramp", (1, 8, 8))[0])
    data.PatientName = "Horvat^Ana=x=y"
    data.ImageComments = "a" * 5000
    block = data.private_block(0x0099, "SIVR TESTS", create=True)
    block.add_new(0x01, "LO", "mine")
    block.add_new(0x02, "OB", bytes(range(256)))
    item, inner = Dataset(), Dataset()
    inner.CodeMeaning = "Brain"
    item.AnatomicRegionSequence = [inner]
    data.ReferencedImageSequence = [item] * (MAX_ITEMS + 5)
    file = io.BytesIO()
    data.save_as(file)
    table = read_tags(file.getvalue())
    assert [one.tag for one in table.rows] == sorted(one.tag for one in table.rows)
    assert table.instance_uid == data.SOPInstanceUID and not table.complete
    name = row(table, "00100010")
    assert (name.vr, name.keyword, name.name, name.value) == (
        "PN", "PatientName", "Patient's Name", "Horvat^Ana=x=y",
    )  # fmt: skip
    assert row(table, "00200032").value == "\\".join(str(v) for v in data.ImagePositionPatient)
    comments = row(table, "00204000")
    assert comments.value == "a" * MAX_VALUE and comments.shortened
    assert row(table, "00991001").creator == "SIVR TESTS" and row(table, "00991001").value == "mine"
    assert row(table, "00991002").value == "" and row(table, "00991002").length == 256
    sequence = row(table, "00081140")
    assert (len(sequence.items), sequence.items_total) == (MAX_ITEMS, MAX_ITEMS + 5)
    assert sequence.items[0][0].items[0][0].value == "Brain"
    pixels = row(table, "7FE00010")
    assert pixels.length == 8 * 8 * 2 and pixels.value == ""
    assert row(table, "00020010").value == data.file_meta.TransferSyntaxUID


def test_functional_groups_of_one_frame_are_listed(tmp_path: Path) -> None:
    path = write_phantom(tmp_path, "ramp", (5, 8, 8), multi_frame=True)[0]
    data = pydicom.dcmread(path)
    groups = row(read_tags(path, 4), "52009230")
    assert (groups.first_item, len(groups.items), groups.items_total) == (4, 1, 5)
    position = next(one for one in groups.items[0] if one.keyword == "PlanePositionSequence").items[0][0]
    want = data.PerFrameFunctionalGroupsSequence[3].PlanePositionSequence[0].ImagePositionPatient
    assert [float(part) for part in position.value.split("\\")] == [float(v) for v in want]
    assert row(read_tags(path, 99), "52009230").items == ()


def test_what_is_no_dicom_is_refused() -> None:
    for body in (b"", b"\0" * 500, b"PK\x03\x04" + b"\0" * 500):
        with pytest.raises(Invalid):
            read_tags(body)


def test_real_files_in_every_state_are_listed_or_refused(shared_data: Path) -> None:
    listed = 0
    for path in [*files(shared_data / "transfer-syntaxes"), *files(wheel_files())]:
        try:
            table = read_tags(path)
        except Invalid as error:
            assert error.message.endswith(".")
            continue
        listed += 1
        assert table.rows
    assert listed > 100
