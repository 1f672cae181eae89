"""When an unfinished scan began: what came since is above where it goes on, and is not read by its end"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision: str = "1130"
down_revision: str | None = "1120"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    scans = sa.Column("unfinished_scans", JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False)
    op.add_column("community", scans)
    op.add_column("publication", sa.Column("comments_scan_counter", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    op.drop_column("publication", "comments_scan_counter")
    op.drop_column("community", "unfinished_scans")
