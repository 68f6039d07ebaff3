"""Sessions of browsers at an institution or node: who is asking, and what was granted them on a node."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
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
BELIEVED_S = 2.0
"""What was read is believed for so long: a log out at another process of this role is late by so much."""


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

    async def change(self, key: str, work: Callable[[bytes], tuple[bytes, int] | None]) -> None:
        """Replace body and expiry of a session that has not expired by what ``work`` makes of it, nobody
        else in between; nothing is changed where there is no session or ``work`` answers None."""

    async def find(self, key: str) -> bytes | None:
        """The body of a session that has not expired."""

    async def remove(self, key: str) -> None:
        """End a session; absent ones are fine."""


class BrowserSessions:
    """Opens, finds and ends sessions; verified grants go with them.

    ``own_id`` is the id of this institution or node, which grants must name; ``institutions`` maps the ids of
    institutions whose grants count here to their public keys. Several processes may share the rows; what one
    has read it believes for ``believed_s``.
    """

    def __init__(
        self,
        rows: SessionRows,
        own_id: str,
        institutions: Mapping[str, Sequence[PublicKey]],
        believed_s: float = BELIEVED_S,
    ) -> None:
        self._rows = rows
        self._verifier = Verifier(institutions, audience=own_id)
        self._believed_s = believed_s
        self._known: dict[str, tuple[BrowserSession, float]] = {}
        self._reading: dict[str, asyncio.Task[BrowserSession | None]] = {}

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
        expires = token_expires + MARGIN_S
        session = await self._prolong(secret, actor, grants, expires) if secret else None
        if secret is None or session is None:
            secret = new_secret()
            session = BrowserSession(secret_hash(secret), actor, _merged(grants), expires)
            await self._rows.save(session.key, msgspec.json.encode(session), expires)
        self._remember(session)
        return secret, session

    async def _prolong(
        self, secret: str, actor: Actor, grants: tuple[Grant, ...], expires: int
    ) -> BrowserSession | None:
        """The actor's own session with these grants added; None when the secret's is over or another's."""
        changed: BrowserSession | None = None

        def work(body: bytes) -> tuple[bytes, int] | None:
            nonlocal changed
            held = msgspec.json.decode(body, type=BrowserSession)
            changed = None
            if held.actor.id != actor.id:
                return None
            changed = BrowserSession(held.key, actor, _merged((*held.grants, *grants)), expires)
            return msgspec.json.encode(changed), expires

        await self._rows.change(secret_hash(secret), work)
        return changed

    async def find(self, secret: str, study_uid: str = "", *, anew: bool = False) -> BrowserSession:
        """The session of a cookie; raises Unauthenticated when there is none any more.

        ``study_uid`` names the study to be viewed: the grant for it may just have been shown to another
        process, so what is remembered is believed only where it holds one. ``anew`` believes nothing.
        """
        key = secret_hash(secret)
        session, until = self._known.get(key, (None, 0.0))
        if anew or session is None or time.monotonic() >= until or not _may_view(session, study_uid):
            session = None if anew else await self._read_once(key)
            if session is None or not _may_view(session, study_uid):
                # The reading that others had begun may be older than the grant.
                session = await self._read(key)
        if session is None or session.expires <= time.time():
            self._known.pop(key, None)
            raise Unauthenticated("Your session here has ended.")
        return session

    async def _read_once(self, key: str) -> BrowserSession | None:
        """As ``_read``, together with those who ask for the same at this moment."""
        reading = self._reading.get(key)
        if reading is None:
            reading = asyncio.create_task(self._read(key))
            self._reading[key] = reading
            reading.add_done_callback(lambda done: self._was_read(key, done))
        return await asyncio.shield(reading)

    def _was_read(self, key: str, reading: asyncio.Task[BrowserSession | None]) -> None:
        self._reading.pop(key, None)
        if not reading.cancelled():
            # Read here, or a failure nobody waits for any more would be reported as lost.
            reading.exception()

    async def _read(self, key: str) -> BrowserSession | None:
        body = await self._rows.find(key)
        session = None if body is None else msgspec.json.decode(body, type=BrowserSession)
        if session is not None:
            self._remember(session)
        return session

    async def close(self, secret: str) -> None:
        """End a session."""
        key = secret_hash(secret)
        await self._rows.remove(key)
        if key in self._reading:
            await asyncio.wait([self._reading[key]])
        self._known.pop(key, None)

    def _remember(self, session: BrowserSession) -> None:
        self._known.pop(session.key, None)
        self._known[session.key] = session, time.monotonic() + self._believed_s
        while len(self._known) > MAX_KNOWN:
            self._known.pop(next(iter(self._known)))


def _may_view(session: BrowserSession, study_uid: str) -> bool:
    """Whether the session holds a good grant to view the study; always where none is named."""
    now = time.time()
    return not study_uid or any(
        one.action == "view" and one.study_uid == study_uid and one.expires > now for one in session.grants
    )


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
