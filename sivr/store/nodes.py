"""The institution's render nodes."""

from __future__ import annotations

from typing import Any

import msgspec
import sqlalchemy as sa
from msgspec import UNSET
from sqlalchemy.ext.asyncio import AsyncConnection

from sivr.errors import Conflict, NotFound
from sivr.model.archive import NewNode, Node, NodeChange
from sivr.store.audit import By, record
from sivr.store.database import Database
from sivr.store.schema.columns import now
from sivr.store.schema.institution import node, study

_COLUMNS = [node.c[name] for name in Node.__struct_fields__]


class Nodes:
    """Nodes in the institution's database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> list[Node]:
        """Every node, by id."""
        async with self._database.connect() as connection:
            rows = await connection.execute(sa.select(*_COLUMNS).order_by(node.c.id))
            return [Node(**row._mapping) for row in rows]

    async def get(self, node_id: str) -> Node:
        """One node; raises NotFound."""
        async with self._database.connect() as connection:
            return await _read(connection, node_id)

    async def create(self, new: NewNode, by: By) -> Node:
        """Add a node; raises Conflict when its id is taken."""
        made = Node(**msgspec.structs.asdict(new), version=1, last_seen_at=None)

        async def work(connection: AsyncConnection) -> Node:
            await connection.execute(node.insert().values(**msgspec.structs.asdict(made), seeded=""))
            await record(connection, by, "node.create", made.id)
            return made

        try:
            return await self._database.write(work)
        except sa.exc.IntegrityError as error:
            raise Conflict(f"There is a node {new.id} already.", {"field": "id"}) from error

    async def change(self, node_id: str, change: NodeChange, by: By) -> Node:
        """Change a node; raises NotFound, Conflict (stale version)."""
        given = {
            name: value
            for name, value in msgspec.structs.asdict(change).items()
            if value is not UNSET and name != "version"
        }

        async def work(connection: AsyncConnection) -> Node:
            before = await _read(connection, node_id, lock=True)
            if before.version != change.version:
                raise Conflict(
                    "Somebody else changed this node in the meantime. Please reload and try again.",
                    {"version": before.version},
                )
            after = msgspec.structs.replace(before, **given, version=before.version + 1)
            values = {**given, "version": after.version}
            await connection.execute(node.update().where(node.c.id == node_id).values(**values))
            await record(connection, by, "node.change", node_id)
            return after

        return await self._database.write(work)

    async def remove(self, node_id: str, by: By) -> None:
        """Forget a node that holds nothing; raises NotFound, Conflict."""

        async def work(connection: AsyncConnection) -> None:
            # Locked, so that no notice of the node comes between the count and its end.
            await _read(connection, node_id, lock=True)
            held = await connection.scalar(
                sa.select(sa.func.count()).select_from(study).where(study.c.node_id == node_id)
            )
            if held:
                raise Conflict(
                    f"The node {node_id} still holds studies ({held}); make it inactive instead.",
                    {"studies": held},
                )
            await connection.execute(node.delete().where(node.c.id == node_id))
            await record(connection, by, "node.remove", node_id)

        await self._database.write(work)

    async def seen(self, node_id: str) -> None:
        """Note that a node speaks."""

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(node.update().where(node.c.id == node_id).values(last_seen_at=now()))

        await self._database.write(work)

    async def seed(self, node_id: str, name: str, url: str, public_key: str) -> None:
        """Add or update a node of the configuration file.

        What an administrator changed stays until the file itself changes.
        """
        print_of_file = "\n".join((name, url, public_key))

        async def work(connection: AsyncConnection) -> None:
            seeded = await connection.scalar(sa.select(node.c.seeded).where(node.c.id == node_id))
            values: dict[str, Any] = {"name": name, "url": url, "public_key": public_key}
            if seeded is None:
                await connection.execute(
                    node.insert().values(
                        id=node_id,
                        **values,
                        active=True,
                        accepts_storage=True,
                        version=1,
                        seeded=print_of_file,
                    )
                )
            elif seeded != print_of_file:
                values |= {"version": node.c.version + 1, "seeded": print_of_file}
                await connection.execute(node.update().where(node.c.id == node_id).values(**values))

        try:
            await self._database.write(work)
        except sa.exc.IntegrityError:
            # Another process of this role starts at the same moment with the same file.
            await self._database.write(work)


async def _read(connection: AsyncConnection, node_id: str, *, lock: bool = False) -> Node:
    query = sa.select(*_COLUMNS).where(node.c.id == node_id)
    row = (await connection.execute(query.with_for_update() if lock else query)).one_or_none()
    if row is None:
        raise NotFound("There is no such node at this institution.")
    return Node(**row._mapping)
