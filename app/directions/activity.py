"""Deeds by direction and local week, who holds a direction, and which one is unheld or quiet."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import DateTime, any_, bindparam, cast, func, literal, select, union_all
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.ext.asyncio import AsyncConnection

from app.access.audit.models import AuditEntry
from app.access.models import ProjectSeat, Seat, UserAccount
from app.communities.models import Community
from app.directions.deeds import ANSWER, DEEDS, IS_ANSWER, IS_DEED, SEATS, WorkDirection
from app.inquiries.models import Message
from app.kit.db import in_workspace
from app.projects.models import Project

WEEK: Final = timedelta(days=7)
QUIET_AFTER: Final[Mapping[WorkDirection, int]] = MappingProxyType(
    {
        WorkDirection.CONTENT: 1,
        WorkDirection.PROMOTION: 2,
        WorkDirection.COMMUNITY: 1,
        WorkDirection.MANAGEMENT: 4,
    }
)
"""So many whole weeks without a deed make a direction quiet: a brief and a goal are not written every week."""
LOOKED_AT: Final = max(QUIET_AFTER.values())
"""The whole weeks that are looked at for it."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Somebody who holds a direction by a seat."""

    user_id: UUID
    name: str
    seat: Seat


@dataclass(frozen=True, slots=True)
class DirectionActivity:
    """A direction of a project."""

    direction: WorkDirection
    holders: Sequence[Holder]
    weeks: Sequence[int]
    """Deeds of each week, the present one last."""
    by_deed: Mapping[str, int]
    """Deeds of all these weeks by their keys in `DEEDS`; those that there were none of are absent."""
    quiet_weeks: int
    """Whole weeks without a deed up to now, of those that are looked at; 0 where there was one this week."""
    is_unheld: bool
    """Nobody has a seat that holds it, while another direction is held."""
    is_quiet: bool
    """It had no deed for as many whole weeks as `QUIET_AFTER` says, while another one had some in the last of them."""


@dataclass(frozen=True, slots=True)
class ProjectActivity:
    """The directions of a project."""

    project_id: UUID
    title: str
    timezone: str
    mondays: Sequence[date]
    """The first days of the weeks."""
    this_week: datetime
    """The instant at which the present week began."""
    directions: Sequence[DirectionActivity]


_WORKSPACE: Final[Any] = bindparam("workspace_id", type_=PG_UUID(as_uuid=True))
_PROJECTS: Final[Any] = any_(bindparam("project_ids", type_=ARRAY(PG_UUID(as_uuid=True))))
_STARTS: Final = bindparam("starts", type_=ARRAY(DateTime(timezone=True)))
_FIRST: Final = bindparam("first", type_=DateTime(timezone=True))
_NOW: Final = bindparam("now", type_=DateTime(timezone=True))


def _counted(project: Any, at: Any, deed: Any) -> Any:
    week = func.width_bucket(at, cast(_STARTS, ARRAY(DateTime(timezone=True))))
    return select(project.label("project_id"), week.label("week"), deed.label("deed"), func.count().label("deeds"))


_COUNTS: Final = union_all(
    _counted(AuditEntry.project_id, AuditEntry.at, AuditEntry.action)
    .where(
        in_workspace(AuditEntry, _WORKSPACE),
        AuditEntry.project_id == _PROJECTS,
        AuditEntry.at >= _FIRST,
        AuditEntry.at <= _NOW,
        IS_DEED,
    )
    .group_by("project_id", "week", "deed"),
    _counted(Community.project_id, Message.sent_at, literal(ANSWER))
    .join(Community, (Community.workspace_id == Message.workspace_id) & (Community.id == Message.community_id))
    .where(
        in_workspace(Message, _WORKSPACE),
        Community.project_id == _PROJECTS,
        Message.sent_at >= _FIRST,
        Message.sent_at <= _NOW,
        IS_ANSWER,
    )
    .group_by("project_id", "week", "deed"),
)


def _mondays(today: date, weeks: int) -> list[date]:
    monday = today - timedelta(days=today.weekday())
    return [monday - number * WEEK for number in range(weeks - 1, -1, -1)]


def _start(day: date, zone: ZoneInfo) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


