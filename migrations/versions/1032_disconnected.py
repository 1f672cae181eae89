"""Communities that are disconnected"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from migrations.tables import require_finite, unfenced

revision: str = "1032"
down_revision: str | None = "1031"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("community", sa.Column("disconnected_at", sa.DateTime(timezone=True), nullable=True))
    require_finite("community", "disconnected_at")


def downgrade() -> None:
    with unfenced("community"):  # the code before does not know this status
        op.execute("UPDATE community SET status = 'paused' WHERE status = 'disconnected'")
    op.drop_column("community", "disconnected_at")
