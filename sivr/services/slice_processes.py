"""The processes that make pictures of frames, as seen from the event loop (decision 0010).

A thread would share the interpreter's lock with the event loop, and the two would spend more on taking turns
than a slice takes to make. Threads remain for all else: what is large, rare, or at fault, and while nobody
asks for much: the processes are started when pictures are wanted one after the other.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import multiprocessing
import signal
import socket
import time
from collections import deque
from collections.abc import Callable
from multiprocessing.context import SpawnProcess
from types import TracebackType

import msgspec
import numpy as np

from sivr.errors import SivrError
from sivr.model.parameters import Parameters
from sivr.model.pixels import Window
from sivr.model.studies import InstanceHeader
from sivr.services.open_series import Array
from sivr.services.segments import Segment
from sivr.services.slice_process import (
    MESSAGE_BYTES,
    SLOT_BYTES,
    SLOTS,
    ForgetSegment,
    Ready,
    SliceJob,
    SliceMade,
    decode_answer,
    encode_order,
    main,
)

log = logging.getLogger("sivr.slices")

BEGIN_AFTER = 24
"""Pictures within a second after which processes are worth their start."""
QUEUE_LIMIT = 256
RESTART_S = 30.0
STOP_S = 2.0


class Made(msgspec.Struct, frozen=True):
    """An encoded picture."""

    body: bytes
    width: int
    height: int
    color: bool
    timing_ms: dict[str, float]


class SliceProcesses:
    """``count`` processes, an async context manager; 0 for none. ``prefix`` names their shared memory."""

    def __init__(self, prefix: str, count: int, begin_after: int = BEGIN_AFTER) -> None:
        self._prefix = prefix
        self._begin_after = begin_after
        self._asked: deque[float] = deque(maxlen=max(1, begin_after))
        self._processes = [_Process(prefix, self._freed) for _ in range(count)]
        self._waiting: deque[tuple[asyncio.Future[Made | None], SliceJob, Array | None, float]] = deque()
        self._starting: set[asyncio.Task[None]] = set()
        self._numbers = 0

    async def __aenter__(self) -> SliceProcesses:
        if self._begin_after == 0:
            await self._start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._starting:
            task.cancel()
        await asyncio.gather(*self._starting, return_exceptions=True)
        for future, *_ in self._waiting:
            future.cancel()
        self._waiting.clear()
        await asyncio.gather(*(one.stop() for one in self._processes))

    @property
    def running(self) -> int:
        """Processes that can work."""
        return sum(one.ready for one in self._processes)

    @property
    def pids(self) -> tuple[int, ...]:
        """Of the processes that were started and are not known to have ended."""
        return tuple(one.pid for one in self._processes if one.pid is not None)

    def forget(self, segment: str) -> None:
        """A segment goes away."""
        for one in self._processes:
            one.forget(segment)

    async def make(
        self,
        header: InstanceHeader,
        number: int,
        values: Array,
        segment: Segment | None,
        k: int,
        window: Window | None,
        given: Parameters,
        media_type: str,
    ) -> Made | None:
        """A picture of frame ``number`` (from 0), as ``slices.shown`` and ``in_viewport`` make it.

        ``values`` are its stored values, slice ``k`` of ``segment`` where that is given. None where no
        process makes it: whoever asks does it in a thread then, and learns what is wrong with it.
        """
        self._note()
        if segment is not None:
            # A volume may hold wider values than the file, and they are read as they lie there.
            values = segment.voxels[k]
        form = header.pixel_format
        viewport = given.viewport
        pixels = values.size if viewport is None else viewport.width * viewport.height
        if form is None or not self.running or max(values.nbytes, 3 * pixels) > SLOT_BYTES:
            return None
        if len(self._waiting) >= QUEUE_LIMIT:
            # The threads' queue is bounded too, and refuses when it is full.
            return None
        self._numbers += 1
        job = SliceJob(
            self._numbers, 0, segment.name if segment else "", k * values.nbytes if segment else 0,
            values.dtype.str, values.shape, form, header.frames[number].display, window, given.invert,
            viewport, media_type, given.quality, given.coloring, given.interpolation,
        )  # fmt: skip
        future: asyncio.Future[Made | None] = asyncio.get_running_loop().create_future()
        self._waiting.append((future, job, None if segment else values, time.perf_counter()))
        self._freed()
        return await future

    def _note(self) -> None:
        """Begin when pictures are asked for one after the other."""
        now = time.monotonic()
        if self._starting or all(one.alive or now - one.ended_at < RESTART_S for one in self._processes):
            return
        self._asked.append(now)
        if len(self._asked) >= self._begin_after and now - self._asked[0] <= 1.0:
            task = asyncio.get_running_loop().create_task(self._start())
            self._starting.add(task)
            task.add_done_callback(self._starting.discard)

    async def _start(self) -> None:
        for one in self._processes:
            if not one.alive:
                try:
                    await one.start()
                except (OSError, SivrError) as error:
                    log.warning("slices are made in threads", extra={"reason": str(error)})
                    one.ended_at = time.monotonic()

    def _freed(self) -> None:
        """Hand out what waits, to whoever has least to do."""
        while self._waiting:
            free = [one for one in self._processes if one.ready and one.room]
            if not free:
                if not self.running:
                    while self._waiting:
                        _settle(self._waiting.popleft()[0], None)
                return
            future, job, values, since = self._waiting.popleft()
            if not future.done():
                max(free, key=lambda one: one.room).give(future, job, values, since)


class _Process:
    """One process, its socket and its slots."""

    def __init__(self, prefix: str, freed: Callable[[], None]) -> None:
        self._prefix = prefix
        self._freed = freed
        self._process: SpawnProcess | None = None
        self._socket: socket.socket | None = None
        self._slots: Segment | None = None
        self._given: dict[int, tuple[asyncio.Future[Made | None], int, float]] = {}
        self._free: list[int] = []
        self.ready = False
        self.ended_at = -RESTART_S

    @property
    def alive(self) -> bool:
        """Whether it was started and has not been noticed to have ended."""
        return self._process is not None

    @property
    def pid(self) -> int | None:
        """Its number while it is alive."""
        return self._process.pid if self._process is not None else None

    @property
    def room(self) -> int:
        """Jobs it may be given."""
        return len(self._free)

    async def start(self) -> None:
        """Start it; it says itself when it is ready. Raises OSError, Exhausted."""
        await asyncio.to_thread(self._spawn)
        assert self._socket is not None
        asyncio.get_running_loop().add_reader(self._socket, self._hear)

    def _spawn(self) -> None:
        slots = Segment(self._prefix, (1, SLOTS, 2 * SLOT_BYTES), np.uint8, mapped=True)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        context = multiprocessing.get_context("spawn")
        process = context.Process(target=main, args=(theirs, slots.name), name="sivr-slices", daemon=True)
        # Blocked here, Ctrl-C stays blocked in the child until it has arranged for it itself.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            process.start()
        except BaseException:
            ours.close()
            slots.close()
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            theirs.close()
        ours.setblocking(False)
        self._process, self._socket, self._slots = process, ours, slots

    def give(
        self, future: asyncio.Future[Made | None], job: SliceJob, values: Array | None, since: float
    ) -> None:
        """Have a job done; where it cannot be sent the future is None at once."""
        assert self._socket is not None and self._slots is not None
        slot = self._free.pop()
        if values is not None:
            room = self._slots.voxels[0, slot, : values.nbytes]
            np.copyto(room.view(values.dtype).reshape(values.shape), values)
        body = encode_order(msgspec.structs.replace(job, slot=slot))
        queue_ms = (time.perf_counter() - since) * 1000
        try:
            if len(body) > MESSAGE_BYTES:
                raise BlockingIOError
            self._socket.send(body)
        except OSError:
            self._free.append(slot)
            _settle(future, None)
            return
        self._given[job.id] = (future, slot, queue_ms)

    def forget(self, segment: str) -> None:
        """Have a segment unmapped."""
        if self._socket is not None and self.ready:
            with contextlib.suppress(OSError):
                self._socket.send(encode_order(ForgetSegment(segment)))

    def _hear(self) -> None:
        assert self._socket is not None
        try:
            body = self._socket.recv(MESSAGE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            body = b""
        if not body:
            self._over()
            return
        answer = decode_answer(body)
        if isinstance(answer, Ready):
            self._free = list(range(SLOTS))
            self.ready = True
        else:
            future, slot, queue_ms = self._given.pop(answer.id)
            self._free.append(slot)
            _settle(future, self._made(answer, slot, queue_ms) if isinstance(answer, SliceMade) else None)
        self._freed()

    def _made(self, answer: SliceMade, slot: int, queue_ms: float) -> Made:
        assert self._slots is not None
        body = self._slots.voxels[0, slot, SLOT_BYTES : SLOT_BYTES + answer.size].tobytes()
        timing = {"queue": queue_ms, "render": answer.render_ms, "encode": answer.encode_ms}
        return Made(body, answer.width, answer.height, answer.color, timing)

    def _over(self) -> None:
        """The process ended."""
        log.warning("a process that makes slices ended")
        self._close()
        self.ended_at = time.monotonic()
        for future, *_ in self._given.values():
            _settle(future, None)
        self._given.clear()
        self._freed()

    def _close(self) -> None:
        self.ready = False
        self._free = []
        self._process = None
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None
        if self._slots is not None:
            self._slots.close()
            self._slots = None

    async def stop(self) -> None:
        """End the process."""
        process = self._process
        self._close()
        for future, *_ in self._given.values():
            future.cancel()
        self._given.clear()
        if process is not None:
            await asyncio.shield(asyncio.to_thread(_end, process))


def _end(process: SpawnProcess) -> None:
    process.join(STOP_S)
    if process.is_alive():
        process.kill()
        process.join()
    process.close()


def _settle(future: asyncio.Future[Made | None], made: Made | None) -> None:
    if not future.done():
        future.set_result(made)
