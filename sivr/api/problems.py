"""Domain errors to HTTP answers (RFC 9457 problem details): one table."""

from __future__ import annotations

import msgspec
from aiohttp import web

from sivr import errors

PROBLEM_JSON = "application/problem+json"

STATUS: dict[type[errors.SivrError], tuple[int, str]] = {
    errors.Invalid: (400, "The request is not valid"),
    errors.Unauthenticated: (401, "Please log in"),
    errors.Forbidden: (403, "Not allowed"),
    errors.NotFound: (404, "Not found"),
    errors.NotAcceptable: (406, "No acceptable representation"),
    errors.TooSlow: (408, "Took too long"),
    errors.Conflict: (409, "Conflict"),
    errors.Gone: (410, "Deleted"),
    errors.TooLarge: (413, "Too large"),
    errors.Unsupported: (415, "Not supported"),
    errors.WrongWay: (421, "Another way, please"),
    errors.TooMany: (429, "Too many requests"),
    errors.Canceled: (409, "Replaced by a newer request"),
    errors.Unavailable: (503, "Not available at present"),
    errors.Exhausted: (503, "No capacity at present"),
}


def problem(
    status: int, title: str, detail: str, request_id: str, details: dict[str, object] | None = None
) -> web.Response:
    """A problem+json response; ``details`` become extra members."""
    body: dict[str, object] = {
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": detail,
        "request_id": request_id,
    }
    for name, value in (details or {}).items():
        body.setdefault(name, value)
    headers = {}
    retry_after = (details or {}).get("retry_after_s")
    if isinstance(retry_after, int | float):
        headers["Retry-After"] = str(max(1, round(retry_after)))
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    response = web.Response(
        status=status, body=msgspec.json.encode(body), content_type=PROBLEM_JSON, headers=headers
    )
    if status == 408:
        # The rest of the body may still trickle in.
        response.force_close()
    return response


def problem_for(error: errors.SivrError, request_id: str) -> web.Response:
    """The answer for a domain error."""
    for kind in type(error).__mro__:
        if kind in STATUS:
            status, title = STATUS[kind]
            return problem(status, title, error.message, request_id, error.details)
    return problem(500, "Internal error", "Something went wrong on the server.", request_id)
