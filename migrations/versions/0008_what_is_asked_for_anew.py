"""When a part of a community was asked for anew is kept apart from how far it is known"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0008"
down_revision: str | None = "0007"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

PARTS = ("size", "posts", "conversations", "tokens")


def upgrade() -> None:
    for part in PARTS:
        op.add_column("community", sa.Column(f"{part}_requested_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    # A request that nothing has answered yet was a part that was never seen.
    for part in reversed(PARTS):
        op.execute(
            f"UPDATE community SET {part}_seen_at = NULL "  # noqa: S608 - constants of ours
            f"WHERE {part}_requested_at > {part}_seen_at"
        )
        op.drop_column("community", f"{part}_requested_at")
