"""One SQL database of one role: SQLite in a file, or PostgreSQL; transactions and migrations.

Every store of a role shares one ``Database``. Reads go through ``connect()``, writes through ``begin()``
or ``write()``; both databases then behave the same: a write is atomic and durable when the block ends.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
import random
import sqlite3
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

import aiosqlite
import asyncpg
import sqlalchemy as sa
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from sivr.errors import Exhausted, Invalid, SivrError, Unavailable

SchemaName = Literal["toplevel", "institution", "render"]
SCHEMA_NAMES: tuple[SchemaName, ...] = ("toplevel", "institution", "render")

_T = TypeVar("_T")
_log = logging.getLogger("sivr.store")
_MIGRATIONS = Path(__file__).parent / "migrations"
_BUSY_TIMEOUT_S = 20.0
_CONNECT_TIMEOUT_S = 10.0
_WRITE_ATTEMPTS = 8
_MIGRATION_LOCK = 0x53495652  # "SIVR": any number nobody else takes an advisory lock on
_NO_ANSWER = "The database does not answer. Please try again in a moment."

# alembic keeps the running migration in module globals, so migrations of one process go one by one.
_migrating = threading.Lock()


class Database:
    """The database at ``url`` holding the tables of ``schema``; an async context manager.

    ``url`` is ``sqlite:///PATH`` (four slashes for an absolute path) or ``postgresql://...`` in the form of
    libpq, several hosts and ``target_session_attrs`` included. Entering creates the folder or the PostgreSQL
    schema and upgrades the tables; two processes may do so at once.

    Raises Invalid where the URL or the database's content is wrong, Unavailable where nothing answers.
    A ``Database`` belongs to the event loop that entered it.
    """

    def __init__(self, url: str, schema: SchemaName) -> None:
        if schema not in SCHEMA_NAMES:
            raise Invalid(f"There is no schema {schema}.")
        self.schema: SchemaName = schema
        self.sqlite_path: Path | None = None
        """The file, where the database is SQLite."""
        self._dsn = ""
        kind, _, rest = url.partition("://")
        if kind == "sqlite" and rest.startswith("/") and len(rest) > 1 and rest[1:] != ":memory:":
            self.sqlite_path = Path(rest[1:])
        elif kind in ("postgresql", "postgres") and rest:
            self._dsn = url
        else:
            raise Invalid("A database URL begins with sqlite:///PATH or postgresql://HOST/NAME.")
        self._engine: AsyncEngine | None = None
        self._writing = asyncio.Lock()

    @property
    def engine(self) -> AsyncEngine:
        """SQLAlchemy's engine; only while the database is open."""
        if self._engine is None:
            raise Unavailable("The database is not open.")
        return self._engine

    @property
    def is_sqlite(self) -> bool:
        """Whether this is SQLite, where one writer works at a time."""
        return self.sqlite_path is not None

    async def __aenter__(self) -> Self:
        if self.sqlite_path is not None:
            await asyncio.to_thread(_prepare_file, self.sqlite_path)
        await asyncio.to_thread(self._upgrade)
        self._engine = self._new_engine(pooled=True)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        engine, self._engine = self._engine, None
        if engine is not None:
            await engine.dispose()

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[AsyncConnection]:
        """A connection for reading: one consistent snapshot on SQLite, per statement on PostgreSQL."""
        with _translated():
            async with self.engine.connect() as connection:
                yield connection

    @asynccontextmanager
    async def as_it_is(self) -> AsyncIterator[AsyncConnection]:
        """A connection for a look at a database that is not entered: its tables may be of any version."""
        with _translated():
            engine = self._new_engine(pooled=False)
            try:
                async with engine.connect() as connection:
                    yield connection
            finally:
                await engine.dispose()

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        """A write transaction: durable when the block ends, undone when it raises.

        Do not nest. The block may fail with Unavailable where two transactions of PostgreSQL collide; use
        ``write`` for work that reads, decides and then writes under contention.
        """
        with _translated():
            if self.is_sqlite:
                # Waiting here is fair and cheap; SQLite itself would poll for the file's lock.
                async with (
                    self._writing,
                    self.engine.execution_options(sivr_write=True).begin() as connection,
                ):
                    yield connection
            else:
                async with self.engine.begin() as connection:
                    yield connection

    async def write(self, work: Callable[[AsyncConnection], Awaitable[_T]]) -> _T:
        """Run ``work`` in a write transaction, again from the start when it collided with another one.

        ``work`` may therefore run several times and must not have effects beyond its connection.
        """
        for attempt in range(1, _WRITE_ATTEMPTS + 1):
            try:
                async with self.begin() as connection:
                    return await work(connection)
            except Unavailable as error:
                if attempt == _WRITE_ATTEMPTS or not _collided(error.__cause__):
                    raise
                # Not all at once again.
                await asyncio.sleep(random.uniform(0.5, 1.0) * 0.01 * 2**attempt)  # noqa: S311
        raise AssertionError("unreachable")

    async def health(self) -> str:
        """An empty string when the database answers, else one sentence why not."""
        try:
            async with asyncio.timeout(5), self.connect() as connection:
                await connection.execute(sa.select(1))
        except SivrError as error:
            return error.message
        except TimeoutError:
            return _NO_ANSWER
        return ""

    def _new_engine(self, *, pooled: bool) -> AsyncEngine:
        """An engine; not pooled for the short life of a migration."""
        pool: dict[str, Any] = {"pool_size": 8, "max_overflow": 8, "pool_timeout": 15} if pooled else {}
        if not pooled:
            pool["poolclass"] = NullPool
        if self.sqlite_path is not None:
            url = sa.URL.create("sqlite+aiosqlite", database=str(self.sqlite_path))
            arguments = {"timeout": _BUSY_TIMEOUT_S, "async_creator_fn": _SqliteConnection.to}
            engine = create_async_engine(url, connect_args=arguments, **pool)
            sa.event.listen(engine.sync_engine, "connect", _set_pragmas)
            sa.event.listen(engine.sync_engine, "begin", _begin_sqlite)
            return engine
        if pooled:
            pool["pool_pre_ping"] = True
        # asyncpg reads the URL itself: SQLAlchemy knows neither sslmode nor several hosts.
        return create_async_engine("postgresql+asyncpg://", async_creator=self._connect_postgresql, **pool)

    async def _connect_postgresql(self, **_: object) -> Any:
        return await asyncpg.connect(
            dsn=self._dsn,
            timeout=_CONNECT_TIMEOUT_S,
            server_settings={
                # One PostgreSQL database may serve several roles, each in its own schema.
                "search_path": f"sivr_{self.schema}",
                "application_name": f"sivr {self.schema}",
                "timezone": "UTC",
                "statement_timeout": "60000",
                "lock_timeout": "20000",
                "idle_in_transaction_session_timeout": "120000",
            },
        )

    def _upgrade(self) -> None:
        with _migrating, _translated():
            asyncio.run(self._upgrade_alone())

    async def _upgrade_alone(self) -> None:
        engine = self._new_engine(pooled=False)
        try:
            async with engine.execution_options(sivr_write=True).begin() as connection:
                if not self.is_sqlite:
                    # Held until COMMIT: a second process waits here, then finds everything done.
                    await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
                    await connection.execute(sa.text(f"CREATE SCHEMA IF NOT EXISTS sivr_{self.schema}"))
                await connection.run_sync(_run_migrations, self.schema)
        finally:
            await engine.dispose()


