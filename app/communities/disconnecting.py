"""Disconnecting communities: nothing is read or sent for them any more; what was read stays.

Their tokens are destroyed at once; where the hook has to be unsubscribed at the platform first, after that, and after
`TOKENS_KEPT` at the latest.
"""

from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession

from app.access import audit
from app.communities.events import CommunityDisconnected
from app.communities.inbound import subscriptions
from app.communities.models import Community, CommunityStatus, CommunityToken
from app.communities.service import clear_metrics_poll_failure
from app.kit.actors import Actor
from app.kit.db import fetch, in_workspace, now, workspace_of
from app.kit.events import publish
from app.kit.jobs import enqueue

DESTROY_TOKENS: Final = "communities.destroy-tokens"
TOKENS_KEPT: Final = timedelta(hours=24)
"""How long a platform may be unwell before its hook's subscription is left to it."""


async def disconnect(session: AsyncSession, actor: Actor, *, community_id: UUID) -> Community:
    """Stop reading a community, close its hook and destroy its tokens; doing so again changes nothing."""
    community = await fetch(session, Community, community_id)
    if community.status == CommunityStatus.DISCONNECTED:
        return community
    # Jobs before the community's row, as workers lock them.
    await enqueue(
        session,
        DESTROY_TOKENS,
        workspace_id=workspace_of(session),
        key=str(community_id),
        at=now(session) + TOKENS_KEPT,
        community_id=community_id,
    )
    unsubscribing = await subscriptions.remove_hook(session, community)
    community = await fetch(session, Community, community_id, for_update=True)
    before = audit.snapshot(community)
    community.status, community.disconnected_at = CommunityStatus.DISCONNECTED.value, now(session)
    community.status_code = community.status_reason = None
    community.metrics_group, community.part_problems, community.missing_scopes = "", {}, []
    community.failures = community.refusals = 0
    community.throttled_until = None
    clear_metrics_poll_failure(community)
    await session.flush()
    if not unsubscribing:
        await destroy_tokens(session, actor, community_id=community_id)
    audit.record(
        session,
        actor,
        "communities.disconnect",
        community_id=community_id,
        project_id=community.project_id,
        before=before,
        after=audit.snapshot(community),
    )
    await publish(session, CommunityDisconnected(community.id, community.project_id, community.platform))
    return community


async def destroy_tokens(session: AsyncSession, actor: Actor, *, community_id: UUID) -> None:
    """Delete a community's tokens, if it is (still) disconnected."""
    community = await fetch(session, Community, community_id, for_update=True)
    if community.status != CommunityStatus.DISCONNECTED:
        return
    destroyed = await session.execute(
        delete(CommunityToken)
        .where(in_workspace(CommunityToken, workspace_of(session)), CommunityToken.community_id == community_id)
        .returning(CommunityToken.kind)
    )
    if kinds := sorted(destroyed.scalars()):
        audit.record(
            session,
            actor,
            "tokens.destroy",
            community_id=community_id,
            project_id=community.project_id,
            before={"tokens": kinds},
            after={"tokens": []},
        )
