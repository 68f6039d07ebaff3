"""Studies, series and instances as the nodes told them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from sivr.errors import Conflict, NotFound
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
_Key = tuple[str, str]


class StudyStore:
    """What lies where."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def note(self, notice: StudyNotice, by: By) -> bool:
        """Take over a node's state of a study; False when a newer or the same revision is here already.

        Raises Conflict when the study belongs to another patient here.
        """

        async def work(connection: AsyncConnection) -> bool:
            mine = sa.and_(study.c.study_uid == notice.study_uid, study.c.node_id == notice.node_id)
            held = (
                await connection.execute(
                    sa.select(study.c.revision, study.c.created_at).where(mine).with_for_update()
                )
            ).one_or_none()
            if held is not None and held.revision >= notice.revision:
                return False
            other = (
                await connection.execute(
                    sa.select(study.c.patient_id, study.c.patient_issuer)
                    .where(study.c.study_uid == notice.study_uid, study.c.node_id != notice.node_id)
                    .limit(1)
                )
            ).one_or_none()
            if other is not None and tuple(other) != (notice.patient_id, notice.patient_issuer):
                raise Conflict("This study belongs to another patient at this institution.")
            await _write(connection, notice, held)
            await record(connection, by, "study.note", notice.study_uid)
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
            raise NotFound("There is no such study at this institution.")
        return found

    async def instances(self, study_uid: str) -> list[NoticeInstance]:
        """Instances with their hashes, once each; raises NotFound."""
        names = NoticeInstance.__struct_fields__
        query = (
            sa.select(*(instance.c[name] for name in names))
            .where(instance.c.study_uid == study_uid)
            .order_by(instance.c.series_uid, instance.c.instance_uid, instance.c.node_id)
        )
        async with self._database.connect() as connection:
            rows = (await connection.execute(query)).all()
        if not rows:
            raise NotFound("There is no such study at this institution.")
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


async def _write(connection: AsyncConnection, notice: StudyNotice, held: Any) -> None:
    key = {"study_uid": notice.study_uid, "node_id": notice.node_id}
    moment = now()
    values = {
        **key,
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
        "created_at": held.created_at if held is not None else moment,
        "updated_at": moment,
    }
    for table in (instance, series, study_modality, study):
        await connection.execute(
            table.delete().where(table.c.study_uid == notice.study_uid, table.c.node_id == notice.node_id)
        )
    await connection.execute(study.insert().values(**values))
    modalities = sorted({name.strip().upper() for name in notice.modalities if name.strip()})
    await _insert(connection, study_modality, [{**key, "modality": name} for name in modalities])
    await _insert(connection, series, [{**key, **msgspec.structs.asdict(one)} for one in notice.series])
    await _insert(connection, instance, [{**key, **msgspec.structs.asdict(one)} for one in notice.instances])


async def _insert(connection: AsyncConnection, table: sa.Table, rows: Sequence[dict[str, Any]]) -> None:
    for start in range(0, len(rows), _BATCH):
        await connection.execute(table.insert(), rows[start : start + _BATCH])


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
            complete=True,
            findings_count=int(findings.get(row.study_uid, 0)),
            series=tuple(series_of[row.study_uid, row.node_id]),
            created_at=row.created_at,
            updated_at=row.updated_at,
        )
        for row in rows
    ]
