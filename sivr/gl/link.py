"""One worker process as seen from asyncio: start it, speak to it, notice when it is gone."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import signal
import threading
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any

from sivr.gl import messages
from sivr.gl.attempt import CANCELED, PAUSED
from sivr.gl.messages import (
    Discard,
    Drawn,
    Failed,
    Forget,
    Hello,
    Job,
    Paused,
    Refusal,
    Stop,
    ToWorker,
)
from sivr.gl.seat import Seat
from sivr.gl.worker import main

START_S = 120.0
"""A worker that has not said hello by then is not starting (its first start compiles kernels)."""
DRAW_S = 120.0
"""A picture that takes longer will not come: the device hangs."""
STOP_S = 2.0


class WorkerDied(Exception):
    """The process ended, hangs, or never could draw."""

    def __init__(self, reason: str, was_running: bool) -> None:
        super().__init__(reason)
        self.was_running = was_running
        """False when it died before it could draw."""


class Link:
    """A worker process and the pipe to it."""

    def __init__(self, seat: Seat, turn: Any) -> None:
        self._seat = seat
        self._turn = turn
        self._process: SpawnProcess | None = None
        self._pipe: Connection | None = None
        self._flags: Any = None
        self._inbox: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.hello: Hello | None = None
        """What the worker said when it was ready; None while it is not."""

    @property
    def pid(self) -> int | None:
        """Of the running process."""
        return self._process.pid if self._process is not None else None

    async def start(self) -> Hello:
        """Start the process and wait until it can draw; raises WorkerDied."""
        self._inbox = asyncio.Queue()
        loop = asyncio.get_running_loop()
        starting = loop.run_in_executor(None, self._spawn)
        try:
            await asyncio.shield(starting)
        except asyncio.CancelledError:
            # The process must be known before it can be stopped.
            await asyncio.wait([starting])
            raise
        except OSError as error:
            raise WorkerDied(f"No render worker can be started ({error.strerror}).", False) from error
        assert self._pipe is not None
        reader = threading.Thread(
            target=_read, args=(self._pipe, loop, self._inbox), name="sivr-gl-reader", daemon=True
        )
        reader.start()
        try:
            first = messages.decode_from_worker(await self._receive(START_S, "did not start in time"))
        except WorkerDied as death:
            raise WorkerDied(str(death), False) from None
        if isinstance(first, Refusal):
            raise WorkerDied(first.reason, False)
        assert isinstance(first, Hello)
        self.hello = first
        return first

    async def draw(self, job: Job) -> tuple[Drawn | Failed | Paused, bytes]:
        """Have a job done, or put aside; raises WorkerDied."""
        self._send(job)
        while True:
            answer = messages.decode_from_worker(await self._receive(DRAW_S, "hung while drawing"))
            body = b""
            if isinstance(answer, Drawn):
                body = await self._receive(DRAW_S, "hung while answering")
            if isinstance(answer, Drawn | Failed | Paused) and answer.id == job.id:
                return answer, body

    def cancel(self, job: int) -> None:
        """Have the job that runs given up after the tile that is being drawn."""
        if self._flags is not None:
            self._flags[CANCELED] = job

    def pause(self, job: int) -> None:
        """Have the job that runs put aside after the tile that is being drawn."""
        if self._flags is not None:
            self._flags[PAUSED] = job

    def resume(self, job: int) -> None:
        """A job that was put aside is about to be given again."""
        if self._flags is not None and self._flags[PAUSED] == job:
            self._flags[PAUSED] = 0

    def discard(self, job: int) -> None:
        """Tell the worker that a job it has put aside will not be asked for again."""
        with contextlib.suppress(WorkerDied):
            self._send(Discard(job))

    def forget(self, key: str) -> None:
        """Tell the worker that a volume goes away."""
        with contextlib.suppress(WorkerDied):
            self._send(Forget(key))

    async def stop(self) -> None:
        """End the process, gently first; never raises."""
        process, pipe = self._process, self._pipe
        self._process = self._pipe = self.hello = None
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.send_bytes(messages.encode(Stop()))
        if process is not None:
            await asyncio.shield(asyncio.to_thread(_end, process))
        if pipe is not None:
            pipe.close()

    def _spawn(self) -> None:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        flags = context.RawArray("Q", 2)
        process = context.Process(
            target=main,
            args=(theirs, flags, self._turn, self._seat),
            name=f"sivr-gl-{self._seat.number}",
            daemon=True,
        )
        # Signals blocked here stay blocked in the child until it has arranged for them itself; a Ctrl-C while
        # it imports would end it with a traceback otherwise. The mask is this thread's own.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            process.start()
        except BaseException:
            ours.close()
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            theirs.close()
        self._process, self._pipe, self._flags = process, ours, flags

    def _send(self, message: ToWorker) -> None:
        if self._pipe is None:
            return
        try:
            self._pipe.send_bytes(messages.encode(message))
        except (OSError, ValueError) as error:
            raise WorkerDied("The render worker ended.", True) from error

    async def _receive(self, timeout_s: float, problem: str) -> bytes:
        try:
            async with asyncio.timeout(timeout_s):
                body = await self._inbox.get()
        except TimeoutError:
            raise WorkerDied(f"The render worker {problem}.", True) from None
        if body is None:
            raise WorkerDied("The render worker ended.", True)
        return body


def _read(pipe: Connection, loop: asyncio.AbstractEventLoop, inbox: asyncio.Queue[bytes | None]) -> None:
    """Thread: what the worker says goes to the event loop; None at the end."""
    # The loop may be closed before the pipe is: nobody listens then.
    with contextlib.suppress(RuntimeError):
        try:
            while True:
                body = pipe.recv_bytes()
                loop.call_soon_threadsafe(inbox.put_nowait, body)
        except (EOFError, OSError, TypeError):
            # TypeError: the connection was closed by this process while the thread waited.
            loop.call_soon_threadsafe(inbox.put_nowait, None)


def _end(process: SpawnProcess) -> None:
    process.join(STOP_S)
    if process.is_alive():
        process.kill()
        process.join()
    process.close()
