"""What a data set says about each of its frames: place, spacing, display, phase.

Classic objects say it once at the top, enhanced ones in functional groups, shared and per frame
(PS3.3 C.7.6.16), NM and RT dose by offsets from the first frame.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

import msgspec
from pydicom.dataset import Dataset

from sivr.dicom import elements, luts
from sivr.dicom.calibration import calibration, positive_pair
from sivr.model.pixels import FrameDisplay, FramePlane, Lut, Modality, PixelFormat, VoiFunction, Window
from sivr.model.spacing import Calibration, frame_spacing_mm

_FUNCTIONS: dict[str, VoiFunction] = {
    "": "linear",
    "LINEAR": "linear",
    "LINEAR_EXACT": "linear-exact",
    "SIGMOID": "sigmoid",
}
_NARROWEST: dict[VoiFunction, float] = {"linear": 1.0, "linear-exact": 0.0, "sigmoid": 0.0}
"""Least width of each function (PS3.3 C.11.2.1.2, C.11.2.1.3); exclusive for those with 0."""

OVERLAY_GROUPS = tuple(range(0x6000, 0x6020, 2))
SHUTTER_SHAPE = 0x00181600
FRAME_DISPLAY_SHUTTER = 0x00189472

_RT_DOSE = "1.2.840.10008.5.1.4.1.1.481.2"
_NM = "1.2.840.10008.5.1.4.1.1.20"

T = TypeVar("T")


class FrameFacts(msgspec.Struct, frozen=True):
    """What ``Frame`` keeps of a frame, all but its bytes."""

    plane: FramePlane | None
    spacing_mm: tuple[float, float] | None
    display: FrameDisplay
    phase: tuple[str, ...]


_FLOAT_PADDING = {"float": (0x00280122, 0x00280124), "double": (0x00280123, 0x00280125)}
"""Padding value and range limit of Float and Double Float Pixel Data."""


class Context(msgspec.Struct, frozen=True):
    """What the whole object says and every frame needs."""

    sop_class_uid: str
    modality: str
    image_type: tuple[str, ...]
    pixel_format: PixelFormat
    little_endian: bool
    frames: int


def frame_facts(
    data: Dataset, context: Context
) -> tuple[list[FrameFacts], Calibration | None, tuple[str, ...]]:
    """Facts of every frame, what the object as a whole says of its size, and warnings."""
    sizes = calibration(data, context.modality, context.sop_class_uid, context.image_type)
    spacing = frame_spacing_mm(sizes)
    padding = _padding(data, context.pixel_format)
    invert = (
        context.pixel_format.photometric_interpretation == "MONOCHROME1"
        or elements.text(data, 0x20500020).upper() == "INVERSE"
    )
    shared = elements.first_item(data, 0x52009229)
    per_frame = elements.items(data, 0x52009230)
    warnings: list[str] = []
    if shared is None and not per_frame:
        display = _display(data, (data,), (data,), context, padding, invert)
        phase = _classic_phase(data)
        planes, notes = _classic_planes(data, context)
        warnings.extend(notes)
        return [FrameFacts(plane, spacing, display, phase) for plane in planes], sizes, tuple(warnings)
    if per_frame and len(per_frame) < context.frames:
        warnings.append(f"Only {len(per_frame)} of {context.frames} frames say where they lie.")
    facts: list[FrameFacts] = []
    interned: dict[object, object] = {}
    empty = Dataset()
    for index in range(context.frames):
        own = per_frame[index] if index < len(per_frame) else empty
        groups = _Groups(own, shared if shared is not None else empty, data)
        measures = groups.find(0x00289110)
        frame_spacing = positive_pair(measures, 0x00280030) if measures is not None else None
        transformation = groups.find(0x00289145)
        voi = groups.find(0x00289132)
        display = _display(
            data,
            tuple(g for g in (transformation, data) if g is not None),
            tuple(g for g in (voi, data) if g is not None),
            context,
            padding,
            invert,
        )
        facts.append(
            FrameFacts(
                _enhanced_plane(groups),
                _interned(interned, frame_spacing or spacing),
                _interned(interned, display),
                _interned(interned, _enhanced_phase(groups)),
            )
        )
    return facts, sizes, tuple(warnings)


def has_graphics(data: Dataset) -> bool:
    """Whether something may be drawn over the frames, or hidden of them (``dicom.graphics``)."""
    if any(elements.integer(data, group << 16 | 0x10) for group in OVERLAY_GROUPS):
        return True
    if elements.text(data, SHUTTER_SHAPE) or is_supplemented(data):
        return True
    groups = (elements.first_item(data, 0x52009229), *elements.items(data, 0x52009230))
    return any(group is not None and FRAME_DISPLAY_SHUTTER in group for group in groups)


def is_supplemented(data: Dataset) -> bool:
    """Whether some of the values of a grey image stand for colors (PS3.3 C.7.6.19)."""
    return (
        elements.text(data, 0x00280004).upper() == "MONOCHROME2"
        and elements.text(data, 0x00089205).upper() in ("COLOR", "MIXED")
        and bool(elements.numbers(data, 0x00281101))
    )


def _interned(seen: dict[object, object], value: T) -> T:
    """The first equal value: thousands of frames share one display."""
    return seen.setdefault(value, value)  # type: ignore[return-value]


class _Groups:
    """A frame's functional groups: its own, else the shared one."""

    def __init__(self, own: Dataset, shared: Dataset, top: Dataset) -> None:
        self._places = (own, shared)
        self.top = top

    def find(self, tag: int) -> Dataset | None:
        """First item of a functional group sequence."""
        for place in self._places:
            item = elements.first_item(place, tag)
            if item is not None:
                return item
        return None

    def text(self, sequence: int, tag: int) -> str:
        """An element of a functional group as text."""
        item = self.find(sequence)
        return "" if item is None else elements.text(item, tag, "\\")


