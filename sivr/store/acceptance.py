"""The acceptance of objects: each with its message and its file's fate, several in one COMMIT."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from sivr.errors import Unavailable
from sivr.model.ingest import FileResult, Object, Upload
from sivr.store.audit import By
from sivr.store.database import Database
from sivr.store.schema.columns import now
from sivr.store.schema.render import accepted, audit, message, study, upload_file, upload_study
from sivr.store.upsert import insert_for

Verdict = Literal["stored", "duplicate", "other bytes", "other patient"]

_AT_ONCE = 64
_TRIES = 20


class Offer(msgspec.Struct, frozen=True):
    """An object whose bytes are durable, and who brings it for whose record.

    ``result`` is the file's fate as it is written down with the object; None for an archive's member.
    """

    made: Object
    owner: Upload
    result: FileResult | None
    by: By


class Acceptance:
    """Accepts objects. Those that come while a COMMIT is under way share the next one."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: list[tuple[Offer, asyncio.Future[Verdict]]] = []
        self._writing: asyncio.Task[None] | None = None

    async def accept(self, offer: Offer) -> Verdict:
        """The verdict, once it is durable; nothing else comes of an object that is refused."""
        answer: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
        self._waiting.append((offer, answer))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())
        return await answer

    async def _write(self) -> None:
        while self._waiting:
            batch = self._waiting[:_AT_ONCE]
            del self._waiting[:_AT_ONCE]
            try:
                if not await self._settle(batch):
                    # One that the database will not have must not take the others with it.
                    for single in batch:
                        await self._settle([single])
            finally:
                for _, answer in batch:
                    # Only where this task itself was ended.
                    answer.cancel()

    async def _settle(self, batch: list[tuple[Offer, asyncio.Future[Verdict]]]) -> bool:
        """Answer all of them; False without an answer where several failed together."""
        try:
            verdicts = await self._all([offer for offer, _ in batch])
        except Exception as error:
            if len(batch) > 1:
                return False
            if not batch[0][1].done():
                batch[0][1].set_exception(error)
            return True
        for (_, answer), verdict in zip(batch, verdicts, strict=True):
            if not answer.done():
                answer.set_result(verdict)
        return True

    async def _all(self, offers: Sequence[Offer]) -> list[Verdict]:
        async def work(connection: AsyncConnection) -> list[Verdict]:
            return await _accept(connection, offers)

        for _ in range(_TRIES):
            try:
                return await self._database.write(work)
            except _Outrun:
                # Another process has just accepted one of them, or another object of the same study.
                continue
        raise Unavailable("The database was busy with other changes. Please try again.")


class _Outrun(Exception):
    """Another transaction wrote a row first; what was decided may be wrong, and is undone."""


async def verdicts_of(connection: AsyncConnection, offers: Sequence[tuple[Object, Upload]]) -> list[Verdict]:
    """What becomes of these objects, one after the other."""
    return (await _judge(connection, offers))[0]


async def _judge(
    connection: AsyncConnection, offers: Sequence[tuple[Object, Upload]]
) -> tuple[list[Verdict], set[str]]:
    """The verdicts, and the studies that were here before."""
    studies = {made.study_uid for made, _ in offers}
    uids = {made.instance_uid for made, _ in offers}
    holders = {
        row.study_uid: (row.patient_id, row.patient_issuer)
        for row in await connection.execute(
            sa.select(study.c.study_uid, study.c.patient_id, study.c.patient_issuer).where(
                study.c.study_uid.in_(studies)
            )
        )
    }
    known = {
        row.instance_uid: row.sha256
        for row in await connection.execute(
            sa.select(accepted.c.instance_uid, accepted.c.sha256).where(accepted.c.instance_uid.in_(uids))
        )
    }
    before = set(holders)
    found: list[Verdict] = []
    for made, owner in offers:
        mine = (owner.patient_id, owner.patient_issuer)
        if holders.get(made.study_uid, mine) != mine:
            found.append("other patient")
        elif made.instance_uid not in known:
            holders[made.study_uid] = mine
            known[made.instance_uid] = made.sha256
            found.append("stored")
        else:
            found.append("duplicate" if known[made.instance_uid] == made.sha256 else "other bytes")
    return found, before


