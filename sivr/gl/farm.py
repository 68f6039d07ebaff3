"""The asyncio side of rendering: a bounded queue, worker processes, and who draws what."""

from __future__ import annotations

import asyncio
import itertools
import logging
import multiprocessing
import time
from collections import Counter, OrderedDict
from types import TracebackType

import msgspec
import numpy as np

from sivr.errors import Canceled, Exhausted, Invalid, SivrError, Unavailable
from sivr.gl.context import PLATFORMS, Platform
from sivr.gl.devices import DeviceChoice, parse_choice
from sivr.gl.link import Link, WorkerDied
from sivr.gl.messages import Drawn, Failed, Hello, Job, Paused, Rendered
from sivr.gl.pick import Picked, found_in
from sivr.gl.seat import Seat
from sivr.gl.source import VolumeSource
from sivr.model.importance import Importance
from sivr.model.rendering import PlaneView, VolumeView

__all__ = ["RenderFarm", "Rendered"]

log = logging.getLogger("sivr.gl")

STARTS_BEFORE_GIVING_UP = 3
"""Failed starts in a row after which jobs are refused instead of waiting; starting goes on regardless."""
BACKOFF_S = (0.1, 0.5, 2.0, 5.0, 15.0, 30.0)
KEYS_REMEMBERED = 1024
MUCH_BUSIER = 8
"""Pictures of other volumes that must wait for a worker before it loses one to a worker with none."""
MOST_INTERRUPTIONS = 32
"""So often a picture may be put aside for what is more important; then it is finished first."""
PATIENCE_S = 5.0
"""A picture that waits for longer is drawn as if somebody moved its view, and not put aside any more."""


class Tally(msgspec.Struct):
    """What a farm has done since it began."""

    drawn: int = 0
    canceled_waiting: int = 0
    """Pictures nobody waited for any more before they were begun."""
    canceled_running: int = 0
    """Pictures given up half way."""
    interrupted: int = 0
    """Times a picture was put aside for something more important."""
    refused: int = 0
    """Pictures there was no room for in the queue."""
    rows_spared: int = 0
    """Rows of pictures given up that were not drawn."""


class _Order:
    """A job and who waits for it."""

    def __init__(
        self, number: int, job: Job, view_key: str | None, importance: Importance, user: str,
        future: asyncio.Future[Rendered],
    ) -> None:  # fmt: skip
        self.number = number
        self.job = job
        self.view_key = view_key
        self.importance = importance
        self.user = user
        self.future = future
        self.retries = 1
        self.since = self.waits_since = time.perf_counter()
        self.waited_s = 0.0
        self.interruptions = 0
        self.kept_by: _Keeper | None = None
        """Whose worker has put it aside."""


