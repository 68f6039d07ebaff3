"""Phantoms: the same bytes every time, and the answers they promise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest

from sivr.dicom.phantom import (
    SPHERES,
    benchmark_record,
    phantom_affine,
    phantom_uid,
    phantom_values,
    write_phantom,
)
from sivr.dicom.read import read_header
from sivr.dicom.volume import stack


def test_uids_are_below_a_valid_root_and_stay() -> None:
    assert phantom_uid("a", 1) == phantom_uid("a", 1) != phantom_uid("a", 2)
    assert phantom_uid("a").startswith("2.25.") and len(phantom_uid("a")) <= 64
    assert pydicom.uid.UID(phantom_uid("a")).is_valid


@pytest.mark.parametrize("name", ["ramp", "spheres", "letter", "head"])
@pytest.mark.parametrize("multi_frame", [False, True])
def test_files_hold_the_promised_values(name: str, multi_frame: bool, tmp_path: Path) -> None:
    shape = (6, 32, 24)
    paths = write_phantom(tmp_path / "a", name, shape, multi_frame=multi_frame)
    again = write_phantom(tmp_path / "b", name, shape, multi_frame=multi_frame)
    assert [p.read_bytes() for p in paths] == [p.read_bytes() for p in again]
    arrays = [pydicom.dcmread(p).pixel_array for p in paths]
    voxels = arrays[0] if multi_frame else np.stack(arrays)
    assert np.array_equal(voxels.astype(int) - 1024, phantom_values(name, shape))


def test_the_ramp_is_a_formula() -> None:
    values = phantom_values("ramp")
    k, j, i = np.indices(values.shape)
    assert np.array_equal(values, -1000 + 4 * i + 2 * j + k)


def test_spheres_are_where_they_are_said_to_be() -> None:
    values, affine = phantom_values("spheres"), phantom_affine("spheres")
    for body in SPHERES:
        i, j, k = np.rint(np.linalg.solve(affine, [*body.center, 1.0])[:3]).astype(int)
        assert values[k, j, i] == body.hu
        volume_mm3 = (values == body.hu).sum() * abs(np.linalg.det(affine[:3, :3]))
        assert volume_mm3 == pytest.approx(4 / 3 * np.pi * np.prod(body.radii), rel=0.05)


def test_the_letter_tells_every_side() -> None:
    values = phantom_values("letter").astype(int) > 0
    slices, rows, columns = values.shape
    front = values.any(axis=1)
    # The stem is at the patient's right (low i), arms at the head (high k) and in the middle.
    assert front[:, : columns // 2].sum() > front[:, columns // 2 :].sum()
    assert front[slices // 2 :].sum() > front[: slices // 2].sum()
    # The nose lies in front (low j).
    nose = phantom_values("letter") > 1500
    assert nose[:, : rows // 2].sum() > 0 and nose[:, rows // 2 :].sum() == 0


def test_record_a_as_files_and_as_one_object(tmp_path: Path) -> None:
    paths = benchmark_record(tmp_path / "files", "A")
    assert len(paths) == 10
    ordered = stack([read_header(p) for p in paths])
    assert ordered.volume is not None and ordered.volume.shape == (10, 512, 512)
    (path,) = benchmark_record(tmp_path / "one", "A", multi_frame=True)
    together = stack([read_header(path)])
    assert together.volume is not None and together.volume.shape == (10, 512, 512)
    assert together.volume.lps_from_ijk == ordered.volume.lps_from_ijk


def test_noise_stays_small_beside_the_signal() -> None:
    values = phantom_values("head", (3, 64, 64))
    assert values.min() > -1024 and values.max() < 3000
