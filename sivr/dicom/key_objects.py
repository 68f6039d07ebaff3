"""Key Object Selections (PS3.3 A.35.4, PS3.16 TID 2010): images that somebody found worth another look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items

from sivr.dicom import elements
from sivr.dicom.documents import Making, Reference, code, evidence, id_of, new_document, written
from sivr.dicom.reports import image_item, item, long_text, observer, template
from sivr.errors import Invalid
from sivr.model.annotation_objects import ReadDrawing
from sivr.model.annotations import TEXT_LIMIT, OnFrame, Refused
from sivr.model.measuring import Measured

KEY_OBJECTS = "1.2.840.10008.5.1.4.1.1.88.59"


def write_key_objects(
    example: Dataset, measured: Sequence[Measured], images: Mapping[str, Reference], making: Making
) -> bytes:
    """A selection of the frames that these annotations lie on: of those marked as key images where there are
    some, else of all."""
    chosen = [one for one in measured if one.kind == "key"] or list(measured)
    frames: dict[str, list[int]] = {}
    for one in chosen:
        numbers = frames.setdefault(one.place.instance_uid, [])
        if one.place.frame not in numbers:
            numbers.append(one.place.frame)
    if not frames:
        raise Invalid("There is no image to select.")
    words = "\n".join(dict.fromkeys(one.text or one.name for one in chosen if one.text or one.name))
    data = new_document(example, KEY_OBJECTS, "KO", making)
    data.ContentDate, data.ContentTime = data.SeriesDate, data.SeriesTime
    data.ReferencedPerformedProcedureStepSequence = Items([])
    data.CurrentRequestedProcedureEvidenceSequence = evidence(images[uid] for uid in frames)
    data.ValueType, data.ContinuityOfContent = "CONTAINER", "SEPARATE"
    data.ConceptNameCodeSequence = Items([code("113000", "DCM", "Of Interest")])
    data.ContentTemplateSequence = Items([template("2010")])
    description = code("113012", "DCM", "Key Object Description")
    data.ContentSequence = Items(
        [
            *observer(making.author),
            *([item("CONTAINS", "TEXT", description, TextValue=words[:TEXT_LIMIT])] if words else []),
            *(image_item("CONTAINS", images[uid], sorted(numbers)) for uid, numbers in frames.items()),
        ]
    )
    return written(data)


def read_key_objects(
    data: Dataset, series_of: Mapping[str, str]
) -> tuple[tuple[ReadDrawing, ...], tuple[Refused, ...]]:
    """Every selected frame as a key image."""
    children = elements.items(data, 0x0040A730)
    words = next((long_text(one) for one in children if elements.text(one, 0x0040A040) == "TEXT"), "")
    name = elements.first_item(data, 0x0040A043)
    title = "" if name is None else elements.text(name, 0x00080104)
    found: list[ReadDrawing] = []
    refused: list[Refused] = []
    images = [one for one in children if elements.text(one, 0x0040A040) == "IMAGE"]
    for index, image in enumerate(images):
        reference = elements.first_item(image, 0x00081199)
        uid = "" if reference is None else elements.text(reference, 0x00081155)
        if reference is None or uid not in series_of:
            refused.append(Refused(index, "It speaks of an image that is not in this study here."))
            continue
        for number in elements.numbers(reference, 0x00081160) or (1.0,):
            frame = max(1, int(number))
            found.append(
                ReadDrawing(
                    kind="key",
                    place=OnFrame(series_of[uid], uid, frame),
                    name=title[:120],
                    text=words[:TEXT_LIMIT],
                    id=id_of(f"key/{uid}/{frame}"),
                )
            )
    return tuple(found), tuple(refused)
