"""DICOM files to headers (PS3.5, PS3.10): everything later needed to find, order and show the frames.

No patient's name, id or birth date is read: those are kept in the patient record.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from typing import Any, BinaryIO, cast

import msgspec
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.uid import UID

from sivr.dicom import elements, luts
from sivr.dicom.facts import (
    OVERLAY_GROUPS,
    SHUTTER_SHAPE,
    Context,
    FrameFacts,
    frame_facts,
    has_graphics,
)
from sivr.dicom.fragments import Parts, encapsulated_frames, frame_bits, native_frames
from sivr.dicom.pet import suv_factor
from sivr.dicom.stream import Inflated, Stream
from sivr.dicom.syntax import Syntax, syntax_of
from sivr.errors import Invalid
from sivr.model.pixels import PixelFormat
from sivr.model.studies import Frame, InstanceHeader

FRAME_LIMIT_BYTES = 1 << 30
"""Largest decoded frame that is rendered."""
SHOWN_DEFLATED_BYTES = 256 << 20
"""Most pixels of a deflated data set that are rendered: its frames are decoded all together."""
FRAME_COUNT_LIMIT = 1 << 20
_UNDEFINED = 0xFFFFFFFF

_UIDS = {
    0x0020000D: "Study Instance UID",
    0x0020000E: "Series Instance UID",
    0x00080018: "SOP Instance UID",
    0x00080016: "SOP Class UID",
}
_PIXELS = {0x7FE00008: "float", 0x7FE00009: "double", 0x7FE00010: "integer"}
_SHOWN = frozenset(
    {
        "MONOCHROME1",
        "MONOCHROME2",
        "RGB",
        "YBR_FULL",
        "YBR_FULL_422",
        "YBR_ICT",
        "YBR_RCT",
        "PALETTE COLOR",
        "XYB",
    }
)
_DIRECTORY = "1.2.840.10008.1.3.10"

_TAGS: list[int] = [
    *_UIDS,
    0x00080005, 0x00080008, 0x00080020, 0x00080021, 0x00080022, 0x0008002A, 0x00080030, 0x00080031,
    0x00080032, 0x00080050, 0x00080060, 0x00080070, 0x00081030, 0x0008103E, 0x00082144, 0x0009100D,
    0x00101030, 0x00180015, 0x00180040, 0x00180050, 0x00180081, 0x00180086, 0x00180088, 0x00181060,
    0x00181063, 0x00181065, 0x00181114, 0x00181164, 0x00181242, 0x00182010, 0x00185100, 0x00185101,
    0x00186011, 0x00189087, 0x00189089, 0x0019100C, 0x00200010, 0x00200011, 0x00200012, 0x00200013,
    0x00200032, 0x00200037, 0x00200052, 0x00200060, 0x00200062, 0x00200100, 0x00280002, 0x00280004,
    0x00280006, 0x00280008, 0x00280010, 0x00280011, 0x00280030, 0x00280034, 0x00280051, 0x00280100,
    0x00280101, 0x00280102, 0x00280103, 0x00280120, 0x00280121, 0x00280122, 0x00280123, 0x00280124,
    0x00280125, 0x00280A02, 0x00280A04, 0x00281050, 0x00281051, 0x00281052, 0x00281053, 0x00281054,
    0x00281055, 0x00281056, 0x00281101, 0x00281102, 0x00281103, 0x00281201, 0x00281202, 0x00281203,
    0x00281221, 0x00281222, 0x00281223, 0x00282110, 0x00283000, 0x00283010, 0x00287FE0, 0x00431039,
    0x00540016, 0x00540022, 0x00540080, 0x00541001, 0x00541006, 0x00541102, 0x00540220, 0x00541300,
    0x20500020, 0x30040002, 0x3004000C, 0x3004000E, 0x52009229, 0x52009230, 0x70531000, 0x7FE00001,
    0x7FE00002,
    0x00089205, SHUTTER_SHAPE, *(group << 16 | 0x10 for group in OVERLAY_GROUPS),
]  # fmt: skip


class PixelElement(msgspec.Struct, frozen=True):
    """Where the pixel data element of a data set begins, and how long it says it is."""

    kind: str
    vr: str
    offset: int
    length: int


class Parsed(msgspec.Struct, frozen=True):
    """A file read up to its pixels."""

    stream: Stream
    """Of the bytes offsets count in: the file, or the inflated data set."""
    syntax: Syntax
    syntax_uid: str
    meta: Dataset
    data: Dataset
    pixels: PixelElement | None
    notes: tuple[str, ...]


def read_header(source: BinaryIO | Path | bytes) -> InstanceHeader:
    """Read an instance once, up to its pixels.

    Raises Invalid with one sentence when it is no DICOM file, is cut off, or lacks what PS3.3 C.12.1 makes
    mandatory. What can be stored but not shown says why in ``not_renderable``.
    """
    with Stream(source) as stream, damage_told():
        return _header(parse(stream))


@contextmanager
def damage_told() -> Iterator[None]:
    """What a damaged file makes pydicom raise, as Invalid with one sentence."""
    try:
        yield
    except RecursionError as error:
        raise Invalid("The file nests sequences too deep.") from error
    except MemoryError as error:
        raise Invalid("The file asks for more memory than there is.") from error
    except OSError as error:
        if error.errno is not None:
            raise
        if isinstance(error.__context__, RecursionError):
            raise Invalid("The file nests sequences too deep.") from error
        # pydicom's word for a sequence that ends too early.
        raise Invalid("The file is cut off inside a sequence.") from error


def parse(stream: Stream, tags: list[int] | None = None) -> Parsed:
    """Read the data set up to the pixel data element: these ``tags`` of it (an empty list means all), else
    those of a header."""
    if stream.size == 0:
        raise Invalid("The file is empty.")
    notes: list[str] = []
    stream.seek(128)
    if stream.read(4) != b"DICM":
        stream.seek(0)
        if not _looks_headless(stream):
            raise Invalid("This is not a DICOM file: its DICM prefix is missing.")
        notes.append("The file has no DICOM preamble.")
    meta = _read(stream, False, True, lambda tag, vr, length: tag >> 16 != 2)
    uid = elements.uid(meta, 0x00020010)
    if uid:
        syntax = syntax_of(uid)
    else:
        uid, syntax = _guess_syntax(stream)
        notes.append("The file does not name its transfer syntax; it was guessed.")
    if elements.text(meta, 0x00020002).strip(" \0") == _DIRECTORY:
        raise Invalid("This is a DICOMDIR, a directory of other files; send the files themselves.")
    inflated = Inflated(stream) if syntax.deflated else None
    stream = inflated or stream
    stream.short = False
    found: list[PixelElement] = []

    def at_pixels(tag: int, vr: str | None, length: int) -> bool:
        if tag not in _PIXELS:
            # PS3.5 7.1: tags ascend; anything later than pixel data cannot describe it.
            return tag > 0x7FE00010
        found.append(PixelElement(_PIXELS[tag], vr or "", stream.tell(), length))
        return True

    data = _read(
        stream, syntax.implicit, syntax.little_endian, at_pixels, _TAGS if tags is None else tags or None
    )
    pixels = found[0] if found else None
    if inflated is not None:
        inflated.finish(_pixel_bytes(data))
    if stream.short and pixels is None:
        raise Invalid("The file is cut off.")
    for raw in data._dict.values():
        content = getattr(raw, "value", None)
        if isinstance(content, bytes) and len(content) < getattr(raw, "length", 0) != _UNDEFINED:
            raise Invalid("The file is cut off.")
    if pixels and pixels.length != _UNDEFINED and pixels.offset + pixels.length > stream.size:
        raise Invalid(
            f"The file is cut off: {pixels.length} bytes of pixels are announced, "
            f"{max(stream.size - pixels.offset, 0)} are there."
        )
    return Parsed(stream, syntax, uid, meta, data, pixels, tuple(notes))


def _pixel_bytes(data: Dataset) -> int:
    """Bytes of all uncompressed frames as the header counts them (PS3.3 C.7.6.3.1)."""
    rows, columns = (elements.integer(data, tag) or 0 for tag in (0x00280010, 0x00280011))
    frames, samples = (elements.integer(data, tag) or 1 for tag in (0x00280008, 0x00280002))
    # Floating point pixels need not say how wide they are.
    allocated = elements.integer(data, 0x00280100) or 64
    return max(rows, 0) * max(columns, 0) * max(frames, 1) * max(samples, 1) * max(allocated, 0) // 8


def _read(
    stream: Stream,
    implicit: bool,
    little_endian: bool,
    stop: Callable[[int, str | None, int], bool],
    tags: list[int] | None = None,
) -> Dataset:
    try:
        return read_dataset(
            cast(BinaryIO, stream), implicit, little_endian, stop_when=stop, specific_tags=cast(Any, tags)
        )
    except (RecursionError, MemoryError, OSError, Invalid):
        raise
    except Exception as error:
        # pydicom tells of damage in many kinds of errors; to us it is one.
        raise Invalid("The file is damaged: its data elements cannot be read.") from error


def _looks_headless(stream: Stream) -> bool:
    """Whether a file without preamble begins as data sets do: group 2 or 8, small element, small length."""
    head = stream.read(8)
    stream.seek(0)
    if len(head) < 8:
        return False
    group, element, length = struct.unpack("<HHL", head)
    explicit = head[4:6].isalpha() and head[4:6].isupper()
    if explicit and struct.unpack(">H", head[:2])[0] == 8:
        return head[2] == 0
    return group in (2, 8) and element <= 0x0100 and (explicit or length <= 256)


def _guess_syntax(stream: Stream) -> tuple[str, Syntax]:
    position = stream.tell()
    head = stream.read(6)
    stream.seek(position)
    uid = "1.2.840.10008.1.2"
    if len(head) == 6 and head[4:6].isalpha() and head[4:6].isupper():
        # Group 8 read with the wrong order of bytes is 0x0800.
        uid = "1.2.840.10008.1.2.2" if head[:2] == b"\0\x08" else "1.2.840.10008.1.2.1"
    return uid, syntax_of(uid)


def _header(parsed: Parsed) -> InstanceHeader:
    data, meta = parsed.data, parsed.meta
    notes = list(parsed.notes)
    uids = {tag: elements.uid(data, tag) for tag in _UIDS}
    for tag, meta_tag in ((0x00080018, 0x00020003), (0x00080016, 0x00020002)):
        if not uids[tag] and elements.uid(meta, meta_tag):
            uids[tag] = elements.uid(meta, meta_tag)
            notes.append(f"The {_UIDS[tag]} is only in the file meta information.")
    missing = [name for tag, name in _UIDS.items() if not uids[tag]]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        raise Invalid(f"The mandatory {_listed(missing)} {verb} missing.", {"missing": missing})
    _require_pixels(parsed, uids[0x00080016])
    pixel_format, why_not = _pixel_format(parsed)
    modality = elements.text(data, 0x00080060).upper()[:16]
    image_type = tuple(part.upper() for part in elements.texts(data, 0x00080008))
    frames: tuple[Frame, ...] = ()
    sizes = None
    palette = None
    if pixel_format is not None and not why_not:
        count = max(elements.integer(data, 0x00280008) or 1, 1)
        parts, why_not, warnings = frame_parts(parsed, pixel_format, count)
        notes.extend(warnings)
        if parts:
            context = Context(
                sop_class_uid=uids[0x00080016],
                modality=modality,
                image_type=image_type,
                pixel_format=pixel_format,
                little_endian=parsed.syntax.little_endian,
                frames=len(parts),
            )
            facts, sizes, warnings = frame_facts(data, context)
            notes.extend(warnings)
            frames = tuple(map(_frame, parts, facts))
        if pixel_format.photometric_interpretation == "PALETTE COLOR":
            palette, problem = luts.palette(data, pixel_format.signed, parsed.syntax.little_endian)
            why_not = why_not or problem
    aspect = elements.numbers(data, 0x00280034)
    return InstanceHeader(
        study_uid=uids[0x0020000D],
        series_uid=uids[0x0020000E],
        instance_uid=uids[0x00080018],
        sop_class_uid=uids[0x00080016],
        transfer_syntax_uid=parsed.syntax_uid,
        modality=modality,
        instance_number=elements.integer(data, 0x00200013),
        series_number=elements.integer(data, 0x00200011),
        acquisition_number=elements.integer(data, 0x00200012),
        frame_of_reference_uid=_uid_or_empty(data, 0x00200052),
        study_date=elements.text(data, 0x00080020),
        study_time=elements.text(data, 0x00080030),
        study_description=elements.text(data, 0x00081030),
        series_description=elements.text(data, 0x0008103E),
        accession_number=elements.text(data, 0x00080050),
        study_id=elements.text(data, 0x00200010),
        body_part=elements.text(data, 0x00180015),
        laterality=elements.text(data, 0x00200062) or elements.text(data, 0x00200060),
        view=_view(data),
        manufacturer=elements.text(data, 0x00080070),
        frame_time_ms=_frame_time_ms(data),
        frame_times_ms=_frame_times_ms(data, len(frames)),
        cine_rate_hz=_cine_rate_hz(data),
        calibration=sizes,
        suv=suv_factor(data) if modality == "PT" and frames else None,
        pixel_aspect=(int(aspect[0]), int(aspect[1])) if len(aspect) == 2 and min(aspect) >= 1 else (1, 1),
        pixel_format=pixel_format,
        palette=palette,
        frames=frames,
        not_renderable=why_not,
        warnings=tuple(dict.fromkeys(notes)),
        transfer_syntax_lossy=parsed.syntax.lossy,
        image_type=image_type,
        patient_position=elements.text(data, 0x00185100)[:16],
        slice_thickness_mm=elements.number(data, 0x00180050),
        graphics=has_graphics(data),
        lossy_compressed=parsed.syntax.lossy or elements.text(data, 0x00282110) == "01",
    )


def _frame(parts: Parts, facts: FrameFacts) -> Frame:
    return Frame(parts, facts.plane, facts.spacing_mm, facts.display, facts.phase)


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]


_VIEW_CODES = {
    "399162004": "CC",
    "R-10242": "CC",
    "399368009": "MLO",
    "R-10226": "MLO",
    "399260004": "ML",
    "R-10224": "ML",
    "399352003": "LM",
    "R-10228": "LM",
    "399348003": "AP",
    "R-10206": "AP",
    "272479007": "PA",
    "R-10214": "PA",
    "R-40888": "PA",
    "399173006": "LL",
    "R-10236": "LL",
    "399198007": "RL",
    "R-10232": "RL",
    "399067008": "LATERAL",
    "R-102CD": "LATERAL",
}
"""Views of CID 4014 (mammography) and CID 4010 (radiography), by SNOMED CT and by older SNOMED-RT codes."""


def _view(data: Dataset) -> str:
    """View Position (0018,5101), else the first View Code (0054,0220): PS3.3 C.8.11.7, C.8.7.6."""
    item = elements.first_item(data, 0x00540220)
    code = elements.text(item, 0x00080100) if item is not None else ""
    return (_VIEW_CODES.get(code) or elements.text(data, 0x00185101)).upper()[:16]


def _uid_or_empty(data: Dataset, tag: int) -> str:
    try:
        return elements.uid(data, tag)
    except Invalid:
        return ""


def _frame_times_ms(data: Dataset, frames: int) -> tuple[float, ...]:
    """When each frame was taken, from the first on; empty where frames are evenly spaced (C.7.6.5.1.2)."""
    vector = elements.numbers(data, 0x00181065)
    if len(vector) != frames or frames < 2 or min(vector) < 0:
        return ()
    return tuple(round(time, 3) for time in accumulate((0.0, *vector[1:])))


def _cine_rate_hz(data: Dataset) -> float | None:
    """How many frames a second the maker asks for: Recommended Display Frame Rate, else Cine Rate."""
    rate = elements.number(data, 0x00082144) or elements.number(data, 0x00180040)
    return rate if rate and 0 < rate <= 1000 else None


def _frame_time_ms(data: Dataset) -> float | None:
    """Time between the frames of a cine (PS3.3 C.7.6.5)."""
    time = elements.number(data, 0x00181063)
    if time and time > 0:
        return time
    vector = elements.numbers(data, 0x00181065)[1:]
    if vector and sum(vector) > 0:
        return sum(vector) / len(vector)
    rate = elements.number(data, 0x00082144) or elements.number(data, 0x00180040)
    return 1000.0 / rate if rate and rate > 0 else None


def _require_pixels(parsed: Parsed, sop_class_uid: str) -> None:
    """Raise Invalid for an image that has no pixels: a file cut off right before them looks whole.

    Pixel Data Provider URL may stand for them (PS3.3 C.7.6.3.1); objects that are no images have none.
    """
    data = parsed.data
    if parsed.pixels is not None or "Image Storage" not in UID(sop_class_uid).name:
        return
    described = elements.integer(data, 0x00280010) and elements.integer(data, 0x00280011)
    if described and not elements.text(data, 0x00287FE0):
        raise Invalid("The file is cut off: it describes an image, but its pixels are missing.")


def _pixel_format(parsed: Parsed) -> tuple[PixelFormat | None, str]:
    """The pixel description (PS3.3 C.7.6.3), and one sentence when it cannot be shown."""
    data = parsed.data
    if parsed.pixels is None or parsed.pixels.length == 0:
        name = UID(elements.uid(data, 0x00080016) or "0").name
        kind = "" if name[:1].isdigit() else f" ({name})"
        return None, f"The object has no pixels{kind}."
    if parsed.syntax.codec is None:
        reason = parsed.syntax.why_not
        sentence = f"No picture can be made: {reason}."
    else:
        sentence = ""
    rows, columns = elements.integer(data, 0x00280010), elements.integer(data, 0x00280011)
    if not rows or not columns or rows < 0 or columns < 0:
        return None, sentence or "The object does not say how many rows and columns it has."
    samples = elements.integer(data, 0x00280002) or 1
    kind = parsed.pixels.kind
    allocated = {"float": 32, "double": 64}.get(kind) or elements.integer(data, 0x00280100) or 0
    stored = elements.integer(data, 0x00280101) or allocated
    photometric = elements.text(data, 0x00280004).upper() or ("RGB" if samples == 3 else "MONOCHROME2")
    high_bit = elements.integer(data, 0x00280102)
    pixel_format = PixelFormat(
        rows=rows,
        columns=columns,
        samples_per_pixel=samples,
        photometric_interpretation=photometric[:16],
        bits_allocated=allocated,
        bits_stored=min(stored, allocated) if stored > 0 else allocated,
        high_bit=stored - 1 if high_bit is None else high_bit,
        signed=elements.integer(data, 0x00280103) == 1,
        planar_configuration=elements.integer(data, 0x00280006) or 0,
        kind=kind,  # type: ignore[arg-type]
    )
    return pixel_format, sentence or _why_not(pixel_format, parsed.syntax)


def _why_not(pixel_format: PixelFormat, syntax: Syntax) -> str:
    samples, photometric = pixel_format.samples_per_pixel, pixel_format.photometric_interpretation
    if photometric not in _SHOWN:
        return f"The photometric interpretation {photometric} is not shown."
    if samples not in (1, 3) or (samples == 3) != (
        photometric not in ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR")
    ):
        return f"{samples} samples per pixel do not go with {photometric}."
    allowed = {"float": (32,), "double": (64,)}.get(
        pixel_format.kind, (8, 16, 32) if samples == 3 else (1, 8, 16, 32)
    )
    if pixel_format.bits_allocated not in allowed:
        return f"Pixels of {pixel_format.bits_allocated} bits are not decoded."
    if pixel_format.kind != "integer" and syntax.codec not in ("native", "deflated-frame"):
        return "Floating point pixels are not decoded when they are compressed."
    if (
        max(frame_bits(pixel_format) // 8, pixel_format.rows * pixel_format.columns * samples)
        > FRAME_LIMIT_BYTES
    ):
        return f"A frame of {pixel_format.rows} x {pixel_format.columns} pixels is too large to be shown."
    return ""


def frame_parts(
    parsed: Parsed, pixel_format: PixelFormat, count: int
) -> tuple[tuple[Parts, ...], str, tuple[str, ...]]:
    """Bytes of every frame that is there, a sentence when none is, and warnings.

    Parts are empty when they are no places in the file: inside a deflated data set, or swapped with their
    neighbors in a big endian one.
    """
    pixels = parsed.pixels
    if pixels is None:
        return (), "The object has no pixels.", ()
    if count > FRAME_COUNT_LIMIT:
        return (), f"{count} frames are more than can be shown.", ()
    if parsed.syntax.deflated and pixels.length > SHOWN_DEFLATED_BYTES:
        return (), f"Deflated pixels of {pixels.length >> 20} MiB are too large to be shown.", ()
    warnings: tuple[str, ...] = ()
    encapsulated = pixels.length == _UNDEFINED
    if encapsulated != parsed.syntax.encapsulated:
        if not encapsulated:
            return (), f"The pixels are not encapsulated, which {parsed.syntax.name} asks for.", ()
        return (), f"The pixels are encapsulated, which {parsed.syntax.name} does not allow.", ()
    if encapsulated:
        table = elements.value(parsed.data, 0x7FE00001)
        extended: tuple[int, ...] = ()
        if isinstance(table, bytes):
            extended = struct.unpack(f"<{len(table) // 8}Q", table[: len(table) // 8 * 8])
        parts, warnings = encapsulated_frames(
            parsed.stream, pixels.offset, count, parsed.syntax.little_endian, extended
        )
    else:
        parts = native_frames(pixel_format, count, pixels.offset, pixels.length)
    if not parts:
        return (), "The pixel data is shorter than one frame.", warnings
    if len(parts) < count:
        warnings = (*warnings, f"Only {len(parts)} of {count} frames are in the object.")
    if parsed.syntax.deflated or swapped_bytes(parsed, pixel_format):
        parts = ((),) * len(parts)
    return parts, "", warnings


def swapped_bytes(parsed: Parsed, pixel_format: PixelFormat) -> bool:
    """Whether pixels of 8 bits were written as big endian words of 16 (OW): pairs of bytes are swapped."""
    return (
        parsed.syntax.codec == "native"
        and not parsed.syntax.pixels_little_endian
        and pixel_format.bits_allocated <= 8
        and parsed.pixels is not None
        and parsed.pixels.vr != "OB"
    )


def frames_inside(parsed: Parsed, pixel_format: PixelFormat, count: int) -> tuple[Stream, tuple[Parts, ...]]:
    """Frames that are no places in the file: a stream they are places in, and those places.

    Raises Invalid when there are fewer than ``count``.
    """
    pixels = parsed.pixels
    if pixels is None or pixels.length == _UNDEFINED:
        raise Invalid("The file is not the one its header was read from.")
    stream, offset = parsed.stream, pixels.offset
    if swapped_bytes(parsed, pixel_format):
        words = stream.at(offset, pixels.length // 2 * 2)
        swapped = bytearray(len(words))
        swapped[0::2], swapped[1::2] = words[1::2], words[0::2]
        stream, offset = Stream(bytes(swapped)), 0
    parts = native_frames(pixel_format, count, offset, pixels.length)
    if len(parts) < count:
        raise Invalid("The file is not the one its header was read from.")
    return stream, parts
