"""What metrics does about what happens elsewhere."""

from sqlalchemy.ext.asyncio import AsyncSession

from app.communities.events import PostsMeasured, SizeMeasured
from app.kit.db import workspace_of
from app.kit.events import subscribe
from app.kit.jobs import enqueue
from app.metrics import service
from app.projects.events import ProjectZoneChanged


@subscribe(PostsMeasured)
async def keep_counters(session: AsyncSession, event: PostsMeasured) -> None:
    """Keep the counters that a poll has read."""
    await service.record_posts(session, event.community, event.at, event.metrics)


@subscribe(SizeMeasured)
async def keep_size(session: AsyncSession, event: SizeMeasured) -> None:
    """Keep the size that a poll has read."""
    await service.record_size(session, event.community, event.at, event.size)


@subscribe(ProjectZoneChanged)
async def recount(session: AsyncSession, event: ProjectZoneChanged) -> None:
    """Have the days cut anew; not within the request, for there may be years of them."""
    await enqueue(
        session,
        "metrics.recount",
        workspace_id=workspace_of(session),
        key=str(event.project_id),
        project_id=event.project_id,
    )
