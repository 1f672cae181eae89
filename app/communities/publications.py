"""Posts as they stand on the platforms."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    DateTime,
    Result,
    Text,
    Uuid,
    bindparam,
    func,
    literal_column,
    select,
    text,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession

from app.communities.events import CommunityRef, PostsMeasured, PublicationsSeen, SeenPublication
from app.communities.models import Community, Publication
from app.communities.polling import poll_schedule
from app.kit.bulk import bulk_insert, column_arrays
from app.kit.db import Base, in_workspace, now, workspace_of
from app.kit.events import publish
from app.kit.ids import uuid7
from app.platforms.contract import Metric, MetricStatus, PostMetrics, RemotePost
from app.projects.models import Project

# Written as the index `ix_publication_moved` has it, or it would not be used.
MOVED: Final = text(
    "gone_at IS NULL AND comments IS DISTINCT FROM comments_read AND (comments > 0 OR comments_read IS NOT NULL)"
)
"""The comments counter has moved since the comments were read."""
SOON: Final = timedelta(minutes=2)
"""A post that a list shows so shortly before its counters are due is measured by the list."""


@dataclass(frozen=True, slots=True)
class UpsertResult:
    """How many posts of a page were written, and how many of those are new."""

    written: int
    new: int


async def store(
    session: AsyncSession, place: CommunityRef, posts: Sequence[RemotePost], at: datetime, factor: float
) -> UpsertResult:
    """Keep what a page of a community's posts shows, and tell of it.

    A list is read far more often than counters are wanted: those of a known post are taken from it
    when they are due, and passed over otherwise; of a post that shows nothing new, nothing is
    written. `factor` is on every interval.
    """
    newest = {post.external_id: post for post in posts}
    known = await _known(session, place, list(newest)) if newest else {}
    due = {i: known.get(i) is None or known[i].due(at) for i in newest}
    shown = _shown(newest, known, at)
    if not shown:
        return UpsertResult(0, 0)
    # In one order, so that nobody waits in a circle.
    values = [_row(place, newest[i], at, factor, known.get(i), due=due[i]) for i in sorted(shown)]
    rows: Result[Any] = await session.execute(_STORE, column_arrays(values, _STORED))
    seen = tuple(SeenPublication(row.id, row.external_id, row.url, row.text, row.published_at, row.new) for row in rows)
    await publish(session, PublicationsSeen(place, seen))
    metrics = tuple((one.id, newest[one.external_id].metrics) for one in seen if due[one.external_id])
    await publish(session, PostsMeasured(place, at, metrics))
    return UpsertResult(len(seen), sum(one.new for one in seen))


async def changed(session: AsyncSession, place: CommunityRef, posts: Sequence[RemotePost], at: datetime) -> bool:
    """Whether `store` would write anything."""
    newest = {post.external_id: post for post in posts}
    return bool(newest) and bool(_shown(newest, await _known(session, place, list(newest)), at))


def _shown(newest: Mapping[str, RemotePost], known: Mapping[str, "_Known"], at: datetime) -> list[str]:
    """Those that are new, that show something new, or whose counters are due."""
    return [i for i in newest if i not in known or known[i].due(at) or known[i].differs(newest[i])]


@dataclass(frozen=True, slots=True)
class _Known:
    """A publication before a page that shows it again."""

    measure_at: datetime | None
    total: int | None
    unchanged_polls: int
    shown: tuple[object, ...] = ()
    """Its link, text, last edit and comments, and when it was seen to be gone."""

    def due(self, at: datetime) -> bool:
        return self.measure_at is None or self.measure_at <= at + SOON

    def differs(self, post: RemotePost) -> bool:
        return self.shown != (post.url, post.text, post.edited_at, post.metrics.counters.get(Metric.COMMENTS), None)


async def _known(session: AsyncSession, place: CommunityRef, external_ids: Sequence[str]) -> dict[str, _Known]:
    rows = await session.execute(_KNOWN, _asked(place, external_ids=list(external_ids)))
    return {row[0]: _Known(row[1], row[2], row[3], tuple(row[4:])) for row in rows}


def _written(place: CommunityRef, post: RemotePost) -> dict[str, Any]:
    return {
        "workspace_id": place.workspace_id,
        "id": uuid7(),
        "community_id": place.community_id,
        "project_id": place.project_id,
        "external_id": post.external_id,
        "url": post.url,
        "text": post.text,
        "published_at": post.published_at,
        "edited_at": post.edited_at,
    }


def _row(
    place: CommunityRef, post: RemotePost, at: datetime, factor: float, known: _Known | None, *, due: bool
) -> dict[str, Any]:
    row = {**_written(place, post), "comments": post.metrics.counters.get(Metric.COMMENTS)}
    before = known or _Known(None, None, 0)
    # What a list does not show (VK's reach) is asked for at once: an old post's next look may be a week away.
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
        "measure_at": poll_schedule.next_look(post.published_at, at, factor, unchanged_polls=unchanged_polls),
        "total": total,
        "unchanged_polls": unchanged_polls,
    }


async def announced(
    session: AsyncSession, place: CommunityRef, posts: Sequence[RemotePost], measure_at: datetime | None
) -> None:
    """Keep posts that the platform told of by itself, as far as they are not known, and tell of them.

    The telling may be late: a known post is not put back to how it was, and counters, which are of
    an instant that nobody names, are left to the next look. `measure_at`: when that is due; None where
    a platform's counters come with events alone, and looks would bring nothing.
    """
    values = [{**_written(place, post), "measure_at": measure_at} for post in posts]
    if not values:
        return
    rows = await session.execute(_ANNOUNCE, column_arrays(values, _ANNOUNCED))
    seen = tuple(SeenPublication(row.id, row.external_id, row.url, row.text, row.published_at, True) for row in rows)
    if seen:
        await publish(session, PublicationsSeen(place, seen))


async def due(session: AsyncSession, place: CommunityRef, at: datetime, limit: int) -> list[tuple[UUID, str, datetime]]:
    """The publications whose counters are due, the longest due first: id, external id, and since when."""
    rows = await session.execute(_DUE, _asked(place, at=at, most=limit))
    return [(row.id, row.external_id, row.measure_at) for row in rows]


async def wanted_now(session: AsyncSession, community_id: UUID) -> None:
    """Have all counters of a community's publications read anew."""
    ours = in_workspace(Publication, workspace_of(session)) & (Publication.community_id == community_id)
    held = select(Publication.id).where(ours, Publication.measure_at.is_not(None))
    # Held in the order of `store`: nobody waits in a circle.
    ids = (await session.scalars(held.order_by(Publication.external_id).with_for_update())).all()
    await session.execute(
        update(Publication).where(ours, Publication.id.in_(ids)).values(measure_at=now(session), total=None)
    )


