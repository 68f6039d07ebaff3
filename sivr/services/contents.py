"""What a viewer must know of a study before it asks for pictures: series, frames, geometry, windows."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable, Sequence
from typing import Protocol

import msgspec
import numpy as np

from sivr.dicom.presentation import default_window, stored_dtype
from sivr.errors import NotFound, SivrError
from sivr.model.pixels import FrameDisplay, FramePlane, PixelFormat, Window
from sivr.model.rendering import Vector
from sivr.model.spacing import Calibration, Point, Region, Spacing, frame_spacing_mm, spacing_of
from sivr.model.studies import InstanceHeader, VolumeGrid
from sivr.model.suv import SuvFactor
from sivr.model.window_presets import WindowPreset, window_presets
from sivr.services.loading import SeriesLoader
from sivr.services.open_series import OpenSeries, Progress


class PlaneOrientation(msgspec.Struct, frozen=True):
    """Direction cosines of increasing column and row index, LPS (PS3.3 C.7.6.2.1.1)."""

    row: Vector
    col: Vector


class FrameContents(msgspec.Struct, frozen=True):
    """One frame in reading order."""

    instance_uid: str
    frame: int
    columns: int
    rows: int
    position_mm: float | None
    """Along the normal of the first frame; None where the object has no place in the patient."""
    origin: Vector | None = None
    """Center of the first pixel, LPS mm (PS3.3 C.7.6.2.1.1)."""
    orientation: PlaneOrientation | None = None
    """Only where it differs from the series' own."""
    phase: tuple[str, ...] = ()
    instance_number: int | None = None
    side: str = ""
    """Laterality and view of a projection image, e.g. "R CC"."""
    scale: int = 0
    """Which of the series' ``scales`` measurements on this frame are made with."""
    time_ms: float | None = None
    """When it was taken, from the first frame of its object on."""


class Loaded(msgspec.Struct, frozen=True):
    """How much of a series is in memory."""

    slices: int
    total: int


class FrameScale(msgspec.Struct, frozen=True):
    """What measurements on a frame are made with."""

    spacing: Spacing
    """Of the frame; of ultrasound what holds outside its regions."""
    regions: tuple[Region, ...] = ()
    """Of ultrasound: the first that holds all points of a measurement counts, else ``spacing``."""
    suv_bw: float | None = None
    """Of PET: modality value times this is SUV by body weight, g/ml."""
    why_no_suv: str = ""


class VolumeContents(msgspec.Struct, frozen=True):
    """The volume of a series."""

    shape: tuple[int, int, int]
    """Slices, rows, columns."""
    spacing_mm: tuple[float, float, float]
    """Along columns, rows, slices (i, j, k)."""
    center: Vector
    """LPS mm."""
    extent_mm: Vector
    """Size of the box around the volume along x, y, z of the patient."""
    lps_from_ijk: tuple[tuple[float, float, float, float], ...]


class SeriesContents(msgspec.Struct, frozen=True, kw_only=True):
    """A series as a viewer sees it."""

    series_uid: str
    modality: str
    number: int | None
    description: str
    renderable: bool
    why_not: str
    frame_count: int
    complete: bool
    """False while objects of this study are still being indexed."""
    frames: tuple[FrameContents, ...]
    columns: int
    rows: int
    spacing_mm: tuple[float, float] | None
    """Between rows, between columns."""
    spacing_origin: str
    """Who says so, as in ``scales``; empty where spacing_mm is null."""
    scales: tuple[FrameScale, ...]
    pixel_aspect: tuple[int, int]
    windows: tuple[Window, ...]
    """The windows of the file, or the one that is used when the file has none."""
    value_range: tuple[float, float] | None
    """Modality values the stored bits can reach; None for color."""
    units: str
    color: bool
    inverted: bool
    """True for MONOCHROME1: the file asks for white where values are low."""
    orientation: PlaneOrientation | None
    frame_of_reference_uid: str
    """Series with the same one share their coordinates (PS3.3 C.7.4.1.1.1); empty where none is told."""
    volume: VolumeContents | None
    why_no_volume: str
    warnings: tuple[str, ...]
    loaded: Loaded
    frame_time_ms: float | None
    lossy: bool
    """Whether the stored pixels went through lossy compression."""
    modality_presets: tuple[WindowPreset, ...]
    cine_rate_hz: float | None = None
    """Frames a second that the file asks for; else ``frame_time_ms`` says how they were taken."""
    study_date: str = ""
    """YYYYMMDD."""
    study_time: str = ""
    """HHMMSS."""
    study_description: str = ""
    body_part: str = ""
    laterality: str = ""
    slice_thickness_mm: float | None = None


