"""Lookup tables out of data sets (PS3.3 C.11.1.1, C.11.2.1.1, C.7.6.3.1.5, C.7.9.2)."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydicom.dataset import Dataset

from sivr.dicom import elements
from sivr.model.pixels import Lut, Palette

_ENTRIES = 1 << 16


def lut(item: Dataset, signed: bool, little_endian: bool = True) -> Lut | None:
    """A modality or VOI LUT item; None when its descriptor or data make no sense.

    ``signed`` pixels make the first mapped value signed, whatever VR it was written with.
    """
    return _lut(
        elements.numbers(item, 0x00283002),
        _swapped(elements.value(item, 0x00283006), little_endian),
        signed,
        elements.text(item, 0x00283003),
    )


def palette(data: Dataset, signed: bool, little_endian: bool = True) -> tuple[Palette | None, str]:
    """The three palette tables, expanded when segmented; None and a sentence when they are unusable."""
    found: list[Lut] = []
    for channel in range(3):
        descriptor = elements.numbers(data, 0x00281101 + channel)
        content = _swapped(elements.value(data, 0x00281201 + channel), little_endian)
        if content is None:
            segments = _swapped(elements.value(data, 0x00281221 + channel), little_endian)
            if segments is not None and len(descriptor) == 3:
                content = _expand(segments, int(descriptor[2]))
        table = _lut(descriptor, content, signed, "")
        if table is None:
            return None, "Its palette is missing or damaged."
        found.append(table)
    peak = max(int(np.frombuffer(t.values, "<u2").max()) for t in found)
    if peak < 256 and found[0].bits > 8:
        # Some writers declare 16 bit entries and fill 8: read as 16 the picture would be black.
        found = [Lut(t.first_mapped, 8, t.values) for t in found]
    return Palette(*found), ""


def _swapped(content: Any, little_endian: bool) -> Any:
    """Bytes of an OW element of a big endian data set as little endian."""
    if little_endian or not isinstance(content, bytes):
        return content
    return np.frombuffer(content[: len(content) // 2 * 2], ">u2").astype("<u2").tobytes()


def _words(content: Any, wide: bool) -> np.ndarray | None:
    """Table data as unsigned numbers, from bytes (OW, little endian) or from a list (US, SS)."""
    if isinstance(content, bytes):
        return np.frombuffer(content[: len(content) // 2 * 2] if wide else content, "<u2" if wide else "u1")
    try:
        return np.atleast_1d(np.asarray(content, dtype=np.int64)).astype(np.uint16)
    except (TypeError, ValueError, OverflowError):
        return None


def _lut(descriptor: tuple[float, ...], content: Any, signed: bool, explanation: str) -> Lut | None:
    if len(descriptor) != 3 or content is None:
        return None
    entries = int(descriptor[0]) & 0xFFFF or _ENTRIES
    first, bits = int(descriptor[1]), int(descriptor[2])
    if signed and first > 0x7FFF:
        first -= _ENTRIES
    elif not signed and first < 0:
        first += _ENTRIES
    if not 1 <= bits <= 16:
        return None
    wide = not (isinstance(content, bytes) and bits <= 8 and len(content) < 2 * entries)
    table = _words(content, wide)
    if table is None or table.size == 0:
        return None
    if bits <= 8 and table.size * 2 == entries + entries % 2 and not isinstance(content, bytes):
        table = np.ascontiguousarray(table.astype("<u2")).view("u1")
    if table.size < entries:
        table = np.pad(table, (0, entries - table.size), mode="edge")
    return Lut(first, bits, table[:entries].astype("<u2").tobytes(), explanation)


def _expand(segments: Any, bits: int) -> np.ndarray | None:
    """Segmented palette data to plain entries: discrete, linear and indirect segments (C.7.9.2.1-3)."""
    words = _words(segments, wide=bits > 8)
    if words is None:
        return None
    codes = [int(w) for w in words]
    out: list[int] = []

    def segment(position: int, inside_indirect: bool) -> int:
        kind, count = codes[position], codes[position + 1]
        position += 2
        if kind == 0:
            out.extend(codes[position : position + count])
            return position + count
        if kind == 1:
            if not out:
                raise IndexError
            out.extend(int(v) for v in np.rint(np.linspace(out[-1], codes[position], count + 1)[1:]))
            return position + 1
        if kind == 2 and not inside_indirect:
            # The place is a byte offset of 32 bits, least significant part first.
            width, size = (2, 16) if bits > 8 else (4, 8)
            parts = codes[position : position + width]
            place = sum(part << (size * index) for index, part in enumerate(parts)) * 8 // size
            for _ in range(count):
                place = segment(place, True)
            return position + width
        raise IndexError

    position = 0
    try:
        while position + 1 < len(codes) and len(out) <= _ENTRIES:
            position = segment(position, False)
    except IndexError:
        return None
    return np.asarray(out[:_ENTRIES], dtype=np.uint16)
