"""Sessions of browsers at an institution or node: who is asking, and what was granted them on a node."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import msgspec

from sivr.crypto import PublicKey, Verifier, grant_from_claims, new_secret, secret_hash
from sivr.errors import Forbidden, TooLarge, Unauthenticated
from sivr.model.people import Actor, Grant

MARGIN_S = 15 * 60
"""A session lasts this much longer than the access token it was opened with."""
MAX_GRANTS = 500
"""Grants one session may hold; a reader who opens more studies loses the ones that expire first."""
MAX_KNOWN = 10_000


class BrowserSession(msgspec.Struct, frozen=True):
    """A session and what it may do."""

    key: str
    """Hash of the cookie's secret."""
    actor: Actor
    grants: tuple[Grant, ...]
    expires: int
    """Unix time, seconds."""


class SessionRows(Protocol):
    """Where sessions survive a restart; bodies are opaque to it."""

    async def save(self, key: str, body: bytes, expires: int) -> None:
        """Insert or replace."""

    async def find(self, key: str) -> bytes | None:
        """The body of a session that has not expired."""

    async def remove(self, key: str) -> None:
        """End a session; absent ones are fine."""


class BrowserSessions:
    """Opens, finds and ends sessions; verified grants go with them.

    ``own_id`` is the id of this institution or node, which grants must name; ``institutions`` maps the ids of
    institutions whose grants count here to their public keys.
    """

    def __init__(
        self, rows: SessionRows, own_id: str, institutions: Mapping[str, Sequence[PublicKey]]
    ) -> None:
        self._rows = rows
        self._verifier = Verifier(institutions, audience=own_id)
        self._known: dict[str, BrowserSession] = {}
        self._lock = asyncio.Lock()

    def verified(self, actor: Actor, tokens: Iterable[str]) -> tuple[Grant, ...]:
        """The grants in these tokens that are good here; raises Forbidden when none of them is.

        Those that ran out are left out: a viewer shows all it has, old ones among them.
        """
        found: list[Grant] = []
        reason = ""
        for number, token in enumerate(tokens):
            if number >= MAX_GRANTS:
                raise TooLarge(f"At most {MAX_GRANTS} grants can be shown at once.")
            try:
                grant = grant_from_claims(self._verifier.verify(token))
            except Unauthenticated as error:
                # The person is known; it is the permission that is not good.
                reason = f"No grant shown is valid here: {error.message}"
                continue
            if grant.actor != actor.id:
                reason = "The grant was given to somebody else."
                continue
            found.append(grant)
        if reason and not found:
            raise Forbidden(reason, {"reason": "grant_invalid"})
        return tuple(found)

    async def open(
        self, actor: Actor, token_expires: int, tokens: Sequence[str], secret: str | None
    ) -> tuple[str, BrowserSession]:
        """Open or prolong a session and add grants to it; returns the cookie's secret and the session.

        ``secret`` is that of a session that may exist already; it goes on when it is the same actor's.
        """
        grants = self.verified(actor, tokens)
        async with self._lock:
            known = await self._find(secret_hash(secret)) if secret else None
            if known is None or known.actor.id != actor.id or secret is None:
                secret, known = new_secret(), None
            merged = _merged((*(known.grants if known else ()), *grants))
            session = BrowserSession(
                key=secret_hash(secret), actor=actor, grants=merged, expires=token_expires + MARGIN_S
            )
            await self._rows.save(session.key, msgspec.json.encode(session), session.expires)
            self._remember(session)
        return secret, session

    async def find(self, secret: str) -> BrowserSession:
        """The session of a cookie; raises Unauthenticated when there is none any more."""
        session = await self._find(secret_hash(secret))
        if session is None:
            raise Unauthenticated("Your session here has ended.")
        return session

    async def close(self, secret: str) -> None:
        """End a session."""
        key = secret_hash(secret)
        self._known.pop(key, None)
        await self._rows.remove(key)

    async def _find(self, key: str) -> BrowserSession | None:
        session = self._known.get(key)
        if session is None:
            body = await self._rows.find(key)
            if body is None:
                return None
            session = msgspec.json.decode(body, type=BrowserSession)
            self._remember(session)
        if session.expires <= time.time():
            self._known.pop(key, None)
            return None
        return session

    def _remember(self, session: BrowserSession) -> None:
        self._known.pop(session.key, None)
        self._known[session.key] = session
        while len(self._known) > MAX_KNOWN:
            self._known.pop(next(iter(self._known)))


def _merged(grants: Sequence[Grant]) -> tuple[Grant, ...]:
    """Of grants for the same thing the one that lasts longest; expired ones are dropped."""
    now = time.time()
    best: dict[tuple[str, ...], Grant] = {}
    for grant in grants:
        if grant.expires <= now:
            continue
        what = (grant.institution, grant.action, grant.study_uid, grant.patient, grant.patient_issuer)
        if what not in best or best[what].expires < grant.expires:
            best[what] = grant
    return tuple(sorted(best.values(), key=lambda one: -one.expires)[:MAX_GRANTS])
