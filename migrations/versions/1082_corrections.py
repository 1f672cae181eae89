"""Corrections"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.tables import isolate, isolate_projects

revision: str = "1082"
down_revision: str | None = "1081"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "correction",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("project_id", sa.UUID(), nullable=False),
        sa.Column("goal_id", sa.UUID(), nullable=True),
        sa.Column("kpi", sa.Text(), nullable=False),
        sa.Column("community_ids", postgresql.JSONB(), nullable=False),
        sa.Column("hypothesis", sa.Text(), nullable=False),
        sa.Column("change", sa.Text(), nullable=False),
        sa.Column("changed_on", sa.Date(), nullable=False),
        sa.Column("review_on", sa.Date(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("effect", postgresql.JSONB(), nullable=True),
        sa.Column("creator_name", sa.Text(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("measured_at", sa.DateTime(timezone=True), nullable=True),
        *(
            sa.CheckConstraint(f"isfinite({name})", name=op.f(f"ck_correction_{name}_is_finite"))
            for name in ("changed_on", "review_on", "created_at", "measured_at")
        ),
        *(
            sa.ForeignKeyConstraint(
                ["workspace_id", f"{target}_id"],
                [f"{target}.workspace_id", f"{target}.id"],
                name=op.f(f"fk_correction_workspace_id_{target}_id"),
                ondelete="CASCADE",
            )
            for target in ("project", "goal")
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_correction")),
    )
    for columns in ((), ("project_id",), ("goal_id",), ("kpi",), ("status",)):
        names = ["workspace_id", *columns, "created_at", "id"]
        op.create_index(op.f(f"ix_correction_{'_'.join(names)}"), "correction", names)
    isolate("correction")
    isolate_projects("correction")


def downgrade() -> None:
    op.drop_table("correction")
