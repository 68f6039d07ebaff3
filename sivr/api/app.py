"""One aiohttp application per role: routes, authentication, CORS, request ids, the log line, problems."""

from __future__ import annotations

import asyncio
import itertools
import logging
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

import msgspec
from aiohttp import hdrs, web
from aiohttp.typedefs import Middleware
from multidict import istr

from sivr import __version__
from sivr.api.bodies import REQUEST_TIMEOUT_S, check_way
from sivr.api.metrics import METRICS, PICTURE, Metrics
from sivr.api.metrics import routes as metrics_routes
from sivr.api.openapi import document
from sivr.api.problems import PROBLEM_JSON, problem, problem_for
from sivr.api.routing import ACTOR, REQUEST_ID, Route, Routes, json_response, wrap
from sivr.errors import Forbidden, SivrError
from sivr.model.people import Actor

log = logging.getLogger("sivr.http")

Authenticate = Callable[[web.Request], Awaitable[Actor]]
Check = Callable[[], Awaitable[str]]
"""A health check: an empty string when the part is ready, else one sentence why not."""
AiohttpHandler = Callable[[web.Request], Awaitable[web.StreamResponse]]

CORS_ORIGIN = web.RequestKey("sivr.cors_origin", str)
ROUTES = web.AppKey("sivr.routes", tuple[Route, ...])
"""Every route of the application, for tests that walk them."""
HEALTH_NOTE = web.AppKey[Callable[[], str]]("sivr.health_note")
"""Set by whoever runs the application: a sentence that ``GET /health`` shows, or an empty string."""
HEALTH_DETAILS = web.AppKey[Callable[[], dict[str, object]]]("sivr.health_details")
"""Set by a role that has more to tell by ``GET /health`` than whether it is ready."""
_NOT_YET = "Please replace the password you were given by one of your own first."
HEALTH_TIMEOUT_S = 5.0
JSON_BODY_LIMIT_BYTES = 1024 * 1024
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
_PROCESS = secrets.token_hex(4)
_NUMBERS = itertools.count(1)
_EXPOSED = (
    "ETag, Server-Timing, Sivr-Quality, Sivr-Complete, Sivr-Sampling, Sivr-Missing, Upload-Offset, "
    "Retry-After, Sivr-Request-Id, Sivr-Pixel-Mm, Warning"
)
_ALLOWED_HEADERS = (
    "Authorization, Content-Type, If-None-Match, Upload-Offset, Upload-Length, Sivr-File-Name, Sivr-Grant, "
    "Accept"
)
_ALLOWED_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE"
_PREFLIGHT_SECONDS = "7200"
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Strict-Transport-Security": "max-age=31536000",
    "X-Frame-Options": "DENY",
}
# Written into every answer: names that need no folding of case each time.
_SECURITY = tuple((istr(name), value) for name, value in SECURITY_HEADERS.items())


class HealthPart(msgspec.Struct, frozen=True):
    """One part of a role: ready, or why not."""

    ready: bool
    reason: str = ""


class Health(msgspec.Struct, frozen=True):
    """Whether a role can do its work, part by part."""

    ready: bool
    role: str
    version: str
    parts: dict[str, HealthPart]
    note: str = ""
    """What needs attention although everything works; it does not make the role less ready."""
    details: dict[str, Any] = {}
    """What else is worth knowing of a part, by its name."""


def _is_outer(request: web.Request) -> bool:
    """True in an application that only passes the request on to another mounted in it."""
    return request.match_info.apps[-1] is not request.app


def _route_of(request: web.Request) -> Route | None:
    return getattr(request.match_info.handler, "sivr_route", None)


