"""The web role: the front end's files and the toplevels' addresses; it keeps nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files

from aiohttp import web

from sivr.api.app import build_app
from sivr.api.front_end import front_end_routes
from sivr.config import Web
from sivr.errors import Unauthenticated
from sivr.model.people import Actor


async def _nobody(request: web.Request) -> Actor:
    raise Unauthenticated("There is nothing here for anybody.")


@asynccontextmanager
async def open_web(settings: Web) -> AsyncIterator[web.Application]:
    """The web role's application."""
    toplevels = [{"id": one.id, "name": one.name, "url": one.url} for one in settings.toplevels]
    routes = front_end_routes(files("sivr") / "static", toplevels, settings.connect_origins)
    yield build_app("web", routes, _nobody, request_timeout_s=settings.request_timeout_s)
