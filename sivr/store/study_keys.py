"""The keys that objects are encrypted with: one per study, wrapped by the node's master key, in SQL.

Whoever replaces the master key wraps these rows anew and touches no object; whoever erases a row erases what
its study's objects say. The table ``sealing`` names the master key that is in force, so that a node that
was started with another file says so at once, and nobody wraps with a key that is being replaced.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from sivr.crypto import MasterKeys, new_study_key
from sivr.errors import Gone, Invalid, NotFound, Unavailable
from sivr.store.database import Database
from sivr.store.schema.columns import now
from sivr.store.schema.render import sealing, study_key
from sivr.store.sealing import KEY_ID_BYTES, StudyKey
from sivr.store.upsert import insert_for

_KNOWN = 4096
_BELIEVED_S = 30.0
"""A key that another process erased is forgotten after so long at the latest."""
_ANSWER_S = 30.0
_ERASED = "The key of this study was erased; its objects cannot be opened any more."


class StudyKeys:
    """The keys of a node's studies.

    ``masters`` reads the master key file; it is asked again when the file was replaced meanwhile. The methods
    are for the event loop on which ``start`` was awaited, but for ``key_of``, which is for threads.
    """

    def __init__(self, database: Database, masters: Callable[[], MasterKeys]) -> None:
        self._database = database
        self._read_masters = masters
        self._masters = masters()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()
        self._known: OrderedDict[bytes, tuple[float, StudyKey]] = OrderedDict()
        self._of_study: OrderedDict[str, tuple[float, StudyKey]] = OrderedDict()

    async def start(self) -> None:
        """Take the master key into use; raises Invalid when objects here were encrypted under another one."""
        self._loop = asyncio.get_running_loop()

        async def work(connection: AsyncConnection) -> None:
            await self._active(connection)

        await self._database.write(work)

    async def of_study(self, study_uid: str) -> StudyKey:
        """The key of a study, made when there is none yet; durable when this returns."""
        with self._lock:
            known = self._of_study.get(study_uid)
        if known is not None and known[0] > time.monotonic():
            return known[1]

        async def work(connection: AsyncConnection) -> StudyKey:
            found = await self._find(connection, study_key.c.study_uid == study_uid)
            if found is not None:
                return found
            master_id = await self._active(connection)
            made = StudyKey(secrets.token_bytes(KEY_ID_BYTES), new_study_key())
            wrapped = self._masters.wrap(master_id, made.key, _bound(study_uid, made.id))
            row = insert_for(connection, study_key).values(
                study_uid=study_uid, id=made.id, wrapped=wrapped, master_id=master_id, created_at=now()
            )
            if (await connection.execute(row.on_conflict_do_nothing())).rowcount:
                return made
            # Another process was first.
            theirs = await self._find(connection, study_key.c.study_uid == study_uid)
            if theirs is None:
                raise Unavailable("The database was busy with other changes. Please try again.")
            return theirs

        key = await self._database.write(work)
        self._remember(key)
        with self._lock:
            self._of_study[study_uid] = (time.monotonic() + _BELIEVED_S, key)
            _trim(self._of_study)
        return key

    async def by_id(self, key_id: bytes) -> StudyKey:
        """The key of that id; raises Gone when it was erased."""
        async with self._database.connect() as connection:
            found = await self._find(connection, study_key.c.id == key_id)
        if found is None:
            raise Gone(_ERASED)
        self._remember(found)
        return found

    def key_of(self, key_id: bytes) -> bytes:
        """As ``by_id``, for threads: waits for the database."""
        with self._lock:
            known = self._known.get(key_id)
        if known is not None and known[0] > time.monotonic():
            return known[1].key
        return self._ask(self.by_id(key_id)).key

    def key_for(self, study_uid: str) -> StudyKey:
        """As ``of_study``, for threads: waits for the database."""
        with self._lock:
            known = self._of_study.get(study_uid)
        if known is not None and known[0] > time.monotonic():
            return known[1]
        return self._ask(self.of_study(study_uid))

    def _ask(self, question: Coroutine[Any, Any, StudyKey]) -> StudyKey:
        loop = self._loop
        if loop is None or not loop.is_running():
            question.close()
            raise Unavailable("The node is not running.")
        asked = asyncio.run_coroutine_threadsafe(question, loop)
        try:
            return asked.result(_ANSWER_S)
        except TimeoutError as error:
            asked.cancel()
            raise Unavailable("The database does not answer. Please try again in a moment.") from error

    async def rotate(self, write: Callable[[MasterKeys], None]) -> int:
        """Wrap every key with a new master key; how many there were. ``write`` replaces the file.

        Whoever is killed meanwhile leaves a file that opens everything: it holds both keys until all is done.
        """
        both = self._read_masters().with_new()
        newest = both.ids[0]

        async def check(connection: AsyncConnection) -> None:
            await self._active(connection)

        await self._database.write(check)
        write(both)
        self._masters = both

        async def work(connection: AsyncConnection) -> int:
            await connection.execute(sealing.update().values(master_id=newest))
            rows = (await connection.execute(sa.select(study_key))).all()
            for row in rows:
                bound = _bound(row.study_uid, row.id)
                key = both.unwrap(row.master_id, row.wrapped, bound)
                await connection.execute(
                    study_key.update()
                    .where(study_key.c.study_uid == row.study_uid)
                    .values(wrapped=both.wrap(newest, key, bound), master_id=newest)
                )
            return len(rows)

        count = await self._database.write(work)
        write(both.only(newest))
        return count

    async def shred(self, study_uid: str) -> None:
        """Erase a study's key: no copy of its objects says anything any more. Raises NotFound."""

        async def work(connection: AsyncConnection) -> bool:
            gone = await connection.execute(study_key.delete().where(study_key.c.study_uid == study_uid))
            return bool(gone.rowcount)

        if not await self._database.write(work):
            raise NotFound("No object of this study is encrypted here.")
        with self._lock:
            self._known.clear()
            self._of_study.clear()

    async def _active(self, connection: AsyncConnection) -> str:
        """The id of the master key in force; nobody replaces it before the transaction ends."""
        query = sa.select(sealing.c.master_id).with_for_update(read=True)
        found = await connection.scalar(query)
        if found is None:
            row = insert_for(connection, sealing).values(id=1, master_id=self._masters.ids[0])
            await connection.execute(row.on_conflict_do_nothing())
            found = str(await connection.scalar(query))
        if found not in self._masters.ids:
            self._masters = await asyncio.to_thread(self._read_masters)
        if found not in self._masters.ids:
            raise Invalid(
                f"The master key is not the one that this node's objects were encrypted with: {found} is "
                f"needed, the file holds {', '.join(self._masters.ids)}."
            )
        return str(found)

    async def _find(self, connection: AsyncConnection, which: sa.ColumnElement[bool]) -> StudyKey | None:
        row = (await connection.execute(sa.select(study_key).where(which))).one_or_none()
        if row is None:
            return None
        if row.master_id not in self._masters.ids:
            self._masters = await asyncio.to_thread(self._read_masters)
        return StudyKey(
            row.id, self._masters.unwrap(row.master_id, row.wrapped, _bound(row.study_uid, row.id))
        )

    def _remember(self, key: StudyKey) -> None:
        with self._lock:
            self._known[key.id] = (time.monotonic() + _BELIEVED_S, key)
            _trim(self._known)


def _bound(study_uid: str, key_id: bytes) -> bytes:
    """What a wrapped key is bound to: it opens under no other study."""
    return key_id + study_uid.encode()


def _trim(known: OrderedDict[Any, Any]) -> None:
    while len(known) > _KNOWN:
        known.popitem(last=False)


async def master_in_force(database_url: str) -> str | None:
    """The id of the master key that a node's database names; None where nothing was encrypted yet.

    Only looks: makes no file and upgrades no table. Raises Unavailable where nothing answers.
    """
    database = Database(database_url, "render")
    if database.sqlite_path is not None and not database.sqlite_path.exists():
        return None
    async with database.as_it_is() as connection:
        if not await connection.run_sync(lambda one: sa.inspect(one).has_table(sealing.name)):
            return None
        found = await connection.scalar(sa.select(sealing.c.master_id))
        return None if found is None else str(found)
