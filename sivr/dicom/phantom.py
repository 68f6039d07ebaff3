"""Phantoms with known answers, written as real DICOM: for tests, demonstrations and benchmarks.

Voxels lie axially: i grows to the patient's left, j to the back, k to the head (LPS), the center at 0, 0, 0.
"""

from __future__ import annotations

import io
import struct
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import UID

Array = np.ndarray[Any, np.dtype[Any]]

CT = "1.2.840.10008.5.1.4.1.1.2"
ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"
TOMOSYNTHESIS = "1.2.840.10008.5.1.4.1.1.13.1.3"
EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"

_AIR_HU = -1000
_INTERCEPT_HU = -1024
_NOISE_SIZE = 1 << 20


class Ellipsoid(msgspec.Struct, frozen=True):
    """A body in LPS mm, filled with one value; later ones cover earlier ones."""

    center: tuple[float, float, float]
    radii: tuple[float, float, float]
    hu: int


class Box(msgspec.Struct, frozen=True):
    """A box in LPS mm from one corner to the other."""

    low: tuple[float, float, float]
    high: tuple[float, float, float]
    hu: int


Body = Ellipsoid | Box


class Phantom(msgspec.Struct, frozen=True):
    """What a phantom is made of and how it is sampled."""

    shape: tuple[int, int, int]
    """Slices, rows, columns."""
    spacing_mm: tuple[float, float, float]
    """Between slices, rows, columns."""
    bodies: tuple[Body, ...] = ()
    background_hu: int = _AIR_HU
    noise_hu: float = 0.0
    texture_hu: float = 0.0
    """Soft, cloudy variation inside values of soft tissue."""
    folds: bool = False
    """Whether the brain has gyri and sulci."""
    blurred: bool = False
    """Whether voxels on the edge of an ellipsoid hold a part of what is on either side, as scanners do."""
    description: str = ""
    body_part: str = "PHANTOM"
    windows: tuple[tuple[int, int, str], ...] = ((40, 400, "SOFT TISSUE"),)


SPHERES: tuple[Ellipsoid, ...] = (
    Ellipsoid((-30.0, -30.0, 0.0), (14.0, 14.0, 14.0), 0),
    Ellipsoid((30.0, -30.0, -10.0), (12.0, 12.0, 12.0), 300),
    Ellipsoid((-30.0, 30.0, 10.0), (10.0, 10.0, 10.0), 700),
    Ellipsoid((30.0, 30.0, 20.0), (8.0, 8.0, 8.0), 1500),
)
"""Where the phantom "spheres" has what, in LPS mm and HU."""

LETTER: tuple[Body, ...] = (
    Box((-30.0, -6.0, -45.0), (-16.0, 6.0, 45.0), 800),
    Box((-16.0, -6.0, 31.0), (32.0, 6.0, 45.0), 800),
    Box((-16.0, -6.0, -4.0), (16.0, 6.0, 10.0), 800),
    Ellipsoid((0.0, -26.0, 38.0), (9.0, 9.0, 9.0), 1600),
)
"""An F that reads right to somebody standing in front of the patient: stem at the patient's right, arms to
the left, the long arm at the head. A bright ball before the long arm is the nose: front is there."""