class StudyContents(msgspec.Struct, frozen=True):
    """A study as a viewer sees it."""

    study_uid: str
    series: tuple[SeriesContents, ...]


class LoadingState(msgspec.Struct, frozen=True):
    """Progress of loading a series into memory."""

    slices_loaded: int
    slices_total: int
    state: str
    broken: dict[str, str]


class StudySource(Protocol):
    """Where it is known what a study holds."""

    async def series_uids(self, study_uid: str) -> Sequence[str]:
        """UIDs of the stored series of a study; empty when there is none."""

    async def indexing(self, study_uid: str) -> bool:
        """Whether objects of the study still wait to be indexed."""


class Contents:
    """Answers what is in a study."""

    def __init__(self, source: StudySource, loader: SeriesLoader) -> None:
        self._source = source
        self._loader = loader

    async def study(self, study_uid: str) -> StudyContents:
        """All series of a study, by number; raises NotFound."""
        uids = await self._source.series_uids(study_uid)
        if not uids:
            raise NotFound("There is no such study on this node.")
        complete = not await self._source.indexing(study_uid)
        found = await asyncio.gather(*(self._one(study_uid, uid, complete) for uid in uids))
        ordered = sorted(found, key=lambda one: (one.number is None, one.number or 0, one.series_uid))
        return StudyContents(study_uid, tuple(ordered))

    async def series(self, study_uid: str, series_uid: str) -> SeriesContents:
        """One series; raises NotFound."""
        return await self._one(study_uid, series_uid, not await self._source.indexing(study_uid))

    async def loading(self, study_uid: str, series_uid: str) -> LoadingState:
        """How far a series is in memory; raises NotFound."""
        progress = self._loader.progress(await self._loader.open(study_uid, series_uid))
        return LoadingState(progress.slices_loaded, progress.slices_total, progress.state, progress.broken)

    async def _one(self, study_uid: str, series_uid: str, complete: bool) -> SeriesContents:
        series = await self._loader.open(study_uid, series_uid)
        window = await default_window_of(self._loader, series)
        return describe(series, self._loader.progress(series), window, complete)


async def default_window_of(loader: SeriesLoader, series: OpenSeries) -> Window | None:
    """The file's window, else one found from the middle frame, the same for every frame of the series."""
    if series.default_window is not None:
        return series.default_window
    position = first_renderable(series)
    if position is None:
        return None
    stored, number = series.header_of(position)
    form = stored.header.pixel_format
    if form is None or form.color:
        return None
    display = stored.header.frames[number].display
    try:
        known = bool(display.windows or display.voi_luts)
        values = None if known else await loader.frame(series, position, prefetch=False)
        series.default_window = default_window(stored.header, number, values)
    except SivrError:
        return None
    return series.default_window


def first_renderable(series: OpenSeries) -> int | None:
    """The frame that stands for a series: the middle one, or the nearest to it that can be shown."""
    middle = series.total // 2
    for position in sorted(range(series.total), key=lambda one: abs(one - middle)):
        if not series.header_of(position)[0].header.not_renderable and position not in series.errors:
            return position
    return None