def _triple(found: tuple[float, ...]) -> tuple[float, float, float] | None:
    return (found[0], found[1], found[2]) if len(found) == 3 else None


def _plane(position: tuple[float, ...], orientation: tuple[float, ...]) -> FramePlane | None:
    """A plane with unit direction cosines; None when they are no directions at all."""
    place = _triple(position)
    if place is None or len(orientation) != 6:
        return None
    row, column = _unit(orientation[:3]), _unit(orientation[3:])
    if row is None or column is None or abs(sum(a * b for a, b in zip(row, column, strict=True))) > 0.9:
        return None
    return FramePlane(place, (*row, *column))


def _unit(vector: tuple[float, ...]) -> tuple[float, float, float] | None:
    length = math.sqrt(sum(v * v for v in vector))
    if not 0.5 < length < 2.0:
        return None
    return (vector[0] / length, vector[1] / length, vector[2] / length)


def normal_of(orientation: tuple[float, ...]) -> tuple[float, float, float]:
    """Row direction x column direction: away from the viewer."""
    a, b, c, d, e, f = orientation
    return (b * f - c * e, c * d - a * f, a * e - b * d)


def _classic_planes(data: Dataset, context: Context) -> tuple[list[FramePlane | None], tuple[str, ...]]:
    frames = context.frames
    plane = _plane(elements.numbers(data, 0x00200032), elements.numbers(data, 0x00200037))
    if frames == 1:
        if plane is None and context.sop_class_uid == _NM:
            plane = _nm_plane(data)
        return [plane], ()
    offsets: tuple[float, ...] = ()
    if context.sop_class_uid == _RT_DOSE and plane is not None:
        offsets = elements.numbers(data, 0x3004000C)
        if len(offsets) == frames and abs(offsets[0]) > 1e-6:
            # PS3.3 C.8.8.3.2: absolute places along the patient's axis instead of distances.
            base = plane.position[2]
            sign = 1.0 if normal_of(plane.orientation)[2] >= 0 else -1.0
            offsets = tuple(sign * (offset - base) for offset in offsets)
    elif context.sop_class_uid == _NM and "RECON TOMO" in context.image_type:
        plane = plane or _nm_plane(data)
        step = elements.number(data, 0x00180088) or elements.number(data, 0x00180050)
        order = elements.numbers(data, 0x00540080)
        if step and plane is not None:
            offsets = tuple(step * ((order[k] - 1) if len(order) == frames else k) for k in range(frames))
    if plane is None or len(offsets) != frames:
        return [None] * frames, ()
    direction = normal_of(plane.orientation)
    return [
        FramePlane(
            (
                plane.position[0] + offset * direction[0],
                plane.position[1] + offset * direction[1],
                plane.position[2] + offset * direction[2],
            ),
            plane.orientation,
        )
        for offset in offsets
    ], ()


