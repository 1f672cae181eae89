"""Hot reads for whoever computes with metrics: one round trip each, in Core.

Days are the project's local days, both ends included. A sum is None where nothing was known, and 0
where something was known and did not change.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, bindparam, cast, func, literal_column, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from app.communities.models import Community
from app.metrics.contributions import METRICS, PROJECT, PUBLICATION, contributions, local_day
from app.metrics.models import CommunityDay, CommunitySnapshot, RollupDay, Source
from app.platforms.contract import Metric


class Counters(NamedTuple):
    """A sum for each metric; None where none is known."""

    views: int | None
    reach: int | None
    reactions: int | None
    comments: int | None
    shares: int | None
    quotes: int | None
    saves: int | None


@dataclass(frozen=True, slots=True)
class EngagementDay:
    """What one day added to the counters of a community's posts."""

    community_id: UUID
    day: date
    total: Counters
    """Everything, the baseline included."""
    baseline: Counters
    """The part gathered before our first look, counted on the day of publication."""
    snapshots: int
    """How many snapshots were taken that day; 0: nobody looked."""


@dataclass(frozen=True, slots=True)
class SizeDay:
    """A community's size over one day on which it was read."""

    community_id: UUID
    day: date
    first: int
    first_at: datetime
    last: int
    last_at: datetime
    lowest: int
    highest: int
    snapshots: int


@dataclass(frozen=True, slots=True)
class SizeBefore:
    """The last size that was read before a day."""

    community_id: UUID
    size: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one snapshot added to one counter (see `contributions`)."""

    community_id: UUID
    publication_id: UUID
    metric: Metric
    at: datetime
    previous: int | None
    """The value before; None for the first one that is known."""
    value: int
    difference: int
    day: date
    source: Source

    @property
    def key(self) -> tuple[UUID, datetime, str]:
        """Its place in the order: `after` for the next page."""
        return self.publication_id, self.at, self.metric.value


@dataclass(frozen=True, slots=True)
class Size:
    """A community's size at one instant."""

    community_id: UUID
    at: datetime
    size: int
    day: date

    @property
    def key(self) -> tuple[UUID, datetime]:
        """Its place in the order: `after` for the next page."""
        return self.community_id, self.at


_rollup: Final = RollupDay.__table__.c
_day: Final = CommunityDay.__table__.c
_size: Final = CommunitySnapshot.__table__.c
_community: Final = Community.__table__.c

_IN_RANGE: Final = (
    _rollup.workspace_id == bindparam("workspace_id"),
    _rollup.project_id == bindparam("project_id"),
    _rollup.day.between(bindparam("first"), bindparam("last")),
)

# sum() of bigint is numeric, which would come back as Decimal.
_ENGAGEMENT: Final = (
    select(
        _rollup.community_id,
        _rollup.day,
        cast(func.sum(_rollup.snapshots), BigInteger),
        *(cast(func.sum(_rollup[name]), BigInteger) for name in METRICS),
        *(
            cast(func.sum(_rollup[name]).filter(_rollup.source == literal_column("'baseline'")), BigInteger)
            for name in METRICS
        ),
    )
    .where(*_IN_RANGE)
    .group_by(_rollup.day, _rollup.community_id)
    .order_by(_rollup.day, _rollup.community_id)
)

_SIZES: Final = (
    select(
        _day.community_id,
        _day.day,
        _day.first,
        _day.first_at,
        _day.last,
        _day.last_at,
        _day.lowest,
        _day.highest,
        _day.snapshots,
    )
    .where(
        _day.workspace_id == bindparam("workspace_id"),
        _day.project_id == bindparam("project_id"),
        _day.day.between(bindparam("first"), bindparam("last")),
    )
    .order_by(_day.day, _day.community_id)
)

_before: Final = (
    select(_day.last, _day.last_at)
    .where(
        _day.workspace_id == _community.workspace_id,
        _day.community_id == _community.id,
        _day.day < bindparam("day"),
    )
    .order_by(_day.day.desc())
    .limit(literal_column("1"))
    .correlate(Community.__table__)
    .lateral("before")
)
_BEFORE: Final = (
    select(_community.id, _before.c.last, _before.c.last_at)
    .select_from(Community.__table__.join(_before, literal_column("true")))
    .where(_community.workspace_id == bindparam("workspace_id"), _community.project_id == bindparam("project_id"))
    .order_by(_community.id)
)