async def read(
    connection: AsyncConnection,
    workspace_id: UUID,
    now: datetime,
    *,
    weeks: int,
    project_ids: Collection[UUID] | None = None,
) -> list[ProjectActivity]:
    """The directions of these projects (None: of all that are not archived), oldest project first.

    `weeks`: of so many local weeks, the present one included.
    """
    query = (
        select(Project.id, Project.title, Project.timezone, Project.created_at)
        .where(in_workspace(Project, workspace_id))
        .order_by(Project.created_at, Project.id)
    )
    is_requested = Project.archived_at.is_(None) if project_ids is None else Project.id.in_(project_ids)
    projects = (await connection.execute(query.where(is_requested))).all()
    holders = await _holders(connection, workspace_id, [row.id for row in projects])
    by_zone: defaultdict[str, list[UUID]] = defaultdict(list)
    for row in projects:
        by_zone[row.timezone].append(row.id)
    length = max(weeks, LOOKED_AT + 1)
    mondays = {name: _mondays(now.astimezone(ZoneInfo(name)).date(), length) for name in by_zone}
    counts: defaultdict[UUID, Counter[tuple[int, str]]] = defaultdict(Counter)
    for name, ids in by_zone.items():
        starts = [_start(day, ZoneInfo(name)) for day in mondays[name]]
        parameters = {
            "workspace_id": workspace_id,
            "project_ids": ids,
            "starts": starts,
            "first": starts[0],
            "now": now,
        }
        for project_id, week, deed, deeds in (await connection.execute(_COUNTS, parameters)).all():
            counts[project_id][week - 1, deed] += deeds
    return [_project(row, mondays[row.timezone], weeks, holders[row.id], counts[row.id]) for row in projects]


async def _holders(
    connection: AsyncConnection, workspace_id: UUID, project_ids: Collection[UUID]
) -> defaultdict[UUID, list[Holder]]:
    rows = await connection.execute(
        select(ProjectSeat.project_id, ProjectSeat.user_id, ProjectSeat.seat, UserAccount.name)
        .join(UserAccount, UserAccount.id == ProjectSeat.user_id)
        .where(in_workspace(ProjectSeat, workspace_id), ProjectSeat.project_id.in_(project_ids))
        .order_by(ProjectSeat.id)
    )
    holders: defaultdict[UUID, list[Holder]] = defaultdict(list)
    for row in rows:
        holders[row.project_id].append(Holder(row.user_id, row.name, Seat(row.seat)))
    return holders


def _project(
    row: Any, mondays: Sequence[date], weeks: int, holders: Sequence[Holder], counts: Mapping[tuple[int, str], int]
) -> ProjectActivity:
    zone = ZoneInfo(row.timezone)
    by_week = {one: [0] * len(mondays) for one in WorkDirection}
    for (week, deed), deeds in counts.items():
        by_week[DEEDS[deed].direction][week] += deeds
    held = {one: [holder for holder in holders if holder.seat in SEATS[one]] for one in WorkDirection}
    # Of a week in which the project did not exist from its beginning nothing is said.
    whole = [number for number, day in enumerate(mondays[:-1]) if _start(day, zone) >= row.created_at]
    directions = []
    for one in WorkDirection:
        others = [other for other in WorkDirection if other is not one]
        quiet = _quiet_weeks(by_week[one], whole)
        directions.append(
            DirectionActivity(
                direction=one,
                holders=held[one],
                weeks=by_week[one][-weeks:],
                by_deed=_by_deed(one, counts, first=len(mondays) - weeks),
                quiet_weeks=quiet,
                is_unheld=not held[one] and any(held[other] for other in others) and bool(whole),
                is_quiet=quiet >= QUIET_AFTER[one] and any(by_week[other][-2] for other in others),
            )
        )
    return ProjectActivity(row.id, row.title, row.timezone, mondays[-weeks:], _start(mondays[-1], zone), directions)


def _quiet_weeks(deeds: Sequence[int], whole: Sequence[int]) -> int:
    if deeds[-1]:
        return 0
    number = 0
    for week in reversed(whole[-LOOKED_AT:]):
        if deeds[week]:
            break
        number += 1
    return number


def _by_deed(direction: WorkDirection, counts: Mapping[tuple[int, str], int], *, first: int) -> dict[str, int]:
    made: Counter[str] = Counter()
    for (week, deed), deeds in counts.items():
        if week >= first and DEEDS[deed].direction is direction:
            made[deed] += deeds
    return {deed: made[deed] for deed in DEEDS if deed in made}
