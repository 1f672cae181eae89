"""Measures the goals of a project and keeps what was measured, so that requests only read it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import and_, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from app.access import audit
from app.communities.models import Community as CommunityRow
from app.goals import baselines, progress
from app.goals.events import GoalPaceChanged
from app.goals.history import is_whole
from app.goals.models import OPEN, Goal, GoalForecast, GoalProgress, GoalRevision, GoalStatus
from app.goals.progress import Outlook, Progress, Promise
from app.kit.actors import Actor
from app.kit.db import fetch, in_workspace, now, workspace_of
from app.kit.events import publish
from app.kit.ids import uuid7
from app.kpis import all_kpis
from app.kpis.contract import DAY
from app.kpis.contract import Project as MeasuredProject
from app.kpis.measuring import measure
from app.kpis.values import AddsUp, Community, Missing, Reason, Value
from app.kpis.windows import Days
from app.projects.models import Project

SETTLING: Final = timedelta(days=7)
"""For so long after its end a goal is measured again: some inputs come late."""
INTERVAL: Final = timedelta(hours=1)
"""How often the goals of a project are measured, besides soon after midnight."""
AFTER_MIDNIGHT: Final = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class GoalToMeasure:
    """A goal with the terms that hold, or with its latest ones where none is agreed."""

    goal_id: UUID
    kpi: str
    revision: int
    promise: Promise
    community_ids: Sequence[UUID]
    """Empty: all of the project."""
    since: date
    """The last day of the baseline, or that of the proposal: what was disconnected later was promised."""
    unjudged: Sequence[date]
    """The days of kept forecasts whose truth is not known yet."""


@dataclass(frozen=True, slots=True)
class GoalMeasured:
    """What was measured of a goal."""

    subject: GoalToMeasure
    progress: Progress
    truths: dict[date, float]
    timezone: str
    """By whose days it was measured."""


async def to_measure(session: AsyncSession, project_id: UUID) -> list[GoalToMeasure]:
    """The project's goals that are open, or have ended a few days ago."""
    since = now(session) - SETTLING
    rows = await session.execute(
        select(Goal, GoalRevision)
        .join(
            GoalRevision,
            and_(
                GoalRevision.workspace_id == Goal.workspace_id,
                GoalRevision.goal_id == Goal.id,
                GoalRevision.number == func.coalesce(Goal.agreed_revision, Goal.revision),
            ),
        )
        .where(
            in_workspace(Goal, workspace_of(session)),
            Goal.project_id == project_id,
            or_(Goal.status.in_(OPEN), and_(Goal.status == GoalStatus.ENDED, Goal.closed_at > since)),
        )
        .order_by(Goal.id)
    )
    subjects = []
    for goal, revision in rows.all():
        days = await session.scalars(
            select(GoalForecast.for_day)
            .where(
                in_workspace(GoalForecast, workspace_of(session)),
                GoalForecast.goal_id == goal.id,
                GoalForecast.revision == revision.number,
                GoalForecast.judged_at.is_(None),
            )
            .distinct()
        )
        baseline = baselines.stored(revision.baseline)
        zone = ZoneInfo(revision.timezone)
        promised_on = baseline.last_day or revision.proposed_at.astimezone(zone).date()
        subjects.append(
            GoalToMeasure(
                goal.id,
                goal.kpi,
                revision.number,
                Promise(
                    revision.target, baseline.level, Days(revision.first_day, revision.last_day), revision.currency
                ),
                [UUID(one["id"]) for one in revision.communities]
                or baseline.community_ids
                or await _of_the_level(session, goal, datetime.combine(promised_on + DAY, time(), zone)),
                promised_on,
                sorted(days.all()),
            )
        )
    return subjects


async def _of_the_level(session: AsyncSession, goal: Goal, end: datetime) -> Sequence[UUID]:
    """The communities whose level a goal on all of them promises to move, where people stated where it starts from:
    those that were connected before `end`.

    A level that another community is added to has not grown. Empty: all, as elsewhere.
    """
    if all_kpis()[goal.kpi].adds_up is not AddsUp.STOCK:
        return ()
    rows = await session.scalars(
        select(CommunityRow.id).where(
            in_workspace(CommunityRow, workspace_of(session)),
            CommunityRow.project_id == goal.project_id,
            CommunityRow.created_at < end,
        )
    )
    return sorted(rows.all())