_SCALP, _BONE, _BRAIN, _CSF = 45, 1100, 34, 6
_BRAIN_BODY = Ellipsoid((0.0, 10.0, 12.0), (62.5, 82.5, 73.0), _BRAIN)
_HEAD: tuple[Body, ...] = (
    Ellipsoid((0.0, 10.0, 10.0), (75.0, 95.0, 88.0), _SCALP),
    Ellipsoid((0.0, -60.0, -55.0), (52.0, 38.0, 50.0), _SCALP),
    Ellipsoid((0.0, 28.0, -75.0), (46.0, 48.0, 40.0), _SCALP),
    Ellipsoid((0.0, -92.0, -38.0), (11.0, 16.0, 22.0), _SCALP),
    Ellipsoid((-77.0, 8.0, -30.0), (6.0, 14.0, 22.0), _SCALP - 30),
    Ellipsoid((77.0, 8.0, -30.0), (6.0, 14.0, 22.0), _SCALP - 30),
    Ellipsoid((0.0, 10.0, 12.0), (69.0, 89.0, 80.0), _BONE),
    _BRAIN_BODY,
    Ellipsoid((0.0, -42.0, -68.0), (46.0, 36.0, 24.0), _BONE - 300),
    Ellipsoid((0.0, -40.0, -66.0), (39.0, 30.0, 20.0), _SCALP),
    Ellipsoid((0.0, 40.0, -90.0), (16.0, 15.0, 50.0), _BONE - 200),
    Ellipsoid((0.0, 40.0, -90.0), (8.0, 8.0, 50.0), _CSF + 20),
    Ellipsoid((-30.0, -66.0, -30.0), (19.0, 18.0, 17.0), _BONE - 200),
    Ellipsoid((30.0, -66.0, -30.0), (19.0, 18.0, 17.0), _BONE - 200),
    Ellipsoid((-30.0, -70.0, -30.0), (15.0, 17.0, 14.0), -40),
    Ellipsoid((30.0, -70.0, -30.0), (15.0, 17.0, 14.0), -40),
    Ellipsoid((-30.0, -74.0, -30.0), (11.5, 11.5, 11.5), 12),
    Ellipsoid((30.0, -74.0, -30.0), (11.5, 11.5, 11.5), 12),
    Ellipsoid((0.0, -60.0, -38.0), (8.0, 26.0, 20.0), -920),
    Ellipsoid((0.0, -62.0, -38.0), (1.2, 24.0, 19.0), 250),
    Ellipsoid((-22.0, -62.0, -56.0), (11.0, 15.0, 11.0), -950),
    Ellipsoid((22.0, -62.0, -56.0), (11.0, 15.0, 11.0), -950),
    Ellipsoid((-50.0, 26.0, -46.0), (14.0, 18.0, 9.0), _BONE + 300),
    Ellipsoid((50.0, 26.0, -46.0), (14.0, 18.0, 9.0), _BONE + 300),
    Ellipsoid((-54.0, 32.0, -46.0), (6.0, 7.0, 5.0), -700),
    Ellipsoid((54.0, 32.0, -46.0), (6.0, 7.0, 5.0), -700),
    Ellipsoid((-9.0, -8.0, 22.0), (6.0, 28.0, 11.0), _CSF),
    Ellipsoid((9.0, -8.0, 22.0), (6.0, 28.0, 11.0), _CSF),
    Ellipsoid((-17.0, 30.0, 18.0), (7.0, 20.0, 10.0), _CSF),
    Ellipsoid((17.0, 30.0, 18.0), (7.0, 20.0, 10.0), _CSF),
    Ellipsoid((0.0, 4.0, 6.0), (2.4, 13.0, 10.0), _CSF),
    Ellipsoid((0.0, 46.0, -34.0), (7.0, 7.0, 9.0), _CSF),
    Ellipsoid((-20.0, 6.0, 8.0), (9.0, 15.0, 10.0), _BRAIN + 5),
    Ellipsoid((20.0, 6.0, 8.0), (9.0, 15.0, 10.0), _BRAIN + 5),
    Ellipsoid((0.0, 10.0, 62.0), (0.9, 78.0, 24.0), _BRAIN + 24),
    Ellipsoid((34.0, 18.0, 34.0), (17.0, 15.0, 14.0), _BRAIN - 14),
    Ellipsoid((34.0, 18.0, 34.0), (9.5, 8.5, 9.0), 68),
    Ellipsoid((0.0, 34.0, 4.0), (2.2, 2.2, 2.2), 220),
    Box((-90.0, 112.0, -200.0), (90.0, 115.0, 200.0), 60),
)
"""A head: scalp, skull, face, orbits, sinuses, ventricles, deep nuclei, falx, and a bleeding in the left
hemisphere with edema around it, on the board of the table."""

_BREAST: tuple[Body, ...] = (
    Ellipsoid((-120.0, 0.0, 0.0), (190.0, 92.0, 52.0), 60),
    Ellipsoid((-60.0, -10.0, 4.0), (70.0, 46.0, 24.0), 160),
    Ellipsoid((-20.0, 24.0, -8.0), (38.0, 22.0, 14.0), 220),
    Ellipsoid((10.0, -18.0, 12.0), (9.0, 7.0, 6.0), 420),
    Ellipsoid((-40.0, 36.0, -14.0), (0.6, 0.6, 1.0), 2400),
    Ellipsoid((-37.0, 38.0, -14.0), (0.5, 0.5, 1.0), 2400),
    Ellipsoid((-42.0, 39.0, -13.0), (0.4, 0.4, 1.0), 2400),
)

