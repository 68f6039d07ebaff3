"""The tables of the toplevel role: who may log in, who is a patient, which institutions there are."""

from __future__ import annotations

import sqlalchemy as sa

from sivr.store.schema.columns import NAMING, Instant, bytewise
from sivr.store.schema.shared import audit_table

metadata = sa.MetaData(naming_convention=NAMING)

institution = sa.Table(
    "institution",
    metadata,
    sa.Column("id", bytewise(), primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("address", sa.Text, nullable=False),
    sa.Column("active", sa.Boolean, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("updated_at", Instant, nullable=False),
)

user_account = sa.Table(
    "user_account",
    metadata,
    sa.Column("id", bytewise(), primary_key=True),
    sa.Column("login", sa.Text, nullable=False),
    sa.Column("login_folded", bytewise(), nullable=False, unique=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("search_folded", bytewise(), nullable=False),
    sa.Column("email", sa.Text, nullable=False),
    sa.Column("phone", sa.Text, nullable=False),
    sa.Column("language", sa.Text, nullable=False),
    sa.Column("password_hash", sa.Text, nullable=False),
    sa.Column("must_change_password", sa.Boolean, nullable=False),
    sa.Column("active", sa.Boolean, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("updated_at", Instant, nullable=False),
)

user_role = sa.Table(
    "user_role",
    metadata,
    sa.Column("user_id", sa.ForeignKey("user_account.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("role", sa.Text, primary_key=True),
)

user_institution = sa.Table(
    "user_institution",
    metadata,
    sa.Column("user_id", sa.ForeignKey("user_account.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("institution_id", sa.ForeignKey("institution.id"), primary_key=True),
)
sa.Index(None, user_institution.c.institution_id)

# A session is one log-in: a family of refresh tokens, each replaced by the next.
session = sa.Table(
    "session",
    metadata,
    sa.Column("id", bytewise(), primary_key=True),
    sa.Column("user_id", sa.ForeignKey("user_account.id", ondelete="CASCADE"), nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("used_at", Instant, nullable=False),
    sa.Column("expires_at", Instant, nullable=False),
)
sa.Index(None, session.c.user_id)
sa.Index(None, session.c.expires_at)

refresh_token = sa.Table(
    "refresh_token",
    metadata,
    sa.Column("hash", bytewise(), primary_key=True),
    sa.Column("session_id", sa.ForeignKey("session.id", ondelete="CASCADE"), nullable=False),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("replaced_at", Instant),
)
sa.Index(None, refresh_token.c.session_id)

# Counted by the login that was typed, whether or not there is such a user.
login_failure = sa.Table(
    "login_failure",
    metadata,
    sa.Column("login_hash", bytewise(), primary_key=True),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("last_at", Instant, nullable=False),
    sa.Column("locked_until", Instant),
)
sa.Index(None, login_failure.c.last_at)

record_type = sa.Table(
    "record_type",
    metadata,
    sa.Column("id", bytewise(), primary_key=True),
    sa.Column("code", sa.Text, nullable=False),
    sa.Column("code_folded", bytewise(), nullable=False, unique=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("modalities", sa.Text, nullable=False),
    sa.Column("active", sa.Boolean, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("updated_at", Instant, nullable=False),
)

patient = sa.Table(
    "patient",
    metadata,
    sa.Column("id", bytewise(), primary_key=True),
    sa.Column("family_name", sa.Text, nullable=False),
    sa.Column("given_name", sa.Text, nullable=False),
    sa.Column("middle_name", sa.Text, nullable=False),
    sa.Column("sort_key", bytewise(), nullable=False),
    sa.Column("birth_date", sa.Date),
    sa.Column("sex", sa.Text, nullable=False),
    sa.Column("insurance_number", sa.Text, nullable=False),
    sa.Column("insurance_issuer", sa.Text, nullable=False),
    sa.Column("insurance_folded", bytewise(), nullable=False),
    sa.Column("insurance_key", bytewise(), unique=True),
    sa.Column("phone", sa.Text, nullable=False),
    sa.Column("email", sa.Text, nullable=False),
    sa.Column("address", sa.Text, nullable=False),
    sa.Column("notes", sa.Text, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("updated_at", Instant, nullable=False),
)
sa.Index(None, patient.c.sort_key, patient.c.id)
sa.Index(None, patient.c.birth_date)
sa.Index(None, patient.c.insurance_folded)

# The folded parts of every name, in every spelling, so that a prefix is a range of this index.
patient_name = sa.Table(
    "patient_name",
    metadata,
    sa.Column("part", bytewise(), primary_key=True),
    sa.Column("patient_id", sa.ForeignKey("patient.id", ondelete="CASCADE"), primary_key=True),
    sqlite_with_rowid=False,
)
sa.Index(None, patient_name.c.patient_id)

# What users keep for the pages: JSON under names.
user_setting = sa.Table(
    "user_setting",
    metadata,
    sa.Column("user_id", sa.ForeignKey("user_account.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("name", bytewise(), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
    sa.Column("size_bytes", sa.Integer, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("updated_at", Instant, nullable=False),
)

audit = audit_table(metadata)
