"""The institution's application: all its nouns together."""

from __future__ import annotations

from collections.abc import Iterable

from aiohttp import web

from sivr.api import findings, grants, institution_sessions, nodes, notices, studies
from sivr.api.annotations import routes as annotation_routes
from sivr.api.app import build_app
from sivr.api.institution import INSTITUTION
from sivr.api.institution_sessions import institution_authentication
from sivr.crypto import Verifier
from sivr.services.institution import InstitutionServices

routes = institution_sessions.routes.join(
    studies.routes, findings.routes, annotation_routes, nodes.routes, grants.routes, notices.routes
)


def institution_app(
    services: InstitutionServices,
    tokens: Verifier,
    web_origins: Iterable[str] = (),
    request_timeout_s: float = 60.0,
) -> web.Application:
    """The aiohttp application of an institution on open services."""
    origins = frozenset(web_origins)
    authenticate = institution_authentication(services.sessions, services.id, tokens, origins)
    checks = {"database": services.database.health}
    app = build_app(
        "institution",
        routes,
        authenticate,
        web_origins=origins,
        checks=checks,
        request_timeout_s=request_timeout_s,
    )
    app[INSTITUTION] = services
    return app