_HEAD_WINDOWS = ((40, 80, "BRAIN"), (600, 2800, "BONE"), (40, 400, "SOFT TISSUE"))
_PHANTOMS: dict[str, Phantom] = {
    "ramp": Phantom((32, 128, 128), (2.0, 1.0, 1.0), description="Ramp in HU", windows=((-600, 800, ""),)),
    "spheres": Phantom(
        (64, 128, 128), (1.5, 1.0, 1.0), SPHERES, description="Four spheres", windows=((300, 2600, ""),)
    ),
    "letter": Phantom(
        (64, 128, 128),
        (2.0, 1.0, 1.0),
        LETTER,
        description="Letter F with a nose",
        windows=((300, 2600, ""),),
    ),
    "head": Phantom(
        (60, 512, 512),
        (3.0, 0.5, 0.5),
        _HEAD,
        noise_hu=4.0,
        texture_hu=3.0,
        folds=True,
        blurred=True,
        description="CT head, phantom",
        body_part="HEAD",
        windows=_HEAD_WINDOWS,
    ),
}

_RECORDS: dict[str, Phantom] = {
    letter: Phantom(
        (slices, 512, 512),
        (180.0 / slices, 0.5, 0.5),
        _HEAD,
        noise_hu=9.0,
        texture_hu=3.0,
        folds=True,
        description=f"Benchmark record {letter}",
        body_part="HEAD",
        windows=_HEAD_WINDOWS,
    )
    for letter, slices in (("A", 10), ("B", 54), ("C", 555))
}
_RECORDS["D"] = Phantom(
    (96, 1996, 2457),
    (1.0, 0.1, 0.1),
    _BREAST,
    noise_hu=9.0,
    texture_hu=30.0,
    description="Benchmark record D",
    body_part="BREAST",
    windows=((150, 700, "BREAST"),),
)


def phantom_uid(*names: str | int) -> str:
    """The same UID for the same names, below 2.25 (PS3.5 B.2)."""
    text = "/".join(map(str, names))
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_URL, 'https://sivr.invalid/phantom/' + text).int}"


def phantom_values(name: str, shape: tuple[int, int, int] | None = None) -> Array:
    """True values of a phantom, ``hu[k, j, i]`` in HU as int16, as its files hold them."""
    phantom = _phantom(name, shape)
    return np.stack([_slice(name, phantom, k) for k in range(phantom.shape[0])])


def phantom_affine(name: str, shape: tuple[int, int, int] | None = None) -> Array:
    """``lps_from_ijk`` of a phantom: 4 x 4, mm."""
    phantom = _phantom(name, shape)
    dk, dj, di = phantom.spacing_mm
    slices, rows, columns = phantom.shape
    affine = np.diag([di, dj, dk, 1.0])
    affine[:3, 3] = -(columns - 1) / 2 * di, -(rows - 1) / 2 * dj, -(slices - 1) / 2 * dk
    return affine


def write_phantom(
    folder: Path,
    name: str,
    shape: tuple[int, int, int] | None = None,
    *,
    multi_frame: bool = False,
    study: str = "",
) -> list[Path]:
    """Write the phantom "ramp", "spheres", "letter" or "head" into a folder, which is made.

    One file per slice, or one Enhanced CT object. ``shape`` is (slices, rows, columns); the field of view in
    mm stays. UIDs follow from name, shape, form and ``study``: the same call writes the same bytes. The
    answer lists the files in order from feet to head.
    """
    phantom = _phantom(name, shape)
    key = "x".join(map(str, phantom.shape))
    root = (study or f"{name}-{key}", f"{name}-{key}", "enhanced" if multi_frame else "classic")
    return _write(folder, name, phantom, root, CT if not multi_frame else ENHANCED_CT)


def benchmark_record(folder: Path, letter: str, *, multi_frame: bool | None = None) -> list[Path]:
    """Write record A (512 x 512 x 10), B (x 54), C (x 555) or D (1996 x 2457 x 96) of the paper, 16 bit.

    A to C are a CT head, one file a slice unless ``multi_frame``; D is a breast tomosynthesis, one object
    unless ``multi_frame`` is False. The same bytes every time.
    """
    phantom = _RECORDS[letter]
    together = letter == "D" if multi_frame is None else multi_frame
    sop_class = (TOMOSYNTHESIS if letter == "D" else ENHANCED_CT) if together else CT
    return _write(
        folder, f"record-{letter}", phantom, (f"record-{letter}", f"record-{letter}", sop_class), sop_class
    )


