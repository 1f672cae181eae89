"""Publications: posts as they are on the platforms, with when their counters are due."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Result, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.communities import albums
from app.communities import publication_statements as statements
from app.communities.events import CommunityRef, PostsMeasured, PublicationsSeen, SeenPublication
from app.communities.models import Community, Publication
from app.communities.polling import poll_schedule
from app.communities.publication_counts import PUBLICATION_TALLY
from app.kit.bulk import column_arrays
from app.kit.db import in_workspace, now, workspace_of
from app.kit.events import publish
from app.kit.ids import uuid7
from app.platforms.contract import Metric, MetricStatus, PostMetrics, RemotePost

TAKE_FROM_LIST_BEFORE: Final = timedelta(minutes=2)
"""Where counters are due within this time, they are taken from a list that shows the post."""


@dataclass(frozen=True, slots=True)
class UpsertResult:
    """How many posts of a page were written, and how many of those are new."""

    written: int
    new: int


async def store(
    session: AsyncSession,
    ref: CommunityRef,
    posts: Sequence[RemotePost],
    at: datetime,
    factor: float,
    *,
    only_edits: bool = False,
) -> UpsertResult:
    """Store a page of a community's posts, and publish what is new of it.

    Lists are read far more often than counters are due: those of a stored post are taken from the list
    when they are due, and ignored otherwise; of a post without a change nothing is written. `factor`
    multiplies every interval. `only_edits`: of stored posts no counters are taken, which keep to their schedule.
    """
    posts_by_id = {post.external_id: post for post in posts}
    stored = await _stored_posts(session, ref, list(posts_by_id)) if posts_by_id else {}
    to_write = _to_write(posts_by_id, stored, at, only_edits=only_edits)
    due = {i: i not in stored or stored[i].due(at, only_edits=only_edits) for i in posts_by_id}
    if not to_write:
        return UpsertResult(0, 0)
    # In key order, to avoid deadlocks.
    values = [_row(ref, posts_by_id[i], at, factor, stored.get(i), due=due[i]) for i in sorted(to_write)]
    rows: Result[Any] = await session.execute(statements.STORE, column_arrays(values, statements.COLUMNS))
    seen = tuple(SeenPublication(row.id, row.external_id, row.url, row.text, row.published_at, row.new) for row in rows)
    await publish(session, PublicationsSeen(ref, seen))
    metrics = tuple((one.id, posts_by_id[one.external_id].metrics) for one in seen if due[one.external_id])
    await publish(session, PostsMeasured(ref, at, metrics))
    return UpsertResult(len(seen), await _count(session, ref, seen))


async def _count(session: AsyncSession, ref: CommunityRef, seen: Iterable[SeenPublication]) -> int:
    """Count the new ones."""
    new = sum(one.new for one in seen)
    await PUBLICATION_TALLY.add(session, {(ref.community_id, ref.project_id): new})
    return new


async def has_changes(
    session: AsyncSession, ref: CommunityRef, posts: Sequence[RemotePost], at: datetime, *, only_edits: bool = False
) -> bool:
    """Whether `store` would write anything."""
    posts_by_id = {post.external_id: post for post in posts}
    if not posts_by_id:
        return False
    stored = await _stored_posts(session, ref, list(posts_by_id))
    return bool(_to_write(posts_by_id, stored, at, only_edits=only_edits))


def _to_write(
    posts_by_id: Mapping[str, RemotePost], stored: Mapping[str, "_StoredPost"], at: datetime, *, only_edits: bool
) -> list[str]:
    """Ids of posts that are new or changed, or whose counters are due."""
    return [
        i
        for i in posts_by_id
        if i not in stored or stored[i].due(at, only_edits=only_edits) or stored[i].differs(posts_by_id[i])
    ]


@dataclass(frozen=True, slots=True)
class _StoredPost:
    """A publication as it is stored before a page is written."""

    measure_at: datetime | None
    total: int | None
    unchanged_polls: int
    content: tuple[object, ...] = ()
    """Its link, text, last edit and comments counter, and when it was seen to be deleted."""

    def due(self, at: datetime, *, only_edits: bool) -> bool:
        """Whether counters are taken from a list; always of a post that was taken for deleted."""
        return self.measure_at is None or (not only_edits and self.measure_at <= at + TAKE_FROM_LIST_BEFORE)

    def differs(self, post: RemotePost) -> bool:
        return self.content != (post.url, post.text, post.edited_at, post.metrics.counters.get(Metric.COMMENTS), None)


async def _stored_posts(
    session: AsyncSession, ref: CommunityRef, external_ids: Sequence[str]
) -> dict[str, _StoredPost]:
    rows = await session.execute(statements.STORED_POSTS, _params(ref, external_ids=list(external_ids)))
    return {row[0]: _StoredPost(row[1], row[2], row[3], tuple(row[4:])) for row in rows}


def _written(ref: CommunityRef, post: RemotePost) -> dict[str, Any]:
    return {
        "workspace_id": ref.workspace_id,
        "id": uuid7(),
        "community_id": ref.community_id,
        "project_id": ref.project_id,
        "external_id": post.external_id,
        "url": post.url,
        "text": post.text,
        "published_at": post.published_at,
        "edited_at": post.edited_at,
    }


def _row(
    ref: CommunityRef, post: RemotePost, at: datetime, factor: float, stored: _StoredPost | None, *, due: bool
) -> dict[str, Any]:
    row = {**_written(ref, post), "comments": post.metrics.counters.get(Metric.COMMENTS)}
    before = stored or _StoredPost(None, None, 0)
    # What a list does not show (VK's reach) is due at once: an old post's next metrics poll may be a week away.
    pending = MetricStatus.PENDING in post.metrics.missing.values()
    if pending or not due:
        return row | {
            "measure_at": at if due else before.measure_at,
            "total": before.total,
            "unchanged_polls": before.unchanged_polls,
        }
    total = sum(post.metrics.counters.values())
    unchanged_polls = before.unchanged_polls + 1 if total == before.total else 0
    return row | {
        "measure_at": poll_schedule.next_metrics_poll(post.published_at, at, factor, unchanged_polls=unchanged_polls),
        "total": total,
        "unchanged_polls": unchanged_polls,
    }


async def store_pushed(
    session: AsyncSession, ref: CommunityRef, posts: Sequence[RemotePost], measure_at: datetime | None
) -> None:
    """Store posts that were pushed and are new or edited, and publish them.

    An event may be late: a stored post is not set back to an older version, and counters, whose instant
    is unknown, are left to the next metrics poll. `measure_at`: when that is due; None where a platform's
    counters come with events only.
    """
    joined = await albums.joined(session, ref, posts)
    latest = {post.external_id: post for post in sorted(joined.posts, key=albums.version_order)}
    # In key order, to avoid deadlocks.
    values = [{**_written(ref, latest[i]), "measure_at": measure_at, "album": latest[i].album} for i in sorted(latest)]
    seen = {one.id: one for one in joined.renamed}
    if values:
        rows = await session.execute(statements.STORE_PUSHED, column_arrays(values, statements.PUSHED_COLUMNS))
        seen |= {
            row.id: SeenPublication(row.id, row.external_id, row.url, row.text, row.published_at, row.new)
            for row in rows
        }
    if seen:
        await _count(session, ref, seen.values())
        await publish(session, PublicationsSeen(ref, tuple(seen.values())))


async def due(session: AsyncSession, ref: CommunityRef, at: datetime, limit: int) -> "list[DuePost]":
    """The publications whose counters are due, the longest due first."""
    rows = await session.execute(statements.DUE, _params(ref, at=at, most=limit))
    return [
        DuePost(row.id, row.external_id, ref.community_id, "", row.measure_at, requested=row.requested) for row in rows
    ]


async def request_metrics(session: AsyncSession, community_id: UUID) -> None:
    """Make all counters of a community's publications due now; those requested before, and not read so far, stay."""
    of_community = in_workspace(Publication, workspace_of(session)) & (Publication.community_id == community_id)
    measured = select(Publication.id).where(
        of_community,
        Publication.measure_at.is_not(None),
        (Publication.measure_at > now(session)) | Publication.total.is_not(None),
    )
    # Locked in the order of `store`, to avoid deadlocks.
    ids = (await session.scalars(measured.order_by(Publication.external_id).with_for_update())).all()
    await session.execute(
        update(Publication).where(of_community, Publication.id.in_(ids)).values(measure_at=now(session), total=None)
    )


