"""What objects want drawn over their frames: read from the file when the first picture asks, and kept."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict

import numpy as np

from sivr.dicom.graphics import hidden_bits, overlay_mask, read_graphics, shutter_mask, with_supplement
from sivr.errors import SivrError
from sivr.model.graphics import Graphics
from sivr.model.parameters import Parameters
from sivr.services.frame_reading import FrameReader
from sivr.services.slices import Array, Pixels
from sivr.store.index import StoredInstance

log = logging.getLogger("sivr.drawings")

KEPT_BYTES = 32 * 1024 * 1024
UNREADABLE = "The overlays and shutters of this object cannot be read."
NOTHING = Graphics()


class Drawings:
    """Synchronous and thread-safe; never raises."""

    def __init__(self, reader: FrameReader) -> None:
        self._reader = reader
        self._kept: OrderedDict[str, Graphics] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def known(self, stored: StoredInstance) -> Graphics | None:
        """Without looking: what is drawn over an object; None where ``read`` has to be asked."""
        if stored.header.graphics is False:
            return NOTHING
        with self._lock:
            found = self._kept.get(stored.sha256)
            if found is not None:
                self._kept.move_to_end(stored.sha256)
            return found

    def read(self, stored: StoredInstance) -> Graphics | None:
        """What is drawn over an object; None where its file cannot be read."""
        found = self.known(stored)
        if found is not None:
            return found
        try:
            found = self._reader.whole(stored, read_graphics)
        except (SivrError, OSError) as error:
            log.warning("graphics cannot be read", extra={"reason": str(error)})
            return None
        with self._lock:
            if stored.sha256 not in self._kept:
                self._kept[stored.sha256] = found
                self._bytes += found.size_bytes
            while self._bytes > KEPT_BYTES:
                _, oldest = self._kept.popitem(last=False)
                self._bytes -= oldest.size_bytes
        return found

    def over(
        self,
        pixels: Pixels,
        stored: StoredInstance,
        number: int,
        values: Array,
        given: Parameters,
        warnings: list[str],
    ) -> Pixels:
        """A picture of frame ``number`` (from 0), as large as the frame, with everything on it.

        Colors of single values first, then the shutter, then overlays, which stay readable outside of it:
        white, or black where the picture is inverted. What goes wrong is added to ``warnings``.
        """
        graphics = self.read(stored)
        if graphics is None:
            warnings.append(UNREADABLE)
            return pixels
        if not graphics:
            return pixels
        rows, columns = pixels.shape[:2]
        if graphics.supplement is not None and values.ndim == 2:
            pixels = with_supplement(pixels, values, graphics.supplement)
        pixels = pixels.copy()
        shutter = graphics.shutters.get(number, graphics.shutter)
        if shutter is not None and given.shutter:
            spacing = stored.header.frames[number].spacing_mm
            aspect = spacing[0] / spacing[1] if spacing else _ratio(stored.header.pixel_aspect)
            pixels[~shutter_mask(shutter, rows, columns, aspect)] = shutter.level
        ink = 0 if given.invert and not given.palette else 255
        for plane in graphics.overlays:
            hides = shutter is not None and plane.group == shutter.overlay_group
            if not (given.shutter if hides else given.overlay):
                continue
            mask: Array | None
            try:
                if plane.bit_position is None:
                    mask = overlay_mask(plane, number, rows, columns)
                else:
                    encoded = self._reader.encoded(stored, number)
                    mask = hidden_bits(stored.header, number, encoded, plane.bit_position)
            except (SivrError, OSError):
                warnings.append(UNREADABLE)
                continue
            if mask is not None and mask.shape == (rows, columns) and np.any(mask):
                pixels[mask] = shutter.level if hides and shutter is not None else ink
        return pixels


def _ratio(aspect: tuple[int, int]) -> float:
    return aspect[0] / aspect[1]
