"""The cookies of the roles: what they are called, and the one that stands for a bearer on plain GETs."""

from __future__ import annotations

from aiohttp import web

CLEAR_CACHE = {"Clear-Site-Data": '"cache"'}
"""For the answer to a log out: pictures that the browser kept are not for the next one who sits there."""


def cookie_name(role: str, own_id: str) -> str:
    """Cookies ignore ports, so the name says whose it is; ``__Host-`` ties it to this host and HTTPS."""
    return f"__Host-sivr-{role}-{own_id}"


def cookie_of(request: web.Request, name: str) -> str:
    """The value of a cookie of the request, the first of that name; empty where there is none (RFC 6265 5.4).

    Every picture brings cookies, and a whole jar is long to make for one of them.
    """
    start = name + "="
    for header in request.headers.getall("Cookie", ()):
        for pair in header.split(";"):
            pair = pair.strip(" \t")
            if pair.startswith(start):
                return pair[len(start) :].strip('"')
    return ""


def set_cookie(response: web.StreamResponse, name: str, secret: str, max_age_s: int) -> None:
    """Give the browser a secret that scripts cannot read; ``max_age_s`` 0 takes it away."""
    # Written by hand: http.cookies does not know Partitioned before Python 3.14.
    response.headers.add(
        "Set-Cookie",
        f"{name}={secret}; Path=/; Max-Age={max_age_s}; Secure; HttpOnly; SameSite=None; Partitioned",
    )
