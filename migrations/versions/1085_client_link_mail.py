"""What became of the mail with client links"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "1085"
down_revision: str | None = "1082"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("client_link", sa.Column("mail", sa.Text(), nullable=True))
    op.add_column("client_link", sa.Column("mail_detail", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("client_link", "mail_detail")
    op.drop_column("client_link", "mail")
