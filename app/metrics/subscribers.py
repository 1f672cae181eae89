"""Metrics' subscriptions to events of other rooms."""

from sqlalchemy.ext.asyncio import AsyncSession

from app.communities.events import MembersChanged, PostsMeasured, SizeMeasured
from app.kit.db import workspace_of
from app.kit.events import subscribe
from app.kit.jobs import enqueue
from app.metrics import service
from app.projects.events import ProjectZoneChanged


@subscribe(PostsMeasured)
async def record_counters(session: AsyncSession, event: PostsMeasured) -> None:
    """Store the counters that a poll has read."""
    await service.record_posts(session, event.community, event.at, event.metrics)


@subscribe(SizeMeasured)
async def record_size(session: AsyncSession, event: SizeMeasured) -> None:
    """Store the size that a poll has read."""
    await service.record_size(session, event.community, event.at, event.size)


@subscribe(MembersChanged)
async def record_members(session: AsyncSession, event: MembersChanged) -> None:
    """Store who joined and who left."""
    await service.record_members(session, event.community, event.members)


@subscribe(ProjectZoneChanged)
async def recount(session: AsyncSession, event: ProjectZoneChanged) -> None:
    """Enqueue a recount; not within the request, because there may be years of days."""
    await enqueue(
        session,
        "metrics.recount",
        workspace_id=workspace_of(session),
        key=str(event.project_id),
        project_id=event.project_id,
    )
