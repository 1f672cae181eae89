"""What the hooks have missed: found by polls, counted, and told where numbers are asked for.

A hook is held to what it has told before: of a kind of thing that it never told of, it need not
tell. What a poll finds first is noted at once, for the poll does not come back to it; it counts as
missed when the hook has not told of it `GRACE` after it was sent.
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
from app.communities.inbound.store import EVENT, PENDING, REMEMBERED, of, told_late
from app.communities.models import Hook, InboundEvent, InboundGap, InboundItem
from app.kit.db import now, workspace_of
from app.platforms.contract import RemoteMessage, RemotePost

GRACE: Final = timedelta(minutes=5)
"""So late may an event be."""
WINDOW: Final = timedelta(days=30)
"""For so long what was missed counts in a community's health."""
_SURE: Final = REMEMBERED - timedelta(days=1)
"""Of older things it may be forgotten that the hook told of them."""


@dataclass(frozen=True, slots=True)
class _Found:
    external_id: str
    post: bool
    kind: str
    sent_at: datetime


async def reconcile(
    session: AsyncSession,
    place: CommunityRef,
    *,
    posts: Sequence[RemotePost] = (),
    messages: Sequence[RemoteMessage] = (),
) -> None:
    """Note, in the unit of work that stores a poll's page, what the hook should have told of it and has not."""
    if not posts and not messages:
        return
    told = await session.scalar(select(Hook.told).where(of(session, place.community_id)))
    if not told:
        return
    since = {kind: max(datetime.fromisoformat(at), now(session) - _SURE) for kind, at in told.items()}
    found = [_Found(post.external_id, True, POST, post.published_at) for post in posts]
    found += [_Found(m.external_id, False, kind_of(m), m.sent_at) for m in messages if not m.deleted]
    due = {(one.external_id, one.post): one for one in found if one.kind in since and since[one.kind] < one.sent_at}
    for item in await _told_of(session, place.community_id, {external_id for external_id, _ in due}):
        due.pop(item, None)
    if due and (waiting := await _waiting(session, place.community_id)):
        due = {item: one for item, one in due.items() if item not in waiting}
    if due:
        ours = {"workspace_id": place.workspace_id, "community_id": place.community_id, "found_at": now(session)}
        rows = [
            {**ours, "external_id": one.external_id, "post": one.post, "kind": one.kind, "sent_at": one.sent_at}
            for _, one in sorted(due.items())
        ]
        await session.execute(insert(InboundGap).values(rows).on_conflict_do_nothing())


async def _told_of(session: AsyncSession, community_id: UUID, external_ids: set[str]) -> set[tuple[str, bool]]:
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


async def _waiting(session: AsyncSession, community_id: UUID) -> set[tuple[str, bool]]:
    """What events tell of that are stored and not applied yet."""
    texts = await session.scalars(
        select(InboundEvent.payload).where(
            InboundEvent.workspace_id == workspace_of(session), InboundEvent.community_id == community_id, PENDING
        )
    )
    return {item for text in texts if text is not None for item in items(EVENT.validate_json(text))}


def missed(sent_by: datetime | ColumnElement[datetime]) -> ColumnElement[bool]:
    """The condition for what counts as missed; `sent_by` is `GRACE` ago."""
    return and_(InboundGap.sent_at <= sent_by, ~told_late())


async def count(session: AsyncSession, community_id: UUID) -> tuple[int, datetime | None]:
    """How much a community's hook has missed within `WINDOW`, and when the last of it was sent."""
    row = (
        await session.execute(
            select(func.count(), func.max(InboundGap.sent_at)).where(
                InboundGap.workspace_id == workspace_of(session),
                InboundGap.community_id == community_id,
                InboundGap.found_at > now(session) - WINDOW,
                missed(now(session) - GRACE),
            )
        )
    ).one()
    return row[0], row[1]
