"""Who is asking: the bearer token of a request, and whether a page may use a cookie."""

from __future__ import annotations

from aiohttp import web

from sivr.errors import Forbidden

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def bearer_token(request: web.Request) -> str | None:
    """The token of ``Authorization: Bearer``; None where the header is absent or of another scheme."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def require_known_origin(request: web.Request, web_origins: frozenset[str]) -> None:
    """Refuse an unsafe request that a cookie authenticates unless our own page sent it (CSRF).

    Raises Forbidden. Browsers always send Origin on unsafe cross-origin requests.
    """
    if request.method not in SAFE_METHODS and request.headers.get("Origin", "") not in web_origins:
        raise Forbidden("This request did not come from a known web page.")
