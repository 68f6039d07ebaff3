"""Write the next version of a role's tables: ``python -m sivr.store.migrations ROLE WHAT_CHANGES``.

Compares the metadata in ``sivr.store.schema`` with a fresh database at the present head and writes the
difference to ``sivr/store/migrations/ROLE/versions/``; read the file before committing it.
"""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sa
from alembic.autogenerate import api
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from sivr.store.database import SCHEMA_NAMES, Database, SchemaName, metadata_of

_FILE = '''"""{title}"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = {down!r}


def upgrade() -> None:
    {upgrade}
'''


def render_item(kind: str, item: Any, autogen: Any) -> str | Literal[False]:
    """Versions must not depend on the code of today, so our own types are written as what they store."""
    if kind == "type" and isinstance(item, sa.TypeDecorator):
        return f"sa.{type(item.impl_instance).__name__}()"
    return False


def differences(connection: sa.Connection, schema: SchemaName) -> tuple[str, bool]:
    """Python code that takes the connected database to the metadata, and whether there is any."""
    options = {
        "target_metadata": metadata_of(schema),
        "render_item": render_item,
        "compare_type": True,
        "sqlalchemy_module_prefix": "sa.",
        "alembic_module_prefix": "op.",
        "version_table": f"version_{schema}",
    }
    context = MigrationContext.configure(connection, opts=options)
    migration = api.produce_migrations(context, metadata_of(schema))
    operations = migration.upgrade_ops
    assert operations is not None
    return api.render_python_code(operations, migration_context=context, render_item=render_item), bool(
        operations.ops
    )


async def _write(schema: SchemaName, title: str) -> Path:
    folder = Path(__file__).parent / schema / "versions"
    script = ScriptDirectory(str(folder.parent.parent), version_locations=[str(folder)])
    head = script.get_current_head()
    with tempfile.TemporaryDirectory() as scratch:
        async with (
            Database(f"sqlite:///{scratch}/empty.sqlite", schema) as database,
            database.connect() as connection,
        ):
            code, changed = await connection.run_sync(differences, schema)
    if not changed:
        raise SystemExit(f"The tables of {schema} and their newest version agree; nothing to write.")
    code = re.sub(r"^ *# (###|commands).*\n?", "", code, flags=re.MULTILINE).strip()
    revision = f"{int(head or 0) + 1:04}"
    slug = re.sub(r"[^a-z0-9]+", "_", title.lower()).strip("_")
    path = folder / f"{revision}_{slug}.py"
    path.write_text(_FILE.format(title=title, revision=revision, down=head, upgrade=code).replace("'", '"'))
    return path


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in SCHEMA_NAMES:
        raise SystemExit(__doc__)
    name: SchemaName = next(known for known in SCHEMA_NAMES if known == sys.argv[1])
    print(asyncio.run(_write(name, sys.argv[2])))
