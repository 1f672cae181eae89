"""How counters are known: of one post, and of all posts of a community."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Row, case, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.communities.models import Publication
from app.kit.db import mine
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


async def captured(
    connection: AsyncConnection, workspace_id: UUID, publication_id: UUID | None
) -> dict[Metric, datetime]:
    """When each counter of a publication was last read; one that never was is absent."""
    if publication_id is None:
        return {}
    row = (
        await connection.execute(
            select(*(_newest(PostSnapshot, metric) for metric in Metric)).where(
                PostSnapshot.workspace_id == workspace_id, PostSnapshot.publication_id == publication_id
            )
        )
    ).one()
    return {metric: at for metric, at in zip(Metric, row, strict=True) if at is not None}


def _newest(table: type[PostSnapshot] | type[PostLast], metric: Metric) -> ColumnElement[Any]:
    return func.max(table.at).filter(getattr(table, metric.value).is_not(None))


async def of_community(
    connection: AsyncConnection, workspace_id: UUID, community_id: UUID, spec: Spec
) -> list[CommunityMetric]:
    """How each counter of a community's posts is known at their last looks. Deleted posts do not count."""
    # What a look did not bring has its reason; a counter of which nothing was ever said is pending.
    said = [
        case(
            (PostLast.missing.has_key(metric.value), PostLast.missing[metric.value].astext),
            (getattr(PostLast, metric.value).is_not(None), MetricStatus.OK.value),
            else_=MetricStatus.PENDING.value,
        )
        for metric in Metric
    ]
    columns = [func.count().filter(one == status.value) for one in said for status in MetricStatus] + [
        func.max(PostLast.at).filter(one == MetricStatus.OK.value) for one in said
    ]
    row = (
        await connection.execute(
            select(*columns)
            .join(
                Publication,
                (Publication.workspace_id == PostLast.workspace_id) & (Publication.id == PostLast.publication_id),
            )
            .where(
                mine(Publication, workspace_id), Publication.community_id == community_id, Publication.gone_at.is_(None)
            )
        )
    ).one()
    return [_counted(metric, number, row, spec) for number, metric in enumerate(Metric)]


def _counted(metric: Metric, number: int, row: Row[Any] | Sequence[Any], spec: Spec) -> CommunityMetric:
    width = len(MetricStatus)
    posts = dict(zip(MetricStatus, row[number * width : (number + 1) * width], strict=True))
    status = next((one for one in WORST_FIRST if posts[one]), MetricStatus.PENDING)
    if metric not in spec.metrics:
        status = MetricStatus.UNSUPPORTED
    return CommunityMetric(
        metric=metric,
        status=status,
        posts={one: count for one, count in posts.items() if count},
        captured_at=row[len(Metric) * width + number],
    )
