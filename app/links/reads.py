"""Hot reads of clicks, for KPIs and their evidence.

Days are the project's local days, `first` and `last` both included. *People* are clicks that are
neither a bot's nor a repeat; a `community_id` of None stands for links of no one community.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, column, func, select, tuple_, values
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import Date, Integer

from app.links.models import Click, ClickDay, Link


@dataclass(frozen=True, slots=True)
class DayOfClicks:
    """One link's clicks on one day. A day without clicks has none of these."""

    day: date
    link_id: UUID
    community_id: UUID | None
    people: int
    bots: int
    repeats: int


@dataclass(frozen=True, slots=True)
class Visitors:
    """Different people, told apart by a keyed hash of address and browser.

    A person who comes on two days is one in `total`, and one in the bucket of each day: buckets
    and communities do not add up to the total.
    """

    total: int
    by_community: dict[UUID | None, int]
    by_bucket: list[int]


@dataclass(frozen=True, slots=True)
class ClickRow:
    """One click, as evidence. The visitor is known by a hash alone."""

    id: UUID
    link_id: UUID
    slug: str
    community_id: UUID | None
    at: datetime
    day: date
    visitor: str
    """Hexadecimal."""
    bot: str | None
    repeat: bool
    referrer: str | None


async def click_days(
    connection: AsyncConnection, workspace_id: UUID, project_id: UUID, first: date, last: date
) -> list[DayOfClicks]:
    """A project's clicks by day and link, in the order of days."""
    rows = await connection.execute(
        select(
            ClickDay.day,
            ClickDay.link_id,
            ClickDay.community_id,
            ClickDay.people,
            ClickDay.bots,
            ClickDay.repeats,
        )
        .where(
            ClickDay.workspace_id == workspace_id,
            ClickDay.project_id == project_id,
            ClickDay.day.between(first, last),
        )
        .order_by(ClickDay.day, ClickDay.link_id)
    )
    return [DayOfClicks(*row) for row in rows]


async def unique_visitors(
    connection: AsyncConnection,
    workspace_id: UUID,
    project_id: UUID,
    first: date,
    last: date,
    buckets: Sequence[tuple[date, date]] = (),
) -> Visitors:
    """How many different people followed a project's links: in all, by community, and in each of
    `buckets` (first and last day; they may not overlap).
    """
    people = (
        select(Click.community_id, Click.day, Click.visitor)
        .where(
            Click.workspace_id == workspace_id,
            Click.project_id == project_id,
            Click.day.between(first, last),
            Click.bot.is_(None),
        )
        .subquery()
    )
    bucket = (
        values(column("n", Integer), column("first", Date), column("last", Date), name="bucket")
        .data([(n, *days) for n, days in enumerate(buckets)] or [(-1, first, last)])
        .alias("bucket")
    )
    sets = func.grouping_sets(tuple_(), tuple_(people.c.community_id), tuple_(bucket.c.n))
    query: Select[Any] = (
        select(
            func.grouping(people.c.community_id, bucket.c.n).label("kind"),
            people.c.community_id,
            bucket.c.n,
            func.count(people.c.visitor.distinct()).label("visitors"),
        )
        .select_from(people.outerjoin(bucket, people.c.day.between(bucket.c.first, bucket.c.last)))
        .group_by(sets)
    )
    found = Visitors(0, {}, [0] * len(buckets))
    total = 0
    for kind, community_id, n, visitors in await connection.execute(query):
        # GROUPING has a bit for each column that was rolled up: 3 is the whole, 1 a community, 2 a bucket.
        if kind == 3:
            total = visitors
        elif kind == 1:
            found.by_community[community_id] = visitors
        elif n is not None and n >= 0:
            found.by_bucket[n] = visitors
    return Visitors(total, found.by_community, found.by_bucket)


async def clicks(
    connection: AsyncConnection,
    workspace_id: UUID,
    project_id: UUID,
    first: date,
    last: date,
    *,
    after: tuple[date, UUID] | None = None,
    limit: int = 50,
    bots: bool | None = False,
    repeats: bool | None = False,
) -> list[ClickRow]:
    """A project's clicks in the order of (day, id), behind `after`, at most `limit`.

    `bots` and `repeats`: only those (True), none of those (False), both (None). As they stand,
    the rows are what `people` counts.
    """
    query = (
        select(
            Click.id,
            Click.link_id,
            Link.slug,
            Click.community_id,
            Click.at,
            Click.day,
            func.encode(Click.visitor, "hex"),
            Click.bot,
            Click.repeat,
            Click.referrer,
        )
        .join(Link, (Link.workspace_id == Click.workspace_id) & (Link.id == Click.link_id))
        .where(
            Click.workspace_id == workspace_id,
            Click.project_id == project_id,
            Click.day.between(first, last),
        )
        .order_by(Click.day, Click.id)
        .limit(limit)
    )
    if after is not None:
        query = query.where(tuple_(Click.day, Click.id) > tuple_(*after))
    if bots is not None:
        query = query.where(Click.bot.is_not(None) if bots else Click.bot.is_(None))
    if repeats is not None:
        query = query.where(Click.repeat.is_(repeats))
    return [ClickRow(*row) for row in await connection.execute(query)]
