"""Indexes of lists by each filter and sort"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "1037"
down_revision: str | None = "1036"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_PUBLISHED, _PLANNED = "published_at IS NOT NULL", "planned_at IS NOT NULL"
_CREATED = ("community_id", "created_at", "id")
_LATEST = ("last_message_at", "id")
_INDEXES: tuple[tuple[str, str, tuple[str, ...], str | None], ...] = (
    ("ix_inquiry_workspace_id_project_id_last_message_at_id", "inquiry", ("project_id", *_LATEST), None),
    ("ix_inquiry_workspace_id_community_id_last_message_at_id", "inquiry", ("community_id", *_LATEST), None),
    ("ix_inquiry_workspace_id_status_last_message_at_id", "inquiry", ("status", *_LATEST), None),
    ("ix_inquiry_handled", "inquiry", ("project_id", "handled_at", "id"), "handled_at IS NOT NULL"),
    ("ix_inquiry_waiting_by_status", "inquiry", ("status", "waiting_since", "id"), "waiting_since IS NOT NULL"),
    ("ix_post_workspace_id_community_id_created_at_id", "post", _CREATED, None),
    ("ix_post_published", "post", ("published_at", "id"), _PUBLISHED),
    ("ix_post_published_in_community", "post", ("community_id", "published_at", "id"), _PUBLISHED),
    ("ix_post_planned", "post", ("planned_at", "id"), _PLANNED),
    ("ix_post_planned_in_community", "post", ("community_id", "planned_at", "id"), _PLANNED),
    ("ix_post_unpublished", "post", ("status", "created_at", "id"), "status <> 'published'"),
    ("ix_post_unpublished_planned", "post", ("status", "planned_at", "id"), f"status <> 'published' AND {_PLANNED}"),
    (
        "ix_post_unpublished_published",
        "post",
        ("status", "published_at", "id"),
        f"status <> 'published' AND {_PUBLISHED}",
    ),
    ("ix_post_category", "post", ("category", "created_at", "id"), "category IS NOT NULL"),
    ("ix_post_category_planned", "post", ("category", "planned_at", "id"), f"category IS NOT NULL AND {_PLANNED}"),
    (
        "ix_post_category_published",
        "post",
        ("category", "published_at", "id"),
        f"category IS NOT NULL AND {_PUBLISHED}",
    ),
    ("ix_post_made_here", "post", ("created_at", "id"), "origin = 'planned'"),
    ("ix_post_made_here_published", "post", ("published_at", "id"), f"origin = 'planned' AND {_PUBLISHED}"),
    ("ix_post_found_planned", "post", ("planned_at", "id"), f"origin = 'found' AND {_PLANNED}"),
    ("ix_link_workspace_id_community_id_created_at_id", "link", _CREATED, None),
    ("ix_link_archived", "link", ("created_at", "id"), "archived_at IS NOT NULL"),
    ("ix_post_snapshot_workspace_id_at", "post_snapshot", ("at",), None),
    (
        "ix_publication_workspace_id_community_id_published_at_id",
        "publication",
        ("community_id", "published_at", "id"),
        None,
    ),
)


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("SET statement_timeout = '2h'")  # they are made one after the other, without a lock on writes
        for name, table, columns, condition in _INDEXES:
            op.create_index(
                name,
                table,
                ["workspace_id", *columns],
                postgresql_where=None if condition is None else sa.text(condition),
                postgresql_concurrently=True,
                if_not_exists=True,
            )


def downgrade() -> None:
    with op.get_context().autocommit_block():
        for name, table, _, _ in reversed(_INDEXES):
            op.drop_index(name, table, postgresql_concurrently=True, if_exists=True)
