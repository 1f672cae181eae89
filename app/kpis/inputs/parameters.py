"""The parameters of every source's statement, the format of its rows, and the days of which it has data."""

import uuid
from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from typing import Any, Final, cast

from sqlalchemy import (
    ColumnElement,
    Date,
    DateTime,
    Select,
    Text,
    any_,
    bindparam,
    case,
    func,
    literal,
    literal_column,
    select,
)
from sqlalchemy import cast as sql_cast
from sqlalchemy.dialects.postgresql import ARRAY, UUID, aggregate_order_by

from app.kpis.contract import DAY, CommunityData, Project, Span, Window
from app.kpis.values import Community, Missing, Reason
from app.projects.models import Project as ProjectRow
from app.projects.models import ZoneRule

# A parameter instead of a literal id, so that each statement is built only once.
WORKSPACE: Final = cast("uuid.UUID", bindparam("workspace_id", type_=UUID(as_uuid=True)))
PROJECTS: Final = any_(bindparam("project_ids", type_=ARRAY(UUID(as_uuid=True))))
PROJECT: Final = ProjectRow.__table__
"""The project of the enclosing statement, whose data a source's statement selects."""
FIRST: Final = bindparam("first", type_=Date())
LAST: Final = bindparam("last", type_=Date())
AS_OF: Final = bindparam("as_of", type_=DateTime(timezone=True))
START: Final = bindparam("start", type_=DateTime(timezone=True))
END: Final = bindparam("end", type_=DateTime(timezone=True))

STALE_AFTER: Final = timedelta(days=1)
"""Communities are polled several times a day: a day without a poll is a fault."""


def local_day(at: Any, timezone: Any) -> ColumnElement[date]:
    """Expression for the local day of an instant in a zone: `projects.zones.local_day_sql`.

    Where the zone is a column of an enclosing statement, PostgreSQL looks once whether it has rules of its own, which
    few zones have, and not for each row.
    """
    utc = func.timezone(literal("UTC"), at)
    rule = (
        select(sql_cast(utc + ZoneRule.utc_offset, Date()))
        .where(ZoneRule.zone == timezone, ZoneRule.since <= at)
        .order_by(ZoneRule.since.desc())
        .limit(1)
        .correlate_except(ZoneRule)
        .scalar_subquery()
    )
    first_rule = (
        select(ZoneRule.since)
        .where(ZoneRule.zone == timezone)
        .order_by(ZoneRule.since)  # by the key: an `EXISTS` would read the whole table to find none
        .limit(1)
        .correlate_except(ZoneRule)
        .scalar_subquery()
    )
    return func.coalesce(case((first_rule.is_not(None), rule)), sql_cast(func.timezone(timezone, at), Date()))


def position(day: ColumnElement[date]) -> ColumnElement[Any]:
    """Expression for the position of a day: its distance in days from the first loaded one."""
    return (day - FIRST).label("position")


def columns_by_community(rows: Select[Any]) -> ColumnElement[str]:
    """Expression for the `rows` of the enclosing statement's project as JSON: by community, a list for each column.

    The first columns are `community_id` and `position`, the others numbers or text. All lists are sorted
    by all columns after the first, so that a row has the same index in each list.
    """
    # `OFFSET 0` has each row computed once: else PostgreSQL repeats the columns wherever they are used, the look-ups of
    # `local_day` among them.
    row = rows.correlate(PROJECT).offset(literal_column("0")).subquery("row")
    community_id, at, *amounts = row.c
    lists = [func.json_agg(aggregate_order_by(column, at, *amounts)) for column in (at, *amounts)]
    community = (
        select(sql_cast(func.coalesce(sql_cast(community_id, Text), ""), Text).label("id"))
        .add_columns(func.json_build_array(*lists).label("lists"))
        .group_by(community_id)
        .subquery("community_rows")
    )
    return select(func.json_object_agg(community.c.id, community.c.lists)).scalar_subquery()


def polled(
    project: Project,
    community: Community,
    *,
    since: date,
    seen_at: datetime | None,
    stale_after: timedelta = STALE_AFTER,
) -> Span:
    """The span of days known from polling: from `since` to the last poll, at `seen_at`."""
    status_reason = {"reauth_required": Reason.REAUTH_REQUIRED, "paused": Reason.PAUSED}.get(community.status)
    end = community.disconnected
    if seen_at is None:
        return Span(since, None, None, status_reason or Reason.NOT_MEASURED_YET, end=end)
    due = project.now if end is None else min(project.now, project.start_of(end))
    is_stale = due - seen_at > stale_after
    return Span(since, project.day_of(seen_at), seen_at, (status_reason or Reason.STALE) if is_stale else None, end=end)


def lost_days(data: CommunityData, window: Window, seen: Iterable[date], reason: str) -> Iterator[Missing]:
    """Ranges of days without data: those before the span began, and those within it that are not in `seen`."""
    community, span = data.community, data.span
    if span.last is None:
        return
    if span.first > window.first:
        yield Missing(community, Reason.BEFORE_CONNECTION, window.first, min(span.first - DAY, window.last))
    day, last = max(window.first, span.first), min(window.last, span.last)
    for seen_day in seen:
        if seen_day > last:
            break
        if seen_day > day:
            yield Missing(community, reason, day, seen_day - DAY)
        day = max(day, seen_day + DAY)
    if day <= last:
        yield Missing(community, reason, day, last)
