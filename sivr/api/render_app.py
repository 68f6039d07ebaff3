"""The render node's application: all its nouns together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec
from aiohttp import web

from sivr.api import (
    annotation_objects,
    auto_windows,
    contents,
    node_sessions,
    points,
    presets,
    queue,
    statistics,
    tags,
    uploads,
)
from sivr.api.app import HEALTH_DETAILS, build_app
from sivr.api.dicomweb import answers, cine, film_strips, frames, volumes
from sivr.api.ingest import BASE_URL, IDLE_S, INGEST
from sivr.api.metrics import METRICS
from sivr.api.metrics_of_node import figures_of_imaging, figures_of_ingest
from sivr.crypto import PublicKey, Verifier
from sivr.services.browser_sessions import BrowserSessions
from sivr.services.imaging import Imaging
from sivr.services.ingest import Ingest

routes = node_sessions.routes.join(
    uploads.routes,
    queue.routes,
    contents.routes,
    points.routes,
    presets.routes,
    frames.routes,
    film_strips.routes,
    cine.routes,
    volumes.routes,
    statistics.routes,
    annotation_objects.routes,
    auto_windows.routes,
    tags.routes,
)


class NodeSettings(msgspec.Struct, frozen=True):
    """What the application must know of its node."""

    id: str
    name: str
    url: str
    upload_idle_s: float
    request_timeout_s: float
    web_origins: Iterable[str]
    institutions: Mapping[str, Sequence[PublicKey]]


def render_app(ingest: Ingest, imaging: Imaging, tokens: Verifier, settings: NodeSettings) -> web.Application:
    """The aiohttp application of a render node on open services."""
    sessions = BrowserSessions(ingest.sessions, settings.id, settings.institutions)
    origins = frozenset(settings.web_origins)
    authenticate = node_sessions.node_authentication(sessions, settings.id, tokens, origins)
    checks = {
        "database": ingest.database.health,
        "storage": ingest.storage_health,
        "rendering": imaging.health,
    }
    app = build_app(
        "render",
        routes,
        authenticate,
        web_origins=origins,
        checks=checks,
        request_timeout_s=settings.request_timeout_s,
    )
    app[HEALTH_DETAILS] = imaging.told
    app[METRICS].add(figures_of_imaging(imaging))
    app[METRICS].add(figures_of_ingest(ingest))
    app[INGEST] = ingest
    app[BASE_URL] = settings.url
    app[IDLE_S] = settings.upload_idle_s
    app[answers.IMAGING] = imaging
    app[node_sessions.SESSIONS] = sessions
    app[node_sessions.NODE] = node_sessions.NodeIdentity(settings.id, settings.name)
    return app
