"""Indexes of inquiries by publication"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "1014"
down_revision: str | None = "1013"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.create_index(
            "ix_inquiry_open",
            "inquiry",
            ["workspace_id", "community_id", "last_message_at"],
            postgresql_where=sa.text("status = 'open' AND publication_id IS NOT NULL"),
            postgresql_concurrently=True,
            if_not_exists=True,
        )
        op.create_index(
            "ix_inquiry_publication_id",
            "inquiry",
            ["workspace_id", "publication_id"],
            postgresql_where=sa.text("publication_id IS NOT NULL"),
            postgresql_concurrently=True,
            if_not_exists=True,
        )


def downgrade() -> None:
    with op.get_context().autocommit_block():
        for name in ("ix_inquiry_publication_id", "ix_inquiry_open"):
            op.drop_index(name, "inquiry", postgresql_concurrently=True, if_exists=True)
