"""Jobs of goals: each project's are measured hourly and soon after its midnight, as long as it has any."""

from datetime import timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import select

from app.access.service import workspaces
from app.goals import measurements
from app.goals.models import OPEN, Goal
from app.kit.db import fetch, in_workspace
from app.kit.jobs import Reschedule, Run, enqueue, job
from app.projects.models import Project


@job("goals.measure", timeout=timedelta(minutes=5))
async def measure(run: Run, project_id: UUID) -> Reschedule | None:
    """Measure the goals of a project, and do so again while there are any."""
    assert run.workspace_id is not None
    async with run.step() as session:
        project = await fetch(session, Project, project_id)
        subjects = await measurements.to_measure(session, project_id)
    if not subjects:
        return None
    zone, results = ZoneInfo(project.timezone), []
    for subject in subjects:
        async with run.resources.db.read_connection(run.workspace_id) as connection:
            results.append(
                await measurements.measured(
                    connection,
                    workspace_id=run.workspace_id,
                    project_id=project_id,
                    subject=subject,
                    today=run.now.astimezone(zone).date(),
                    at=run.now,
                )
            )
    async with run.step() as session:
        await measurements.keep(session, run.actor, project_id=project_id, results=results)
        await run.finish(session, Reschedule(measurements.next_time(run.now, zone)))
    return None


@job("goals.resume", every=timedelta(hours=24))
async def resume(run: Run) -> None:
    """Enqueue the measuring of all workspaces' goals, where its own chain of jobs has broken."""
    async with run.step() as session:
        for workspace_id in await workspaces(session):
            await enqueue(session, "goals.resume_workspace", workspace_id=workspace_id, key="nightly")


@job("goals.resume_workspace")
async def resume_workspace(run: Run) -> None:
    """Enqueue the measuring of each project of a workspace that has open goals."""
    assert run.workspace_id is not None
    async with run.step() as session:
        query = select(Goal.project_id).where(in_workspace(Goal, run.workspace_id), Goal.status.in_(OPEN)).distinct()
        for project_id in sorted(await session.scalars(query)):
            await enqueue(
                session, "goals.measure", workspace_id=run.workspace_id, key=str(project_id), project_id=project_id
            )
        await run.finish(session)
