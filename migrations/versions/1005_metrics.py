"""Snapshots of counters and sizes, and their daily sums"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.tables import isolate

revision: str = "1005"
down_revision: str | None = "1004"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "community_day",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("community_id", sa.UUID(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("project_id", sa.UUID(), nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lowest", sa.BigInteger(), nullable=False),
        sa.Column("highest", sa.BigInteger(), nullable=False),
        sa.Column("snapshots", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("isfinite(day)", name=op.f("ck_community_day_day_is_finite")),
        sa.CheckConstraint("isfinite(first_at)", name=op.f("ck_community_day_first_at_is_finite")),
        sa.CheckConstraint("isfinite(last_at)", name=op.f("ck_community_day_last_at_is_finite")),
        sa.ForeignKeyConstraint(
            ["workspace_id", "community_id"],
            ["community.workspace_id", "community.id"],
            name=op.f("fk_community_day_workspace_id_community_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "community_id", "day", name=op.f("pk_community_day")),
        postgresql_with={"fillfactor": 70},
    )
    op.create_index(
        op.f("ix_community_day_workspace_id_project_id_day"),
        "community_day",
        ["workspace_id", "project_id", "day"],
        unique=False,
    )
    op.create_table(
        "community_snapshot",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("community_id", sa.UUID(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("isfinite(at)", name=op.f("ck_community_snapshot_at_is_finite")),
        sa.ForeignKeyConstraint(
            ["workspace_id", "community_id"],
            ["community.workspace_id", "community.id"],
            name=op.f("fk_community_snapshot_workspace_id_community_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "community_id", "at", name=op.f("pk_community_snapshot")),
    )
    op.create_table(
        "rollup_day",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("project_id", sa.UUID(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("community_id", sa.UUID(), nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("views", sa.BigInteger(), nullable=True),
        sa.Column("views_n", sa.BigInteger(), nullable=False),
        sa.Column("reach", sa.BigInteger(), nullable=True),
        sa.Column("reach_n", sa.BigInteger(), nullable=False),
        sa.Column("reactions", sa.BigInteger(), nullable=True),
        sa.Column("reactions_n", sa.BigInteger(), nullable=False),
        sa.Column("comments", sa.BigInteger(), nullable=True),
        sa.Column("comments_n", sa.BigInteger(), nullable=False),
        sa.Column("shares", sa.BigInteger(), nullable=True),
        sa.Column("shares_n", sa.BigInteger(), nullable=False),
        sa.Column("quotes", sa.BigInteger(), nullable=True),
        sa.Column("quotes_n", sa.BigInteger(), nullable=False),
        sa.Column("saves", sa.BigInteger(), nullable=True),
        sa.Column("saves_n", sa.BigInteger(), nullable=False),
        sa.Column("snapshots", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("isfinite(day)", name=op.f("ck_rollup_day_day_is_finite")),
        sa.ForeignKeyConstraint(
            ["workspace_id", "community_id"],
            ["community.workspace_id", "community.id"],
            name=op.f("fk_rollup_day_workspace_id_community_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "workspace_id", "project_id", "day", "community_id", "category", "source", name=op.f("pk_rollup_day")
        ),
        postgresql_with={"fillfactor": 70},
    )
    op.create_table(
        "post_last",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("publication_id", sa.UUID(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("missing", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("views", sa.BigInteger(), nullable=True),
        sa.Column("reach", sa.BigInteger(), nullable=True),
        sa.Column("reactions", sa.BigInteger(), nullable=True),
        sa.Column("comments", sa.BigInteger(), nullable=True),
        sa.Column("shares", sa.BigInteger(), nullable=True),
        sa.Column("quotes", sa.BigInteger(), nullable=True),
        sa.Column("saves", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("isfinite(at)", name=op.f("ck_post_last_at_is_finite")),
        sa.ForeignKeyConstraint(
            ["workspace_id", "publication_id"],
            ["publication.workspace_id", "publication.id"],
            name=op.f("fk_post_last_workspace_id_publication_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "publication_id", name=op.f("pk_post_last")),
        postgresql_with={"fillfactor": 70},
    )
    op.create_table(
        "post_snapshot",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("publication_id", sa.UUID(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("views", sa.BigInteger(), nullable=True),
        sa.Column("reach", sa.BigInteger(), nullable=True),
        sa.Column("reactions", sa.BigInteger(), nullable=True),
        sa.Column("comments", sa.BigInteger(), nullable=True),
        sa.Column("shares", sa.BigInteger(), nullable=True),
        sa.Column("quotes", sa.BigInteger(), nullable=True),
        sa.Column("saves", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("isfinite(at)", name=op.f("ck_post_snapshot_at_is_finite")),
        sa.ForeignKeyConstraint(
            ["workspace_id", "publication_id"],
            ["publication.workspace_id", "publication.id"],
            name=op.f("fk_post_snapshot_workspace_id_publication_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "publication_id", "at", name=op.f("pk_post_snapshot")),
    )
    isolate("community_day", "community_snapshot", "rollup_day", "post_last", "post_snapshot")


def downgrade() -> None:
    op.drop_table("post_snapshot")
    op.drop_table("post_last")
    op.drop_table("rollup_day")
    op.drop_table("community_snapshot")
    op.drop_table("community_day")
