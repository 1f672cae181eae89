"""Gaps of hooks: posts and messages that a poll found although no event had delivered them.

A hook is only expected to deliver kinds of items that it has delivered before. What a poll finds
first is stored as a gap at once, because the poll does not return to it; the gap is certain once
`GRACE` has passed since the item was sent and its event has still not been received.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.communities.events import CommunityRef
from app.communities.inbound.apply import POST, items, kind_of
from app.communities.inbound.models import Hook, InboundEvent, InboundGap, InboundItem
from app.communities.inbound.store import EVENT, PENDING, RETENTION, hook_of, pushed_late
from app.kit.db import now, workspace_of
from app.platforms.contract import RemoteMessage, RemotePost

GRACE: Final = timedelta(minutes=5)
"""How late an event may be."""
WINDOW: Final = timedelta(days=30)
"""How long a gap counts in a community's health."""
_CERTAIN_FOR: Final = RETENTION - timedelta(days=1)
"""Of older items the record that their event was received may have been deleted."""


@dataclass(frozen=True, slots=True)
class _PolledItem:
    external_id: str
    post: bool
    kind: str
    sent_at: datetime


async def reconcile(
    session: AsyncSession,
    ref: CommunityRef,
    *,
    posts: Sequence[RemotePost] = (),
    messages: Sequence[RemoteMessage] = (),
) -> None:
    """Store as gaps what the hook should have delivered of a poll's page, in the unit of work that stores the page."""
    if not posts and not messages:
        return
    since_by_kind = await session.scalar(select(Hook.first_event_at_by_kind).where(hook_of(session, ref.community_id)))
    if not since_by_kind:
        return
    since = {kind: max(datetime.fromisoformat(at), now(session) - _CERTAIN_FOR) for kind, at in since_by_kind.items()}
    items_read = [_PolledItem(post.external_id, True, POST, post.published_at) for post in posts]
    items_read += [_PolledItem(m.external_id, False, kind_of(m), m.sent_at) for m in messages if not m.deleted]
    due = {
        (one.external_id, one.post): one for one in items_read if one.kind in since and since[one.kind] < one.sent_at
    }
    for item in await _pushed_items(session, ref.community_id, {external_id for external_id, _ in due}):
        due.pop(item, None)
    if due and (pending := await _pending_items(session, ref.community_id)):
        due = {item: one for item, one in due.items() if item not in pending}
    if due:
        common = {"workspace_id": ref.workspace_id, "community_id": ref.community_id, "found_at": now(session)}
        rows = [
            {**common, "external_id": one.external_id, "post": one.post, "kind": one.kind, "sent_at": one.sent_at}
            for _, one in sorted(due.items())
        ]
        await session.execute(insert(InboundGap).values(rows).on_conflict_do_nothing())


async def _pushed_items(session: AsyncSession, community_id: UUID, external_ids: set[str]) -> set[tuple[str, bool]]:
    if not external_ids:
        return set()
    rows = await session.execute(
        select(InboundItem.external_id, InboundItem.post).where(
            InboundItem.workspace_id == workspace_of(session),
            InboundItem.community_id == community_id,
            InboundItem.external_id.in_(external_ids),
        )
    )
    return {(row.external_id, row.post) for row in rows}


async def _pending_items(session: AsyncSession, community_id: UUID) -> set[tuple[str, bool]]:
    """Items of events that are not applied yet."""
    texts = await session.scalars(
        select(InboundEvent.payload).where(
            InboundEvent.workspace_id == workspace_of(session), InboundEvent.community_id == community_id, PENDING
        )
    )
    return {item for text in texts if text is not None for item in items(EVENT.validate_json(text))}


def is_certain(sent_by: datetime | ColumnElement[datetime]) -> ColumnElement[bool]:
    """The condition for gaps that are certain: no event within `GRACE`. `sent_by` is `GRACE` ago."""
    return and_(InboundGap.sent_at <= sent_by, ~pushed_late())


async def count(session: AsyncSession, community_id: UUID) -> tuple[int, datetime | None]:
    """The number of a community's certain gaps within `WINDOW`, and when the last of their items was sent."""
    row = (
        await session.execute(
            select(func.count(), func.max(InboundGap.sent_at)).where(
                InboundGap.workspace_id == workspace_of(session),
                InboundGap.community_id == community_id,
                InboundGap.found_at > now(session) - WINDOW,
                is_certain(now(session) - GRACE),
            )
        )
    ).one()
    return row[0], row[1]
