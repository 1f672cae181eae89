"""How counters are known: of one post, and of all posts of a community."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, ScalarSelect, Select, case, func, select, true
from sqlalchemy.ext.asyncio import AsyncConnection

from app.communities.models import Publication
from app.kit.db import in_workspace
from app.metrics.models import PostLast, PostSnapshot
from app.metrics.schemas import CommunityMetric
from app.platforms.contract import Metric, MetricStatus, Spec

WORST_FIRST: Final = (
    MetricStatus.NO_PERMISSION,
    MetricStatus.ERROR,
    MetricStatus.OK,
    MetricStatus.PENDING,
    MetricStatus.UNSUPPORTED,
)
"""What is said of a community whose posts are not all alike: first what a person can mend."""
NEWEST: Final = 200
"""Posts, those that were looked at last, of which it is seen when a counter was read."""


async def captured(
    connection: AsyncConnection, workspace_id: UUID, publication_id: UUID | None
) -> dict[Metric, datetime]:
    """When each counter of a publication was last read; one that never was is absent."""
    if publication_id is None:
        return {}
    row = (
        await connection.execute(
            select(
                *(func.max(PostSnapshot.at).filter(_counter(PostSnapshot, metric).is_not(None)) for metric in Metric)
            ).where(PostSnapshot.workspace_id == workspace_id, PostSnapshot.publication_id == publication_id)
        )
    ).one()
    return {metric: at for metric, at in zip(Metric, row, strict=True) if at is not None}


def _counter(table: type[PostSnapshot] | type[PostLast], metric: Metric) -> ColumnElement[Any]:
    column: ColumnElement[Any] = getattr(table, metric.value)
    return column


async def of_community(
    connection: AsyncConnection, workspace_id: UUID, community_id: UUID, spec: Spec
) -> list[CommunityMetric]:
    """How each counter of a community's posts is known at their last looks. Deleted posts do not count."""
    # What a look did not bring has its reason; a counter of which nothing was ever said is pending.
    said = [
        case(
            (PostLast.missing.has_key(metric.value), PostLast.missing[metric.value].astext),
            (_counter(PostLast, metric).is_not(None), MetricStatus.OK.value),
            else_=MetricStatus.PENDING.value,
        )
        for metric in Metric
    ]
    counts = [func.count().filter(one == status.value) for one in said for status in MetricStatus]
    counted = (await connection.execute(_shown(workspace_id, community_id, *counts))).one()
    read_at = (
        await connection.execute(select(*(_read_at(workspace_id, community_id, metric) for metric in Metric)))
    ).one()
    width = len(MetricStatus)
    return [
        _known(metric, counted[number * width : (number + 1) * width], read_at[number], spec)
        for number, metric in enumerate(Metric)
    ]


def _shown(workspace_id: UUID, community_id: UUID, *columns: Any) -> Select[Any]:
    """Of the last looks at a community's posts."""
    return (
        select(*columns)
        .select_from(PostLast)
        .join(
            Publication,
            (Publication.workspace_id == PostLast.workspace_id) & (Publication.id == PostLast.publication_id),
        )
        .where(
            in_workspace(Publication, workspace_id),
            Publication.community_id == community_id,
            Publication.gone_at.is_(None),
        )
    )


def _read_at(workspace_id: UUID, community_id: UUID, metric: Metric) -> ScalarSelect[Any]:
    """When a counter was last read of any post. A post's last look may have brought other counters alone."""
    posts = (
        _shown(workspace_id, community_id, PostLast.publication_id)
        .where(_counter(PostLast, metric).is_not(None))
        .order_by(PostLast.at.desc())
        .limit(NEWEST)
        .subquery()
    )
    newest = (
        select(PostSnapshot.at)
        .where(PostSnapshot.workspace_id == workspace_id, PostSnapshot.publication_id == posts.c.publication_id)
        .where(_counter(PostSnapshot, metric).is_not(None))
        .order_by(PostSnapshot.at.desc())
        .limit(1)
        .lateral()
    )
    return select(func.max(newest.c.at)).select_from(posts.join(newest, true())).scalar_subquery()


def _known(metric: Metric, counts: Sequence[int], read_at: datetime | None, spec: Spec) -> CommunityMetric:
    posts = dict(zip(MetricStatus, counts, strict=True))
    status = next((one for one in WORST_FIRST if posts[one]), MetricStatus.PENDING)
    if metric not in spec.metrics:
        status = MetricStatus.UNSUPPORTED
    return CommunityMetric(
        metric=metric,
        status=status,
        posts={one: count for one, count in posts.items() if count},
        captured_at=read_at,
    )
