"""What the institution's routes share: its services."""

from __future__ import annotations

from aiohttp import web

from sivr.services.institution import InstitutionServices

INSTITUTION = web.AppKey("sivr.institution", InstitutionServices)


def services(request: web.Request) -> InstitutionServices:
    """The institution's services."""
    return request.app[INSTITUTION]