class RenderFarm:
    """Draws volumes in ``workers`` processes; an async context manager.

    ``queue_limit`` bounds the jobs that wait, ``texture_budget_bytes`` the textures of each worker on the
    processor, ``device_budget_bytes`` those of all workers on one graphics device (None: a share of what it
    has). A volume stays with one worker, which has its textures. Workers that die are started again, and
    their job with them.

    A picture that is more important than the one its worker draws interrupts it; that one is gone on with
    afterwards, where it stood. After ``most_interruptions``, or when it is ``patience_s`` old, a picture is
    not interrupted any more and waits for nothing newer.
    """

    def __init__(
        self,
        workers: int = 1,
        queue_limit: int = 64,
        texture_budget_bytes: int = 1 << 30,
        platform: str = "auto",
        device: DeviceChoice = "all",
        device_budget_bytes: int | None = None,
        patience_s: float = PATIENCE_S,
        most_interruptions: int = MOST_INTERRUPTIONS,
    ) -> None:
        if platform not in PLATFORMS:
            raise Invalid(f"The OpenGL platform must be one of {', '.join(PLATFORMS)}.")
        if workers < 1 or queue_limit < 1 or texture_budget_bytes < 1:
            raise Invalid("A render farm needs at least one worker, one place in its queue and some memory.")
        known: Platform = platform  # type: ignore[assignment]
        self._queue_limit = queue_limit
        self._patience_s = patience_s
        self._most_interruptions = most_interruptions
        self.tally = Tally()
        turn = multiprocessing.get_context("spawn").Lock()
        seats = [
            Seat(known, parse_choice(device), number, workers, texture_budget_bytes, device_budget_bytes)
            for number in range(workers)
        ]
        self._workers = [_Keeper(self, Link(seat, turn)) for seat in seats]
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
        importance: Importance = Importance.REFINEMENT,
        user: str = "",
    ) -> Rendered:
        """Draw a volume. The more important goes first; users take turns inside a class, however many jobs
        each has; of one ``view_key`` only the newest is drawn.

        Canceling the caller cancels the job. Raises Exhausted when the queue is full, Canceled when a
        newer job of the same view took its place, Unavailable when no worker can start, and what drawing
        raises: Invalid, Gone, TooLarge.
        """
        return await self._ask(Job(next(self._numbers), source, volume=view), view_key, importance, user)

    async def plane(
        self,
        source: VolumeSource,
        view: PlaneView,
        *,
        view_key: str | None = None,
        importance: Importance = Importance.REFINEMENT,
        user: str = "",
    ) -> Rendered:
        """Draw a plane through a volume; as ``volume``."""
        return await self._ask(Job(next(self._numbers), source, plane=view), view_key, importance, user)

    async def pick(
        self, source: VolumeSource, view: VolumeView, at: tuple[float, float], *, user: str = ""
    ) -> tuple[Picked | None, Rendered]:
        """The point that a view shows at a column and row of its picture, in pixels from the center of the
        first; None where nothing is seen. As ``volume``."""
        job = Job(next(self._numbers), source, volume=view, pick=at)
        rendered = await self._ask(job, None, Importance.INTERACTION, user)
        return found_in(rendered.pixels.view(np.float64)), rendered

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
            "devices": [
                _told(worker.link.hello) if worker.link.hello else {"problem": worker.problem}
                for worker in self._workers
            ],
        }

    def waiting(self) -> dict[Importance, int]:
        """Pictures that wait for a worker, by class."""
        counts = Counter(order.importance for order in self._queue)
        return {importance: counts[importance] for importance in Importance}

    def running(self) -> dict[Importance, int]:
        """Pictures being drawn, by class."""
        counts = Counter(worker.running.importance for worker in self._workers if worker.running)
        return {importance: counts[importance] for importance in Importance}

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

    async def _ask(self, job: Job, view_key: str | None, importance: Importance, user: str) -> Rendered:
        if self._closing or not self._tasks:
            raise Unavailable("The render workers are stopped.")
        worker = self._worker_for(job.source.key)
        if worker.hopeless:
            raise Unavailable(worker.problem)
        future: asyncio.Future[Rendered] = asyncio.get_running_loop().create_future()
        order = _Order(job.id, job, view_key, importance, user, future)
        self._enqueue(order, worker)
        async with self._changed:
            self._changed.notify_all()
        try:
            return await future
        finally:
            if future.cancelled():
                self._drop(order)

    def _enqueue(self, order: _Order, worker: _Keeper) -> None:
        older = self._older(order.view_key)
        if older is not None:
            # The newer one takes the older one's place, so that fast movers neither starve nor jump the
            # queue.
            order.number = older.number
            self._take_out(older)
            self.tally.canceled_waiting += 1
            _fail(older, Canceled("A newer picture of this view was asked for."))
        self._queue.append(order)
        if len(self._queue) > self._queue_limit:
            self._refuse_last()
            if order.future.done():
                return
        for other in self._workers:
            running = other.running
            same = running is not None and order.view_key and running.view_key == order.view_key
            # Motion ends refinement at once; what is quick and nearly there is let through.
            if running is not None and same and running.importance > Importance.INTERACTION:
                _fail(running, Canceled("A newer picture of this view was asked for."))
                other.link.cancel(running.job.id)
        running = worker.running
        if running is not None and self._rank(order) < self._rank(running):
            worker.link.pause(running.job.id)

    def _refuse_last(self) -> None:
        """Of a queue that is too long, who would be served last: of the least important, and whose user has
        most of them."""
        last = self._in_order(self._queue, None)[-1]
        self._take_out(last)
        self.tally.refused += 1
        _fail(last, Exhausted("Too many pictures are being drawn at present; try again in a moment."))

    def _rank(self, order: _Order) -> Importance:
        """How important it is by now."""
        tired = order.interruptions >= self._most_interruptions
        if tired or time.perf_counter() - order.since > self._patience_s:
            return Importance.INTERACTION
        return order.importance

    def _older(self, view_key: str | None) -> _Order | None:
        if not view_key:
            return None
        return next((order for order in self._queue if order.view_key == view_key), None)

    def _drop(self, order: _Order) -> None:
        """The caller went away."""
        if order in self._queue:
            self._take_out(order)
            self.tally.canceled_waiting += 1
        for worker in self._workers:
            if worker.running is order:
                worker.link.cancel(order.job.id)

    def _take_out(self, order: _Order) -> None:
        """It will not be drawn."""
        self._queue.remove(order)
        if order.kept_by is not None:
            order.kept_by.link.discard(order.job.id)

    def _worker_for(self, key: str) -> _Keeper:
        owner = self._leave_busy(key, self._owner.get(key))
        if owner is None or (owner.hopeless and not all(w.hopeless for w in self._workers)):
            counts = {id(worker): 0 for worker in self._workers}
            for other in self._owner.values():
                counts[id(other)] += 1
            owner = min(
                self._workers,
                # At a start the first worker is there for a while before the others are.
                key=lambda worker: (
                    worker.hopeless,
                    worker.link.hello is None,
                    worker.load(),
                    counts[id(worker)],
                ),
            )
            self._owner[key] = owner
        self._owner.move_to_end(key)
        while len(self._owner) > KEYS_REMEMBERED:
            self._owner.popitem(last=False)
        return owner

    def _leave_busy(self, key: str, owner: _Keeper | None) -> _Keeper | None:
        """The worker that has a volume; None when others keep it so much busier than another that the volume
        is better loaded there once more. Its own pictures do not count: they would go with it."""
        if owner is None or len(self._workers) == 1:
            return owner
        idlest = min(worker.load() for worker in self._workers if worker is not owner)
        mine = [order for order in self._queue if order.job.source.key == key]
        if owner.load() - len(mine) - idlest < MUCH_BUSIER:
            return owner
        for order in mine:
            if order.kept_by is not None:
                order.kept_by.link.discard(order.job.id)
                order.kept_by = None
        owner.link.forget(key)
        del self._owner[key]
        return None

    def queued_for(self, worker: _Keeper) -> list[_Order]:
        """Jobs that wait for this worker, in the order they will be drawn."""
        mine = [order for order in self._queue if self._owner.get(order.job.source.key, worker) is worker]
        return self._in_order(mine, worker.latest_user)

    def _in_order(self, orders: list[_Order], latest_user: str | None) -> list[_Order]:
        """By class; inside of one, everybody's first job before anybody's second."""
        ranks = {order.number: self._rank(order) for order in orders}
        # Whoever had the latest turn is a turn behind.
        turns = Counter([latest_user])
        place: dict[int, tuple[int, int, int]] = {}
        for order in sorted(orders, key=lambda order: (ranks[order.number], order.number)):
            place[order.number] = (ranks[order.number], turns[order.user], order.number)
            turns[order.user] += 1
        return sorted(orders, key=lambda order: place[order.number])

    async def next_for(self, worker: _Keeper) -> _Order:
        """Wait for the next job of a worker and take it from the queue."""
        async with self._changed:
            await self._changed.wait_for(lambda: bool(self.queued_for(worker)))
            order = self.queued_for(worker)[0]
            self._queue.remove(order)
            order.waited_s += time.perf_counter() - order.waits_since
            return order

    def note_canceled(self, answer: Failed) -> None:
        """A worker has given up a picture."""
        self.tally.canceled_running += 1
        self.tally.rows_spared += max(0, answer.rows_total - answer.rows)

    def refuse_all_of(self, worker: _Keeper) -> None:
        """Nobody should wait for this worker any more."""
        for order in self.queued_for(worker):
            self._queue.remove(order)
            _fail(order, Unavailable(worker.problem))

    def put_back(self, order: _Order) -> None:
        """A job whose worker died, or that was interrupted, waits again in its old place."""
        order.waits_since = time.perf_counter()
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
                    if self.link.hello is not None:
                        log.info("a render worker can draw", extra=_told(self.link.hello))
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
        self.link.resume(order.job.id)
        try:
            answer, body = await self.link.draw(order.job)
            match answer:
                case Failed():
                    if order.future.done():
                        self._farm.note_canceled(answer)
                    else:
                        order.future.set_exception(answer.error())
                case Drawn():
                    self._farm.tally.drawn += 1
                    if not order.future.done():
                        order.future.set_result(_rendered(answer, body, order.waited_s * 1000))
                case Paused():
                    self._put_aside(order)
        except WorkerDied:
            self._retry(order)
            raise
        except Exception as error:
            _fail(order, Unavailable(f"The picture cannot be drawn ({type(error).__name__})."))
            raise
        finally:
            self.running = None

    def _put_aside(self, order: _Order) -> None:
        self._farm.tally.interrupted += 1
        order.interruptions += 1
        if order.future.done():
            self.link.discard(order.job.id)
            return
        order.kept_by = self
        self._farm.put_back(order)

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


def _told(hello: Hello) -> dict[str, object]:
    """What a worker draws with."""
    told: dict[str, object] = {
        "context": hello.way,
        "device": hello.device,
        "renderer": hello.renderer,
        "driver": hello.version,
        "memory_mb": hello.memory_bytes >> 20,
        "texture_budget_mb": hello.budget_bytes >> 20,
    }
    if hello.trial is not None:
        told["device_ms"] = round(hello.trial.device_ms, 1)
        told["processor_ms"] = round(hello.trial.processor_ms, 1)
    if hello.readback is not None:
        told["readback"] = "streamed" if hello.readback.streams else "plain"
        told["plain_readback_ms"] = round(hello.readback.plain_ms, 2)
        told["streamed_readback_ms"] = round(hello.readback.streamed_ms, 2)
    if hello.refused:
        told["refused"] = list(hello.refused)
    return told


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
