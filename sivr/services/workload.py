"""What is being made on a node at present, so that what is less important can wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from sivr.model.importance import Importance


class Workload:
    """Counts the pictures being made, by class; of one event loop."""

    def __init__(self) -> None:
        self._counts = [0] * len(Importance)
        self._calm = asyncio.Event()
        self._calm.set()

    @contextmanager
    def of(self, importance: Importance) -> Iterator[None]:
        """Something of this class is waited for inside the context."""
        self._counts[importance] += 1
        if importance is Importance.INTERACTION:
            self._calm.clear()
        try:
            yield
        finally:
            self._counts[importance] -= 1
            if not self._counts[Importance.INTERACTION]:
                self._calm.set()

    def count(self, importance: Importance) -> int:
        """How many of this class are being made or wait."""
        return self._counts[importance]

    async def calm(self, at_most_s: float) -> bool:
        """Wait until nobody waits for what he moves, but no longer than this; False when somebody still
        does."""
        if self._calm.is_set():
            return True
        try:
            async with asyncio.timeout(at_most_s):
                await self._calm.wait()
        except TimeoutError:
            return False
        return True
