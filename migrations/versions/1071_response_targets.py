"""Targets for responses, and until when each wait meets them"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from migrations.tables import isolate, isolate_projects, require_finite

revision: str = "1071"
down_revision: str | None = "1070"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "response_target",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("project_id", sa.UUID(), nullable=False),
        sa.Column("holds_from", sa.Date(), nullable=False),
        sa.Column("first_response_minutes", sa.BigInteger(), nullable=False),
        sa.Column("resolution_minutes", sa.BigInteger(), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("isfinite(holds_from)", name=op.f("ck_response_target_holds_from_is_finite")),
        sa.CheckConstraint("isfinite(updated_at)", name=op.f("ck_response_target_updated_at_is_finite")),
        sa.ForeignKeyConstraint(
            ["workspace_id", "project_id"],
            ["project.workspace_id", "project.id"],
            name=op.f("fk_response_target_workspace_id_project_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_response_target")),
        sa.UniqueConstraint(
            "workspace_id",
            "project_id",
            "holds_from",
            name=op.f("uq_response_target_workspace_id_project_id_holds_from"),
        ),
    )
    isolate("response_target")
    isolate_projects("response_target")
    op.add_column("response_wait", sa.Column("due_at", sa.DateTime(timezone=True), nullable=True))
    require_finite("response_wait", "due_at")
    with op.get_context().autocommit_block():
        op.create_index(
            "ix_response_wait_due",
            "response_wait",
            ["workspace_id", "project_id", "due_at", "id"],
            postgresql_where=sa.text("due_at IS NOT NULL"),
            postgresql_concurrently=True,
            if_not_exists=True,
        )


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.drop_index("ix_response_wait_due", "response_wait", postgresql_concurrently=True, if_exists=True)
    op.drop_column("response_wait", "due_at")
    op.drop_table("response_target")
