"""Reads of posts, in the one form in which all operations return them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

import orjson
from sqlalchemy import BigInteger, ColumnElement, DateTime, Select, Text, and_, bindparam, cast, func, or_, select, true
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from app.communities.models import Community, Publication
from app.communities.reads import project_of_community
from app.kit.db import in_workspace, workspace_of
from app.kit.lists import WORKSPACE, Filter, Listing, Row, Sort, equal, parameter, with_text_ids
from app.kit.paging import Keyset
from app.kit.statement import Statement
from app.metrics.models import PostLast, PostSnapshot
from app.platforms.contract import Metric, MetricStatus
from app.posts.lexemes import POST_LEXEMES
from app.posts.models import Category, Post, PostOrigin, PostStatus
from app.posts.schemas import PostMetricsRead

REASONS: Final[Mapping[MetricStatus, str]] = {
    MetricStatus.UNSUPPORTED: "The platform does not give this metric.",
    MetricStatus.PENDING: "It has not been read yet, or the platform gives it some days late.",
    MetricStatus.NO_PERMISSION: "The community's token may not read this metric.",
    MetricStatus.ERROR: "The platform failed to give it at the last poll.",
}
UNMATCHED: Final = "The post is not matched to one on the platform yet."


class PostSort(StrEnum):
    """The time by which a list of posts is sorted, latest first."""

    CREATED = "created_at"
    PLANNED = "planned_at"
    PUBLISHED = "published_at"


_COLUMNS: Final = (
    *("id", "project_id", "community_id", "publication_id", "origin", "text", "category", "status", "planned_for"),
    *("timezone", "planned_at", "permalink", "published_at", "version", "created_at", "updated_at"),
)
_PLAIN: Final = (*_COLUMNS, "community_title", "platform", "gone_at")


def _query(*, with_metrics: bool) -> Select[Any]:
    """Posts, with their communities and `gone_at` of their publications."""
    query = (
        select(
            *(getattr(Post, name) for name in _COLUMNS),
            Community.title.label("community_title"),
            Community.platform,
            Publication.gone_at,
        )
        .select_from(Post)
        .join(Community, (Community.workspace_id == Post.workspace_id) & (Community.id == Post.community_id))
        .outerjoin(
            Publication, (Publication.workspace_id == Post.workspace_id) & (Publication.id == Post.publication_id)
        )
        .where(in_workspace(Post, WORKSPACE))
    )
    if not with_metrics:
        return query
    read_at = (
        select(
            *(
                func.max(PostSnapshot.at).filter(getattr(PostSnapshot, metric.value).is_not(None)).label(metric.value)
                for metric in Metric
            )
        )
        .where(PostSnapshot.workspace_id == WORKSPACE, PostSnapshot.publication_id == Post.publication_id)
        .correlate(Post)
        .lateral("read_at")
    )
    return (
        query.add_columns(
            PostLast.at.label("captured_at"),
            cast(PostLast.missing, Text).label("missing"),
            *(getattr(PostLast, metric.value).label(f"last_{metric.value}") for metric in Metric),
            *(read_at.c[metric.value].label(f"read_at_{metric.value}") for metric in Metric),
        )
        .outerjoin(
            PostLast,
            (PostLast.workspace_id == Post.workspace_id) & (PostLast.publication_id == Post.publication_id),
        )
        .join(read_at, true())
    )


def _filters() -> dict[str, Filter]:
    filters: dict[str, Filter] = {
        **equal(project_id=Post.project_id, community_id=Post.community_id),
        "status": {one.value: Post.status == one.value for one in PostStatus},
        "origin": {one.value: Post.origin == one.value for one in PostOrigin},
        "category": {one.value: Post.category == one.value for one in Category},
        "categorised": {True: Post.category.is_not(None), False: Post.category.is_(None)},
        **POST_LEXEMES.filters(Post.__table__.c.id),
    }
    for sort in PostSort:
        column = getattr(Post, sort.value)
        filters[f"since_{sort.value}"] = column >= parameter(f"since_{sort.value}", column)
        filters[f"until_{sort.value}"] = column < parameter(f"until_{sort.value}", column)
    return filters


def _sort(sort: PostSort) -> Sort:
    column = getattr(Post, sort.value)
    return Sort(Keyset((column, Post.id)), None if sort is PostSort.CREATED else column.is_not(None))


POSTS: Final = {
    with_metrics: Listing(
        _query(with_metrics=with_metrics),
        Post.id,
        sorts={sort: _sort(sort) for sort in PostSort},
        filters=_filters(),
        ids_first=True,
        within=project_of_community(),
    )
    for with_metrics in (False, True)
}
"""By whether they come with their counters."""


def _within(at: Any) -> ColumnElement[bool]:
    begin, end = (bindparam(name, type_=DateTime(timezone=True)) for name in ("begin", "end"))
    return and_(at >= begin, at < end)


_at: Final = func.coalesce(Post.published_at, Post.planned_at)
_CALENDAR: Final = {
    with_metrics: Statement(
        with_text_ids(_query(with_metrics=with_metrics))
        .where(
            Post.project_id == parameter("project_id", Post.project_id),
            # Each side has an index; the instant itself has none.
            or_(_within(Post.published_at), and_(Post.published_at.is_(None), _within(Post.planned_at))),
        )
        .order_by(_at, Post.id)
        .limit(bindparam("limit", type_=BigInteger()))
    )
    for with_metrics in (False, True)
}


async def calendar(
    connection: AsyncConnection,
    workspace_id: UUID,
    project_id: UUID,
    *,
    begin: datetime,
    end: datetime,
    limit: int,
    with_metrics: bool,
) -> list[Row]:
    """A project's posts that were published, or else are planned, from `begin` (included) to `end` (not)."""
    return await _CALENDAR[with_metrics].rows(
        connection,
        {"workspace_id": workspace_id, "project_id": project_id, "begin": begin, "end": end, "limit": limit},
    )


