"""Threads on one ordered queue."""

from __future__ import annotations

import asyncio
import threading

import pytest

from sivr.errors import Exhausted
from sivr.model.importance import Importance
from sivr.services.picture_threads import PictureThreads


async def test_order_of_work() -> None:
    gate, done = threading.Event(), list[str]()
    async with PictureThreads(1, 99) as threads:
        first = asyncio.create_task(threads.run(gate.wait))
        await asyncio.sleep(0)
        tasks = []
        for importance, user, number in (
            (Importance.PREFETCH, "ana", 0),
            (Importance.REFINEMENT, "ana", 1),
            (Importance.REFINEMENT, "ana", 2),
            (Importance.REFINEMENT, "ivo", 3),
            (Importance.INTERACTION, "ana", 4),
        ):
            work = f"{user} {number}"
            tasks.append(
                asyncio.create_task(threads.run(lambda work=work: done.append(work), importance, user))
            )
            await asyncio.sleep(0)
        assert threads.waiting()[Importance.INTERACTION] == 1
        gate.set()
        await asyncio.gather(first, *tasks)
    assert done == ["ana 4", "ana 1", "ivo 3", "ana 2", "ana 0"]


async def test_results_and_errors() -> None:
    async with PictureThreads(2, 99) as threads:
        assert await threads.run(lambda: threading.current_thread().name) in ("picture-0", "picture-1")
        with pytest.raises(ZeroDivisionError):
            await threads.run(lambda: 1 // 0)
        assert await threads.run(lambda: 3) == 3


async def test_who_leaves_is_not_served() -> None:
    gate, done = threading.Event(), list[int]()
    async with PictureThreads(1, 99) as threads:
        first = asyncio.create_task(threads.run(gate.wait))
        second = asyncio.create_task(threads.run(lambda: done.append(2)))
        third = asyncio.create_task(threads.run(lambda: done.append(3)))
        await asyncio.sleep(0)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        gate.set()
        await asyncio.gather(first, third)
    assert done == [3]


async def test_the_less_important_are_refused_first() -> None:
    gate = threading.Event()
    async with PictureThreads(1, 2) as threads:
        first = asyncio.create_task(threads.run(gate.wait))
        await asyncio.sleep(0)
        while threads.waiting()[Importance.REFINEMENT]:
            await asyncio.sleep(0.001)
        many = [asyncio.create_task(threads.run(lambda: 1)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(Exhausted):
            await threads.run(lambda: 1)
        moved = asyncio.create_task(threads.run(lambda: 2, Importance.INTERACTION))
        await asyncio.sleep(0)
        assert threads.refused == 1
        assert threads.waiting()[Importance.INTERACTION] == 1
        gate.set()
        assert await asyncio.gather(first, *many, moved) == [True, 1, 1, 2]


async def test_leaving_cancels_what_waits() -> None:
    gate = threading.Event()
    async with PictureThreads(1, 9) as threads:
        first = asyncio.create_task(threads.run(gate.wait))
        waiting = asyncio.create_task(threads.run(lambda: 1))
        while threads.waiting()[Importance.REFINEMENT] != 1:
            await asyncio.sleep(0.001)
        asyncio.get_running_loop().call_later(0.05, gate.set)
    await first
    with pytest.raises(asyncio.CancelledError):
        await waiting
