"""The web role: the page, its policy, its cache headers, its configuration."""

from __future__ import annotations

import gzip
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient

from sivr.api.app import build_app
from sivr.api.front_end import front_end_routes
from sivr.roles.web import _nobody

Client = TestClient[web.Request, web.Application]


@pytest.fixture
async def client(aiohttp_client: Callable[[web.Application], Awaitable[Client]], tmp_path: Path) -> Client:
    (tmp_path / "pages").mkdir()
    (tmp_path / "index.html").write_text("<!doctype html><title>SIVR</title>" + "x" * 500)
    (tmp_path / "pages" / "login.js").write_text("export const a = 1;")
    (tmp_path / ".hidden").write_text("secret")
    routes = front_end_routes(
        tmp_path, [{"id": "county", "name": "County", "url": "https://c"}], ["https://c"]
    )
    return await aiohttp_client(build_app("web", routes, _nobody))


async def test_page_has_a_strict_policy(client: Client) -> None:
    answer = await client.get("/")
    policy = answer.headers["Content-Security-Policy"]
    assert answer.content_type == "text/html"
    assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
    assert "connect-src 'self' https://c;" in policy
    assert "unsafe" not in policy


async def test_scripts_are_compressed_and_revalidated(client: Client) -> None:
    answer = await client.get("/pages/login.js", headers={"Accept-Encoding": "gzip"}, auto_decompress=False)
    assert answer.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(await answer.read()) == b"export const a = 1;"
    assert answer.content_type == "text/javascript"
    again = await client.get("/pages/login.js", headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status == 304
    plain = await client.get("/pages/login.js", headers={"Accept-Encoding": "identity"})
    assert "Content-Encoding" not in plain.headers


@pytest.mark.parametrize(
    "path", ["/none.js", "/.hidden", "/pages/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd"]
)
async def test_only_the_front_end_is_there(client: Client, path: str) -> None:
    assert (await client.get(path)).status == 404


async def test_configuration(client: Client) -> None:
    body = await (await client.get("/config.json")).json()
    assert body["toplevels"] == [{"id": "county", "name": "County", "url": "https://c"}]
    assert body["version"]
