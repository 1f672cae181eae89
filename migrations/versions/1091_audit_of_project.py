"""Index of the record of changes by project and action: an action that a project does not have was sought row by row"""

from collections.abc import Sequence

from alembic import op

revision: str = "1091"
down_revision: str | None = "1090"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_NAME = "ix_audit_entry_workspace_id_project_id_action_id"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("SET statement_timeout = '2h'")
        op.create_index(
            _NAME,
            "audit_entry",
            ["workspace_id", "project_id", "action", "id"],
            postgresql_concurrently=True,
            if_not_exists=True,
        )


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.drop_index(_NAME, "audit_entry", postgresql_concurrently=True, if_exists=True)
