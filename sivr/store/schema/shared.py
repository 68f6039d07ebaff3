"""Tables that more than one role has, made anew in each role's metadata."""

from __future__ import annotations

import sqlalchemy as sa

from sivr.store.schema.columns import Instant, bytewise


def cookie_session_table(metadata: sa.MetaData) -> sa.Table:
    """Sessions of browsers: the hash of a cookie's secret and what it stands for."""
    table = sa.Table(
        "cookie_session",
        metadata,
        sa.Column("hash", bytewise(), primary_key=True),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("expires_at", Instant, nullable=False),
    )
    sa.Index(None, table.c.expires_at)
    return table


def audit_table(metadata: sa.MetaData) -> sa.Table:
    """Who did what to which thing, when. Ids only: no names of patients, no contents."""
    number = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    table = sa.Table(
        "audit",
        metadata,
        sa.Column("id", number, primary_key=True, autoincrement=True),
        sa.Column("at", Instant, nullable=False),
        sa.Column("actor_id", bytewise(), nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("object_id", bytewise(), nullable=False),
        sa.Column("address", sa.Text, nullable=False),
    )
    sa.Index(None, table.c.at)
    sa.Index(None, table.c.object_id)
    return table
