"""Nodes of the institution through real sockets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sivr.crypto import SigningKey
from sivr.services.nodes import NodeSeed
from tests.api.institution_asking import Asking, answering
from tests.services.institution_place import ADA, ANA, NODE, OTHER_NODE, notice_of

KEY = SigningKey.generate().public.text
NEW = {"id": "node-3", "name": "Third", "url": "https://node-3.example.org:8443/render", "public_key": KEY}


async def test_those_of_the_file_are_there(institution: Asking) -> None:
    status, nodes = await institution.ask(ANA, "GET", "/nodes")
    assert status == 200
    assert nodes["items"][0] == {
        "id": "node-1", "name": "First node", "url": "https://node-1.example.org",
        "public_key": NODE.public_key, "active": True, "accepts_storage": True, "version": 1,
        "last_seen_at": None,
    }  # fmt: skip
    assert [one["id"] for one in nodes["items"]] == ["node-1", "node-2"]


async def test_administrators_manage_them(institution: Asking) -> None:
    status, made = await institution.ask(ADA, "POST", "/nodes", NEW)
    assert status == 201
    assert made == {**NEW, "active": True, "accepts_storage": True, "version": 1, "last_seen_at": None}
    change = {"version": 1, "name": " Renamed ", "url": "https://other.example.org/", "active": False}
    status, changed = await institution.ask(ADA, "PATCH", "/nodes/node-3", change)
    assert status == 200
    assert changed == {
        **made, "name": "Renamed", "url": "https://other.example.org", "active": False, "version": 2,
    }  # fmt: skip
    assert (await institution.ask(ANA, "GET", "/nodes"))[1]["items"][2] == changed
    assert await institution.ask(ADA, "DELETE", "/nodes/node-3") == (204, None)
    assert len((await institution.ask(ANA, "GET", "/nodes"))[1]["items"]) == 2
    rows = await institution.services.audit.newest(object_id="node-3")
    assert [row.action for row in rows] == ["node.remove", "node.change", "node.create"]


async def test_physicians_do_not(institution: Asking) -> None:
    for method, path, body in (
        ("POST", "/nodes", NEW),
        ("PATCH", "/nodes/node-1", {"version": 1, "name": "x"}),
        ("DELETE", "/nodes/node-2", None),
    ):
        assert (await institution.ask(ANA, method, path, body))[0] == 403, method


async def test_stale_versions(institution: Asking) -> None:
    assert (await institution.ask(ADA, "PATCH", "/nodes/node-1", {"version": 1, "name": "A"}))[0] == 200
    status, problem = await institution.ask(ADA, "PATCH", "/nodes/node-1", {"version": 1, "name": "B"})
    assert (status, problem["version"]) == (409, 2)


async def test_nodes_with_studies_stay(institution: Asking) -> None:
    await institution.tell(notice_of())
    status, problem = await institution.ask(ADA, "DELETE", "/nodes/node-1")
    assert (status, problem["studies"]) == (409, 1)
    assert problem["detail"] == "The node node-1 still holds studies (1); make it inactive instead."


async def test_unknown_and_taken_ones(institution: Asking) -> None:
    assert (await institution.ask(ADA, "PATCH", "/nodes/none", {"version": 1}))[0] == 404
    assert (await institution.ask(ADA, "DELETE", "/nodes/none"))[0] == 404
    status, problem = await institution.ask(ADA, "POST", "/nodes", {**NEW, "id": "node-1"})
    assert (status, problem["field"]) == (409, "id")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", ""), ("id", "Node 3"), ("id", "-x"), ("id", "x" * 64), ("id", "../x"),
        ("name", " "), ("name", "x" * 201), ("name", "a\0b"),
        ("url", ""), ("url", "http://x"), ("url", "https://"), ("url", "https://u:p@x"), ("url", "https://x?y"),
        ("url", "https://x:99999"), ("url", "https://x#y"),
        ("public_key", ""), ("public_key", "ed25519:x"),
        pytest.param("public_key", KEY[:-8], id="cut off"), pytest.param("public_key", KEY[8:], id="no kind"),
    ],
)  # fmt: skip
async def test_what_is_refused(institution: Asking, field: str, value: Any) -> None:
    status, problem = await institution.ask(ADA, "POST", "/nodes", {**NEW, field: value})
    assert (status, problem["field"]) == (400, field), problem
    if field != "id":
        change = {"version": 1, field: value}
        status, problem = await institution.ask(ADA, "PATCH", "/nodes/node-1", change)
        assert (status, problem["field"]) == (400, field)


async def test_the_file_is_followed_where_it_changes(tmp_path: Path) -> None:
    async with answering(tmp_path) as institution:
        change = {"version": 1, "name": "By hand", "url": "https://moved.example.org", "active": False}
        await institution.ask(ADA, "PATCH", "/nodes/node-1", change)
    async with answering(tmp_path) as institution:
        nodes = (await institution.ask(ANA, "GET", "/nodes"))[1]["items"]
        assert [one["name"] for one in nodes] == ["By hand", "Second node"]
    fresh = SigningKey.generate().public.text
    moved = NodeSeed("node-1", "First node", "https://new.example.org/", fresh)
    async with answering(tmp_path, (moved, OTHER_NODE)) as institution:
        node = (await institution.ask(ANA, "GET", "/nodes"))[1]["items"][0]
        assert (node["url"], node["public_key"]) == ("https://new.example.org", fresh)
        # What the file does not speak of stays.
        assert (node["active"], node["version"]) == (False, 3)
    async with answering(tmp_path, ()) as institution:
        assert len((await institution.ask(ANA, "GET", "/nodes"))[1]["items"]) == 2
