"""What was counted, over HTTP."""

from datetime import date
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import and_, select

from app.access.current import CurrentActor, PagerDep, ReadDep, ResourcesDep
from app.access.permissions import Permission
from app.access.routing import Router
from app.communities.models import Community
from app.kit import days
from app.kit.days import FirstDay, LastDay
from app.kit.db import in_workspace
from app.kit.errors import NotFound
from app.kit.paging import Cursor, Keyset, Limit
from app.kit.routing import problems
from app.metrics import status
from app.metrics.models import CommunityDay
from app.metrics.schemas import CommunityMetrics, SizeDayRead, SizeHistory
from app.platforms import adapter as adapter_of
from app.projects.models import Project

ROUTER = Router("/v1/communities", tag="communities")

_BY_DAY = Keyset((CommunityDay.day,), descending=False)


@ROUTER.get(
    "/{community_id}/snapshots",
    operation_id="communities.snapshots",
    permission=Permission.METRICS_READ,
    responses=problems(404),
)
async def snapshots(
    actor: CurrentActor,
    connection: ReadDep,
    resources: ResourcesDep,
    pager: PagerDep,
    community_id: UUID,
    first: FirstDay = None,
    last: LastDay = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> SizeHistory:
    """A community's size over time, by the project's local days.

    The first, last, lowest and highest size of each day. A day on which it was not read is absent, not 0.
    """
    zone = await connection.scalar(
        select(Project.timezone)
        .join(Community, and_(Community.workspace_id == Project.workspace_id, Community.project_id == Project.id))
        .where(in_workspace(Community, actor.workspace_id), Community.id == community_id)
    )
    if zone is None:
        raise NotFound
    first, last = days.requested_days(first, last, resources.clock.now().astimezone(ZoneInfo(zone)).date())
    query = select(CommunityDay.__table__).where(
        CommunityDay.workspace_id == actor.workspace_id,
        CommunityDay.community_id == community_id,
        CommunityDay.day.between(first, last),
    )
    query = _BY_DAY.after(query, pager.read(cursor, (date,)), limit)
    rows, next_cursor = pager.page((await connection.execute(query)).all(), limit, ("day",))
    return SizeHistory(
        data=[SizeDayRead.model_validate(row) for row in rows],
        next_cursor=next_cursor,
        community_id=community_id,
        window=days.DayRangeRead(first=first, last=last, timezone=zone),
    )


@ROUTER.get(
    "/{community_id}/metrics",
    operation_id="communities.metrics",
    permission=Permission.METRICS_READ,
    responses=problems(404),
)
async def metrics(actor: CurrentActor, connection: ReadDep, community_id: UUID) -> CommunityMetrics:
    """The status of its posts' counters: known, pending, refused, or unsupported by the platform.

    For whoever asks why a figure is missing: what the platform gives, what it refuses, and what was not read
    yet.
    """
    platform = await connection.scalar(
        select(Community.platform).where(in_workspace(Community, actor.workspace_id), Community.id == community_id)
    )
    if platform is None:
        raise NotFound
    data = await status.of_community(connection, actor.workspace_id, community_id, adapter_of(platform).spec)
    return CommunityMetrics(community_id=community_id, data=data)
