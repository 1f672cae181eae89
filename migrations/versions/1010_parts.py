"""What keeps parts of a community, and items of them, from being read"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.tables import isolate

revision: str = "1010"
down_revision: str | None = "1009"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.add_column(
        "community",
        sa.Column(
            "part_problems",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
    )
    op.create_table(
        "unread_item",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("community_id", sa.UUID(), nullable=False),
        sa.Column("part", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("failures", sa.BigInteger(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("retry_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("retry_cursor", sa.Text(), nullable=True),
        sa.Column("list_name", sa.Text(), nullable=False),
        sa.CheckConstraint("isfinite(retry_at)", name=op.f("ck_unread_item_retry_at_is_finite")),
        sa.CheckConstraint("isfinite(since)", name=op.f("ck_unread_item_since_is_finite")),
        sa.ForeignKeyConstraint(
            ["workspace_id", "community_id"],
            ["community.workspace_id", "community.id"],
            name=op.f("fk_unread_item_workspace_id_community_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "community_id", "part", "external_id", name=op.f("pk_unread_item")),
    )
    isolate("unread_item")
    op.add_column("rate_demand", sa.Column("workspace_id", sa.UUID(), nullable=True))


def downgrade() -> None:
    op.drop_column("rate_demand", "workspace_id")
    op.drop_table("unread_item")
    op.drop_column("community", "part_problems")
