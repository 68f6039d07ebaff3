"""Measurement reports (PS3.16 TID 1500) out of annotations and back, as OHIF exchanges them.

Each annotation is a measurement group (TID 1501): tracking identifier, finding, and figures, the first of
which is inferred from coordinates on an image (TID 300, TID 320).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import UID

from sivr.dicom import elements
from sivr.dicom.documents import (
    Making,
    Reference,
    code,
    ds,
    evidence,
    id_of,
    new_document,
    pairs,
    person,
    sop_item,
    uid_of,
    written,
)
from sivr.errors import Invalid
from sivr.model.annotation_objects import ReadDrawing
from sivr.model.annotations import (
    NAME_LIMIT,
    TEXT_LIMIT,
    Drawing,
    Kind,
    OnFrame,
    Refused,
    check_drawing,
    flat_points,
)
from sivr.model.measuring import Measured, Quantity, QuantityName
from sivr.model.shapes import Point, ellipse_of, radius_of

COMPREHENSIVE = "1.2.840.10008.5.1.4.1.1.88.33"
REPORTS = (
    "1.2.840.10008.5.1.4.1.1.88.11",
    "1.2.840.10008.5.1.4.1.1.88.22",
    COMPREHENSIVE,
    "1.2.840.10008.5.1.4.1.1.88.34",
    "1.2.840.10008.5.1.4.1.1.88.35",
)
_TRACKER = "Cornerstone3DTools@^0.1.0"
_FREE_TEXT = ("CORNERSTONEFREETEXT", "CORNERSTONEJS")
_SCHEMES = (("CORNERSTONEJS", "Free text of Cornerstone"), ("99SIVR", "SIVR"))

TOOLS: dict[Kind, str] = {
    "length": "Length",
    "polyline": "PlanarFreehandROI",
    "angle": "Angle",
    "cobb": "CobbAngle",
    "rectangle": "RectangleROI",
    "ellipse": "EllipticalROI",
    "circle": "CircleROI",
    "freehand": "PlanarFreehandROI",
    "probe": "Probe",
    "bidirectional": "Bidirectional",
    "arrow": "ArrowAnnotate",
    "text": "ArrowAnnotate",
}
"""The tool of Cornerstone that draws each kind again."""
_KINDS: dict[str, Kind] = {
    tool.lower(): kind for kind, tool in TOOLS.items() if kind not in ("polyline", "text")
}

CONCEPTS: dict[QuantityName, tuple[str, str, str]] = {
    "length": ("410668003", "SCT", "Length"),
    "path": ("121211", "DCM", "Path length"),
    "horizontal": ("HORIZONTAL", "99SIVR", "Distance along columns"),
    "vertical": ("VERTICAL", "99SIVR", "Distance along rows"),
    "angle": ("1483009", "SCT", "Angle"),
    "cobb": ("285285000", "SCT", "Cobb angle"),
    "long_axis": ("103339001", "SCT", "Long Axis"),
    "short_axis": ("103340004", "SCT", "Short Axis"),
    "area": ("42798000", "SCT", "Area"),
    "perimeter": ("131191004", "SCT", "Perimeter"),
    "radius": ("131190003", "SCT", "Radius"),
    "value": ("111010", "DCM", "Center"),
    "mean": ("373098007", "SCT", "Mean"),
    "sd": ("386136009", "SCT", "Standard Deviation"),
    "min": ("255605001", "SCT", "Minimum"),
    "max": ("56851009", "SCT", "Maximum"),
}
UNITS: dict[str, tuple[str, str]] = {
    "": ("1", "no units"),
    "mm": ("mm", "mm"),
    "mm2": ("mm2", "mm2"),
    "px": ("{pixels}", "pixels"),
    "px2": ("{squarepixels}", "square pixels"),
    "deg": ("deg", "deg"),
    "deg2": ("deg2", "square degree"),
    "s": ("s", "s"),
    "s2": ("s2", "s2"),
    "Hz": ("Hz", "Hz"),
    "cm/s": ("cm/s", "cm/s"),
    "cm2": ("cm2", "cm2"),
    "cm3": ("cm3", "cm3"),
    "cm2/s": ("cm2/s", "cm2/s"),
    "cm3/s": ("cm3/s", "cm3/s"),
    "dB": ("dB", "dB"),
    "dB/s": ("dB/s", "dB/s"),
    "%": ("%", "Percent"),
    "HU": ("[hnsf'U]", "Hounsfield unit"),
    "BQML": ("Bq/ml", "Becquerels/milliliter"),
    "SUVbw": ("g/ml{SUVbw}", "Standardized Uptake Value body weight"),
    "CNTS": ("{counts}", "Counts"),
    "GML": ("g/ml", "g/ml"),
}
"""UCUM of our units (PS3.16 CID 82, 83, 84, 85)."""


def write_report(
    example: Dataset, measured: Sequence[Measured], images: Mapping[str, Reference], making: Making
) -> bytes:
    """A Comprehensive SR of these annotations; ``images`` by SOP Instance UID.

    What a ``mark`` says of a whole frame becomes a remark, a ``key`` is left out; raises Invalid when there
    is nothing to say.
    """
    groups = [_group(one, images[one.place.instance_uid]) for one in measured if one.kind in TOOLS]
    remarks = [_remark(one, images[one.place.instance_uid]) for one in measured if one.kind == "mark"]
    if not groups and not remarks:
        raise Invalid("There is nothing to report.")
    used = {images[one.place.instance_uid] for one in measured if one.kind in TOOLS or one.kind == "mark"}
    data = new_document(example, COMPREHENSIVE, "SR", making)
    data.ContentDate, data.ContentTime = data.SeriesDate, data.SeriesTime
    data.CompletionFlag, data.VerificationFlag = "PARTIAL", "UNVERIFIED"
    data.ReferencedPerformedProcedureStepSequence = Items([])
    data.PerformedProcedureCodeSequence = Items([])
    data.CurrentRequestedProcedureEvidenceSequence = evidence(used)
    data.CodingSchemeIdentificationSequence = Items([_scheme(*one) for one in _SCHEMES])
    data.ValueType, data.ContinuityOfContent = "CONTAINER", "SEPARATE"
    data.ConceptNameCodeSequence = Items([code("126000", "DCM", "Imaging Measurement Report")])
    data.ContentTemplateSequence = Items([template("1500")])
    measurements = container("CONTAINS", code("126010", "DCM", "Imaging Measurements"), groups)
    content = [*observer(making.author), _procedure(), _library(used), measurements]
    if remarks:
        name = code("C0034375", "UMLS", "Qualitative Evaluations")
        content.append(container("CONTAINS", name, remarks))
    data.ContentSequence = Items(content)
    return written(data)


def item(relationship: str, value_type: str, name: Dataset | None, **values: Any) -> Dataset:
    """A content item (PS3.3 C.17.3)."""
    found = Dataset()
    found.RelationshipType, found.ValueType = relationship, value_type
    if name is not None:
        found.ConceptNameCodeSequence = Items([name])
    for keyword, value in values.items():
        setattr(found, keyword, value)
    return found


def container(relationship: str, name: Dataset, children: Iterable[Dataset]) -> Dataset:
    """A container with what it contains."""
    children = list(children)
    found = item(relationship, "CONTAINER", name, ContinuityOfContent="SEPARATE")
    if children:
        found.ContentSequence = Items(children)
    return found


def template(identifier: str) -> Dataset:
    """The template that a container follows (PS3.3 C.18.8)."""
    found = Dataset()
    found.MappingResource, found.TemplateIdentifier = "DCMR", identifier
    return found


def observer(author: str) -> list[Dataset]:
    """Language and observer (PS3.16 TID 1204, TID 1002)."""
    language = item(
        "HAS CONCEPT MOD",
        "CODE",
        code("121049", "DCM", "Language of Content Item and Descendants"),
        ConceptCodeSequence=Items([code("en", "RFC5646", "English")]),
    )
    kind = item(
        "HAS OBS CONTEXT",
        "CODE",
        code("121005", "DCM", "Observer Type"),
        ConceptCodeSequence=Items([code("121006", "DCM", "Person")]),
    )
    name = code("121008", "DCM", "Person Observer Name")
    return [language, kind, item("HAS OBS CONTEXT", "PNAME", name, PersonName=person(author))]


def image_item(relationship: str, image: Reference, frames: Sequence[int] = ()) -> Dataset:
    """An IMAGE content item."""
    return item(relationship, "IMAGE", None, ReferencedSOPSequence=Items([sop_item(image, frames)]))


def _scheme(designator: str, name: str) -> Dataset:
    found = Dataset()
    found.CodingSchemeDesignator, found.CodingSchemeName = designator, name
    return found


def _procedure() -> Dataset:
    return item(
        "HAS CONCEPT MOD",
        "CODE",
        code("121058", "DCM", "Procedure reported"),
        ConceptCodeSequence=Items([code("363679005", "SCT", "Imaging procedure")]),
    )


def _library(images: Iterable[Reference]) -> Dataset:
    members = [image_item("CONTAINS", one) for one in sorted(images)]
    group = container("CONTAINS", code("126200", "DCM", "Image Library Group"), members)
    return container("CONTAINS", code("111028", "DCM", "Image Library"), [group])


def _remark(one: Measured, image: Reference) -> Dataset:
    found = item("CONTAINS", "TEXT", code("121106", "DCM", "Comment"), TextValue=one.text or one.name)
    found.ContentSequence = Items([image_item("INFERRED FROM", image, (one.place.frame,))])
    return found


def _group(one: Measured, image: Reference) -> Dataset:
    children = [
        item(
            "HAS OBS CONTEXT",
            "TEXT",
            code("112039", "DCM", "Tracking Identifier"),
            TextValue=f"{_TRACKER}:{TOOLS[one.kind]}",
        ),
        item(
            "HAS OBS CONTEXT",
            "UIDREF",
            code("112040", "DCM", "Tracking Unique Identifier"),
            UID=UID(uid_of(one.id)),
        ),
    ]
    label = one.name or one.text
    if label:
        finding = code(*_FREE_TEXT, " ".join(label.split()))
        name = code("121071", "DCM", "Finding")
        children.append(item("CONTAINS", "CODE", name, ConceptCodeSequence=Items([finding])))
    comment = code("121106", "DCM", "Comment")
    if one.text:
        children.append(item("CONTAINS", "TEXT", comment, TextValue=one.text))
    if one.quantities and one.spacing.origin != "patient":
        origin = f"Spacing: {one.spacing.origin} {one.spacing.note}".rstrip()
        children.append(item("CONTAINS", "TEXT", comment, TextValue=origin))
    graphics = _graphics(one)
    # Without a figure there would be no place for the coordinates.
    figures = one.quantities or (Quantity("value", 0.0, ""),)
    for index, figure in enumerate(figures):
        children.append(_number(figure, graphics[index] if index < len(graphics) else None, one, image))
    found = container("CONTAINS", code("125007", "DCM", "Measurement Group"), children)
    found.ContentTemplateSequence = Items([template("1501")])
    return found


def _number(
    figure: Quantity, graphic: tuple[str, Sequence[Point]] | None, one: Measured, image: Reference
) -> Dataset:
    unit = UNITS.get(figure.unit, (f"[arb'U]{{{figure.unit}}}", f"arbitrary {figure.unit}"))
    value = Dataset()
    value.MeasurementUnitsCodeSequence = Items([code(unit[0], "UCUM", unit[1])])
    value.NumericValue = ds(figure.value)
    value.FloatingPointValue = figure.value
    found = item("CONTAINS", "NUM", code(*CONCEPTS[figure.name]), MeasuredValueSequence=Items([value]))
    if graphic is not None:
        kind, points = graphic
        coordinates = item(
            "INFERRED FROM",
            "SCOORD",
            None,
            GraphicType=kind,
            GraphicData=[part for point in points for part in point],
        )
        coordinates.ContentSequence = Items([image_item("SELECTED FROM", image, (one.place.frame,))])
        found.ContentSequence = Items([coordinates])
    return found


def _graphics(one: Measured) -> list[tuple[str, Sequence[Point]]]:
    """Graphic types and points (PS3.3 C.18.6.1.2) of the first figures."""
    points = one.points
    if one.kind == "bidirectional":
        return [("POLYLINE", points[:2]), ("POLYLINE", points[2:])]
    if one.kind == "angle":
        return [("POLYLINE", (points[0], points[1], points[1], points[2]))]
    if one.kind == "rectangle":
        (x0, y0), (x1, y1) = points
        return [("POLYLINE", ((x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0)))]
    if one.kind == "freehand":
        return [("POLYLINE", (*points, points[0]))]
    if one.kind == "ellipse":
        _, _, first, second = ellipse_of(points)
        long_first = first[0] ** 2 + first[1] ** 2 >= second[0] ** 2 + second[1] ** 2
        return [("ELLIPSE", points if long_first else (*points[2:], *points[:2]))]
    if one.kind == "circle":
        step = (one.spacing.step_x, one.spacing.step_y)
        if abs(step[0] - step[1]) < 1e-6 * step[0]:
            return [("CIRCLE", points)]
        # Round in the patient is an ellipse in pixels that are not square.
        (x, y), radius = points[0], radius_of(points, step)
        across, down = radius / step[0], radius / step[1]
        wide, high = ((x - across, y), (x + across, y)), ((x, y - down), (x, y + down))
        return [("ELLIPSE", (*wide, *high) if across >= down else (*high, *wide))]
    if one.kind in ("probe", "text"):
        return [("POINT", points)]
    return [("POLYLINE", points)]


# And back


def read_report(
    data: Dataset, series_of: Mapping[str, str]
) -> tuple[tuple[ReadDrawing, ...], tuple[Refused, ...]]:
    """The annotations of a report on images of this study; ``series_of`` their series by SOP Instance UID.

    Groups are taken each by itself; what cannot be is told with its reason. Raises Invalid for what is no
    measurement report.
    """
    found: list[ReadDrawing] = []
    refused: list[Refused] = []
    index = 0
    seen = False
    for one in _children(data):
        if _name(one) == "C0034375":
            seen = True
            for remark in _children(one):
                if elements.text(remark, 0x0040A040) == "TEXT":
                    _take(lambda item=remark: _read_remark(item, series_of), index, found, refused)
                    index += 1
        if _name(one) != "126010":
            continue
        seen = True
        for group in _children(one):
            if _name(group) == "125007":
                _take(lambda item=group: _read_group(item, series_of), index, found, refused)
                index += 1
    if not seen:
        raise Invalid("This is no measurement report (TID 1500).")
    return tuple(found), tuple(refused)


def _take(read: Any, index: int, found: list[ReadDrawing], refused: list[Refused]) -> None:
    try:
        drawing = read()
        check_drawing(drawing)
        found.append(drawing)
    except Invalid as error:
        refused.append(Refused(index, error.message))


def _children(data: Dataset) -> tuple[Dataset, ...]:
    return elements.items(data, 0x0040A730)


def _name(data: Dataset) -> str:
    name = elements.first_item(data, 0x0040A043)
    return "" if name is None else elements.text(name, 0x00080100)


def _read_remark(data: Dataset, series_of: Mapping[str, str]) -> ReadDrawing:
    for child in _children(data):
        if elements.text(child, 0x0040A040) == "IMAGE":
            place = _place(child, series_of)
            text = long_text(data)[:TEXT_LIMIT]
            drawing = Drawing(kind="mark", place=place, text=text)
            return _with_id(drawing, "")
    raise Invalid("A remark names no image.")


def _read_group(data: Dataset, series_of: Mapping[str, str]) -> ReadDrawing:
    tracker = tracking_uid = label = text = ""
    graphics: list[tuple[str, tuple[Point, ...], OnFrame]] = []
    for child in _children(data):
        name, value_type = _name(child), elements.text(child, 0x0040A040)
        if name == "112039":
            tracker = elements.text(child, 0x0040A160)
        elif name == "112040":
            tracking_uid = elements.text(child, 0x0040A124)
        elif name == "121071" and value_type == "CODE":
            coded = elements.first_item(child, 0x0040A168)
            label = "" if coded is None else elements.text(coded, 0x00080104)
        elif name == "121106" and not long_text(child).startswith("Spacing: "):
            text = long_text(child)
        elif value_type in ("NUM", "SCOORD"):
            graphics.extend(_coordinates(child if value_type == "NUM" else data, series_of))
    if not graphics:
        raise Invalid("A measurement has no coordinates on an image.")
    kind, points, place = _kind(tracker, graphics)
    if kind == "text":
        text = text or label
    drawing = Drawing(
        kind=kind,
        place=place,
        points=points,
        name=("" if label and text.startswith(label) else label)[:NAME_LIMIT],
        text=text[:TEXT_LIMIT],
    )
    return _with_id(drawing, tracking_uid)


def _coordinates(
    data: Dataset, series_of: Mapping[str, str]
) -> Iterator[tuple[str, tuple[Point, ...], OnFrame]]:
    for child in _children(data):
        kind = elements.text(child, 0x0040A040)
        if kind == "SCOORD3D":
            raise Invalid("Coordinates in the patient are not read.")
        if kind != "SCOORD":
            continue
        points = pairs(elements.numbers(child, 0x00700022))
        for image in _children(child):
            if elements.text(image, 0x0040A040) == "IMAGE":
                yield elements.text(child, 0x00700023), points, _place(image, series_of)
                break


def _place(data: Dataset, series_of: Mapping[str, str]) -> OnFrame:
    reference = elements.first_item(data, 0x00081199)
    instance = "" if reference is None else elements.text(reference, 0x00081155)
    if reference is None or instance not in series_of:
        raise Invalid("It speaks of an image that is not in this study here.")
    return OnFrame(series_of[instance], instance, elements.integer(reference, 0x00081160) or 1)


def _kind(
    tracker: str, graphics: Sequence[tuple[str, tuple[Point, ...], OnFrame]]
) -> tuple[Kind, tuple[Point, ...], OnFrame]:
    """What is drawn: as the tracking identifier says, else as it looks."""
    graphic, points, place = graphics[0]
    tools = [_KINDS[part] for part in tracker.lower().split(":") if part in _KINDS]
    tool = tools[0] if tools else None
    closed = len(points) > 3 and points[0] == points[-1]
    if graphic == "CIRCLE":
        return "circle", points, place
    if graphic == "ELLIPSE":
        return "ellipse", points, place
    if graphic == "POINT":
        return ("text" if tool == "arrow" else "probe"), points[:1], place
    if graphic in ("POLYLINE", "POLYGON"):
        if tool == "bidirectional" and len(graphics) > 1:
            return tool, (*points, *graphics[1][1]), place
        if tool == "angle":
            corner = (*points[:2], points[-1])
            return tool, corner if len(points) in (3, 4) else points, place
        if tool == "rectangle" and len(points) >= 4:
            return _rectangle(points, place)
        if closed or graphic == "POLYGON":
            return "freehand", points[:-1] if closed else points, place
        if tool in ("length", "cobb", "arrow"):
            return tool, points, place
        return ("length" if len(points) == 2 else "polyline"), points, place
    raise Invalid(f"Graphics of the type {graphic or 'unknown'} are not read.")


def _rectangle(points: tuple[Point, ...], place: OnFrame) -> tuple[Kind, tuple[Point, ...], OnFrame]:
    xs, ys = sorted({point[0] for point in points}), sorted({point[1] for point in points})
    corners = ((xs[0], ys[0]), (xs[-1], ys[-1]))
    upright = all(
        min(abs(x - xs[0]), abs(x - xs[-1])) < 1e-3 and min(abs(y - ys[0]), abs(y - ys[-1])) < 1e-3
        for x, y in points
    )
    closed = points[0] == points[-1]
    return (
        ("rectangle", corners, place) if upright else ("freehand", points[:-1] if closed else points, place)
    )


def long_text(data: Dataset) -> str:
    """A UT value with its lines."""
    return str(elements.value(data, 0x0040A160) or "").replace("\r\n", "\n").strip()


def _with_id(drawing: Drawing, tracking_uid: str) -> ReadDrawing:
    place = drawing.place
    assert isinstance(place, OnFrame)
    what = tracking_uid or (
        f"{drawing.kind}/{place.instance_uid}/{place.frame}/{drawing.points}/{drawing.text}"
    )
    return ReadDrawing(
        kind=drawing.kind,
        place=place,
        points=flat_points(drawing.points),
        name=drawing.name,
        text=drawing.text,
        id=id_of(what),
    )
