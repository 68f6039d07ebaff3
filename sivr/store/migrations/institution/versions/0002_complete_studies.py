"""Whether more of a study is to come"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("study", sa.Column("complete", sa.Boolean(), server_default=sa.true(), nullable=False))
