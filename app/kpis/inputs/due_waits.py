"""Waits with a target: which were answered by when they were due, and which were overdue, by day.

A wait is decided once: at the answer where it came in time, else when it is due. So figures of the past stay as they
are, whoever answers later.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Boolean, ColumnElement, and_, case, cast, func, literal, or_, select, union_all

from app.inquiries.models import ResponseWait
from app.kit.db import in_workspace
from app.kpis.contract import (
    DAY,
    Dataset,
    EvidenceQuery,
    LoadRequest,
    Measure,
    Project,
    Section,
    Source,
    Span,
    Window,
)
from app.kpis.inputs.columns import Counted, DailyCounts
from app.kpis.inputs.inquiries import Conversations
from app.kpis.inputs.parameters import (
    AS_OF,
    END,
    FIRST,
    LAST,
    PROJECT,
    START,
    WORKSPACE,
    columns_by_community,
    local_day,
    polled,
    position,
)
from app.kpis.inputs.waits import ANSWER
from app.kpis.values import Missing, Reason
from app.projects.models import ResponseTarget

NO_TARGET: Final = "no-target"
"""No target is agreed, or none was yet."""

_TABLE: Final = ResponseWait.__table__
_OVERDUE: Final = or_(ResponseWait.ended_at.is_(None), ResponseWait.ended_at > ResponseWait.due_at)
"""Nobody answered or resolved by when it was due."""
_IN_TIME: Final = ResponseWait.ended_at <= ResponseWait.due_at


def _with_first_target(rows: ColumnElement[str]) -> ColumnElement[str]:
    """The rows together with the first day for which a target is agreed."""
    since = (
        select(func.min(ResponseTarget.holds_from))
        .where(in_workspace(ResponseTarget, WORKSPACE), ResponseTarget.project_id == PROJECT.c.id)
        .correlate(PROJECT)
        .scalar_subquery()
    )
    return func.json_build_object("rows", rows, "since", since)


class _WithTargets(Conversations[DailyCounts]):
    """Counts by day, known from the first day on for which a target is agreed."""

    def dataset(self, project: Project, rows: Any, request: LoadRequest) -> Dataset[DailyCounts]:
        """The requested days, by community."""
        since = date.fromisoformat(rows["since"]) if rows["since"] is not None else date.max
        parts = []
        for one in project.communities:
            span = polled(project, one, since=one.backfill, seen_at=one.conversations_seen_at)
            if since > span.first:
                span = Span(since, span.last, span.as_of, span.reason, before=NO_TARGET, end=span.end)
            parts.append(DailyCounts(one, span, (rows["rows"] or {}).get(str(one.id), ()), request))
        return Dataset(parts)


def _decided() -> Any:
    def days(at: ColumnElement[Any], *counts: ColumnElement[Any], conditions: Sequence[ColumnElement[bool]]) -> Any:
        day = local_day(at, PROJECT.c.timezone)
        return (
            select(ResponseWait.community_id, position(day), *counts)
            .where(
                in_workspace(ResponseWait, WORKSPACE),
                ResponseWait.project_id == PROJECT.c.id,
                ResponseWait.due_at.is_not(None),
                at >= START,
                at < END,
                *conditions,
                day.between(FIRST, LAST),
            )
            .group_by(ResponseWait.community_id, day)
            .correlate(PROJECT)
        )

    nothing = literal(0)
    answered = func.count().filter(ResponseWait.ended_by == ANSWER)
    resolved = func.count().filter(ResponseWait.ended_by != ANSWER)
    in_time = (_IN_TIME, ResponseWait.ended_at <= AS_OF)
    both = union_all(
        days(_TABLE.c.ended_at, answered, nothing, resolved, conditions=in_time),
        days(_TABLE.c.due_at, nothing, func.count(), nothing, conditions=(_OVERDUE, ResponseWait.due_at < AS_OF)),
    ).subquery("decided")
    return select(*both.c)


class DecidedWaits(_WithTargets):
    """Waits by the day on which they were decided: answered in time, missed, and resolved in time without an answer."""

    key = "decided_waits"
    title = "Waits for an answer, against the targets"
    rows = _with_first_target(columns_by_community(_decided()))


def _overdue() -> Any:
    """Waits that became overdue, and those that ended late, by day; the first loaded day has all earlier ones too."""

    def days(at: ColumnElement[Any], began: int, *conditions: ColumnElement[bool]) -> Any:
        day = func.greatest(local_day(at, PROJECT.c.timezone), FIRST)
        return (
            select(
                ResponseWait.community_id,
                position(day),
                func.count() if began else literal(0),
                literal(0) if began else func.count(),
            )
            .where(
                in_workspace(ResponseWait, WORKSPACE),
                ResponseWait.project_id == PROJECT.c.id,
                _OVERDUE,
                ResponseWait.due_at < END,
                ResponseWait.due_at < AS_OF,
                *conditions,
                day <= LAST,
            )
            .group_by(ResponseWait.community_id, day)
            .correlate(PROJECT)
        )

    lasting = or_(ResponseWait.ended_at >= START, ResponseWait.ended_at.is_(None))
    ended = and_(ResponseWait.ended_at >= START, ResponseWait.ended_at <= AS_OF)
    both = union_all(days(_TABLE.c.due_at, 1, lasting), days(_TABLE.c.ended_at, 0, ended)).subquery("overdue")
    return select(*both.c)


class OverdueWaits(_WithTargets):
    """Waits by the day on which they became overdue, and by the day on which they ended after that."""

    key = "overdue_waits"
    title = "Waits for an answer that lasted longer than their target"
    rows = _with_first_target(columns_by_community(_overdue()))


DECIDED: Final = DecidedWaits()
OVERDUE: Final = OverdueWaits()
IN_TIME_MISSED_RESOLVED: Final = Counted(DECIDED, 1, 2, 3)
"""How many waits were answered in time, were not, and were resolved in time without an answer."""


class OverdueAtEnd(Measure[DailyCounts]):
    """The number of waits that were overdue at the end of the window."""

    source: Source[DailyCounts] = OVERDUE

    def amounts(self, data: DailyCounts, windows: Sequence[Window]) -> list[list[int]]:
        """The number, by window."""
        began, ended = data.sums(1), data.sums(2)
        return [[began[window.stop] - ended[window.stop] for window in windows]]

    def missing(self, data: DailyCounts, window: Window) -> tuple[bool, Sequence[Missing]]:
        """Whether it is known; of a community disconnected before the window's end no wait counts."""
        if data.ended_within(window):
            return False, [data.missing_whole(Reason.DISCONNECTED, window)]
        return super().missing(data, window)


