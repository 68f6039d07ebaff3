"""Grayscale Softcopy Presentation States (PS3.3 A.33.1): annotations as graphics and texts, and back."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import msgspec
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items

from sivr.dicom import elements
from sivr.dicom.documents import (
    Making,
    Reference,
    ds,
    id_of,
    new_document,
    pairs,
    person,
    series_items,
    sop_item,
    written,
)
from sivr.errors import Invalid
from sivr.model.annotation_objects import ReadDrawing
from sivr.model.annotations import NAME_LIMIT, TEXT_LIMIT, Kind, OnFrame, Refused, check_drawing
from sivr.model.measuring import Measured
from sivr.model.pixels import Window
from sivr.model.shapes import Point, ellipse_of, radius_of

SOFTCOPY = "1.2.840.10008.5.1.4.1.1.11.1"
STATES = (SOFTCOPY, "1.2.840.10008.5.1.4.1.1.11.2")
_LAYER = "MEASUREMENTS"
_VOI = {"linear": "LINEAR", "linear-exact": "LINEAR_EXACT", "sigmoid": "SIGMOID"}
_HEAD = math.radians(25)
"""Half the opening of an arrow's head."""


class Shown(msgspec.Struct, frozen=True):
    """How an image is to be shown."""

    columns: int
    rows: int
    spacing_mm: tuple[float, float] | None
    aspect: tuple[int, int]
    window: Window | None


def write_state(
    example: Dataset,
    measured: Sequence[Measured],
    images: Mapping[str, Reference],
    shown: Mapping[str, Shown],
    labels: Mapping[str, str],
    making: Making,
) -> bytes:
    """One state for all images; ``shown`` by SOP Instance UID, ``labels`` (figures as text) by id."""
    # Key images are for a selection of key objects.
    drawn = [one for one in measured if one.kind != "key"]
    if not drawn:
        raise Invalid("There is nothing to draw.")
    used = sorted({images[one.place.instance_uid] for one in drawn})
    data = new_document(example, SOFTCOPY, "PR", making)
    data.ContentLabel, data.ContentDescription = "MEASUREMENTS", making.title[:64]
    data.ContentCreatorName = person(making.author)
    data.PresentationCreationDate, data.PresentationCreationTime = data.SeriesDate, data.SeriesTime
    data.ReferencedSeriesSequence = series_items(used, "ReferencedImageSequence")
    data.PresentationLUTShape = "IDENTITY"
    data.DisplayedAreaSelectionSequence = Items(_areas(used, shown))
    windows = _windows(used, shown)
    if windows:
        data.SoftcopyVOILUTSequence = Items(windows)
    layer = Dataset()
    layer.GraphicLayer, layer.GraphicLayerOrder = _LAYER, "1"
    data.GraphicLayerSequence = Items([layer])
    by_frame: dict[tuple[str, int], list[Measured]] = {}
    for one in drawn:
        by_frame.setdefault((one.place.instance_uid, one.place.frame), []).append(one)
    data.GraphicAnnotationSequence = Items(
        [_annotation(images[uid], frame, members, labels) for (uid, frame), members in by_frame.items()]
    )
    return written(data)


def _areas(used: Sequence[Reference], shown: Mapping[str, Shown]) -> list[Dataset]:
    """All of each image, images of one size together (C.10.4)."""
    groups: dict[tuple[int, int, tuple[float, float] | None, tuple[int, int]], list[Reference]] = {}
    for one in used:
        how = shown[one.instance_uid]
        groups.setdefault((how.columns, how.rows, how.spacing_mm, how.aspect), []).append(one)
    found = []
    for (columns, rows, spacing_mm, aspect), members in groups.items():
        area = Dataset()
        if len(groups) > 1:
            area.ReferencedImageSequence = Items([sop_item(one) for one in members])
        area.DisplayedAreaTopLeftHandCorner = [1, 1]
        area.DisplayedAreaBottomRightHandCorner = [columns, rows]
        area.PresentationSizeMode = "SCALE TO FIT"
        if spacing_mm is not None:
            area.PresentationPixelSpacing = [ds(one) for one in spacing_mm]
        else:
            area.PresentationPixelAspectRatio = [str(one) for one in aspect]
        found.append(area)
    return found


