"""Volumes and planes over a real socket: the right way round, the right values, complete or not."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pydicom
import pytest

from sivr.dicom.phantom import phantom_values
from sivr.dicom.presentation import window_levels
from sivr.errors import Unavailable
from sivr.model.pixels import Window
from sivr.services.imaging import Graphics
from sivr.services.overviews import Overviews
from sivr.store.derived import Derived
from tests.api.dicomweb.node import Node, Viewer, frame_path, instance_path, running_node, series_path

pytestmark = pytest.mark.asyncio(loop_scope="module")
CUBE = (64, 64, 64)
WINDOW = Window(300, 2600)
W = "window=300,2600,linear"
EXACT = f"renderingmethod=maximum_ip&{W}&viewport=64,64&fov=128&accept=image/png"


def grey(values: npt.NDArray[np.int16]) -> npt.NDArray[np.int64]:
    """Values as the window shows them."""
    return np.floor(window_levels(values, WINDOW) * 255 + 0.5).astype(np.int64)


def seen(side: str, projection: str = "max") -> npt.NDArray[np.int64]:
    """The letter phantom projected by numpy as it must be seen from a side of the patient."""
    hu = phantom_values("letter", CUBE)
    along = {"a": 1, "p": 1, "r": 2, "l": 2, "h": 0, "f": 0}[side]
    flat = {"max": np.max, "min": np.min, "mean": np.mean}[projection](hu, axis=along)
    # Axes of what is left: (k, i) for a and p, (k, j) for r and l, (j, i) for h and f. k grows to the head,
    # j to the back, i to the patient's left; the head (front, from h and f) is up.
    turned = {
        "a": flat[::-1],
        "p": flat[::-1, ::-1],
        "r": flat[::-1, ::-1],
        "l": flat[::-1],
        "h": flat[:, ::-1],
        "f": flat,
    }[side]
    return grey(turned)


async def letter(node: Node, tmp_path: Path, *, multi_frame: bool = True) -> tuple[Viewer, str]:
    """The letter stored, somebody who may see it, and the path of its series."""
    stored = await node.phantom(tmp_path / "in", "letter", CUBE, multi_frame=multi_frame)
    return node.viewer("ana", stored[0].header.study_uid), series_path(stored[0])


async def test_the_six_sides_are_seen_the_right_way_round(node: Node, tmp_path: Path) -> None:
    ana, series = await letter(node, tmp_path)
    for side in "aprlhf":
        for spelling in ("rendered3d", "rendered3D"):
            answer = await ana.get(f"{series}/{spelling}?orientation={side}&{EXACT}")
            assert answer.headers["Sivr-Complete"] == "yes"
            difference = np.abs(answer.pixels.astype(int) - seen(side))
            assert difference.max() <= 1, (
                f"from {side}: {difference.max()} at {np.argwhere(difference > 1)[:3]}"
            )


async def test_projections_equal_numpy(node: Node, tmp_path: Path) -> None:
    ana, series = await letter(node, tmp_path)
    for method, projection in (("maximum_ip", "max"), ("minimum_ip", "min"), ("average_ip", "mean")):
        query = EXACT.replace("maximum_ip", method) + "&orientation=a"
        picture = (await ana.get(f"{series}/rendered3d?{query}")).pixels
        assert np.abs(picture.astype(int) - seen("a", projection)).max() <= 1, method


async def test_a_plane_is_the_slice_that_lies_there(node: Node, tmp_path: Path) -> None:
    ana, series = await letter(node, tmp_path)
    hu = phantom_values("letter", CUBE)
    for k in (10, 31, 50):
        z = (k - 31.5) * 2
        query = f"viewpointposition=0,0,{z - 100}&viewpointlookat=0,0,{z}&viewpointup=0,-1,0&{EXACT}"
        picture = (await ana.get(f"{series}/renderedMPR?{query}")).pixels
        assert np.abs(picture.astype(int) - grey(hu[k])).max() <= 1
    slab = "viewpointposition=0,0,-500&viewpointlookat=0,0,0&viewpointup=0,-1,0&mprslab=1000"
    whole = (await ana.get(f"{series}/renderedmpr?{slab}&{EXACT}")).pixels
    assert np.abs(whole.astype(int) - seen("f")).max() <= 1


async def test_pan_and_zoom_by_the_patient(node: Node, tmp_path: Path) -> None:
    ana, series = await letter(node, tmp_path)
    whole = seen("a")
    query = EXACT.replace("viewport=64,64&fov=128", "viewport=32,32&fov=64")
    center = (await ana.get(f"{series}/rendered3d?orientation=a&{query}")).pixels
    assert np.abs(center.astype(int) - whole[16:48, 16:48]).max() <= 1
    panned = (await ana.get(f"{series}/rendered3d?orientation=a&{query}&pan=20,-10")).pixels
    assert np.abs(panned.astype(int) - whole[21:53, 26:58]).max() <= 1


async def test_a_volume_is_rendered_in_color(node: Node, tmp_path: Path) -> None:
    ana, series = await letter(node, tmp_path)
    plain = await ana.get(f"{series}/rendered3d?viewport=200,100&accept=image/png")
    assert plain.pixels.shape == (100, 200, 3)
    assert plain.headers["Sivr-Quality"] == "lossless"
    again = await ana.get(
        f"{series}/rendered3d?viewport=200,100&accept=image/png", **{"If-None-Match": plain.headers["ETag"]}
    )
    assert again.status == 304
    skin = await ana.get(f"{series}/rendered3d?viewport=200,100&preset=ct-skin&accept=image/png")
    assert (skin.pixels != plain.pixels).any()
    brighter = await ana.get(f"{series}/rendered3d?viewport=200,100&window=-500,2600,linear&accept=image/png")
    assert brighter.pixels.mean() > plain.pixels.mean()
    same = await ana.get(f"{series}/rendered3d?viewport=200,100&{W}&accept=image/png")
    assert (same.pixels == plain.pixels).all(), "the window of the file leaves the preset as it is"
    draft = await ana.get(f"{series}/rendered3d?draft=yes&view=one&quality=50")
    assert draft.headers["Sivr-Quality"] == "preview"
    names = {item["name"] for item in (await ana.get("/presets")).json["items"]}
    assert {"ct-bone", "ct-skin"} <= names


async def test_a_refined_picture_is_another_one(node: Node, tmp_path: Path) -> None:
    ana, series = await letter(node, tmp_path)
    path = f"{series}/rendered3d?viewport=320,300&accept=image/png&preset=ct-bone"
    usual = await ana.get(path)
    assert usual.headers["Sivr-Sampling"] == "full"
    assert (await ana.get(path + "&refine=1")).body == usual.body
    refined = await ana.get(path + "&refine=16")
    assert refined.headers["Sivr-Sampling"] == "converged"
    assert refined.headers["Sivr-Quality"] == "lossless" and refined.headers["Sivr-Complete"] == "yes"
    assert refined.headers["ETag"] not in (usual.headers["ETag"], None)
    assert refined.pixels.shape == usual.pixels.shape
    difference = np.abs(refined.pixels.astype(int) - usual.pixels)
    assert 0.05 < difference.mean() < 5, "another picture, of the same"
    again = await ana.get(path + "&refine=16")
    assert again.body == refined.body and again.headers["ETag"] == refined.headers["ETag"]
    known = {"If-None-Match": refined.headers["ETag"]}
    assert (await ana.get(path + "&refine=16", **known)).status == 304
    draft = await ana.get(path + "&draft=yes")
    assert draft.headers["Sivr-Sampling"] == "draft"


async def test_refined_projections_equal_numpy(node: Node, tmp_path: Path) -> None:
    ana, series = await letter(node, tmp_path)
    for method, projection in (("maximum_ip", "max"), ("minimum_ip", "min"), ("average_ip", "mean")):
        query = EXACT.replace("maximum_ip", method) + "&orientation=a&refine=8"
        answer = await ana.get(f"{series}/rendered3d?{query}")
        assert np.abs(answer.pixels.astype(int) - seen("a", projection)).max() <= 1, method


WRONG = [
    ("rendered3d", "refine=17", 400),
    ("rendered3d", "refine=8&draft=yes", 400),
    ("rendered3d", "viewport=4000,4000&refine=16", 413),
    ("rendered3d", "orientation=x", 400),
    ("rendered3d", "orientation=a&viewpointup=0,0,1", 400),
    ("rendered3d", "viewpointup=0,0,0", 400),
    ("rendered3d", "viewpointposition=0,0,0&viewpointlookat=0,0,0", 400),
    ("rendered3d", "viewpointposition=0,0,9&viewpointup=0,0,1", 400),
    ("rendered3d", "renderingmethod=x", 400),
    ("rendered3d", "preset=nothing", 400),
    ("rendered3d", "swivelrange=90", 400),
    ("rendered3d", "viewport=10,10,1,1", 400),
    ("renderedmpr", "mprslab=0", 400),
    ("renderedmpr", "renderingmethod=volume_rendered", 400),
    ("rendered3d", "viewport=8000,8000", 413),
    ("rendered3d", "accept=video/mp4", 406),
]


async def test_wrong_parameters(node: Node, tmp_path: Path) -> None:
    ana, series = await letter(node, tmp_path)
    for resource, query, status in WRONG:
        answer = await ana.get(f"{series}/{resource}?{query}")
        assert answer.status == status, (query, answer.body)
        assert answer.json["detail"].endswith(".")


async def test_a_series_without_a_volume_says_why(node: Node, shared_data: Path) -> None:
    stored = await node.add((shared_data / "multiframe").glob("*.dcm"))
    ana = node.viewer("ana", stored[0].header.study_uid)
    contents = (await ana.get(f"{series_path(stored[0])}/contents")).json
    answer = await ana.get(f"{series_path(stored[0])}/rendered3d")
    assert answer.status == 400
    assert answer.json["detail"] == contents["why_no_volume"]
    assert (await ana.get(frame_path(stored[0], 40))).status == 200


async def test_study_and_instance_levels(node: Node, tmp_path: Path) -> None:
    stored = (await node.phantom(tmp_path / "in", "letter", CUBE, multi_frame=True))[0]
    study = stored.header.study_uid
    ana = node.viewer("ana", study)
    query = f"orientation=a&{EXACT}"
    series = (await ana.get(f"{series_path(stored)}/rendered3d?{query}")).pixels
    assert ((await ana.get(f"/studies/{study}/rendered3d?{query}")).pixels == series).all()
    assert ((await ana.get(f"{instance_path(stored)}/rendered3D?{query}")).pixels == series).all()
    assert (await ana.get(f"{instance_path(stored)}/frames/1,2/rendered3d?{query}")).status == 400
    assert (await ana.get(f"/studies/{study}/renderedMPR?{query}")).status == 200
    single = (await node.phantom(tmp_path / "b", "letter", (8, 8, 8)))[0]
    eva = node.viewer("eva", single.header.study_uid)
    assert (await eva.get(f"{instance_path(single)}/rendered3d")).status == 400


async def test_the_metadata_of_a_picture(node: Node, tmp_path: Path) -> None:
    ana, series = await letter(node, tmp_path)
    query = f"orientation=h&renderingmethod=maximum_ip&{W}&renderedvolumetricmetadata=yes"
    answer = await ana.get(f"{series}/rendered3d?{query}")
    assert answer.headers["Content-Type"] == "application/dicom+json"
    module = answer.json[0]
    assert module["00720510"]["Value"] == ["3D_RENDERING"]
    assert module["0070120D"]["Value"] == ["MAXIMUM_IP"]
    assert module["00701604"]["Value"] == pytest.approx([0, 0, 0], abs=1e-6)
    assert module["00701603"]["Value"][2] > 100
    assert module["00701605"]["Value"] == pytest.approx([0, -1, 0])
    assert module["00281051"]["Value"] == [2600]
    plane = (await ana.get(f"{series}/renderedmpr?mprslab=4&renderedvolumetricmetadata=yes")).json[0]
    assert plane["00701503"]["Value"] == [4]


async def test_a_coarse_volume_is_shown_while_the_rest_is_loading(node: Node, tmp_path: Path) -> None:
    shape = (400, 128, 128)
    stored = await node.phantom(tmp_path / "in", "letter", shape, multi_frame=True)
    ana = node.viewer("ana", stored[0].header.study_uid)
    series = await node.imaging.loader.open(stored[0].header.study_uid, stored[0].header.series_uid)
    held = asyncio.Event()
    background = node.imaging.loader._pool._background

    def only_coarse(most: int) -> list[object]:
        step = series.segment is not None and series.segment.ready[::8].all() and not held.is_set()
        return [] if step else background(most)  # type: ignore[return-value]

    node.imaging.loader._pool._background = only_coarse  # type: ignore[assignment]
    path = f"{series_path(stored[0])}/rendered3d?orientation=a&{EXACT}"
    coarse = await ana.get(path + "&view=main")
    assert coarse.headers["Sivr-Complete"] == "no"
    assert coarse.headers["Sivr-Quality"] == "preview"
    assert coarse.headers["Cache-Control"] == "no-store"
    assert "ETag" not in coarse.headers
    assert coarse.pixels.max() > 100, "something of the letter is there already"
    waiting = asyncio.create_task(ana.get(path))
    held.set()
    node.imaging.loader._pool.wake()
    whole = await waiting
    assert whole.headers["Sivr-Complete"] == "yes", "who names no view waits for the whole volume"


@pytest.mark.parametrize("platform", ["software", "egl"])
async def test_a_volume_over_the_budget_is_shown_from_means_and_says_so(
    tmp_path: Path, platform: str
) -> None:
    async with running_node(tmp_path / "small", memory_mb=2, graphics=Graphics(platform)) as node:
        stored = await node.phantom(tmp_path / "in", "letter", (64, 128, 128), multi_frame=True)
        ana = node.viewer("ana", stored[0].header.study_uid)
        try:
            await node.imaging.farm.started()
        except Unavailable as reason:
            pytest.skip(str(reason))
        path = f"{series_path(stored[0])}/rendered3d?orientation=a&{EXACT.replace('64,64', '128,128')}"
        answer = await ana.get(path)
        assert answer.headers["Sivr-Complete"] == "yes"
        assert answer.headers["Sivr-Quality"] == "lossy"
        assert "larger than the server can hold" in answer.headers["Warning"]
        # When others have gone it may be shown in full: nobody should keep this one.
        assert answer.headers["Cache-Control"] == "no-store" and "ETag" not in answer.headers
        whole = await whole_of(tmp_path, stored_as=(64, 128, 128), path=path)
        assert alike(answer.pixels, whole) > 0.95, "the same letter at the same place"
        frame = await ana.get(frame_path(stored[0], 30) + "?accept=image/png")
        assert frame.status == 200 and frame.headers["Sivr-Quality"] == "lossless"


def alike(one: npt.NDArray[np.uint8], other: npt.NDArray[np.uint8]) -> float:
    """1 for pictures that differ in brightness alone."""
    return float(np.corrcoef(one.reshape(-1), other.reshape(-1))[0, 1])


async def whole_of(tmp_path: Path, stored_as: tuple[int, int, int], path: str) -> npt.NDArray[np.uint8]:
    """The same picture from a node with enough memory."""
    async with running_node(tmp_path / "large") as node:
        stored = await node.phantom(tmp_path / "again", "letter", stored_as, multi_frame=True)
        ana = node.viewer("ana", stored[0].header.study_uid)
        answer = await ana.get(series_path(stored[0]) + path[path.index("/rendered3d") :])
        assert answer.headers["Sivr-Quality"] == "lossless" and "Warning" not in answer.headers
        return answer.pixels


async def test_an_overview_is_shown_first_and_never_called_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sivr.services.overviews.MOST_BYTES", 32768)
    monkeypatch.setattr("sivr.services.volume_loading.KEEP_AFTER_S", 0.0)
    overviews = Overviews(Derived(tmp_path / "derived"), 1 << 30)
    async with running_node(tmp_path / "node", overviews=overviews) as node:
        stored = await node.phantom(tmp_path / "in", "letter", CUBE, multi_frame=True)
        ana = node.viewer("ana", stored[0].header.study_uid)
        path = f"{series_path(stored[0])}/rendered3d?orientation=a&{EXACT}"
        whole = await ana.get(path)
        while not list((tmp_path / "derived").glob("*/*")):
            await asyncio.sleep(0.01)
    async with running_node(tmp_path / "node", overviews=overviews) as node:
        ana = node.viewer("ana", stored[0].header.study_uid)
        first = await ana.get(path + "&view=main")
        assert first.headers["Sivr-Complete"] == "no" and first.headers["Sivr-Quality"] == "preview"
        assert first.headers["Cache-Control"] == "no-store" and "ETag" not in first.headers
        assert "Warning" not in first.headers, "nothing is the matter with this volume"
        assert alike(first.pixels, whole.pixels) > 0.9, "the same letter at the same place"
        again = await ana.get(path)
        assert again.headers["Sivr-Complete"] == "yes" and (again.pixels == whole.pixels).all()


@pytest.mark.parametrize("orientation", "aprlhf")
async def test_the_mip_of_a_real_head_equals_numpy(node: Node, shared_data: Path, orientation: str) -> None:
    paths = [path for path in (shared_data / "ct-head-1mm").iterdir() if path.is_file()]
    paths = [path for path in paths if path.read_bytes()[128:132] == b"DICM" and path.name != "DIRFILE"]
    stored = await node.add(paths)
    ana = node.viewer("ana", stored[0].header.study_uid)
    # The reference is pydicom's and numpy's alone: x to the left, y to the back, z to the head.
    files = sorted((pydicom.dcmread(path) for path in paths), key=lambda one: one.ImagePositionPatient[2])
    hu = np.stack([one.pixel_array * float(one.RescaleSlope) + float(one.RescaleIntercept) for one in files])
    pixel = float(files[0].PixelSpacing[0])
    layer = float(files[1].ImagePositionPatient[2] - files[0].ImagePositionPatient[2])
    depth = len(files)
    height = 512 if orientation in "hf" else 2 * round(depth * layer / pixel / 2) - 2
    query = (
        f"orientation={orientation}&renderingmethod=maximum_ip&{W}&viewport=512,{height}"
        f"&fov={height * pixel!r}&accept=image/png"
    )
    picture = (await ana.get(f"{series_path(stored[0])}/rendered3d?{query}")).pixels
    if orientation in "hf":
        flat = hu.max(axis=0)
        expected = flat[:, ::-1] if orientation == "h" else flat
    else:
        # Rows of the picture lie between slices: interpolated first, then the largest.
        at = (depth - 1) / 2 + ((height - 1) / 2 - np.arange(height)) * pixel / layer
        below = np.clip(np.floor(at).astype(int), 0, depth - 2)
        part = (at - below)[:, None, None]
        axis = 1 if orientation in "ap" else 2
        rows = [hu[k] * (1 - p) + hu[k + 1] * p for k, p in zip(below, part, strict=True)]
        expected = np.stack([row.max(axis=axis - 1) for row in rows])
        expected = expected[:, ::-1] if orientation in "pr" else expected
    assert picture.shape == expected.shape
    assert np.abs(picture.astype(int) - grey(expected)).max() <= 1


async def test_who_goes_away_is_not_worked_for(node: Node, tmp_path: Path) -> None:
    stored = await node.phantom(tmp_path / "in", "letter", CUBE, multi_frame=True)
    ana = node.viewer("ana", stored[0].header.study_uid)
    loader = node.imaging.loader
    series = await loader.open(stored[0].header.study_uid, stored[0].header.series_uid)
    background = loader._pool._background
    loader._pool._background = lambda most: []
    try:
        waiting = asyncio.create_task(ana.get(f"{series_path(stored[0])}/rendered3d"))
        while not series.uses:
            await asyncio.sleep(0.01)
        waiting.cancel()
        while series.uses:
            await asyncio.sleep(0.01)
    finally:
        loader._pool._background = background
    assert (await ana.get(f"{series_path(stored[0])}/rendered3d")).headers["Sivr-Complete"] == "yes"


async def test_a_picture_nobody_waits_for_is_given_up(node: Node, tmp_path: Path) -> None:
    ana, series = await letter(node, tmp_path)
    farm = node.imaging.farm
    await ana.get(f"{series}/rendered3d?viewport=32,32")
    canceled = farm.tally.canceled_running
    large = asyncio.create_task(
        ana.get(f"{series}/rendered3d?viewport=4000,4000&renderingmethod=average_ip&accept=image/png")
    )
    while not any(farm.running().values()):
        await asyncio.sleep(0.002)
    large.cancel()
    while farm.tally.canceled_running == canceled:
        await asyncio.sleep(0.01)
    assert farm.tally.canceled_running == canceled + 1
    assert farm.tally.rows_spared > 0
    assert (await ana.get(f"{series}/rendered3d?viewport=32,32")).status == 200


async def test_who_goes_away_is_not_refined_for(node: Node, tmp_path: Path) -> None:
    ana, series = await letter(node, tmp_path)
    await ana.get(f"{series}/rendered3d?viewport=64,64")
    farm = node.imaging.farm
    before = farm.tally.drawn
    waiting = asyncio.create_task(ana.get(f"{series}/rendered3d?viewport=1000,1000&fov=100&refine=16"))
    while farm.tally.drawn == before:
        await asyncio.sleep(0.01)
    waiting.cancel()
    opened = await node.imaging.loader.open(series.split("/")[2], series.split("/")[4])
    while opened.uses:
        await asyncio.sleep(0.01)
    assert not sum(farm.waiting().values())
    # Thirty stripes are the whole picture.
    assert farm.tally.drawn - before < 25
    assert (await ana.get(f"{series}/rendered3d?viewport=64,64")).headers["Sivr-Sampling"] == "full"


async def test_the_look_of_a_volume_is_in_its_address(node: Node, tmp_path: Path) -> None:
    ana, series = await letter(node, tmp_path)
    path = f"{series}/rendered3d?viewport=120,100&accept=image/png"
    bone = await ana.get(f"{path}&preset=ct-bone")
    points = next(one for one in (await ana.get("/presets")).json["items"] if one["name"] == "ct-bone")[
        "points"
    ]

    def said(scale: float = 1.0) -> str:
        parts = []
        for value, *color, opacity in points:
            parts.append(f"{value},{''.join(f'{round(one * 255):02x}' for one in color)},{opacity * scale}")
        return "transfer=absolute;" + ";".join(parts)

    own = await ana.get(f"{path}&{said()}")
    assert np.abs(own.pixels.astype(int) - bone.pixels).max() <= 2, "the same points look the same"
    assert own.headers["ETag"] != bone.headers["ETag"]
    pictures = [bone.pixels]
    for look in (
        "preset=ct-bone&opacity=0.1",
        "preset=ct-bone&light=1,0,0",
        "preset=ct-bone&depthcue=0.9",
        "isovalue=500&isocolor=00ff00",
        "preset=ct-surface-bone",
        "preset=ct-bone&crop=10,40,0,64,20,64",
        "preset=ct-bone&clip=0,0,0,1,0,0",
        "preset=ct-bone&cut=inside,0,-500,0,0,0,0,0,0,1,200,-0.2,-0.2,0.2,-0.2,0,0.2",
    ):
        answer = await ana.get(f"{path}&{look}")
        assert all((answer.pixels != other).any() for other in pictures), look
        pictures.append(answer.pixels)
    green = (await ana.get(f"{path}&isovalue=500&isocolor=00ff00&light=1,0,0")).pixels
    assert set(map(tuple, green.reshape(-1, 3))) == {(0, 0, 0), (0, 255, 0)}
    mip = await ana.get(f"{path}&preset=ct-mip-bone")
    assert mip.pixels.ndim == 2
    same = await ana.get(f"{path}&renderingmethod=maximum_ip&window=900,1800,linear-exact")
    assert (mip.pixels == same.pixels).all()
    for wrong in ("transfer=absolute;1,ffffff,1", "preset=ct-bone&transfer=absolute;0,000000,0;1,ffffff,1"):
        refused = await ana.get(f"{path}&{wrong}")
        assert refused.status == 400 and refused.json["detail"].endswith(".")


async def test_a_cropped_projection_is_that_of_the_cropped_voxels(node: Node, tmp_path: Path) -> None:
    ana, series = await letter(node, tmp_path)
    hu = phantom_values("letter", CUBE)
    kept = np.full_like(hu, hu.min())
    kept[10:40, 5:50, 20:60] = hu[10:40, 5:50, 20:60]
    crop = "crop=19.5,59.5,4.5,49.5,9.5,39.5"
    answer = await ana.get(f"{series}/rendered3d?{EXACT}&orientation=f&{crop}")
    assert np.abs(answer.pixels.astype(int) - grey(kept.max(axis=0))).max() <= 1
    assert (answer.pixels != (await ana.get(f"{series}/rendered3d?{EXACT}&orientation=f")).pixels).any()


async def test_a_point_is_picked(node: Node, tmp_path: Path) -> None:
    ana, series = await letter(node, tmp_path)
    hu = phantom_values("letter", CUBE)
    study = await ana.get(series.split("/series/")[0] + "/contents")
    affine = np.array(study.json["series"][0]["volume"]["lps_from_ijk"])
    query = "renderingmethod=maximum_ip&viewport=64,64&fov=128&orientation=f"
    # From the feet, face up: a pixel is a column of voxels of 2 mm.
    for i, j in ((20, 30), (41, 12)):
        found = await ana.get(f"{series}/rendered3d/pick?{query}&at={i + 0.5},{j + 0.5}")
        assert found.status == 200, found.body
        k = int(hu[:, j, i].argmax())
        assert abs(found.json["value"] - hu[k, j, i]) < 1 and found.json["complete"]
        back = np.linalg.inv(affine) @ (*found.json["point"], 1)
        assert np.allclose(back[:2], (i, j), atol=0.05) and hu[round(back[2]), j, i] == hu[k, j, i]
    nothing = await ana.get(f"{series}/rendered3d/pick?viewport=64,64&fov=500&at=1,1")
    assert nothing.status == 404 and nothing.json["detail"] == "Nothing is seen there."
    for wrong in ("", "&at=100,3", "&at=3", "&renderingmethod=average_ip&at=32,32"):
        assert (await ana.get(f"{series}/rendered3d/pick?viewport=64,64{wrong}")).status == 400
    stranger = node.viewer("eve")
    assert (await stranger.get(f"{series}/rendered3d/pick?at=1,1")).status == 403


async def test_the_histogram_of_a_volume(node: Node, tmp_path: Path) -> None:
    ana, series = await letter(node, tmp_path)
    hu = phantom_values("letter", CUBE)
    found = (await ana.get(f"{series}/histogram?bins=50&low=-1000&high=2000")).json
    want, _ = np.histogram(hu, bins=50, range=(-1000, 2000))
    assert np.abs(np.cumsum(found["counts"]) - np.cumsum(want)).max() <= (hu % 60 == 20).sum()
    assert found["voxels"] == hu.size and found["complete"]
    whole = (await ana.get(f"{series}/histogram")).json
    assert (len(whole["counts"]), whole["low"], whole["high"]) == (256, hu.min(), hu.max())
    for wrong in ("bins=1", "bins=5000", "low=5&high=5", "low=nan"):
        assert (await ana.get(f"{series}/histogram?{wrong}")).status == 400, wrong
    assert (await node.viewer("eve").get(f"{series}/histogram")).status == 403
    quick = (await ana.get(f"{series}/histogram?draft=yes")).json
    assert quick["voxels"] == hu.size, "all of it is loaded by now"
