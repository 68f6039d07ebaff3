"""Text burned into a picture when a client asks for it (PS3.18 8.3.5.1.1).

Only technique: a render node knows no patient, those facts are the toplevel's. Viewers that can draw text
themselves should, this is for those that cannot.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sivr.model.pixels import Window
from sivr.model.studies import InstanceHeader

Pixels = npt.NDArray[np.uint8]
SUPPORTED = ("technique",)
MARGIN = 4
MIN_TEXT_HEIGHT, MAX_TEXT_HEIGHT = 9, 28


def technique(header: InstanceHeader, number: int, count: int, window: Window | None) -> tuple[str, ...]:
    """How the picture was made, line by line; ``number`` of ``count`` frames, from 1."""
    first = " ".join(part for part in (header.modality, header.body_part, header.laterality) if part)
    lines = [first, f"Image {number} of {count}"]
    if header.slice_thickness_mm:
        lines.append(f"Thickness {header.slice_thickness_mm:g} mm")
    if window is not None:
        lines.append(f"C {window.center:g} W {window.width:g}")
    return tuple(line for line in lines if line)


def burned_in(pixels: Pixels, lines: Sequence[str]) -> Pixels:
    """The picture with white, black-edged lines in its lower left corner; smaller where there is no room."""
    from PIL import Image, ImageDraw, ImageFont

    height = pixels.shape[0]
    size = max(MIN_TEXT_HEIGHT, min(MAX_TEXT_HEIGHT, height // 28))
    font: Any = ImageFont.load_default(size)
    image = Image.fromarray(np.ascontiguousarray(pixels))
    draw = ImageDraw.Draw(image)
    text = "\n".join(lines)
    white, black = ((255, 255, 255), (0, 0, 0)) if pixels.ndim == 3 else (255, 0)
    draw.multiline_text(
        (MARGIN, height - MARGIN), text, fill=white, font=font, anchor="ld", stroke_width=1, stroke_fill=black
    )
    return np.asarray(image, dtype=np.uint8)