@web.middleware
async def _outermost(request: web.Request, handler: AiohttpHandler) -> web.StreamResponse:
    """Request id, the log line, errors to problems."""
    if _is_outer(request):
        return await handler(request)
    given = request.headers.get("Sivr-Request-Id", "")
    request_id = given if given and _REQUEST_ID.fullmatch(given) else f"{_PROCESS}{next(_NUMBERS):08x}"
    request[REQUEST_ID] = request_id
    started = time.perf_counter()
    response: web.StreamResponse
    status = 499
    try:
        try:
            response = await handler(request)
        except Exception as error:
            if _begun(request):
                if not isinstance(error, ConnectionError):
                    log.exception("answer broken off", extra={"request_id": request_id})
                # aiohttp ends the connection, so that nobody takes half of an answer for a whole one.
                raise ConnectionResetError("The answer broke off.") from error
            response = _answer_to(error, request_id)
        status = response.status
        if not response.prepared:
            response.headers["Sivr-Request-Id"] = request_id
        return response
    finally:
        seconds = time.perf_counter() - started
        route = _route_of(request)
        figures = request.app[METRICS]
        # Only the listener knows: what it brings to aiohttp looks like HTTP/1.1 (sivr/edge/exchange.py).
        http = request.get_extra_info("http") or "1.1"
        figures.request(request.method, route.path if route is not None else "unknown", status, seconds, http)
        if status == 200 and request.method == "GET":
            picture = response.get(PICTURE)
            if picture is not None:
                figures.picture(picture)
        log.info(
            "request",
            extra={
                "request_id": request_id,
                "http": http,
                "method": request.method,
                # Only the path: query strings may hold more than a log should keep.
                "path": request.path,
                "status": status,
                "ms": round(seconds * 1000, 1),
                "actor": getattr(request.get(ACTOR), "id", ""),
                "peer": request.remote or "",
            },
        )


def _begun(request: web.Request) -> bool:
    """Whether some of an answer is on its way: no other can be sent in its place."""
    return request.writer.output_size > 0


def _answer_to(error: Exception, request_id: str) -> web.Response:
    """The problem that an error is to the caller; redirects are raised again."""
    if isinstance(error, SivrError):
        return problem_for(error, request_id)
    if isinstance(error, web.HTTPException):
        if error.status < 400:
            raise error
        return _http_problem(error, request_id)
    log.error("unhandled error", exc_info=error, extra={"request_id": request_id})
    return problem(500, "Internal error", "Something went wrong on the server.", request_id)


def _http_problem(error: web.HTTPException, request_id: str) -> web.Response:
    sentences = {
        404: "There is nothing at this address.",
        405: "This address does not answer that method.",
        413: "The body is larger than allowed here.",
    }
    answer = problem(error.status, error.reason, sentences.get(error.status, error.reason + "."), request_id)
    if "Allow" in error.headers:
        answer.headers["Allow"] = error.headers["Allow"]
    return answer


def _cors(web_origins: frozenset[str]) -> Middleware:
    @web.middleware
    async def cors(request: web.Request, handler: AiohttpHandler) -> web.StreamResponse:
        if _is_outer(request):
            return await handler(request)
        origin = request.headers.get("Origin", "")
        known = origin in web_origins
        preflight = request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
        if preflight and known:
            response: web.StreamResponse = web.Response(status=204)
            response.headers["Access-Control-Allow-Methods"] = _ALLOWED_METHODS
            response.headers["Access-Control-Allow-Headers"] = _ALLOWED_HEADERS
            response.headers["Access-Control-Max-Age"] = _PREFLIGHT_SECONDS
            _allow(response, origin)
            return response
        if known:
            # Streaming handlers prepare their own response, so the headers must be there before.
            request[CORS_ORIGIN] = origin
        response = await handler(request)
        if known and not response.prepared:
            _allow(response, origin)
        return response

    return cors


def _allow(response: web.StreamResponse, origin: str) -> None:
    response.headers["Access-Control-Allow-Origin"] = origin
    response.headers["Access-Control-Allow-Credentials"] = "true"
    response.headers["Access-Control-Expose-Headers"] = _EXPOSED
    # The page may know how long its own pictures took, and over which protocol they came.
    response.headers["Timing-Allow-Origin"] = origin
    response.headers.add("Vary", "Origin")


async def _on_prepare(request: web.Request, response: web.StreamResponse) -> None:
    """Headers that every answer carries, streamed ones included."""
    headers = response.headers
    for name, value in _SECURITY:
        if name not in headers:
            headers[name] = value
    origin = request.get(CORS_ORIGIN)
    if origin and hdrs.ACCESS_CONTROL_ALLOW_ORIGIN not in headers:
        _allow(response, origin)
    if hdrs.CACHE_CONTROL not in headers:
        headers[hdrs.CACHE_CONTROL] = "no-store"


