"""Tracked links and clicks"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from migrations.tables import isolate

revision: str = "1008"
down_revision: str | None = "1007"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "link",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("project_id", sa.UUID(), nullable=False),
        sa.Column("community_id", sa.UUID(), nullable=True),
        sa.Column("post_id", sa.UUID(), nullable=True),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("isfinite(archived_at)", name=op.f("ck_link_archived_at_is_finite")),
        sa.CheckConstraint("isfinite(created_at)", name=op.f("ck_link_created_at_is_finite")),
        sa.ForeignKeyConstraint(
            ["workspace_id", "community_id"],
            ["community.workspace_id", "community.id"],
            name=op.f("fk_link_workspace_id_community_id"),
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "post_id"], ["post.workspace_id", "post.id"], name=op.f("fk_link_workspace_id_post_id")
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "project_id"],
            ["project.workspace_id", "project.id"],
            name=op.f("fk_link_workspace_id_project_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_link")),
    )
    op.create_index(
        op.f("ix_link_workspace_id_created_at_id"), "link", ["workspace_id", "created_at", "id"], unique=False
    )
    op.create_index(
        op.f("ix_link_workspace_id_post_id"),
        "link",
        ["workspace_id", "post_id"],
        unique=False,
        postgresql_where=sa.text("post_id IS NOT NULL"),
    )
    op.create_index(
        op.f("ix_link_workspace_id_project_id_created_at_id"),
        "link",
        ["workspace_id", "project_id", "created_at", "id"],
        unique=False,
    )
    op.create_table(
        "click",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("link_id", sa.UUID(), nullable=False),
        sa.Column("project_id", sa.UUID(), nullable=False),
        sa.Column("community_id", sa.UUID(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("visitor", sa.LargeBinary(), nullable=False),
        sa.Column("bot", sa.Text(), nullable=True),
        sa.Column("repeat", sa.Boolean(), nullable=False),
        sa.Column("referrer", sa.Text(), nullable=True),
        sa.CheckConstraint("isfinite(at)", name=op.f("ck_click_at_is_finite")),
        sa.CheckConstraint("isfinite(day)", name=op.f("ck_click_day_is_finite")),
        sa.ForeignKeyConstraint(
            ["workspace_id", "link_id"],
            ["link.workspace_id", "link.id"],
            name=op.f("fk_click_workspace_id_link_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_click")),
    )
    op.create_index(
        op.f("ix_click_workspace_id_link_id_at_id"), "click", ["workspace_id", "link_id", "at", "id"], unique=False
    )
    op.create_index(
        op.f("ix_click_workspace_id_project_id_day_id"),
        "click",
        ["workspace_id", "project_id", "day", "id"],
        unique=False,
    )
    op.create_table(
        "click_day",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("link_id", sa.UUID(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("project_id", sa.UUID(), nullable=False),
        sa.Column("community_id", sa.UUID(), nullable=True),
        sa.Column("people", sa.BigInteger(), nullable=False),
        sa.Column("bots", sa.BigInteger(), nullable=False),
        sa.Column("repeats", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("isfinite(day)", name=op.f("ck_click_day_day_is_finite")),
        sa.ForeignKeyConstraint(
            ["workspace_id", "link_id"],
            ["link.workspace_id", "link.id"],
            name=op.f("fk_click_day_workspace_id_link_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "link_id", "day", name=op.f("pk_click_day")),
        postgresql_with={"fillfactor": 70},
    )
    op.create_index(
        op.f("ix_click_day_workspace_id_project_id_day"),
        "click_day",
        ["workspace_id", "project_id", "day"],
        unique=False,
    )
    op.create_table(
        "link_route",
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("link_id", sa.UUID(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("archived", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "link_id"],
            ["link.workspace_id", "link.id"],
            name=op.f("fk_link_route_workspace_id_link_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("slug", name=op.f("pk_link_route")),
    )
    op.create_table(
        "visitor",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("link_id", sa.UUID(), nullable=False),
        sa.Column("visitor", sa.LargeBinary(), nullable=False),
        sa.Column("counted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("click_id", sa.UUID(), nullable=False),
        sa.CheckConstraint("isfinite(counted_at)", name=op.f("ck_visitor_counted_at_is_finite")),
        sa.ForeignKeyConstraint(
            ["workspace_id", "link_id"],
            ["link.workspace_id", "link.id"],
            name=op.f("fk_visitor_workspace_id_link_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "link_id", "visitor", name=op.f("pk_visitor")),
        postgresql_with={"fillfactor": 70},
    )
    isolate("link", "click", "click_day", "visitor")


def downgrade() -> None:
    op.drop_table("visitor")
    op.drop_table("link_route")
    op.drop_table("click_day")
    op.drop_table("click")
    op.drop_table("link")
