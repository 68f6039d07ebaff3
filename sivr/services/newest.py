"""Of the requests under one key only the newest matters."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import TypeVar

from sivr.errors import Canceled

T = TypeVar("T")


class Newest:
    """Runs work under keys; a newer call cancels the one before it."""

    def __init__(self) -> None:
        self._running: dict[Hashable, asyncio.Task[object]] = {}

    async def run(self, key: Hashable | None, make: Callable[[], Awaitable[T]]) -> T:
        """Await ``make()``; raises Canceled when a newer call came. Without a key nothing is canceled."""
        if key is None:
            return await make()

        async def work() -> T:
            return await make()

        task = asyncio.get_running_loop().create_task(work())
        older = self._running.get(key)
        self._running[key] = task
        if older is not None:
            older.cancel()
        try:
            return await task
        except asyncio.CancelledError:
            if self._running.get(key) is not task and task.cancelled() and not _being_canceled():
                raise Canceled("A newer picture of this view was asked for.") from None
            raise
        finally:
            if self._running.get(key) is task:
                del self._running[key]


def _being_canceled() -> bool:
    current = asyncio.current_task()
    return current is not None and current.cancelling() > 0
