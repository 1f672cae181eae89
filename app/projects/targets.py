"""How fast the agency has promised the client to respond: targets in working time, by the day from which they hold.

What has begun is measured against the version that held on the project's local day on which it began. So a version
holds from today at the earliest: figures of the past do not change.
"""

from bisect import bisect_right
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from app.access import audit
from app.kit.actors import Actor
from app.kit.db import fetch, in_workspace, now, workspace_of
from app.kit.errors import Invalid
from app.kit.events import publish
from app.kit.preconditions import require_version
from app.projects.events import ResponseTargetsChanged
from app.projects.models import Project, ResponseTarget

_MINUTE = 60


@dataclass(frozen=True, slots=True)
class ResponseTargets:
    """The versions of a project's targets, oldest first: rows with the columns of `ResponseTarget`."""

    versions: tuple[Any, ...] = ()

    def on(self, day: date) -> Any | None:
        """The version that holds on a day; None where none does."""
        number = bisect_right(self.versions, day, key=lambda version: version.holds_from)
        return self.versions[number - 1] if number else None

    def first_resolution_day(self, zone: ZoneInfo) -> datetime | None:
        """The beginning of the first day for which a target of resolution is agreed; None without one."""
        days = [version.holds_from for version in self.versions if version.resolution_minutes is not None]
        return datetime.combine(days[0], time(), zone) if days else None

    def first_response_seconds(self, started_at: datetime, zone: ZoneInfo) -> int | None:
        """The target, as working time, for a wait that started at this instant; None where there is none."""
        version = self.on(started_at.astimezone(zone).date())
        return version.first_response_minutes * _MINUTE if version is not None else None

    def resolution_seconds(self, started_at: datetime, zone: ZoneInfo) -> int | None:
        """The target, as working time, for an episode that began at this instant; None where there is none."""
        version = self.on(started_at.astimezone(zone).date())
        minutes = version.resolution_minutes if version is not None else None
        return minutes * _MINUTE if minutes is not None else None


async def response_targets(connection: AsyncConnection, workspace_id: UUID, project_id: UUID) -> ResponseTargets:
    """A project's targets."""
    rows = await connection.execute(
        select(
            ResponseTarget.holds_from,
            ResponseTarget.first_response_minutes,
            ResponseTarget.resolution_minutes,
            ResponseTarget.updated_at,
        )
        .where(in_workspace(ResponseTarget, workspace_id), ResponseTarget.project_id == project_id)
        .order_by(ResponseTarget.holds_from)
    )
    return ResponseTargets(tuple(rows))


async def set_targets(
    session: AsyncSession,
    actor: Actor,
    *,
    project_id: UUID,
    holds_from: date | None,
    first_response_minutes: int,
    resolution_minutes: int | None,
    expected_versions: Collection[int] | None = None,
) -> Project:
    """Agree on targets from a local day on, by default from today; those of that very day are replaced.

    Raises `Invalid` (`target-in-the-past`) for an earlier day. Publishes `ResponseTargetsChanged` where anything
    changes.
    """
    project = await fetch(session, Project, project_id, for_update=True)
    require_version(project.version, expected_versions)
    zone = ZoneInfo(project.timezone)
    today = now(session).astimezone(zone).date()
    day = holds_from or today
    if day < today:
        detail = f"Targets hold from {today} at the earliest, so that figures of the past stay as they are."
        raise Invalid(
            detail,
            code="target-in-the-past",
            errors=[{"in": "body", "field": "holds_from", "code": "target-in-the-past", "detail": detail}],
        )
    stored = await session.scalar(
        select(ResponseTarget).where(
            in_workspace(ResponseTarget, workspace_of(session)),
            ResponseTarget.project_id == project_id,
            ResponseTarget.holds_from == day,
        )
    )
    values = first_response_minutes, resolution_minutes
    if stored is not None and (stored.first_response_minutes, stored.resolution_minutes) == values:
        return project
    before = None if stored is None else audit.snapshot(stored)
    if stored is None:
        stored = ResponseTarget(workspace_id=workspace_of(session), project_id=project_id, holds_from=day)
        session.add(stored)
    stored.first_response_minutes, stored.resolution_minutes = values
    stored.updated_at = now(session)
    project.version += 1
    await session.flush()
    audit.record(
        session,
        actor,
        "response-targets.replace",
        project_id=project_id,
        holds_from=day,
        before=before,
        after=audit.snapshot(stored),
    )
    since = datetime(day.year, day.month, day.day, tzinfo=zone)
    await publish(session, ResponseTargetsChanged(project_id=project_id, since=since))
    return project
