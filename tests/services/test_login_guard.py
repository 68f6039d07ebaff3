"""One log in at a time per login, and bounds on one address."""

from __future__ import annotations

import asyncio

import pytest

from sivr.errors import TooMany
from sivr.services import login_guard
from sivr.services.login_guard import LoginGuard


async def test_one_login_is_tried_one_by_one() -> None:
    guard = LoginGuard()
    inside: list[str] = []

    async def attempt(login: str) -> None:
        async with guard.alone(login):
            assert login.lower() not in inside
            inside.append(login.lower())
            await asyncio.sleep(0.001)
            inside.remove(login.lower())

    await asyncio.gather(*(attempt(login) for login in ("ana", "ANA", "marko") * 2))
    assert guard._locks == {}


async def test_a_crowd_at_one_login_is_refused() -> None:
    guard = LoginGuard()
    release = asyncio.Event()

    async def attempt() -> None:
        async with guard.alone("ana"):
            await release.wait()

    waiting = [asyncio.create_task(attempt()) for _ in range(8)]
    await asyncio.sleep(0)
    with pytest.raises(TooMany):
        await attempt()
    for task in waiting[1:]:
        task.cancel()
    release.set()
    await asyncio.gather(*waiting, return_exceptions=True)
    await attempt()
    assert guard._locks == {}


def test_an_address_that_fails_too_often_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    moment = 1000.0
    monkeypatch.setattr(login_guard.time, "monotonic", lambda: moment)
    guard = LoginGuard()
    for _ in range(99):
        guard.add_failure("192.0.2.1")
    guard.require_quiet("192.0.2.1")
    guard.add_failure("192.0.2.1")
    with pytest.raises(TooMany) as refused:
        guard.require_quiet("192.0.2.1")
    assert refused.value.details == {"retry_after_s": 601}
    guard.require_quiet("192.0.2.2")
    moment += 601
    guard.require_quiet("192.0.2.1")


def test_an_ipv6_host_is_its_network() -> None:
    guard = LoginGuard()
    for number in range(100):
        guard.add_failure(f"2001:db8::{number:x}")
    with pytest.raises(TooMany):
        guard.require_quiet("2001:db8::ffff")
    guard.require_quiet("2001:db8:0:1::1")


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login_guard, "_ADDRESSES_KEPT", 10)
    guard = LoginGuard()
    for number in range(100):
        guard.add_failure(f"192.0.2.{number}")
    assert len(guard._failures) == 10
