"""Every element of a file as text, within limits, whatever state the file is in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from pydicom.datadict import dictionary_description, dictionary_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from sivr.dicom import elements
from sivr.dicom.read import PixelElement, damage_told, parse
from sivr.dicom.stream import Stream
from sivr.model.tags import TagRow, TagTable

MAX_ROWS = 20_000
MAX_ITEMS = 200
MAX_DEPTH = 16
MAX_VALUE = 512
"""Characters of a value."""
_PER_FRAME = 0x52009230
_PIXELS = {"integer": 0x7FE00010, "float": 0x7FE00008, "double": 0x7FE00009}


def read_tags(source: BinaryIO | Path | bytes, frame: int = 1) -> TagTable:
    """The elements of a file in order, up to its pixels, which are told by their length.

    Of the functional groups of single frames those of ``frame`` (from 1) are listed. An element that cannot
    be read is listed without a value. Raises Invalid when the file is no DICOM.
    """
    with Stream(source) as stream, damage_told():
        parsed = parse(stream, [])
        listing = _Listing(frame)
        rows = [*listing.rows(parsed.meta, 0), *listing.rows(parsed.data, 0)]
        if parsed.pixels is not None:
            rows.append(_pixel_row(parsed.pixels))
        uid = elements.uid(parsed.data, 0x00080018)
    return TagTable(instance_uid=uid, frame=frame, rows=tuple(rows), complete=listing.complete)


def _pixel_row(pixels: PixelElement) -> TagRow:
    tag = _PIXELS[pixels.kind]
    undefined = pixels.length == 0xFFFFFFFF
    return TagRow(
        tag=f"{tag:08X}",
        vr=pixels.vr or "OW",
        keyword=dictionary_keyword(tag),
        name=dictionary_description(tag),
        length=0 if undefined else pixels.length,
    )


class _Listing:
    """Counts what it has listed."""

    def __init__(self, frame: int) -> None:
        self._frame = frame
        self._left = MAX_ROWS
        self.complete = True

    def rows(self, data: Dataset, depth: int) -> Iterator[TagRow]:
        for tag in sorted(data.keys()):
            if self._left <= 0 or depth > MAX_DEPTH:
                self.complete = False
                return
            self._left -= 1
            yield self._row(data, int(tag), depth)

    def _row(self, data: Dataset, tag: int, depth: int) -> TagRow:
        try:
            element = data[tag]
            value = element.value
        except RecursionError:
            raise
        except Exception:
            # pydicom raises a dozen kinds of errors for values that break the rules.
            raw = data.get_item(tag)
            return TagRow(tag=f"{tag:08X}", vr=str(getattr(raw, "VR", "") or "UN"), name=_name(tag))
        if isinstance(value, Sequence):
            return self._sequence(element, value, tag, depth)
        text, shortened, length = _text(element, value)
        return TagRow(
            tag=f"{tag:08X}",
            vr=str(element.VR),
            keyword=element.keyword,
            name=_name(tag, element),
            creator=_creator(element),
            value=text,
            shortened=shortened,
            length=length,
        )

    def _sequence(self, element: DataElement, items: Sequence, tag: int, depth: int) -> TagRow:
        first, listed = 1, list(items[:MAX_ITEMS])
        if tag == _PER_FRAME:
            first, listed = self._frame, list(items[self._frame - 1 : self._frame])
        elif len(items) > MAX_ITEMS:
            self.complete = False
        return TagRow(
            tag=f"{tag:08X}",
            vr="SQ",
            keyword=element.keyword,
            name=_name(tag, element),
            creator=_creator(element),
            items=tuple(tuple(self.rows(item, depth + 1)) for item in listed),
            first_item=first,
            items_total=len(items),
        )


def _name(tag: int, element: DataElement | None = None) -> str:
    try:
        return str(element.name if element is not None else dictionary_description(tag)).strip("[]")
    except KeyError:
        return ""


def _creator(element: DataElement) -> str:
    return str(getattr(element, "private_creator", None) or "")[:64]


def _text(element: DataElement, value: Any) -> tuple[str, bool, int]:
    """A value as text, whether it goes on, and the bytes of what is not shown at all."""
    if isinstance(value, bytes):
        plain = value.rstrip(b"\0 ")
        if len(plain) <= MAX_VALUE and plain.isascii() and plain.decode("ascii").isprintable():
            # Private elements of unknown type are often text.
            return plain.decode("ascii"), False, 0
        return "", False, len(value)
    if value is None:
        return "", False, 0
    multiple = not isinstance(value, str) and hasattr(value, "__iter__") and element.VR != "PN"
    parts = [str(part) for part in list(value)[: MAX_VALUE // 2]] if multiple else [str(value)]
    text = "".join(c if c.isprintable() else " " for c in "\\".join(parts)).strip()
    more = multiple and len(value) > MAX_VALUE // 2
    return text[:MAX_VALUE], more or len(text) > MAX_VALUE, 0
