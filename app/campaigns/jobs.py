"""Jobs of campaigns: moving their status on, and their instants to another zone."""

from uuid import UUID

from app.campaigns import service
from app.kit.db import fetch
from app.kit.jobs import Reschedule, Run, job
from app.projects.models import Project


@job(service.ADVANCE)
async def advance(run: Run, campaign_id: UUID) -> Reschedule | None:
    """Give a campaign the status of this instant, and run again when the next one is due."""
    async with run.step() as session:
        at = await service.advance(session, run.actor, campaign_id=campaign_id)
        reschedule = None if at is None else Reschedule(at)
        await run.finish(session, reschedule)
    return reschedule


@job("campaigns.redate")
async def redate(run: Run, project_id: UUID) -> None:
    """Recompute the instants of a project's campaigns in its present zone."""
    async with run.step() as session:
        project = await fetch(session, Project, project_id)
        await service.redate(session, run.actor, project_id=project_id, zone=project.timezone)
