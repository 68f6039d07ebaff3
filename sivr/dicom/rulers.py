"""Phantoms to measure on: bright dots at known places, written with every kind of calibration."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import UID

from sivr.dicom.phantom import phantom_uid, save

RulerKind = Literal["ct", "dx", "dx-detector", "mg", "us", "pixels"]
ROWS, COLUMNS = 240, 320
DOTS: tuple[tuple[int, int], ...] = ((40, 30), (140, 30), (40, 105), (200, 40), (290, 110), (60, 200))
"""Column and row of each bright pixel."""
DOT, GROUND = 3000, 1000
"""Stored values of dots and of what lies between, before a checkerboard of +-10 columns."""


class UltrasoundScale(msgspec.Struct, frozen=True):
    """A calibrated region as PS3.3 C.8.5.5 writes it."""

    box: tuple[int, int, int, int]
    """First and last column and row: x0, y0, x1, y1."""
    kind: int
    units: tuple[int, int]
    delta: tuple[float, float]
    flags: int = 0


REGIONS: tuple[UltrasoundScale, ...] = (
    UltrasoundScale((0, 0, 159, 119), 1, (3, 3), (0.02, 0.02)),
    UltrasoundScale((160, 0, 319, 119), 1, (3, 3), (0.01, 0.03)),
    UltrasoundScale((0, 120, 159, 239), 2, (4, 3), (0.005, 0.02)),
    UltrasoundScale((160, 120, 319, 229), 3, (4, 7), (0.004, -2.0)),
)
"""Two planes side by side of unlike scale, an M-mode and a spectral trace; ten rows belong to none."""

_CLASSES: dict[RulerKind, tuple[str, str]] = {
    "ct": ("1.2.840.10008.5.1.4.1.1.2", "CT"),
    "dx": ("1.2.840.10008.5.1.4.1.1.1.1", "DX"),
    "dx-detector": ("1.2.840.10008.5.1.4.1.1.1.1", "DX"),
    "mg": ("1.2.840.10008.5.1.4.1.1.1.2", "MG"),
    "us": ("1.2.840.10008.5.1.4.1.1.6.1", "US"),
    "pixels": ("1.2.840.10008.5.1.4.1.1.7", "OT"),
}


def ruler_values() -> np.ndarray[Any, np.dtype[np.uint16]]:
    """Stored values of every ruler phantom, (rows, columns) uint16."""
    rows, columns = np.mgrid[0:ROWS, 0:COLUMNS]
    values: np.ndarray[Any, np.dtype[np.uint16]] = np.zeros((ROWS, COLUMNS), np.uint16)
    values += (GROUND + 10 * ((rows // 8 + columns // 8) % 2) + columns).astype(np.uint16)
    for column, row in DOTS:
        values[row, column] = DOT
    return values


def write_ruler(path: Path, kind: RulerKind, *, study: str = "") -> Path:
    """Write one ruler phantom; the same call writes the same bytes.

    - ``ct`` Pixel Spacing 0.8 mm between rows, 0.5 between columns, and an intercept of -1024
    - ``dx`` 0.15 mm at the detector, magnified 1.25 times; ``dx-detector`` nobody says how much
    - ``mg`` 0.1 mm at the detector, Pixel Spacing 0.08 by geometry
    - ``us`` the ``REGIONS``; ``pixels`` nothing at all, pixels twice as high as wide
    """
    data = _data_set(kind, study or "rulers")
    if kind == "ct":
        data.ImagePositionPatient, data.ImageOrientationPatient = ["0", "0", "0"], [1, 0, 0, 0, 1, 0]
        data.PixelSpacing, data.SliceThickness = ["0.8", "0.5"], "1"
        data.RescaleIntercept, data.RescaleSlope, data.RescaleType = "-1024", "1", "HU"
    elif kind in ("dx", "dx-detector"):
        data.ImagerPixelSpacing = ["0.15", "0.15"]
        if kind == "dx":
            data.EstimatedRadiographicMagnificationFactor = "1.25"
    elif kind == "mg":
        data.ImagerPixelSpacing, data.PixelSpacing = ["0.1", "0.1"], ["0.08", "0.08"]
        data.PixelSpacingCalibrationType = "GEOMETRY"
        data.PixelSpacingCalibrationDescription = "breast support"
    elif kind == "us":
        data.SequenceOfUltrasoundRegions = Items([_region(one) for one in REGIONS])
    else:
        data.PixelAspectRatio = ["2", "1"]
    data.WindowCenter, data.WindowWidth = ("500", "3000") if kind == "ct" else ("1500", "3000")
    path.parent.mkdir(parents=True, exist_ok=True)
    save(path, data, iter((ruler_values(),)), 1)
    return path


def _region(scale: UltrasoundScale) -> Dataset:
    item = Dataset()
    item.RegionSpatialFormat, item.RegionDataType, item.RegionFlags = scale.kind, 1, scale.flags
    item.RegionLocationMinX0, item.RegionLocationMinY0 = scale.box[:2]
    item.RegionLocationMaxX1, item.RegionLocationMaxY1 = scale.box[2:]
    item.PhysicalUnitsXDirection, item.PhysicalUnitsYDirection = scale.units
    item.PhysicalDeltaX, item.PhysicalDeltaY = scale.delta
    return item


def _data_set(kind: RulerKind, study: str) -> Dataset:
    sop_class, modality = _CLASSES[kind]
    data = Dataset()
    data.SpecificCharacterSet = "ISO_IR 192"
    data.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL" if kind == "ct" else ""]
    data.SOPClassUID, data.SOPInstanceUID = UID(sop_class), UID(phantom_uid("ruler", study, kind, 1))
    data.StudyDate = data.SeriesDate = data.ContentDate = "20220101"
    data.StudyTime = data.SeriesTime = data.ContentTime = "120000"
    data.AccessionNumber = data.ReferringPhysicianName = ""
    data.Modality, data.Manufacturer = modality, "SIVR"
    data.StudyDescription, data.SeriesDescription = "Rulers", f"Ruler {kind}"
    data.PatientName, data.PatientID = "Phantom", "PHANTOM"
    data.PatientBirthDate = data.PatientSex = ""
    data.StudyInstanceUID = UID(phantom_uid("ruler", study))
    data.SeriesInstanceUID = UID(phantom_uid("ruler", study, kind))
    data.FrameOfReferenceUID = UID(phantom_uid("ruler", study, "place"))
    data.StudyID, data.SeriesNumber, data.InstanceNumber = "1", str(list(_CLASSES).index(kind) + 1), "1"
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.Rows, data.Columns = ROWS, COLUMNS
    data.BitsAllocated = data.BitsStored = 16
    data.HighBit, data.PixelRepresentation = 15, 0
    return data
