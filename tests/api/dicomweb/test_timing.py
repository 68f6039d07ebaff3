"""Every picture says where its time went."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sivr.api.dicomweb import frames, volumes
from sivr.api.routing import Route
from sivr.model.parameters import FRAME_MEDIA_TYPES
from sivr.model.rendering import PARTS
from tests.api.dicomweb.node import Node

pytestmark = pytest.mark.asyncio(loop_scope="module")
ROUTES = [route for route in (*frames.routes, *volumes.routes) if route.media_types == FRAME_MEDIA_TYPES]
MULTIPART = [route for route in frames.routes if route.media_types == ("multipart/related",)]


def address(route: Route, study: str, series: str, instance: str) -> str:
    """The path of a route for one multi-frame instance; places of any spelling in small letters."""
    path = route.path
    if "/frames/{frames}" in path:
        # A volume is made of all frames of an instance.
        whole = ",".join(str(n) for n in range(1, 17)) if path.count("{") > 4 else "1"
        path = path.replace("{frames}", whole)
    path = path.replace("{study}", study).replace("{series}", series).replace("{instance}", instance)
    word = "rendered3d" if "3" in path.rpartition("/")[2] else "renderedmpr"
    return re.sub(r"\{[^/]*\}$", word, path)


def timing(header: str) -> dict[str, float]:
    """A Server-Timing header, by name."""
    return {name: float(spent) for name, spent in re.findall(r"([a-z-]+);dur=([0-9.]+)", header)}


async def test_every_picture_resource(node: Node, tmp_path: Path) -> None:
    (stored,) = await node.phantom(tmp_path, "letter", (16, 24, 24), multi_frame=True)
    header = stored.header
    ana = node.viewer("ana", header.study_uid)
    uids = (header.study_uid, header.series_uid, header.instance_uid)
    assert len(ROUTES) >= 14
    for route in ROUTES:
        answer = await ana.get(address(route, *uids))
        assert answer.status == 200, (route.path, answer.body[:300])
        found = timing(answer.headers["Server-Timing"])
        assert tuple(found)[: len(PARTS)] == PARTS, route.path
        assert all(spent >= 0 for spent in found.values()), (route.path, found)


async def test_parts_of_many_pictures(node: Node, tmp_path: Path) -> None:
    stored = await node.phantom(tmp_path, "letter", (3, 24, 24))
    header = stored[0].header
    ana = node.viewer("ana", header.study_uid)
    assert MULTIPART
    for route in MULTIPART:
        answer = await ana.get(
            address(route, header.study_uid, header.series_uid, header.instance_uid),
            Accept='multipart/related; type="image/png"',
        )
        told = re.findall(rb"Server-Timing: (.*)\r\n", answer.body)
        assert len(told) == 3
        assert all(tuple(timing(one.decode())) == PARTS for one in told)


async def test_a_thumbnail_that_is_kept_takes_no_time(node: Node, tmp_path: Path) -> None:
    stored = await node.phantom(tmp_path, "letter", (3, 24, 24))
    header = stored[0].header
    ana = node.viewer("ana", header.study_uid)
    path = f"/studies/{header.study_uid}/series/{header.series_uid}/thumbnail"
    first = timing((await ana.get(path)).headers["Server-Timing"])
    assert first["encode"] > 0 or first["render"] > 0 or first["load"] > 0
    second = timing((await ana.get(path)).headers["Server-Timing"])
    assert set(second.values()) == {0.0}
