"""Threads that decode: what somebody waits for goes first, the rest fills the gaps."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import Any, Generic, TypeVar

import msgspec

from sivr.model.importance import Importance
from sivr.services.turns import Turns

T = TypeVar("T")

BATCH_S = 0.008
"""How long a thread works before it asks again: what is urgent waits so long, and each time
a thread has to be waked."""
MAX_BATCH = 16


class Unit(msgspec.Struct, Generic[T], frozen=True, eq=False):
    """One piece of background work: ``work`` in a thread, then ``done`` with its result on the event loop."""

    work: Callable[[], T]
    done: Callable[[T], None]


class DecodePool:
    """A bounded number of threads, fed by urgent calls first, the most important before the others, and by
    ``background`` when there are none.

    ``background`` is asked on the event loop for the next units (at most so many) and answers with an empty
    list when there is nothing to do; ``wake`` makes the pool ask again. ``work`` must not raise.
    """

    def __init__(self, threads: int, background: Callable[[int], list[Unit[Any]]]) -> None:
        self._threads = threads
        self._free = threads
        self._background = background
        self._urgent: Turns[tuple[Callable[[], Any], asyncio.Future[Any]]] = Turns()
        self.done: Counter[Importance] = Counter()
        """Frames and slices made since the beginning, by class."""
        self._unit_s = BATCH_S / 8
        self._executor: ThreadPoolExecutor | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def __aenter__(self) -> DecodePool:
        self._loop = asyncio.get_running_loop()
        self._executor = ThreadPoolExecutor(self._threads, thread_name_prefix="decode")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        executor, self._executor = self._executor, None
        for _, future in self._urgent.clear():
            future.cancel()
        if executor is not None:
            await asyncio.to_thread(executor.shutdown, wait=True, cancel_futures=True)

    def waiting(self) -> dict[Importance, int]:
        """Urgent calls not yet begun, by class."""
        return {importance: self._urgent.waiting(importance) for importance in Importance}

    def urgent(
        self, work: Callable[[], T], importance: Importance = Importance.REFINEMENT, user: str = ""
    ) -> asyncio.Future[T]:
        """Run ``work`` as soon as a thread is free: the more important first, users in turn. Canceling the
        future before takes it off the queue."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        item = (work, future)
        self._urgent.put(item, importance, user)

        def gone(done: asyncio.Future[T]) -> None:
            if done.cancelled():
                self._urgent.remove(item, importance, user)
            else:
                self.done[importance] += 1

        future.add_done_callback(gone)
        self.wake()
        return future

    def wake(self) -> None:
        """Give free threads something to do."""
        while self._free and self._executor is not None:
            if self._urgent:
                work, future = self._urgent.take()
                # Canceled, but its callback has not been called yet.
                if not future.cancelled():
                    self._submit([Unit(work, partial(_resolve, future))], future)
                continue
            units = self._background(max(1, min(MAX_BATCH, int(BATCH_S / self._unit_s))))
            if not units:
                return
            self._submit(units, None)

    def _submit(self, units: list[Unit[Any]], future: asyncio.Future[Any] | None) -> None:
        assert self._executor is not None and self._loop is not None
        self._free -= 1
        loop = self._loop

        def run() -> None:
            started = time.perf_counter()
            results: list[Any] = []
            failure: BaseException | None = None
            try:
                results.extend(unit.work() for unit in units)
            except BaseException as error:
                failure = error
            spent = time.perf_counter() - started
            try:
                loop.call_soon_threadsafe(self._finish, units, results, failure, future, spent)
            except RuntimeError:
                # The loop is closed: nobody is left to be told.
                return

        self._executor.submit(run)

    def _finish(
        self,
        units: list[Unit[Any]],
        results: list[Any],
        failure: BaseException | None,
        future: asyncio.Future[Any] | None,
        spent: float,
    ) -> None:
        self._free += 1
        if future is None:
            self.done[Importance.PREFETCH] += len(results)
            self._unit_s = 0.8 * self._unit_s + 0.2 * max(1e-5, spent / len(units))
        for unit, result in zip(units, results, strict=False):
            unit.done(result)
        if failure is not None:
            if future is not None and not future.done():
                future.set_exception(failure)
            elif future is None:
                asyncio.get_running_loop().call_exception_handler(
                    {"message": "background decoding failed", "exception": failure}
                )
        self.wake()


def _resolve(future: asyncio.Future[T], result: T) -> None:
    if not future.done():
        future.set_result(result)
