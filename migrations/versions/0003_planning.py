"""What polls are planned by, and what tokens are renewed by"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

MOMENT = sa.DateTime(timezone=True)
NEW: dict[str, list[sa.Column[object]]] = {
    "community": [
        sa.Column("backfilled_to", MOMENT, nullable=True),
        sa.Column("tokens_seen_at", MOMENT, nullable=True),
        sa.Column("posts_idle", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("conversations_idle", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("costs", postgresql.JSONB(astext_type=sa.Text()), nullable=False, server_default="{}"),
        sa.Column("lists_stretch", sa.Float(), nullable=False, server_default="1"),
        sa.Column("looks_stretch", sa.Float(), nullable=False, server_default="1"),
        sa.Column("planned_at", MOMENT, nullable=True),
        sa.Column("lane", sa.Text(), nullable=False, server_default=""),
    ],
    "community_token": [
        # Empty for tokens that were given before: it is filled in when they are given or renewed again.
        sa.Column("fingerprint", sa.Text(), nullable=False, server_default=""),
        sa.Column("version", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("missing_scopes", postgresql.JSONB(astext_type=sa.Text()), nullable=False, server_default="[]"),
        sa.Column("inspected_at", MOMENT, nullable=True),
        sa.Column("warned_at", MOMENT, nullable=True),
        sa.Column("renewing_until", MOMENT, nullable=True),
        sa.Column("renewed_at", MOMENT, nullable=True),
    ],
    "publication": [
        sa.Column("total", sa.BigInteger(), nullable=True),
        sa.Column("still", sa.BigInteger(), nullable=False, server_default="0"),
    ],
}


def upgrade() -> None:
    for table, columns in NEW.items():
        for column in columns:
            op.add_column(table, column)
            # The default was for the rows that were there: a model says it for new ones.
            if column.server_default is not None:
                op.alter_column(table, column.name, server_default=None)
    op.create_index(
        op.f("ix_community_workspace_id_lane"),
        "community",
        ["workspace_id", "lane"],
        unique=False,
        postgresql_where=sa.text("lane <> ''"),
    )
    op.create_index(
        "ix_publication_moved",
        "publication",
        ["workspace_id", "community_id", "published_at"],
        unique=False,
        postgresql_where=sa.text(
            "gone_at IS NULL AND comments IS DISTINCT FROM comments_read "
            "AND (comments > 0 OR comments_read IS NOT NULL)"
        ),
    )
    op.create_table(
        "call_demand",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("seconds", sa.BigInteger(), nullable=False),
        sa.Column("asker", sa.UUID(), nullable=False),
        sa.Column("lists", sa.Float(), nullable=False),
        sa.Column("looks", sa.Float(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("key", "seconds", "asker", name=op.f("pk_call_demand")),
    )
    op.create_index(op.f("ix_call_demand_at"), "call_demand", ["at"], unique=False)


def downgrade() -> None:
    op.drop_table("call_demand")
    op.drop_index("ix_publication_moved", table_name="publication")
    op.drop_index(op.f("ix_community_workspace_id_lane"), table_name="community")
    for table, columns in reversed(NEW.items()):
        for column in reversed(columns):
            op.drop_column(table, column.name)
