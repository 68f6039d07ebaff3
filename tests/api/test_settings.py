"""The settings of a user through real sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import DummyCookieJar, web
from aiohttp.test_utils import TestClient

from sivr.api.toplevel_app import toplevel_app
from tests.services.toplevel_place import ADMINISTRATOR, PHYSICIAN, open_place

Client = TestClient[web.Request, web.Application]
Ask = Callable[..., Awaitable[tuple[int, Any]]]


@pytest.fixture
async def ask(tmp_path: Path, aiohttp_client: Any) -> AsyncIterator[Ask]:
    """Asks as the physician, or as somebody else."""
    async with open_place(tmp_path) as services:
        client: Client = await aiohttp_client(toplevel_app(services, []), cookie_jar=DummyCookieJar())
        tokens = {}
        for credentials in (PHYSICIAN, ADMINISTRATOR):
            body = dict(zip(("login", "password"), credentials, strict=True))
            async with client.post("/session", json=body) as answer:
                tokens[credentials[0]] = (await answer.json())["access_token"]

        async def one(
            method: str, path: str, body: Any = None, who: str = PHYSICIAN[0], data: bytes | None = None
        ) -> tuple[int, Any]:
            options: dict[str, Any] = {"json": body} if body is not None else {"data": data}
            headers = {"Authorization": f"Bearer {tokens[who]}", "Content-Type": "application/json"}
            async with client.request(method, path, headers=headers, **options) as answer:
                text = await answer.text()
                return answer.status, (await answer.json(content_type=None)) if text else None

        yield one


async def test_what_is_kept_comes_back(ask: Ask) -> None:
    value = {"points": [[-500, 0.1], [3000, 1]], "name": "Šareno", "on": True, "none": None}
    assert (await ask("GET", "/settings/transfer-functions"))[0] == 404
    status, made = await ask("PUT", "/settings/transfer-functions", {"value": value, "version": 0})
    assert (status, made["value"], made["version"]) == (200, value, 1)
    assert await ask("GET", "/settings/transfer-functions") == (200, made)
    status, stale = await ask("PUT", "/settings/transfer-functions", {"value": 1, "version": 0})
    assert (status, stale["version"]) == (409, 1)
    status, listed = await ask("GET", "/settings?prefix=transfer")
    assert [(one["name"], one["version"]) for one in listed["items"]] == [("transfer-functions", 1)]
    assert "value" not in listed["items"][0]
    assert await ask("GET", "/settings", who=ADMINISTRATOR[0]) == (200, {"items": []})
    assert (await ask("GET", "/settings/transfer-functions", who=ADMINISTRATOR[0]))[0] == 404
    assert await ask("DELETE", "/settings/transfer-functions") == (204, None)
    assert (await ask("DELETE", "/settings/transfer-functions"))[0] == 404


async def test_nonsense_is_refused_in_a_sentence(ask: Ask) -> None:
    for path in ("/settings/UPPER", "/settings/a%20b", "/settings/" + "x" * 65, "/settings/.hidden"):
        status, told = await ask("PUT", path, {"value": 1, "version": 0})
        assert status == 400 and "small letters" in told["detail"], path
    deep = b'{"version": 0, "value": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    for data in (
        deep,
        b'{"version": 0, "value": "\xff"}',
        b'{"version": 0, "value": NaN}',
        b'{"version": 0}',
    ):
        status, told = await ask("PUT", "/settings/a", data=data)
        assert status == 400 and told["detail"].endswith("."), data[:40]
    assert (await ask("PUT", "/settings/a", {"value": 1, "version": -1}))[0] == 400
    status, told = await ask("PUT", "/settings/a", {"value": "x" * 70_000, "version": 0})
    assert (status, told["max_bytes"]) == (413, 65536)
    assert await ask("GET", "/settings") == (200, {"items": []})
