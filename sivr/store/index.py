"""The index of a node: every instance with its header, and whose study it is."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
import zstandard
from sqlalchemy.ext.asyncio import AsyncConnection

from sivr.model.ingest import Message
from sivr.model.studies import InstanceHeader
from sivr.store.database import Database
from sivr.store.outbox import announce
from sivr.store.schema.columns import now
from sivr.store.schema.render import accepted, instance, message, study

FEW_HEADERS = 4
_STORED = (instance.c.header, instance.c.sha256, instance.c.size_bytes, instance.c.md5)
_MAX_HEADER_BYTES = 256 * 1024 * 1024


class StoredInstance(msgspec.Struct, frozen=True):
    """A stored instance: what it is and where its bytes are."""

    header: InstanceHeader
    sha256: str
    size_bytes: int
    md5: str


def pack(header: InstanceHeader) -> bytes:
    """A header as it is stored: MessagePack in zstd."""
    return zstandard.ZstdCompressor(level=3).compress(msgspec.msgpack.encode(header))


def unpack(body: bytes) -> InstanceHeader:
    """The header of a stored body."""
    plain = zstandard.ZstdDecompressor().decompress(body, max_output_size=_MAX_HEADER_BYTES)
    return msgspec.msgpack.decode(plain, type=InstanceHeader)


class Index:
    """Instances of one node."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def opened(self, study_uid: str, series_uid: str) -> tuple[int, list[StoredInstance]]:
        """``revision`` and the stored instances of a series of the same moment; none when there are none."""
        query = (
            sa.select(*_STORED, study.c.revision)
            .join(study, study.c.study_uid == instance.c.study_uid, isouter=True)
            .where(instance.c.study_uid == study_uid, instance.c.series_uid == series_uid)
            .order_by(instance.c.instance_uid)
        )
        async with self._database.connect() as connection:
            rows = (await connection.execute(query)).all()
        return (rows[0][-1] or 0) if rows else 0, await _unpacked(rows)

    async def instance(self, study_uid: str, series_uid: str, instance_uid: str) -> StoredInstance | None:
        """One stored instance; None when there is none."""
        found = await self._read(
            instance.c.instance_uid == instance_uid,
            instance.c.study_uid == study_uid,
            instance.c.series_uid == series_uid,
        )
        return found[0] if found else None

    async def revision(self, study_uid: str) -> int:
        """A number that grows whenever something of the study is indexed; 0 when nothing of it is."""
        query = sa.select(study.c.revision).where(study.c.study_uid == study_uid)
        async with self._database.connect() as connection:
            return await connection.scalar(query) or 0

    async def study(self, study_uid: str) -> list[StoredInstance]:
        """The stored instances of a study; empty when there are none."""
        return await self._read(instance.c.study_uid == study_uid)

    async def series_uids(self, study_uid: str) -> list[str]:
        """UIDs of the stored series of a study; empty when there is none."""
        query = (
            sa.select(instance.c.series_uid)
            .where(instance.c.study_uid == study_uid)
            .distinct()
            .order_by(instance.c.series_uid)
        )
        async with self._database.connect() as connection:
            return list((await connection.execute(query)).scalars())

    async def recent(self, most: int) -> list[str]:
        """The studies that changed last, the newest first."""
        query = sa.select(study.c.study_uid).order_by(study.c.revision.desc()).limit(most)
        async with self._database.connect() as connection:
            return list((await connection.execute(query)).scalars())

    async def indexing(self, study_uid: str) -> bool:
        """Whether objects of the study still wait to be indexed."""
        query = sa.select(message.c.id).where(message.c.study_uid == study_uid, message.c.dead.is_(False))
        async with self._database.connect() as connection:
            return await connection.scalar(query.limit(1)) is not None

    async def add(self, done: Sequence[tuple[Message, InstanceHeader]], worker: str) -> int:
        """Write index rows, new revisions and the outbox, and remove the messages: all or nothing.

        Messages whose lease went to somebody else are left alone; how many were indexed is returned.
        """

        def packed() -> dict[int, tuple[Message, bytes, InstanceHeader]]:
            return {one.id: (one, pack(header), header) for one, header in done}

        # Headers of thousands of frames take their time.
        by_id = await asyncio.to_thread(packed)

        async def work(connection: AsyncConnection) -> int:
            removed = await connection.execute(
                message.delete()
                .where(message.c.id.in_(list(by_id)), message.c.worker == worker)
                .returning(message.c.id)
            )
            mine = sorted(row.id for row in removed)
            if not mine:
                return 0
            moment = now()
            facts = {
                row.instance_uid: row
                for row in await connection.execute(
                    sa.select(accepted).where(
                        accepted.c.instance_uid.in_([by_id[number][0].instance_uid for number in mine])
                    )
                )
            }
            studies: dict[str, int] = defaultdict(int)
            rows: list[dict[str, Any]] = []
            for number in mine:
                one, body, header = by_id[number]
                fact = facts[one.instance_uid]
                studies[one.study_uid] += 1
                rows.append(
                    {
                        "instance_uid": one.instance_uid,
                        "study_uid": header.study_uid,
                        "series_uid": header.series_uid,
                        "sha256": fact.sha256,
                        "md5": fact.md5,
                        "size_bytes": fact.size_bytes,
                        "header": body,
                        "indexed_at": moment,
                    }
                )
            await connection.execute(instance.insert(), rows)
            for study_uid in sorted(studies):
                await announce(connection, study_uid)
            return len(mine)

        return await self._database.write(work)

    async def _read(self, *conditions: sa.ColumnElement[bool]) -> list[StoredInstance]:
        query = (
            sa.select(*_STORED).where(*conditions).order_by(instance.c.series_uid, instance.c.instance_uid)
        )
        async with self._database.connect() as connection:
            rows = (await connection.execute(query)).all()
        return await _unpacked(rows)


async def _unpacked(rows: Sequence[sa.Row[Any]]) -> list[StoredInstance]:
    def unpacked() -> list[StoredInstance]:
        return [StoredInstance(unpack(row[0]), row[1], row[2], row[3]) for row in rows]

    # Hundreds of headers take tens of milliseconds.
    return unpacked() if len(rows) <= FEW_HEADERS else await asyncio.to_thread(unpacked)
