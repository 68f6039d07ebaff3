"""Series to stacks and volumes (PS3.3 C.7.6.2, C.11.23.1), and stored values to voxels of one scale."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from sivr.dicom.facts import normal_of
from sivr.dicom.presentation import is_padding, lut_values, modality_values
from sivr.errors import Invalid
from sivr.model.pixels import FrameDisplay, FramePlane, PixelFormat
from sivr.model.studies import Frame, FrameAddress, InstanceHeader, Stack, VolumeGrid, VoxelScale

Array = np.ndarray[Any, np.dtype[Any]]
Affine = tuple[tuple[float, float, float, float], ...]

PARALLEL_TOLERANCE = 0.0015
"""Greatest difference of direction cosines of frames called parallel (0.09 degrees)."""
POSITION_TOLERANCE_MM = 0.01
"""Frames nearer than this lie at one position."""
ALIGNMENT_TOLERANCE_MM = 0.2
"""Farthest a frame may lie from the line through all of them, or from its even place."""
SPACING_TOLERANCE = 0.02
"""Fraction of the spacing a frame may be away from its even place without being interpolated."""
TILT_TOLERANCE = 0.002
"""Sine of the angle between normal and stacking direction that is called a tilt (0.11 degrees)."""
_NO_PLANE = "The frames do not say where they lie in the patient (Image Position and Orientation)."
UNEVEN_LIMIT = 4.0
"""Volumes that would need more than so many slices a frame to be even are refused."""


class _Placed(msgspec.Struct, frozen=True):
    """A frame on its way into the stack."""

    header: InstanceHeader
    frame: Frame
    address: FrameAddress
    order: int
    """Position of the instance in the series by number, for frames that geometry leaves undecided."""

    @property
    def tie(self) -> tuple[int, int]:
        return (self.order, self.address.frame)


class _Refused(Exception):
    """Why a group of frames is no volume."""


def stack(headers: Sequence[InstanceHeader]) -> Stack:
    """Put the frames of a series in reading order and find its volume.

    Frames of one orientation and size stay together. Within them the order goes along the normal by Image
    Position (Patient), then by phase, then by Instance Number; frames without a position go by number.
    Instances that cannot be shown and repeated instances are left out, with a warning. The volume is there
    when the frames fulfill PS3.3 C.11.23.1 within the tolerances above; else ``why_no_volume`` says which
    rule failed. Slightly uneven stacks are resampled, tilted ones keep their true, sheared affine.
    """
    warnings: list[str] = []
    placed = _placed(headers, warnings)
    if not placed:
        return Stack((), None, _nothing(headers), tuple(warnings))
    groups = _groups(placed)
    ordered: list[_Placed] = []
    for group in groups:
        ordered.extend(_along_normal(group))
    index = {item.address: position for position, item in enumerate(ordered)}
    volume: VolumeGrid | None = None
    why = ""
    try:
        if any(item.frame.plane is None for item in ordered):
            raise _Refused(_why_no_plane(ordered))
        _check_groups(groups)
        frames = _one_phase(groups[0], warnings)
        _check_alike(frames)
        if not frames[0].header.frame_of_reference_uid:
            # De-identification often drops the UID; a series has but one frame of reference (PS3.3 A.1.2.5).
            warnings.append("The frames do not name their Frame of Reference; one for all is assumed.")
        volume = _grid(frames, index, warnings)
    except _Refused as reason:
        why = str(reason)
    return Stack(tuple(item.address for item in ordered), volume, why, tuple(warnings))


def _placed(headers: Sequence[InstanceHeader], warnings: list[str]) -> list[_Placed]:
    seen: dict[str, InstanceHeader] = {}
    for header in headers:
        seen.setdefault(header.instance_uid, header)
    if len(seen) < len(headers):
        warnings.append(f"Instances that came twice and were left out: {len(headers) - len(seen)}.")
    shown = [h for h in seen.values() if not h.not_renderable and h.frames and h.pixel_format is not None]
    if shown and len(shown) < len(seen):
        warnings.append(f"Instances that cannot be shown and were left out: {len(seen) - len(shown)}.")
    shown.sort(
        key=lambda h: (
            h.instance_number is None,
            h.instance_number or 0,
            h.acquisition_number or 0,
            h.instance_uid,
        )
    )
    return [
        _Placed(header, frame, FrameAddress(header.instance_uid, number), order)
        for order, header in enumerate(shown)
        for number, frame in enumerate(header.frames, 1)
    ]


def _nothing(headers: Sequence[InstanceHeader]) -> str:
    reasons = {header.not_renderable for header in headers if header.not_renderable}
    return reasons.pop() if len(reasons) == 1 else "No instance of the series can be shown."


def _groups(placed: Sequence[_Placed]) -> list[list[_Placed]]:
    """Frames of one orientation, size and frame of reference; the group of the first instance comes first."""
    groups: list[tuple[_Placed, list[_Placed]]] = []
    for item in placed:
        for first, members in groups:
            if _belongs(first, item):
                members.append(item)
                break
        else:
            groups.append((item, [item]))
    return [members for _, members in groups]


def _belongs(first: _Placed, item: _Placed) -> bool:
    a, b = first.header, item.header
    if a is not b and (a.frame_of_reference_uid != b.frame_of_reference_uid or _size(a) != _size(b)):
        return False
    if first.frame.plane is None or item.frame.plane is None:
        return first.frame.plane is item.frame.plane
    return _parallel(first.frame.plane, item.frame.plane)


def _size(header: InstanceHeader) -> tuple[int, int, bool]:
    pixel_format = header.pixel_format
    return (
        (0, 0, False)
        if pixel_format is None
        else (pixel_format.rows, pixel_format.columns, pixel_format.color)
    )


def _parallel(a: FramePlane, b: FramePlane) -> bool:
    return a.orientation == b.orientation or all(
        abs(x - y) <= PARALLEL_TOLERANCE for x, y in zip(a.orientation, b.orientation, strict=True)
    )


def _distance(item: _Placed, normal: tuple[float, float, float]) -> float:
    plane = item.frame.plane
    return 0.0 if plane is None else sum(p * n for p, n in zip(plane.position, normal, strict=True))


def _phase_key(phase: Sequence[str]) -> tuple[tuple[float, str], ...]:
    """Phases in the order of their numbers, not of their digits."""
    keys: list[tuple[float, str]] = []
    for part in phase:
        try:
            keys.append((float(part), ""))
        except ValueError:
            keys.append((-1e30, part))
    return tuple(keys)


def _along_normal(group: list[_Placed]) -> list[_Placed]:
    plane = group[0].frame.plane
    if plane is None:
        return sorted(group, key=lambda item: item.tie)
    normal = normal_of(plane.orientation)
    ordered: list[_Placed] = []
    for position in _positions(group, normal):
        ordered.extend(sorted(position, key=lambda item: (_phase_key(item.frame.phase), item.tie)))
    return ordered


def _positions(group: Sequence[_Placed], normal: tuple[float, float, float]) -> list[list[_Placed]]:
    """Frames by where they lie along the normal, ascending; those at one position together."""
    found: list[list[_Placed]] = []
    last = -float("inf")
    for item in sorted(group, key=lambda item: _distance(item, normal)):
        distance = _distance(item, normal)
        if distance - last > POSITION_TOLERANCE_MM:
            found.append([])
            last = distance
        found[-1].append(item)
    return found


def _why_no_plane(ordered: Sequence[_Placed]) -> str:
    missing = sum(item.frame.plane is None for item in ordered)
    if missing == len(ordered):
        return _NO_PLANE
    return f"{missing} of {len(ordered)} frames do not say where they lie in the patient."


def _check_groups(groups: Sequence[Sequence[_Placed]]) -> None:
    """The rules that all frames of the series share one frame of reference, size and orientation."""
    if len(groups) == 1:
        return
    firsts = [group[0] for group in groups]
    if len({item.header.frame_of_reference_uid for item in firsts}) > 1:
        raise _Refused("The frames do not share one Frame of Reference.")
    if len({_size(item.header)[:2] for item in firsts}) > 1:
        raise _Refused("The frames differ in rows and columns.")
    if len({_size(item.header)[2] for item in firsts}) > 1:
        raise _Refused("Some frames are in color and some are not.")
    raise _Refused(f"The frames are not parallel: they lie in {len(groups)} orientations.")


def _check_alike(frames: Sequence[_Placed]) -> None:
    """PS3.3 C.11.23.1, rule by rule, on the frames of the volume."""
    if len(frames) < 2:
        raise _Refused("A volume needs more than one frame.")
    formats = [f.header.pixel_format for f in frames if f.header.pixel_format is not None]
    if any(f.color for f in formats):
        raise _Refused("The frames are in color; volumes are made of grey frames.")
    for name, values in (
        ("Samples per Pixel", {f.samples_per_pixel for f in formats}),
        ("Photometric Interpretation", {f.photometric_interpretation for f in formats}),
        ("Rows", {f.rows for f in formats}),
        ("Columns", {f.columns for f in formats}),
        ("Bits Allocated", {f.bits_allocated for f in formats}),
        ("Bits Stored", {f.bits_stored for f in formats}),
        ("High Bit", {f.high_bit for f in formats}),
        ("Pixel Representation", {f.signed for f in formats}),
    ):
        if len(values) > 1:
            raise _Refused(f"The frames differ in {name}.")
    spacings = [f.frame.spacing_mm for f in frames]
    if any(s is None for s in spacings):
        raise _Refused("The frames do not say how large their pixels are (Pixel Spacing).")
    first = spacings[0] or (0.0, 0.0)
    if any(
        abs(s[0] - first[0]) > 1e-4 * first[0] or abs(s[1] - first[1]) > 1e-4 * first[1]
        for s in spacings
        if s
    ):
        raise _Refused("The frames differ in Pixel Spacing.")
    for item in frames:
        o = item.frame.plane.orientation if item.frame.plane else (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
        if abs(o[0] * o[3] + o[1] * o[4] + o[2] * o[5]) > PARALLEL_TOLERANCE * 2:
            raise _Refused("Rows and columns are not at right angles (Image Orientation).")


def _one_phase(group: Sequence[_Placed], warnings: list[str]) -> list[_Placed]:
    """One frame per position: the first phase of several (time, echo, b-value ...).

    Phases are what tells frames at one position apart. Where that also changes from slice to slice (trigger
    times), the first frame at every position is the first phase.
    """
    plane = group[0].frame.plane
    if plane is None:
        return list(group)
    normal = normal_of(plane.orientation)
    positions = _positions(group, normal)
    if len(positions) == len(group):
        return [items[0] for items in positions]
    if len(positions) == 1:
        raise _Refused("All frames lie at one position.")
    telling = [
        part
        for part in range(max(len(item.frame.phase) for item in group))
        if any(len({item.frame.phase[part : part + 1] for item in items}) > 1 for items in positions)
    ]
    if not telling:
        raise _Refused("Two frames lie at the same position and nothing tells them apart.")
    for count in range(1, len(telling) + 1):
        # The fewest attributes that leave one frame per position are the phase.
        phases: dict[tuple[tuple[float, str], ...], list[list[_Placed]]] = defaultdict(list)
        for items in positions:
            here: dict[tuple[tuple[float, str], ...], list[_Placed]] = defaultdict(list)
            for item in items:
                here[_phase_key([item.frame.phase[part] for part in telling[:count]])].append(item)
            for key, members in here.items():
                phases[key].append(members)
        complete = [key for key, members in phases.items() if len(members) == len(positions)]
        if complete and all(len(m) == 1 for m in phases[min(complete)]):
            warnings.append(f"The series has {len(phases)} phases; the volume shows the first.")
            return [members[0] for members in phases[min(complete)]]
    sizes = {len(items) for items in positions}
    if len(sizes) == 1:
        warnings.append(f"The series has {sizes.pop()} phases; the volume shows the first.")
        return [min(items, key=lambda item: (_phase_key(item.frame.phase), item.tie)) for items in positions]
    fullest = max(phases, key=lambda key: (len(phases[key]), key))
    chosen = phases[fullest]
    if len(chosen) < 2 or any(len(m) > 1 for m in chosen):
        raise _Refused("Two frames lie at the same position, and the positions do not repeat evenly.")
    warnings.append(
        f"The series has {len(phases)} phases, none of them complete; the volume shows the fullest."
    )
    return [m[0] for m in chosen]


def _grid(frames: Sequence[_Placed], index: dict[FrameAddress, int], warnings: list[str]) -> VolumeGrid:
    """The regular grid through frames that are in order along their normal."""
    first = frames[0]
    plane, spacing = first.frame.plane, first.frame.spacing_mm
    pixel_format = first.header.pixel_format
    if plane is None or spacing is None or pixel_format is None:
        raise _Refused(_NO_PLANE)
    normal = np.asarray(normal_of(plane.orientation))
    places = np.asarray([f.frame.plane.position for f in frames if f.frame.plane is not None])
    heights = (places - places[0]) @ normal
    total = float(heights[-1])
    direction = (places[-1] - places[0]) / total
    off_line = np.linalg.norm(places - places[0] - heights[:, None] * direction, axis=1)
    if off_line.max() > max(ALIGNMENT_TOLERANCE_MM, 0.25 * min(spacing)):
        raise _Refused(f"The frames do not lie on one line: one is {off_line.max():.2f} mm beside it.")
    tilt = float(np.linalg.norm(direction - normal))
    if tilt > TILT_TOLERANCE:
        warnings.append(
            f"The frames are tilted by {np.degrees(np.arctan(tilt)):.1f} degrees against the stack; "
            "the volume is sheared accordingly."
        )
    gaps = np.diff(heights)
    places_k, step = _even(heights, gaps, warnings)
    lower = np.clip(np.searchsorted(heights, places_k + 1e-9) - 1, 0, len(frames) - 2)
    fraction = np.clip((places_k - heights[lower]) / gaps[lower], 0.0, 1.0)
    whole = len(places_k) == len(frames) and bool(
        (np.abs(heights - places_k) <= max(SPACING_TOLERANCE * step, POSITION_TOLERANCE_MM)).all()
    )
    addresses = [index[f.address] for f in frames]
    row = np.asarray(plane.orientation[:3]) * spacing[1]
    column = np.asarray(plane.orientation[3:]) * spacing[0]
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1], affine[:3, 2] = row, column, direction * step
    affine[:3, 3] = places[0]
    rows: Affine = tuple((float(r[0]), float(r[1]), float(r[2]), float(r[3])) for r in affine)
    return VolumeGrid(
        shape=(len(places_k), pixel_format.rows, pixel_format.columns),
        lps_from_ijk=rows,
        spacing_mm=(spacing[1], spacing[0], float(np.linalg.norm(direction) * step)),
        frame_of_slice=tuple(addresses) if whole else tuple(addresses[i] for i in lower),
        weights=() if whole else tuple(float(w) for w in fraction),
        next_frame_of_slice=() if whole else tuple(addresses[i + 1] for i in lower),
    )


def _even(heights: Array, gaps: Array, warnings: list[str]) -> tuple[Array, float]:
    """Even places along the normal from the first frame to the last, and their distance in mm."""
    count, total = len(heights), float(heights[-1])
    mean = total / (count - 1)
    even = np.arange(count) * mean
    if (np.abs(heights - even) <= max(SPACING_TOLERANCE * mean, POSITION_TOLERANCE_MM)).all():
        return even, mean
    # The smallest distance becomes that of the grid, so that no frame is skipped.
    least, greatest = float(gaps.min()), float(gaps.max())
    slices = round(total / least) + 1
    if slices > UNEVEN_LIMIT * count:
        raise _Refused(f"The distance between frames is too uneven: from {least:.2f} to {greatest:.2f} mm.")
    step = total / (slices - 1)
    warnings.append(
        f"The distance between frames varies from {least:.2f} to {greatest:.2f} mm; "
        "slices of the volume are interpolated."
    )
    return np.arange(slices) * step, step


def _volume_frames(headers: Sequence[InstanceHeader], ordered: Stack) -> list[tuple[InstanceHeader, Frame]]:
    if ordered.volume is None:
        raise Invalid(ordered.why_no_volume or "The series has no volume.")
    by_uid = {header.instance_uid: header for header in headers}
    used = sorted({*ordered.volume.frame_of_slice, *ordered.volume.next_frame_of_slice})
    addresses = [ordered.frames[position] for position in used]
    return [(by_uid[a.instance_uid], by_uid[a.instance_uid].frames[a.frame - 1]) for a in addresses]


def range_needed(headers: Sequence[InstanceHeader], ordered: Stack) -> bool:
    """Whether ``volume_values`` needs the modality range of the decoded frames: float and 32-bit pixels.

    Their range is known by decoding every frame of the volume once (``presentation.value_range``).
    """
    return any(
        header.pixel_format is not None
        and (header.pixel_format.kind != "integer" or header.pixel_format.bits_allocated > 16)
        for header, _ in _volume_frames(headers, ordered)
    )


def volume_values(
    headers: Sequence[InstanceHeader], ordered: Stack, value_range: tuple[float, float] | None = None
) -> VoxelScale:
    """How the frames of the volume become voxels of one type and scale, known before any is decoded.

    With one slope and intercept for all, voxels are the stored values. Else (PET with a slope per slice,
    modality LUT, float) they are int16 over the range all frames can reach, or over ``value_range``: modality
    values, needed where ``range_needed`` says so. Raises Invalid without a volume or a needed range.
    """
    frames = _volume_frames(headers, ordered)
    displays = [frame.display for _, frame in frames]
    formats = [header.pixel_format for header, _ in frames if header.pixel_format is not None]
    first, units = displays[0].modality, displays[0].modality.units
    padding = {display.padding for display in displays}
    alike = all(d.modality == first for d in displays) and first.lut is None and len(padding) == 1
    if alike and formats[0].kind == "integer" and formats[0].bits_allocated <= 16:
        limits = displays[0].padding
        dtype: Any = "uint8" if formats[0].bits_allocated <= 8 else "uint16"
        return VoxelScale(
            dtype="int16" if formats[0].signed else dtype,
            slope=first.slope,
            intercept=first.intercept,
            units=units,
            stored=True,
            padding_value=None if limits is None else int(limits[0]),
        )
    if value_range is None:
        if range_needed(headers, ordered):
            raise Invalid("The range of the frames' values is needed to make voxels of them.")
        ranges = [_reach(d, f) for d, f in zip(displays, formats, strict=True)]
        value_range = (min(r[0] for r in ranges), max(r[1] for r in ranges))
    low, high = value_range
    # -32768 is kept for padding, and because GL's signed normalized texels cannot tell it from -32767.
    slope = max((high - low) / 65534, 1e-30)
    return VoxelScale(
        dtype="int16",
        slope=slope,
        intercept=low + 32767 * slope,
        units=units,
        stored=False,
        padding_value=-32768 if padding != {None} else None,
    )


def _reach(display: FrameDisplay, pixel_format: PixelFormat) -> tuple[float, float]:
    """Least and greatest modality value the stored bits can make."""
    if display.modality.lut is not None:
        entries = lut_values(display.modality.lut)
        return float(entries.min()), float(entries.max())
    bits = pixel_format.bits_stored
    ends = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if pixel_format.signed else (0, (1 << bits) - 1)
    found = sorted(end * display.modality.slope + display.modality.intercept for end in ends)
    return found[0], found[1]


def frame_voxels(scale: VoxelScale, header: InstanceHeader, frame: int, values: Array) -> Array:
    """Stored values of a frame (counted from 0, as ``decode_frame`` gives them) as voxels of ``scale.dtype``.

    Padding becomes ``scale.padding_value``. Frames can be turned in any order, by several threads.
    """
    display = header.frames[frame].display
    dtype = np.dtype(scale.dtype)
    low_high = display.padding
    if scale.stored:
        voxels = values.astype(dtype, copy=False)
        if low_high is not None and low_high[0] != low_high[1] and scale.padding_value is not None:
            voxels = np.where(is_padding(values, low_high), dtype.type(scale.padding_value), voxels)
        return voxels
    scaled = (modality_values(values, display).astype(np.float64) - scale.intercept) / scale.slope
    voxels = np.clip(np.rint(np.nan_to_num(scaled, nan=-32767.0)), -32767, 32767).astype(dtype)
    if low_high is not None and scale.padding_value is not None:
        voxels[is_padding(values, low_high)] = scale.padding_value
    return voxels


def slice_sources(grid: VolumeGrid, k: int) -> tuple[tuple[int, float], ...]:
    """Which frames (index into ``Stack.frames``) make slice k, and with what weights: one, or two."""
    if not grid.weights or grid.weights[k] == 0.0:
        return ((grid.frame_of_slice[k], 1.0),)
    weight = grid.weights[k]
    if weight == 1.0:
        return ((grid.next_frame_of_slice[k], 1.0),)
    return ((grid.frame_of_slice[k], 1.0 - weight), (grid.next_frame_of_slice[k], weight))


def slices_of_frame(grid: VolumeGrid) -> dict[int, tuple[int, ...]]:
    """Which slices each frame (index into ``Stack.frames``) goes into: ``slice_sources`` backwards."""
    found: dict[int, list[int]] = defaultdict(list)
    for k in range(grid.shape[0]):
        for position, _ in slice_sources(grid, k):
            found[position].append(k)
    return {position: tuple(slices) for position, slices in found.items()}


def blend(sources: Sequence[tuple[Array, float]], scale: VoxelScale) -> Array:
    """Voxels of a slice from those of its frames and their weights; padding in either stays padding."""
    if len(sources) == 1:
        return sources[0][0]
    mixed = sum((voxels.astype(np.float32) * np.float32(weight) for voxels, weight in sources), np.float32(0))
    out = np.rint(mixed).astype(scale.dtype)
    if scale.padding_value is not None:
        for voxels, _ in sources:
            out[voxels == scale.padding_value] = scale.padding_value
    return out
