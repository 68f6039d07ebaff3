"""Everything that takes objects in on a render node, opened and closed together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import msgspec

from sivr.crypto import MasterKeys
from sivr.errors import Invalid
from sivr.services.indexing import Indexer, is_gone, running
from sivr.services.judging import Judge
from sivr.services.outbox import Institution, OutboxSender, stay_present
from sivr.services.sweeping import Sweeper
from sivr.services.threads import background
from sivr.services.uploads import UploadLimits, UploadService
from sivr.services.workload import Workload
from sivr.store.blobs import Blobs, no_keys
from sivr.store.browser_sessions import BrowserSessionRows
from sivr.store.database import Database
from sivr.store.derived import Derived
from sivr.store.inbox import Inbox
from sivr.store.index import Index
from sivr.store.outbox import Outbox
from sivr.store.queue import Queue
from sivr.store.schema.render import cookie_session
from sivr.store.sealing import Form
from sivr.store.study_keys import StudyKeys, master_in_force
from sivr.store.uploads import Uploads


class Ingest(msgspec.Struct, frozen=True):
    """The services and stores of a node's ingest."""

    database: Database
    blobs: Blobs
    derived: Derived
    index: Index
    queue: Queue
    outbox: Outbox
    uploads: UploadService
    sessions: BrowserSessionRows
    limits: UploadLimits
    workload: Workload
    """What pictures are being made; indexing gives way to those somebody moves."""
    listeners: list[Callable[[str], None]]
    """Told the study after objects of it were indexed."""

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
    form: Form | None = None,
    masters: Callable[[], MasterKeys] | None = None,
) -> AsyncIterator[Ingest]:
    """Open a node's database and folder, start indexers, the outbox and the sweeper.

    ``form`` says how new objects are stored; ``masters`` reads the master key file, without which nothing is
    encrypted and nothing that is can be opened.
    """
    form = form or Form()
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(Database(database_url, "render"))
        keys = StudyKeys(database, masters) if masters is not None else None
        if keys is not None:
            await keys.start()
        elif needed := await master_in_force(database_url):
            raise Invalid(f"This node has encrypted objects; the master key {needed} is needed to open them.")
        blobs = await asyncio.to_thread(Blobs, folder / "blobs", form, keys.key_of if keys else no_keys)
        if keys is not None:
            derived = Derived(folder / "derived", form, keys.key_for, keys.key_of)
        else:
            derived = Derived(folder / "derived", form)
        inbox = await asyncio.to_thread(Inbox, folder / "inbox")
        uploads, queue = Uploads(database), Queue(database)
        index, outbox = Index(database), Outbox(database)
        # A killed node comes back at once, and need not wait until its own leases run out.
        await queue.take_from(is_gone)
        await outbox.forget_leases()
        sweeper = Sweeper(uploads, inbox, blobs, unfinished_s)
        await stack.enter_async_context(background(sweeper.run()))
        tell = asyncio.Event()
        wakes = [asyncio.Event() for _ in range(workers)]

        def stored() -> None:
            for wake in wakes:
                wake.set()

        def indexed(study_uid: str) -> None:
            tell.set()
            for listener in listeners:
                listener(study_uid)

        listeners: list[Callable[[str], None]] = []
        workload = Workload()
        indexers = [Indexer(queue, index, blobs, indexed, workload) for _ in wakes]
        await stack.enter_async_context(running(indexers, wakes))
        sender = OutboxSender(outbox, index, institution, node_id)
        await stack.enter_async_context(background(sender.run(tell)))
        await stack.enter_async_context(background(stay_present(institution)))
        judge = Judge(uploads, blobs, limits.archive, limits.free_disk_bytes, keys)
        service = UploadService(uploads, inbox, judge, limits, stored)
        stack.push_async_callback(service.settle)
        yield Ingest(
            database=database,
            blobs=blobs,
            derived=derived,
            index=index,
            queue=queue,
            outbox=outbox,
            uploads=service,
            sessions=BrowserSessionRows(database, cookie_session),
            limits=limits,
            workload=workload,
            listeners=listeners,
        )
