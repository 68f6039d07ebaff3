"""The toplevel's application: all its nouns together."""

from __future__ import annotations

from collections.abc import Iterable

from aiohttp import web

from sivr.api import institutions, patients, record_types, sessions, settings, users
from sivr.api.app import build_app
from sivr.api.toplevel import TOPLEVEL, WEB_ORIGINS, authenticate
from sivr.services.toplevel import ToplevelServices

routes = sessions.routes.join(
    users.routes, institutions.routes, record_types.routes, patients.routes, settings.routes
)


def toplevel_app(
    services: ToplevelServices, web_origins: Iterable[str] = (), request_timeout_s: float = 60.0
) -> web.Application:
    """The aiohttp application of a toplevel on open services."""
    origins = frozenset(web_origins)
    checks = {"database": services.health}
    app = build_app(
        "toplevel",
        routes,
        authenticate,
        web_origins=origins,
        checks=checks,
        request_timeout_s=request_timeout_s,
    )
    app[TOPLEVEL] = services
    app[WEB_ORIGINS] = origins
    return app
