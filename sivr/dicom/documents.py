"""What every object that we write has in common: whose it is, where it belongs, who made it."""

from __future__ import annotations

import io
import math
import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import UID

from sivr import __version__
from sivr.dicom import elements
from sivr.dicom.read import parse
from sivr.dicom.stream import Stream
from sivr.errors import Invalid

_KEPT = (
    0x00080020, 0x00080030, 0x00080050, 0x00080090, 0x00081030,
    0x00100010, 0x00100020, 0x00100021, 0x00100030, 0x00100040,
    0x0020000D, 0x00200010,
)  # fmt: skip
"""Patient and study as the images say them (PS3.3 C.7.1.1, C.7.2.1)."""
_MANDATORY = (
    "StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName",
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyID",
)  # fmt: skip
IMPLEMENTATION = "2.25.240157873011285432219035061853254104701"


class Reference(msgspec.Struct, frozen=True, order=True):
    """An image that a document speaks of."""

    study_uid: str
    series_uid: str
    instance_uid: str
    sop_class_uid: str
    frames: int
    """How many it has: single ones are not numbered."""


class Making(msgspec.Struct, frozen=True, kw_only=True):
    """Who makes a document, when, and what it is called."""

    author: str
    at: datetime
    title: str = ""
    series_number: int = 900


def read_whole(source: BinaryIO | Path | bytes) -> Dataset:
    """A data set without its pixels; raises Invalid."""
    with Stream(source) as stream:
        return parse(stream, []).data


def new_document(example: Dataset, sop_class_uid: str, modality: str, making: Making) -> Dataset:
    """A data set of the patient and study of an image, in a series of its own."""
    data = Dataset()
    data.SpecificCharacterSet = "ISO_IR 192"
    for tag in _KEPT:
        element = example.get(tag)
        if element is not None and elements.value(example, tag) is not None:
            data.add_new(tag, element.VR, element.value)
    for keyword in _MANDATORY:
        if keyword not in data:
            setattr(data, keyword, "" if keyword != "PatientName" else None)
    data.SOPClassUID, data.SOPInstanceUID = UID(sop_class_uid), UID(new_uid())
    data.SeriesInstanceUID = UID(new_uid())
    data.Modality, data.Manufacturer = modality, "SIVR"
    data.ManufacturerModelName, data.SoftwareVersions = "SIVR", __version__
    data.SeriesNumber, data.InstanceNumber = str(making.series_number), "1"
    data.SeriesDescription = making.title[:64]
    date, time = f"{making.at:%Y%m%d}", f"{making.at:%H%M%S}"
    data.InstanceCreationDate = data.SeriesDate = date
    data.InstanceCreationTime = data.SeriesTime = time
    data.TimezoneOffsetFromUTC = f"{making.at:%z}" or "+0000"
    return data


def written(data: Dataset) -> bytes:
    """The data set as a file (PS3.10), Explicit VR Little Endian."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = data.SOPClassUID, data.SOPInstanceUID
    meta.TransferSyntaxUID = UID("1.2.840.10008.1.2.1")
    meta.ImplementationClassUID = UID(IMPLEMENTATION)
    meta.ImplementationVersionName = f"SIVR {__version__}"[:16]
    out = io.BytesIO()
    FileDataset(out, data, file_meta=meta, preamble=b"\0" * 128).save_as(out, enforce_file_format=True)
    return out.getvalue()


def new_uid() -> str:
    """A UID of its own below 2.25 (PS3.5 B.2)."""
    return f"2.25.{uuid.uuid4().int}"


def uid_of(annotation_id: str) -> str:
    """An annotation's UUID as a UID (PS3.5 B.2)."""
    return f"2.25.{uuid.UUID(annotation_id).int}"


def id_of(text: str) -> str:
    """A UUID that follows from a UID or any other text: back to ours where it was one."""
    if text.startswith("2.25.") and text[5:].isdecimal() and int(text[5:]) < 1 << 128:
        return uuid.UUID(int=int(text[5:])).hex
    return uuid.uuid5(uuid.NAMESPACE_OID, text).hex


def code(value: str, scheme: str, meaning: str) -> Dataset:
    """A coded concept (PS3.3 8.8)."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning[:64]
    return item


def sop_item(image: Reference, frames: Sequence[int] = ()) -> Dataset:
    """A reference to an image, with frame numbers where it has several (PS3.3 10.3)."""
    item = Dataset()
    item.ReferencedSOPClassUID = UID(image.sop_class_uid)
    item.ReferencedSOPInstanceUID = UID(image.instance_uid)
    if frames and image.frames > 1:
        item.ReferencedFrameNumber = [str(frame) for frame in frames]
    return item


def series_items(images: Iterable[Reference], keyword: str = "ReferencedSOPSequence") -> Items:
    """Images by series (PS3.3 C.17.2.1); presentation states call those ReferencedImageSequence (C.11.11)."""
    by_series: dict[str, list[Reference]] = {}
    for one in sorted(set(images)):
        by_series.setdefault(one.series_uid, []).append(one)
    found = []
    for series_uid, members in by_series.items():
        series = Dataset()
        series.SeriesInstanceUID = UID(series_uid)
        setattr(series, keyword, Items([sop_item(one) for one in members]))
        found.append(series)
    return Items(found)


def evidence(images: Iterable[Reference]) -> Items:
    """Everything that a report speaks of, by study and series (PS3.3 C.17.2.3)."""
    images = list(images)
    found = []
    for study_uid in sorted({one.study_uid for one in images}):
        study = Dataset()
        study.StudyInstanceUID = UID(study_uid)
        study.ReferencedSeriesSequence = series_items(one for one in images if one.study_uid == study_uid)
        found.append(study)
    return Items(found)


def ds(number: float) -> str:
    """A decimal string of at most 16 characters (PS3.5 6.2)."""
    for digits in range(15, 0, -1):
        text = f"{number:.{digits}g}"
        if len(text) <= 16:
            return text
    raise Invalid("A number cannot be written.")


def person(name: str) -> str:
    """A name as a PN of at most 64 characters: what stands last is taken for the family name."""
    clean = "".join(c for c in name if c.isprintable() and c not in "\\^=").strip()
    first, _, last = clean.rpartition(" ")
    return f"{last or 'Unknown'}^{first}"[:64]


def pairs(numbers: Sequence[Any]) -> tuple[tuple[float, float], ...]:
    """Graphic Data as points; raises Invalid."""
    found = [float(one) for one in numbers]
    if len(found) % 2 or not found or not all(map(math.isfinite, found)):
        raise Invalid("Its coordinates are incomplete.")
    return tuple(zip(found[::2], found[1::2], strict=True))
