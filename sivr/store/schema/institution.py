"""The tables of the institution role: which studies lie where, what was found in them, the nodes."""

from __future__ import annotations

import sqlalchemy as sa

from sivr.store.schema.columns import NAMING, Instant, bytewise
from sivr.store.schema.shared import audit_table, cookie_session_table

metadata = sa.MetaData(naming_convention=NAMING)

node = sa.Table(
    "node",
    metadata,
    sa.Column("id", bytewise(), primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("public_key", sa.Text, nullable=False),
    sa.Column("active", sa.Boolean, nullable=False),
    sa.Column("accepts_storage", sa.Boolean, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("seeded", sa.Text, nullable=False),
    sa.Column("last_seen_at", Instant),
)

# A study may lie on several nodes: each tells its own state of it.
study = sa.Table(
    "study",
    metadata,
    sa.Column("study_uid", bytewise(), primary_key=True),
    sa.Column("node_id", sa.ForeignKey("node.id"), primary_key=True),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Column("patient_id", bytewise(), nullable=False),
    sa.Column("patient_issuer", bytewise(), nullable=False),
    sa.Column("study_date", sa.Date),
    sa.Column("study_time", sa.Text, nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("description_folded", bytewise(), nullable=False),
    sa.Column("accession_number", bytewise(), nullable=False),
    sa.Column("series_count", sa.Integer, nullable=False),
    sa.Column("instance_count", sa.Integer, nullable=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("complete", sa.Boolean, nullable=False, server_default=sa.true()),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("updated_at", Instant, nullable=False),
)
sa.Index(None, study.c.patient_id, study.c.patient_issuer)
sa.Index(None, study.c.study_date)
sa.Index(None, study.c.node_id)

_WHOSE = ["study.study_uid", "study.node_id"]

study_modality = sa.Table(
    "study_modality",
    metadata,
    sa.Column("study_uid", bytewise(), primary_key=True),
    sa.Column("node_id", bytewise(), primary_key=True),
    sa.Column("modality", bytewise(), primary_key=True),
    sa.ForeignKeyConstraint(["study_uid", "node_id"], _WHOSE, ondelete="CASCADE"),
)
sa.Index(None, study_modality.c.modality)

# UIDs should be unique in the world; badly de-identified files use one series UID in several studies.
series = sa.Table(
    "series",
    metadata,
    sa.Column("study_uid", bytewise(), primary_key=True),
    sa.Column("node_id", bytewise(), primary_key=True),
    sa.Column("series_uid", bytewise(), primary_key=True),
    sa.Column("modality", sa.Text, nullable=False),
    sa.Column("number", sa.BigInteger),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("body_part", sa.Text, nullable=False),
    sa.Column("instance_count", sa.Integer, nullable=False),
    sa.Column("frame_count", sa.Integer, nullable=False),
    sa.Column("renderable", sa.Boolean, nullable=False),
    sa.Column("has_volume", sa.Boolean, nullable=False),
    sa.Column("why_no_volume", sa.Text, nullable=False),
    sa.ForeignKeyConstraint(["study_uid", "node_id"], _WHOSE, ondelete="CASCADE"),
)

instance = sa.Table(
    "instance",
    metadata,
    sa.Column("study_uid", bytewise(), primary_key=True),
    sa.Column("node_id", bytewise(), primary_key=True),
    sa.Column("instance_uid", bytewise(), primary_key=True),
    sa.Column("series_uid", bytewise(), nullable=False),
    sa.Column("md5", sa.Text, nullable=False),
    sa.Column("sha256", bytewise(), nullable=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.ForeignKeyConstraint(["study_uid", "node_id"], _WHOSE, ondelete="CASCADE"),
)

# ``version`` is the newest one's number. It and the version's row are written in one transaction; the rows of
# finding_version are only ever added.
finding = sa.Table(
    "finding",
    metadata,
    sa.Column("id", bytewise(), primary_key=True),
    sa.Column("study_uid", bytewise(), nullable=False),
    sa.Column("author_id", bytewise(), nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
)
sa.Index(None, finding.c.study_uid)

finding_version = sa.Table(
    "finding_version",
    metadata,
    sa.Column("finding_id", sa.ForeignKey("finding.id"), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("author_id", bytewise(), nullable=False),
    sa.Column("author_name", sa.Text, nullable=False),
    sa.Column("at", Instant, nullable=False),
)

annotation = sa.Table(
    "annotation",
    metadata,
    sa.Column("id", bytewise(), primary_key=True),
    sa.Column("study_uid", bytewise(), nullable=False),
    sa.Column("author_id", bytewise(), nullable=False),
    sa.Column("author_name", sa.Text, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("change", sa.BigInteger, nullable=False),
    sa.Column("deleted", sa.Boolean, nullable=False),
    sa.Column("visibility", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("content", sa.Text, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("updated_at", Instant, nullable=False),
)
sa.Index(None, annotation.c.study_uid, annotation.c.change)

# The number of the latest change of a study's annotations. Whoever writes one locks this row first.
annotation_change = sa.Table(
    "annotation_change",
    metadata,
    sa.Column("study_uid", bytewise(), primary_key=True),
    sa.Column("last", sa.BigInteger, nullable=False),
)

cookie_session = cookie_session_table(metadata)
audit = audit_table(metadata)
