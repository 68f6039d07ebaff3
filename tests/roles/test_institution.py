"""The institution role from its settings."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient, TestServer

from sivr.config import Institution, Listen, SeedNode, Tls, TrustedToplevel
from sivr.crypto import SigningKey
from sivr.errors import Invalid
from sivr.roles.institution import open_institution
from tests.api.institution_asking import LINGERING_S
from tests.services.institution_place import ANA, NODE, TOPLEVEL_KEY, token


def settings(folder: Path, **changes: object) -> Institution:
    """An institution with one node."""
    values: dict[str, object] = {
        "id": "general",
        "name": "General Hospital",
        "url": "https://general.example.org",
        "listen": Listen(),
        "tls": Tls(certificate="none", key="none"),
        "database": f"sqlite:///{folder / 'institution.sqlite'}",
        "signing_key": str(folder / "key"),
        "web_origins": ("https://page.example.org",),
        "toplevels": (TrustedToplevel(id="county", public_keys=(TOPLEVEL_KEY.public.text,)),),
        "nodes": (SeedNode(id=NODE.id, name=NODE.name, url=NODE.url, public_key=NODE.public_key),),
    }
    return Institution(**(values | changes))  # type: ignore[arg-type]


async def test_it_answers(tmp_path: Path) -> None:
    SigningKey.generate().save(tmp_path / "key")
    for _ in range(2):
        async with open_institution(settings(tmp_path)) as app, TestClient(TestServer(app)) as client:
            headers = {"Authorization": f"Bearer {token(ANA)}"}
            async with client.get("/nodes", headers=headers) as answer:
                assert [one["id"] for one in (await answer.json())["items"]] == ["node-1"]


async def test_slow_senders_are_cut_off_when_the_file_says(tmp_path: Path) -> None:
    SigningKey.generate().save(tmp_path / "key")
    async with open_institution(settings(tmp_path, request_timeout_s=0.2)) as app:
        server = TestServer(app)
        await server.start_server(lingering_time=LINGERING_S)
        reader, writer = await asyncio.open_connection(server.host, server.port)
        lines = ["POST /grants HTTP/1.1", "Host: x", f"Authorization: Bearer {token(ANA)}"]
        lines += ["Content-Type: application/json", "Content-Length: 100", "", "{"]
        writer.write("\r\n".join(lines).encode())
        assert (await reader.readline()).startswith(b"HTTP/1.1 408 ")
        await reader.read()
        writer.close()
        await server.close()


async def test_a_node_with_a_broken_key(tmp_path: Path) -> None:
    SigningKey.generate().save(tmp_path / "key")
    node = SeedNode(id="node-1", name="N", url="https://n", public_key="ed25519:AAAA")
    with pytest.raises(Invalid, match="32 bytes"):
        async with open_institution(settings(tmp_path, nodes=(node,))):
            pass