def _phantom(name: str, shape: tuple[int, int, int] | None) -> Phantom:
    phantom = _PHANTOMS[name]
    if shape is None:
        return phantom
    old, spacing = phantom.shape, phantom.spacing_mm
    scaled = tuple(spacing[axis] * old[axis] / shape[axis] for axis in range(3))
    return msgspec.structs.replace(phantom, shape=shape, spacing_mm=(scaled[0], scaled[1], scaled[2]))


def _axis(count: int, step: float) -> Array:
    return ((np.arange(count) - (count - 1) / 2) * step).astype(np.float32)


def _slice(name: str, phantom: Phantom, k: int) -> Array:
    """One slice in HU, int16 (rows, columns)."""
    slices, rows, columns = phantom.shape
    if name == "ramp":
        i, j = np.arange(columns), np.arange(rows)[:, None]
        return (-1000 + 4 * i + 2 * j + k).astype(np.int16)
    x, y = _axis(columns, phantom.spacing_mm[2]), _axis(rows, phantom.spacing_mm[1])
    z = float(_axis(slices, phantom.spacing_mm[0])[k])
    hu = np.full((rows, columns), phantom.background_hu, np.int16)
    for body in phantom.bodies:
        if phantom.blurred and isinstance(body, Ellipsoid):
            _paint_blurred(hu, body, x, y, z, phantom.spacing_mm)
        else:
            _paint(hu, body, x, y, z)
    if phantom.folds:
        _fold(hu, x, y, z)
    if phantom.texture_hu:
        tissue = (hu > -200) & (hu < 400)
        cloud = _cloud(x, y, z) * phantom.texture_hu
        hu[tissue] += cloud[tissue].astype(np.int16)
    if phantom.noise_hu:
        hu += _noise(phantom.noise_hu, hu.size, k).reshape(hu.shape)
    return hu


