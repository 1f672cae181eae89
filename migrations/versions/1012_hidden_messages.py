"""Messages that a moderator has hidden"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "1012"
down_revision: str | None = "1011"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("message", sa.Column("hidden", sa.Boolean(), nullable=True))


def downgrade() -> None:
    op.drop_column("message", "hidden")
