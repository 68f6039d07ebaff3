"""Everything that takes objects in on a render node, opened and closed together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from sivr.services.indexing import Indexer, is_gone, running
from sivr.services.judging import Judge
from sivr.services.outbox import Institution, OutboxSender, stay_present
from sivr.services.sweeping import Sweeper
from sivr.services.uploads import UploadLimits, UploadService
from sivr.store.blobs import Blobs
from sivr.store.browser_sessions import BrowserSessionRows
from sivr.store.database import Database
from sivr.store.inbox import Inbox
from sivr.store.index import Index
from sivr.store.outbox import Outbox
from sivr.store.queue import Queue
from sivr.store.schema.render import cookie_session
from sivr.store.uploads import Uploads


class Ingest(msgspec.Struct, frozen=True):
    """The services and stores of a node's ingest."""

    database: Database
    blobs: Blobs
    index: Index
    queue: Queue
    outbox: Outbox
    uploads: UploadService
    sessions: BrowserSessionRows
    limits: UploadLimits

    async def storage_health(self) -> str:
        """Empty when objects can be stored, else why not."""
        return await asyncio.to_thread(self.blobs.health, self.limits.free_disk_bytes)


@asynccontextmanager
async def open_ingest(
    database_url: str,
    folder: Path,
    *,
    node_id: str,
    institution: Institution,
    limits: UploadLimits,
    workers: int = 2,
    unfinished_s: float = 7 * 86400.0,
) -> AsyncIterator[Ingest]:
    """Open a node's database and folder, start indexers, the outbox and the sweeper."""
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(Database(database_url, "render"))
        blobs = await asyncio.to_thread(Blobs, folder / "blobs")
        inbox = await asyncio.to_thread(Inbox, folder / "inbox")
        uploads, queue = Uploads(database), Queue(database)
        index, outbox = Index(database), Outbox(database)
        # A killed node comes back at once, and need not wait until its own leases run out.
        await queue.take_from(is_gone)
        await outbox.forget_leases()
        sweeper = Sweeper(uploads, inbox, blobs, unfinished_s)
        await stack.enter_async_context(_task(sweeper.run()))
        tell = asyncio.Event()
        wakes = [asyncio.Event() for _ in range(workers)]

        def stored() -> None:
            for wake in wakes:
                wake.set()

        def indexed(study_uid: str) -> None:
            tell.set()

        indexers = [Indexer(queue, index, blobs, indexed) for _ in wakes]
        await stack.enter_async_context(running(indexers, wakes))
        sender = OutboxSender(outbox, index, institution, node_id)
        await stack.enter_async_context(_task(sender.run(tell)))
        await stack.enter_async_context(_task(stay_present(institution)))
        judge = Judge(uploads, blobs, limits.archive, limits.free_disk_bytes)
        service = UploadService(uploads, inbox, judge, limits, stored)
        stack.push_async_callback(service.settle)
        yield Ingest(
            database=database,
            blobs=blobs,
            index=index,
            queue=queue,
            outbox=outbox,
            uploads=service,
            sessions=BrowserSessionRows(database, cookie_session),
            limits=limits,
        )


@asynccontextmanager
async def _task(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
