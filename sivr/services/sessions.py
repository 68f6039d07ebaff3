"""Log in, renew, log out."""

from __future__ import annotations

import math
from datetime import timedelta

import msgspec

from sivr.crypto import SigningKey, access_claims, new_secret, secret_hash
from sivr.errors import TooMany, Unauthenticated
from sivr.model.directory import OpenedSession
from sivr.model.people import Actor
from sivr.services.login_guard import LoginGuard
from sivr.services.passwords import Passwords
from sivr.store.audit import By
from sivr.store.schema.columns import now
from sivr.store.sessions import Refusal, Renewed, Sessions
from sivr.store.users import Account, Users

_WRONG = "The login or the password is wrong."
_LONGEST_LOGIN = 200
_REFUSALS: dict[Refusal, str] = {
    "unknown": "Your session has ended. Please log in.",
    "expired": "Your session has expired. Please log in.",
    "reused": "Your session was used in two places and has been ended for safety. Please log in.",
    "inactive": "This user is not active any more.",
}


class SessionRules(msgspec.Struct, frozen=True, kw_only=True):
    """How long sessions and tokens last, and how failed log-ins are slowed down."""

    access_token_s: int = 300
    session_days: int = 14
    """A session that is not renewed for so long ends."""
    grace_s: float = 60.0
    """How long a just replaced refresh token is still good (``sivr.store.sessions`` says why it is safe):
    as long as a browser on a bad line may take to ask again after the answer was lost."""
    failures_before_lock: int = 5
    lock_s: int = 60
    """The first lock; each further failure doubles it, up to 15 minutes."""


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """A session that was started or goes on; ``refresh_token`` belongs in the cookie only."""

    answer: OpenedSession
    refresh_token: str
    refresh_s: int


class SessionService:
    """Sessions of one toplevel."""

    def __init__(
        self,
        users: Users,
        sessions: Sessions,
        passwords: Passwords,
        guard: LoginGuard,
        signing_key: SigningKey,
        toplevel_id: str,
        rules: SessionRules,
    ) -> None:
        self._users = users
        self._sessions = sessions
        self._passwords = passwords
        self._guard = guard
        self._signing_key = signing_key
        self._toplevel_id = toplevel_id
        self._rules = rules

    async def log_in(self, login: str, password: str, address: str) -> Opened:
        """Start a session; raises Unauthenticated, or TooMany with ``retry_after_s`` while locked.

        An unknown login, a wrong password and an inactive user cannot be told apart, by time neither.
        """
        login = login[:_LONGEST_LOGIN]
        async with self._guard.alone(login):
            account = await self.check_password(login, password, address)
            secret = new_secret()
            session_id = await self._sessions.start(
                account, secret_hash(secret), By(account.user.id, address)
            )
            if session_id is None:
                raise Unauthenticated(_WRONG)
            return self._opened(session_id, account, secret)

    async def check_password(self, login: str, password: str, address: str) -> Account:
        """The active account these belong to; a failure is counted. Call it inside ``guard.alone``."""
        self._guard.require_quiet(address)
        until = await self._users.locked_until(login)
        if until is not None:
            wait_s = max(1, math.ceil((until - now()).total_seconds()))
            raise TooMany(
                "Log in was refused too often. Please wait, or ask an administrator.",
                {"retry_after_s": wait_s},
            )
        account = await self._users.account_of_login(login)
        right = await self._passwords.verify(account.password_hash if account else None, password)
        if account is None or not right or not account.user.active:
            self._guard.add_failure(address)
            by = By(account.user.id if account else "", address)
            lock = timedelta(seconds=self._rules.lock_s)
            await self._users.add_failure(login, by, before_lock=self._rules.failures_before_lock, lock=lock)
            raise Unauthenticated(_WRONG)
        return account

    async def renew(self, refresh_token: str, address: str) -> Opened:
        """Go on with a session; raises Unauthenticated, after which the cookie is worthless."""
        secret = new_secret()
        outcome = await self._sessions.renew(secret_hash(refresh_token), secret_hash(secret), address)
        if not isinstance(outcome, Renewed):
            raise Unauthenticated(_REFUSALS[outcome], {"reason": outcome})
        return self._opened(outcome.session_id, outcome.account, secret)

    async def require(self, session_id: str) -> None:
        """Refuse an access token whose session was ended after it was signed; raises Unauthenticated."""
        if not await self._sessions.exists(session_id):
            raise Unauthenticated(_REFUSALS["unknown"])

    async def log_out(self, refresh_token: str, address: str) -> None:
        """End a session; also when it has ended already."""
        await self._sessions.end(secret_hash(refresh_token), address)

    def _opened(self, session_id: str, account: Account, secret: str) -> Opened:
        user = account.user
        given = user.must_change_password
        actor = Actor(
            id=user.id,
            name=user.name,
            # Whoever gave the password knows it too, and must not act as its owner until it is replaced.
            roles=() if given else user.roles,
            institutions=() if given else account.active_institutions,
            toplevel=self._toplevel_id,
            must_change_password=given,
        )
        claims = {**access_claims(actor), "sid": session_id}
        answer = OpenedSession(
            access_token=self._signing_key.sign(claims, self._rules.access_token_s),
            expires_in_s=self._rules.access_token_s,
            user=user,
            must_change_password=user.must_change_password,
        )
        return Opened(answer=answer, refresh_token=secret, refresh_s=self._rules.session_days * 86400)
