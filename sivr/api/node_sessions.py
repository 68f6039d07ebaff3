"""Sessions of a render node: the bearer and the grants are shown once, plain GETs go by cookie after that."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import msgspec
from aiohttp import web

from sivr.api.app import Authenticate
from sivr.api.authentication import SAFE_METHODS, bearer_token, require_known_origin
from sivr.api.routing import Routes, actor
from sivr.api.session_cookies import CLEAR_CACHE, cookie_name, cookie_of, set_cookie
from sivr.crypto import Verifier, actor_from_claims
from sivr.errors import Unauthenticated
from sivr.model.people import Actor, Grant
from sivr.services.browser_sessions import BrowserSessions

routes = Routes()

_GRANTS = web.RequestKey("sivr.grants", tuple[Grant, ...])
_SESSION = web.RequestKey("sivr.session", str)
_TOKEN_EXPIRES = web.RequestKey("sivr.token_expires", int)
GRANT_HEADER = "Sivr-Grant"
_ROLE = "render"


class NodeIdentity(msgspec.Struct, frozen=True):
    """The node as its answers name it."""

    id: str
    name: str


class NewNodeSession(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a browser shows: grants, as the institution signed them."""

    grants: tuple[str, ...] = ()


class ShownGrant(msgspec.Struct, frozen=True):
    """A grant the session holds."""

    action: str
    study_uid: str
    expires_in_s: int
    patient: str = ""
    patient_issuer: str = ""


class OpenedNodeSession(msgspec.Struct, frozen=True):
    """An open session."""

    node: NodeIdentity
    expires_in_s: int
    grants: tuple[ShownGrant, ...]


SESSIONS = web.AppKey("sivr.node_sessions", BrowserSessions)
NODE = web.AppKey("sivr.node", NodeIdentity)


def grants_of(request: web.Request) -> tuple[Grant, ...]:
    """The verified grants of the request, from its session or its headers."""
    return request.get(_GRANTS) or ()


def session_of(request: web.Request) -> str:
    """What tells this viewer's requests from those of others."""
    return request.get(_SESSION) or ""


def node_authentication(
    sessions: BrowserSessions, node_id: str, tokens: Verifier, web_origins: Iterable[str]
) -> Authenticate:
    """Who asks a render node: by bearer with grants in headers, else by cookie with the session's grants."""
    origins = frozenset(web_origins)
    name = cookie_name(_ROLE, node_id)

    async def authenticate(request: web.Request) -> Actor:
        token = bearer_token(request)
        if token is not None:
            claims: dict[str, Any] = tokens.verify(token)
            found = actor_from_claims(claims)
            request[_TOKEN_EXPIRES] = int(claims["exp"])
            request[_GRANTS] = sessions.verified(found, _grant_headers(request))
            request[_SESSION] = f"{found.id}/{claims.get('jti', '')}"
            return found
        secret = cookie_of(request, name)
        if not secret:
            raise Unauthenticated("Please log in.")
        # Pictures are many and need no look into the database each; whatever changes something has one.
        anew = request.method not in SAFE_METHODS
        session = await sessions.find(secret, request.match_info.get("study", ""), anew=anew)
        require_known_origin(request, origins)
        request[_GRANTS] = session.grants
        request[_SESSION] = session.key
        return session.actor

    return authenticate


def _grant_headers(request: web.Request) -> list[str]:
    values = request.headers.getall(GRANT_HEADER, ())
    return [token.strip() for value in values for token in value.split(",") if token.strip()]


@routes.post(
    "/session",
    summary="Show the access token and grants once; later requests go by the cookie this sets",
    body=NewNodeSession,
    response=OpenedNodeSession,
)
async def open_session(request: web.Request, body: NewNodeSession) -> web.Response:
    """Needs the bearer. Grants are added to those the session holds already."""
    expires = request.get(_TOKEN_EXPIRES)
    if expires is None:
        raise Unauthenticated("A session is opened with an access token.")
    node = request.app[NODE]
    name = cookie_name(_ROLE, node.id)
    secret, session = await request.app[SESSIONS].open(
        actor(request), expires, (*body.grants, *_grant_headers(request)), cookie_of(request, name)
    )
    now = int(time.time())
    answer = OpenedNodeSession(
        node=node,
        expires_in_s=max(0, session.expires - now),
        grants=tuple(
            ShownGrant(
                action=grant.action,
                study_uid=grant.study_uid,
                expires_in_s=max(0, grant.expires - now),
                patient=grant.patient,
                patient_issuer=grant.patient_issuer,
            )
            for grant in session.grants
        ),
    )
    response = web.Response(body=msgspec.json.encode(answer), content_type="application/json")
    set_cookie(response, name, secret, answer.expires_in_s)
    return response


@routes.delete("/session", summary="End the session on this node", status=204, given_password=True)
async def close_session(request: web.Request) -> web.Response:
    """The grants it held go with it."""
    name = cookie_name(_ROLE, request.app[NODE].id)
    secret = cookie_of(request, name)
    if secret:
        await request.app[SESSIONS].close(secret)
    response = web.Response(status=204, headers=CLEAR_CACHE)
    set_cookie(response, name, "", 0)
    return response
