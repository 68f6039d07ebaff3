"""The accepted objects of a node, one after the other, for whoever looks at all of them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import sqlalchemy as sa

from sivr.model.ingest import Object
from sivr.store.database import Database
from sivr.store.schema.render import accepted

_PAGE = 1000


class Objects:
    """All accepted objects of one node."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def count(self) -> int:
        """How many there are."""
        async with self._database.connect() as connection:
            return await connection.scalar(sa.select(sa.func.count()).select_from(accepted)) or 0

    async def __aiter__(self) -> AsyncIterator[Object]:
        """In the order of their UIDs; those that come meanwhile may be among them."""
        columns = [accepted.c[name] for name in Object.__struct_fields__]
        last = ""
        while True:
            query = sa.select(*columns).where(accepted.c.instance_uid > last)
            async with self._database.connect() as connection:
                page = (await connection.execute(query.order_by(accepted.c.instance_uid).limit(_PAGE))).all()
            for row in page:
                yield Object(**row._mapping)
            if len(page) < _PAGE:
                return
            last = page[-1].instance_uid
