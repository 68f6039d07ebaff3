"""Threads that make pictures: the most important next, users in turn."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from types import TracebackType
from typing import Any, TypeVar

from sivr.errors import Exhausted
from sivr.model.importance import Importance
from sivr.services.turns import Turns

T = TypeVar("T")
_Work = tuple[Callable[[], Any], "asyncio.Future[Any]"]


class PictureThreads:
    """A bounded number of threads on one ordered queue; an async context manager.

    ``limit`` bounds the calls that wait; what is more important is refused later than what is less.
    """

    def __init__(self, threads: int, limit: int) -> None:
        self.count = threads
        self._limit = limit
        self._turns: Turns[_Work] = Turns()
        self._lock = threading.Lock()
        # One token for each call that waits, and one for each thread to end by.
        self._tokens: SimpleQueue[bool] = SimpleQueue()
        self._threads = [
            threading.Thread(target=self._run, name=f"picture-{number}", daemon=True)
            for number in range(threads)
        ]
        self._loop: asyncio.AbstractEventLoop | None = None
        self.refused = 0

    async def __aenter__(self) -> PictureThreads:
        self._loop = asyncio.get_running_loop()
        for thread in self._threads:
            thread.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            left = self._turns.clear()
        for _, future in left:
            future.cancel()
        for _ in self._threads:
            self._tokens.put(False)
        for thread in self._threads:
            await asyncio.to_thread(thread.join)

    def waiting(self) -> dict[Importance, int]:
        """Calls not yet begun, by class."""
        return {importance: self._turns.waiting(importance) for importance in Importance}

    async def run(
        self, work: Callable[[], T], importance: Importance = Importance.REFINEMENT, user: str = ""
    ) -> T:
        """The result of ``work``; canceling the caller takes it off the queue. Raises Exhausted when too much
        waits that is at least so important."""
        assert self._loop is not None
        future: asyncio.Future[T] = self._loop.create_future()
        item = (work, future)
        with self._lock:
            if self._turns.before(importance) >= self._limit:
                self.refused += 1
                raise Exhausted("The server is busy; please ask again.", {"retry_after_s": 1})
            self._turns.put(item, importance, user)
        self._tokens.put(True)
        try:
            return await future
        except asyncio.CancelledError:
            with self._lock:
                self._turns.remove(item, importance, user)
            raise

    def _run(self) -> None:
        while self._tokens.get():
            with self._lock:
                if not len(self._turns):
                    # Whoever put this token was canceled.
                    continue
                work, future = self._turns.take()
            result, failure = None, None
            try:
                result = work()
            except BaseException as error:
                failure = error
            assert self._loop is not None
            try:
                self._loop.call_soon_threadsafe(_settle, future, result, failure)
            except RuntimeError:
                # The loop is closed: nobody is left to be told.
                return
            # Nothing of a picture is kept while there is nothing to do.
            del work, future, result, failure


def _settle(future: asyncio.Future[Any], result: Any, failure: BaseException | None) -> None:
    if future.done():
        return
    if failure is not None:
        future.set_exception(failure)
    else:
        future.set_result(result)
