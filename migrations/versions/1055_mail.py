"""The language of people, and what became of invitations' mail"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "1055"
down_revision: str | None = "1050"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    for table in ("user_account", "invitation"):
        op.add_column(table, sa.Column("language", sa.Text(), server_default=sa.text("'en'"), nullable=False))
    op.add_column("invitation", sa.Column("mail", sa.Text(), nullable=True))
    op.add_column("invitation", sa.Column("mail_detail", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("invitation", "mail_detail")
    op.drop_column("invitation", "mail")
    for table in ("invitation", "user_account"):
        op.drop_column(table, "language")
