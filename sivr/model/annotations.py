"""What physicians draw and write on pictures: kinds, places, limits, and the bodies that carry them.

An annotation lies on a frame, its points in column, row as in ``sivr.model.spacing``, or in the patient, its
points in LPS mm. What it measures is not kept: it follows from the points and the stored pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec

from sivr.errors import Invalid
from sivr.model.archive import Author, Uid
from sivr.model.directory import Body, Version
from sivr.model.shapes import Shape

Kind = Literal[
    "length",
    "polyline",
    "angle",
    "cobb",
    "rectangle",
    "ellipse",
    "circle",
    "freehand",
    "probe",
    "bidirectional",
    "arrow",
    "text",
    "mark",
    "key",
]
Visibility = Literal["everyone", "author"]
Coordinates = tuple[float, ...]

TEXT_LIMIT, NAME_LIMIT = 4000, 120
POINTS_LIMIT = 2048
REACH = 1e6
"""No point lies farther from the corner of its frame, in pixels, or from the origin, in mm."""


class KindRule(msgspec.Struct, frozen=True):
    """What an annotation of a kind is made of."""

    least: int
    most: int
    shape: Shape | None = None
    """What values are counted in; none where nothing is counted."""
    words: bool = False
    """Whether it says nothing without a text."""


KINDS: dict[Kind, KindRule] = {
    "length": KindRule(2, 2),
    "polyline": KindRule(2, POINTS_LIMIT),
    "angle": KindRule(3, 3),
    "cobb": KindRule(4, 4),
    "rectangle": KindRule(2, 2, "rectangle"),
    "ellipse": KindRule(4, 4, "ellipse"),
    "circle": KindRule(2, 2, "circle"),
    "freehand": KindRule(3, POINTS_LIMIT, "polygon"),
    "probe": KindRule(1, 1, "point"),
    "bidirectional": KindRule(4, 4),
    "arrow": KindRule(2, 2),
    "text": KindRule(1, 1, None, True),
    "mark": KindRule(0, 0, None, True),
    "key": KindRule(0, 0),
}
"""Points of each kind, in order.

- ``angle``: end, vertex, end; ``cobb``: two lines, two points each; ``bidirectional``: the ends of the long
  axis, then of the short one
- ``rectangle``, ``ellipse``, ``circle``, ``freehand``: as the shapes of ``sivr.model.shapes``
- ``arrow``: its tip, then where it comes from
- ``mark`` says something of a whole frame, ``key`` names it a key image: both without points
"""

FLAT: frozenset[Kind] = frozenset({"rectangle", "ellipse", "circle", "freehand", "mark", "key"})
"""Kinds that only a stored frame can carry: its pixels are counted, or it is meant as a whole."""


class OnFrame(msgspec.Struct, frozen=True, tag="frame", tag_field="on"):
    """A stored frame; counted from 1."""

    series_uid: Uid
    instance_uid: Uid
    frame: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)] = 1


class InPatient(msgspec.Struct, frozen=True, tag="patient", tag_field="on"):
    """The patient, LPS mm in a Frame of Reference; ``series_uid`` is what was looked at."""

    frame_of_reference_uid: Annotated[str, msgspec.Meta(pattern=r"^[!-~]{0,128}$")]
    series_uid: Uid


Place = OnFrame | InPatient


class Drawing(Body, frozen=True, kw_only=True):
    """What is drawn and written, by whomever."""

    kind: Kind
    place: Place
    points: Annotated[tuple[Coordinates, ...], msgspec.Meta(max_length=POINTS_LIMIT)] = ()
    name: Annotated[str, msgspec.Meta(max_length=NAME_LIMIT)] = ""
    text: Annotated[str, msgspec.Meta(max_length=TEXT_LIMIT)] = ""
    color: Annotated[str, msgspec.Meta(pattern=r"^(#[0-9a-f]{6})?$")] = ""
    visibility: Visibility = "everyone"


class NewAnnotation(Drawing, frozen=True, kw_only=True):
    """An annotation as it is first sent; its id is made by the sender, so that it may be sent again."""

    id: UUID


class AnnotationChange(Drawing, frozen=True, kw_only=True):
    """An annotation as its author changes it: all of it, on a version; ``deleted`` takes it away or back."""

    version: Version
    deleted: bool = False


class Annotation(msgspec.Struct, frozen=True, kw_only=True):
    """An annotation as it is kept."""

    id: str
    study_uid: str
    kind: Kind
    place: Place
    points: tuple[Coordinates, ...]
    name: str
    text: str
    color: str
    visibility: Visibility
    author: Author
    version: int
    deleted: bool
    change: int
    """Grows with every change within the study: what comes after one is newer."""
    created_at: datetime
    updated_at: datetime


class AnnotationPage(msgspec.Struct, frozen=True):
    """Annotations in the order of their changes."""

    items: tuple[Annotation, ...]
    cursor: int
    """To be given as ``since`` to hear of what changes later."""
    more: bool
    """Whether there are more to ask for at once."""


class AnnotationsAsked(msgspec.Struct, frozen=True, kw_only=True):
    """Which annotations of a study are wanted."""

    since: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] = 0
    """With a cursor, deleted ones are told as well."""
    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 1000


class AnnotationDocument(msgspec.Struct, frozen=True, kw_only=True):
    """All annotations of a study, to be kept in a file."""

    format: Literal["sivr-annotations"] = "sivr-annotations"
    version: Literal[1] = 1
    study_uid: str
    annotations: tuple[Annotation, ...]


class AnnotationBatch(msgspec.Struct, frozen=True, kw_only=True):
    """Annotations to be taken over, each by itself: members that are not known are left out."""

    annotations: Annotated[tuple[Any, ...], msgspec.Meta(max_length=5000)]


class Refused(msgspec.Struct, frozen=True):
    """Which item was not taken, counted from 0, and why."""

    index: int
    reason: str


class BatchResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a batch."""

    added: tuple[Annotation, ...]
    known: int
    """How many were there already."""
    refused: tuple[Refused, ...]


