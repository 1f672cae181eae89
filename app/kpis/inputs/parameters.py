"""The parameters that every source's statement takes, and the days that a source knows."""

import uuid
from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from typing import Any, Final, cast

from sqlalchemy import ColumnElement, Date, DateTime, any_, bindparam, func
from sqlalchemy import cast as sql_cast
from sqlalchemy.dialects.postgresql import ARRAY, UUID

from app.kpis.contract import DAY, Community, Missing, Project, Reason, Span, Window

# A parameter in place of the id, so that each statement is built only once.
WORKSPACE: Final = cast("uuid.UUID", bindparam("workspace_id", type_=UUID(as_uuid=True)))
PROJECTS: Final = any_(bindparam("project_ids", type_=ARRAY(UUID(as_uuid=True))))
FIRST: Final = bindparam("first", type_=Date())
LAST: Final = bindparam("last", type_=Date())
START: Final = bindparam("start", type_=DateTime(timezone=True))
END: Final = bindparam("end", type_=DateTime(timezone=True))

STALE_AFTER: Final = timedelta(days=1)
"""Communities are polled several times a day: a day without a poll is a fault."""


def local_day(at: Any, timezone: Any) -> ColumnElement[date]:
    """The day of an instant in a zone."""
    return sql_cast(func.timezone(timezone, at), Date())


def polled(
    project: Project,
    community: Community,
    *,
    since: date,
    seen_at: datetime | None,
    stale_after: timedelta = STALE_AFTER,
) -> Span:
    """The days known from polling: from `since` to the last poll."""
    state_reason = {"reauth_required": Reason.REAUTH_REQUIRED, "paused": Reason.PAUSED}.get(community.state)
    if seen_at is None:
        return Span(since, None, None, state_reason or Reason.NOT_MEASURED_YET)
    is_stale = project.now - seen_at > stale_after
    return Span(since, project.day_of(seen_at), seen_at, (state_reason or Reason.STALE) if is_stale else None)


def lost_days(
    community: Community, window: Window, span: Span | None, seen: Iterable[date], reason: str
) -> Iterator[Missing]:
    """Ranges of days without data: those before the span began, and those within it that are not in `seen`."""
    if span is None or span.last is None:
        return
    if span.first > window.first:
        yield Missing(community, Reason.BEFORE_CONNECTION, window.first, min(span.first - DAY, window.last))
    known = set(seen)
    day, last = max(window.first, span.first), min(window.last, span.last)
    start: date | None = None
    while day <= last:
        if day in known and start is not None:
            yield Missing(community, reason, start, day - DAY)
            start = None
        elif day not in known and start is None:
            start = day
        day += DAY
    if start is not None:
        yield Missing(community, reason, start, last)
