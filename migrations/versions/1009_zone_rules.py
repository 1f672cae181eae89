"""Rules of time zones that differ from PostgreSQL's own"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "1009"
down_revision: str | None = "1008"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "zone_rule",
        sa.Column("zone", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("utc_offset", sa.Interval(), nullable=False),
        sa.CheckConstraint("isfinite(since)", name=op.f("ck_zone_rule_since_is_finite")),
        sa.PrimaryKeyConstraint("zone", "since", name=op.f("pk_zone_rule")),
    )


def downgrade() -> None:
    op.drop_table("zone_rule")
