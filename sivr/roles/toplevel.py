"""The toplevel role: who may log in, who is a patient, which institutions there are."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from sivr.api.toplevel_app import toplevel_app
from sivr.config import Toplevel
from sivr.crypto import SigningKey
from sivr.model.directory import NewInstitution
from sivr.services.sessions import SessionRules
from sivr.services.toplevel import open_toplevel as open_services


@asynccontextmanager
async def open_toplevel(settings: Toplevel) -> AsyncIterator[web.Application]:
    """The toplevel's application on its database."""
    rules = SessionRules(
        access_token_s=settings.access_token_s,
        session_days=settings.session_days,
        failures_before_lock=settings.failed_logins_before_lock,
        lock_s=settings.lock_s,
    )
    institutions = [
        NewInstitution(id=one.id, name=one.name, url=one.url, address=one.address)
        for one in settings.institutions
    ]
    key = SigningKey.load(Path(settings.signing_key))
    async with open_services(
        settings.database, key, settings.id, rules=rules, institutions=institutions
    ) as services:
        yield toplevel_app(services, settings.web_origins, settings.request_timeout_s)