def _nm_plane(data: Dataset) -> FramePlane | None:
    """PS3.3 C.8.4.11: NM keeps the plane with its detector."""
    detector = elements.first_item(data, 0x00540022)
    if detector is None:
        return None
    return _plane(elements.numbers(detector, 0x00200032), elements.numbers(detector, 0x00200037))


def _enhanced_plane(groups: _Groups) -> FramePlane | None:
    position = groups.find(0x00209113)
    orientation = groups.find(0x00209116)
    if position is not None and orientation is not None:
        return _plane(elements.numbers(position, 0x00200032), elements.numbers(orientation, 0x00200037))
    position = groups.find(0x0020930E)
    orientation = groups.find(0x0020930F)
    if position is not None and orientation is not None:
        # Enhanced US volumes: places in the volume's own frame of reference (PS3.3 C.8.24.3).
        return _plane(elements.numbers(position, 0x00209301), elements.numbers(orientation, 0x00209302))
    return None


def _padding(data: Dataset, pixel_format: PixelFormat) -> tuple[int | float, int | float] | None:
    """PS3.3 C.7.5.1.1.2, brought to the sign of the pixels whatever VR it was written with; C.7.6.24 and .25
    for float pixels."""
    if pixel_format.kind in _FLOAT_PADDING:
        ends = [elements.number(data, tag) for tag in _FLOAT_PADDING[pixel_format.kind]]
        if ends[0] is None:
            return None
        other = ends[0] if ends[1] is None else ends[1]
        return (min(ends[0], other), max(ends[0], other))
    value, limit = elements.integer(data, 0x00280120), elements.integer(data, 0x00280121)
    if value is None or pixel_format.color or pixel_format.kind != "integer":
        return None
    bits = pixel_format.bits_allocated

    def signed(number: int) -> int:
        number &= (1 << bits) - 1
        return number - (1 << bits) if pixel_format.signed and number >> (bits - 1) else number

    first = signed(value)
    last = first if limit is None else signed(limit)
    return (min(first, last), max(first, last))


def _display(
    top: Dataset,
    rescale: tuple[Dataset, ...],
    voi: tuple[Dataset, ...],
    context: Context,
    padding: tuple[int | float, int | float] | None,
    invert: bool,
) -> FrameDisplay:
    modality = _modality(top, rescale, context)
    below_zero = _below_zero(modality, context.pixel_format)
    return FrameDisplay(
        modality=modality,
        windows=_first(voi, _windows),
        voi_luts=_first(voi, lambda place: _voi_luts(place, context, below_zero)),
        padding=padding,
        invert=invert and not context.pixel_format.color,
    )


def _first(places: tuple[Dataset, ...], read: Callable[[Dataset], tuple[T, ...]]) -> tuple[T, ...]:
    for place in places:
        found = read(place)
        if found:
            return found
    return ()


def _modality(top: Dataset, places: tuple[Dataset, ...], context: Context) -> Modality:
    for place in places:
        item = elements.first_item(place, 0x00283000)
        if item is not None:
            table = luts.lut(item, context.pixel_format.signed, context.little_endian)
            if table is not None:
                return Modality(lut=table, units=_units(top, elements.text(item, 0x00283004), context))
        slope, intercept = elements.number(place, 0x00281053), elements.number(place, 0x00281052)
        if slope or intercept is not None:
            units = _units(top, elements.text(place, 0x00281054), context)
            return Modality(slope or 1.0, intercept or 0.0, None, units)
    if context.sop_class_uid == _RT_DOSE:
        scaling = elements.number(top, 0x3004000E)
        return Modality(
            scaling or 1.0, 0.0, None, "Gy" if elements.text(top, 0x30040002) != "RELATIVE" else ""
        )
    return Modality(units=_units(top, "", context))