def _windows(used: Sequence[Reference], shown: Mapping[str, Shown]) -> list[Dataset]:
    groups: dict[Window, list[Reference]] = {}
    for one in used:
        window = shown[one.instance_uid].window
        if window is not None:
            groups.setdefault(window, []).append(one)
    found = []
    for window, members in groups.items():
        voi = Dataset()
        if len(members) < len(used):
            voi.ReferencedImageSequence = Items([sop_item(one) for one in members])
        voi.WindowCenter, voi.WindowWidth = ds(window.center), ds(window.width)
        voi.VOILUTFunction = _VOI[window.function]
        found.append(voi)
    return found


def _annotation(
    image: Reference, frame: int, members: Sequence[Measured], labels: Mapping[str, str]
) -> Dataset:
    found = Dataset()
    found.ReferencedImageSequence = Items([sop_item(image, (frame,))])
    found.GraphicLayer = _LAYER
    graphics = [_graphic(*one) for member in members for one in _graphics(member)]
    texts = [_text(member, labels.get(member.id, "")) for member in members]
    if graphics:
        found.GraphicObjectSequence = Items(graphics)
    written_texts = [one for one in texts if one is not None]
    if written_texts:
        found.TextObjectSequence = Items(written_texts)
    return found


def _graphic(kind: str, points: Sequence[Point], filled: bool = False) -> Dataset:
    found = Dataset()
    found.GraphicAnnotationUnits, found.GraphicDimensions = "PIXEL", 2
    found.NumberOfGraphicPoints = len(points)
    found.GraphicData = [part for point in points for part in point]
    found.GraphicType = kind
    if kind in ("CIRCLE", "ELLIPSE") or (points[0] == points[-1] and len(points) > 1):
        found.GraphicFilled = "Y" if filled else "N"
    return found


def _graphics(one: Measured) -> list[tuple[str, Sequence[Point]]]:
    points = one.points
    if one.kind in ("text", "mark"):
        return []
    if one.kind == "probe":
        return [("POINT", points)]
    if one.kind in ("cobb", "bidirectional"):
        return [("POLYLINE", points[:2]), ("POLYLINE", points[2:])]
    if one.kind == "rectangle":
        (x0, y0), (x1, y1) = points
        return [("POLYLINE", ((x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0)))]
    if one.kind == "freehand":
        return [("POLYLINE", (*points, points[0]))]
    if one.kind == "ellipse":
        _, _, first, second = ellipse_of(points)
        longer = math.hypot(*first) >= math.hypot(*second)
        return [("ELLIPSE", points if longer else (*points[2:], *points[:2]))]
    if one.kind == "circle":
        step = (one.spacing.step_x, one.spacing.step_y)
        if abs(step[0] - step[1]) < 1e-6 * step[0]:
            return [("CIRCLE", points)]
        (x, y), radius = points[0], radius_of(points, step)
        wide = ((x - radius / step[0], y), (x + radius / step[0], y))
        high = ((x, y - radius / step[1]), (x, y + radius / step[1]))
        return [("ELLIPSE", (*wide, *high) if step[0] <= step[1] else (*high, *wide))]
    if one.kind == "arrow":
        return [("POLYLINE", (points[1], points[0])), ("POLYLINE", _head(points))]
    return [("POLYLINE", points)]


def _head(points: Sequence[Point]) -> tuple[Point, ...]:
    (x, y), (from_x, from_y) = points
    along = math.atan2(from_y - y, from_x - x)
    size = min(math.hypot(from_x - x, from_y - y) / 3, 12.0)
    sides = [
        (x + size * math.cos(along + turn), y + size * math.sin(along + turn)) for turn in (-_HEAD, _HEAD)
    ]
    return (sides[0], (x, y), sides[1])


