"""The tables of the render role: uploads, accepted objects, the indexing queue, the index, the outbox."""

from __future__ import annotations

import sqlalchemy as sa

from sivr.store.schema.columns import NAMING, Instant, bytewise
from sivr.store.schema.shared import audit_table, cookie_session_table

metadata = sa.MetaData(naming_convention=NAMING)

upload = sa.Table(
    "upload",
    metadata,
    sa.Column("id", bytewise(), primary_key=True),
    sa.Column("actor_id", bytewise(), nullable=False),
    sa.Column("patient_id", bytewise(), nullable=False),
    sa.Column("patient_issuer", bytewise(), nullable=False),
    sa.Column("canceled", sa.Boolean, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
)
sa.Index(None, upload.c.created_at)

# What was answered for each finished file, so that the same question gets the same answer.
upload_file = sa.Table(
    "upload_file",
    metadata,
    sa.Column("upload_id", sa.ForeignKey("upload.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("file_id", bytewise(), primary_key=True),
    sa.Column("result", sa.LargeBinary, nullable=False),
    sa.Column("finished_at", Instant, nullable=False),
)

upload_study = sa.Table(
    "upload_study",
    metadata,
    sa.Column("upload_id", sa.ForeignKey("upload.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("study_uid", bytewise(), primary_key=True),
    sa.Column("instances", sa.Integer, nullable=False),
)

# An accepted object: its SOP Instance UID stands for these bytes and no others.
accepted = sa.Table(
    "accepted",
    metadata,
    sa.Column("instance_uid", bytewise(), primary_key=True),
    sa.Column("study_uid", bytewise(), nullable=False),
    sa.Column("series_uid", bytewise(), nullable=False),
    sa.Column("sha256", bytewise(), nullable=False),
    sa.Column("md5", sa.Text, nullable=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("accepted_at", Instant, nullable=False),
)
sa.Index(None, accepted.c.sha256)
sa.Index(None, accepted.c.study_uid)

# Whose study it is; claimed by the first object of it that is accepted.
study = sa.Table(
    "study",
    metadata,
    sa.Column("study_uid", bytewise(), primary_key=True),
    sa.Column("patient_id", bytewise(), nullable=False),
    sa.Column("patient_issuer", bytewise(), nullable=False),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
)

# The indexing queue: a message is removed in the transaction that writes the index, and only there.
message = sa.Table(
    "message",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("instance_uid", bytewise(), nullable=False, unique=True),
    sa.Column("study_uid", bytewise(), nullable=False),
    sa.Column("sha256", bytewise(), nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("available_at", Instant, nullable=False),
    sa.Column("leased_until", Instant),
    sa.Column("worker", sa.Text, nullable=False),
    sa.Column("dead", sa.Boolean, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("changed_at", Instant, nullable=False),
)
sa.Index(None, message.c.dead, message.c.available_at)
sa.Index(None, message.c.study_uid)

instance = sa.Table(
    "instance",
    metadata,
    sa.Column("instance_uid", bytewise(), primary_key=True),
    sa.Column("study_uid", bytewise(), nullable=False),
    sa.Column("series_uid", bytewise(), nullable=False),
    sa.Column("sha256", bytewise(), nullable=False),
    sa.Column("md5", sa.Text, nullable=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("header", sa.LargeBinary, nullable=False),
    sa.Column("indexed_at", Instant, nullable=False),
)
sa.Index(None, instance.c.study_uid, instance.c.series_uid)

# One row per study whose institution has not been told its newest revision.
outbox = sa.Table(
    "outbox",
    metadata,
    sa.Column("study_uid", bytewise(), primary_key=True),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("available_at", Instant, nullable=False),
    sa.Column("leased_until", Instant),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("changed_at", Instant, nullable=False),
)
sa.Index(None, outbox.c.available_at)

cookie_session = cookie_session_table(metadata)
audit = audit_table(metadata)

# The key of a study's encrypted objects, wrapped by the master key of that name.
study_key = sa.Table(
    "study_key",
    metadata,
    sa.Column("study_uid", bytewise(), primary_key=True),
    sa.Column("id", sa.LargeBinary, nullable=False, unique=True),
    sa.Column("wrapped", sa.LargeBinary, nullable=False),
    sa.Column("master_id", sa.Text, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
)

# One row: the master key in force.
sealing = sa.Table(
    "sealing",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("master_id", sa.Text, nullable=False),
)
