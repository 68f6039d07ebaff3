"""An institution that answers on a real socket, and people who ask it."""

from __future__ import annotations

import io
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import DummyCookieJar
from aiohttp.test_utils import TestClient, TestServer

from sivr.api.institution_app import institution_app
from sivr.crypto import ACCESS_AUDIENCE, Verifier
from sivr.model.archive import StudyNotice
from sivr.model.people import Actor
from sivr.services.institution import InstitutionServices
from sivr.services.nodes import NodeSeed
from tests.services.institution_place import NODE, OTHER_NODE, TOPLEVEL_KEY, node_token, open_place, token

ORIGIN = "https://page.example.org"
LINGERING_S = 0.5
"""How long aiohttp reads on after an answer that came before the body; its own choice is 10 s."""
COOKIE = "__Host-sivr-institution-general"


class Asking:
    """Asks the institution; the cookie is kept by hand because the test's sockets are not HTTPS."""

    def __init__(self, client: Any, services: InstitutionServices) -> None:
        self.client = client
        self.services = services
        self.cookie = ""
        self.set_cookie = ""
        self.headers: dict[str, str] = {}

    async def ask(
        self, actor: Actor | None, method: str, path: str, body: Any = None, **headers: str
    ) -> tuple[int, Any]:
        """Status and JSON of the answer to a person, or to the cookie when ``actor`` is None."""
        sent = dict(headers)
        if actor is not None:
            sent.setdefault("Authorization", f"Bearer {token(actor)}")
        if self.cookie:
            sent["Cookie"] = f"{COOKIE}={self.cookie}"
        options: dict[str, Any] = {} if body is None else {"json": body}
        if isinstance(body, bytes):
            options = {"data": io.BytesIO(body)}
        async with self.client.request(method, path, headers=sent, **options) as answer:
            for line in answer.headers.getall("Set-Cookie", []):
                self.set_cookie = line
                found = re.match(rf"{COOKIE}=([^;]*)", line)
                assert found
                self.cookie = found[1]
            self.headers = dict(answer.headers)
            text = await answer.text()
            return answer.status, json.loads(text) if text else None

    async def tell(self, notice: StudyNotice, bearer: str | None = None) -> tuple[int, Any]:
        """A node's notice."""
        bearer = bearer or node_token()
        body = msgspec.json.encode(notice)
        return await self.ask(None, "POST", "/notices", body, Authorization=f"Bearer {bearer}")


@asynccontextmanager
async def answering(
    folder: Path, seeds: tuple[NodeSeed, ...] = (NODE, OTHER_NODE), *, request_timeout_s: float = 60.0
) -> AsyncIterator[Asking]:
    """Start (again) the institution in a folder."""
    tokens = Verifier({"county": [TOPLEVEL_KEY.public]}, ACCESS_AUDIENCE)
    async with open_place(folder, seeds) as services:
        server = TestServer(institution_app(services, tokens, [ORIGIN], request_timeout_s))
        await server.start_server(lingering_time=LINGERING_S)
        async with TestClient(server, cookie_jar=DummyCookieJar()) as client:
            yield Asking(client, services)
