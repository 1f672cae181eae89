"""Targets of links, with their history"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from migrations.tables import isolate, unfenced

revision: str = "1031"
down_revision: str | None = "1030"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    for table in ("link", "link_route", "click"):
        op.add_column(table, sa.Column("target_version", sa.BigInteger(), server_default="1", nullable=False))
    op.create_table(
        "link_target",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("link_id", sa.UUID(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.Text(), nullable=True),
        sa.CheckConstraint("isfinite(since)", name=op.f("ck_link_target_since_is_finite")),
        sa.ForeignKeyConstraint(
            ["workspace_id", "link_id"],
            ["link.workspace_id", "link.id"],
            name=op.f("fk_link_target_workspace_id_link_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "link_id", "version", name=op.f("pk_link_target")),
    )
    with unfenced("link"):
        op.execute(
            "INSERT INTO link_target (workspace_id, link_id, version, target, since) "
            "SELECT workspace_id, id, 1, target, created_at FROM link"
        )
    isolate("link_target")
    with op.get_context().autocommit_block():
        op.create_index(
            op.f("ix_link_workspace_id_slug"),
            "link",
            ["workspace_id", "slug"],
            postgresql_concurrently=True,
            if_not_exists=True,
        )


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.drop_index(op.f("ix_link_workspace_id_slug"), "link", postgresql_concurrently=True, if_exists=True)
    op.drop_table("link_target")
    for table in ("click", "link_route", "link"):
        op.drop_column(table, "target_version")
