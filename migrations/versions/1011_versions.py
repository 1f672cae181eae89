"""Albums that come part by part, and whose account wrote a message for the community"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "1011"
down_revision: str | None = "1010"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("publication", sa.Column("album", sa.Text(), nullable=True))
    op.add_column("message", sa.Column("written_by_id", sa.Text(), nullable=True))
    with op.get_context().autocommit_block():
        op.create_index(
            "ix_publication_album",
            "publication",
            ["workspace_id", "community_id", "album"],
            unique=False,
            if_not_exists=True,
            postgresql_where=sa.text("album IS NOT NULL"),
            postgresql_concurrently=True,
        )


def downgrade() -> None:
    op.drop_column("message", "written_by_id")
    op.drop_index("ix_publication_album", table_name="publication")
    op.drop_column("publication", "album")
