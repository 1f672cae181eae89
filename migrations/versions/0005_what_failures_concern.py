"""Refused tokens are counted apart from other failures, and failures of a lane apart from those of polls"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

COUNTS = ("refusals", "looks_failures")
REASONS = ("looks_code", "looks_reason")


def upgrade() -> None:
    for name in COUNTS:
        op.add_column("community", sa.Column(name, sa.BigInteger(), nullable=False, server_default="0"))
        # The default was for the rows that were there: a model says it for new ones.
        op.alter_column("community", name, server_default=None)
    for name in REASONS:
        op.add_column("community", sa.Column(name, sa.Text(), nullable=True))


def downgrade() -> None:
    for name in (*REASONS, *COUNTS):
        op.drop_column("community", name)