def _paint(hu: Array, body: Body, x: Array, y: Array, z: float) -> None:
    if isinstance(body, Box):
        if body.low[2] <= z <= body.high[2]:
            columns = np.flatnonzero((x >= body.low[0]) & (x <= body.high[0]))
            rows = np.flatnonzero((y >= body.low[1]) & (y <= body.high[1]))
            if columns.size and rows.size:
                hu[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = body.hu
        return
    room = 1.0 - ((z - body.center[2]) / body.radii[2]) ** 2
    if room <= 0:
        return
    u = ((x - body.center[0]) / body.radii[0]) ** 2
    v = ((y - body.center[1]) / body.radii[1]) ** 2
    columns, rows = np.flatnonzero(u <= room), np.flatnonzero(v <= room)
    if columns.size and rows.size:
        window = hu[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        inside = u[columns[0] : columns[-1] + 1] + v[rows[0] : rows[-1] + 1, None] <= room
        window[inside] = body.hu


def _paint_blurred(
    hu: Array, body: Ellipsoid, x: Array, y: Array, z: float, spacing_mm: tuple[float, float, float]
) -> None:
    dk, dj, di = spacing_mm
    (cx, cy, cz), (rx, ry, rz) = body.center, body.radii
    if abs(z - cz) > rz + dk:
        return
    columns, rows = np.flatnonzero(np.abs(x - cx) <= rx + di), np.flatnonzero(np.abs(y - cy) <= ry + dj)
    if not (columns.size and rows.size):
        return
    window = hu[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    u = ((x[columns[0] : columns[-1] + 1] - cx) / rx) ** 2
    v = ((y[rows[0] : rows[-1] + 1, None] - cy) / ry) ** 2
    part = np.zeros(window.shape, np.float32)
    # A slice is as thick as the distance to the next one.
    for within in (-dk / 3, 0.0, dk / 3):
        distance = (1 - np.sqrt(u + v + np.float32(((z + within - cz) / rz) ** 2))) * min(rx, ry, rz)
        part += np.clip(distance / (0.5 * (di + dj)) + 0.5, 0, 1)
    window += np.rint((body.hu - window) * (part / 3)).astype(np.int16)


def _cloud(x: Array, y: Array, z: float) -> Array:
    """A smooth field of -1..1 made of a few waves: marbling without randomness."""
    coarse = np.sin(0.09 * x + 0.05 * z)[None, :] + np.sin(0.11 * y - 0.07 * z)[:, None]
    fine = np.sin(0.23 * x + 1.7 * np.sin(0.11 * z))[None, :] * np.sin(0.19 * y + 0.21 * z)[:, None]
    return np.asarray(0.25 * coarse + 0.5 * fine)


def _fold(hu: Array, x: Array, y: Array, z: float) -> None:
    """Grey matter around the brain and along the sulci, fluid in them: where winding waves cross zero."""
    cx, cy, cz = _BRAIN_BODY.center
    rx, ry, rz = _BRAIN_BODY.radii
    room = np.float32(((z - cz) / rz) ** 2)
    if room >= 1:
        return
    depth = ((x - cx) / rx)[None, :] ** 2 + ((y - cy) / ry)[:, None] ** 2 + room
    brain = (hu == _BRAIN) & (depth > 0.62)
    waves = np.sin(0.33 * x[None, :] + (2.4 * np.sin(0.12 * y + 0.10 * z))[:, None])
    waves += np.sin(0.29 * y[:, None] + (2.6 * np.sin(0.14 * x - 0.08 * z))[None, :])
    np.abs(waves, out=waves)
    reach = np.clip((depth - 0.62) / 0.3, 0.0, 1.0)
    hu[brain & ((waves < 0.55 * reach) | (depth > 0.93))] = _BRAIN + 6
    hu[brain & ((waves < 0.2 * reach) | (depth > 0.985))] = _CSF + 4


_noise_pool: dict[float, Array] = {}


def _noise(sigma: float, count: int, k: int) -> Array:
    """Deterministic noise: every slice reads the same pool from another place."""
    pool = _noise_pool.get(sigma)
    if pool is None:
        # Philox gives the same numbers on every machine; int16 after rounding.
        drawn = np.random.Generator(np.random.Philox(2022)).standard_normal(_NOISE_SIZE, dtype=np.float32)
        pool = _noise_pool[sigma] = np.rint(drawn * sigma).astype(np.int16)
    start = (k * 7919 * 131) % pool.size
    return np.resize(np.roll(pool, -start), count)


def _write(
    folder: Path, name: str, phantom: Phantom, root: tuple[str, str, str], sop_class: str
) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    slices = phantom.shape[0]
    frames = (
        (_slice(name, phantom, k).astype(np.int32) - _INTERCEPT_HU).clip(0, 65535).astype("<u2")
        for k in range(slices)
    )
    if sop_class != CT:
        path = folder / f"{name}.dcm"
        data = _data_set(phantom, root, sop_class, 1)
        _functional_groups(data, phantom)
        save(path, data, frames, slices)
        return [path]
    paths: list[Path] = []
    for k, frame in enumerate(frames):
        data = _data_set(phantom, root, sop_class, k + 1)
        data.ImagePositionPatient = _position(phantom, k)
        data.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        data.PixelSpacing = [_ds(phantom.spacing_mm[1]), _ds(phantom.spacing_mm[2])]
        data.SliceThickness = _ds(phantom.spacing_mm[0])
        data.RescaleIntercept, data.RescaleSlope, data.RescaleType = str(_INTERCEPT_HU), "1", "HU"
        data.WindowCenter = [str(w[0]) for w in phantom.windows]
        data.WindowWidth = [str(w[1]) for w in phantom.windows]
        data.WindowCenterWidthExplanation = [w[2] for w in phantom.windows]
        path = folder / f"{name}-{k + 1:04d}.dcm"
        save(path, data, iter((frame,)), 1)
        paths.append(path)
    return paths


def _ds(number: float) -> str:
    """A decimal string of at most 16 characters."""
    return f"{number:.10g}"


def _position(phantom: Phantom, k: int) -> list[str]:
    dk, dj, di = phantom.spacing_mm
    slices, rows, columns = phantom.shape
    return [_ds(-(columns - 1) / 2 * di), _ds(-(rows - 1) / 2 * dj), _ds((k - (slices - 1) / 2) * dk)]


def _data_set(phantom: Phantom, root: tuple[str, str, str], sop_class: str, number: int) -> Dataset:
    study, series, form = root
    data = Dataset()
    data.SpecificCharacterSet = "ISO_IR 192"
    data.ImageType = [
        "ORIGINAL",
        "PRIMARY",
        "AXIAL" if sop_class == CT else "VOLUME",
        *(() if sop_class == CT else ("NONE",)),
    ]
    data.SOPClassUID = UID(sop_class)
    data.SOPInstanceUID = UID(phantom_uid(study, series, form, number))
    data.StudyDate = data.SeriesDate = data.ContentDate = data.AcquisitionDate = "20220101"
    data.StudyTime = data.SeriesTime = data.ContentTime = data.AcquisitionTime = "120000"
    data.AccessionNumber = ""
    data.Modality = "MG" if sop_class == TOMOSYNTHESIS else "CT"
    data.Manufacturer = "SIVR"
    data.ManufacturerModelName = "Phantom"
    data.ReferringPhysicianName = ""
    data.StudyDescription = phantom.description
    data.SeriesDescription = phantom.description
    data.PatientName = "Phantom"
    data.PatientID = "PHANTOM"
    data.PatientBirthDate = data.PatientSex = ""
    data.BodyPartExamined = phantom.body_part
    data.PatientPosition = "HFS"
    data.StudyInstanceUID = UID(phantom_uid(study))
    data.SeriesInstanceUID = UID(phantom_uid(study, series, form))
    data.StudyID = "1"
    data.SeriesNumber = "1"
    data.AcquisitionNumber = "1"
    data.InstanceNumber = str(number)
    data.FrameOfReferenceUID = UID(phantom_uid(study, series))
    data.PositionReferenceIndicator = ""
    data.SamplesPerPixel = 1
    data.PhotometricInterpretation = "MONOCHROME2"
    data.Rows, data.Columns = phantom.shape[1], phantom.shape[2]
    data.BitsAllocated = data.BitsStored = 16
    data.HighBit = 15
    data.PixelRepresentation = 0
    return data


def _functional_groups(data: Dataset, phantom: Phantom) -> None:
    """What an enhanced object says of all its frames, and of each (PS3.3 C.7.6.16)."""
    measures, orientation, transformation, voi = Dataset(), Dataset(), Dataset(), Dataset()
    measures.PixelSpacing = [_ds(phantom.spacing_mm[1]), _ds(phantom.spacing_mm[2])]
    measures.SliceThickness = _ds(phantom.spacing_mm[0])
    orientation.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    transformation.RescaleIntercept, transformation.RescaleSlope, transformation.RescaleType = (
        str(_INTERCEPT_HU),
        "1",
        "HU",
    )
    voi.WindowCenter = [str(w[0]) for w in phantom.windows]
    voi.WindowWidth = [str(w[1]) for w in phantom.windows]
    voi.WindowCenterWidthExplanation = [w[2] for w in phantom.windows]
    shared = Dataset()
    shared.PixelMeasuresSequence = Items([measures])
    shared.PlaneOrientationSequence = Items([orientation])
    shared.PixelValueTransformationSequence = Items([transformation])
    shared.FrameVOILUTSequence = Items([voi])
    data.SharedFunctionalGroupsSequence = Items([shared])
    per_frame: list[Dataset] = []
    for k in range(phantom.shape[0]):
        plane, content, group = Dataset(), Dataset(), Dataset()
        plane.ImagePositionPatient = _position(phantom, k)
        content.StackID = "1"
        content.InStackPositionNumber = k + 1
        content.DimensionIndexValues = [1, k + 1]
        group.FrameContentSequence = Items([content])
        group.PlanePositionSequence = Items([plane])
        per_frame.append(group)
    data.PerFrameFunctionalGroupsSequence = Items(per_frame)
    data.NumberOfFrames = str(phantom.shape[0])


def save(path: Path, data: Dataset, frames: Iterator[Array], count: int) -> None:
    """Write a data set and, frame by frame, its pixels: a record of 900 MB never lies in memory."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = data.SOPClassUID
    meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    meta.TransferSyntaxUID = UID(EXPLICIT_LITTLE_ENDIAN)
    meta.ImplementationClassUID = UID(phantom_uid("implementation"))
    head = io.BytesIO()
    FileDataset(head, data, file_meta=meta, preamble=b"\0" * 128).save_as(head, enforce_file_format=True)
    with path.open("wb") as file:
        file.write(head.getvalue())
        file.write(
            struct.pack("<HH2sHL", 0x7FE0, 0x0010, b"OW", 0, count * int(data.Rows) * int(data.Columns) * 2)
        )
        for frame in frames:
            file.write(frame.tobytes())