async def measured(
    connection: AsyncConnection,
    *,
    workspace_id: UUID,
    project_id: UUID,
    subject: GoalToMeasure,
    today: date,
    at: datetime,
) -> GoalMeasured:
    """Measure one goal: one statement reads the KPI's inputs, whatever the number of days."""
    kpi, period = all_kpis()[subject.kpi], subject.promise.period
    history = progress.history_window(period, today)
    days = [Days(day, day) for day in _each(history)]
    ends = (
        [] if history.last < period.first else [history.last, *(day for day in subject.unjudged if day <= history.last)]
    )
    result = await measure(
        connection,
        workspace_id=workspace_id,
        project_id=project_id,
        kpi=kpi,
        windows=[*(Days(period.first, end) for end in ends), history, *days],
        now=at,
        community_ids=subject.community_ids,
    )
    lost = _disconnected(result.project, subject)
    so_far = [_without(value, lost, Days(period.first, end)) for value, end in zip(result.values, ends, strict=False)]
    whole, *daily = result.values[len(ends) :]
    if kpi.adds_up is AddsUp.STOCK and lost:
        # A level that falls because a community is not counted any more is no level to go by.
        last = max(day for _, day in lost)
        daily = [
            Value(None, Reason.DISCONNECTED) if day.first <= last else one for day, one in zip(days, daily, strict=True)
        ]
    made = progress.progress(
        kpi, subject.promise, so_far=so_far[0] if so_far else None, history=history, whole=whole, daily=daily
    )
    truths = {
        day: float(value.amount)
        for day, value in zip(ends[1:], so_far[1:], strict=True)
        if value.amount is not None and value.currency == subject.promise.currency and is_whole(value)
    }
    return GoalMeasured(subject, made, truths, result.project.timezone)


_Lost = Sequence[tuple[Community, date]]


def _disconnected(project: MeasuredProject, subject: GoalToMeasure) -> _Lost:
    """The communities that the goal promised something of and that were disconnected since, with the day."""
    return [
        (one, one.disconnected)
        for one in project.communities
        if one.disconnected is not None
        and one.disconnected >= subject.since
        and (not subject.community_ids or one.id in subject.community_ids)
    ]


def _without(value: Value, lost: _Lost, window: Days) -> Value:
    """The value with what is missing of it since communities were disconnected."""
    missing = [
        Missing(one, Reason.DISCONNECTED, max(day, window.first), window.last)
        for one, day in lost
        if day <= window.last
    ]
    if value.amount is None or not missing:
        return value
    return value._replace(missing=[*missing, *value.missing], reason=Reason.DISCONNECTED)


def _each(days: Days) -> list[date]:
    return [days.first + number * DAY for number in range((days.last - days.first).days + 1)]


async def keep(session: AsyncSession, actor: Actor, *, project_id: UUID, results: Sequence[GoalMeasured]) -> None:
    """Keep what was measured. What was measured by terms that do not hold any more is dropped.

    Publishes `GoalPaceChanged` for agreed goals, once for each change; ends the goals whose period is over.
    """
    goals: list[tuple[Goal, GoalMeasured]] = []
    for result in results:
        goal = await fetch(session, Goal, result.subject.goal_id, for_update=True)
        if (goal.agreed_revision or goal.revision) == result.subject.revision and goal.status != GoalStatus.WITHDRAWN:
            goals.append((goal, result))
            await _judge(session, result)
    scorecard = await _scorecard(session, project_id)
    project = await fetch(session, Project, project_id)
    today = now(session).astimezone(ZoneInfo(project.timezone)).date()
    for goal, result in goals:
        await _keep(session, goal, result, scorecard)
        await _change(session, actor, goal, result, today)


