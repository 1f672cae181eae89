"""What no post can be, and indexes of lists of posts of a category in one place"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "1042"
down_revision: str | None = "1041"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_IMPOSSIBLE = (
    ("found_is_published", "origin <> 'found' OR status = 'published'"),
    ("found_is_not_planned", "origin <> 'found' OR planned_at IS NULL"),
    ("unpublished_has_no_date", "status = 'published' OR published_at IS NULL"),
)
_INDEXES = tuple(
    (f"ix_post_category{suffix}_in_{place}", ("workspace_id", f"{place}_id", "category", at, "id"), condition)
    for place in ("project", "community")
    for suffix, at, condition in (
        ("", "created_at", "category IS NOT NULL"),
        ("_planned", "planned_at", "category IS NOT NULL AND planned_at IS NOT NULL"),
        ("_published", "published_at", "category IS NOT NULL AND published_at IS NOT NULL"),
    )
)
_OF_NO_POST = (
    (
        "ix_post_unpublished_published",
        ("workspace_id", "status", "published_at", "id"),
        "status <> 'published' AND published_at IS NOT NULL",
    ),
    ("ix_post_found_planned", ("workspace_id", "planned_at", "id"), "origin = 'found' AND planned_at IS NOT NULL"),
)
"""Indexes of lists that the constraints now say are empty."""


def _make(indexes: Sequence[tuple[str, tuple[str, ...], str]]) -> None:
    for name, columns, condition in indexes:
        op.create_index(
            name,
            "post",
            list(columns),
            postgresql_where=sa.text(condition),
            postgresql_concurrently=True,
            if_not_exists=True,
        )


def _drop(indexes: Sequence[tuple[str, tuple[str, ...], str]]) -> None:
    for name, _, _ in indexes:
        op.drop_index(name, "post", postgresql_concurrently=True, if_exists=True)


def upgrade() -> None:
    for name, rule in _IMPOSSIBLE:
        op.execute(f"ALTER TABLE post ADD CONSTRAINT ck_post_{name} CHECK ({rule}) NOT VALID")
    with op.get_context().autocommit_block():
        op.execute("SET statement_timeout = '2h'")  # they are made one after the other, without a lock on writes
        for name, _ in _IMPOSSIBLE:
            op.execute(f"ALTER TABLE post VALIDATE CONSTRAINT ck_post_{name}")
        _make(_INDEXES)
        _drop(_OF_NO_POST)


def downgrade() -> None:
    with op.get_context().autocommit_block():
        _make(_OF_NO_POST)
        _drop(_INDEXES)
    for name, _ in _IMPOSSIBLE:
        op.drop_constraint(f"ck_post_{name}", "post")
