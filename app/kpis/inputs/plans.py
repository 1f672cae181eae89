"""Planned posts: which were published when they were planned for."""

from datetime import date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import BigInteger, ColumnElement, and_, case, cast, func, literal, or_, select

from app.kit.db import in_workspace
from app.kpis.contract import DAY, Dataset, EvidenceQuery, LoadRequest, Project, Section, Source
from app.kpis.inputs.columns import Counted, DailyCounts
from app.kpis.inputs.engagement import by_posts
from app.kpis.inputs.parameters import (
    AS_OF,
    END,
    FIRST,
    LAST,
    PROJECT,
    START,
    WORKSPACE,
    columns_by_community,
    local_day,
    position,
)
from app.posts.models import Post, PostStatus

TOLERANCE: Final = timedelta(minutes=15)
"""How far from its plan, before or after, a post is still published on time."""

_DAY: Final = local_day(Post.__table__.c.planned_at, PROJECT.c.timezone)


class Plans(Source[DailyCounts]):
    """Planned posts by the day they were planned for: decided ones, and those of them published on time.

    A post is decided once it is published, or once `tolerance` after its plan is over.
    """

    key = "plans"
    title = "Posts of the content plan, with when they were published"

    def __init__(self, tolerance: timedelta = TOLERANCE) -> None:
        self._tolerance = tolerance
        self.rows = columns_by_community(
            select(
                Post.community_id,
                position(_DAY),
                func.count(),
                func.count().filter(self._is_on_time(AS_OF)),
            )
            .where(
                in_workspace(Post, WORKSPACE),
                Post.project_id == PROJECT.c.id,
                Post.planned_at >= START,
                Post.planned_at < END,
                self._is_decided(AS_OF),
                _DAY.between(FIRST, LAST),
            )
            .group_by(Post.community_id, _DAY)
        )

    def dataset(self, project: Project, rows: Any, request: LoadRequest) -> Dataset[DailyCounts]:
        """The requested days, by community."""
        return by_posts(project, rows, DailyCounts, request)

    def _is_on_time(self, as_of: Any) -> ColumnElement[bool]:
        return and_(
            Post.published_at <= as_of,
            Post.published_at >= Post.planned_at - literal(self._tolerance),
            Post.published_at <= Post.planned_at + literal(self._tolerance),
        )

    def _is_decided(self, as_of: Any) -> ColumnElement[bool]:
        is_published = and_(Post.status == PostStatus.PUBLISHED.value, Post.published_at <= as_of)
        return or_(
            is_published,
            and_(
                Post.status.in_([PostStatus.PLANNED.value, PostStatus.PUBLISHED.value]),
                Post.planned_at + literal(self._tolerance) < as_of,
            ),
        )

    def evidence_rows(self, workspace_id: UUID, project: Project, first: date, last: date) -> EvidenceQuery:
        """The decided posts planned for these days."""
        published_at = case((Post.published_at <= project.now, Post.published_at))
        late_by = func.extract("epoch", published_at - Post.planned_at)
        return select(
            Post.id,
            Post.planned_at,
            published_at.label("published_at"),
            Post.community_id,
            Post.category,
            cast(func.floor(late_by), BigInteger).label("late_by_seconds"),
            func.coalesce(self._is_on_time(project.now), False).label("on_time"),
        ).where(
            in_workspace(Post, workspace_id),
            Post.project_id == project.id,
            Post.planned_at >= project.start_of(first),
            Post.planned_at < project.start_of(last + DAY),
            self._is_decided(project.now),
        )


PLANS: Final = Plans()
ON_TIME_AND_PLANNED: Final = Counted(PLANS, 2, 1)
"""How many of the posts planned for the window were published on time, and how many are decided."""
PLANNED: Final = Section(
    "planned_post",
    "A post that was planned for the window and is published, or whose time is over: `id`, `planned_at`, "
    "`published_at` (null: not published), `community_id`, `category`, `late_by_seconds` (negative: early), `on_time`.",
    PLANS.evidence_rows,
    {"planned_at": datetime, "id": UUID},
)
