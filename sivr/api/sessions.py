"""Log in, renew, log out: the access token in the answer, the refresh token in an HttpOnly cookie."""

from __future__ import annotations

from aiohttp import web

from sivr.api.routing import Routes, address, json_response
from sivr.api.session_cookies import CLEAR_CACHE, cookie_name
from sivr.api.toplevel import require_own_page, services
from sivr.errors import Unauthenticated
from sivr.model.directory import Credentials, OpenedSession
from sivr.services.sessions import Opened

routes = Routes()

_ROLE = "toplevel"


@routes.post("/session", summary="Log in", body=Credentials, response=OpenedSession, public=True)
async def log_in(request: web.Request, body: Credentials) -> web.Response:
    """Start a session."""
    require_own_page(request)
    opened = await services(request).sessions.log_in(body.login, body.password, address(request))
    return _answer(request, opened)


@routes.post("/session/renew", summary="Renew the session of the cookie", response=OpenedSession, public=True)
async def renew(request: web.Request) -> web.Response:
    """Go on with the session of the refresh cookie."""
    require_own_page(request)
    token = request.cookies.get(cookie_name(_ROLE, services(request).id), "")
    if not token:
        raise Unauthenticated("Nobody is logged in here.")
    return _answer(request, await services(request).sessions.renew(token, address(request)))


@routes.delete("/session", summary="Log out", public=True)
async def log_out(request: web.Request) -> web.Response:
    """End the session of the refresh cookie."""
    require_own_page(request)
    name = cookie_name(_ROLE, services(request).id)
    token = request.cookies.get(name, "")
    if token:
        await services(request).sessions.log_out(token, address(request))
    response = web.Response(status=204, headers=CLEAR_CACHE)
    response.del_cookie(name, path="/", secure=True, httponly=True, samesite="Strict")
    return response


def _answer(request: web.Request, opened: Opened) -> web.Response:
    response = json_response(opened.answer)
    response.set_cookie(
        cookie_name(_ROLE, services(request).id),
        opened.refresh_token,
        max_age=opened.refresh_s,
        path="/",
        secure=True,
        httponly=True,
        samesite="Strict",
    )
    return response
