"""What the ingest's routes share: its services and settings."""

from __future__ import annotations

from aiohttp import web

from sivr.services.ingest import Ingest

INGEST = web.AppKey("sivr.ingest", Ingest)
BASE_URL = web.AppKey("sivr.base_url", str)
IDLE_S = web.AppKey("sivr.upload_idle_s", float)


def services(request: web.Request) -> Ingest:
    """The node's ingest."""
    return request.app[INGEST]
