"""Indexes of what people of the agency do: entries of the record of changes by project and time, answers by time"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "1090"
down_revision: str | None = "1085"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("SET statement_timeout = '2h'")
        op.create_index(
            "ix_audit_entry_deeds",
            "audit_entry",
            ["workspace_id", "project_id", "at", "id"],
            postgresql_include=["action", "actor"],
            postgresql_where=sa.text("project_id IS NOT NULL"),
            postgresql_concurrently=True,
            if_not_exists=True,
        )
        op.create_index(
            "ix_message_answers",
            "message",
            ["workspace_id", "community_id", "sent_at", "id"],
            postgresql_include=["delivery"],
            postgresql_where=sa.text("direction = 'agency' AND automatic IS FALSE AND content_known IS TRUE"),
            postgresql_concurrently=True,
            if_not_exists=True,
        )


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.drop_index("ix_message_answers", "message", postgresql_concurrently=True, if_exists=True)
        op.drop_index("ix_audit_entry_deeds", "audit_entry", postgresql_concurrently=True, if_exists=True)