def describe(series: OpenSeries, progress: Progress, window: Window | None, complete: bool) -> SeriesContents:
    """The contents of an open series."""
    position = first_renderable(series)
    stored, number = series.header_of(position) if position is not None else (series.stored[0], 0)
    header = stored.header
    form = header.pixel_format
    frame = header.frames[number] if number < len(header.frames) else None
    display = frame.display if frame is not None else FrameDisplay()
    color = form is not None and form.color
    why_not = "" if position is not None else _why_not(series)
    windows = display.windows or ((window,) if window is not None else ())
    scales: dict[FrameScale, int] = {}
    return SeriesContents(
        series_uid=series.series_uid,
        modality=header.modality,
        number=header.series_number,
        description=header.series_description,
        renderable=position is not None,
        why_not=why_not,
        frame_count=series.total,
        complete=complete,
        frames=_frames(series, frame.plane if frame is not None else None, scales),
        columns=form.columns if form else 0,
        rows=form.rows if form else 0,
        spacing_mm=frame.spacing_mm if frame is not None else None,
        spacing_origin=_origin(header, number),
        scales=tuple(scales),
        pixel_aspect=header.pixel_aspect,
        windows=() if color else windows,
        value_range=None if form is None or color else _value_range(display, form),
        units=display.modality.units,
        color=color,
        inverted=display.invert,
        orientation=_orientation(frame.plane if frame is not None else None),
        frame_of_reference_uid=header.frame_of_reference_uid,
        volume=None if series.stack.volume is None else _volume(series.stack.volume),
        why_no_volume=series.why_no_volume,
        warnings=_warnings(series),
        loaded=Loaded(progress.slices_loaded, progress.slices_total),
        frame_time_ms=header.frame_time_ms,
        lossy=any(one.transfer_syntax_lossy or one.lossy_compressed for one in series.headers),
        modality_presets=() if color else window_presets(header.modality),
        cine_rate_hz=header.cine_rate_hz,
        study_date=header.study_date,
        study_time=header.study_time[:6],
        study_description=header.study_description,
        body_part=header.body_part,
        laterality=header.laterality,
        slice_thickness_mm=header.slice_thickness_mm,
    )


def _why_not(series: OpenSeries) -> str:
    reasons = (*(one.not_renderable for one in series.headers), *series.errors.values())
    return next((reason for reason in reasons if reason), "This series has no pictures.")


def _warnings(series: OpenSeries) -> tuple[str, ...]:
    """Every warning once, those about the series before those about single objects."""
    found = dict.fromkeys(series.stack.warnings)
    for header in series.headers:
        found.update(dict.fromkeys(header.warnings))
    return tuple(found)[:20]


def _frames(
    series: OpenSeries, reference: FramePlane | None, scales: dict[FrameScale, int]
) -> tuple[FrameContents, ...]:
    """Every frame; what they are measured with is collected in ``scales``, each once."""
    normal = _normal(reference)
    usual = reference.orientation if reference is not None else None
    found = []
    for position, address in enumerate(series.stack.frames):
        stored, number = series.header_of(position)
        form = stored.header.pixel_format
        plane = stored.header.frames[number].plane
        along = None
        if normal is not None and plane is not None:
            along = round(sum(a * b for a, b in zip(normal, plane.position, strict=True)), 4)
        found.append(
            FrameContents(
                instance_uid=address.instance_uid,
                frame=address.frame,
                columns=form.columns if form else 0,
                rows=form.rows if form else 0,
                position_mm=along,
                origin=None if plane is None else _rounded(plane.position),
                orientation=None if plane is None or plane.orientation == usual else _orientation(plane),
                phase=stored.header.frames[number].phase,
                instance_number=stored.header.instance_number,
                side=f"{stored.header.laterality} {stored.header.view}".strip() if stored.header.view else "",
                scale=scales.setdefault(scale_of(stored.header, number), len(scales)),
                time_ms=_time_ms(stored.header, number),
            )
        )
    return tuple(found)


