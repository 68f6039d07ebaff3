"""Waiting for a moment in which nobody waits."""

from __future__ import annotations

import asyncio

from sivr.model.importance import Importance
from sivr.services.workload import Workload


async def test_calm_comes_when_the_last_has_his_picture() -> None:
    workload = Workload()
    assert await workload.calm(60)
    with workload.of(Importance.REFINEMENT):
        assert await workload.calm(60)
    with workload.of(Importance.INTERACTION):
        with workload.of(Importance.INTERACTION):
            waiting = asyncio.create_task(workload.calm(60))
            await asyncio.sleep(0)
        assert workload.count(Importance.INTERACTION) == 1
        await asyncio.sleep(0)
        assert not waiting.done()
    assert await waiting is True


async def test_patience_ends() -> None:
    workload = Workload()
    with workload.of(Importance.INTERACTION):
        assert await workload.calm(0.01) is False


async def test_it_is_quiet_when_nobody_waits_for_a_picture() -> None:
    workload = Workload()
    with workload.of(Importance.REFINEMENT):
        assert await workload.quiet(0.01) is False
        assert await workload.calm(0.01) is True
    with workload.of(Importance.INTERACTION):
        assert await workload.quiet(0.01) is False
    with workload.of(Importance.INDEXING):
        assert await workload.quiet(0.01) is True
