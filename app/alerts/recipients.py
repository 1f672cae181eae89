"""Who is told of an alert, and when."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.models import Membership, ProjectSeat, Role, Seat
from app.alerts.contract import AlertKind
from app.alerts.models import AlertPreference, Timing
from app.kit.db import in_workspace, now, workspace_of
from app.projects.hours import WorkingHours, next_working_instant, working_seconds
from app.projects.models import Project


@dataclass(frozen=True, slots=True)
class ProjectTime:
    """A project's clock, and its working hours."""

    zone: ZoneInfo
    hours: WorkingHours


async def project_times(session: AsyncSession, project_ids: Sequence[UUID | None]) -> dict[UUID, ProjectTime]:
    """The clocks of these projects, without those that are archived."""
    rows = await session.execute(
        select(Project.id, Project.timezone, Project.working_hours).where(
            in_workspace(Project, workspace_of(session)),
            Project.id.in_({one for one in project_ids if one is not None}),
            Project.archived_at.is_(None),
        )
    )
    return {row.id: ProjectTime(ZoneInfo(row.timezone), WorkingHours.parse(row.working_hours)) for row in rows}


async def preferences(session: AsyncSession, user_ids: Sequence[UUID]) -> dict[UUID, AlertPreference]:
    """How these people want to be told; those who have not said so are absent."""
    rows = await session.scalars(
        select(AlertPreference).where(
            AlertPreference.workspace_id == workspace_of(session), AlertPreference.user_id.in_(user_ids)
        )
    )
    return {row.user_id: row for row in rows}


async def responsible(session: AsyncSession, kind: AlertKind, project_id: UUID | None) -> list[UUID]:
    """The users whose a concern of this kind is: those with one of its seats, or who stand in for them while they are
    away; where there is none the project's managers, else the workspace's owners.
    """
    if project_id is not None and kind.seats:
        rows = (
            await session.execute(
                select(ProjectSeat.user_id, ProjectSeat.seat, ProjectSeat.stands_in_id)
                .where(in_workspace(ProjectSeat, workspace_of(session)), ProjectSeat.project_id == project_id)
                .order_by(ProjectSeat.id)
            )
        ).all()
        away = await _away(session, [row.user_id for row in rows])
        for seats in (kind.seats, (Seat.MANAGER,)):
            users = {
                row.stands_in_id if row.user_id in away and row.stands_in_id is not None else row.user_id: None
                for row in rows
                if row.seat in seats
            }
            if users:
                return list(users)
    owners = await session.scalars(
        select(Membership.user_id)
        .where(in_workspace(Membership, workspace_of(session)), Membership.role == Role.OWNER.value)
        .order_by(Membership.id)
    )
    return list(owners)


async def _away(session: AsyncSession, user_ids: Sequence[UUID]) -> set[UUID]:
    return {
        user_id
        for user_id, selected in (await preferences(session, user_ids)).items()
        if selected.away_until is not None and selected.away_until > now(session)
    }


def channels_for(preference: AlertPreference | None, available: Sequence[str], kind: str) -> list[str]:
    """The channels by which somebody wants to be told of this kind, of those that there are."""
    if preference is None:
        return list(available)
    if kind in preference.muted_kinds:
        return []
    return [one for one in available if preference.channels is None or one in preference.channels]


def due_at(preference: AlertPreference | None, time: ProjectTime | None, at: datetime, *, is_urgent: bool) -> datetime:
    """When somebody is told of what is known at `at`."""
    timing = Timing.WORKING_HOURS if preference is None else Timing(preference.timing)
    if is_urgent or timing is Timing.AT_ONCE:
        return at
    if timing is Timing.DIGEST:
        assert preference is not None, "the default is another one"
        return _next_hour(at, preference.digest_hour, ZoneInfo(preference.timezone))
    if time is None:
        return at
    # A project without any working time would never be told.
    return next_working_instant(at, time.hours, time.zone) or at


def _next_hour(at: datetime, hour: int, zone: ZoneInfo) -> datetime:
    local = at.astimezone(zone).replace(hour=hour, minute=0, second=0, microsecond=0, fold=0)
    first = local.astimezone(UTC)
    return first if first > at else (local + timedelta(days=1)).astimezone(UTC)


def is_due(
    kind: AlertKind, minutes: Mapping[str, int], time: ProjectTime | None, *, since: datetime, at: datetime
) -> bool:
    """Whether a concern has lasted longer than its project's threshold."""
    threshold = timedelta(minutes=minutes[kind.key]) if kind.key in minutes else kind.threshold
    if not kind.in_working_time or time is None:
        return at - since >= threshold
    return working_seconds(since, at, time.hours, time.zone) >= threshold.total_seconds()
