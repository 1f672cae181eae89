"""Goals: the currency of money, and by which days and which version of the KPI a goal was measured"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "1110"
down_revision: str | None = "1091"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("goal_revision", sa.Column("currency", sa.Text(), nullable=True))
    op.add_column("goal_progress", sa.Column("timezone", sa.Text(), nullable=True))
    op.add_column("goal_progress", sa.Column("kpi_version", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    op.drop_column("goal_progress", "kpi_version")
    op.drop_column("goal_progress", "timezone")
    op.drop_column("goal_revision", "currency")