def post_read(row: Row) -> dict[str, Any]:
    """A post as `PostRead` describes it."""
    if "missing" not in row:
        return {**row, "metrics": None}  # the columns are the fields; picked one by one they cost four times as much
    return {**{name: row[name] for name in _PLAIN}, "metrics": _metrics(row)}


def _metrics(row: Row) -> list[dict[str, Any]]:
    missing: Mapping[str, str] = {} if row["missing"] is None else orjson.loads(row["missing"])
    return [_metric(metric.value, row, missing) for metric in Metric]


def _metric(name: str, row: Row, missing: Mapping[str, str]) -> dict[str, Any]:
    value = row[f"last_{name}"]
    if name in missing:
        status = MetricStatus(missing[name])
    else:
        status = MetricStatus.PENDING if value is None else MetricStatus.OK
    reason = None
    if status is not MetricStatus.OK:
        reason = UNMATCHED if row["publication_id"] is None else REASONS[status]
    return {
        "metric": name,
        "status": status.value,
        "value": value if status is MetricStatus.OK else None,
        "reason": reason,
        "last_known": value,
        "captured_at": row[f"read_at_{name}"],
    }


async def changed(session: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, dict[str, Any]]:
    """Posts by id, with the pending changes of this transaction."""
    await session.flush()
    rows = await POSTS[False].by_ids(await session.connection(), workspace_of(session), ids)
    return {post_id: post_read(row) for post_id, row in rows.items()}


async def metrics(connection: AsyncConnection, workspace_id: UUID, post_id: UUID) -> PostMetricsRead:
    """A post's latest counters, each with its status; `NotFound` where there is no such post."""
    row = await POSTS[True].one(connection, workspace_id, post_id)
    return PostMetricsRead.model_validate(
        {
            "post_id": row["id"],
            "publication_id": row["publication_id"],
            "captured_at": row["captured_at"],
            "gone_at": row["gone_at"],
            "data": _metrics(row),
        }
    )
