"""The institution role: what lies where, what was found, which nodes there are."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from sivr.api.institution_app import institution_app
from sivr.config import Institution
from sivr.crypto import ACCESS_AUDIENCE, PublicKey, SigningKey, Verifier
from sivr.services.institution import open_institution_services
from sivr.services.nodes import NodeSeed


@asynccontextmanager
async def open_institution(settings: Institution) -> AsyncIterator[web.Application]:
    """The institution's application on its database."""
    tokens = Verifier(
        {one.id: [PublicKey.parse(key) for key in one.public_keys] for one in settings.toplevels},
        ACCESS_AUDIENCE,
    )
    async with open_institution_services(
        settings.database,
        institution_id=settings.id,
        name=settings.name,
        key=SigningKey.load(Path(settings.signing_key)),
        seeds=[NodeSeed(one.id, one.name, one.url, one.public_key) for one in settings.nodes],
    ) as services:
        yield institution_app(services, tokens, settings.web_origins, settings.request_timeout_s)
