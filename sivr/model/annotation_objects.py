"""Annotations as objects of other systems: asked for, found in a study, and read."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from sivr.model.annotations import Drawing, Refused
from sivr.model.directory import Body

ObjectForm = Literal["structured-report", "presentation-state", "key-object-selection"]


class DocumentRequest(Body, frozen=True, kw_only=True):
    """Annotations to be written into a document; in the form in which the institution answers them."""

    annotations: Annotated[tuple[Any, ...], msgspec.Meta(min_length=1, max_length=5000)]
    title: Annotated[str, msgspec.Meta(max_length=64)] = ""


class PlaneViewerEntry(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody found wrong with some slices of a series, as the plane viewer writes it."""

    series: str = msgspec.field(name="Series", default="")
    anomaly: str = msgspec.field(name="Anomaly")
    slices: tuple[int, ...] = msgspec.field(name="Slices")
    """Places in reading order, counted from 1."""


class AnnotationObject(msgspec.Struct, frozen=True):
    """An object of the study that may hold annotations."""

    series_uid: str
    instance_uid: str
    form: ObjectForm
    description: str


class AnnotationObjects(msgspec.Struct, frozen=True):
    """Objects of a study that may hold annotations."""

    items: tuple[AnnotationObject, ...]


class ReadDrawing(Drawing, frozen=True, kw_only=True):
    """An annotation out of a document."""

    id: str = ""
    """A UUID that follows from what the document says of it, so that it is known when it is read again."""


class AnnotationReading(msgspec.Struct, frozen=True):
    """What a document holds."""

    form: str
    annotations: tuple[ReadDrawing, ...]
    refused: tuple[Refused, ...]