@dataclass(frozen=True, slots=True)
class DuePost:
    """A publication of one of several communities whose counters are wanted."""

    id: UUID
    external_id: str
    community_id: UUID
    community: str
    """The community's id on the platform."""
    measure_at: datetime


async def due_among(
    session: AsyncSession, communities: Sequence[UUID], at: datetime, until: datetime, limit: int
) -> list[DuePost]:
    """As `due`, of several communities. Where one is due at `at`, those due by `until` fill the batch."""
    return [
        DuePost(row.id, row.external_id, row.community_id, row.community, row.measure_at)
        for row in await session.execute(
            _DUE_AMONG,
            {"workspace": workspace_of(session), "ids": list(communities), "at": at, "until": until, "most": limit},
        )
    ]


async def first_due(session: AsyncSession, communities: Sequence[UUID]) -> datetime | None:
    """When the first of these communities' publications is due; None where none ever is."""
    first: datetime | None = await session.scalar(
        _FIRST_DUE, {"workspace": workspace_of(session), "ids": list(communities)}
    )
    return first


async def ages(session: AsyncSession, communities: Sequence[UUID], at: datetime) -> list[tuple[timedelta, int]]:
    """How many publications of these communities are measured, by their age: that of the youngest of a tier."""
    tiers = [timedelta(0), *(limit for limit, _ in poll_schedule.BY_AGE)]
    counts = [
        func.count().filter(
            Publication.published_at <= at - youngest,
            *([Publication.published_at > at - oldest] if oldest is not None else []),
        )
        for youngest, oldest in zip(tiers, [*tiers[1:], None], strict=True)
    ]
    row = (
        await session.execute(
            select(*counts).where(
                in_workspace(Publication, workspace_of(session)),
                Publication.community_id.in_(communities),
                Publication.measure_at.is_not(None),
            )
        )
    ).one()
    return list(zip(tiers, row, strict=True))


