"""Passwords: the rules, and argon2id off the event loop, a few at a time."""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from sivr.crypto import hash_password, new_secret, verify_password
from sivr.errors import Invalid, TooMany
from sivr.model.names import folded
from sivr.store.users import folded_login

P = ParamSpec("P")
T = TypeVar("T")

SHORTEST = 10
LONGEST = 256
_FEWEST_DIFFERENT = 4
_SLOTS = 2  # each takes 64 MiB and a core for some 80 ms
_MOST_WAITING = 100


def check_rules(password: str, login: str, field: str = "password") -> None:
    """Raises Invalid with the rule that a new password breaks."""
    if len(password) < SHORTEST:
        raise Invalid(f"The password needs at least {SHORTEST} characters.", {"field": field})
    if len(password) > LONGEST:
        raise Invalid(f"The password may have at most {LONGEST} characters.", {"field": field})
    bare = folded(password).replace(" ", "")
    name = folded(login).replace(" ", "")
    if folded_login(password) == folded_login(login) or (name and bare.replace(name, "") == ""):
        raise Invalid("The password must not be the login.", {"field": field})
    if len(set(password)) < _FEWEST_DIFFERENT:
        raise Invalid("The password must not repeat a few characters.", {"field": field})


class Passwords:
    """Hashes and verifies in threads, so that a crowd at log in slows nobody who reads."""

    def __init__(self) -> None:
        self._slots = asyncio.Semaphore(_SLOTS)
        self._waiting = 0
        self._nobody = ""

    async def hash(self, password: str) -> str:
        """The argon2id hash; raises TooMany when the queue is full."""
        return await self._run(hash_password, _composed(password))

    async def verify(self, hashed: str | None, password: str) -> bool:
        """Whether the password is right; with no hash it takes the same time and is False."""
        if not self._nobody:
            self._nobody = await self._run(hash_password, new_secret())
        known = hashed is not None
        if len(password) > LONGEST:
            # Longer ones are never set; long input must not buy computing time.
            password, known = password[:LONGEST], False
        return await self._run(verify_password, hashed or self._nobody, _composed(password)) and known

    async def _run(self, function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        if self._waiting >= _MOST_WAITING:
            raise TooMany(
                "Too many people are logging in at this moment. Please try again.", {"retry_after_s": 5}
            )
        self._waiting += 1
        try:
            async with self._slots:
                return await asyncio.to_thread(function, *arguments, **named)
        finally:
            self._waiting -= 1


def _composed(password: str) -> str:
    # The same password typed on another keyboard may come decomposed. Lone surrogates cannot be encoded.
    return unicodedata.normalize("NFC", password).encode("utf-8", "replace").decode()
