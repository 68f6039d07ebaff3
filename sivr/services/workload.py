"""What is being made on a node at present, so that what is less important can wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from sivr.model.importance import Importance

PEOPLE = (Importance.INTERACTION, Importance.REFINEMENT)
"""What people wait for."""


class Workload:
    """Counts the pictures being made, by class; of one event loop."""

    def __init__(self) -> None:
        self._counts = [0] * len(Importance)
        self._calm = asyncio.Event()
        self._calm.set()
        self._quiet = asyncio.Event()
        self._quiet.set()

    @contextmanager
    def of(self, importance: Importance) -> Iterator[None]:
        """Something of this class is waited for inside the context."""
        self._counts[importance] += 1
        self._note()
        try:
            yield
        finally:
            self._counts[importance] -= 1
            self._note()

    def count(self, importance: Importance) -> int:
        """How many of this class are being made or wait."""
        return self._counts[importance]

    def _note(self) -> None:
        for event, classes in ((self._calm, (Importance.INTERACTION,)), (self._quiet, PEOPLE)):
            if any(self._counts[one] for one in classes):
                event.clear()
            else:
                event.set()

    async def calm(self, at_most_s: float) -> bool:
        """Wait until nobody waits for what he moves, but no longer than this; False when somebody still
        does."""
        return await _until(self._calm, at_most_s)

    async def quiet(self, at_most_s: float) -> bool:
        """Wait until nobody waits for a picture, but no longer than this; False when somebody still does."""
        return await _until(self._quiet, at_most_s)


async def _until(event: asyncio.Event, at_most_s: float) -> bool:
    if event.is_set():
        return True
    try:
        async with asyncio.timeout(at_most_s):
            await event.wait()
    except TimeoutError:
        return False
    return True
