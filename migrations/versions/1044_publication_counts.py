"""Numbers of publications, kept; indexes of inquiries with what searches compare"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from migrations.tables import isolate, isolate_projects, unfenced

revision: str = "1044"
down_revision: str | None = "1043"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_WAITING = "waiting_since IS NOT NULL"
_INDEXES: tuple[tuple[str, tuple[str, ...], tuple[str, ...], str | None], ...] = (
    ("ix_inquiry_workspace_id_status_last_message_at_id", ("status", "last_message_at"), ("project_id", "kind"), None),
    ("ix_inquiry_waiting_by_status", ("status", "waiting_since"), ("project_id", "kind"), _WAITING),
    ("ix_inquiry_waiting", ("waiting_since",), ("project_id", "kind", "status"), _WAITING),
    ("ix_inquiry_waiting_in_project", ("project_id", "waiting_since"), ("kind", "status"), _WAITING),
    ("ix_inquiry_waiting_in_community", ("community_id", "waiting_since"), ("project_id", "kind", "status"), _WAITING),
)


def _make_anew(*, with_included: bool) -> None:
    """Each under another name first: lists are never without it."""
    op.execute("SET statement_timeout = '2h'")
    for name, columns, included, condition in _INDEXES:
        op.create_index(
            f"{name}_new",
            "inquiry",
            ["workspace_id", *columns, "id"],
            postgresql_include=list(included) if with_included else [],
            postgresql_where=None if condition is None else sa.text(condition),
            postgresql_concurrently=True,
            if_not_exists=True,
        )
        op.drop_index(name, "inquiry", postgresql_concurrently=True, if_exists=True)
        op.execute(f"-- squawk-ignore renaming-object\nALTER INDEX {name}_new RENAME TO {name}")


def upgrade() -> None:
    op.create_table(
        "publication_count",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("community_id", sa.UUID(), nullable=False),
        sa.Column("project_id", sa.UUID(), nullable=False),
        sa.Column("change", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "community_id"],
            ["community.workspace_id", "community.id"],
            name=op.f("fk_publication_count_workspace_id_community_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_publication_count")),
    )
    op.create_index(
        op.f("ix_publication_count_workspace_id_community_id"), "publication_count", ["workspace_id", "community_id"]
    )
    with unfenced("publication"):
        op.execute(
            "INSERT INTO publication_count (workspace_id, id, community_id, project_id, change) "
            "SELECT workspace_id, gen_random_uuid(), community_id, project_id, count(*) FROM publication "
            "GROUP BY workspace_id, community_id, project_id"
        )
    isolate("publication_count")
    isolate_projects("publication_count")
    with op.get_context().autocommit_block():
        _make_anew(with_included=True)


def downgrade() -> None:
    with op.get_context().autocommit_block():
        _make_anew(with_included=False)
    op.drop_table("publication_count")