@dataclass(frozen=True, slots=True)
class DuePost:
    """A publication of one of several communities whose counters are due."""

    id: UUID
    external_id: str
    community_id: UUID
    community: str
    """The community's id on the platform; empty where all are of one community."""
    measure_at: datetime
    requested: bool
    """A person waits for it, or it was never read."""


async def due_among(
    session: AsyncSession, communities: Sequence[UUID], at: datetime, until: datetime, limit: int
) -> list[DuePost]:
    """As `due`, of several communities. Where one is due at `at`, those due by `until` fill the batch."""
    return [
        DuePost(row.id, row.external_id, row.community_id, row.community, row.measure_at, requested=row.requested)
        for row in await session.execute(
            statements.DUE_AMONG,
            {"workspace": workspace_of(session), "ids": list(communities), "at": at, "until": until, "most": limit},
        )
    ]


async def first_due(session: AsyncSession, communities: Sequence[UUID]) -> datetime | None:
    """When the first of these communities' publications is due; None where none ever is."""
    first: datetime | None = await session.scalar(
        statements.FIRST_DUE, {"workspace": workspace_of(session), "ids": list(communities)}
    )
    return first


async def ages(session: AsyncSession, communities: Sequence[UUID], at: datetime) -> list[tuple[timedelta, int]]:
    """How many publications of these communities are measured, by their age: that of the youngest of a tier.

    The oldest are too many to be counted: they are all that are stored but the younger ones, and as many of them are
    measured as of the latest hundred.
    """
    values = {"workspace": workspace_of(session), "ids": list(communities), "at": at}
    row = (await session.execute(statements.AGES, values)).one()
    return list(zip(statements.TIERS, row, strict=True))


