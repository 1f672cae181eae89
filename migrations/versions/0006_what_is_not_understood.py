"""What platforms told and nobody here understood is kept: events that are in no batch"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0006"
down_revision: str | None = "0005"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.alter_column("hook_event", "batch", existing_type=sa.Uuid(), nullable=True)
    op.create_index(
        "ix_hook_event_odd",
        "hook_event",
        ["workspace_id", "community_id", "received_at"],
        postgresql_where=sa.text("batch IS NULL AND told IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_hook_event_odd", table_name="hook_event")
    # The version before cannot tell them from events that wait to be applied.
    op.execute("DELETE FROM hook_event WHERE batch IS NULL")
    op.alter_column("hook_event", "batch", existing_type=sa.Uuid(), nullable=False)