class _SqliteConnection(aiosqlite.Connection):
    """A connection that may be stopped twice, and that undoes its transaction before it is closed.

    SQLAlchemy closes the connection of canceled work, and stops it when it is canceled once more meanwhile.
    The closing then waits for ever for a second stop, which a thread that has ended never answers.

    SQLite keeps a closed connection alive, with its transaction and the file's lock, while a statement of it
    has rows that nobody fetched (sqlite3_close_v2), as that of canceled work may have.
    """

    @classmethod
    def to(cls, path: str, **options: Any) -> Self:
        """A connection to a file, not yet open."""
        made = cls(lambda: sqlite3.connect(path, **options), 64)
        # A connection that nobody closed must not keep the process.
        made._thread.daemon = True
        return made

    async def close(self) -> None:
        self._undo()
        await super().close()

    def stop(self) -> asyncio.Future[Any] | None:
        if not self._running:
            return None
        self._undo()
        return super().stop()

    def _undo(self) -> None:
        """Have the thread roll back what is open when it comes to it."""
        connection = self._connection
        if connection is not None:
            self._tx.put_nowait((None, partial(_roll_back, connection)))


def _roll_back(connection: sqlite3.Connection) -> None:
    with suppress(sqlite3.Error):
        if connection.in_transaction:
            connection.rollback()


def metadata_of(schema: SchemaName) -> sa.MetaData:
    """The tables that the code expects in a schema."""
    module = importlib.import_module(f"sivr.store.schema.{schema}")
    metadata = module.metadata
    assert isinstance(metadata, sa.MetaData)
    return metadata


