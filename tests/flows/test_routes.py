"""Private by default: every route of every running role refuses strangers, except a short list."""

from __future__ import annotations

import re

import aiohttp
import pytest

from tests.api.openapi_shapes import check_openapi
from tests.flows.system import System

NODES_ONLY = ("POST /notices", "POST /notices/presence")
"""No person may ask these; nodes show tokens of their own."""
PUBLIC = {
    "web": {"GET /health", "GET /metrics", "GET /openapi.json", "GET /config.json", "GET /{name}"},
    "toplevel": {
        "GET /health", "GET /metrics", "GET /openapi.json",
        "POST /session", "POST /session/renew", "DELETE /session",
    },
    "institution": {"GET /health", "GET /metrics", "GET /openapi.json", *NODES_ONLY},
    "render": {"GET /health", "GET /metrics", "GET /openapi.json"},
}  # fmt: skip


@pytest.mark.parametrize("role", sorted(PUBLIC))
async def test_strangers_are_refused(sivr_system: System, role: str) -> None:
    base = sivr_system.urls[role]
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=sivr_system.tls)) as session:
        async with session.get(base + "/openapi.json") as answer:
            document = await answer.json()
        check_openapi(document)
        public = set()
        asked = 0
        for path, operations in document["paths"].items():
            url = base + re.sub(r"{\w+}", "1", path)
            for method, operation in operations.items():
                if not operation["security"]:
                    public.add(f"{method.upper()} {path}")
                    continue
                asked += 1
                async with session.request(method, url, data=b"{}") as answer:
                    assert answer.status == 401, f"{method} {path} answers {answer.status}"
                headers = {"Authorization": "Bearer forged.token.here"}
                async with session.request(method, url, data=b"{}", headers=headers) as answer:
                    assert answer.status == 401, f"{method} {path} believes a forged token"
        assert public == PUBLIC[role]
        for method, path in (one.split() for one in NODES_ONLY if one in public):
            for headers in ({}, {"Authorization": "Bearer forged.token.here"}):
                async with session.request(method, base + path, data=b"{}", headers=headers) as answer:
                    assert answer.status == 401, f"{method} {path} believes anybody"
        async with session.get(base + "/metrics") as answer:
            assert answer.status == 401, "figures are off by default"
        assert asked or role == "web"


async def test_a_notice_needs_a_nodes_token(sivr_system: System) -> None:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=sivr_system.tls)) as session:
        url = sivr_system.urls["institution"] + "/notices"
        async with session.post(url, json={}) as answer:
            assert answer.status == 401
