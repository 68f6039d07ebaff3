"""Annotations as DICOM objects and as files of the plane viewer, written and read beside the images."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import BinaryIO

import msgspec

from sivr.dicom.documents import Making, Reference, read_whole
from sivr.dicom.elements import text
from sivr.dicom.key_objects import KEY_OBJECTS, read_key_objects, write_key_objects
from sivr.dicom.presentation_states import STATES, Shown, read_state, write_state
from sivr.dicom.reports import REPORTS, read_report, write_report
from sivr.errors import Invalid, NotFound
from sivr.model.annotation_objects import (
    AnnotationObject,
    AnnotationObjects,
    AnnotationReading,
    DocumentRequest,
    ObjectForm,
    PlaneViewerEntry,
    ReadDrawing,
)
from sivr.model.annotations import (
    KINDS,
    TEXT_LIMIT,
    Drawing,
    InPatient,
    OnFrame,
    Refused,
    drawing_of,
    flat_points,
)
from sivr.model.importance import Importance
from sivr.model.measuring import Measured, counted, quantities
from sivr.model.people import Actor
from sivr.services.contents import StudySource, spacing_at
from sivr.services.loading import SeriesLoader
from sivr.services.open_series import OpenSeries
from sivr.services.pictures import PictureService, position_in_series
from sivr.services.statistics import StatisticsService
from sivr.store.index import StoredInstance

_FORMS: dict[str, ObjectForm] = {
    **dict.fromkeys(REPORTS, "structured-report"),
    **dict.fromkeys(STATES, "presentation-state"),
    KEY_OBJECTS: "key-object-selection",
}
_READERS = {
    "structured-report": read_report,
    "presentation-state": read_state,
    "key-object-selection": read_key_objects,
}
_TITLES: dict[ObjectForm, str] = {
    "structured-report": "Measurements",
    "presentation-state": "Measurements",
    "key-object-selection": "Key images",
}


class AnnotationObjectService:
    """Stateless: annotations come with the request and go with the answer."""

    def __init__(
        self,
        source: StudySource,
        loader: SeriesLoader,
        pictures: PictureService,
        statistics: StatisticsService,
    ) -> None:
        self._source = source
        self._loader = loader
        self._pictures = pictures
        self._statistics = statistics

    async def write(
        self, study_uid: str, form: ObjectForm, asked: DocumentRequest, actor: Actor, *, user: str
    ) -> bytes:
        """A DICOM file with these annotations; raises NotFound, Invalid with the first reason."""
        study = await self._open(study_uid)
        measured: list[Measured] = []
        for index, item in enumerate(asked.annotations):
            try:
                measured.append(await self._measured(study, item, user))
            except (Invalid, NotFound) as error:
                raise type(error)(f"Annotation {index + 1}: {error.message}", {"index": index}) from error
        images = {one.place.instance_uid: study.reference(one.place.instance_uid) for one in measured}
        if form == "presentation-state":
            measured = [one for one in measured if not study.color(one.place.instance_uid)]
            if not measured:
                raise Invalid("A grayscale presentation state cannot speak of images in color.")
        example = study.stored(measured[0].place.instance_uid)
        shown = {uid: study.shown(uid) for uid in images}
        making = Making(author=actor.name, at=datetime.now(UTC), title=asked.title or _TITLES[form])

        def work() -> bytes:
            data = self._loader.reader.whole(example, read_whole)
            if form == "structured-report":
                return write_report(data, measured, images, making)
            if form == "key-object-selection":
                return write_key_objects(data, measured, images, making)
            return write_state(
                data, measured, images, shown, {one.id: label(one) for one in measured}, making
            )

        return await self._pictures.in_thread(work, Importance.REFINEMENT, user)

    async def objects(self, study_uid: str) -> AnnotationObjects:
        """Reports, presentation states and key objects that the study holds."""
        study = await self._open(study_uid)
        return AnnotationObjects(
            tuple(
                AnnotationObject(
                    header.series_uid,
                    header.instance_uid,
                    _FORMS[header.sop_class_uid],
                    header.series_description,
                )
                for series in study.series
                for header in series.headers
                if header.sop_class_uid in _FORMS
            )
        )

    async def read_stored(self, study_uid: str, instance_uid: str, *, user: str) -> AnnotationReading:
        """The annotations of an object of the study; raises NotFound, Invalid."""
        study = await self._open(study_uid)
        stored = study.stored(instance_uid)
        return await self._pictures.in_thread(
            lambda: self._loader.reader.whole(stored, lambda file: _read(file, study.series_of)),
            Importance.REFINEMENT,
            user,
        )

    async def read_sent(
        self, study_uid: str, series_uid: str, body: bytes, *, user: str
    ) -> AnnotationReading:
        """The annotations of a file: DICOM, our own JSON, or the plane viewer's for ``series_uid``."""
        study = await self._open(study_uid)
        if body[:1].strip() in (b"{", b"[") or body[:3] == b"\xef\xbb\xbf":
            return _read_json(study, series_uid, body)
        return await self._pictures.in_thread(
            lambda: _read(body, study.series_of), Importance.REFINEMENT, user
        )

    async def plane_viewer(self, study_uid: str, asked: DocumentRequest) -> tuple[PlaneViewerEntry, ...]:
        """What is said of frames, as the plane viewer writes it: words and places in reading order."""
        study = await self._open(study_uid)
        found: dict[tuple[str, str], set[int]] = {}
        for item in asked.annotations:
            drawing, _ = drawing_of(item)
            if not isinstance(drawing.place, OnFrame):
                continue
            series = study.by_uid.get(drawing.place.series_uid)
            if series is None:
                continue
            position = position_in_series(series, drawing.place.instance_uid, drawing.place.frame)
            words = drawing.text or drawing.name or drawing.kind
            found.setdefault((drawing.place.series_uid, words), set()).add(position + 1)
        return tuple(
            PlaneViewerEntry(series=series_uid, anomaly=words, slices=tuple(sorted(slices)))
            for (series_uid, words), slices in found.items()
        )

    async def _open(self, study_uid: str) -> _Study:
        uids = await self._source.series_uids(study_uid)
        if not uids:
            raise NotFound("There is no such study on this node.")
        return _Study(study_uid, [await self._loader.open(study_uid, uid) for uid in uids])

    async def _measured(self, study: _Study, item: object, user: str) -> Measured:
        drawing, given = drawing_of(item)
        if isinstance(drawing.place, InPatient):
            raise Invalid("Annotations in the patient cannot be written into this document.")
        place, points = drawing.place, flat_points(drawing.points)
        series = study.by_uid.get(place.series_uid)
        if series is None:
            raise NotFound("There is no such series in this study.")
        position = position_in_series(series, place.instance_uid, place.frame)
        stored, number = series.header_of(position)
        spacing = spacing_at(stored.header, number, points)
        found = quantities(drawing.kind, points, spacing)
        shape = KINDS[drawing.kind].shape
        form = stored.header.pixel_format
        if shape is not None and form is not None and not form.color:
            told = await self._statistics.of_shape(series, position, shape, points, 0, user=user)
            found = (*found, *counted(drawing.kind, told))
        return Measured(
            id=(given or uuid.uuid4()).hex,
            kind=drawing.kind,
            place=place,
            points=points,
            name=drawing.name,
            text=drawing.text,
            quantities=found,
            spacing=spacing,
        )


