"""Sessions of a node: token and grants once, then a cookie; grants pile up; the end is the end."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.api.dicomweb.node import NODE, ORIGIN, Node, frame_path

pytestmark = pytest.mark.asyncio(loop_scope="module")
COOKIE = f"__Host-sivr-render-{NODE}"


async def opened(node: Node, name: str, grants: list[str], cookie: str = "") -> tuple[str, Any, str]:
    """Open a session; the cookie's value, the answer, and the raw header."""
    headers = {"Authorization": f"Bearer {node.token(name)}", "Origin": ORIGIN}
    if cookie:
        headers["Cookie"] = f"{COOKIE}={cookie}"
    async with node.http.post(node.url + "/session", json={"grants": grants}, headers=headers) as answer:
        assert answer.status == 200, await answer.text()
        raw = answer.headers["Set-Cookie"]
        match = re.match(rf"{COOKIE}=([^;]+);", raw)
        assert match is not None
        return match[1], await answer.json(), raw


async def status(node: Node, path: str, cookie: str) -> int:
    """What a plain GET with the cookie is answered."""
    async with node.http.get(node.url + path, headers={"Cookie": f"{COOKIE}={cookie}"}) as answer:
        return answer.status


async def test_a_session_carries_its_grants(node: Node, tmp_path: Path) -> None:
    one = (await node.phantom(tmp_path / "1", "ramp", (3, 8, 8)))[0]
    two = (await node.phantom(tmp_path / "2", "ramp", (3, 8, 8)))[0]
    cookie, body, raw = await opened(node, "ana", [node.grant("ana", one.header.study_uid)])
    for word in ("HttpOnly", "Secure", "SameSite=None", "Partitioned", "Path=/"):
        assert word in raw
    assert body["node"] == {"id": NODE, "name": "Node One"}
    assert 1100 < body["expires_in_s"] <= 1200
    assert [grant["study_uid"] for grant in body["grants"]] == [one.header.study_uid]
    assert await status(node, frame_path(one), cookie) == 200
    assert await status(node, frame_path(two), cookie) == 403
    same, body, _ = await opened(node, "ana", [node.grant("ana", two.header.study_uid)], cookie)
    assert same == cookie
    assert len(body["grants"]) == 2
    assert await status(node, frame_path(one), cookie) == 200
    assert await status(node, frame_path(two), cookie) == 200


async def test_another_person_gets_another_session(node: Node) -> None:
    cookie, _, _ = await opened(node, "ana", [node.grant("ana", "1.2.3")])
    other, body, _ = await opened(node, "ivo", [], cookie)
    assert other != cookie
    assert body["grants"] == []


async def test_a_session_outlives_the_process_that_opened_it(node: Node) -> None:
    from sivr.api.node_sessions import NodeIdentity  # noqa: F401 - the same import a restart makes
    from sivr.services.browser_sessions import BrowserSessions

    cookie, _, _ = await opened(node, "ana", [node.grant("ana", "1.2.3")])
    fresh = BrowserSessions(node.store.sessions, NODE, {})
    session = await fresh.find(cookie)
    assert session.actor.id == "ana"
    assert [grant.study_uid for grant in session.grants] == ["1.2.3"]


async def test_an_ended_session_is_401(node: Node) -> None:
    cookie, _, _ = await opened(node, "ana", [])
    assert await status(node, "/presets", cookie) == 200
    headers = {"Cookie": f"{COOKIE}={cookie}"}
    async with node.http.delete(node.url + "/session", headers=headers) as answer:
        assert answer.status == 403, "a page of somewhere else may not end it"
    async with node.http.delete(node.url + "/session", headers=headers | {"Origin": ORIGIN}) as answer:
        assert answer.status == 204
        assert "Max-Age=0" in answer.headers["Set-Cookie"]
        assert answer.headers["Clear-Site-Data"] == '"cache"'
    assert await status(node, "/presets", cookie) == 401
    assert await status(node, "/presets", "forged") == 401


async def test_bad_grants_do_not_open_anything(node: Node) -> None:
    headers = {"Authorization": f"Bearer {node.token('ana')}"}
    for grants in (["nonsense"], [node.grant("ivo", "1.2.3")], [node.grant("ana", "1.2.3", node="other")]):
        async with node.http.post(node.url + "/session", json={"grants": grants}, headers=headers) as answer:
            assert answer.status == 403
            assert (await answer.json())["reason"] == "grant_invalid"
    good = node.grant("ana", "1.2.3")
    _, body, _ = await opened(node, "ana", [node.grant("ana", "4.5.6", ttl_s=-100), good])
    assert [grant["study_uid"] for grant in body["grants"]] == ["1.2.3"]


async def test_a_session_needs_a_token(node: Node) -> None:
    async with node.http.post(node.url + "/session", json={"grants": []}) as answer:
        assert answer.status == 401
    cookie, _, _ = await opened(node, "ana", [])
    headers = {"Cookie": f"{COOKIE}={cookie}", "Origin": ORIGIN}
    async with node.http.post(node.url + "/session", json={"grants": []}, headers=headers) as answer:
        assert answer.status == 401, "a cookie alone cannot prolong itself"