class _Tolerant(msgspec.Struct, frozen=True, kw_only=True):
    """An annotation in a file: what is not known is left out, an id need not be there."""

    kind: Kind
    place: Place
    points: tuple[Coordinates, ...] = ()
    name: str = ""
    text: str = ""
    color: str = ""
    visibility: Visibility = "everyone"
    id: UUID | None = None


def drawing_of(item: object) -> tuple[Drawing, UUID | None]:
    """An item of a file as a drawing and its id; raises Invalid with one sentence."""
    try:
        found = msgspec.convert(item, _Tolerant)
        drawing = msgspec.convert(
            {
                "kind": found.kind,
                "place": msgspec.to_builtins(found.place),
                "points": found.points,
                "name": found.name[:NAME_LIMIT],
                "text": found.text,
                "color": found.color.lower(),
                "visibility": found.visibility,
            },
            Drawing,
        )
    except msgspec.ValidationError as error:
        raise Invalid(f"{str(error).rstrip('.')}.") from error
    check_drawing(drawing)
    return drawing, found.id


def check_drawing(drawing: Drawing) -> None:
    """Raises Invalid when an annotation is not what its kind says."""
    rule = KINDS[drawing.kind]
    count = len(drawing.points)
    if not rule.least <= count <= rule.most:
        wanted = f"{rule.least}" if rule.least == rule.most else f"{rule.least} to {rule.most}"
        raise Invalid(
            f"An annotation of the kind {drawing.kind} has {wanted} points; this one has {count}.",
            {"field": "points"},
        )
    flat = isinstance(drawing.place, OnFrame)
    if not flat and drawing.kind in FLAT:
        raise Invalid(f"An annotation of the kind {drawing.kind} lies on a frame.", {"field": "place"})
    size = 2 if flat else 3
    if any(len(point) != size for point in drawing.points):
        raise Invalid(f"Every point has {size} coordinates here.", {"field": "points"})
    if not all(math.isfinite(value) and abs(value) <= REACH for one in drawing.points for value in one):
        raise Invalid("A point lies too far away.", {"field": "points"})
    if "\0" in drawing.text or "\0" in drawing.name:
        raise Invalid("An annotation cannot hold the character U+0000.", {"field": "text"})
    if rule.words and not drawing.text.strip():
        raise Invalid("This annotation needs a text.", {"field": "text"})


def flat_points(points: Sequence[Coordinates]) -> tuple[tuple[float, float], ...]:
    """Points on a frame as pairs."""
    return tuple((point[0], point[1]) for point in points)
