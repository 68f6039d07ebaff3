"""The asyncio side of rendering: a bounded queue, worker processes, and who draws what."""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections import Counter, OrderedDict
from types import TracebackType

import numpy as np

from sivr.errors import Canceled, Exhausted, Invalid, SivrError, Unavailable
from sivr.gl.context import PLATFORMS, Platform
from sivr.gl.link import Link, WorkerDied
from sivr.gl.messages import Drawn, Failed, Hello, Job, Rendered
from sivr.gl.source import VolumeSource
from sivr.model.rendering import PlaneView, VolumeView

__all__ = ["RenderFarm", "Rendered"]

log = logging.getLogger("sivr.gl")

STARTS_BEFORE_GIVING_UP = 3
"""Failed starts in a row after which jobs are refused instead of waiting; starting goes on regardless."""
BACKOFF_S = (0.1, 0.5, 2.0, 5.0, 15.0, 30.0)
KEYS_REMEMBERED = 1024


class _Order:
    """A job and who waits for it."""

    def __init__(
        self, number: int, job: Job, draft: bool, view_key: str | None, priority: int, user: str,
        future: asyncio.Future[Rendered],
    ) -> None:  # fmt: skip
        self.number = number
        self.job = job
        self.draft = draft
        self.view_key = view_key
        self.priority = priority
        self.user = user
        self.future = future
        self.retries = 1
        self.since = time.perf_counter()

    def place(self) -> tuple[int, int]:
        """Order of one user's own jobs."""
        return (self.priority, self.number)


