"""Transactions, migrations and refusals of ``sivr.store.database``, on both databases."""

from __future__ import annotations

import asyncio
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from sivr.errors import Exhausted, Invalid, Unavailable
from sivr.store.database import SCHEMA_NAMES, Database, SchemaName
from sivr.store.migrations.__main__ import differences
from sivr.store.schema.columns import now
from sivr.store.schema.toplevel import audit, login_failure, session
from tests import postgres


@pytest.mark.parametrize("schema", SCHEMA_NAMES)
async def test_newest_version_equals_the_metadata(database_url: str, schema: SchemaName) -> None:
    async with Database(database_url, schema) as database, database.connect() as connection:
        code, changed = await connection.run_sync(differences, schema)
    assert not changed, f"run python -m sivr.store.migrations {schema} WHAT; missing:\n{code}"


async def test_work_canceled_twice_leaves_no_task_behind(database_url: str) -> None:
    async with Database(database_url, "toplevel") as database:

        async def read() -> None:
            async with database.connect() as connection:
                await connection.execute(sa.select(sa.func.count()).select_from(session))

        for round in range(30):
            reading = asyncio.create_task(read())
            for _ in range(round % 6):
                await asyncio.sleep(0.0005)
            for _ in range(2):
                reading.cancel()
                await asyncio.sleep(0)
            await asyncio.wait([reading])
        await read()
        async with asyncio.timeout(10):
            while others := asyncio.all_tasks() - {asyncio.current_task()}:
                await asyncio.wait(others)


async def test_closing_a_connection_with_rows_not_fetched_frees_the_file(tmp_path: Path) -> None:
    add = audit.insert().values(at=now(), actor_id="a", action="x", object_id="o", address="")
    async with Database(f"sqlite:///{tmp_path / 'a.db'}", "toplevel") as database:
        async with database.engine.connect() as connection:
            raw = (await connection.get_raw_connection()).driver_connection
            assert raw is not None
            await raw.execute("BEGIN IMMEDIATE")
            # As canceled work leaves it: kept by the frames of its traceback.
            kept = await raw.execute(
                "INSERT INTO audit (at, actor_id, action, object_id, address) "
                "VALUES ('2022-01-01', 'a', 'x', 'o', '') RETURNING id"
            )
            await connection.invalidate()
        async with asyncio.timeout(5), database.begin() as connection:
            await connection.execute(add)
        async with database.connect() as connection:
            assert (await connection.execute(sa.select(sa.func.count()).select_from(audit))).scalar() == 1
        del kept


async def test_entering_twice_keeps_the_data(database_url: str) -> None:
    moment = now()
    for _ in range(2):
        async with Database(database_url, "toplevel") as database, database.begin() as connection:
            await connection.execute(
                audit.insert().values(at=moment, actor_id="a", action="x", object_id="o", address="")
            )
    async with Database(database_url, "toplevel") as database, database.connect() as connection:
        rows = (await connection.execute(sa.select(audit.c.at))).scalars().all()
    assert rows == [moment, moment]


_START = """
import asyncio, sys
from sivr.store.database import Database
async def main():
    async with Database(sys.argv[1], "toplevel") as database:
        async with database.connect() as connection:
            pass
asyncio.run(main())
"""


async def test_processes_starting_at_once_are_safe(database_url: str) -> None:
    started = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", _START, database_url, stderr=subprocess.PIPE, cwd=Path(__file__).parents[2]
        )
        for _ in range(3)
    ]
    for process in started:
        _, error = await process.communicate()
        assert process.returncode == 0, error.decode()


async def test_roles_in_one_process_start_at_once(tmp_path: Path) -> None:
    async def start(schema: SchemaName) -> str:
        async with Database(f"sqlite:///{tmp_path / schema}.sqlite", schema) as database:
            return await database.health()

    assert await asyncio.gather(*(start(schema) for schema in SCHEMA_NAMES)) == ["", "", ""]


async def test_a_failing_block_changes_nothing(database_url: str) -> None:
    async with Database(database_url, "toplevel") as database:
        with pytest.raises(RuntimeError, match="halfway"):
            async with database.begin() as connection:
                await connection.execute(
                    audit.insert().values(at=now(), actor_id="a", action="x", object_id="o", address="")
                )
                raise RuntimeError("halfway")
        async with database.connect() as connection:
            assert await connection.scalar(sa.select(sa.func.count()).select_from(audit)) == 0