def label(one: Measured) -> str:
    """Figures as a few words, each with its unit."""
    return "\r\n".join(
        f"{figure.name.replace('_', ' ')} {figure.value:.4g} {figure.unit}".rstrip()
        for figure in one.quantities[:6]
    )


class _Study:
    """The open series of a study, by everything that annotations name them by."""

    def __init__(self, uid: str, series: Sequence[OpenSeries]) -> None:
        self.uid = uid
        self.series = tuple(series)
        self.by_uid = {one.series_uid: one for one in series}
        self._instances = {uid: (one, stored) for one in series for uid, stored in one.by_uid.items()}
        self.series_of: Mapping[str, str] = {
            uid: one.series_uid for uid, (one, stored) in self._instances.items() if stored.header.frames
        }

    def stored(self, instance_uid: str) -> StoredInstance:
        if instance_uid not in self._instances:
            raise NotFound("There is no such instance in this study.")
        return self._instances[instance_uid][1]

    def reference(self, instance_uid: str) -> Reference:
        header = self.stored(instance_uid).header
        return Reference(
            self.uid, header.series_uid, header.instance_uid, header.sop_class_uid, len(header.frames)
        )

    def color(self, instance_uid: str) -> bool:
        form = self.stored(instance_uid).header.pixel_format
        return form is None or form.color

    def shown(self, instance_uid: str) -> Shown:
        header = self.stored(instance_uid).header
        form, frame = header.pixel_format, header.frames[0] if header.frames else None
        windows = frame.display.windows if frame is not None else ()
        return Shown(
            columns=form.columns if form else 1,
            rows=form.rows if form else 1,
            spacing_mm=frame.spacing_mm if frame is not None else None,
            aspect=header.pixel_aspect,
            window=windows[0] if windows else None,
        )