def _text(one: Measured, label: str) -> Dataset | None:
    words = "\r\n".join(part for part in (one.name, one.text, label) if part)
    if not words:
        return None
    found = Dataset()
    found.UnformattedTextValue = words[:1024]
    found.AnchorPointAnnotationUnits = "PIXEL"
    found.AnchorPoint = list(
        one.points[-1] if one.points and one.kind != "text" else (one.points or [(1.0, 1.0)])[0]
    )
    found.AnchorPointVisibility = "N"
    return found


def read_state(
    data: Dataset, series_of: Mapping[str, str]
) -> tuple[tuple[ReadDrawing, ...], tuple[Refused, ...]]:
    """Graphics and texts on images of this study; ``series_of`` their series by SOP Instance UID."""
    found: list[ReadDrawing] = []
    refused: list[Refused] = []
    index = 0
    for annotation in elements.items(data, 0x00700001):
        places = _places(annotation, series_of)
        objects = [
            *((one, False) for one in elements.items(annotation, 0x00700009)),
            *((one, True) for one in elements.items(annotation, 0x00700008)),
        ]
        for one, words in objects:
            try:
                if not places:
                    raise Invalid("It speaks of an image that is not in this study here.")
                kind, points, text = _read_text(one) if words else (*_read_graphic(one), "")
                for place in places:
                    drawing = ReadDrawing(
                        kind=kind,
                        place=place,
                        points=points,
                        text=text[:TEXT_LIMIT],
                        name=""
                        if words
                        else elements.text(annotation, 0x00700002)[:NAME_LIMIT].title()
                        if elements.text(annotation, 0x00700002) not in ("", _LAYER)
                        else "",
                        id=id_of(f"{kind}/{place.instance_uid}/{place.frame}/{points}/{text}"),
                    )
                    check_drawing(drawing)
                    found.append(drawing)
            except Invalid as error:
                refused.append(Refused(index, error.message))
            index += 1
    return tuple(found), tuple(refused)


def _places(annotation: Dataset, series_of: Mapping[str, str]) -> list[OnFrame]:
    found = []
    for reference in elements.items(annotation, 0x00081140):
        uid = elements.text(reference, 0x00081155)
        if uid in series_of:
            frames = elements.numbers(reference, 0x00081160) or (1.0,)
            found += [OnFrame(series_of[uid], uid, max(1, int(frame))) for frame in frames]
    return found


def _read_graphic(data: Dataset) -> tuple[Kind, tuple[Point, ...]]:
    if elements.text(data, 0x00700005) != "PIXEL":
        raise Invalid("Graphics that are tied to the screen are not read.")
    kind, points = elements.text(data, 0x00700023), pairs(elements.numbers(data, 0x00700022))
    if kind == "POINT":
        return "probe", points[:1]
    if kind == "CIRCLE":
        return "circle", points
    if kind == "ELLIPSE":
        return "ellipse", points
    if kind in ("POLYLINE", "INTERPOLATED"):
        if len(points) > 3 and points[0] == points[-1]:
            return "freehand", points[:-1]
        return ("length" if len(points) == 2 else "polyline"), points
    raise Invalid(f"Graphics of the type {kind or 'unknown'} are not read.")


def _read_text(data: Dataset) -> tuple[Kind, tuple[Point, ...], str]:
    text = str(elements.value(data, 0x00700006) or "").replace("\r\n", "\n").strip()
    if elements.text(data, 0x00700004) == "PIXEL":
        return "text", pairs(elements.numbers(data, 0x00700014)), text
    if elements.text(data, 0x00700003) == "PIXEL":
        return "text", pairs(elements.numbers(data, 0x00700010)), text
    raise Invalid("Texts that are tied to the screen are not read.")