async def store_metrics(
    session: AsyncSession,
    metrics_by_community: Mapping[CommunityRef, Sequence[tuple[UUID, PostMetrics]]],
    at: datetime,
    factor: float,
    *,
    since: Mapping[UUID, datetime],
) -> None:
    """Store and publish counters that were read at `at`, and when they are due next.

    `since`: since when each was due, as read before the call. Where that has changed, they were requested
    meanwhile, and stay due. All communities are one unit of work: first all publications are updated, then
    the events are published, which lock further rows.
    """
    by_id = {publication_id: metrics for pairs in metrics_by_community.values() for publication_id, metrics in pairs}
    rows = await session.execute(statements.LOCK_BY_ID, {"workspace": workspace_of(session), "ids": list(by_id)})
    changes: list[dict[str, Any]] = []
    for row in rows:
        metrics = by_id[row.id]
        total = sum(metrics.counters.values())
        unchanged_polls = row.unchanged_polls + 1 if total == row.total else 0
        requested = row.measure_at is not None and row.measure_at != since[row.id]
        next_at = (
            row.measure_at
            if requested
            else poll_schedule.next_metrics_poll(row.published_at, at, factor, unchanged_polls=unchanged_polls)
        )
        changes.append(
            {
                "workspace_id": workspace_of(session),
                "id": row.id,
                "measure_at": None if metrics.gone else next_at,
                "gone_at": at if metrics.gone else None,
                # Where comments are counted from events, metrics polls do not bring them.
                "comments": metrics.counters.get(Metric.COMMENTS, row.comments),
                "total": None if metrics.gone else total,
                "unchanged_polls": unchanged_polls,
            }
        )
    if changes:
        await session.execute(update(Publication), changes)
    for ref in sorted(metrics_by_community, key=lambda ref: ref.community_id):
        alive = tuple(pair for pair in metrics_by_community[ref] if not pair[1].gone)
        await publish(session, PostsMeasured(ref, at, alive))