async def engagement_days(
    connection: AsyncConnection, workspace_id: UUID, project_id: UUID, first: date, last: date
) -> list[EngagementDay]:
    """What each day from `first` to `last` added, by community, over all categories; by day.

    Days on which nothing was counted have no row.
    """
    rows = await connection.execute(
        _ENGAGEMENT, {"workspace_id": workspace_id, "project_id": project_id, "first": first, "last": last}
    )
    middle = 3 + len(METRICS)
    return [EngagementDay(row[0], row[1], Counters(*row[3:middle]), Counters(*row[middle:]), row[2]) for row in rows]


async def size_days(
    connection: AsyncConnection, workspace_id: UUID, project_id: UUID, first: date, last: date
) -> list[SizeDay]:
    """The communities' sizes on the days from `first` to `last` on which they were read; by day."""
    rows = await connection.execute(
        _SIZES, {"workspace_id": workspace_id, "project_id": project_id, "first": first, "last": last}
    )
    return [SizeDay(*row) for row in rows]


async def size_before(connection: AsyncConnection, workspace_id: UUID, project_id: UUID, day: date) -> list[SizeBefore]:
    """Each community's last size read before `day`; none for a community never read before it."""
    rows = await connection.execute(_BEFORE, {"workspace_id": workspace_id, "project_id": project_id, "day": day})
    return [SizeBefore(*row) for row in rows]


async def contribution_page(
    connection: AsyncConnection,
    workspace_id: UUID,
    project_id: UUID,
    first: date,
    last: date,
    *,
    metrics: Collection[Metric] = tuple(Metric),
    community_id: UUID | None = None,
    after: tuple[UUID, datetime, str] | None = None,
    limit: int,
) -> list[Contribution]:
    """The rows behind `engagement_days`, of these metrics, of one community or all.

    At most `limit` of them, after the one with the key `after`; by publication, instant and metric.
    """
    every = contributions(
        PUBLICATION.c.workspace_id == workspace_id,
        PUBLICATION.c.project_id == project_id,
        *([] if community_id is None else [PUBLICATION.c.community_id == community_id]),
        *([] if after is None else [PUBLICATION.c.id >= after[0]]),
    ).subquery("every")
    columns = every.c
    order = (columns.publication_id, columns.at, columns.metric)
    query = select(
        columns.community_id,
        columns.publication_id,
        columns.metric,
        columns.at,
        columns.previous,
        columns.value,
        columns.difference,
        columns.day,
        columns.source,
    ).where(columns.day.between(first, last), columns.metric.in_([metric.value for metric in metrics]))
    if after is not None:
        query = query.where(tuple_(*order) > after)
    rows = await connection.execute(query.order_by(*order).limit(limit))
    return [Contribution(*row[:2], Metric(row[2]), *row[3:8], Source(row[8])) for row in rows]


async def size_page(
    connection: AsyncConnection,
    workspace_id: UUID,
    project_id: UUID,
    first: date,
    last: date,
    *,
    community_id: UUID | None = None,
    after: tuple[UUID, datetime] | None = None,
    limit: int,
) -> list[Size]:
    """The rows behind `size_days`, of one community or all: at most `limit`, after the one with the key `after`."""
    day: Any = local_day(_size.at, PROJECT.c.timezone)
    order = (_size.community_id, _size.at)
    query = (
        select(_size.community_id, _size.at, _size.size, day)
        .select_from(
            PROJECT.join(
                Community.__table__,
                (_community.workspace_id == PROJECT.c.workspace_id) & (_community.project_id == PROJECT.c.id),
            ).join(
                CommunitySnapshot.__table__,
                (_size.workspace_id == _community.workspace_id) & (_size.community_id == _community.id),
            )
        )
        .where(
            PROJECT.c.workspace_id == workspace_id,
            PROJECT.c.id == project_id,
            # No zone is further than a day from UTC: so much the index can tell.
            _size.at >= func.timezone("UTC", cast(first, DateTime)) - literal_column("interval '1 day'"),
            _size.at < func.timezone("UTC", cast(last, DateTime)) + literal_column("interval '2 days'"),
            day.between(first, last),
        )
    )
    if community_id is not None:
        query = query.where(_community.id == community_id)
    if after is not None:
        query = query.where(tuple_(*order) > after)
    rows = await connection.execute(query.order_by(*order).limit(limit))
    return [Size(*row) for row in rows]
