"""Campaigns' subscription to events of projects."""

from sqlalchemy.ext.asyncio import AsyncSession

from app.kit.db import workspace_of
from app.kit.events import subscribe
from app.kit.jobs import enqueue
from app.projects.events import ProjectZoneChanged


@subscribe(ProjectZoneChanged)
async def redate(session: AsyncSession, event: ProjectZoneChanged) -> None:
    """Have the project's campaigns begin and end at the midnights of its new zone."""
    await enqueue(
        session,
        "campaigns.redate",
        workspace_id=workspace_of(session),
        key=str(event.project_id),
        project_id=event.project_id,
    )
