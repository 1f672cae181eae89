"""Jobs of goals: each project's are measured hourly and soon after its midnight, as long as it has any."""

from datetime import timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import select

from app.access.service import workspaces
from app.goals import corrections, effects, measurements
from app.goals.models import OPEN, Correction, CorrectionStatus, Goal
from app.kit.db import fetch, in_workspace
from app.kit.jobs import Reschedule, Run, enqueue, job
from app.kpis import all_kpis, measuring
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


@job("corrections.measure", timeout=timedelta(minutes=5))
async def measure_correction(run: Run, correction_id: UUID) -> Reschedule | None:
    """Review a correction on its day: what its KPI was before the change and after it."""
    assert run.workspace_id is not None
    async with run.step() as session:
        correction = await fetch(session, Correction, correction_id)
        project = await fetch(session, Project, correction.project_id)
    if correction.status != CorrectionStatus.OPEN:
        return None
    due = corrections.review_time(correction.review_on, ZoneInfo(project.timezone))
    if run.now < due:  # the project's zone has changed
        return Reschedule(due)
    kpi = all_kpis()[correction.kpi]
    async with run.resources.db.read_connection(run.workspace_id) as connection:
        result = await measuring.measure(
            connection,
            workspace_id=run.workspace_id,
            project_id=correction.project_id,
            kpi=kpi,
            windows=effects.windows(correction.changed_on, correction.review_on),
            now=run.now,
            community_ids=[UUID(one) for one in correction.community_ids],
        )
    if effects.is_early(result.values) and run.now < due + corrections.LATE_FIGURES:
        return Reschedule(run.now + corrections.AGAIN)
    effect = effects.effect(kpi, correction.changed_on, correction.review_on, result.values, result.ended)
    async with run.step() as session:
        await corrections.keep(session, run.actor, correction_id=correction_id, effect=effect.as_json)
        await run.finish(session)
    return None
