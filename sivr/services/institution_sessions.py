"""Sessions of browsers at an institution, each written down when it begins and ends."""

from __future__ import annotations

from sivr.crypto import secret_hash
from sivr.model.people import Actor
from sivr.services.browser_sessions import BrowserSession, BrowserSessions
from sivr.store.audit import Audit, By


class InstitutionSessions:
    """Sessions without grants: they say only who is asking."""

    def __init__(self, sessions: BrowserSessions, audit: Audit) -> None:
        self._sessions = sessions
        self._audit = audit

    async def open(
        self, actor: Actor, token_expires: int, secret: str | None, address: str
    ) -> tuple[str, BrowserSession]:
        """Open a session, or prolong the actor's own; returns the cookie's secret and the session."""
        kept, session = await self._sessions.open(actor, token_expires, (), secret)
        if kept != secret:
            await self._audit.add(By(actor.id, address), "session.open", session.key)
        return kept, session

    async def find(self, secret: str, *, anew: bool = False) -> BrowserSession:
        """The session of a cookie; raises Unauthenticated when there is none any more. ``anew`` asks the
        database, whatever is remembered."""
        return await self._sessions.find(secret, anew=anew)

    async def close(self, actor: Actor, secret: str, address: str) -> None:
        """End a session."""
        await self._sessions.close(secret)
        await self._audit.add(By(actor.id, address), "session.close", secret_hash(secret))
