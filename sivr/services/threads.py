"""Work in threads that must not be left half way, and tasks that go on beside everything else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, ParamSpec, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")


async def finished(call: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """As ``asyncio.to_thread``, but a cancel is heard only when the thread is done.

    A thread cannot be stopped; who cancels and goes on with the same file would share it with that thread.
    """
    running = asyncio.ensure_future(asyncio.to_thread(call, *args, **kwargs))
    canceled: asyncio.CancelledError | None = None
    while not running.done():
        try:
            await asyncio.shield(running)
        except asyncio.CancelledError as error:
            canceled = error
        except Exception:
            # Raised below, by its own result.
            break
    if canceled is not None:
        if not running.cancelled():
            running.exception()
        raise canceled
    return running.result()


@asynccontextmanager
async def background(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """The work goes on in a task of its own until the context ends."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
