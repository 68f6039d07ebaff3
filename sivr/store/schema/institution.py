"""The tables of the institution role."""

from __future__ import annotations

import sqlalchemy as sa

from sivr.store.schema.columns import NAMING

metadata = sa.MetaData(naming_convention=NAMING)