def _authentication(authenticate: Authenticate) -> Middleware:
    @web.middleware
    async def authentication(request: web.Request, handler: AiohttpHandler) -> web.StreamResponse:
        if _is_outer(request):
            return await handler(request)
        route = _route_of(request)
        # An address nobody declared is refused like a private one: strangers learn nothing.
        if route is None or not route.public:
            found = await authenticate(request)
            request[ACTOR] = found
            if found.must_change_password and not (route is not None and route.given_password):
                raise Forbidden(_NOT_YET, {"reason": "must_change_password"})
            if route is not None and route.roles and not any(found.has(role) for role in route.roles):
                raise Forbidden(f"This needs the role {' or '.join(route.roles)}.")
        return await handler(request)

    return authentication


async def _run_checks(role: str, checks: Mapping[str, Check], note: str) -> Health:
    async def one(check: Check) -> HealthPart:
        try:
            reason = await asyncio.wait_for(check(), HEALTH_TIMEOUT_S)
        except SivrError as error:
            reason = error.message
        except TimeoutError:
            reason = f"No answer within {HEALTH_TIMEOUT_S:.0f} s."
        return HealthPart(ready=not reason, reason=reason)

    results = await asyncio.gather(*(one(check) for check in checks.values()))
    parts = dict(zip(checks, results, strict=True))
    return Health(
        ready=all(part.ready for part in parts.values()),
        role=role,
        version=__version__,
        parts=parts,
        note=note,
    )


def build_app(
    role: str,
    routes: Iterable[Route],
    authenticate: Authenticate,
    *,
    web_origins: Iterable[str] = (),
    checks: Mapping[str, Check] | None = None,
    body_limit_bytes: int = JSON_BODY_LIMIT_BYTES,
    request_timeout_s: float = 60.0,
) -> web.Application:
    """The application of one role.

    ``authenticate`` finds the actor of a request or raises Unauthenticated; ``checks`` are the parts that
    ``GET /health`` reports. JSON bodies over ``body_limit_bytes`` are refused, as are those that take longer
    than ``request_timeout_s`` to arrive; raw routes bound themselves.
    """
    own = Routes()
    health_checks = dict(checks or {})
    declared: list[Route] = []

    @own.get("/health", summary="Whether this role is ready, part by part", response=Health, public=True)
    async def health(request: web.Request) -> web.Response:
        state = await _run_checks(role, health_checks, request.app.get(HEALTH_NOTE, str)())
        state = msgspec.structs.replace(state, details=request.app.get(HEALTH_DETAILS, dict)())
        return json_response(state, 200 if state.ready else 503)

    @own.get("/openapi.json", summary="This document", public=True)
    async def openapi(request: web.Request) -> web.Response:
        return json_response(document(f"SIVR {role}", __version__, declared))

    declared.extend([*own, *metrics_routes, *routes])
    app = web.Application(
        middlewares=[_outermost, _cors(frozenset(web_origins)), _problems, _authentication(authenticate)],
        client_max_size=body_limit_bytes,
    )
    app[ROUTES] = tuple(declared)
    app[METRICS] = Metrics(role)
    app[REQUEST_TIMEOUT_S] = request_timeout_s
    for route in declared:
        handler = wrap(route)
        handler.sivr_route = route  # type: ignore[attr-defined]
        if route.method == "GET":
            app.router.add_get(route.path, handler, allow_head=not _has_head(route.path, declared))
        else:
            app.router.add_route(route.method, route.path, handler)
    app.on_response_prepare.append(_on_prepare)
    return app


def _has_head(path: str, declared: Iterable[Route]) -> bool:
    return any(route.method == "HEAD" and route.path == path for route in declared)


@web.middleware
async def _problems(request: web.Request, handler: AiohttpHandler) -> web.StreamResponse:
    """Errors become answers inside CORS, so that a browser of another origin may read the sentence."""
    if _is_outer(request):
        return await handler(request)
    request_id = request.get(REQUEST_ID, "")
    try:
        check_way(request)
        return await handler(request)
    except (SivrError, web.HTTPException) as error:
        if _begun(request):
            raise
        return _answer_to(error, request_id)


__all__ = ["PROBLEM_JSON", "Authenticate", "Check", "Health", "build_app"]
