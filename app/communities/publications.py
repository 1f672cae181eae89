"""Posts as they stand on the platforms."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Result, literal_column, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.communities import pace
from app.communities.events import Place, PostsMeasured, PublicationsSeen, SeenPublication
from app.communities.models import Publication
from app.kit.db import mine
from app.kit.events import publish
from app.kit.ids import uuid7
from app.platforms.contract import Metric, MetricStatus, PostMetrics, RemotePost


async def store(
    session: AsyncSession, place: Place, posts: Sequence[RemotePost], at: datetime, poll_pace: float
) -> None:
    """Keep what a page of a community's posts shows, counters included, and tell of it."""
    newest = {post.external_id: post for post in posts}
    if not newest:
        return
    values = [
        {
            "workspace_id": place.workspace_id,
            "id": uuid7(),
            "community_id": place.community_id,
            "project_id": place.project_id,
            "external_id": post.external_id,
            "url": post.url,
            "text": post.text,
            "published_at": post.published_at,
            "edited_at": post.edited_at,
            "comments": post.metrics.counters.get(Metric.COMMENTS),
            "measure_at": _next_look(post, at, poll_pace),
        }
        for post in newest.values()
    ]
    added = insert(Publication).values(values)
    taken = ("url", "text", "edited_at", "comments", "measure_at")
    rows: Result[Any] = await session.execute(
        added.on_conflict_do_update(
            index_elements=["workspace_id", "community_id", "external_id"],
            set_={**{name: added.excluded[name] for name in taken}, "gone_at": None},
        ).returning(
            Publication.id,
            Publication.external_id,
            Publication.url,
            Publication.text,
            Publication.published_at,
            # A row that this very statement has made has no deleting transaction yet.
            literal_column("(xmax = 0)").label("new"),
        )
    )
    seen = tuple(SeenPublication(row.id, row.external_id, row.url, row.text, row.published_at, row.new) for row in rows)
    await publish(session, PublicationsSeen(place, seen))
    metrics = tuple((publication.id, newest[publication.external_id].metrics) for publication in seen)
    await publish(session, PostsMeasured(place, at, metrics))


async def announced(session: AsyncSession, place: Place, posts: Sequence[RemotePost], at: datetime) -> None:
    """Keep posts that the platform told of by itself, as far as they are not known, and tell of them.

    The telling may be late: a known post is not put back to how it was, and counters, which are of
    an instant that nobody names, are left to the next look, which is due at once.
    """
    values = [
        {
            "workspace_id": place.workspace_id,
            "id": uuid7(),
            "community_id": place.community_id,
            "project_id": place.project_id,
            "external_id": post.external_id,
            "url": post.url,
            "text": post.text,
            "published_at": post.published_at,
            "edited_at": post.edited_at,
            "measure_at": at,
        }
        for post in posts
    ]
    if not values:
        return
    rows = await session.execute(
        insert(Publication)
        .values(values)
        .on_conflict_do_nothing(index_elements=["workspace_id", "community_id", "external_id"])
        .returning(
            Publication.id,
            Publication.external_id,
            Publication.url,
            Publication.text,
            Publication.published_at,
        )
    )
    seen = tuple(SeenPublication(row.id, row.external_id, row.url, row.text, row.published_at, True) for row in rows)
    if seen:
        await publish(session, PublicationsSeen(place, seen))


def _next_look(post: RemotePost, at: datetime, poll_pace: float) -> datetime:
    """What a list does not show (VK's reach) is asked for at once: an old post's next look may be a week away."""
    if MetricStatus.PENDING in post.metrics.missing.values():
        return at
    return pace.next_look(post.published_at, at, poll_pace)


async def due(session: AsyncSession, place: Place, at: datetime, limit: int) -> list[tuple[UUID, str]]:
    """The publications whose counters are due, the longest due first: id and external id."""
    rows = await session.execute(
        select(Publication.id, Publication.external_id)
        .where(_of(place), Publication.measure_at <= at)
        .order_by(Publication.measure_at)
        .limit(limit)
    )
    return [(row.id, row.external_id) for row in rows]


async def measured(
    session: AsyncSession, place: Place, found: Sequence[tuple[UUID, PostMetrics]], at: datetime, poll_pace: float
) -> None:
    """Keep counters that were read at `at`, and say when the next look is due."""
    ids = [publication_id for publication_id, _ in found]
    rows = await session.execute(
        select(Publication.id, Publication.published_at).where(_of(place), Publication.id.in_(ids))
    )
    published = {row.id: row.published_at for row in rows}
    changes = [
        {
            "workspace_id": place.workspace_id,
            "id": publication_id,
            "measure_at": None if metrics.gone else pace.next_look(published[publication_id], at, poll_pace),
            "gone_at": at if metrics.gone else None,
            "comments": metrics.counters.get(Metric.COMMENTS),
        }
        for publication_id, metrics in sorted(found, key=lambda pair: pair[0])
    ]
    await session.execute(update(Publication), changes)
    alive = tuple(pair for pair in found if not pair[1].gone)
    await publish(session, PostsMeasured(place, at, alive))


async def with_new_comments(
    session: AsyncSession, place: Place, since: datetime, limit: int
) -> list[tuple[UUID, str, str | None, int]]:
    """Publications whose comments counter has moved since they were read: id, external id, cursor, counter."""
    rows = await session.execute(
        select(Publication.id, Publication.external_id, Publication.comments_cursor, Publication.comments)
        .where(
            _of(place),
            Publication.gone_at.is_(None),
            Publication.published_at >= since,
            Publication.comments.is_distinct_from(Publication.comments_read),
            or_(Publication.comments > 0, Publication.comments_read.is_not(None)),
        )
        .order_by(Publication.published_at.desc())
        .limit(limit)
    )
    return [(row.id, row.external_id, row.comments_cursor, row.comments) for row in rows]


async def comments_read(
    session: AsyncSession, place: Place, publication_id: UUID, cursor: str | None, counter: int | None
) -> None:
    """Keep how far a publication's comments are read; `counter` once they are read to the end."""
    changed: dict[str, object] = {"comments_cursor": cursor}
    if counter is not None:
        changed["comments_read"] = counter
    await session.execute(update(Publication).where(_of(place), Publication.id == publication_id).values(changed))


async def known(session: AsyncSession, place: Place, external_ids: Sequence[str]) -> dict[str, UUID]:
    """Ids of a community's publications by their ids on the platform."""
    rows = await session.execute(
        select(Publication.external_id, Publication.id).where(_of(place), Publication.external_id.in_(external_ids))
    )
    return {row.external_id: row.id for row in rows}


def _of(place: Place) -> ColumnElement[bool]:
    return mine(Publication, place.workspace_id) & (Publication.community_id == place.community_id)
