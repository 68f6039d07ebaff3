"""The decode pool: urgent first, background in the gaps, nothing lost."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from sivr.model.importance import Importance
from sivr.services.decoding import DecodePool, Unit


async def test_urgent_work_goes_before_background() -> None:
    order: list[str] = []
    gate = threading.Event()
    left = [f"background {n}" for n in range(20)]

    def background(most: int) -> list[Unit[Any]]:
        if not left:
            return []
        name = left.pop(0)
        return [Unit(lambda: order.append(name), lambda _: None)]

    async with DecodePool(1, background) as pool:
        first = pool.urgent(gate.wait)
        urgent = [pool.urgent(lambda n=n: order.append(f"urgent {n}")) for n in range(3)]
        gate.set()
        await asyncio.gather(first, *urgent)
        while left:
            await asyncio.sleep(0.01)
    assert order[:3] == ["urgent 0", "urgent 1", "urgent 2"]
    assert sorted(order[3:]) == sorted(f"background {n}" for n in range(20))


async def test_canceled_urgent_work_never_begins() -> None:
    gate = threading.Event()
    done: list[int] = []
    async with DecodePool(1, lambda most: []) as pool:
        first = pool.urgent(gate.wait)
        second = pool.urgent(lambda: done.append(2))
        third = pool.urgent(lambda: done.append(3))
        second.cancel()
        gate.set()
        await first
        await third
    assert done == [3]


async def test_the_more_important_first_and_users_in_turn() -> None:
    done: list[str] = []
    gate = threading.Event()
    async with DecodePool(1, lambda most: []) as pool:
        first = pool.urgent(gate.wait)
        asked = [
            pool.urgent(lambda name=f"{user}{number}": done.append(name), importance, user)
            for number, (importance, user) in enumerate(
                [
                    (Importance.PREFETCH, "ana"),
                    (Importance.REFINEMENT, "ana"),
                    (Importance.REFINEMENT, "ana"),
                    (Importance.REFINEMENT, "ivo"),
                    (Importance.INTERACTION, "eva"),
                ]
            )
        ]
        assert pool.waiting()[Importance.REFINEMENT] == 3
        gate.set()
        await asyncio.gather(first, *asked)
        assert pool.done[Importance.REFINEMENT] == 4
    assert done == ["eva4", "ana1", "ivo3", "ana2", "ana0"]


async def test_an_error_reaches_who_waits_and_the_pool_goes_on() -> None:
    async with DecodePool(2, lambda most: []) as pool:
        with pytest.raises(ZeroDivisionError):
            await pool.urgent(lambda: 1 // 0)
        assert await pool.urgent(lambda: 5) == 5


async def test_leaving_cancels_what_waits() -> None:
    gate = threading.Event()
    async with DecodePool(1, lambda most: []) as pool:
        running = pool.urgent(gate.wait)
        waiting = pool.urgent(lambda: 1)
        await asyncio.sleep(0)
        gate.set()
    assert waiting.cancelled()
    await running
