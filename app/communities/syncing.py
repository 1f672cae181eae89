"""Having everything of a community read again, because a person asks for it."""

from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.access import audit
from app.communities import publications
from app.communities.models import Community, CommunityStatus
from app.communities.polling import batches, parts, unread_items
from app.communities.polling.parts import Part
from app.communities.service import poll_now, require_connected
from app.kit import jobs
from app.kit.actors import Actor
from app.kit.db import Locked, fetch, now, without_waiting, workspace_of
from app.kit.errors import Conflict

REQUEST_READS: Final = "communities.request-reads"


def _require_readable(community: Community) -> None:
    """Raise `Conflict` where a community is disconnected or paused."""
    require_connected(community)
    if community.status == CommunityStatus.PAUSED:
        raise Conflict("It is paused: resume it first.", code="community-paused")


async def sync(session: AsyncSession, actor: Actor, *, community_id: UUID) -> Community:
    """Schedule everything of a community to be read again now; one that could not be connected is tried again.

    Where it has been requested already and is not read so far, the request joins that one. It waits for no step of a
    poll or of a measuring: where one has locked what is written here, a job writes it afterwards.
    """
    community = await fetch(session, Community, community_id)
    _require_readable(community)
    try:
        async with without_waiting(session):
            community = await request_reads(session, community_id)
    except Locked:
        await jobs.enqueue(
            session, REQUEST_READS, workspace_id=workspace_of(session), key=str(community_id), community_id=community_id
        )
        community = await fetch(session, Community, community_id)
    audit.record(session, actor, "communities.sync", community_id=community_id, project_id=community.project_id)
    return community


async def request_reads(session: AsyncSession, community_id: UUID) -> Community:
    """Have everything of a community read now; raises `Conflict` where it is disconnected or paused."""
    community = await fetch(session, Community, community_id, for_update=True)
    _require_readable(community)
    if community.status == CommunityStatus.FAILED:
        community.status, community.failures = CommunityStatus.CONNECTING.value, 0
    community.request(now(session), *parts.to_request(community, Part.SIZE, Part.POSTS, Part.CONVERSATIONS))
    await unread_items.retry_now(session, community_id)
    await publications.request_metrics(session, community_id)
    await batches.schedule_measuring(session, community.metrics_group, [community_id])
    await poll_now(session, community_id)
    return community