async def _judge(session: AsyncSession, result: GoalMeasured) -> None:
    """Compare the forecasts whose day is over with what became of them."""
    for day, truth in result.truths.items():
        await session.execute(
            update(GoalForecast)
            .where(
                in_workspace(GoalForecast, workspace_of(session)),
                GoalForecast.goal_id == result.subject.goal_id,
                GoalForecast.revision == result.subject.revision,
                GoalForecast.for_day == day,
                GoalForecast.judged_at.is_(None),
            )
            .values(
                truth=truth,
                is_within=and_(GoalForecast.low <= truth, GoalForecast.high >= truth),
                judged_at=now(session),
            )
        )


async def _scorecard(session: AsyncSession, project_id: UUID) -> dict[str, Any]:
    """How often the intervals of this project's forecasts held the truth."""
    row = (
        await session.execute(
            select(func.count(), func.count().filter(GoalForecast.is_within.is_(True))).where(
                in_workspace(GoalForecast, workspace_of(session)),
                GoalForecast.project_id == project_id,
                GoalForecast.judged_at.is_not(None),
            )
        )
    ).one()
    judged, within = row
    return {"judged": judged, "within": within, "share": within / judged if judged else None}


async def _keep(session: AsyncSession, goal: Goal, result: GoalMeasured, scorecard: dict[str, Any]) -> None:
    made = result.progress
    values = {
        "revision": result.subject.revision,
        "as_of": now(session),
        "value": made.value,
        "status": made.status,
        "reason": made.reason,
        "expected": made.expected,
        "timezone": result.timezone,
        "kpi_version": all_kpis()[goal.kpi].version,
        "path": made.path.value,
        "pace": made.pace.value,
        "forecast": made.outlook.as_json,
        "scorecard": scorecard,
    }
    key = {"workspace_id": goal.workspace_id, "project_id": goal.project_id, "goal_id": goal.id}
    # Days that are not over yet by the terms, or in the zone, that hold now: they were by others.
    await session.execute(
        delete(GoalProgress).where(
            in_workspace(GoalProgress, goal.workspace_id), GoalProgress.goal_id == goal.id, GoalProgress.day > made.day
        )
    )
    await session.execute(
        insert(GoalProgress)
        .values(**key, id=uuid7(), day=made.day, **values)
        .on_conflict_do_update(index_elements=["workspace_id", "goal_id", "day"], set_=values)
    )
    for outlook in (made.outlook, made.ahead):
        if outlook is not None and outlook.value is not None:
            await session.execute(_forecast(key, result, outlook))


def _forecast(key: dict[str, Any], result: GoalMeasured, outlook: Outlook) -> Any:
    """The first forecast of a day stays: it is judged as it was made."""
    return (
        insert(GoalForecast)
        .values(
            **key,
            id=uuid7(),
            revision=result.subject.revision,
            made_on=result.progress.day,
            for_day=outlook.for_day,
            value=outlook.value,
            low=outlook.low,
            high=outlook.high,
            method=outlook.method,
        )
        .on_conflict_do_nothing()
    )


async def _change(session: AsyncSession, actor: Actor, goal: Goal, result: GoalMeasured, today: date) -> None:
    before, after = goal.pace, result.progress.pace.value
    is_over = result.subject.promise.period.last < today and goal.status in OPEN
    if before == after and not is_over:
        return
    earlier = audit.snapshot(goal)
    goal.pace = after
    goal.version += 1
    goal.updated_at = now(session)
    if is_over:
        goal.status = GoalStatus.ENDED.value
        goal.closed_at = now(session)
    await session.flush()
    audit.record(
        session,
        actor,
        "goals.measure",
        goal_id=goal.id,
        project_id=goal.project_id,
        before=earlier,
        after=audit.snapshot(goal),
    )
    if before != after and goal.agreed_revision is not None:
        await publish(session, GoalPaceChanged(goal.project_id, goal.id, result.subject.revision, before, after))


def next_time(at: datetime, zone: ZoneInfo) -> datetime:
    """When the goals of a project in this zone are measured again: soon after midnight, or in an hour."""
    tomorrow = at.astimezone(zone).date() + DAY
    midnight = datetime(tomorrow.year, tomorrow.month, tomorrow.day, tzinfo=zone)
    return min(at + INTERVAL, midnight + AFTER_MIDNIGHT)