async def test_writers_do_not_lose_updates(database_url: str) -> None:
    async with Database(database_url, "toplevel") as database:
        async with database.begin() as connection:
            await connection.execute(login_failure.insert().values(login_hash="h", failures=0, last_at=now()))

        async def count(connection: AsyncConnection) -> None:
            row = login_failure.c.login_hash == "h"
            seen = await connection.scalar(sa.select(login_failure.c.failures).where(row).with_for_update())
            await asyncio.sleep(0)
            await connection.execute(login_failure.update().where(row).values(failures=seen + 1))

        await asyncio.gather(*(database.write(count) for _ in range(40)))
        async with database.connect() as connection:
            assert await connection.scalar(sa.select(login_failure.c.failures)) == 40


async def test_deadlocked_writes_are_repeated(database_url: str) -> None:
    async with Database(database_url, "toplevel") as database:
        async with database.begin() as connection:
            for key in ("a", "b"):
                await connection.execute(
                    login_failure.insert().values(login_hash=key, failures=0, last_at=now())
                )

        def raise_both(first: str, second: str):  # type: ignore[no-untyped-def]
            async def work(connection: AsyncConnection) -> None:
                for key in (first, second):
                    await connection.execute(
                        login_failure.update()
                        .where(login_failure.c.login_hash == key)
                        .values(failures=login_failure.c.failures + 1)
                    )
                    await asyncio.sleep(0.05)

            return work

        await asyncio.gather(database.write(raise_both("a", "b")), database.write(raise_both("b", "a")))
        async with database.connect() as connection:
            assert (await connection.execute(sa.select(login_failure.c.failures))).scalars().all() == [2, 2]


async def test_foreign_keys_are_enforced(database_url: str) -> None:
    async with Database(database_url, "toplevel") as database:
        with pytest.raises(sa.exc.IntegrityError):
            async with database.begin() as connection:
                await connection.execute(
                    session.insert().values(
                        id="s", user_id="nobody", created_at=now(), used_at=now(), expires_at=now()
                    )
                )


async def test_sqlite_settings_and_rights(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "t.sqlite"
    async with Database(f"sqlite:///{path}", "toplevel") as database, database.connect() as connection:
        found = {
            pragma: await connection.scalar(sa.text(f"PRAGMA {pragma}"))
            for pragma in ("journal_mode", "synchronous", "foreign_keys")
        }
        assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


async def test_a_file_of_another_role_is_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 't.sqlite'}"
    async with Database(url, "toplevel"):
        pass
    with pytest.raises(Invalid, match="holds the tables of the toplevel role"):
        async with Database(url, "render"):
            pass


async def test_a_newer_database_is_refused(database_url: str) -> None:
    async with Database(database_url, "toplevel") as database, database.begin() as connection:
        await connection.execute(sa.text("UPDATE version_toplevel SET version_num = '9999'"))
    with pytest.raises(Invalid, match="newer SIVR"):
        async with Database(database_url, "toplevel"):
            pass


@pytest.mark.parametrize(
    "url", ["", "sqlite://", "sqlite:///:memory:", "mysql://h/d", "file.db", "postgresql://"]
)
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(Invalid, match="A database URL begins with"):
        Database(url, "toplevel")


async def test_a_server_that_is_away_is_unavailable(unused_tcp_port: int) -> None:
    with pytest.raises(Unavailable, match="does not answer"):
        async with Database(f"postgresql://postgres@127.0.0.1:{unused_tcp_port}/x", "toplevel"):
            pass


async def test_a_folder_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match="cannot be opened"):
        async with Database(f"sqlite:///{tmp_path / 'file' / 't.sqlite'}", "toplevel"):
            pass


async def test_postgresql_restarting_is_survived() -> None:
    folder = postgres.binaries()
    if folder is None:
        pytest.skip("PostgreSQL is not installed here")
    server = await asyncio.to_thread(postgres.Server, folder)
    try:
        async with Database(server.create_database(), "toplevel") as database:
            assert await database.health() == ""
            await asyncio.to_thread(server.stop)
            assert "does not answer" in await database.health()
            with pytest.raises(Unavailable):
                async with database.begin():
                    pass
            await asyncio.to_thread(server.start)
            assert await database.health() == ""
    finally:
        await asyncio.to_thread(server.close)


async def test_a_full_disk_is_exhausted_and_changes_nothing(tmp_path: Path) -> None:
    async with Database(f"sqlite:///{tmp_path / 't.sqlite'}", "toplevel") as database:
        with pytest.raises(Exhausted, match="nothing was changed"):
            async with database.begin() as connection:
                pages = await connection.scalar(sa.text("PRAGMA page_count"))
                await connection.execute(sa.text(f"PRAGMA max_page_count = {pages + 1}"))
                for _ in range(100):
                    row = {
                        "at": now(),
                        "actor_id": "a",
                        "action": "x" * 4000,
                        "object_id": "o",
                        "address": "",
                    }
                    await connection.execute(audit.insert().values(**row))
        async with database.connect() as connection:
            assert await connection.scalar(sa.select(sa.func.count()).select_from(audit)) == 0
