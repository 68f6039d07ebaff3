"""What the ingest's routes share: the services, and where a request comes from."""

from __future__ import annotations

from aiohttp import web

from sivr.services.ingest import Ingest

INGEST = web.AppKey("sivr.ingest", Ingest)
BASE_URL = web.AppKey("sivr.base_url", str)
IDLE_S = web.AppKey("sivr.upload_idle_s", float)


def services(request: web.Request) -> Ingest:
    """The node's ingest."""
    return request.app[INGEST]


def address(request: web.Request) -> str:
    """Where the request comes from, for the audit."""
    return request.remote or ""
