"""What platforms told us and we did not understand: kept as it came for as long as any event, and tried again.

To refuse it would bring the same again, and in the end nothing more; and much of what is told by
hook or stream can be read nowhere else. So it waits for a version of ours that understands it.
"""

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, and_, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.communities.events import CommunityRef
from app.communities.inbound import store
from app.communities.models import Community, InboundEvent
from app.kit.db import workspace_of
from app.platforms.capabilities import Event

log = structlog.get_logger()


async def again(
    session: AsyncSession,
    place: CommunityRef,
    community: Community,
    parse_event: Callable[[bytes], tuple[Event, ...]],
    *,
    of_app: bool,
    most: int,
) -> int:
    """Try to understand up to `most` of what waits, the newest first; how much of it was understood.

    Its events are stored as if they had just come, in this unit of work.
    """
    query = select(InboundEvent.event_id, InboundEvent.told).where(_odd(session, community.id))
    rows = (await session.execute(query.order_by(InboundEvent.received_at.desc()).limit(most))).all()
    understood: list[str] = []
    ours: list[Event] = []
    for row in rows:
        events = parse_event(row.told.encode())
        if any(event.unparsed is not None for event in events):
            continue
        understood.append(row.event_id)
        ours += [event for event in events if await _may_be_told(session, community, event, of_app=of_app)]
    if ours:
        await store.happened(session, place, ours)
    if understood:
        done = update(InboundEvent).where(_odd(session, community.id), InboundEvent.event_id.in_(understood))
        await session.execute(done.values(told=None))
        log.info("hook.understood_later", community_id=str(community.id), events=len(understood))
    return len(understood)


async def count(session: AsyncSession, community_id: UUID) -> tuple[int, datetime | None]:
    """How much waits to be understood, and when the last of it came."""
    query = select(func.count(), func.max(InboundEvent.received_at)).where(_odd(session, community_id))
    row = (await session.execute(query)).one()
    return row[0], row[1]


def _odd(session: AsyncSession, community_id: UUID) -> ColumnElement[bool]:
    return and_(
        InboundEvent.workspace_id == workspace_of(session),
        InboundEvent.community_id == community_id,
        InboundEvent.batch.is_(None),
        InboundEvent.told.is_not(None),
    )


async def _may_be_told(session: AsyncSession, community: Community, event: Event, *, of_app: bool) -> bool:
    """Whether a call that came for a community may tell this: as when it came, where that was not known."""
    if event.account_id is None or event.account_id in {community.external_id, *community.aliases}:
        return True
    whose = store.EventSource(community.workspace_id, community.id, community.platform, community.base_url, of_app)
    return await store.addressee(await session.connection(), whose, event.account_id) is not None
