"""The status that a post had before it was marked as published, so that this can be undone"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "1027"
down_revision: str | None = "1026"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("post", sa.Column("plan_status", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("post", "plan_status")
