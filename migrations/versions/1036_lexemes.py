"""Words of inquiries and posts, by which they are found"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from migrations.tables import isolate, unfenced

revision: str = "1036"
down_revision: str | None = "1035"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_INQUIRIES = """
INSERT INTO inquiry_lexeme (workspace_id, lexeme, inquiry_id)
SELECT i.workspace_id, word.lexeme, i.id
FROM inquiry AS i
LEFT JOIN LATERAL (
    SELECT string_agg(m.text, ' ' ORDER BY m.sent_at DESC) AS texts FROM message AS m
    WHERE m.workspace_id = i.workspace_id AND m.inquiry_id = i.id AND m.content_known AND m.deleted_at IS NULL
      AND (m.delivery IS NULL OR m.delivery = 'sent')
) AS thread ON true
CROSS JOIN LATERAL unnest(tsvector_to_array(to_tsvector(
    'russian', translate(left(concat_ws(' ', i.customer_name, thread.texts), 200000), 'ёЁ', 'еЕ')
))) AS word (lexeme)
"""
_POSTS = """
INSERT INTO post_lexeme (workspace_id, lexeme, post_id)
SELECT p.workspace_id, word.lexeme, p.id
FROM post AS p
CROSS JOIN LATERAL unnest(tsvector_to_array(to_tsvector(
    'russian', translate(left(p.text, 200000), 'ёЁ', 'еЕ')
))) AS word (lexeme)
"""


def upgrade() -> None:
    op.execute("SET LOCAL statement_timeout = '2h'")  # each message and post is read
    for name in ("inquiry", "post"):
        owner = f"{name}_id"
        op.create_table(
            f"{name}_lexeme",
            sa.Column("workspace_id", sa.UUID(), nullable=False),
            sa.Column("lexeme", sa.Text(), nullable=False),
            sa.Column(owner, sa.UUID(), nullable=False),
        )
    with unfenced("inquiry", "message", "post"):
        op.execute(_INQUIRIES)
        op.execute(_POSTS)
    for name in ("inquiry", "post"):
        table, owner = f"{name}_lexeme", f"{name}_id"
        op.create_primary_key(op.f(f"pk_{table}"), table, ["workspace_id", "lexeme", owner])
        op.create_index(op.f(f"ix_{table}_workspace_id_{owner}"), table, ["workspace_id", owner])
    isolate("inquiry_lexeme", "post_lexeme")


def downgrade() -> None:
    op.drop_table("post_lexeme")
    op.drop_table("inquiry_lexeme")
