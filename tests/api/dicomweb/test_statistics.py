"""Statistics of regions through a real socket, equal to numpy's on what pydicom reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from sivr.dicom.rulers import ruler_values, write_ruler
from tests.api.dicomweb.node import Node, instance_path

pytestmark = pytest.mark.asyncio(loop_scope="module")


def check(told: Any, values: np.ndarray) -> None:
    values = values.astype(np.float64)
    assert told["count"] == values.size
    figures = told["figures"][0]
    assert (figures["min"], figures["max"]) == (values.min(), values.max())
    assert figures["mean"] == pytest.approx(np.mean(values), rel=1e-12)
    assert figures["sd"] == pytest.approx(np.std(values), rel=1e-12)
    counts, edges = np.histogram(values, bins=64)
    assert told["histogram"] == {"low": edges[0], "high": edges[-1], "counts": counts.tolist()}


async def test_regions_equal_numpy(node: Node, tmp_path: Path) -> None:
    (stored,) = await node.add([write_ruler(tmp_path / "a.dcm", "ct", study="statistics")])
    ana = node.viewer("ana", stored.header.study_uid)
    path = f"{instance_path(stored)}/frames/1/statistics"
    hu = ruler_values().astype(np.float64) - 1024
    rows, columns = np.mgrid[0:240, 0:320] + 0.5

    box = (await ana.get(f"{path}?shape=rectangle&points=20.2,30.7,100.4,90.1")).json
    check(box, hu[(rows >= 30.7) & (rows <= 90.1) & (columns >= 20.2) & (columns <= 100.4)])
    assert box["figures"][0]["unit"] == "HU" and box["origin"] == "patient"
    assert box["area"] == pytest.approx(80.2 * 59.4 * 0.4) and box["area_unit"] == "mm2"

    ellipse = (await ana.get(f"{path}?shape=ellipse&points=50,100,150,100,100,60,100,140")).json
    check(ellipse, hu[((columns - 100) / 50) ** 2 + ((rows - 100) / 40) ** 2 <= 1])

    # A circle is round in millimeters: 20 mm are 40 columns or 25 rows.
    circle = (await ana.get(f"{path}?shape=circle&points=150,120,190,120")).json
    check(circle, hu[((columns - 150) * 0.5) ** 2 + ((rows - 120) * 0.8) ** 2 <= 400])
    assert circle["area"] == pytest.approx(np.pi * 400)

    triangle = {"shape": "polygon", "points": [[20, 20], [200, 20], [20, 200]]}
    async with node.http.post(node.url + path, headers=ana.headers, json=triangle) as answer:
        assert answer.status == 200
        check(await answer.json(), hu[(columns >= 20) & (rows >= 20) & (rows + columns < 220)])

    probe = (await ana.get(f"{path}?shape=point&points=40.9,30.2")).json
    assert probe["figures"][0]["mean"] == 3000 - 1024 and probe["count"] == 1 and probe["histogram"] is None
    outside = (await ana.get(f"{path}?shape=rectangle&points=-20,-20,-5,-5")).json
    assert (outside["count"], outside["figures"]) == (0, [])


async def test_padding_is_no_value(node: Node, tmp_path: Path) -> None:
    path = write_ruler(tmp_path / "a.dcm", "ct", study="padded")
    data = pydicom.dcmread(path)
    data.add_new(0x00280120, "US", 3000)
    data.save_as(path)
    (stored,) = await node.add([path])
    ana = node.viewer("ana", stored.header.study_uid)
    query = "statistics?shape=rectangle&points=30,20,50,40"
    told = (await ana.get(f"{instance_path(stored)}/frames/1/{query}")).json
    inside = ruler_values()[20:40, 30:50].astype(np.float64) - 1024
    check(told, inside[inside != 3000 - 1024])
    assert told["excluded"] == 1


async def test_uptake(node: Node, shared_data: Path) -> None:
    path = sorted((shared_data / "pet-whole-body").glob("*.dcm"))[150]
    (stored,) = await node.add([path], apart=True)
    ana = node.viewer("ana", stored.header.study_uid)
    query = "statistics?shape=rectangle&points=40,40,90,90"
    told = (await ana.get(f"{instance_path(stored)}/frames/1/{query}")).json
    data = pydicom.dcmread(path)
    becquerels = data.pixel_array[40:90, 40:90] * float(data.RescaleSlope) + float(data.RescaleIntercept)
    check(told, becquerels)
    assert [one["unit"] for one in told["figures"]] == ["BQML", "SUVbw"]
    dose = data.RadiopharmaceuticalInformationSequence[0]
    elapsed = 46964.678 - 41940
    factor = 66200 / (float(dose.RadionuclideTotalDose) * 0.5 ** (elapsed / float(dose.RadionuclideHalfLife)))
    assert told["figures"][1]["max"] == pytest.approx(becquerels.max() * factor)
    assert 0.1 < told["figures"][1]["mean"] < 20


async def test_ultrasound_counts_in_its_region(node: Node, tmp_path: Path) -> None:
    (stored,) = await node.add([write_ruler(tmp_path / "a.dcm", "us", study="statistics-us")])
    ana = node.viewer("ana", stored.header.study_uid)
    path = f"{instance_path(stored)}/frames/1/statistics?shape=rectangle"
    for points, area, unit, origin in (
        ("10,10,20,20", 100 * 0.04, "mm2", "ultrasound region"),
        ("170,10,180,20", 100 * 0.03, "mm2", "ultrasound region"),
        ("10,130,20,140", 0, "", "ultrasound region"),
        ("150,10,170,20", 200, "px2", "pixels"),
    ):
        told = (await ana.get(f"{path}&points={points}")).json
        assert (told["area"], told["area_unit"], told["origin"]) == (pytest.approx(area), unit, origin)


async def test_color_and_refusals(node: Node, tmp_path: Path, shared_data: Path) -> None:
    from tests.dicom import reference

    (color,) = await node.add([reference.wheel_files() / "SC_rgb_small_odd.dcm"], apart=True)
    study = color.header.study_uid
    ana = node.viewer("ana", study)
    path = f"{instance_path(color)}/frames/1/statistics"
    pixels = pydicom.dcmread(reference.wheel_files() / "SC_rgb_small_odd.dcm").pixel_array
    told = (await ana.get(f"{path}?shape=point&points=1.5,2.5")).json
    assert told["color"] == pixels[2, 1].tolist() and told["figures"] == []
    for query, status in (
        ("shape=rectangle&points=0,0,2,2", 400),
        ("shape=point&points=1", 400),
        ("shape=point&points=a,b", 400),
        ("shape=point&points=nan,1", 400),
        ("shape=star&points=1,1", 400),
        ("shape=polygon&points=1,1,2,2", 400),
        ("shape=point&points=1,1&bins=100000", 400),
        ("points=1,1", 400),
    ):
        assert (await ana.get(f"{path}?{query}")).status == status, query
    assert (await ana.get(path.replace("frames/1/", "frames/9/") + "?shape=point&points=1,1")).status == 404
    assert (await node.viewer("eve").get(f"{path}?shape=point&points=1,1")).status == 403