async def measured(
    session: AsyncSession,
    looks: Mapping[CommunityRef, Sequence[tuple[UUID, PostMetrics]]],
    at: datetime,
    factor: float,
    *,
    since: Mapping[UUID, datetime],
) -> None:
    """Keep counters that were read at `at`, and say when the next look is due.

    `since`: since when they were due, as it stood before they were read. Where that has changed, they were asked for
    meanwhile, and stay due. Those of all communities in one unit of work: first all publications, then what follows
    from them.
    """
    by_id = {publication_id: metrics for found in looks.values() for publication_id, metrics in found}
    rows = await session.execute(_LOOKED_AT, {"workspace": workspace_of(session), "ids": list(by_id)})
    changes: list[dict[str, Any]] = []
    for row in rows:
        metrics = by_id[row.id]
        total = sum(metrics.counters.values())
        unchanged_polls = row.unchanged_polls + 1 if total == row.total else 0
        asked_for = row.measure_at is not None and row.measure_at != since[row.id]
        next_at = (
            row.measure_at
            if asked_for
            else poll_schedule.next_look(row.published_at, at, factor, unchanged_polls=unchanged_polls)
        )
        changes.append(
            {
                "workspace_id": workspace_of(session),
                "id": row.id,
                "measure_at": None if metrics.gone else next_at,
                "gone_at": at if metrics.gone else None,
                # Where we count comments ourselves, looks do not bring them.
                "comments": metrics.counters.get(Metric.COMMENTS, row.comments),
                "total": None if metrics.gone else total,
                "unchanged_polls": unchanged_polls,
            }
        )
    if changes:
        await session.execute(update(Publication), changes)
    for place in sorted(looks, key=lambda place: place.community_id):
        alive = tuple(pair for pair in looks[place] if not pair[1].gone)
        await publish(session, PostsMeasured(place, at, alive))


@dataclass(frozen=True, slots=True)
class Waiting:
    """What of a community's publications waits to be read."""

    counters: bool
    comments: bool


async def standing(session: AsyncSession, community: Community, at: datetime) -> tuple[str, Waiting]:
    """A community's time zone, and whether counters are due, or have moved since comments were read."""
    asked = {"workspace": workspace_of(session), "project": community.project_id, "community": community.id}
    row = (await session.execute(_STANDING, {**asked, "at": at, "since": community.backfill_since})).one()
    return row[0], Waiting(row[1], row[2])


async def with_new_comments(
    session: AsyncSession, place: CommunityRef, since: datetime, limit: int
) -> list[tuple[UUID, str, str | None, int]]:
    """Publications whose comments counter has moved since they were read: id, external id, cursor, counter."""
    rows = await session.execute(_MOVED, _asked(place, since=since, most=limit))
    return [(row.id, row.external_id, row.comments_cursor, row.comments) for row in rows]


async def comments_read(
    session: AsyncSession, place: CommunityRef, publication_id: UUID, cursor: str | None, counter: int | None
) -> None:
    """Keep how far a publication's comments are read; `counter` once they are read to the end."""
    changed: dict[str, object] = {"comments_cursor": cursor}
    if counter is not None:
        changed["comments_read"] = counter
    await session.execute(update(Publication).where(_of(place), Publication.id == publication_id).values(changed))


async def known(session: AsyncSession, place: CommunityRef, external_ids: Sequence[str]) -> dict[str, UUID]:
    """Ids of a community's publications by their ids on the platform."""
    rows = await session.execute(_IDS_OF, _asked(place, external_ids=list(external_ids)))
    return {row.external_id: row.id for row in rows}


def _of(place: CommunityRef) -> ColumnElement[bool]:
    return in_workspace(Publication, place.workspace_id) & (Publication.community_id == place.community_id)


def _asked(place: CommunityRef, **more: object) -> dict[str, object]:
    return {"workspace": place.workspace_id, "community": place.community_id, **more}


