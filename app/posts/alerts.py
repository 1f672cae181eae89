"""What of posts needs a person: those that should have appeared."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from sqlalchemy import ColumnElement, literal_column, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.models import Seat
from app.alerts.contract import AlertKind, Concern, ConcernQuery
from app.communities.models import Community
from app.posts.models import Post

_PLANNED: Final[ColumnElement[str]] = literal_column("'planned'")
_PUBLISHED: Final[ColumnElement[str]] = literal_column("'published'")
"""Constants, not parameters: a partial index serves them."""


async def overdue(session: AsyncSession, query: ConcernQuery) -> Sequence[Concern]:
    """Planned posts whose time has come, and that are not known to be published."""
    statement = (
        select(Post.id, Post.project_id, Post.planned_at, Community.title, Community.address)
        .join(Community, (Community.workspace_id == Post.workspace_id) & (Community.id == Post.community_id))
        .where(
            Post.workspace_id == query.workspace_id,
            Post.status == _PLANNED,
            Post.status != _PUBLISHED,
            Post.planned_at.is_not(None),
            Community.disconnected_at.is_(None),
        )
    )
    rows = await session.execute(query.page(statement, since=Post.planned_at, subject=Post.id))
    return [Concern(row.id, row.project_id, row.planned_at, {"community": row.title or row.address}) for row in rows]


KINDS: Final = (
    AlertKind(
        key="post-overdue",
        title="A planned post has not appeared",
        text="{community}: a post was planned for {since}, and was not found there.",
        seats=(Seat.CONTENT_MANAGER,),
        threshold=timedelta(hours=1),  # one that a person publishes by hand is found by the next poll
        find=overdue,
    ),
)
