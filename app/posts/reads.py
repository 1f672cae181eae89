"""Queries of posts, in SQLAlchemy Core."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, Select, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from app.communities.models import Publication
from app.kit.db import in_workspace, workspace_of
from app.kit.errors import NotFound
from app.metrics.models import PostLast
from app.metrics.status import last_captured
from app.platforms.contract import Metric, MetricStatus
from app.posts.models import Post
from app.posts.schemas import PostMetric, PostMetricsRead

REASONS: Final[Mapping[MetricStatus, str]] = {
    MetricStatus.UNSUPPORTED: "The platform does not give this metric.",
    MetricStatus.PENDING: "It has not been read yet, or the platform gives it some days late.",
    MetricStatus.NO_PERMISSION: "The community's token may not read this metric.",
    MetricStatus.ERROR: "The platform failed to give it at the last poll.",
}
UNMATCHED: Final = "The post is not matched to one on the platform yet."


def posts(workspace_id: UUID) -> Select[Any]:
    """A query of posts, with `gone_at` of their publications."""
    return (
        select(Post.__table__, Publication.gone_at)
        .select_from(Post)
        .outerjoin(
            Publication, (Publication.workspace_id == Post.workspace_id) & (Publication.id == Post.publication_id)
        )
        .where(in_workspace(Post, workspace_id))
    )


async def one(connection: AsyncConnection, workspace_id: UUID, post_id: UUID) -> Row[Any]:
    """One post; `NotFound` where there is none."""
    row: Row[Any] | None = (await connection.execute(posts(workspace_id).where(Post.id == post_id))).one_or_none()
    if row is None:
        raise NotFound
    return row


async def by_ids(session: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, Row[Any]]:
    """Posts by id, with the pending changes of this transaction."""
    await session.flush()
    connection = await session.connection()
    rows = await connection.execute(posts(workspace_of(session)).where(Post.id.in_(ids)))
    return {row.id: row for row in rows}


async def metrics(connection: AsyncConnection, workspace_id: UUID, post_id: UUID) -> PostMetricsRead:
    """A post's latest counters, each with its status."""
    post = await one(connection, workspace_id, post_id)
    last = (
        await connection.execute(
            select(PostLast.__table__).where(
                PostLast.workspace_id == workspace_id, PostLast.publication_id == post.publication_id
            )
        )
    ).one_or_none()
    read_at = await last_captured(connection, workspace_id, post.publication_id)
    return PostMetricsRead(
        post_id=post.id,
        publication_id=post.publication_id,
        captured_at=None if last is None else last.at,
        gone_at=post.gone_at,
        data=[_metric(metric, last, read_at.get(metric), matched=post.publication_id is not None) for metric in Metric],
    )


def _metric(metric: Metric, last: Row[Any] | None, at: datetime | None, *, matched: bool) -> PostMetric:
    value: int | None = None if last is None else getattr(last, metric.value)
    if last is not None and metric.value in last.missing:
        status = MetricStatus(last.missing[metric.value])
    elif value is None:
        status = MetricStatus.PENDING
    else:
        return PostMetric(
            metric=metric, status=MetricStatus.OK, value=value, reason=None, last_known=value, captured_at=at
        )
    reason = REASONS[status] if matched else UNMATCHED
    return PostMetric(metric=metric, status=status, value=None, reason=reason, last_known=value, captured_at=at)
