"""Windows for what is in view and tables of elements over a real socket."""

from __future__ import annotations

from pathlib import Path

import pytest

from sivr.dicom.phantom import phantom_values
from tests.api.dicomweb.node import Node, instance_path

pytestmark = pytest.mark.asyncio(loop_scope="module")
SHAPE = (3, 40, 56)


async def test_a_window_for_what_is_in_view(node: Node, tmp_path: Path) -> None:
    stored = await node.phantom(tmp_path / "in", "ramp", SHAPE)
    path = f"{instance_path(stored[1])}/frames/1/window"
    ana = node.viewer("ana", stored[0].header.study_uid)
    answer = await ana.get(f"{path}?region=10,20,30,40")
    hu = phantom_values("ramp", SHAPE)[1][20:40, 10:30]
    found = answer.json
    assert answer.status == 200 and found["least"] == hu.min() and found["greatest"] == hu.max()
    assert abs(found["window"]["center"] - (int(hu.min()) + int(hu.max())) / 2) < 15
    assert sum(found["histogram"]["counts"]) == 400
    whole = (await ana.get(path)).json
    assert sum(whole["histogram"]["counts"]) == SHAPE[1] * SHAPE[2]
    for region in ("1,2,3", "a,b,c,d", "5,5,5,9", "nan,0,1,1", "900,900,910,910"):
        wrong = await ana.get(f"{path}?region={region}")
        assert wrong.status == 400 and wrong.json["detail"].endswith("."), region
    assert (await node.viewer("ivo").get(path)).status == 403


async def test_tables_of_elements_need_a_grant_and_are_kept_nowhere(node: Node, tmp_path: Path) -> None:
    stored = await node.phantom(tmp_path / "in", "ramp", SHAPE, multi_frame=True)
    path = f"{instance_path(stored[0])}/tags"
    ana = node.viewer("ana", stored[0].header.study_uid)
    answer = await ana.get(f"{path}?frame=2")
    assert answer.status == 200 and answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Content-Encoding"] in ("deflate", "gzip")
    rows = {row["tag"]: row for row in answer.json["rows"]}
    assert rows["00080018"]["value"] == stored[0].header.instance_uid
    assert rows["52009230"]["first_item"] == 2
    assert (await node.viewer("ivo").get(path)).status == 403
    assert (await ana.get(f"{path}?frame=0")).status == 400
    assert (await ana.get(path.replace(stored[0].header.instance_uid, "1.2.3"))).status == 404
