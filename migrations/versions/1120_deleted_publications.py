"""Index of the publications that were deleted on the platform, by project"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "1120"
down_revision: str | None = "1100"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_NAME = "ix_publication_gone"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("SET statement_timeout = '2h'")
        op.create_index(
            _NAME,
            "publication",
            ["workspace_id", "project_id", "gone_at", "id"],
            postgresql_where=sa.text("gone_at IS NOT NULL"),
            postgresql_concurrently=True,
            if_not_exists=True,
        )


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.drop_index(_NAME, "publication", postgresql_concurrently=True, if_exists=True)
