"""What a data set says about the size of its pixels, for ``sivr.model.spacing`` to judge."""

from __future__ import annotations

import math

from pydicom.dataset import Dataset

from sivr.dicom import elements
from sivr.model.spacing import REGION_KINDS, ULTRASOUND_UNITS, Calibration, Pair, Region

_PROJECTIONS = frozenset({"CR", "DX", "MG", "IO", "PX", "RG", "XA", "RF", "RTIMAGE"})
_PROJECTION_CLASSES = (
    "1.2.840.10008.5.1.4.1.1.1",
    "1.2.840.10008.5.1.4.1.1.12.1",
    "1.2.840.10008.5.1.4.1.1.12.2",
    "1.2.840.10008.5.1.4.1.1.481.1",
)
"""Computed Radiography, X-Ray Angiographic, X-Ray Radiofluoroscopic, RT Image Storage and those below."""
_RECONSTRUCTED = (
    "1.2.840.10008.5.1.4.1.1.13.",  # 3D X-Ray, breast tomosynthesis
    "1.2.840.10008.5.1.4.1.1.4",  # MR
    "1.2.840.10008.5.1.4.1.1.2",  # CT
)
_SECTIONS = frozenset({"CT", "MR", "PT", "NM", "RTDOSE", "OPT", "IVOCT"})
_MAX_REGIONS = 64


def calibration(data: Dataset, modality: str, sop_class_uid: str, image_type: tuple[str, ...]) -> Calibration:
    """Sizes as the object as a whole states them (PS3.3 10.7, C.8.5.5)."""
    localizer = "LOCALIZER" in image_type and modality == "CT"
    reconstructed = any(
        sop_class_uid == one.rstrip(".") or sop_class_uid.startswith(one.rstrip(".") + ".")
        for one in _RECONSTRUCTED
    )
    projection = localizer or (
        not reconstructed
        and (
            modality in _PROJECTIONS
            or any(sop_class_uid == one or sop_class_uid.startswith(one + ".") for one in _PROJECTION_CLASSES)
        )
    )
    placed = len(elements.numbers(data, 0x00200032)) == 3 and len(elements.numbers(data, 0x00200037)) == 6
    magnification = elements.number(data, 0x00181114)
    return Calibration(
        pixel_mm=positive_pair(data, 0x00280030),
        imager_mm=positive_pair(data, 0x00181164),
        nominal_mm=positive_pair(data, 0x00182010),
        kind=elements.text(data, 0x00280A02).upper()[:16],
        description=elements.text(data, 0x00280A04)[:64],
        magnification=magnification if magnification and magnification > 0 else None,
        projection=projection,
        cross_section=not projection and (modality in _SECTIONS or placed),
        regions=_regions(data),
    )


def positive_pair(data: Dataset, tag: int) -> Pair | None:
    """A spacing of two numbers above zero; one number stands for both."""
    found = elements.numbers(data, tag)
    if len(found) == 1:
        found = (found[0], found[0])
    return (found[0], found[1]) if len(found) >= 2 and found[0] > 0 and found[1] > 0 else None


def _regions(data: Dataset) -> tuple[Region, ...]:
    """Calibrated regions, those whose pixels have priority first (Region Flags bit 0, PS3.3 C.8.5.5.1.3)."""
    found: list[tuple[int, Region]] = []
    for item in elements.items(data, 0x00186011)[:_MAX_REGIONS]:
        region = _region(item, data)
        if region is not None:
            found.append(((elements.integer(item, 0x00186016) or 0) & 1, region))
    return tuple(region for _, region in sorted(found, key=lambda one: one[0]))


def _region(item: Dataset, data: Dataset) -> Region | None:
    left, top, right, bottom = (
        elements.integer(item, tag) for tag in (0x00186018, 0x0018601A, 0x0018601C, 0x0018601E)
    )
    step_x, step_y = elements.number(item, 0x0018602C), elements.number(item, 0x0018602E)
    units = (elements.integer(item, 0x00186024), elements.integer(item, 0x00186026))
    if left is None or top is None or right is None or bottom is None:
        # Writers that leave the mandatory location out mean the whole frame.
        left = top = 0
        right = (elements.integer(data, 0x00280011) or 1) - 1
        bottom = (elements.integer(data, 0x00280010) or 1) - 1
    if right < left or bottom < top:
        return None
    if not step_x or not step_y or units[0] not in ULTRASOUND_UNITS or units[1] not in ULTRASOUND_UNITS:
        return None
    (unit_x, per_x), (unit_y, per_y) = ULTRASOUND_UNITS[units[0] or 0], ULTRASOUND_UNITS[units[1] or 0]
    if not unit_x or not unit_y:
        return None
    # Region Location Max X1 and Y1 name the last pixel that belongs to it.
    return Region(
        left=left,
        top=top,
        right=right + 1,
        bottom=bottom + 1,
        kind=REGION_KINDS.get(elements.integer(item, 0x00186012) or 0, "other"),
        unit_x=unit_x,
        unit_y=unit_y,
        step_x=math.fabs(step_x) * per_x,
        step_y=math.fabs(step_y) * per_y,
    )
