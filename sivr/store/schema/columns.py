"""Column types that mean the same on SQLite and PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
"""Every constraint has a name, so that later migrations can find it."""


class Instant(sa.TypeDecorator[datetime]):
    """A moment: aware ``datetime`` in UTC outside; microseconds since 1970 inside, everywhere alike."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> int | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment needs its time zone")
        since = value.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
        return (since.days * 86400 + since.seconds) * 1_000_000 + since.microseconds

    def process_result_value(self, value: int | None, dialect: Any) -> datetime | None:
        if value is None:
            return None
        seconds, microseconds = divmod(value, 1_000_000)
        return datetime.fromtimestamp(seconds, UTC).replace(microsecond=microseconds)


def bytewise() -> sa.Text:
    """Text compared by its UTF-8 bytes, so that prefixes are ranges and sorting is the same everywhere."""
    return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def now() -> datetime:
    """The present moment, UTC."""
    return datetime.now(UTC)


def plain(text: str, length: int = 1000) -> str:
    """A sentence as both databases keep it: PostgreSQL has no U+0000."""
    return text.replace("\0", "")[:length]
