"""What a viewer is told of a study."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from sivr.dicom.phantom import phantom_affine, write_phantom
from sivr.dicom.rulers import RulerKind, write_ruler
from tests.api.dicomweb.node import Node, frame_path, series_path

pytestmark = pytest.mark.asyncio(loop_scope="module")
SHAPE = (12, 40, 56)


@pytest.mark.parametrize("multi_frame", [False, True])
async def test_the_contents_of_a_series(node: Node, tmp_path: Path, multi_frame: bool) -> None:
    study = f"contents-{multi_frame}"
    paths = write_phantom(tmp_path / "in", "letter", SHAPE, multi_frame=multi_frame, study=study)
    stored = await node.add(reversed(paths))
    study = stored[0].header.study_uid
    ana = node.viewer("ana", study)
    body = (await ana.get(f"{series_path(stored[0])}/contents")).json
    assert body["series_uid"] == stored[0].header.series_uid
    assert (body["frame_count"], body["columns"], body["rows"]) == (12, 56, 40)
    assert (body["renderable"], body["why_not"], body["color"], body["complete"]) == (True, "", False, True)
    positions = [frame["position_mm"] for frame in body["frames"]]
    assert positions == sorted(positions), "reading order is along the normal"
    assert [frame["frame"] for frame in body["frames"]] == (list(range(1, 13)) if multi_frame else [1] * 12)
    affine = phantom_affine("letter", SHAPE)
    assert body["spacing_mm"] == pytest.approx([affine[1, 1], affine[0, 0]], rel=1e-4)
    assert body["orientation"] == {"row": [1.0, 0.0, 0.0], "col": [0.0, 1.0, 0.0]}
    volume = body["volume"]
    assert volume["shape"] == list(SHAPE)
    assert volume["center"] == pytest.approx([0, 0, 0], abs=1e-3)
    extent = [SHAPE[2] * affine[0, 0], SHAPE[1] * affine[1, 1], SHAPE[0] * affine[2, 2]]
    assert volume["extent_mm"] == pytest.approx(extent, rel=1e-4)
    assert body["why_no_volume"] == ""
    assert body["windows"] and body["windows"][0]["width"] > 0
    low, high = body["value_range"]
    assert low <= -1000 and high >= 1000
    assert body["modality"] == "CT"
    assert {"name": "lung", "label": "Lung", "center": -600.0, "width": 1500.0, "function": "linear"} in body[
        "modality_presets"
    ]
    assert body["loaded"] == {"slices": 0, "total": 12}
    whole = (await ana.get(f"/studies/{study}/contents")).json
    assert whole["study_uid"] == study
    assert [one["series_uid"] for one in whole["series"]] == [body["series_uid"]]


async def test_frames_name_the_scale_they_are_measured_with(node: Node, tmp_path: Path) -> None:
    kinds: tuple[RulerKind, ...] = ("ct", "dx", "dx-detector", "mg", "us", "pixels")
    stored = await node.add([write_ruler(tmp_path / f"{kind}.dcm", kind) for kind in kinds])
    study = stored[0].header.study_uid
    told = (await node.viewer("ana", study).get(f"/studies/{study}/contents")).json["series"]
    found = {one["description"]: one["scales"][one["frames"][0]["scale"]] for one in told}
    assert {name: one["spacing"]["origin"] for name, one in found.items()} == {
        "Ruler ct": "patient",
        "Ruler dx": "detector corrected by ERMF",
        "Ruler dx-detector": "detector",
        "Ruler mg": "calibrated geometry",
        "Ruler us": "pixels",
        "Ruler pixels": "pixels",
    }
    assert found["Ruler dx"]["spacing"]["note"] == "1.25"
    assert [one["unit_x"] for one in found["Ruler us"]["regions"]] == ["mm", "mm", "s", "s"]
    origins = {one["description"]: one["spacing_origin"] for one in told}
    assert origins["Ruler us"] == origins["Ruler pixels"] == "" and origins["Ruler ct"] == "patient"


async def test_the_contents_of_a_long_series_are_small(node: Node, tmp_path: Path) -> None:
    stored = await node.phantom(tmp_path / "in", "ramp", (300, 8, 8), multi_frame=True)
    url = f"{node.url}{series_path(stored[0])}/contents"
    headers = node.viewer("ana", stored[0].header.study_uid).headers | {"Accept-Encoding": "gzip"}
    async with node.http.get(url, headers=headers, auto_decompress=False) as answer:
        assert answer.headers["Content-Encoding"] == "gzip"
        assert len(await answer.read()) < 8000


async def test_loading_is_told(node: Node, tmp_path: Path) -> None:
    stored = await node.phantom(tmp_path / "in", "ramp", SHAPE)
    ana = node.viewer("ana", stored[0].header.study_uid)
    path = f"{series_path(stored[0])}/loading"
    assert (await ana.get(path)).json == {
        "slices_loaded": 0, "slices_total": 12, "state": "idle", "broken": {},
    }  # fmt: skip
    await ana.get(frame_path(stored[0]))
    while (state := (await ana.get(path)).json)["state"] != "complete":
        assert state["state"] == "loading"
        await asyncio.sleep(0.01)
    assert state["slices_loaded"] == 12
    assert (await ana.get(f"{series_path(stored[0])}/contents")).json["loaded"]["slices"] == 12


async def test_real_series_are_described(node: Node, shared_data: Path) -> None:
    for folder, count, has_volume in (
        ("ct-head-1mm", 140, True),
        ("pet-whole-body", 299, True),
        ("multiframe", 96, False),
    ):
        paths = [path for path in sorted((shared_data / folder).rglob("*")) if path.is_file()]
        paths = [path for path in paths if path.name not in ("DICOMDIR", "DIRFILE", "README.md", "LICENSE")]
        stored = await node.add([path for path in paths if path.read_bytes()[128:132] == b"DICM"])
        ana = node.viewer("ana", stored[0].header.study_uid)
        body = (await ana.get(f"{series_path(stored[0])}/contents")).json
        assert body["frame_count"] == count, folder
        assert (body["volume"] is not None) == has_volume
        assert bool(body["why_no_volume"]) != has_volume
        assert body["renderable"]
