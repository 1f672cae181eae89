"""Projects, their briefs and their working hours.

A change of a project locks its row, so that `expected_versions` are compared with the version that the change
replaces; `PreconditionFailed` where it is none of them (None: any version).
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from app.access import audit
from app.kit.actors import Actor
from app.kit.db import fetch, in_workspace, now, workspace_of
from app.kit.events import publish
from app.kit.preconditions import require_version
from app.projects.events import ProjectCreated, ProjectZoneChanged, WorkingHoursChanged
from app.projects.hours import DEFAULT, WorkingHours
from app.projects.models import Brief, Project
from app.projects.targets import ResponseTargets, response_targets


@dataclass(frozen=True, slots=True)
class WorkCalendar:
    """A project's working hours with the zone in which they are meant, and the targets that count in them."""

    hours: WorkingHours
    zone: ZoneInfo
    targets: ResponseTargets


async def create(
    session: AsyncSession, actor: Actor, *, title: str, timezone: str, hours: WorkingHours | None = None
) -> Project:
    """A new project; it works Monday to Friday, 09:00 to 18:00, unless `hours` are given."""
    project = Project(
        workspace_id=workspace_of(session),
        title=title,
        timezone=timezone,
        working_hours=(hours or DEFAULT).as_json,
        version=1,
        created_at=now(session),
        archived_at=None,
    )
    session.add(project)
    await session.flush()
    audit.record(session, actor, "projects.create", project_id=project.id, after=audit.snapshot(project))
    await publish(session, ProjectCreated(project_id=project.id, title=title))
    return project


async def update(
    session: AsyncSession,
    actor: Actor,
    *,
    project_id: UUID,
    title: str | None = None,
    timezone: str | None = None,
    archived: bool | None = None,
    expected_versions: Collection[int] | None = None,
) -> Project:
    """Change what is given. Publishes `ProjectZoneChanged` for another zone."""
    project = await fetch(session, Project, project_id, for_update=True)
    require_version(project.version, expected_versions)
    before = audit.snapshot(project)
    if title is not None:
        project.title = title
    if timezone is not None:
        project.timezone = timezone
    if archived is not None and archived != (project.archived_at is not None):
        project.archived_at = now(session) if archived else None
    if (after := audit.snapshot(project)) != before:
        project.version += 1
        audit.record(session, actor, "projects.update", project_id=project.id, before=before, after=after)
    if project.timezone != before["timezone"]:
        await session.flush()
        await publish(
            session, ProjectZoneChanged(project_id=project.id, before=before["timezone"], after=project.timezone)
        )
    return project


async def set_hours(
    session: AsyncSession,
    actor: Actor,
    *,
    project_id: UUID,
    hours: WorkingHours,
    expected_versions: Collection[int] | None = None,
) -> Project:
    """Work at these hours from now on. Waits that have ended keep their working time."""
    project = await fetch(session, Project, project_id, for_update=True)
    require_version(project.version, expected_versions)
    if project.working_hours != hours.as_json:
        before, project.working_hours = audit.snapshot(project), hours.as_json
        project.version += 1
        audit.record(
            session,
            actor,
            "working-hours.replace",
            project_id=project.id,
            before=before,
            after=audit.snapshot(project),
        )
        await session.flush()
        await publish(session, WorkingHoursChanged(project_id=project.id))
    return project


async def calendar(session: AsyncSession, *, project_id: UUID) -> WorkCalendar:
    """The project's working hours and targets as they are now; they stay so until the transaction ends.

    So what is computed from them is stored before they change, and whoever changes them finds it.
    """
    row = (await session.execute(_calendar_of(workspace_of(session), project_id).with_for_update(read=True))).one()
    targets = await response_targets(await session.connection(), workspace_of(session), project_id)
    return WorkCalendar(WorkingHours.parse(row.working_hours), ZoneInfo(row.timezone), targets)


async def read_calendar(connection: AsyncConnection, workspace_id: UUID, project_id: UUID) -> WorkCalendar:
    """The same for an answer from which nothing is stored: it locks nothing."""
    row = (await connection.execute(_calendar_of(workspace_id, project_id))).one()
    targets = await response_targets(connection, workspace_id, project_id)
    return WorkCalendar(WorkingHours.parse(row.working_hours), ZoneInfo(row.timezone), targets)


def _calendar_of(workspace_id: UUID, project_id: UUID) -> Select[Any]:
    return select(Project.working_hours, Project.timezone).where(
        in_workspace(Project, workspace_id), Project.id == project_id
    )


async def lock_calendars(session: AsyncSession, project_ids: Iterable[UUID]) -> None:
    """Keep the working hours and targets of these projects as they are until the transaction ends."""
    await session.execute(
        select(Project.id)
        .where(in_workspace(Project, workspace_of(session)), Project.id.in_(set(project_ids)))
        .order_by(Project.id)
        .with_for_update(read=True)
    )


async def write_brief(
    session: AsyncSession,
    actor: Actor,
    *,
    project_id: UUID,
    content: dict[str, Any],
    expected_versions: Collection[int] | None = None,
) -> Brief:
    """The next version of the brief; the present one where nothing in it changes."""
    # The project's row is locked, so that of two writers the later one sees the first one's version.
    project = await fetch(session, Project, project_id, for_update=True)
    latest = await session.scalar(
        select(Brief)
        .where(in_workspace(Brief, workspace_of(session)), Brief.project_id == project.id)
        .order_by(Brief.version.desc())
        .limit(1)
    )
    version = latest.version if latest is not None else 0
    require_version(version, expected_versions)
    if latest is not None and latest.content == content:
        return latest
    brief = Brief(
        workspace_id=workspace_of(session),
        project_id=project.id,
        version=version + 1,
        content=content,
        created_at=now(session),
    )
    session.add(brief)
    audit.record(
        session,
        actor,
        "briefs.replace",
        project_id=project.id,
        version=brief.version,
        before=None if latest is None else audit.snapshot(latest),
        after=audit.snapshot(brief),
    )
    return brief
