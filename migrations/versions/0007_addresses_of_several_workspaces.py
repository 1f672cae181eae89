"""An address of hooks may lead to several workspaces: those that share the installation's own application"""

from collections.abc import Sequence

from alembic import op

revision: str = "0007"
down_revision: str | None = "0006"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.drop_constraint(op.f("pk_hook_route"), "hook_route", type_="primary")
    op.create_primary_key(op.f("pk_hook_route"), "hook_route", ["hook_id", "community_id"])
    op.create_unique_constraint(op.f("uq_hook_route_hook_id_workspace_id"), "hook_route", ["hook_id", "workspace_id"])


def downgrade() -> None:
    op.drop_constraint(op.f("uq_hook_route_hook_id_workspace_id"), "hook_route", type_="unique")
    op.drop_constraint(op.f("pk_hook_route"), "hook_route", type_="primary")
    # One of those that share an address keeps it, as it was.
    op.execute(
        "DELETE FROM hook_route r USING hook_route other "
        "WHERE other.hook_id = r.hook_id AND other.workspace_id < r.workspace_id"
    )
    op.create_primary_key(op.f("pk_hook_route"), "hook_route", ["hook_id"])