async def put_off(session: AsyncSession, ids: Sequence[UUID]) -> None:
    """Have the counters of publications that are among the `UnreadItem`s read when these are tried again."""
    if ids:
        await session.execute(statements.PUT_OFF, {"workspace": workspace_of(session), "ids": list(ids)})


@dataclass(frozen=True, slots=True)
class PendingReads:
    """What is due to be read of a community's publications."""

    counters: bool
    comments: bool
    unread_items: Sequence[Mapping[str, Any]] = ()
    """Rows for `unread_items.stored_items`: what could not be read before."""


async def timezone_and_pending(session: AsyncSession, community: Community, at: datetime) -> tuple[str, PendingReads]:
    """The time zone of a community's project, and what is due of its publications."""
    params = {"workspace": workspace_of(session), "project": community.project_id, "community": community.id}
    row = (
        await session.execute(statements.TIMEZONE_AND_PENDING, {**params, "at": at, "since": community.backfill_since})
    ).one()
    return row[0], PendingReads(row[1], row[2], row[3])


async def with_new_comments(
    session: AsyncSession, ref: CommunityRef, since: datetime, at: datetime, limit: int
) -> list[tuple[UUID, str, str | None, int | None]]:
    """Publications whose comments counter has changed since they were read: id, external id, cursor, counter.

    The counter is that of the scan's beginning: what was written after an interrupted scan began may be above where
    it goes on. Without those that could not be read, and are tried again after `at`.
    """
    rows = await session.execute(statements.WITH_NEW_COMMENTS, _params(ref, since=since, at=at, most=limit))
    return [(row.id, row.external_id, row.comments_cursor, row.counter) for row in rows]


async def mark_comments_begun(
    session: AsyncSession, ref: CommunityRef, publication_id: UUID, cursor: str | None, counter: int | None
) -> None:
    """Store how far a publication's comments are read, and what their counter was when the scan began."""
    await session.execute(
        update(Publication)
        .where(_in_community(ref), Publication.id == publication_id)
        .values(comments_cursor=cursor, comments_scan_counter=counter)
    )


async def mark_comments_read(
    session: AsyncSession, ref: CommunityRef, publication_id: UUID, counter: int | None
) -> None:
    """Store that a publication's comments are read to the end, and what their counter was when the scan began."""
    await session.execute(
        update(Publication)
        .where(_in_community(ref), Publication.id == publication_id)
        .values(comments_cursor=None, comments_scan_counter=None, comments_read=counter)
    )


async def read_comments_again(session: AsyncSession, ref: CommunityRef, ids: Sequence[UUID]) -> None:
    """Have the comments of these publications read again, whatever their counters say."""
    if ids:
        await session.execute(statements.READ_AGAIN, _params(ref, ids=list(ids)))


async def read_recent_comments_again(session: AsyncSession, ref: CommunityRef, since: datetime) -> None:
    """As `read_comments_again`, for publications since then that have comments."""
    await session.execute(statements.READ_RECENT_AGAIN, _params(ref, since=since))


async def ids_by_external_id(session: AsyncSession, ref: CommunityRef, external_ids: Sequence[str]) -> dict[str, UUID]:
    """Ids of a community's publications by their ids on the platform."""
    rows = await session.execute(statements.IDS_OF, _params(ref, external_ids=list(external_ids)))
    return {row.external_id: row.id for row in rows}


def _in_community(ref: CommunityRef) -> ColumnElement[bool]:
    return in_workspace(Publication, ref.workspace_id) & (Publication.community_id == ref.community_id)


def _params(ref: CommunityRef, **more: object) -> dict[str, object]:
    return {"workspace": ref.workspace_id, "community": ref.community_id, **more}
