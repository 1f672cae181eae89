"""Events are stored first and applied by a job; what hooks tell, miss and how they are"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.tables import isolate

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_HOOK = (
    ("state", sa.Text()),
    ("reason", sa.Text()),
    ("checked_at", sa.DateTime(timezone=True)),
    ("subscribed", sa.Boolean()),
    ("delivering", sa.Boolean()),
    ("waiting", sa.BigInteger()),
    ("detail", sa.Text()),
)


def upgrade() -> None:
    _add_json("community", "aliases", "[]")
    _add_json("hook", "told", "{}")
    for name, kind in _HOOK:
        op.add_column("hook", sa.Column(name, kind, nullable=True))
    op.drop_constraint(op.f("fk_hook_event_workspace_id_community_id"), "hook_event", type_="foreignkey")
    # What is there was applied when it came: of no batch, with nothing left to do.
    nowhere = "00000000-0000-0000-0000-000000000000"
    op.add_column("hook_event", sa.Column("batch", sa.UUID(), nullable=False, server_default=nowhere))
    op.alter_column("hook_event", "batch", server_default=None)
    op.add_column("hook_event", sa.Column("told", sa.Text(), nullable=True))
    op.execute("ALTER TABLE hook_event SET (fillfactor = 70)")
    op.create_index(
        "ix_hook_event_waiting", "hook_event", ["workspace_id", "batch"], postgresql_where=sa.text("told IS NOT NULL")
    )
    op.create_table(
        "hook_item",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("community_id", sa.UUID(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("post", sa.Boolean(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "community_id", "external_id", "post", name=op.f("pk_hook_item")),
    )
    op.create_index(
        op.f("ix_hook_item_workspace_id_community_id_received_at"),
        "hook_item",
        ["workspace_id", "community_id", "received_at"],
    )
    op.create_table(
        "hook_missed",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("community_id", sa.UUID(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("post", sa.Boolean(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("found_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "community_id"],
            ["community.workspace_id", "community.id"],
            name=op.f("fk_hook_missed_workspace_id_community_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "community_id", "external_id", "post", name=op.f("pk_hook_missed")),
    )
    op.create_index(
        op.f("ix_hook_missed_workspace_id_community_id_found_at"),
        "hook_missed",
        ["workspace_id", "community_id", "found_at"],
    )
    isolate("hook_item", "hook_missed")


def _add_json(table: str, column: str, empty: str) -> None:
    """A column that is never null, without writing every row anew."""
    op.add_column(
        table, sa.Column(column, postgresql.JSONB(astext_type=sa.Text()), nullable=False, server_default=empty)
    )
    op.alter_column(table, column, server_default=None)


def downgrade() -> None:
    op.drop_table("hook_missed")
    op.drop_table("hook_item")
    op.drop_index("ix_hook_event_waiting", table_name="hook_event")
    op.execute("ALTER TABLE hook_event RESET (fillfactor)")
    op.drop_column("hook_event", "told")
    op.drop_column("hook_event", "batch")
    # Events of communities that have no hook (any more).
    op.execute(
        "DELETE FROM hook_event e WHERE NOT EXISTS (SELECT FROM hook h "
        "WHERE h.workspace_id = e.workspace_id AND h.community_id = e.community_id)"
    )
    op.create_foreign_key(
        op.f("fk_hook_event_workspace_id_community_id"),
        "hook_event",
        "hook",
        ["workspace_id", "community_id"],
        ["workspace_id", "community_id"],
        ondelete="CASCADE",
    )
    for name, _ in reversed(_HOOK):
        op.drop_column("hook", name)
    op.drop_column("hook", "told")
    op.drop_column("community", "aliases")