def _prepare_file(path: Path) -> None:
    """Create the database's folder and file readable by their owner only: they hold patients' data."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise Unavailable(f"The database file {path} cannot be opened: {error.strerror}.") from error


def _set_pragmas(connection: Any, record: object) -> None:
    # sqlite3's own transactions begin too late (at the first write) and hide BEGIN IMMEDIATE.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (
        f"busy_timeout = {int(_BUSY_TIMEOUT_S * 1000)}",
        "journal_mode = WAL",
        "synchronous = FULL",  # WAL with NORMAL may lose acknowledged commits when the power fails
        "foreign_keys = ON",
        "temp_store = MEMORY",
        "cache_size = -16384",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: sa.Connection) -> None:
    write = connection.get_execution_options().get("sivr_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def _run_migrations(connection: sa.Connection, schema: SchemaName) -> None:
    version_table = f"version_{schema}"
    # On PostgreSQL every schema has its own namespace; a SQLite file belongs to one.
    others = {f"version_{name}" for name in SCHEMA_NAMES} - {version_table}
    present = set(sa.inspect(connection).get_table_names())
    if present & others:
        taken = sorted(present & others)[0].removeprefix("version_")
        raise Invalid(
            f"This database file holds the tables of the {taken} role; every role needs its own file."
        )
    script = ScriptDirectory(str(_MIGRATIONS), version_locations=[str(_MIGRATIONS / schema / "versions")])

    def steps(revision: Any, context: Any) -> Any:
        return script._upgrade_revs("head", revision)

    try:
        with EnvironmentContext(Config(), script, fn=steps, destination_rev="head") as environment:
            environment.configure(
                connection=connection, target_metadata=metadata_of(schema), version_table=version_table
            )
            with environment.begin_transaction():
                environment.run_migrations()
    except CommandError as error:
        raise Invalid(
            f"The database of the {schema} role was written by a newer SIVR than this one ({error}).",
        ) from error


class _translated:
    """Turn a database that does not answer into Unavailable; other errors pass as they are."""

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None or isinstance(error, (SivrError, sa.exc.IntegrityError)):
            return
        if _state(error) == "22021":
            # PostgreSQL keeps no U+0000. What is written is checked before; this is a search or an id.
            raise Invalid("The text contains a character that cannot be stored.") from error
        if _is_full(error):
            raise Exhausted("The disk of the database is full; nothing was changed.") from error
        if _collided(error):
            raise Unavailable("The database was busy with other changes. Please try again.") from error
        if _is_away(error):
            _log.warning("database does not answer: %s", type(error).__name__)
            raise Unavailable(_NO_ANSWER) from error


def _driver_error(error: BaseException | None) -> BaseException | None:
    """The driver's own exception inside SQLAlchemy's."""
    while isinstance(error, sa.exc.DBAPIError):
        error = error.orig
    return error


def _state(error: BaseException | None) -> str:
    """PostgreSQL's SQLSTATE, or empty."""
    inner = _driver_error(error)
    return str(getattr(inner, "sqlstate", None) or "")


def _collided(error: BaseException | None) -> bool:
    """Whether the same transaction may well succeed when repeated."""
    inner = _driver_error(error)
    if isinstance(inner, sqlite3.OperationalError):
        return inner.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
    # serialization failure, deadlock, lock_timeout
    return _state(error) in ("40001", "40P01", "55P03")


def _is_full(error: BaseException) -> bool:
    inner = _driver_error(error)
    if isinstance(inner, sqlite3.OperationalError):
        return inner.sqlite_errorcode & 0xFF == sqlite3.SQLITE_FULL
    return _state(error) == "53100"


def _is_away(error: BaseException) -> bool:
    if isinstance(error, sa.exc.DBAPIError) and error.connection_invalidated:
        return True
    if isinstance(error, (sa.exc.TimeoutError, sa.exc.InterfaceError)):
        return True
    inner = _driver_error(error)
    if isinstance(inner, sqlite3.OperationalError):
        return inner.sqlite_errorcode & 0xFF in (
            sqlite3.SQLITE_CANTOPEN,
            sqlite3.SQLITE_IOERR,
            sqlite3.SQLITE_READONLY,
        )
    if isinstance(inner, (ConnectionError, TimeoutError, asyncpg.PostgresConnectionError)):
        return True
    # connection exceptions, too many connections, shutting down, wrong credentials or database, timeout
    return _state(error)[:2] in ("08", "53", "28", "3D") or _state(error) in (
        "57P01",
        "57P02",
        "57P03",
        "57014",
    )
