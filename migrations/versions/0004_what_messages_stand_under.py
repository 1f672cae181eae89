"""What messages that a hook told of stand under, so that it is known of their answers too"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("hook_item", sa.Column("publication_id", sa.Uuid(), nullable=True))


def downgrade() -> None:
    op.drop_column("hook_item", "publication_id")
