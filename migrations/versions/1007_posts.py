"""The content plan"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.tables import isolate

revision: str = "1007"
down_revision: str | None = "1006"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "mix_policy",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("project_id", sa.UUID(), nullable=False),
        sa.Column("shares", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("isfinite(updated_at)", name=op.f("ck_mix_policy_updated_at_is_finite")),
        sa.ForeignKeyConstraint(
            ["workspace_id", "project_id"],
            ["project.workspace_id", "project.id"],
            name=op.f("fk_mix_policy_workspace_id_project_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "project_id", name=op.f("pk_mix_policy")),
    )
    op.create_table(
        "post",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("project_id", sa.UUID(), nullable=False),
        sa.Column("community_id", sa.UUID(), nullable=False),
        sa.Column("publication_id", sa.UUID(), nullable=True),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("category", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("planned_for", sa.DateTime(), nullable=True),
        sa.Column("timezone", sa.Text(), nullable=False),
        sa.Column("planned_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("permalink", sa.Text(), nullable=True),
        sa.Column("permalink_key", sa.Text(), nullable=True),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("isfinite(created_at)", name=op.f("ck_post_created_at_is_finite")),
        sa.CheckConstraint("isfinite(planned_at)", name=op.f("ck_post_planned_at_is_finite")),
        sa.CheckConstraint("isfinite(planned_for)", name=op.f("ck_post_planned_for_is_finite")),
        sa.CheckConstraint("isfinite(published_at)", name=op.f("ck_post_published_at_is_finite")),
        sa.CheckConstraint("isfinite(updated_at)", name=op.f("ck_post_updated_at_is_finite")),
        sa.ForeignKeyConstraint(
            ["workspace_id", "community_id"],
            ["community.workspace_id", "community.id"],
            name=op.f("fk_post_workspace_id_community_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "project_id"],
            ["project.workspace_id", "project.id"],
            name=op.f("fk_post_workspace_id_project_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "publication_id"],
            ["publication.workspace_id", "publication.id"],
            name=op.f("fk_post_workspace_id_publication_id"),
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_post")),
        postgresql_with={"fillfactor": 70},
    )
    op.create_index(
        "ix_post_unmatched",
        "post",
        ["workspace_id", "community_id"],
        unique=False,
        postgresql_where=sa.text("publication_id IS NULL AND status = 'published'"),
    )
    op.create_index(
        op.f("ix_post_workspace_id_created_at_id"), "post", ["workspace_id", "created_at", "id"], unique=False
    )
    op.create_index(
        op.f("ix_post_workspace_id_project_id_created_at_id"),
        "post",
        ["workspace_id", "project_id", "created_at", "id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_post_workspace_id_project_id_planned_at_id"),
        "post",
        ["workspace_id", "project_id", "planned_at", "id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_post_workspace_id_project_id_published_at_id"),
        "post",
        ["workspace_id", "project_id", "published_at", "id"],
        unique=False,
    )
    op.create_index(
        "uq_post_permalink_key",
        "post",
        ["workspace_id", "community_id", "permalink_key"],
        unique=True,
        postgresql_where=sa.text("permalink_key IS NOT NULL"),
    )
    op.create_index(
        "uq_post_publication_id",
        "post",
        ["workspace_id", "publication_id"],
        unique=True,
        postgresql_where=sa.text("publication_id IS NOT NULL"),
    )
    isolate("mix_policy", "post")


def downgrade() -> None:
    op.drop_table("post")
    op.drop_table("mix_policy")