_TABLE: Final = Base.metadata.tables[Publication.__tablename__]
_UNIQUE: Final = ("workspace_id", "community_id", "external_id")
_SHOWN: Final = tuple(_TABLE.c[name] for name in ("id", "external_id", "url", "text", "published_at"))
_FIRST: Final = ("workspace_id", "id", "community_id", "project_id", "external_id", "url", "text", "published_at")
_TAKEN: Final = ("url", "text", "edited_at", "comments", "measure_at", "total", "unchanged_polls")
_STORED: Final = (*_FIRST, "edited_at", "comments", "measure_at", "total", "unchanged_polls")
_NEW: Final = bulk_insert(_TABLE, _STORED)
_STORE: Final = _NEW.on_conflict_do_update(
    index_elements=_UNIQUE,
    set_={**{name: _NEW.excluded[name] for name in _TAKEN}, "gone_at": None},
    # A row that this very statement has made has no deleting transaction yet.
).returning(*_SHOWN, literal_column("(xmax = 0)").label("new"))
_ANNOUNCED: Final = (*_FIRST, "edited_at", "measure_at")
_ANNOUNCE: Final = bulk_insert(_TABLE, _ANNOUNCED).on_conflict_do_nothing(index_elements=_UNIQUE).returning(*_SHOWN)

# A look into the index for each community: those with nothing due cost next to nothing.
_IDS: Final = bindparam("ids", type_=ARRAY(Uuid()))
_DUE_AMONG: Final = text("""
SELECT due.id, due.external_id, due.measure_at, c.id AS community_id, c.external_id AS community
FROM unnest(:ids) AS chosen (id)
JOIN community c ON c.workspace_id = :workspace AND c.id = chosen.id
CROSS JOIN LATERAL (
    SELECT p.id, p.external_id, p.measure_at FROM publication p
    WHERE p.workspace_id = :workspace AND p.community_id = c.id AND p.measure_at <= :until
    ORDER BY p.measure_at LIMIT :most
) AS due
WHERE EXISTS (
    SELECT FROM unnest(:ids) AS one (id)
    JOIN publication p ON p.workspace_id = :workspace AND p.community_id = one.id AND p.measure_at <= :at
)
ORDER BY due.measure_at, due.id LIMIT :most
""").bindparams(_IDS)
_FIRST_DUE: Final = text("""
SELECT min(first.measure_at) FROM unnest(:ids) AS chosen (id) CROSS JOIN LATERAL (
    SELECT p.measure_at FROM publication p
    WHERE p.workspace_id = :workspace AND p.community_id = chosen.id AND p.measure_at IS NOT NULL
    ORDER BY p.measure_at LIMIT 1
) AS first
""").bindparams(_IDS)

# Made once: putting a statement together costs more than sending it.
_OURS: Final = (Publication.workspace_id == bindparam("workspace")) & (
    Publication.community_id == bindparam("community")
)
_AT: Final = bindparam("at", type_=DateTime(timezone=True))
_SINCE: Final = bindparam("since", type_=DateTime(timezone=True))
_AMONG: Final = Publication.external_id == func.any(bindparam("external_ids", type_=ARRAY(Text)))
_KNOWN: Final = select(
    Publication.external_id,
    Publication.measure_at,
    Publication.total,
    Publication.unchanged_polls,
    Publication.url,
    Publication.text,
    Publication.edited_at,
    Publication.comments,
    Publication.gone_at,
).where(_OURS, _AMONG)
_IDS_OF: Final = select(Publication.external_id, Publication.id).where(_OURS, _AMONG)
_DUE: Final = (
    select(Publication.id, Publication.external_id, Publication.measure_at)
    .where(_OURS, Publication.measure_at <= _AT)
    .order_by(Publication.measure_at)
    .limit(bindparam("most"))
)
_LOOKED_AT: Final = (
    select(
        Publication.id,
        Publication.published_at,
        Publication.measure_at,
        Publication.total,
        Publication.unchanged_polls,
        Publication.comments,
    )
    .where(Publication.workspace_id == bindparam("workspace"), Publication.id == func.any(_IDS))
    .order_by(Publication.community_id, Publication.external_id)  # the order of `store`
    .with_for_update()
)
_MOVED: Final = (
    select(Publication.id, Publication.external_id, Publication.comments_cursor, Publication.comments)
    .where(_OURS, MOVED, Publication.published_at >= _SINCE)
    .order_by(Publication.published_at.desc())
    .limit(bindparam("most"))
)
_STANDING: Final = select(
    Project.timezone,
    select(Publication.id).where(_OURS, Publication.measure_at <= _AT).exists(),
    select(Publication.id).where(_OURS, MOVED, Publication.published_at >= _SINCE).exists(),
).where(Project.workspace_id == bindparam("workspace"), Project.id == bindparam("project"))
