"""A cancel is heard when the thread is done, not before."""

from __future__ import annotations

import asyncio
import threading

import pytest

from sivr.services.threads import finished


async def test_result_and_error() -> None:
    assert await finished(divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        await finished(divmod, 1, 0)


@pytest.mark.parametrize("fails", [False, True])
async def test_cancel_waits(fails: bool) -> None:
    go, began = threading.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    ended = False

    def work() -> None:
        nonlocal ended
        loop.call_soon_threadsafe(began.set)
        go.wait()
        ended = True
        if fails:
            raise ValueError

    task = asyncio.create_task(finished(work))
    await began.wait()
    for _ in range(3):
        # Also when canceled time and again.
        task.cancel()
        for _ in range(5):
            await asyncio.sleep(0)
        assert not task.done()
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended
