"""Studies, series and instances as the nodes told them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from sivr.errors import Conflict, Forbidden, NotFound
from sivr.model.archive import (
    NodeAddress,
    NoticeInstance,
    NoticeSeries,
    Study,
    StudyNotice,
    StudySearch,
)
from sivr.model.names import folded
from sivr.store.audit import By, record
from sivr.store.database import Database
from sivr.store.schema.columns import now
from sivr.store.schema.institution import finding, instance, node, series, study, study_modality

_BATCH = 500
_STUDY_LOCK = 0x53495654  # any number no other advisory lock of two numbers begins with
_Key = tuple[str, str]


class StudyStore:
    """What lies where."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def note(self, notice: StudyNotice, by: By) -> bool:
        """Take over a node's state of a study; False when a newer or the same revision is here already.

        Raises Forbidden when the node is not known any more, Conflict when another patient has the study.
        """

        async def work(connection: AsyncConnection) -> bool:
            await _alone(connection, notice)
            mine = sa.and_(study.c.study_uid == notice.study_uid, study.c.node_id == notice.node_id)
            facts = sa.select(study.c.revision, study.c.patient_id, study.c.patient_issuer).where(mine)
            held = (await connection.execute(facts)).one_or_none()
            if held is not None and held.revision >= notice.revision:
                return False
            patient = (notice.patient_id, notice.patient_issuer)
            other = (
                await connection.execute(
                    sa.select(study.c.patient_id, study.c.patient_issuer)
                    .where(study.c.study_uid == notice.study_uid, study.c.node_id != notice.node_id)
                    .limit(1)
                )
            ).one_or_none()
            if other is not None and tuple(other) != patient:
                raise Conflict("This study belongs to another patient at this institution.")
            await _write(connection, notice, new=held is None)
            if held is None:
                await record(connection, by, "study.arrive", notice.study_uid)
            elif (held.patient_id, held.patient_issuer) != patient:
                await record(connection, by, "study.move", notice.study_uid)
            return True

        return await self._database.write(work)

    async def find(self, search: StudySearch) -> tuple[list[Study], int]:
        """Studies that match, newest first, and how many match in all."""
        conditions = _conditions(search)
        page = (
            sa.select(study)
            .where(*conditions)
            .order_by(
                study.c.study_date.is_(None), study.c.study_date.desc(), study.c.study_time.desc(),
                study.c.study_uid, study.c.node_id,
            )
            .limit(search.limit)
            .offset(search.offset)
        )  # fmt: skip
        counted = sa.select(sa.func.count()).select_from(study).where(*conditions)
        async with self._database.connect() as connection:
            total = await connection.scalar(counted) or 0
            rows = (await connection.execute(page)).all()
            return await _studies(connection, rows), total

    async def get(self, study_uid: str) -> list[Study]:
        """The study on each node that holds it, most instances first; raises NotFound."""
        query = (
            sa.select(study)
            .where(study.c.study_uid == study_uid)
            .order_by(study.c.instance_count.desc(), study.c.node_id)
        )
        async with self._database.connect() as connection:
            found = await _studies(connection, (await connection.execute(query)).all())
        if not found:
            raise _unknown()
        return found

    async def require(self, study_uid: str) -> None:
        """Raises NotFound when no node holds the study."""
        query = sa.select(study.c.study_uid).where(study.c.study_uid == study_uid).limit(1)
        async with self._database.connect() as connection:
            if await connection.scalar(query) is None:
                raise _unknown()

    async def held_by(self, study_uid: str) -> list[str]:
        """Ids of the nodes that hold the study, most instances first; raises NotFound."""
        query = (
            sa.select(study.c.node_id)
            .where(study.c.study_uid == study_uid)
            .order_by(study.c.instance_count.desc(), study.c.node_id)
        )
        async with self._database.connect() as connection:
            found = list(await connection.scalars(query))
        if not found:
            raise _unknown()
        return found

    async def instances(self, study_uid: str) -> list[NoticeInstance]:
        """Instances with their hashes, once each; raises NotFound."""
        await self.require(study_uid)
        names = NoticeInstance.__struct_fields__
        query = (
            sa.select(*(instance.c[name] for name in names))
            .where(instance.c.study_uid == study_uid)
            .order_by(instance.c.series_uid, instance.c.instance_uid, instance.c.node_id)
        )
        async with self._database.connect() as connection:
            rows = (await connection.execute(query)).all()
        once = {row.instance_uid: NoticeInstance(**row._mapping) for row in rows}
        return list(once.values())


def _conditions(search: StudySearch) -> list[sa.ColumnElement[bool]]:
    conditions: list[sa.ColumnElement[bool]] = []
    if search.patient_id:
        conditions.append(study.c.patient_id == search.patient_id)
    if search.modality:
        conditions.append(
            sa.exists().where(
                study_modality.c.study_uid == study.c.study_uid,
                study_modality.c.node_id == study.c.node_id,
                study_modality.c.modality == search.modality.strip().upper(),
            )
        )
    if search.date_from is not None:
        conditions.append(study.c.study_date >= search.date_from)
    if search.date_to is not None:
        conditions.append(study.c.study_date <= search.date_to)
    for word in folded(search.description).split():
        conditions.append(study.c.description_folded.contains(word, autoescape=True))
    return conditions


async def _alone(connection: AsyncConnection, notice: StudyNotice) -> None:
    """Note that the node speaks, and let notices of one node or about one study come one after the other."""
    seen = node.update().where(node.c.id == notice.node_id).values(last_seen_at=now())
    if not (await connection.execute(seen)).rowcount:
        raise Forbidden(f"The node {notice.node_id} is not known at this institution.")
    if connection.dialect.name != "sqlite":
        # There may be no row to lock yet; SQLite has one writer anyway.
        key = sa.func.hashtext(notice.study_uid)
        await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_STUDY_LOCK, key)))


async def _write(connection: AsyncConnection, notice: StudyNotice, *, new: bool) -> None:
    moment = now()
    values = {
        "revision": notice.revision,
        "patient_id": notice.patient_id,
        "patient_issuer": notice.patient_issuer,
        "study_date": notice.study_date,
        "study_time": notice.study_time,
        "description": notice.description,
        "description_folded": folded(notice.description),
        "accession_number": notice.accession_number,
        "series_count": len(notice.series),
        "instance_count": len(notice.instances),
        "size_bytes": notice.size_bytes,
        "complete": notice.complete,
        "updated_at": moment,
    }
    key = {"study_uid": notice.study_uid, "node_id": notice.node_id}
    if new:
        await connection.execute(study.insert().values(**key, **values, created_at=moment))
    else:
        await connection.execute(study.update().where(*_is(study, key)).values(**values))
    modalities = sorted({name.strip().upper() for name in notice.modalities if name.strip()})
    await _equalize(connection, study_modality, key, "modality", [{"modality": one} for one in modalities])
    for table, name, items in (
        (series, "series_uid", notice.series),
        (instance, "instance_uid", notice.instances),
    ):
        await _equalize(connection, table, key, name, [msgspec.structs.asdict(one) for one in items])


async def _equalize(
    connection: AsyncConnection, table: sa.Table, key: dict[str, str], name: str, wanted: list[dict[str, Any]]
) -> None:
    """Make the rows of one study equal to these, which ``name`` tells apart; only what differs is written.

    A study grows notice by notice, and writing thousands of rows anew each time would take too long.
    """
    columns = [column for column in table.c if column.name not in key]
    rows = await connection.execute(sa.select(*columns).where(*_is(table, key)))
    present = {row[name]: dict(row) for row in rows.mappings()}
    after = {row[name]: row for row in wanted}
    stale = [one for one, row in present.items() if after.get(one) != row]
    for start in range(0, len(stale), _BATCH):
        chosen = table.c[name].in_(stale[start : start + _BATCH])
        await connection.execute(table.delete().where(*_is(table, key), chosen))
    fresh = [{**key, **row} for one, row in after.items() if present.get(one) != row]
    for start in range(0, len(fresh), _BATCH):
        await connection.execute(table.insert(), fresh[start : start + _BATCH])


def _is(table: sa.Table, key: dict[str, str]) -> list[sa.ColumnElement[bool]]:
    return [table.c[name] == value for name, value in key.items()]


def _unknown() -> NotFound:
    return NotFound("There is no such study at this institution.")


async def _studies(connection: AsyncConnection, rows: Sequence[Any]) -> list[Study]:
    """Rows with their series, modalities, nodes and counts of findings; a fixed number of queries."""
    if not rows:
        return []
    uids = sorted({row.study_uid for row in rows})
    names = NoticeSeries.__struct_fields__
    series_of: dict[_Key, list[NoticeSeries]] = defaultdict(list)
    query = (
        sa.select(series.c.study_uid, series.c.node_id, *(series.c[name] for name in names))
        .where(series.c.study_uid.in_(uids))
        .order_by(series.c.number.is_(None), series.c.number, series.c.series_uid)
    )
    for row in await connection.execute(query):
        values = {name: row._mapping[name] for name in names}
        series_of[row.study_uid, row.node_id].append(NoticeSeries(**values))
    modalities_of: dict[_Key, list[str]] = defaultdict(list)
    by_study = sa.select(study_modality).where(study_modality.c.study_uid.in_(uids))
    for row in await connection.execute(by_study.order_by(study_modality.c.modality)):
        modalities_of[row.study_uid, row.node_id].append(row.modality)
    counted = (
        sa.select(finding.c.study_uid, sa.func.count().label("total"))
        .where(finding.c.study_uid.in_(uids))
        .group_by(finding.c.study_uid)
    )
    findings = {row.study_uid: row.total for row in await connection.execute(counted)}
    nodes = {
        row.id: NodeAddress(row.id, row.name, row.url)
        for row in await connection.execute(sa.select(node.c.id, node.c.name, node.c.url))
    }
    return [
        Study(
            study_uid=row.study_uid,
            patient_id=row.patient_id,
            patient_issuer=row.patient_issuer,
            node_id=row.node_id,
            node=nodes.get(row.node_id),
            modalities=tuple(modalities_of[row.study_uid, row.node_id]),
            study_date=row.study_date,
            study_time=row.study_time,
            description=row.description,
            accession_number=row.accession_number,
            series_count=row.series_count,
            instance_count=row.instance_count,
            size_bytes=row.size_bytes,
            complete=row.complete,
            findings_count=int(findings.get(row.study_uid, 0)),
            series=tuple(series_of[row.study_uid, row.node_id]),
            created_at=row.created_at,
            updated_at=row.updated_at,
        )
        for row in rows
    ]
