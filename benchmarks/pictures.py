"""Real pictures to measure encoders with: the middle frame of every series of test data, as first shown."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import msgspec
import numpy as np

from sivr.dicom.pixels import decode_frame, encoded_frame
from sivr.dicom.presentation import default_window
from sivr.dicom.read import read_header
from sivr.errors import SivrError
from sivr.model.pixels import Window
from sivr.model.studies import InstanceHeader
from sivr.services import slices

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
FEWEST_PIXELS = 64 * 64


class RealPicture(msgspec.Struct, frozen=True):
    """``pixels`` (h, w) or (h, w, 3) uint8, the ``values`` they show, and their header."""

    name: str
    modality: str
    pixels: Any
    values: Any
    header: InstanceHeader
    number: int

    def shown(self, window: Window | None) -> Any:
        """The same frame through another window."""
        return slices.shown(self.header, self.number, self.values, window, False)


def real_pictures(data: Path = DATA) -> Iterator[RealPicture]:
    """One picture per series and size; the same pixels in another transfer syntax are not told again."""
    series: dict[tuple[str, ...], list[tuple[Path, InstanceHeader]]] = {}
    for path in sorted(path for path in data.rglob("*") if path.is_file()):
        try:
            header = read_header(path)
        except (SivrError, OSError):
            continue
        form = header.pixel_format
        if form is None or header.not_renderable or form.rows * form.columns < FEWEST_PIXELS:
            continue
        key = (header.series_uid, header.transfer_syntax_uid, str(form.rows), str(form.columns))
        series.setdefault(key, []).append((path, header))
    seen: set[str] = set()
    for found in series.values():
        path, header = found[len(found) // 2]
        number = len(header.frames) // 2
        try:
            values = decode_frame(header, number, encoded_frame(header, number, path))
            display = header.frames[number].display
            window = None
            if values.ndim == 2 and not display.windows and not display.voi_luts:
                window = default_window(header, number, values)
            pixels = slices.shown(header, number, values, window, False)
        except (SivrError, MemoryError):
            continue
        mark = hashlib.sha256(np.ascontiguousarray(pixels)).hexdigest()
        if mark in seen or pixels.min() == pixels.max():
            continue
        seen.add(mark)
        yield RealPicture(f"{path.parent.name}/{path.name}", header.modality, pixels, values, header, number)


def four_known(found: list[RealPicture]) -> dict[str, RealPicture]:
    """A CT head, an MR head and a PET of the larger series, by their folders; those that are there."""
    folders = {"CT head": "ct-head-1mm", "MR head": "mr-head-jpeg-lossless", "PET": "pet-whole-body"}
    return {
        name: next(one for one in found if one.name.startswith(folder + "/"))
        for name, folder in folders.items()
        if any(one.name.startswith(folder + "/") for one in found)
    }
