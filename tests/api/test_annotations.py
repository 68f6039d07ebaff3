"""Annotations through real sockets: two people at one study, lost answers, files in and out."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from sivr.model.annotations import KINDS, POINTS_LIMIT, TEXT_LIMIT
from tests.api.institution_asking import Asking, answering
from tests.services.institution_place import ADA, ANA, MARKO, VISITOR, notice_of

PATH = "/studies/1.2.3/annotations"
FRAME = {"on": "frame", "series_uid": "1.2.3.1", "instance_uid": "1.2.3.1.1", "frame": 2}
PATIENT = {"on": "patient", "frame_of_reference_uid": "1.2.3.9", "series_uid": "1.2.3.1"}


def line(**changes: Any) -> dict[str, Any]:
    return {
        "id": str(uuid.uuid4()), "kind": "length", "place": FRAME, "points": [[10, 20.5], [30, 40]],
    } | changes  # fmt: skip


@pytest.fixture
async def institution(tmp_path: Path) -> AsyncIterator[Asking]:
    async with answering(tmp_path) as asking:
        await asking.tell(notice_of())
        await asking.tell(notice_of(study_uid="1.2.4"))
        yield asking


async def add(institution: Asking, actor: Any = ANA, **changes: Any) -> Any:
    status, made = await institution.ask(actor, "POST", PATH, line(**changes))
    assert status == 201, made
    return made


async def test_two_people_see_each_other(institution: Asking) -> None:
    status, empty = await institution.ask(MARKO, "GET", PATH)
    assert (status, empty) == (200, {"items": [], "cursor": 0, "more": False})
    first = await add(institution, text="Šaka", color="#ffcc00")
    assert first["author"] == {"id": ANA.id, "name": ANA.name}
    assert (first["version"], first["deleted"], first["place"]) == (1, False, FRAME)
    second = await add(institution, VISITOR, kind="probe", place=PATIENT, points=[[1, 2, 3]])
    page = (await institution.ask(MARKO, "GET", PATH))[1]
    assert page["items"] == [first, second]
    status, gone = await institution.ask(ANA, "DELETE", f"{PATH}/{first['id']}?version=1")
    assert (status, gone["deleted"], gone["version"]) == (200, True, 2)
    news = (await institution.ask(MARKO, "GET", f"{PATH}?since={page['cursor']}"))[1]
    assert news["items"] == [gone]
    back = {**line(), "version": 2}
    del back["id"]
    status, again = await institution.ask(ANA, "PUT", f"{PATH}/{first['id']}", back)
    assert (status, again["deleted"], again["version"], again["text"]) == (200, False, 3, "")
    assert (await institution.ask(MARKO, "GET", f"{PATH}?limit=1"))[1]["more"] is True
    rows = await institution.services.audit.newest(object_id=first["id"])
    assert [row.action for row in rows] == ["annotation.change", "annotation.delete", "annotation.create"]


async def test_lost_answers_and_stale_versions(institution: Asking) -> None:
    body = line()
    status, first = await institution.ask(ANA, "POST", PATH, body)
    assert (status, await institution.ask(ANA, "POST", PATH, body)) == (201, (201, first))
    assert (await institution.ask(MARKO, "POST", PATH, body))[0] == 409
    path = f"{PATH}/{first['id']}"
    change = {key: value for key, value in body.items() if key != "id"} | {"version": 1, "name": "A"}
    done = await institution.ask(ANA, "PUT", path, change)
    assert done[0] == 200 and await institution.ask(ANA, "PUT", path, change) == done
    status, problem = await institution.ask(ANA, "PUT", path, change | {"name": "B"})
    assert (status, problem["version"], problem["current"]) == (409, 2, done[1])
    assert (await institution.ask(MARKO, "PUT", path, change | {"version": 2}))[0] == 403
    assert (await institution.ask(MARKO, "DELETE", f"{path}?version=2"))[0] == 403


@pytest.mark.parametrize("kind", list(KINDS))
async def test_every_kind_has_its_points(institution: Asking, kind: Any) -> None:
    rule = KINDS[kind]
    text = {"text": "x"} if rule.words else {}
    for count in (rule.least, min(rule.most, 50)):
        await add(institution, kind=kind, points=[[1, 2]] * count, **text)
    wrong = [rule.least - 1] if rule.least else []
    for count in (*wrong, rule.most + 1):
        body = line(kind=kind, points=[[1, 2]] * count, **text)
        assert (await institution.ask(ANA, "POST", PATH, body))[0] == 400, count
    if rule.words:
        body = line(kind=kind, points=[[1, 2]] * rule.least, text="  ")
        assert (await institution.ask(ANA, "POST", PATH, body))[0] == 400


@pytest.mark.parametrize(
    "changes",
    [
        {"points": [[1, 2, 3], [1, 2, 3]]},
        {"points": [[1, 2], [1, 1e9]]},
        {"place": PATIENT},
        {"kind": "rectangle", "place": PATIENT, "points": [[1, 2, 3], [1, 2, 3]]},
        {"kind": "star"},
        {"place": {**FRAME, "frame": 0}},
        {"place": {**FRAME, "instance_uid": ""}},
        {"place": {**FRAME, "on": "moon"}},
        {"color": "red"},
        {"id": "1"},
        {"text": "x" * (TEXT_LIMIT + 1)},
        {"text": "a\0b"},
        {"kind": "polyline", "points": [[1, 2]] * (POINTS_LIMIT + 1)},
        {"unknown": 1},
        {"visibility": "nobody"},
    ],
    ids=lambda one: str(one)[:40],
)
async def test_refusals(institution: Asking, changes: dict[str, Any]) -> None:
    status, problem = await institution.ask(ANA, "POST", PATH, line(**changes))
    assert status == 400 and problem["detail"].endswith(".")
    assert (await institution.ask(ANA, "GET", PATH))[1]["items"] == []


async def test_who_may(institution: Asking) -> None:
    made = await add(institution)
    for method, path, body in (
        ("GET", PATH, None),
        ("POST", PATH, line()),
        ("GET", f"{PATH}.json", None),
        ("DELETE", f"{PATH}/{made['id']}?version=1", None),
        ("POST", "/studies/1.2.3/annotation-batches", {"annotations": []}),
    ):
        assert (await institution.ask(ADA, method, path, body))[0] == 403, path
        elsewhere = path.replace("1.2.3", "1.9")
        assert (await institution.ask(ANA, method, elsewhere, body))[0] == 404, path
    assert (await institution.ask(ANA, "DELETE", f"/studies/1.2.4/annotations/{made['id']}?version=1"))[
        0
    ] == 404


async def test_out_and_in_as_a_file(institution: Asking) -> None:
    made = [await add(institution), await add(institution, MARKO, kind="text", points=[[1, 2]], text="Tu")]
    hidden = await add(institution, MARKO, visibility="author")
    gone = await add(institution)
    await institution.ask(ANA, "DELETE", f"{PATH}/{gone['id']}?version=1")
    status, file = await institution.ask(ANA, "GET", f"{PATH}.json")
    assert status == 200 and file["annotations"] == made and hidden not in file["annotations"]
    assert "annotations.json" in institution.headers["Content-Disposition"]
    # Into the same study: all is known. Into another: the same drawings, under ids of their own, once.
    assert (await institution.ask(ANA, "POST", "/studies/1.2.3/annotation-batches", file))[1] == {
        "added": [], "known": 2, "refused": [],
    }  # fmt: skip
    where = "/studies/1.2.4/annotation-batches"
    status, taken = await institution.ask(ANA, "POST", where, file)
    assert (status, taken["known"], taken["refused"]) == (200, 0, [])
    assert [one["points"] for one in taken["added"]] == [one["points"] for one in made]
    assert {one["author"]["id"] for one in taken["added"]} == {ANA.id}
    assert not {one["id"] for one in taken["added"]} & {one["id"] for one in made}
    assert (await institution.ask(ANA, "POST", where, file))[1]["known"] == 2
    # Each item by itself.
    good = {key: value for key, value in line().items() if key != "id"} | {"whatever": 1, "color": "#FFAA00"}
    mixed = {"annotations": [good, {"kind": "star"}, 7, good, {**good, "points": [[1, 2]]}]}
    status, result = await institution.ask(ANA, "POST", where, mixed)
    assert status == 200 and len(result["added"]) == 1 and result["known"] == 1
    assert [one["index"] for one in result["refused"]] == [1, 2, 4]
    assert all(one["reason"].endswith(".") for one in result["refused"])
