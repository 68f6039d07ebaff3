"""Indexing: messages become index rows; a message is removed only together with its work."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from sivr.dicom.read import read_header
from sivr.errors import Invalid, SivrError
from sivr.model.ingest import Message
from sivr.model.studies import InstanceHeader
from sivr.services.workload import Workload
from sivr.store.blobs import Blobs
from sivr.store.index import Index
from sivr.store.queue import Queue

log = logging.getLogger("sivr.indexing")

BATCH = 16
LEASE_S = 60.0
IDLE_S = 1.0
GATHER_S = 0.1
YIELD_S = 0.05
"""How long each object waits for people who move views: indexing goes on, at 20 objects a second at least."""


class Indexer:
    """One worker; several may run, in this process and in others on the same database."""

    def __init__(
        self,
        queue: Queue,
        index: Index,
        blobs: Blobs,
        indexed: Callable[[str], None],
        workload: Workload | None = None,
    ) -> None:
        self._workload = workload or Workload()
        self._queue = queue
        self._index = index
        self._blobs = blobs
        self._indexed = indexed
        self.name = f"{socket.gethostname()}/{os.getpid()}/{uuid.uuid4().hex[:8]}"

    async def once(self) -> int:
        """Index one batch; how many messages were taken."""
        taken = await self._claim()
        if not taken:
            return 0
        try:
            async with self._holding(taken):
                read = []
                for one in taken:
                    await self._workload.calm(YIELD_S)
                    if (header := await self._header(one)) is not None:
                        read.append((one, header))
                await self._workload.calm(YIELD_S)
            await self._write(read)
        except asyncio.CancelledError:
            # Those that were written meanwhile are gone, and not given back.
            await asyncio.shield(self._queue.release(taken, self.name))
            raise
        return len(taken)

    async def _claim(self) -> list[Message]:
        """Take a batch. A cancel between COMMIT and here must not leave messages with nobody."""
        claiming = asyncio.ensure_future(self._queue.claim(self.name, BATCH, LEASE_S))
        try:
            return await asyncio.shield(claiming)
        except asyncio.CancelledError:
            await asyncio.wait([claiming])
            if not claiming.cancelled() and claiming.exception() is None:
                await asyncio.shield(self._queue.release(claiming.result(), self.name))
            raise

    async def _header(self, one: Message) -> InstanceHeader | None:
        try:
            return await asyncio.to_thread(self._read, one)
        except Invalid as error:
            # What is broken stays broken; a person has to look.
            await self._queue.fail(one, self.name, error.message, final=True)
        except SivrError as error:
            await self._queue.fail(one, self.name, error.message)
        except Exception as error:
            log.exception("index", extra={"instance": one.instance_uid})
            await self._queue.fail(one, self.name, f"Unexpected: {type(error).__name__}.")
        return None

    @asynccontextmanager
    async def _holding(self, taken: list[Message]) -> AsyncIterator[None]:
        """Large objects on slow disks may take longer than a lease."""

        async def extend() -> None:
            while True:
                await asyncio.sleep(LEASE_S / 3)
                try:
                    await self._queue.extend(taken, self.name, LEASE_S)
                except SivrError as error:
                    # When the lease runs out, somebody else does the work once more, and one of us writes.
                    log.warning("lease", extra={"reason": error.message})

        task = asyncio.create_task(extend())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _write(self, done: list[tuple[Message, InstanceHeader]]) -> None:
        if not done:
            return
        try:
            count = await self._index.add(done, self.name)
        except SivrError as error:
            for one, _ in done:
                await self._queue.fail(one, self.name, error.message)
            return
        except Exception as error:
            if len(done) == 1:
                log.exception("index", extra={"instance": done[0][0].instance_uid})
                await self._queue.fail(done[0][0], self.name, f"Unexpected: {type(error).__name__}.")
            else:
                # One poisonous message must not take the others with it.
                for single in done:
                    await self._write([single])
            return
        for study_uid in dict.fromkeys(one.study_uid for one, _ in done):
            self._indexed(study_uid)
        log.info("indexed", extra={"instances": count})

    def _read(self, one: Message) -> InstanceHeader:
        with self._blobs.open(one.sha256) as file:
            return read_header(file)

    async def run(self, wake: asyncio.Event) -> None:
        """Index until canceled; ``wake`` tells that there is something to do."""
        while True:
            try:
                busy = await self.once()
            except SivrError as error:
                log.warning("indexing waits", extra={"reason": error.message})
                busy = 0
            except Exception:
                # A worker that ends would leave the queue standing; leases bring its messages back.
                log.exception("indexing")
                busy = 0
            if busy < BATCH:
                wake.clear()
                try:
                    # Not wait_for, which forgets that it was canceled when both happen at once.
                    async with asyncio.timeout(IDLE_S):
                        await wake.wait()
                except TimeoutError:
                    continue
                # Objects come in a stream; several in one COMMIT cost little more than one.
                await asyncio.sleep(GATHER_S)


def is_gone(worker: str) -> bool:
    """Whether a worker by that name ran on this host in a process that has ended.

    A former process with our own number (in containers it is always the same) is gone too: nothing of
    ours has begun when this is asked.
    """
    host, _, rest = worker.partition("/")
    number = rest.partition("/")[0]
    if host != socket.gethostname() or not number.isdigit():
        return False
    return int(number) == os.getpid() or not Path(f"/proc/{number}").exists()


@asynccontextmanager
async def running(workers: list[Indexer], wakes: list[asyncio.Event]) -> AsyncIterator[None]:
    """The workers at work until the context ends."""
    tasks = [
        asyncio.create_task(worker.run(wake), name=f"indexer {worker.name}")
        for worker, wake in zip(workers, wakes, strict=True)
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
