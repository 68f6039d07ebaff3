"""What the institution's routes share: its services and where a request comes from."""

from __future__ import annotations

from aiohttp import web

from sivr.services.institution import InstitutionServices

INSTITUTION = web.AppKey("sivr.institution", InstitutionServices)


def services(request: web.Request) -> InstitutionServices:
    """The institution's services."""
    return request.app[INSTITUTION]


def address(request: web.Request) -> str:
    """Where the request comes from, for the audit."""
    return request.remote or ""
