"""A render node's picture routes on a real socket, with real objects in a real store, and people who look."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import numpy.typing as npt
from aiohttp import web

from sivr import codec
from sivr.api import (
    annotation_objects,
    auto_windows,
    contents,
    node_sessions,
    points,
    presets,
    statistics,
    tags,
)
from sivr.api.app import build_app
from sivr.api.dicomweb import answers, cine, film_strips, frames, volumes
from sivr.crypto import SigningKey, Verifier, access_claims, grant_claims
from sivr.dicom.phantom import write_phantom
from sivr.model.people import Actor, Grant
from sivr.services.browser_sessions import BrowserSessions
from sivr.services.imaging import Imaging, open_imaging
from sivr.store.blobs import Blobs
from sivr.store.browser_sessions import BrowserSessionRows
from sivr.store.index import Index, StoredInstance
from tests.services.stored import Store, open_store, store_files

ORIGIN = "https://web.example"
TOPLEVEL, INSTITUTION, NODE = "county", "general", "node-1"


class Viewer:
    """Somebody with a token and grants, speaking HTTP without cookies."""

    def __init__(self, node: Node, name: str, studies: Iterable[str]) -> None:
        self.node = node
        self.headers = {"Authorization": f"Bearer {node.token(name)}"}
        tokens = [node.grant(name, study) for study in studies]
        if tokens:
            self.headers["Sivr-Grant"] = ", ".join(tokens)

    async def get(self, path: str, **headers: str) -> Answer:
        """GET a path below the node's address."""
        async with self.node.http.get(self.node.url + path, headers=self.headers | headers) as response:
            return Answer(response.status, response.headers.copy(), await response.read())


class Answer:
    """What came back."""

    def __init__(self, status: int, headers: Any, body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def json(self) -> Any:
        """The body as JSON."""
        import json

        return json.loads(self.body)

    @property
    def pixels(self) -> npt.NDArray[np.uint8]:
        """The body as a picture."""
        assert self.status == 200, self.body[:500]
        return codec.decode(self.body)


class Node:
    """The running node."""

    def __init__(
        self, url: str, imaging: Imaging, store: Store, http: aiohttp.ClientSession, app: web.Application
    ) -> None:
        self.url = url
        self.app = app
        self.imaging = imaging
        self.store = store
        self.http = http
        self.toplevel_key = _TOPLEVEL_KEY
        self.institution_key = _INSTITUTION_KEY

    def token(self, name: str, ttl_s: int = 300) -> str:
        """An access token of a physician."""
        actor = Actor(id=name, name=name, roles=("physician",), institutions=(), toplevel=TOPLEVEL)
        return self.toplevel_key.sign(access_claims(actor), ttl_s)

    def grant(self, name: str, study_uid: str, ttl_s: int = 300, node: str = NODE) -> str:
        """A grant to view a study."""
        grant = Grant(
            institution=INSTITUTION, node=node, actor=name, action="view",
            expires=int(time.time()) + ttl_s, study_uid=study_uid,
        )  # fmt: skip
        return self.institution_key.sign(grant_claims(grant), ttl_s)

    def viewer(self, name: str = "ana", *studies: str) -> Viewer:
        """Somebody who may view these studies."""
        return Viewer(self, name, studies)

    async def add(self, paths: Iterable[Path], *, apart: bool = False) -> list[StoredInstance]:
        """Store and index files."""
        return await store_files(self.store, paths, apart=apart)

    async def phantom(
        self, folder: Path, name: str, shape: tuple[int, int, int], *, multi_frame: bool = False
    ) -> list[StoredInstance]:
        """Store a phantom as a study that no other test has."""
        study = uuid.uuid4().hex
        return await self.add(write_phantom(folder, name, shape, multi_frame=multi_frame, study=study))


_TOPLEVEL_KEY = SigningKey.generate()
_INSTITUTION_KEY = SigningKey.generate()


@asynccontextmanager
async def running_node(folder: Path, **options: Any) -> AsyncIterator[Node]:
    """A node on a free port; ``options`` go to ``open_imaging``."""
    async with (
        open_store(folder) as store,
        open_imaging(
            store.index,
            store.blobs,
            **({"node_id": f"{NODE}-{folder}", "memory_mb": 512, "render_workers": 1} | options),
        ) as imaging,
    ):
        sessions = BrowserSessions(store.sessions, NODE, {INSTITUTION: [_INSTITUTION_KEY.public]})
        verifier = Verifier({TOPLEVEL: [_TOPLEVEL_KEY.public]}, audience="sivr")
        app = build_app(
            "render",
            [
                *node_sessions.routes,
                *contents.routes,
                *points.routes,
                *presets.routes,
                *statistics.routes,
                *annotation_objects.routes,
                *auto_windows.routes,
                *tags.routes,
                *frames.routes,
                *film_strips.routes,
                *cine.routes,
                *volumes.routes,
            ],
            node_sessions.node_authentication(sessions, NODE, verifier, [ORIGIN]),
            web_origins=[ORIGIN],
        )
        app[answers.IMAGING] = imaging
        app[node_sessions.SESSIONS] = sessions
        app[node_sessions.NODE] = node_sessions.NodeIdentity(NODE, "Node One")
        runner = web.AppRunner(app, handler_cancellation=True, access_log=None)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            port = runner.addresses[0][1]
            async with aiohttp.ClientSession() as http:
                yield Node(f"http://127.0.0.1:{port}", imaging, store, http, app)
        finally:
            await runner.cleanup()


def frame_path(stored: StoredInstance, frame: int = 1) -> str:
    """The path of a rendered frame."""
    return f"{instance_path(stored)}/frames/{frame}/rendered"


def instance_path(stored: StoredInstance) -> str:
    """The path of an instance."""
    header = stored.header
    return f"{series_path(stored)}/instances/{header.instance_uid}"


def series_path(stored: StoredInstance) -> str:
    """The path of the series of an instance."""
    return f"/studies/{stored.header.study_uid}/series/{stored.header.series_uid}"


__all__ = ["Blobs", "BrowserSessionRows", "Index", "Node", "Viewer", "running_node"]