def _units(top: Dataset, rescale_type: str, context: Context) -> str:
    """What modality values are measured in; US means unspecified (PS3.3 C.11.1.1.2)."""
    kind = rescale_type.upper()
    if kind and kind not in ("US", "UNSPECIFIED"):
        return kind[:16]
    if context.modality == "PT":
        return elements.text(top, 0x00541001).upper()[:16]
    if context.modality == "CT" and kind != "US" and "LOCALIZER" not in context.image_type:
        return "HU"
    return ""


def _windows(place: Dataset) -> tuple[Window, ...]:
    centers, widths = elements.numbers(place, 0x00281050), elements.numbers(place, 0x00281051)
    function = _FUNCTIONS.get(elements.text(place, 0x00281056).upper(), "linear")
    explanations = elements.texts(place, 0x00281055)
    found: list[Window] = []
    for index, (center, width) in enumerate(zip(centers, widths, strict=False)):
        least = _NARROWEST[function]
        if width < least or width <= 0:
            continue
        found.append(
            Window(center, width, function, explanations[index] if index < len(explanations) else "")
        )
    return tuple(found[:32])


def _below_zero(modality: Modality, pixel_format: PixelFormat) -> bool:
    """Whether values that a VOI LUT maps may be negative: what comes out of a Modality LUT never is, what is
    rescaled as far as the stored range reaches (PS3.3 C.11.2.1.1)."""
    if modality.lut is not None:
        return False
    if modality.slope == 1 and modality.intercept == 0:
        return pixel_format.signed
    most = 1 << (pixel_format.bits_stored - pixel_format.signed)
    least = -most if pixel_format.signed else 0
    ends = (least * modality.slope + modality.intercept, (most - 1) * modality.slope + modality.intercept)
    return min(ends) < 0


def _voi_luts(place: Dataset, context: Context, signed: bool) -> tuple[Lut, ...]:
    found = (luts.lut(item, signed, context.little_endian) for item in elements.items(place, 0x00283010)[:16])
    return tuple(table for table in found if table is not None)


def _classic_phase(data: Dataset) -> tuple[str, ...]:
    return (
        elements.text(data, 0x00200100),  # Temporal Position Identifier
        elements.text(data, 0x00181060),  # Trigger Time
        elements.text(data, 0x00541300),  # Frame Reference Time
        elements.text(data, 0x00180081),  # Echo Time
        elements.text(data, 0x00180086),  # Echo Numbers
        elements.text(data, 0x00189087) or elements.text(data, 0x0019100C) or elements.text(data, 0x00431039),
        elements.text(data, 0x00189089, "\\"),  # Diffusion Gradient Orientation
        elements.text(data, 0x00200012),  # Acquisition Number
        elements.text(data, 0x00080008, "\\"),  # Image Type: magnitude and phase, water and fat
        elements.text(data, 0x0008002A) or elements.text(data, 0x00080032),  # Acquisition Time
    )


def _enhanced_phase(groups: _Groups) -> tuple[str, ...]:
    frame = 0x00209111
    return (
        groups.text(frame, 0x00209056),  # Stack ID
        groups.text(frame, 0x00209128),  # Temporal Position Index
        groups.text(0x00189118, 0x00209153),  # Nominal Cardiac Trigger Delay Time
        groups.text(0x00189114, 0x00189082),  # Effective Echo Time
        groups.text(0x00189117, 0x00189087),  # Diffusion b-value
        groups.text(0x00189117, 0x00189075),  # Diffusion Directionality
        groups.text(0x0062000A, 0x0062000B),  # Referenced Segment Number
        groups.text(frame, 0x00209156),  # Frame Acquisition Number
        groups.text(0x00189226, 0x00089007) or groups.text(0x00189329, 0x00089007),  # Frame Type
        groups.text(frame, 0x00189074),  # Frame Acquisition DateTime
    )
