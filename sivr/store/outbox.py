"""The outbox: studies whose institution has not been told their newest revision."""

from __future__ import annotations

from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from sivr.model.ingest import Delivery, OutboxEntry, OutboxState
from sivr.store.database import Database
from sivr.store.schema.columns import now, plain
from sivr.store.schema.render import outbox, study
from sivr.store.upsert import insert_for

DELAY_S = 0.3
"""Objects of one study come in a stream; the institution is told once per so long at most."""
_SHOWN = 500


class Outbox:
    """Deliveries of one node: at least once, newest state only."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, lease_s: float) -> Delivery | None:
        """The delivery that has been due longest, or None."""
        moment = now()
        oldest = (
            sa.select(outbox.c.study_uid)
            .where(
                outbox.c.available_at <= moment,
                sa.or_(outbox.c.leased_until.is_(None), outbox.c.leased_until < moment),
            )
            .order_by(outbox.c.available_at)
            .limit(1)
        )
        facts = sa.select(study.c.revision, study.c.patient_id, study.c.patient_issuer)

        async def work(connection: AsyncConnection) -> Delivery | None:
            uid = await connection.scalar(oldest.with_for_update(skip_locked=True))
            if uid is None:
                return None
            mine = outbox.c.study_uid == uid
            owner = (await connection.execute(facts.where(study.c.study_uid == uid))).one_or_none()
            if owner is None:
                # Nobody can be told of a study that is not here, and it must not stand before the others.
                await connection.execute(outbox.delete().where(mine))
                return None
            attempts = await connection.scalar(
                outbox.update()
                .where(mine)
                .values(leased_until=moment + timedelta(seconds=lease_s), attempts=outbox.c.attempts + 1)
                .returning(outbox.c.attempts)
            )
            return Delivery(uid, owner.revision, attempts or 1, owner.patient_id, owner.patient_issuer)

        # Mostly nothing is due, and looking must not take the write lock.
        async with self._database.connect() as connection:
            if await connection.scalar(oldest) is None:
                return None
        return await self._database.write(work)

    async def forget_leases(self) -> None:
        """Whatever was being told when this node ended is due at once; told twice, it is told the same."""

        async def work(connection: AsyncConnection) -> None:
            leased = outbox.c.leased_until.is_not(None)
            await connection.execute(outbox.update().where(leased).values(leased_until=None))

        await self._database.write(work)

    async def done(self, sent: Delivery, pause_s: float = 0.0) -> None:
        """The institution knows this revision; a newer one is due after a pause."""
        due = now() + timedelta(seconds=pause_s)

        async def work(connection: AsyncConnection) -> None:
            mine = outbox.c.study_uid == sent.study_uid
            await connection.execute(outbox.delete().where(mine, outbox.c.revision <= sent.revision))
            await connection.execute(
                outbox.update().where(mine).values(leased_until=None, attempts=0, reason="", available_at=due)
            )

        await self._database.write(work)

    async def failed(self, tried: Delivery, reason: str, retry_s: float) -> None:
        """Try again later."""
        moment = now()

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(
                outbox.update()
                .where(outbox.c.study_uid == tried.study_uid)
                .values(
                    leased_until=None,
                    reason=plain(reason),
                    available_at=moment + timedelta(seconds=retry_s),
                    changed_at=moment,
                )
            )

        await self._database.write(work)

    async def state(self) -> OutboxState:
        """What the institution has yet to be told, and why it was not."""
        columns = outbox.c
        query = sa.select(
            columns.study_uid, columns.revision, columns.attempts, columns.reason, columns.available_at
        )
        async with self._database.connect() as connection:
            total = await connection.scalar(sa.select(sa.func.count()).select_from(outbox)) or 0
            rows = (await connection.execute(query.order_by(columns.available_at).limit(_SHOWN))).all()
        return OutboxState(total, tuple(OutboxEntry(*row) for row in rows))


async def announce(connection: AsyncConnection, study_uid: str) -> None:
    """A new revision of the study, which its institution has to be told, in the caller's transaction."""
    moment = now()
    # By the clock, so that a node that lost its database or got an older one back is believed all the same.
    clock = int(moment.timestamp() * 1000)
    revision = await connection.scalar(
        study.update()
        .where(study.c.study_uid == study_uid)
        .values(revision=sa.case((study.c.revision < clock, clock), else_=study.c.revision + 1))
        .returning(study.c.revision)
    )
    row = insert_for(connection, outbox).values(
        study_uid=study_uid,
        revision=revision,
        attempts=0,
        available_at=moment + timedelta(seconds=DELAY_S),
        reason="",
        changed_at=moment,
    )
    await connection.execute(
        row.on_conflict_do_update(
            index_elements=["study_uid"], set_={"revision": row.excluded.revision, "changed_at": moment}
        )
    )
