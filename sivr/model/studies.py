"""Study, series, instance, frame: what is known about stored DICOM objects without opening them again."""

from __future__ import annotations

from typing import Literal

import msgspec

from sivr.model.pixels import FrameDisplay, FramePlane, Palette, PixelFormat
from sivr.model.spacing import Calibration
from sivr.model.suv import SuvFactor


class Frame(msgspec.Struct, frozen=True):
    """One stored frame of an instance."""

    parts: tuple[tuple[int, int], ...]
    """(offset, length) in bytes in the stored file of the pieces that, joined, are the encoded frame; empty
    when a frame cannot be read alone (deflated data set, bit-packed or broken encapsulation)."""
    plane: FramePlane | None
    spacing_mm: tuple[float, float] | None
    """Distance between rows, between columns; None when the object does not say."""
    display: FrameDisplay
    phase: tuple[str, ...] = ()
    """What tells frames at one position apart: temporal position, trigger time, echo, b-value, stack id."""


class InstanceHeader(msgspec.Struct, frozen=True, kw_only=True):
    """A stored instance, read once at ingest; enough to find, order, decode and window its frames."""

    study_uid: str
    series_uid: str
    instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    modality: str = ""
    instance_number: int | None = None
    series_number: int | None = None
    acquisition_number: int | None = None
    frame_of_reference_uid: str = ""
    study_date: str = ""
    study_time: str = ""
    study_description: str = ""
    series_description: str = ""
    accession_number: str = ""
    study_id: str = ""
    body_part: str = ""
    laterality: str = ""
    view: str = ""
    """Of projection images: View Position or what View Code says, e.g. "CC", "MLO", "LATERAL"."""
    manufacturer: str = ""
    frame_time_ms: float | None = None
    calibration: Calibration | None = None
    """What the object says of the size of its pixels; None of objects indexed before it was kept."""
    suv: SuvFactor | None = None
    """To standardized uptake values; None where this is no PET."""
    pixel_aspect: tuple[int, int] = (1, 1)
    """Vertical to horizontal size of a pixel where no spacing is known (Pixel Aspect Ratio)."""
    pixel_format: PixelFormat | None = None
    palette: Palette | None = None
    frames: tuple[Frame, ...] = ()
    not_renderable: str = ""
    """One sentence why no picture can be made; empty when one can."""
    warnings: tuple[str, ...] = ()
    transfer_syntax_lossy: bool = False
    image_type: tuple[str, ...] = ()
    patient_position: str = ""
    slice_thickness_mm: float | None = None
    lossy_compressed: bool = False
    """Whether the pixels ever went through lossy compression (Lossy Image Compression, PS3.3 C.7.6.1.1.5)."""
    frame_times_ms: tuple[float, ...] = ()
    """When each frame was taken, from the first on, where they are not evenly spaced (Frame Time Vector)."""
    cine_rate_hz: float | None = None
    """Frames a second that the maker asks to be shown with."""
    graphics: bool | None = None
    """Whether overlays, a shutter or colors of single values may be in it; None where nobody looked."""


class FrameAddress(msgspec.Struct, frozen=True):
    """A frame within a series: the instance's UID and the 1-based frame number (PS3.18 counts from 1)."""

    instance_uid: str
    frame: int


class VolumeGrid(msgspec.Struct, frozen=True):
    """A regular grid of voxels ``voxels[k, j, i]`` (slice, row, column) in the patient, LPS mm."""

    shape: tuple[int, int, int]
    lps_from_ijk: tuple[tuple[float, float, float, float], ...]
    """4x4 affine; maps (i, j, k, 1) to LPS mm of the voxel's center."""
    spacing_mm: tuple[float, float, float]
    """Distance between voxel centers along i, j and k."""
    frame_of_slice: tuple[int, ...]
    """Index into Stack.frames of each slice k."""
    weights: tuple[float, ...] = ()
    """For irregular stacks resampled onto this grid: slice k lies that fraction of the way from
    frame_of_slice[k] to next_frame_of_slice[k]; empty when every slice is a stored frame."""
    next_frame_of_slice: tuple[int, ...] = ()
    """Index into Stack.frames of the frame above slice k; empty when weights are."""


class VoxelScale(msgspec.Struct, frozen=True):
    """How the voxels of one volume are stored, and the way back to modality values.

    ``modality value = voxel * slope + intercept`` for every voxel of the volume.
    """

    dtype: Literal["uint8", "int16", "uint16"]
    slope: float
    intercept: float
    units: str = ""
    stored: bool = True
    """True when voxels are the stored values themselves, False when frames are brought to a common scale
    (slope or LUT that changes from frame to frame, float or 32-bit pixels)."""
    padding_value: int | None = None
    """Voxels of this value are not image (Pixel Padding Value); None when there are none."""


class Stack(msgspec.Struct, frozen=True):
    """A series put in order for reading."""

    frames: tuple[FrameAddress, ...]
    """In reading order: along the normal by Image Position (Patient), then phase, then Instance Number."""
    volume: VolumeGrid | None
    why_no_volume: str = ""
    """One sentence, which rule of PS3.3 C.11.23.1 failed; empty when there is a volume."""
    warnings: tuple[str, ...] = ()