def _select(
    workspace_id: UUID, project: Project, *extra: ColumnElement[Any], conditions: Sequence[ColumnElement[bool]]
) -> EvidenceQuery:
    return select(
        ResponseWait.id,
        ResponseWait.inquiry_id,
        ResponseWait.community_id,
        ResponseWait.started_at,
        ResponseWait.due_at,
        ResponseWait.ended_at,
        ResponseWait.ended_by,
        ResponseWait.opening,
        ResponseWait.working_seconds,
        *extra,
    ).where(in_workspace(ResponseWait, workspace_id), ResponseWait.project_id == project.id, *conditions)


def _decided_rows(workspace_id: UUID, project: Project, first: date, last: date) -> EvidenceQuery:
    start, end = project.start_of(first), project.start_of(last + DAY)
    within = (
        and_(
            ResponseWait.ended_by == ANSWER,
            _IN_TIME,
            ResponseWait.ended_at >= start,
            ResponseWait.ended_at < end,
            ResponseWait.ended_at <= project.now,
        ),
        and_(_OVERDUE, ResponseWait.due_at >= start, ResponseWait.due_at < end, ResponseWait.due_at < project.now),
    )
    decided_at = case((_IN_TIME, ResponseWait.ended_at), else_=ResponseWait.due_at).label("decided_at")
    in_time = cast(func.coalesce(_IN_TIME, False), Boolean).label("in_time")
    return _select(workspace_id, project, decided_at, in_time, conditions=[or_(*within)])


def _overdue_rows(workspace_id: UUID, project: Project, first: date, last: date) -> EvidenceQuery:
    end = project.start_of(last + DAY)
    late = (
        ResponseWait.ended_at.is_(None),
        ResponseWait.ended_at >= end,
        ResponseWait.ended_at > project.now,
    )
    conditions = [_OVERDUE, ResponseWait.due_at < end, ResponseWait.due_at < project.now, or_(*late)]
    return _select(workspace_id, project, conditions=conditions)


_FIELDS: Final = (
    "`id`, `inquiry_id`, `community_id`, `started_at`, `due_at`, `ended_at`, `ended_by`, `opening`, `working_seconds`"
)
DECIDED_ROWS: Final = Section(
    "decided_wait",
    f"A wait that was decided in the window: {_FIELDS}, `decided_at` (the answer, or when it was due), `in_time`.",
    _decided_rows,
    {"decided_at": datetime, "id": UUID},
)
OVERDUE_ROWS: Final = Section(
    "overdue_wait",
    f"A wait that was overdue when the window ended: {_FIELDS}.",
    _overdue_rows,
    {"due_at": datetime, "id": UUID},
)
