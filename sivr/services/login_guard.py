"""Slows down whoever guesses: one log in at a time per login, and a bound on failures per address.

The lock of an account is in SQL and holds for every server (``sivr.store.users``). What is here is memory of
one process: it bounds how many guesses run at once, and how many logins one address may try.
"""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sivr.errors import TooMany
from sivr.store.users import folded_login

_WINDOW_S = 600.0
_FAILURES_PER_ADDRESS = 100
"""High, because a whole hospital may come from one address."""
_ADDRESSES_KEPT = 20_000
_WAITING_PER_LOGIN = 8


class LoginGuard:
    """The doorkeeper of one process."""

    def __init__(self) -> None:
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}

    @asynccontextmanager
    async def alone(self, login: str) -> AsyncIterator[None]:
        """Inside, nobody else tries this login here, so that parallel guesses are counted one by one."""
        key = folded_login(login)
        lock, users = self._locks.get(key, (asyncio.Lock(), 0))
        if users >= _WAITING_PER_LOGIN:
            raise TooMany("This login is being tried too often at this moment.", {"retry_after_s": 5})
        self._locks[key] = (lock, users + 1)
        try:
            async with lock:
                yield
        finally:
            lock, users = self._locks[key]
            if users > 1:
                self._locks[key] = (lock, users - 1)
            else:
                del self._locks[key]

    def require_quiet(self, address: str) -> None:
        """Raises TooMany when this address failed too often lately."""
        failed = self._failures.get(_network(address))
        if failed is None:
            return
        moment = time.monotonic()
        while failed and failed[0] < moment - _WINDOW_S:
            failed.popleft()
        if len(failed) >= _FAILURES_PER_ADDRESS:
            wait_s = round(failed[0] + _WINDOW_S - moment) + 1
            raise TooMany(
                "Too many failed log-ins came from your network. Please wait.", {"retry_after_s": wait_s}
            )

    def add_failure(self, address: str) -> None:
        """Count a failed log in from this address."""
        key = _network(address)
        self._failures.setdefault(key, deque(maxlen=_FAILURES_PER_ADDRESS)).append(time.monotonic())
        self._failures.move_to_end(key)
        while len(self._failures) > _ADDRESSES_KEPT:
            self._failures.popitem(last=False)


def _network(address: str) -> str:
    """IPv6 hosts own their whole /64."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return address
    return str(ipaddress.ip_network((parsed, 64), strict=False))
