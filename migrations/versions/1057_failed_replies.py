"""An index of replies that failed, of which people are alerted"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "1057"
down_revision: str | None = "1056"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("SET statement_timeout = '2h'")
        op.create_index(
            "ix_message_failed",
            "message",
            ["workspace_id", "sent_at", "id"],
            postgresql_where=sa.text("delivery = 'failed'"),
            postgresql_concurrently=True,
            if_not_exists=True,
        )


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.drop_index("ix_message_failed", "message", postgresql_concurrently=True, if_exists=True)
