"""Sealing keys, stored gauges, indexes of dead jobs and of replies under way"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "1035"
down_revision: str | None = "1032"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.create_index(
            "ix_job_dead",
            "job",
            ["id"],
            postgresql_where=sa.text("state = 'dead'"),
            postgresql_concurrently=True,
            if_not_exists=True,
        )
        op.create_index(
            "ix_message_undelivered",
            "message",
            ["workspace_id", "delivery"],
            postgresql_where=sa.text("delivery IS NOT NULL AND delivery NOT IN ('sent', 'failed')"),
            postgresql_concurrently=True,
            if_not_exists=True,
        )
    op.create_table(
        "sealing_key",
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("first_used_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("isfinite(first_used_at)", name=op.f("ck_sealing_key_first_used_at_is_finite")),
        sa.PrimaryKeyConstraint("fingerprint", name=op.f("pk_sealing_key")),
    )
    op.create_table(
        "gauge",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("labels", sa.Text(), nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("isfinite(at)", name=op.f("ck_gauge_at_is_finite")),
        sa.PrimaryKeyConstraint("name", "labels", name=op.f("pk_gauge")),
    )


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.drop_index("ix_message_undelivered", "message", postgresql_concurrently=True, if_exists=True)
        op.drop_index("ix_job_dead", "job", postgresql_concurrently=True, if_exists=True)
    op.drop_table("gauge")
    op.drop_table("sealing_key")
