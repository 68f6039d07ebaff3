"""Sessions of browsers at the institution: the bearer is shown once, plain GETs go by cookie."""

from __future__ import annotations

import time
from collections.abc import Iterable

import msgspec
from aiohttp import web

from sivr.api.app import Authenticate
from sivr.api.authentication import SAFE_METHODS, bearer_token, require_known_origin
from sivr.api.institution import services
from sivr.api.routing import Routes, actor, address, json_response
from sivr.api.session_cookies import CLEAR_CACHE, cookie_name, set_cookie
from sivr.crypto import Verifier, actor_from_claims
from sivr.errors import Unauthenticated
from sivr.model.people import Actor
from sivr.services.institution_sessions import InstitutionSessions

routes = Routes()

TOKEN_EXPIRES = web.RequestKey("sivr.institution.token_expires", int)
_ROLE = "institution"


class InstitutionIdentity(msgspec.Struct, frozen=True):
    """The institution as its answers name it."""

    id: str
    name: str


class OpenedSession(msgspec.Struct, frozen=True):
    """An open session."""

    institution: InstitutionIdentity
    expires_in_s: int


def institution_authentication(
    sessions: InstitutionSessions, institution_id: str, tokens: Verifier, web_origins: Iterable[str]
) -> Authenticate:
    """Who asks: by bearer, else by cookie (then unsafe requests must come from a known page)."""
    origins = frozenset(web_origins)
    name = cookie_name(_ROLE, institution_id)

    async def authenticate(request: web.Request) -> Actor:
        token = bearer_token(request)
        if token is not None:
            claims = tokens.verify(token)
            request[TOKEN_EXPIRES] = int(claims["exp"])
            return actor_from_claims(claims)
        secret = request.cookies.get(name)
        if not secret:
            raise Unauthenticated("Please log in.")
        session = await sessions.find(secret, anew=request.method not in SAFE_METHODS)
        require_known_origin(request, origins)
        return session.actor

    return authenticate


@routes.post(
    "/session",
    summary="Show the access token once; later requests go by the cookie this sets",
    response=OpenedSession,
)
async def open_session(request: web.Request) -> web.Response:
    """Needs the bearer."""
    expires = request.get(TOKEN_EXPIRES)
    if expires is None:
        raise Unauthenticated("A session is opened with an access token.")
    found = services(request)
    name = cookie_name(_ROLE, found.id)
    secret, session = await found.sessions.open(
        actor(request), expires, request.cookies.get(name), address(request)
    )
    remaining = max(0, session.expires - int(time.time()))
    response = json_response(OpenedSession(InstitutionIdentity(found.id, found.name), remaining))
    set_cookie(response, name, secret, remaining)
    return response


@routes.delete("/session", summary="End the session at this institution", status=204, given_password=True)
async def close_session(request: web.Request) -> web.Response:
    """End it here and take the cookie away."""
    found = services(request)
    name = cookie_name(_ROLE, found.id)
    secret = request.cookies.get(name)
    if secret:
        await found.sessions.close(actor(request), secret, address(request))
    response = web.Response(status=204, headers=CLEAR_CACHE)
    set_cookie(response, name, "", 0)
    return response
