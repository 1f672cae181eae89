"""The status of counters: of one post, and of all posts of a community."""

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

STATUS_PRIORITY: Final = (
    MetricStatus.NO_PERMISSION,
    MetricStatus.ERROR,
    MetricStatus.OK,
    MetricStatus.PENDING,
    MetricStatus.UNSUPPORTED,
)
"""The status of a community whose posts differ, highest priority first: what a person can fix."""
LATEST_POSTS: Final = 200
"""How many posts, those polled last, are searched for the time a counter was last read."""


def _counter(table: type[PostSnapshot] | type[PostLast], metric: Metric) -> ColumnElement[Any]:
    column: ColumnElement[Any] = getattr(table, metric.value)
    return column


async def of_community(
    connection: AsyncConnection, workspace_id: UUID, community_id: UUID, spec: Spec
) -> list[CommunityMetric]:
    """The status of each counter of a community's posts at their last polls. Deleted posts do not count."""
    # A counter that the last poll did not bring has a reason in `missing`; one without value or reason is pending.
    statuses = [
        case(
            (PostLast.missing.has_key(metric.value), PostLast.missing[metric.value].astext),
            (_counter(PostLast, metric).is_not(None), MetricStatus.OK.value),
            else_=MetricStatus.PENDING.value,
        )
        for metric in Metric
    ]
    counts = [func.count().filter(each == status.value) for each in statuses for status in MetricStatus]
    counted = (await connection.execute(_latest_counters(workspace_id, community_id, *counts))).one()
    read_at = (
        await connection.execute(select(*(_read_at(workspace_id, community_id, metric) for metric in Metric)))
    ).one()
    width = len(MetricStatus)
    return [
        _community_metric(metric, counted[number * width : (number + 1) * width], read_at[number], spec)
        for number, metric in enumerate(Metric)
    ]


def _latest_counters(workspace_id: UUID, community_id: UUID, *columns: Any) -> Select[Any]:
    """A query of the latest counters of a community's posts."""
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
    """When a counter was last read of any post. A post's last poll may have brought only other counters."""
    posts = (
        _latest_counters(workspace_id, community_id, PostLast.publication_id)
        .where(_counter(PostLast, metric).is_not(None))
        .order_by(PostLast.at.desc())
        .limit(LATEST_POSTS)
        .subquery()
    )
    latest = (
        select(PostSnapshot.at)
        .where(PostSnapshot.workspace_id == workspace_id, PostSnapshot.publication_id == posts.c.publication_id)
        .where(_counter(PostSnapshot, metric).is_not(None))
        .order_by(PostSnapshot.at.desc())
        .limit(1)
        .lateral()
    )
    return select(func.max(latest.c.at)).select_from(posts.join(latest, true())).scalar_subquery()


def _community_metric(metric: Metric, counts: Sequence[int], read_at: datetime | None, spec: Spec) -> CommunityMetric:
    posts = dict(zip(MetricStatus, counts, strict=True))
    status = next((each for each in STATUS_PRIORITY if posts[each]), MetricStatus.PENDING)
    if metric not in spec.metrics:
        status = MetricStatus.UNSUPPORTED
    return CommunityMetric(
        metric=metric,
        status=status,
        posts={each: count for each, count in posts.items() if count},
        captured_at=read_at,
    )
