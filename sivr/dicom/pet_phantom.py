"""A PET to lie over a CT phantom: other voxels, another orientation, one hot spot at a known place."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import UID

from sivr.dicom.phantom import EXPLICIT_LITTLE_ENDIAN, phantom_uid

Array = np.ndarray[Any, np.dtype[Any]]

PET = "1.2.840.10008.5.1.4.1.1.128"
HOT_SPOT = (30.0, 30.0, 20.0)
"""LPS mm: where the brightest ball of the phantom "spheres" is."""
HOT_SIGMA_MM = 5.0
HOT_BQML = 40_000.0
BACKGROUND_BQML = 2_000.0
SHAPE = (36, 44, 40)
"""Slices, rows, columns."""
SPACING_MM = (3.5, 3.0, 3.2)
"""Between slices, rows, columns."""
TILT_DEG = 12.0
"""About the patient's left-right axis, so that no slice of one lies in a slice of the other."""
_SLOPE = 2.0
_WEIGHT_KG = 70.0
_DOSE_BQ = 350e6


def pet_affine() -> Array:
    """``lps_from_ijk`` of the PET: 4 x 4, mm."""
    cos, sin = math.cos(math.radians(TILT_DEG)), math.sin(math.radians(TILT_DEG))
    dk, dj, di = SPACING_MM
    affine = np.eye(4)
    affine[:3, 0] = np.array([1, 0, 0]) * di
    affine[:3, 1] = np.array([0, cos, sin]) * dj
    affine[:3, 2] = np.array([0, -sin, cos]) * dk
    middle = (np.array(SHAPE[::-1]) - 1) / 2
    # Not in the middle of the CT either.
    affine[:3, 3] = np.array([3.0, -2.0, 5.0]) - affine[:3, :3] @ middle
    return affine


def pet_values() -> Array:
    """Activity ``bqml[k, j, i]``: a body of little, and a hot spot."""
    k, j, i = np.indices(SHAPE)
    lps = np.stack([i, j, k, np.ones(SHAPE)], axis=-1) @ pet_affine().T
    away = np.linalg.norm(lps[..., :3] - np.array(HOT_SPOT), axis=-1)
    body = np.linalg.norm(lps[..., :3] / np.array([50.0, 50.0, 70.0]), axis=-1) < 1
    heat = HOT_BQML * np.exp(-0.5 * (away / HOT_SIGMA_MM) ** 2)
    return np.asarray(np.where(body, BACKGROUND_BQML, 0) + heat)


def write_pet(folder: Path, ct: Path, *, apart: bool = False) -> list[Path]:
    """Write the PET as a series of the study and, unless ``apart``, the frame of reference of a CT object.

    One file per slice, in order from the feet. SUV by body weight is 1 for 5000 Bq/ml.
    """
    folder.mkdir(parents=True, exist_ok=True)
    known = pydicom.dcmread(ct, stop_before_pixels=True)
    affine, stored = pet_affine(), np.rint(pet_values() / _SLOPE).astype("<i2")
    paths = []
    for k in range(SHAPE[0]):
        data = _slice(known, affine, k)
        if apart:
            data.FrameOfReferenceUID = UID(phantom_uid(known.StudyInstanceUID, "pet", "apart"))
            data.SeriesInstanceUID = UID(phantom_uid(known.StudyInstanceUID, "pet", "apart", "series"))
            data.SOPInstanceUID = UID(phantom_uid(known.StudyInstanceUID, "pet", "apart", k))
        data.PixelData = stored[k].tobytes()
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = UID(PET), data.SOPInstanceUID
        meta.TransferSyntaxUID = UID(EXPLICIT_LITTLE_ENDIAN)
        meta.ImplementationClassUID = UID(phantom_uid("implementation"))
        path = folder / f"pet-{k + 1:04d}.dcm"
        FileDataset(path, data, file_meta=meta, preamble=b"\0" * 128).save_as(path, enforce_file_format=True)
        paths.append(path)
    return paths


def _slice(known: Dataset, affine: Array, k: int) -> Dataset:
    data = Dataset()
    for name in (
        "SpecificCharacterSet", "StudyDate", "StudyTime", "AccessionNumber", "StudyDescription",
        "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyID",
        "FrameOfReferenceUID", "ReferringPhysicianName", "PositionReferenceIndicator", "PatientPosition",
    ):  # fmt: skip
        setattr(data, name, known.get(name, ""))
    study = str(known.StudyInstanceUID)
    data.SOPClassUID = UID(PET)
    data.SOPInstanceUID = UID(phantom_uid(study, "pet", k))
    data.SeriesInstanceUID = UID(phantom_uid(study, "pet"))
    data.SeriesNumber, data.InstanceNumber = "2", str(k + 1)
    data.Modality, data.Manufacturer, data.SeriesDescription = "PT", "SIVR", "PET, phantom"
    data.ImageType = ["ORIGINAL", "PRIMARY"]
    data.SeriesDate = data.AcquisitionDate = data.ContentDate = "20220101"
    data.SeriesTime = data.AcquisitionTime = data.ContentTime = "120000"
    data.SeriesType, data.Units, data.CountsSource = ["WHOLE BODY", "IMAGE"], "BQML", "EMISSION"
    data.DecayCorrection, data.CorrectedImage = "ADMIN", ["DECY", "ATTN"]
    data.PatientWeight = str(_WEIGHT_KG)
    drug = Dataset()
    drug.RadiopharmaceuticalStartTime = "110000"
    drug.RadiopharmaceuticalStartDateTime = "20220101110000"
    drug.RadionuclideTotalDose, drug.RadionuclideHalfLife = f"{_DOSE_BQ:.10g}", "6586.2"
    data.RadiopharmaceuticalInformationSequence = Items([drug])
    dk, dj, di = SPACING_MM
    data.PixelSpacing, data.SliceThickness = [f"{dj:.10g}", f"{di:.10g}"], f"{dk:.10g}"
    data.ImageOrientationPatient = [f"{one:.10g}" for one in (*(affine[:3, 0] / di), *(affine[:3, 1] / dj))]
    data.ImagePositionPatient = [f"{one:.10g}" for one in affine[:3, 3] + k * affine[:3, 2]]
    data.Rows, data.Columns = SHAPE[1:]
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated = data.BitsStored = 16
    data.HighBit, data.PixelRepresentation = 15, 1
    data.RescaleIntercept, data.RescaleSlope, data.RescaleType = "0", f"{_SLOPE:.10g}", "BQML"
    data.WindowCenter, data.WindowWidth = "20000", "40000"
    data.NumberOfSlices = SHAPE[0]
    return data
