"""What the toplevel's routes share: its services, and who asks."""

from __future__ import annotations

from aiohttp import web

from sivr.api.authentication import bearer_token
from sivr.crypto import actor_from_claims
from sivr.errors import Forbidden, Unauthenticated
from sivr.model.people import Actor
from sivr.services.toplevel import ToplevelServices

TOPLEVEL = web.AppKey("sivr.toplevel", ToplevelServices)
WEB_ORIGINS = web.AppKey("sivr.toplevel.web_origins", frozenset[str])
_SESSION_ID = web.RequestKey("sivr.toplevel.session_id", str)


def services(request: web.Request) -> ToplevelServices:
    """The toplevel's services."""
    return request.app[TOPLEVEL]


def session_id(request: web.Request) -> str:
    """The session that the request's access token belongs to; empty on public routes."""
    found: str = request.get(_SESSION_ID, "")
    return found


def require_own_page(request: web.Request) -> None:
    """Refuse to act on a cookie when a page of a stranger asks (CSRF); raises Forbidden.

    SameSite=Strict does not keep out other ports and subdomains. Browsers always send Origin on unsafe
    methods; programs, which hold their cookies themselves, may do without.
    """
    origin = request.headers.get("Origin")
    if origin is not None and origin not in request.app[WEB_ORIGINS]:
        raise Forbidden("This request did not come from a known web page.")


async def authenticate(request: web.Request) -> Actor:
    """The actor of the request's bearer token, whose session goes on; raises Unauthenticated."""
    token = bearer_token(request)
    if token is None:
        raise Unauthenticated("Please log in.")
    claims = services(request).verifier.verify(token)
    request[_SESSION_ID] = str(claims.get("sid", ""))
    await services(request).sessions.require(request[_SESSION_ID])
    return actor_from_claims(claims)