async def _accept(connection: AsyncConnection, offers: Sequence[Offer]) -> list[Verdict]:
    moment = now()
    verdicts, before = await _judge(connection, [(one.made, one.owner) for one in offers])
    stored = [one for one, verdict in zip(offers, verdicts, strict=True) if verdict == "stored"]
    if stored:
        if claims := [one for one in stored if one.made.study_uid not in before]:
            await _claim(connection, claims, moment)
        new = [msgspec.structs.asdict(one.made) | {"accepted_at": moment} for one in stored]
        # In one order everywhere, so that two processes wait for each other in one direction only.
        new.sort(key=lambda row: str(row["instance_uid"]))
        row = insert_for(connection, accepted).values(new).on_conflict_do_nothing()
        if len((await connection.execute(row.returning(accepted.c.instance_uid))).all()) != len(new):
            raise _Outrun
        await connection.execute(message.insert().values([_message(one.made, moment) for one in stored]))
        await connection.execute(audit.insert().values([_noted(one, moment) for one in stored]))
    await _count(connection, offers, verdicts)
    results = [
        (one.owner.id, msgspec.structs.replace(one.result, status=verdict))
        for one, verdict in zip(offers, verdicts, strict=True)
        if verdict in ("stored", "duplicate") and one.result is not None
    ]
    if results:
        await finish(connection, results)
    return verdicts


async def _claim(connection: AsyncConnection, stored: Sequence[Offer], moment: object) -> None:
    """Each study belongs to the patient for whom its first object is accepted."""
    owners = {one.made.study_uid: one.owner for one in stored}
    rows = [
        {
            "study_uid": uid,
            "patient_id": owners[uid].patient_id,
            "patient_issuer": owners[uid].patient_issuer,
            "revision": 0,
            "created_at": moment,
        }
        for uid in sorted(owners)
    ]
    await connection.execute(insert_for(connection, study).values(rows).on_conflict_do_nothing())
    holders = await connection.execute(
        sa.select(study.c.study_uid, study.c.patient_id, study.c.patient_issuer).where(
            study.c.study_uid.in_(owners)
        )
    )
    for uid, patient_id, patient_issuer in holders:
        if (patient_id, patient_issuer) != (owners[uid].patient_id, owners[uid].patient_issuer):
            raise _Outrun


def _message(made: Object, moment: object) -> dict[str, Any]:
    return {
        "instance_uid": made.instance_uid,
        "study_uid": made.study_uid,
        "sha256": made.sha256,
        "attempts": 0,
        "available_at": moment,
        "worker": "",
        "dead": False,
        "reason": "",
        "changed_at": moment,
    }


def _noted(one: Offer, moment: object) -> dict[str, Any]:
    return {
        "at": moment,
        "actor_id": one.by.actor_id,
        "action": "instance.store",
        "object_id": one.made.instance_uid,
        "address": one.by.address[:64],
    }


async def _count(connection: AsyncConnection, offers: Sequence[Offer], verdicts: Sequence[Verdict]) -> None:
    totals = Counter(
        (one.owner.id, one.made.study_uid)
        for one, verdict in zip(offers, verdicts, strict=True)
        if verdict in ("stored", "duplicate")
    )
    if not totals:
        return
    rows = [
        {"upload_id": upload_id, "study_uid": study_uid, "instances": total}
        for (upload_id, study_uid), total in sorted(totals.items())
    ]
    more = insert_for(connection, upload_study).values(rows)
    await connection.execute(
        more.on_conflict_do_update(
            index_elements=["upload_id", "study_uid"],
            set_={"instances": upload_study.c.instances + more.excluded.instances},
        )
    )


async def finish(connection: AsyncConnection, results: Sequence[tuple[str, FileResult]]) -> None:
    """Write down what is answered for finished files of these uploads."""
    moment = now()
    # The last of several answers for one file; one statement must not change a row twice.
    newest = {(upload_id, result.file_id): result for upload_id, result in results}
    rows = [
        {
            "upload_id": upload_id,
            "file_id": file_id,
            "result": msgspec.json.encode(result),
            "finished_at": moment,
        }
        for (upload_id, file_id), result in sorted(newest.items(), key=lambda item: item[0])
    ]
    row = insert_for(connection, upload_file).values(rows)
    await connection.execute(
        row.on_conflict_do_update(
            index_elements=["upload_id", "file_id"],
            set_={"result": row.excluded.result, "finished_at": row.excluded.finished_at},
        )
    )
