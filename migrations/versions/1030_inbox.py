"""Since when customers wait, and kept counts of inquiries"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from migrations.tables import isolate, require_finite, unfenced

revision: str = "1030"
down_revision: str | None = "1028"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_WAITING = sa.text("waiting_since IS NOT NULL")
_INDEXES = {
    "ix_inquiry_waiting": ["workspace_id", "waiting_since", "id"],
    "ix_inquiry_waiting_in_project": ["workspace_id", "project_id", "waiting_since", "id"],
    "ix_inquiry_waiting_in_community": ["workspace_id", "community_id", "waiting_since", "id"],
}


def upgrade() -> None:
    op.execute("SET LOCAL statement_timeout = '30min'")  # each row of a wait that lasts, and all inquiries are counted
    op.add_column("inquiry", sa.Column("waiting_since", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "inquiry_count",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("community_id", sa.UUID(), nullable=False),
        sa.Column("project_id", sa.UUID(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("change", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "community_id"],
            ["community.workspace_id", "community.id"],
            name=op.f("fk_inquiry_count_workspace_id_community_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_inquiry_count")),
    )
    with unfenced("inquiry", "response_wait"):
        op.execute(
            "UPDATE inquiry SET waiting_since = wait.started_at FROM response_wait AS wait "
            "WHERE wait.workspace_id = inquiry.workspace_id AND wait.inquiry_id = inquiry.id AND wait.ended_at IS NULL"
        )
        op.execute(
            "INSERT INTO inquiry_count (workspace_id, id, community_id, project_id, status, kind, change) "
            "SELECT workspace_id, gen_random_uuid(), community_id, project_id, status, kind, count(*) "
            "FROM inquiry GROUP BY workspace_id, community_id, project_id, status, kind"
        )
    isolate("inquiry_count")
    require_finite("inquiry", "waiting_since")
    with op.get_context().autocommit_block():
        for name, columns in _INDEXES.items():
            op.create_index(
                name, "inquiry", columns, postgresql_where=_WAITING, postgresql_concurrently=True, if_not_exists=True
            )


def downgrade() -> None:
    with op.get_context().autocommit_block():
        for name in _INDEXES:
            op.drop_index(name, "inquiry", postgresql_concurrently=True, if_exists=True)
    op.drop_table("inquiry_count")
    op.drop_column("inquiry", "waiting_since")
