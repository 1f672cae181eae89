"""Events that an adapter cannot parse: stored as received for as long as any event, and parsed again every hour.

A platform would send a refused event again and again, and in the end stop sending; and much of what
is pushed can be read nowhere else. So it is acknowledged and stored until a version can parse it.
"""

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, and_, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.communities.events import CommunityRef
from app.communities.inbound import store
from app.communities.inbound.models import InboundEvent, InboundStatus
from app.communities.models import Community
from app.kit.db import now, workspace_of
from app.platforms.capabilities import Event

log = structlog.get_logger()


async def parse_again(
    session: AsyncSession,
    ref: CommunityRef,
    community: Community,
    parse_event: Callable[[bytes], tuple[Event, ...]],
    *,
    of_app: bool,
    most: int,
) -> int:
    """Parse up to `most` unparsed events again, the latest first; how many could be parsed.

    What they contain is stored as if it had just been received, in this unit of work.
    """
    query = select(InboundEvent.event_id, InboundEvent.payload).where(_is_unparsed(session, community.id))
    rows = (await session.execute(query.order_by(InboundEvent.received_at.desc()).limit(most))).all()
    parsed_ids: list[str] = []
    parsed: list[Event] = []
    for row in rows:
        events = parse_event(row.payload.encode())
        if any(event.unparsed is not None for event in events):
            continue
        parsed_ids.append(row.event_id)
        parsed += [event for event in events if await _may_be_about(session, community, event, of_app=of_app)]
    if parsed:
        await store.store_stream_events(session, ref, parsed)
    if parsed_ids:
        statement = update(InboundEvent).where(
            _is_unparsed(session, community.id), InboundEvent.event_id.in_(parsed_ids)
        )
        await session.execute(
            statement.values(status=InboundStatus.APPLIED.value, payload=None, applied_at=now(session))
        )
        log.info("inbound.parsed_later", community_id=str(community.id), events=len(parsed_ids))
    return len(parsed_ids)


async def count(session: AsyncSession, community_id: UUID) -> tuple[int, datetime | None]:
    """How many events are unparsed, and when the last of them was received."""
    query = select(func.count(), func.max(InboundEvent.received_at)).where(_is_unparsed(session, community_id))
    row = (await session.execute(query)).one()
    return row[0], row[1]


def _is_unparsed(session: AsyncSession, community_id: UUID) -> ColumnElement[bool]:
    own = InboundEvent.workspace_id == workspace_of(session)
    return and_(own, InboundEvent.community_id == community_id, store.UNPARSED)


async def _may_be_about(session: AsyncSession, community: Community, event: Event, *, of_app: bool) -> bool:
    """Whether an event received by a community's hook may be about its `account_id`: checked now, as it was unknown."""
    if event.account_id is None or event.account_id in {community.external_id, *community.aliases}:
        return True
    source = store.EventSource(community.workspace_id, community.id, community.platform, community.base_url, of_app)
    return await store.target_community(await session.connection(), source, event.account_id) is not None
