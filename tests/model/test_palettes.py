"""The well-known palettes against the Color Palette objects that the DICOM committee publishes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.pixels.processing import _expand_segmented_lut

from sivr.model.palettes import PALETTES, palette_entries

PUBLISHED = Path(pydicom.__file__).parent / "data" / "palettes"


def published(name: str) -> np.ndarray:
    data = pydicom.dcmread(PUBLISHED / (name.replace("-", "") + ".dcm"), force=True)
    assert data.SOPInstanceUID == PALETTES[name].uid
    channels = []
    for channel in ("Red", "Green", "Blue"):
        keyword = f"{channel}PaletteColorLookupTableData"
        if keyword in data:
            channels.append(list(data[keyword].value))
        else:
            segments = data[f"Segmented{keyword}"].value
            channels.append(_expand_segmented_lut(tuple(segments), "B"))
    return np.asarray(channels).T


@pytest.mark.parametrize("name", PALETTES)
def test_every_palette_is_the_published_one(name: str) -> None:
    entries = np.asarray(palette_entries(name))
    assert entries.shape == (256, 3)
    difference = np.abs(entries - published(name))
    # Segments of lines are rounded by whoever expands them.
    assert difference.max() <= (1 if name in ("spring", "summer", "fall", "winter") else 0)
