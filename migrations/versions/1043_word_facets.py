"""Words of rows with their project and facets; words of links"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from migrations.tables import isolate, isolate_projects, unfenced

revision: str = "1043"
down_revision: str | None = "1042"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_POST_FACETS = (
    *(f"p.status = '{status}'" for status in ("draft", "planned", "published")),
    *(f"p.origin = '{origin}'" for origin in ("planned", "found")),
    *(f"p.category = '{category}'" for category in ("engaging", "user_generated", "educational", "promotional")),
    "p.category IS NOT NULL",
    "p.category IS NULL",
    "p.planned_at IS NOT NULL",
    "p.published_at IS NOT NULL",
)
"""In the order of their bits."""
_FACETS = " | ".join(f"CASE WHEN {one} THEN {1 << bit} ELSE 0 END" for bit, one in enumerate(_POST_FACETS))
_FILL = {
    "inquiry": """
INSERT INTO inquiry_lexeme (workspace_id, lexeme, project_id, inquiry_id)
SELECT w.workspace_id, w.lexeme, i.project_id, w.inquiry_id FROM former_inquiry_lexeme AS w
JOIN inquiry AS i ON i.workspace_id = w.workspace_id AND i.id = w.inquiry_id
""",
    "post": """
INSERT INTO post_lexeme (workspace_id, lexeme, project_id, post_id, facets)
SELECT w.workspace_id, w.lexeme, p.project_id, w.post_id, {facets} FROM former_post_lexeme AS w
JOIN post AS p ON p.workspace_id = w.workspace_id AND p.id = w.post_id
""".replace("{facets}", _FACETS),
    "link": """
INSERT INTO link_lexeme (workspace_id, lexeme, project_id, link_id)
SELECT l.workspace_id, word.lexeme, l.project_id, l.id FROM link AS l
CROSS JOIN LATERAL unnest(tsvector_to_array(to_tsvector('russian', translate(left(regexp_replace(
    concat_ws(' ', l.title, l.target), '[^[:alnum:]]+', ' ', 'g'
), 200000), 'ёЁ', 'еЕ')))) AS word (lexeme)
""",
}


def _make(name: str) -> None:
    op.create_table(
        f"{name}_lexeme",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("lexeme", sa.Text(), nullable=False),
        sa.Column("project_id", sa.UUID(), nullable=False),
        sa.Column(f"{name}_id", sa.UUID(), nullable=False),
        sa.Column("facets", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
    )


def _index(name: str) -> None:
    table, owner = f"{name}_lexeme", f"{name}_id"
    op.execute(
        f"ALTER TABLE {table} ADD CONSTRAINT pk_{table} "
        f"PRIMARY KEY (workspace_id, lexeme, project_id, {owner}) INCLUDE (facets)"
    )
    op.create_index(op.f(f"ix_{table}_workspace_id_{owner}"), table, ["workspace_id", owner])


def upgrade() -> None:
    op.execute("SET LOCAL statement_timeout = '2h'")  # each word is copied
    for name in ("inquiry", "post"):
        table = f"{name}_lexeme"
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
        # No release has read them.
        op.execute(f"-- squawk-ignore renaming-table\nALTER TABLE {table} RENAME TO former_{table}")
        for index in (f"pk_{table}", f"ix_{table}_workspace_id_{name}_id"):
            op.execute(f"-- squawk-ignore renaming-object\nALTER INDEX {index} RENAME TO former_{index}")
    for name in _FILL:
        _make(name)
    with unfenced("inquiry", "post", "link"):
        for sql in _FILL.values():
            op.execute(sql)
    for name in _FILL:
        _index(name)
    for name in ("inquiry", "post"):
        op.execute(f"-- squawk-ignore ban-drop-table\nDROP TABLE former_{name}_lexeme")
    tables = [f"{name}_lexeme" for name in _FILL]
    isolate(*tables)
    isolate_projects(*tables)


def downgrade() -> None:
    op.drop_table("link_lexeme")
    for name in ("inquiry", "post"):
        table, owner = f"{name}_lexeme", f"{name}_id"
        op.execute(f"DROP POLICY projects ON {table}")
        op.drop_constraint(f"pk_{table}", table)
        op.drop_column(table, "project_id")
        op.drop_column(table, "facets")
        op.create_primary_key(op.f(f"pk_{table}"), table, ["workspace_id", "lexeme", owner])