class RenderFarm:
    """Draws volumes in ``workers`` processes; an async context manager.

    ``queue_limit`` bounds the jobs that wait, ``texture_budget_bytes`` the textures of each worker. A volume
    stays with one worker, which has its textures. Workers that die are started again, and their job with
    them.
    """

    def __init__(
        self,
        workers: int = 1,
        queue_limit: int = 64,
        texture_budget_bytes: int = 1 << 30,
        platform: str = "auto",
    ) -> None:
        if platform not in PLATFORMS:
            raise Invalid(f"The OpenGL platform must be one of {', '.join(PLATFORMS)}.")
        if workers < 1 or queue_limit < 1 or texture_budget_bytes < 1:
            raise Invalid("A render farm needs at least one worker, one place in its queue and some memory.")
        known: Platform = platform  # type: ignore[assignment]
        self._queue_limit = queue_limit
        self._workers = [
            _Keeper(self, Link(known, device, texture_budget_bytes)) for device in range(workers)
        ]
        self._queue: list[_Order] = []
        self._numbers = itertools.count(1)
        self._owner: OrderedDict[str, _Keeper] = OrderedDict()
        self._changed = asyncio.Condition()
        self._tasks: list[asyncio.Task[None]] = []
        self._closing = False

    async def __aenter__(self) -> RenderFarm:
        self._tasks = [asyncio.create_task(worker.run()) for worker in self._workers]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing = True
        for order in self._queue:
            _fail(order, Unavailable("The server is stopping."))
        self._queue.clear()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def volume(
        self,
        source: VolumeSource,
        view: VolumeView,
        *,
        view_key: str | None = None,
        priority: int = 0,
        user: str = "",
    ) -> Rendered:
        """Draw a volume. Lower ``priority`` goes first; users with equal ones take turns, however many jobs
        each has; of one ``view_key`` only the newest is drawn.

        Canceling the caller cancels the job. Raises Exhausted when the queue is full, Canceled when a
        newer job of the same view took its place, Unavailable when no worker can start, and what drawing
        raises: Invalid, Gone, TooLarge.
        """
        number = next(self._numbers)
        return await self._ask(Job(number, source, volume=view), view.draft, view_key, priority, user)

    async def plane(
        self,
        source: VolumeSource,
        view: PlaneView,
        *,
        view_key: str | None = None,
        priority: int = 0,
        user: str = "",
    ) -> Rendered:
        """Draw a plane through a volume; as ``volume``."""
        number = next(self._numbers)
        return await self._ask(Job(number, source, plane=view), False, view_key, priority, user)

    def forget(self, key: str) -> None:
        """The voxels of this volume go away: drop its textures. Pictures being drawn of it are finished."""
        owner = self._owner.pop(key, None)
        if owner is not None:
            owner.link.forget(key)

    def health(self) -> dict[str, object]:
        """State of the farm; ``reason`` is empty when pictures can be drawn, else one sentence why not."""
        alive = [worker for worker in self._workers if worker.link.hello is not None]
        hello = alive[0].link.hello if alive else None
        problem = next((worker.problem for worker in self._workers if worker.problem), "")
        reason = "" if alive else problem or "The render workers are starting."
        return {
            "reason": reason,
            "renderer": hello.renderer if hello else "",
            "context": hello.way if hello else "",
            "slice_path": hello.slice_path if hello else "cpu",
            "workers": len(self._workers),
            "workers_alive": len(alive),
            "restarts": sum(worker.restarts for worker in self._workers),
            "queue_length": len(self._queue),
        }

    def worker_pids(self) -> list[int]:
        """Process ids of the workers that run."""
        return [pid for worker in self._workers if (pid := worker.link.pid) is not None]

    async def started(self) -> Hello:
        """Wait until a worker can draw; raises Unavailable when none can."""
        async with self._changed:
            await self._changed.wait_for(
                lambda: any(w.link.hello for w in self._workers) or all(w.hopeless for w in self._workers)
            )
        for worker in self._workers:
            if worker.link.hello is not None:
                return worker.link.hello
        raise Unavailable(self._workers[0].problem)

    async def _ask(self, job: Job, draft: bool, view_key: str | None, priority: int, user: str) -> Rendered:
        if self._closing or not self._tasks:
            raise Unavailable("The render workers are stopped.")
        worker = self._worker_for(job.source.key)
        if worker.hopeless:
            raise Unavailable(worker.problem)
        future: asyncio.Future[Rendered] = asyncio.get_running_loop().create_future()
        order = _Order(job.id, job, draft, view_key, priority, user, future)
        self._enqueue(order)
        async with self._changed:
            self._changed.notify_all()
        try:
            return await future
        finally:
            if not future.done() or future.cancelled():
                self._drop(order)

    def _enqueue(self, order: _Order) -> None:
        older = self._older(order.view_key)
        if older is not None:
            # The newer one takes the older one's place, so that fast movers neither starve nor jump the
            # queue.
            self._queue.remove(older)
            order.number = older.number
            _fail(older, Canceled("A newer picture of this view was asked for."))
        elif len(self._queue) >= self._queue_limit:
            raise Exhausted("Too many pictures are being drawn at present; try again in a moment.")
        for worker in self._workers:
            running = worker.running
            same = running is not None and order.view_key and running.view_key == order.view_key
            # Motion ends refinement at once; a draft that is nearly there is let through.
            if running is not None and same and order.draft and not running.draft:
                _fail(running, Canceled("A newer picture of this view was asked for."))
                worker.link.cancel(running.job.id)
        self._queue.append(order)

    def _older(self, view_key: str | None) -> _Order | None:
        if not view_key:
            return None
        return next((order for order in self._queue if order.view_key == view_key), None)

    def _drop(self, order: _Order) -> None:
        """The caller went away."""
        if order in self._queue:
            self._queue.remove(order)
        for worker in self._workers:
            if worker.running is order:
                worker.link.cancel(order.job.id)

    def _worker_for(self, key: str) -> _Keeper:
        owner = self._owner.get(key)
        if owner is None or (owner.hopeless and not all(w.hopeless for w in self._workers)):
            counts = {id(worker): 0 for worker in self._workers}
            for other in self._owner.values():
                counts[id(other)] += 1
            owner = min(
                self._workers, key=lambda worker: (worker.hopeless, worker.load(), counts[id(worker)])
            )
            self._owner[key] = owner
        self._owner.move_to_end(key)
        while len(self._owner) > KEYS_REMEMBERED:
            self._owner.popitem(last=False)
        return owner

    def queued_for(self, worker: _Keeper) -> list[_Order]:
        """Jobs that wait for this worker, in the order they will be drawn."""
        mine = [order for order in self._queue if self._owner.get(order.job.source.key, worker) is worker]
        # Whoever had the latest turn is a turn behind.
        turns = Counter([worker.latest_user])
        place: dict[int, tuple[int, int, int]] = {}
        for order in sorted(mine, key=_Order.place):
            place[order.number] = (order.priority, turns[order.user], order.number)
            turns[order.user] += 1
        return sorted(mine, key=lambda order: place[order.number])

    async def next_for(self, worker: _Keeper) -> _Order:
        """Wait for the next job of a worker and take it from the queue."""
        async with self._changed:
            await self._changed.wait_for(lambda: bool(self.queued_for(worker)))
            order = self.queued_for(worker)[0]
            self._queue.remove(order)
            return order

    def refuse_all_of(self, worker: _Keeper) -> None:
        """Nobody should wait for this worker any more."""
        for order in self.queued_for(worker):
            self._queue.remove(order)
            _fail(order, Unavailable(worker.problem))

    def put_back(self, order: _Order) -> None:
        """A job whose worker died goes first again."""
        self._queue.append(order)

    async def announce(self) -> None:
        """Somebody's state changed."""
        async with self._changed:
            self._changed.notify_all()


