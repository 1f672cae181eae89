"""Tracked links' subscriptions to events of lower rooms."""

from sqlalchemy.ext.asyncio import AsyncSession

from app.kit.db import now, workspace_of
from app.kit.events import subscribe
from app.kit.jobs import enqueue
from app.links.jobs import REDATE
from app.links.redirects import ROUTE_TTL
from app.projects.events import ProjectZoneChanged


@subscribe(ProjectZoneChanged)
async def redate(session: AsyncSession, event: ProjectZoneChanged) -> None:
    """Move clicks to their new days, once no process uses the old time zone from its cache any more."""
    await enqueue(
        session,
        REDATE,
        workspace_id=workspace_of(session),
        key=str(event.project_id),
        at=now(session) + 2 * ROUTE_TTL,
        project_id=event.project_id,
    )
