"""A node that takes uploads on a real socket, and people who send."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from sivr.api import node_sessions, queue, uploads
from sivr.api.app import build_app
from sivr.api.ingest import BASE_URL, IDLE_S, INGEST
from sivr.crypto import SigningKey, Verifier, access_claims, grant_claims
from sivr.model.people import Actor
from sivr.services.browser_sessions import BrowserSessions
from sivr.services.ingest import Ingest
from tests.services.ingesting import INSTITUTION, NODE, TOPLEVEL, Listener, running_ingest, store_grant

_WEB = "https://web.example"
_TOPLEVEL_KEY = SigningKey.generate()
_INSTITUTION_KEY = SigningKey.generate()


class Place:
    """The running node."""

    def __init__(self, port: int, ingest: Ingest, institution: Listener, http: aiohttp.ClientSession) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.ingest = ingest
        self.institution = institution
        self.http = http

    def headers(self, name: str, patient: str = "p1", role: str = "physician") -> dict[str, str]:
        """What somebody shows who may store for a patient."""
        actor = Actor(id=name, name=name, roles=(role,), institutions=(), toplevel=TOPLEVEL)  # type: ignore[arg-type]
        grant = _INSTITUTION_KEY.sign(grant_claims(store_grant(name, patient)), 300)
        bearer = _TOPLEVEL_KEY.sign(access_claims(actor), 300)
        return {"Authorization": f"Bearer {bearer}", "Sivr-Grant": grant}

    async def ask(self, method: str, path: str, name: str = "ana", **options: Any) -> tuple[int, Any, Any]:
        """Status, headers and JSON of an answer."""
        headers = self.headers(name, role=options.pop("role", "physician")) | options.pop("headers", {})
        async with self.http.request(method, self.url + path, headers=headers, **options) as answer:
            has_json = "json" in answer.headers.get("Content-Type", "")
            return answer.status, answer.headers, await answer.json(content_type=None) if has_json else None

    async def upload(self, name: str = "ana") -> str:
        """The path of a new upload."""
        new = {"patient_id": "p1", "patient_issuer": TOPLEVEL}
        status, _, made = await self.ask("POST", "/uploads", name, json=new)
        assert status == 201, made
        assert made["url"] == f"https://node.example/uploads/{made['id']}"
        return f"/uploads/{made['id']}"

    async def indexed(self, upload: str, name: str = "ana") -> Any:
        """The upload once all of it is indexed."""
        while True:
            status, _, state = await self.ask("GET", upload, name)
            assert status == 200
            if state["indexed"]:
                return state
            await asyncio.sleep(0.02)

    async def line(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A bare connection, for senders who do not behave."""
        return await asyncio.open_connection("127.0.0.1", self.port)

    def head(self, method: str, path: str, name: str = "ana", **headers: str) -> bytes:
        """A request's head as it goes over the line."""
        shown = self.headers(name) | {"Host": "node"} | {k.replace("_", "-"): v for k, v in headers.items()}
        lines = [f"{method} {path} HTTP/1.1", *(f"{key}: {value}" for key, value in shown.items())]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()


@asynccontextmanager
async def running_place(folder: Path, *, idle_s: float = 30.0, **options: Any) -> AsyncIterator[Place]:
    """A node on a free port; ``options`` go to ``running_ingest``."""
    institution = Listener()
    async with running_ingest(folder, institution, **options) as ingest:
        sessions = BrowserSessions(ingest.sessions, NODE, {INSTITUTION: [_INSTITUTION_KEY.public]})
        tokens = Verifier({TOPLEVEL: [_TOPLEVEL_KEY.public]}, audience="sivr")
        authenticate = node_sessions.node_authentication(sessions, NODE, tokens, [_WEB])
        app = build_app("render", [*uploads.routes, *queue.routes], authenticate, web_origins=[_WEB])
        app[INGEST], app[BASE_URL], app[IDLE_S] = ingest, "https://node.example", idle_s
        runner = web.AppRunner(app, handler_cancellation=True, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            async with aiohttp.ClientSession() as http:
                yield Place(runner.addresses[0][1], ingest, institution, http)
        finally:
            await runner.cleanup()
