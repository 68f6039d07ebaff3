"""pydicom's own way to pixels and grey levels: the second way to every number."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi_lut, pixel_array

MANDATORY = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")
Array = np.ndarray[Any, np.dtype[Any]]


def wheel_files() -> Path:
    """The test files that come with pydicom."""
    return Path(pydicom.__file__).parent / "data" / "test_files"


def files(*roots: Path) -> Iterator[Path]:
    for root in roots:
        yield from sorted(p for p in root.rglob("*") if p.is_file())


def data_set(path: Path) -> Dataset | None:
    """What pydicom reads, None when it cannot or there are no pixels."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            data = pydicom.dcmread(path, force=True)
            has_pixels = any(k in data for k in ("PixelData", "FloatPixelData", "DoubleFloatPixelData"))
            return data if has_pixels else None
        except Exception:
            return None


def pixels(data: Dataset) -> Array | None:
    """First frame as pydicom decodes it, color as RGB; None when it cannot."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            array = pixel_array(data, index=0)
            if data.PhotometricInterpretation == "PALETTE COLOR":
                array = apply_color_lut(array, data)
        except Exception:
            return None
    return array


def completed(data: Dataset) -> bytes:
    """The object with the mandatory UIDs that some test files lack."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for keyword in MANDATORY:
            if not data.get(keyword):
                setattr(data, keyword, "1.2.3")
        file = io.BytesIO()
        data.save_as(file, enforce_file_format=True)
    return file.getvalue()


def grey(data: Dataset, values: Array, *, window: bool) -> Array | None:
    """pydicom's modality and VOI (the first window, or the first VOI LUT) as 0..255; None without any."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if (window and "WindowCenter" not in data) or (not window and "VOILUTSequence" not in data):
            return None
        levels = apply_voi_lut(apply_modality_lut(values, data), data, prefer_lut=not window).astype(
            np.float64
        )
        if not window:
            return np.asarray(levels / ((1 << int(data.VOILUTSequence[0].LUTDescriptor[2])) - 1) * 255)
        if "ModalityLUTSequence" in data:
            low, high = 0.0, float((1 << int(data.ModalityLUTSequence[0].LUTDescriptor[2])) - 1)
        else:
            bits = int(data.BitsStored)
            signed = data.PixelRepresentation == 1
            low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
            if "RescaleSlope" in data and "RescaleIntercept" in data:
                low, high = (v * float(data.RescaleSlope) + float(data.RescaleIntercept) for v in (low, high))
        return np.asarray((levels - low) / (high - low) * 255)