def _read(source: BinaryIO | bytes, series_of: Mapping[str, str]) -> AnnotationReading:
    data = read_whole(source)
    form = _FORMS.get(text(data, 0x00080016))
    if form is None:
        raise Invalid("The object is no structured report, presentation state or key object selection.")
    annotations, refused = _READERS[form](data, series_of)
    return AnnotationReading(form, annotations, refused)


def _read_json(study: _Study, series_uid: str, body: bytes) -> AnnotationReading:
    try:
        found = msgspec.json.decode(body.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Invalid("The file is not JSON.") from error
    if isinstance(found, dict) and isinstance(found.get("annotations"), list):
        return _read_own(study, found["annotations"])
    entries = found if isinstance(found, list) else [found]
    if not any(isinstance(one, dict) and _member(one, "anomaly") is not None for one in entries):
        raise Invalid('The file holds neither "annotations" nor "Anomaly" and "Slices".')
    return _read_plane_viewer(study, series_uid, entries)


def _read_own(study: _Study, items: Sequence[object]) -> AnnotationReading:
    annotations: list[ReadDrawing] = []
    refused: list[Refused] = []
    for index, item in enumerate(items):
        try:
            drawing, given = drawing_of(item)
            place = drawing.place
            if isinstance(place, OnFrame) and study.series_of.get(place.instance_uid) != place.series_uid:
                raise Invalid("It speaks of an image that is not in this study here.")
        except Invalid as error:
            refused.append(Refused(index, error.message))
            continue
        annotations.append(_with_id(drawing, given.hex if given is not None else uuid.uuid4().hex))
    return AnnotationReading("sivr-annotations", tuple(annotations), tuple(refused))


def _read_plane_viewer(study: _Study, series_uid: str, entries: Sequence[object]) -> AnnotationReading:
    """``Slices`` are numbers from 1 or texts of numbers and ranges ("3-7, 9"); ``Series`` may name another
    one than is looked at. Upper and lower case are alike."""
    annotations: list[ReadDrawing] = []
    refused: list[Refused] = []
    for index, entry in enumerate(entries):
        words = _member(entry, "anomaly")
        named = _member(entry, "series")
        series = study.by_uid.get(named if isinstance(named, str) and named else series_uid)
        try:
            if not isinstance(words, str) or not words.strip():
                raise Invalid('It has no "Anomaly".')
            if series is None:
                raise Invalid("It speaks of a series that is not in this study here.")
            for number in _slices(_member(entry, "slices")):
                if not 1 <= number <= series.total:
                    raise Invalid(f"The series has {series.total} slices; there is no slice {number}.")
                address = series.stack.frames[number - 1]
                place = OnFrame(series.series_uid, address.instance_uid, address.frame)
                drawing = Drawing(kind="mark", place=place, text=words.strip()[:TEXT_LIMIT])
                what = f"mark/{place.instance_uid}/{place.frame}/{drawing.text}"
                annotations.append(_with_id(drawing, uuid.uuid5(uuid.NAMESPACE_OID, what).hex))
        except Invalid as error:
            refused.append(Refused(index, error.message))
    return AnnotationReading("plane-viewer", tuple(annotations), tuple(refused))


def _member(entry: object, name: str) -> object:
    if not isinstance(entry, dict):
        return None
    return next((value for key, value in entry.items() if str(key).strip().lower() == name), None)


def _slices(found: object) -> list[int]:
    parts = found if isinstance(found, list) else str(found if found is not None else "").split(",")
    numbers: list[int] = []
    for part in parts:
        first, _, last = str(part).strip().partition("-")
        if not first.isdecimal() or (last and not last.isdecimal()):
            raise Invalid(f'"{str(part)[:40]}" is no slice.')
        begin, end = int(first), int(last or first)
        if not 0 <= end - begin <= 100_000:
            raise Invalid(f'"{str(part)[:40]}" is no range of slices.')
        numbers.extend(range(begin, end + 1))
    if not numbers:
        raise Invalid('It has no "Slices".')
    return numbers


def _with_id(drawing: Drawing, made: str) -> ReadDrawing:
    return ReadDrawing(
        kind=drawing.kind,
        place=drawing.place,
        points=drawing.points,
        name=drawing.name,
        text=drawing.text,
        color=drawing.color,
        visibility=drawing.visibility,
        id=made,
    )