def _time_ms(header: InstanceHeader, number: int) -> float | None:
    """When frame ``number`` (from 0) was taken, from the first one of a multi-frame object on."""
    if number < len(header.frame_times_ms):
        return header.frame_times_ms[number]
    if header.frame_time_ms is None or len(header.frames) < 2:
        return None
    return round(number * header.frame_time_ms, 3)


def scale_of(header: InstanceHeader, number: int) -> FrameScale:
    """What measurements on frame ``number`` (from 0) are made with."""
    regions = header.calibration.regions if header.calibration is not None else ()
    suv = header.suv or SuvFactor(None)
    return FrameScale(spacing_at(header, number), regions, suv.bw, suv.why_not)


def spacing_at(header: InstanceHeader, number: int, points: Iterable[Point] = ()) -> Spacing:
    """The spacing that holds for these points of frame ``number`` (from 0)."""
    known = header.frames[number].spacing_mm
    if header.calibration is None:
        # Indexed when nothing but the millimeters was kept.
        return spacing_of(Calibration(pixel_mm=known), aspect=header.pixel_aspect)
    own = known if known != frame_spacing_mm(header.calibration) else None
    return spacing_of(header.calibration, own, points, header.pixel_aspect)


def _origin(header: InstanceHeader, number: int) -> str:
    """Who says how far apart the pixels of a frame are; empty when nobody does."""
    if number >= len(header.frames) or header.frames[number].spacing_mm is None:
        return ""
    if header.calibration is not None and header.calibration.regions:
        return "ultrasound region"
    return spacing_at(header, number).origin


def _rounded(position: Vector) -> Vector:
    return (round(position[0], 4), round(position[1], 4), round(position[2], 4))


def _normal(plane: FramePlane | None) -> Vector | None:
    if plane is None:
        return None
    a, b, c, d, e, f = plane.orientation
    normal = (b * f - c * e, c * d - a * f, a * e - b * d)
    length = math.hypot(*normal)
    return (normal[0] / length, normal[1] / length, normal[2] / length) if length > 1e-6 else None


def _orientation(plane: FramePlane | None) -> PlaneOrientation | None:
    if plane is None:
        return None
    a, b, c, d, e, f = plane.orientation
    return PlaneOrientation(row=(a, b, c), col=(d, e, f))


def _value_range(display: FrameDisplay, form: PixelFormat) -> tuple[float, float] | None:
    """Modality values that the stored bits can reach."""
    if display.modality.lut is not None:
        entries = np.frombuffer(display.modality.lut.values, "<u2")
        return (float(entries.min()), float(entries.max())) if entries.size else None
    dtype = stored_dtype(form)
    if dtype.kind == "f":
        return None
    bits = form.bits_stored
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if form.signed else (0, (1 << bits) - 1)
    slope, intercept = display.modality.slope, display.modality.intercept
    ends = sorted((low * slope + intercept, high * slope + intercept))
    return (ends[0], ends[1])


def _volume(grid: VolumeGrid) -> VolumeContents:
    box = volume_box(grid)
    low, high = box.min(axis=0), box.max(axis=0)
    center = (low + high) / 2
    return VolumeContents(
        shape=grid.shape,
        spacing_mm=grid.spacing_mm,
        center=(float(center[0]), float(center[1]), float(center[2])),
        extent_mm=(float(high[0] - low[0]), float(high[1] - low[1]), float(high[2] - low[2])),
        lps_from_ijk=grid.lps_from_ijk,
    )


def volume_box(grid: VolumeGrid) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """The eight outer corners of a volume, (8, 3) LPS mm, half a voxel beyond the outermost centers."""
    k, j, i = grid.shape
    affine = np.asarray(grid.lps_from_ijk, dtype=np.float64)
    ends = [(-0.5, size - 0.5) for size in (i, j, k)]
    corners = np.array([(x, y, z, 1.0) for x in ends[0] for y in ends[1] for z in ends[2]])
    box: np.ndarray[tuple[int, int], np.dtype[np.float64]] = (corners @ affine.T)[:, :3]
    return box
