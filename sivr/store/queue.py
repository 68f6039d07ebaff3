"""The indexing queue: claimed with a lease, removed only when the work is done, dead letters kept visible."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from sivr.errors import NotFound
from sivr.model.ingest import DeadMessage, Message, QueueState
from sivr.store.audit import By, record
from sivr.store.database import Database
from sivr.store.outbox import announce
from sivr.store.schema.columns import now, plain
from sivr.store.schema.render import instance, message

MAX_ATTEMPTS = 5
MAX_CRASHES = 10
"""A message whose workers ended that often without a word is a dead letter."""
_CRASHED = "Those who worked on it ended without a word, time and again."
FIRST_RETRY_S = 2.0
_SHOWN = 500


class Queue:
    """Messages of one node; several workers, threads and processes may claim at once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, worker: str, count: int, lease_s: float) -> list[Message]:
        """Take up to ``count`` messages that are due; others may have them when the lease runs out."""
        moment = now()
        alive = message.c.dead.is_(False)
        free = sa.or_(message.c.leased_until.is_(None), message.c.leased_until < moment)
        due = sa.select(message.c.id, message.c.attempts).where(alive, message.c.available_at <= moment, free)
        due = due.order_by(message.c.id)

        async def work(connection: AsyncConnection) -> list[Message]:
            crashed = await connection.execute(
                message.update()
                .where(alive, message.c.leased_until < moment, message.c.attempts >= MAX_CRASHES)
                .values(dead=True, leased_until=None, reason=_CRASHED, changed_at=moment)
                .returning(message.c.study_uid)
            )
            for study_uid in sorted(set(crashed.scalars())):
                await _announce_end(connection, study_uid)
            mine = due.with_for_update(skip_locked=True)
            first = (await connection.execute(mine.limit(1))).one_or_none()
            if first is None:
                return []
            ids = [first.id]
            if not first.attempts:
                # One that was tried before goes alone: it may take its worker down, and the others with it.
                fresh = mine.where(message.c.attempts == 0).limit(count)
                ids = [row.id for row in await connection.execute(fresh)]
            taken = (
                message.update()
                .where(message.c.id.in_(ids))
                .values(
                    leased_until=moment + timedelta(seconds=lease_s),
                    worker=worker,
                    attempts=message.c.attempts + 1,
                    changed_at=moment,
                )
                .returning(*(message.c[name] for name in Message.__struct_fields__))
            )
            rows = (await connection.execute(taken)).all()
            return sorted((Message(**row._mapping) for row in rows), key=lambda one: one.id)

        # Mostly nothing is due, and looking must not take the write lock.
        async with self._database.connect() as connection:
            if await connection.scalar(due.limit(1)) is None:
                return []
        return await self._database.write(work)

    async def take_from(self, is_gone: Callable[[str], bool]) -> int:
        """End the leases of workers that are gone, e.g. killed; how many messages are due by that.

        Taking one from a worker that lives only does the work twice: one of the two writes.
        """
        held = sa.and_(message.c.dead.is_(False), message.c.leased_until.is_not(None))
        async with self._database.connect() as connection:
            workers = (await connection.execute(sa.select(message.c.worker).where(held).distinct())).scalars()
            gone = [one for one in workers if is_gone(one)]
        if not gone:
            return 0

        async def work(connection: AsyncConnection) -> int:
            freed = message.update().where(held, message.c.worker.in_(gone)).values(leased_until=None)
            return len((await connection.execute(freed.returning(message.c.id))).all())

        return await self._database.write(work)

    async def fail(self, failed: Message, worker: str, reason: str, final: bool = False) -> None:
        """Give a message back: later again, or to the dead letters after too many attempts."""
        moment = now()
        dead = final or failed.attempts >= MAX_ATTEMPTS
        delay = timedelta(seconds=FIRST_RETRY_S * 2 ** (failed.attempts - 1))

        async def work(connection: AsyncConnection) -> None:
            changed = await connection.execute(
                message.update()
                .where(message.c.id == failed.id, message.c.worker == worker)
                .values(
                    dead=dead,
                    reason=plain(reason),
                    leased_until=None,
                    available_at=moment + delay,
                    changed_at=moment,
                )
            )
            if dead and changed.rowcount:
                await _announce_end(connection, failed.study_uid)

        await self._database.write(work)

    async def extend(self, held: Sequence[Message], worker: str, lease_s: float) -> None:
        """Keep messages that are still being worked on."""

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(
                message.update()
                .where(
                    message.c.id.in_([one.id for one in held]),
                    message.c.worker == worker,
                    message.c.leased_until.is_not(None),
                )
                .values(leased_until=now() + timedelta(seconds=lease_s))
            )

        await self._database.write(work)

    async def release(self, held: Sequence[Message], worker: str) -> None:
        """Give messages back untouched, e.g. because the node stops."""

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(
                message.update()
                .where(
                    message.c.id.in_([one.id for one in held]),
                    message.c.worker == worker,
                    # Those that failed in the meantime are no longer held.
                    message.c.leased_until.is_not(None),
                )
                .values(leased_until=None, attempts=message.c.attempts - 1)
            )

        if held:
            await self._database.write(work)

    async def state(self) -> QueueState:
        """What waits, what is being worked on, what is dead."""
        moment = now()
        alive = message.c.dead.is_(False)
        leased = sa.and_(alive, message.c.leased_until >= moment)
        totals = sa.select(
            sa.func.count().filter(alive).label("alive"), sa.func.count().filter(leased).label("leased")
        ).select_from(message)
        dead = (
            sa.select(
                message.c.id,
                message.c.instance_uid,
                message.c.reason,
                message.c.attempts,
                message.c.changed_at,
            )
            .where(message.c.dead.is_(True))
            .order_by(message.c.id)
            .limit(_SHOWN)
        )
        async with self._database.connect() as connection:
            counted = (await connection.execute(totals)).one()
            rows = (await connection.execute(dead)).all()
        letters = tuple(DeadMessage(row[0], "index", row[1], row[2], row[3], row[4]) for row in rows)
        return QueueState(counted.alive - counted.leased, counted.leased, letters)

    async def retry(self, message_id: int, by: By) -> None:
        """Try a dead letter again; raises NotFound."""

        async def work(connection: AsyncConnection) -> None:
            row = await connection.execute(
                message.update()
                .where(message.c.id == message_id, message.c.dead.is_(True))
                .values(
                    dead=False,
                    attempts=0,
                    available_at=now(),
                    leased_until=None,
                    reason="",
                    changed_at=now(),
                )
                .returning(message.c.instance_uid)
            )
            found = row.one_or_none()
            if found is None:
                raise NotFound("There is no such dead letter.")
            await record(connection, by, "queue.retry", found.instance_uid)

        await self._database.write(work)


async def _announce_end(connection: AsyncConnection, study_uid: str) -> None:
    """Nothing more may come of a message, so a study told to be incomplete may be complete now."""
    indexed = sa.select(instance.c.instance_uid).where(instance.c.study_uid == study_uid).limit(1)
    if await connection.scalar(indexed) is not None:
        await announce(connection, study_uid)