class _Keeper:
    """Keeps one worker process running and feeds it."""

    def __init__(self, farm: RenderFarm, link: Link) -> None:
        self._farm = farm
        self.link = link
        self.running: _Order | None = None
        self.latest_user: str | None = None
        self.restarts = 0
        self.problem = ""
        self._failures = 0

    @property
    def hopeless(self) -> bool:
        """Whether it failed to start so often that nobody should wait for it."""
        return self._failures >= STARTS_BEFORE_GIVING_UP

    def load(self) -> int:
        """Jobs waiting and running."""
        return len(self._farm.queued_for(self)) + (self.running is not None)

    async def run(self) -> None:
        """Start, serve, start again; until canceled."""
        try:
            while True:
                try:
                    await self.link.start()
                    self.problem, self._failures = "", 0
                    await self._farm.announce()
                    while True:
                        await self._serve(await self._farm.next_for(self))
                except WorkerDied as death:
                    await self._recover(death)
                except Exception:
                    # A mistake of ours must not leave the jobs of this worker waiting for ever.
                    log.exception("a render worker is started again after an unexpected error")
                    await self._recover(WorkerDied("The render worker made no sense.", True))
        finally:
            if self.running is not None:
                _fail(self.running, Unavailable("The server is stopping."))
            await self.link.stop()

    async def _serve(self, order: _Order) -> None:
        if order.future.done():
            return
        self.running = order
        self.latest_user = order.user
        taken = time.perf_counter()
        try:
            answer, body = await self.link.draw(order.job)
            if order.future.done():
                return
            match answer:
                case Failed():
                    order.future.set_exception(answer.error())
                case Drawn():
                    order.future.set_result(_rendered(answer, body, (taken - order.since) * 1000))
        except WorkerDied:
            self._retry(order)
            raise
        except Exception as error:
            _fail(order, Unavailable(f"The picture cannot be drawn ({type(error).__name__})."))
            raise
        finally:
            self.running = None

    def _retry(self, order: _Order) -> None:
        if order.future.done():
            return
        if order.retries == 0:
            _fail(order, Unavailable("The render worker ended twice while drawing this picture."))
            return
        order.retries -= 1
        self._farm.put_back(order)

    async def _recover(self, death: WorkerDied) -> None:
        await self.link.stop()
        self.restarts += 1
        self.problem = str(death)
        if not death.was_running:
            self._failures += 1
        log.warning("render worker ended", extra={"reason": self.problem, "failed_starts": self._failures})
        if self.hopeless:
            self._farm.refuse_all_of(self)
        await self._farm.announce()
        await asyncio.sleep(BACKOFF_S[min(self._failures, len(BACKOFF_S) - 1)])


def _rendered(answer: Drawn, body: bytes, queue_ms: float) -> Rendered:
    return Rendered(
        pixels=np.frombuffer(body, np.uint8).reshape(answer.shape),
        complete=answer.slices_ready == answer.slices_total and not answer.draft,
        timing_ms={"queue": queue_ms, **answer.timing_ms},
        reduced=answer.reduced,
        slices_ready=answer.slices_ready,
        slices_total=answer.slices_total,
        draft=answer.draft,
    )


def _fail(order: _Order, error: SivrError) -> None:
    if not order.future.done():
        order.future.set_exception(error)
