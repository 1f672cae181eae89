"""Dates that the authors' servers have written into messages: bounded by what is known of the messages around them."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, Text, any_, literal, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.communities.events import CommunityRef
from app.communities.models import Publication
from app.inquiries.models import Message
from app.kit.db import in_workspace, now
from app.platforms.contract import RemoteMessage


async def bound(
    session: AsyncSession, community: CommunityRef, seen: Sequence[tuple[RemoteMessage, UUID | None]]
) -> Sequence[tuple[RemoteMessage, UUID | None]]:
    """The same messages, those that their authors' servers have dated at a time that is possible.

    A stored message keeps its date. A new one was sent before now, and after what it replies to and the publication
    it comments on: an author may have dated it years back or ahead.
    """
    claimed = [(message, publication_id) for message, publication_id in seen if message.dated_by_author]
    if not claimed:
        return seen
    ids = {one.external_id for one, _ in claimed} | {one.in_reply_to for one, _ in claimed if one.in_reply_to}
    stored = await _sent_at(session, community, ids)
    published = await _published_at(session, community, {one for _, one in claimed if one is not None})
    sent_at = {one.external_id: one.sent_at for one, _ in seen if not one.dated_by_author} | stored
    bounded = {}
    # A parent has been bounded before its replies: platforms list it first.
    for message, publication_id in claimed:
        earliest = [sent_at.get(message.in_reply_to or ""), published.get(publication_id)]
        bounds = [at for at in earliest if at is not None]
        at = stored.get(message.external_id) or min(max([message.sent_at, *bounds]), now(session))
        sent_at[message.external_id] = at
        bounded[message.external_id] = at
    return [
        (replace(one, sent_at=bounded[one.external_id]) if one.dated_by_author else one, publication_id)
        for one, publication_id in seen
    ]


async def _sent_at(
    session: AsyncSession, community: CommunityRef, external_ids: Collection[str]
) -> dict[str, datetime]:
    rows = await session.execute(
        select(Message.external_id, Message.sent_at).where(
            in_workspace(Message, community.workspace_id),
            Message.community_id == community.community_id,
            Message.external_id == any_(literal(sorted(external_ids), ARRAY(Text))),
        )
    )
    return {row.external_id: row.sent_at for row in rows}


async def _published_at(
    session: AsyncSession, community: CommunityRef, publication_ids: Collection[UUID]
) -> dict[UUID | None, datetime]:
    rows = await session.execute(
        select(Publication.id, Publication.published_at).where(
            in_workspace(Publication, community.workspace_id), Publication.id.in_(publication_ids)
        )
    )
    return {row.id: row.published_at for row in rows}
