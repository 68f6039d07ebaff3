"""Order, volumes and their refusals, on real series and on headers made for each rule."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import pydicom
import pytest

from sivr.dicom.phantom import phantom_affine, phantom_values, write_phantom
from sivr.dicom.pixels import decode_frames
from sivr.dicom.read import read_header
from sivr.dicom.volume import (
    blend,
    frame_voxels,
    range_needed,
    slice_sources,
    slices_of_frame,
    stack,
    volume_values,
)
from sivr.errors import Invalid
from sivr.model.pixels import FrameDisplay, FramePlane, Lut, Modality, PixelFormat
from sivr.model.studies import Frame, InstanceHeader, Stack

FORMAT = PixelFormat(4, 5, 1, "MONOCHROME2", 16, 12, 11, False)
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)


def made(
    z: float,
    number: int,
    *,
    x: float = 0.0,
    orientation: tuple[float, ...] = AXIAL,
    phase: tuple[str, ...] = (),
    form: PixelFormat = FORMAT,
    spacing: tuple[float, float] | None = (1.0, 2.0),
    reference: str = "1.9",
    display: FrameDisplay | None = None,
    **changes: object,
) -> InstanceHeader:
    plane = FramePlane((x, 0.0, z), orientation)  # type: ignore[arg-type]
    frame = Frame(((0, 40),), plane, spacing, display or FrameDisplay(), phase)
    header = InstanceHeader(
        study_uid="1",
        series_uid="1.1",
        instance_uid=f"1.1.{number}",
        sop_class_uid="1.2",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        instance_number=number,
        frame_of_reference_uid=reference,
        pixel_format=form,
        frames=(frame,),
    )
    return msgspec.structs.replace(header, **changes)


def folder_headers(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(p for p in folder.iterdir() if p.is_file()):
        try:
            found[read_header(path).instance_uid] = path
        except Invalid:
            continue
    return found


def order_of(ordered: Stack) -> list[int]:
    return [int(a.instance_uid.rsplit(".", 1)[1]) for a in ordered.frames]


@pytest.mark.parametrize(
    ("folder", "shape", "spacing"),
    [
        ("ct-head-1mm", (140, 512, 512), (0.451, 0.451, 1.0)),
        ("mr-head-jpeg-lossless", (96, 128, 128), (2.0, 2.0, 2.0)),
        ("pet-whole-body", (299, 128, 128), (3.538, 3.538, 3.375)),
    ],
)
def test_real_series_have_the_volume_their_positions_say(
    folder: str, shape: tuple[int, int, int], spacing: tuple[float, float, float], shared_data: Path
) -> None:
    paths = folder_headers(shared_data / folder)
    headers = [read_header(path) for path in paths.values()]
    ordered = stack(headers)
    assert ordered.volume is not None, ordered.why_no_volume
    assert ordered.volume.shape == shape
    assert ordered.volume.spacing_mm == pytest.approx(spacing, abs=1e-3)
    assert ordered.warnings == () and ordered.volume.weights == ()
    affine = np.asarray(ordered.volume.lps_from_ijk)
    assert np.linalg.det(affine[:3, :3]) > 0
    for k, position in enumerate(ordered.volume.frame_of_slice):
        address = ordered.frames[position]
        data = pydicom.dcmread(paths[address.instance_uid], stop_before_pixels=True)
        assert (affine @ [0, 0, k, 1])[:3] == pytest.approx(
            [float(v) for v in data.ImagePositionPatient], abs=0.05
        )


def test_a_cine_opens_in_2d_in_its_order(shared_data: Path) -> None:
    header = read_header(next((shared_data / "multiframe").glob("*.dcm")))
    ordered = stack([header])
    assert [a.frame for a in ordered.frames] == list(range(1, 97))
    assert ordered.volume is None
    assert ordered.why_no_volume.startswith("The frames do not say where they lie")


def test_order_comes_from_geometry_not_from_numbers() -> None:
    ordered = stack([made(z, n) for n, z in ((1, 30.0), (2, -10.0), (3, 10.0))])
    assert order_of(ordered) == [2, 3, 1]
    assert ordered.volume is not None
    affine = np.asarray(ordered.volume.lps_from_ijk)
    assert affine[:3, 3].tolist() == [0, 0, -10]
    assert affine[:3, :3].tolist() == [[2, 0, 0], [0, 1, 0], [0, 0, 20]]
    assert ordered.volume.spacing_mm == (2, 1, 20)


def test_frames_without_a_place_go_by_number() -> None:
    headers = [made(0, n) for n in (3, 1, 2)]
    bare = [
        msgspec.structs.replace(h, frames=(msgspec.structs.replace(h.frames[0], plane=None),))
        for h in headers
    ]
    ordered = stack(bare)
    assert order_of(ordered) == [1, 2, 3] and ordered.volume is None


RGB = msgspec.structs.replace(FORMAT, samples_per_pixel=3, photometric_interpretation="RGB", bits_allocated=8)


@pytest.mark.parametrize(
    ("headers", "sentence"),
    [
        ([made(0, 1)], "A volume needs more than one frame."),
        ([made(0, 1), made(1, 2, reference="1.8")], "The frames do not share one Frame of Reference."),
        (
            [made(0, 1), made(1, 2, form=msgspec.structs.replace(FORMAT, rows=8))],
            "The frames differ in rows and columns.",
        ),
        ([made(0, 1), made(1, 2, form=RGB)], "Some frames are in color and some are not."),
        (
            [made(0, 1, form=RGB), made(1, 2, form=RGB)],
            "The frames are in color; volumes are made of grey frames.",
        ),
        (
            [
                made(0, 1),
                made(1, 2, form=msgspec.structs.replace(FORMAT, photometric_interpretation="MONOCHROME1")),
            ],
            "The frames differ in Photometric Interpretation.",
        ),
        (
            [made(0, 1), made(1, 2, form=msgspec.structs.replace(FORMAT, bits_allocated=8))],
            "The frames differ in Bits Allocated.",
        ),
        (
            [made(0, 1), made(1, 2, form=msgspec.structs.replace(FORMAT, bits_stored=16))],
            "The frames differ in Bits Stored.",
        ),
        (
            [made(0, 1), made(1, 2, form=msgspec.structs.replace(FORMAT, high_bit=15))],
            "The frames differ in High Bit.",
        ),
        (
            [made(0, 1), made(1, 2, form=msgspec.structs.replace(FORMAT, signed=True))],
            "The frames differ in Pixel Representation.",
        ),
        ([made(0, 1), made(1, 2, spacing=(1.0, 1.5))], "The frames differ in Pixel Spacing."),
        (
            [made(0, 1, spacing=None), made(1, 2, spacing=None)],
            "The frames do not say how large their pixels are (Pixel Spacing).",
        ),
        (
            [made(0, 1), made(1, 2, orientation=SAGITTAL)],
            "The frames are not parallel: they lie in 2 orientations.",
        ),
        ([made(0, 1), made(0, 2)], "All frames lie at one position."),
        (
            [made(0, 1), made(1, 2), made(1, 3)],
            "Two frames lie at the same position and nothing tells them apart.",
        ),
        (
            [made(0, 1), made(1, 2, x=3.0), made(2, 3)],
            "The frames do not lie on one line: one is 3.00 mm beside it.",
        ),
        (
            [made(z, n) for n, z in enumerate([0.0, 0.02, 100.0, 100.02, 200.0])],
            "The distance between frames is too uneven: from 0.02 to 99.98 mm.",
        ),
        (
            [
                made(0, 1, orientation=(1.0, 0, 0, 0.1, 0.995, 0)),
                made(1, 2, orientation=(1.0, 0, 0, 0.1, 0.995, 0)),
            ],
            "Rows and columns are not at right angles (Image Orientation).",
        ),
    ],
)
def test_every_rule_has_its_sentence(headers: Sequence[InstanceHeader], sentence: str) -> None:
    ordered = stack(headers)
    assert ordered.volume is None
    assert ordered.why_no_volume == sentence
    assert len(ordered.frames) == len(headers)
    with pytest.raises(Invalid):
        volume_values(headers, ordered)


def test_mixed_orientations_stay_together_in_2d() -> None:
    headers = [made(float(n), n, orientation=AXIAL if n % 2 else SAGITTAL) for n in range(1, 7)]
    headers = [
        msgspec.structs.replace(
            h,
            frames=(
                msgspec.structs.replace(
                    h.frames[0],
                    plane=FramePlane(
                        (float(h.instance_number or 0), 0, float(h.instance_number or 0)),
                        h.frames[0].plane.orientation,
                    ),  # type: ignore[union-attr]
                ),
            ),
        )
        for h in headers
    ]
    assert [n % 2 for n in order_of(stack(headers))] == [1, 1, 1, 0, 0, 0]


def test_phases_are_split_and_the_first_makes_the_volume() -> None:
    headers = [
        made(z, n, phase=("", str(time)))
        for n, (time, z) in enumerate((t, z) for t in (10, 9, 100) for z in (0.0, 5.0, 10.0))
    ]
    ordered = stack(headers)
    assert ordered.volume is not None and ordered.volume.shape[0] == 3
    assert order_of(ordered) == [3, 0, 6, 4, 1, 7, 5, 2, 8]
    assert ordered.volume.frame_of_slice == (0, 3, 6)
    assert ordered.warnings == ("The series has 3 phases; the volume shows the first.",)


def test_phases_whose_times_also_change_from_slice_to_slice() -> None:
    headers = [
        made(z, 10 * t + k, phase=(str(500 * t + 13 * k),))
        for t in range(2)
        for k, z in enumerate((0.0, 5.0, 10.0))
    ]
    ordered = stack(headers)
    assert ordered.volume is not None
    assert [order_of(ordered)[p] for p in ordered.volume.frame_of_slice] == [0, 1, 2]


def test_a_tilted_gantry_keeps_its_shear(shared_data: Path) -> None:
    folder = shared_data / "various" / "icometrix__dicom2nifti" / "ct_gantry_tilt"
    headers = [read_header(path) for path in folder_headers(folder).values()]
    ordered = stack(headers)
    assert ordered.volume is not None
    affine = np.asarray(ordered.volume.lps_from_ijk)
    first, last = (ordered.frames[ordered.volume.frame_of_slice[k]] for k in (0, -1))
    places = {h.instance_uid: h.frames[0].plane for h in headers}
    for k, address in ((0, first), (len(headers) - 1, last)):
        plane = places[address.instance_uid]
        assert plane is not None
        assert (affine @ [0, 0, k, 1])[:3] == pytest.approx(plane.position, abs=0.05)
    assert any("tilted by" in warning for warning in ordered.warnings)


def test_an_uneven_stack_is_resampled() -> None:
    headers = [made(z, n) for n, z in enumerate((0.0, 2.0, 4.0, 8.0, 10.0))]
    ordered = stack(headers)
    grid = ordered.volume
    assert grid is not None and grid.shape[0] == 6
    assert grid.spacing_mm[2] == pytest.approx(2.0)
    assert "interpolated" in ordered.warnings[0]
    assert [slice_sources(grid, k) for k in (0, 1, 2, 4, 5)] == [((n, 1.0),) for n in (0, 1, 2, 3, 4)]
    assert slice_sources(grid, 3) == ((2, 0.5), (3, 0.5))
    assert slices_of_frame(grid) == {0: (0,), 1: (1,), 2: (2, 3), 3: (3, 4), 4: (5,)}
    scale = volume_values(headers, ordered)
    values = [np.full((4, 5), 10 * n, np.uint16) for n in range(5)]
    mixed = blend([(values[p], w) for p, w in slice_sources(grid, 3)], scale)
    assert mixed.dtype == np.uint16 and (mixed == 25).all()


def test_rounded_positions_are_not_resampled() -> None:
    ordered = stack([made(round(n * 0.3333333, 3), n) for n in range(30)])
    assert ordered.volume is not None and ordered.volume.weights == () and ordered.warnings == ()


def test_instances_that_came_twice_or_cannot_be_shown() -> None:
    bad = made(9, 9, not_renderable="The object has no pixels.", frames=())
    ordered = stack([made(0, 1), made(1, 2), made(1, 2), bad])
    assert ordered.volume is not None and len(ordered.frames) == 2
    assert ordered.warnings == (
        "Instances that came twice and were left out: 1.",
        "Instances that cannot be shown and were left out: 1.",
    )
    assert stack([bad]).why_no_volume == "The object has no pixels."
    assert stack([]).why_no_volume


def test_monochrome1_is_a_volume() -> None:
    form = msgspec.structs.replace(FORMAT, photometric_interpretation="MONOCHROME1")
    ordered = stack([made(0, 1, form=form), made(1, 2, form=form)])
    assert ordered.volume is not None and not ordered.warnings


@pytest.mark.parametrize("multi_frame", [False, True])
def test_the_volume_of_a_phantom_is_the_phantom(multi_frame: bool, tmp_path: Path) -> None:
    shape = (12, 24, 20)
    paths = write_phantom(tmp_path, "letter", shape, multi_frame=multi_frame)
    headers = [read_header(path) for path in reversed(paths)]
    by_uid = {header.instance_uid: path for header, path in zip(headers, reversed(paths), strict=True)}
    ordered = stack(headers)
    assert ordered.volume is not None, ordered.why_no_volume
    assert np.allclose(np.asarray(ordered.volume.lps_from_ijk), phantom_affine("letter", shape))
    scale = volume_values(headers, ordered)
    assert scale.stored and scale.dtype == "uint16" and scale.units == "HU"
    frames = {uid: list(decode_frames(read_header(path), path)) for uid, path in by_uid.items()}
    heads = {header.instance_uid: header for header in headers}
    voxels = np.empty(ordered.volume.shape, scale.dtype)
    for k in range(shape[0]):
        address = ordered.frames[slice_sources(ordered.volume, k)[0][0]]
        values = frames[address.instance_uid][address.frame - 1]
        voxels[k] = frame_voxels(scale, heads[address.instance_uid], address.frame - 1, values)
    assert np.array_equal(voxels * scale.slope + scale.intercept, phantom_values("letter", shape))


def test_slopes_that_change_share_one_scale() -> None:
    displays = [FrameDisplay(Modality(slope, 10.0, None, "BQML")) for slope in (0.5, 2.0, 1.0)]
    headers = [made(float(n), n, display=display) for n, display in enumerate(displays)]
    ordered = stack(headers)
    scale = volume_values(headers, ordered)
    assert not scale.stored and scale.dtype == "int16" and scale.units == "BQML"
    for header, display in zip(headers, displays, strict=True):
        values = np.asarray([[0, 1, 100, 4095]], np.uint16)
        voxels = frame_voxels(scale, header, 0, values)
        back = voxels.astype(float) * scale.slope + scale.intercept
        assert back == pytest.approx(values * display.modality.slope + 10.0, abs=scale.slope / 2 + 1e-9)


def test_a_modality_lut_is_applied_to_voxels() -> None:
    table = Lut(0, 16, np.arange(0, 8000, 2, dtype="<u2").tobytes())
    headers = [made(float(n), n, display=FrameDisplay(Modality(lut=table))) for n in range(3)]
    scale = volume_values(headers, stack(headers))
    voxels = frame_voxels(scale, headers[0], 0, np.asarray([[0, 10, 3999]], np.uint16))
    assert voxels.astype(float) * scale.slope + scale.intercept == pytest.approx(
        np.asarray([[0, 20, 7998]]), abs=0.1
    )


def test_float_frames_need_their_range() -> None:
    form = msgspec.structs.replace(FORMAT, kind="float", bits_allocated=32, bits_stored=32)
    headers = [made(float(n), n, form=form) for n in range(3)]
    ordered = stack(headers)
    assert range_needed(headers, ordered)
    with pytest.raises(Invalid, match="range"):
        volume_values(headers, ordered)
    scale = volume_values(headers, ordered, (-1.0, 3.0))
    voxels = frame_voxels(scale, headers[0], 0, np.asarray([[-1.0, 0.25, 3.0, np.nan]], np.float32))
    back = voxels.astype(float) * scale.slope + scale.intercept
    assert back[0, :3] == pytest.approx([-1.0, 0.25, 3.0], abs=1e-4)
    assert back[0, 3] == pytest.approx(-1.0)


def test_padding_is_one_voxel_value() -> None:
    form = msgspec.structs.replace(FORMAT, signed=True)
    headers = [made(float(n), n, form=form, display=FrameDisplay(padding=(-2000, -1990))) for n in range(2)]
    scale = volume_values(headers, stack(headers))
    assert scale.padding_value == -2000 and scale.dtype == "int16"
    voxels = frame_voxels(scale, headers[0], 0, np.asarray([[-2000, -1995, -1989, 5]], np.int16))
    assert voxels.tolist() == [[-2000, -2000, -1989, 5]]


def test_every_various_series_is_a_stack_with_a_volume_or_a_reason(shared_data: Path) -> None:
    series: dict[str, list[InstanceHeader]] = {}
    for path in sorted((shared_data / "various").rglob("*")):
        if path.is_file():
            try:
                header = read_header(path)
            except Invalid:
                continue
            series.setdefault(header.series_uid, []).append(header)
    volumes = 0
    for headers in series.values():
        ordered = stack(headers)
        assert (ordered.volume is None) == bool(ordered.why_no_volume)
        if ordered.volume is not None:
            volumes += 1
            if not range_needed(headers, ordered):
                volume_values(headers, ordered)
    assert len(series) > 90 and volumes >= 10
