"""Newest wins under one key; others are left alone."""

from __future__ import annotations

import asyncio

import pytest

from sivr.errors import Canceled
from sivr.services.newest import Newest


async def test_a_newer_call_cancels_the_older() -> None:
    newest = Newest()
    forever = asyncio.Event()

    async def old() -> bool:
        return await forever.wait()

    async def new() -> int:
        return 2

    first = asyncio.create_task(newest.run("view", old))
    other = asyncio.create_task(newest.run("other", old))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert await newest.run("view", new) == 2
    with pytest.raises(Canceled):
        await first
    assert not other.done()
    forever.set()
    assert await other is True


async def test_a_caller_who_leaves_is_canceled_not_answered() -> None:
    newest = Newest()
    forever = asyncio.Event()
    task = asyncio.create_task(newest.run("view", forever.wait))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_without_a_key_nothing_is_canceled() -> None:
    newest = Newest()
    gate = asyncio.Event()
    tasks = [asyncio.create_task(newest.run(None, gate.wait)) for _ in range(3)]
    await asyncio.sleep(0)
    gate.set()
    assert await asyncio.gather(*tasks) == [True, True, True]
