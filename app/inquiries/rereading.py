"""What is to be looked at again on the platform, and what was found to be deleted there."""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import ARRAY, Text, all_, and_, any_, func, literal, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.communities.events import CommentsListed
from app.inquiries.locking import lock_threads
from app.inquiries.models import Inquiry, InquiryStatus, Message, MessageDirection
from app.inquiries.recount import recount
from app.kit.db import in_workspace, workspace_of
from app.platforms.contract import MessageKind

LISTED_WITHIN: Final = timedelta(minutes=5)
"""How late a platform's list may show a comment."""
STALE_FOR: Final = timedelta(hours=1)
"""How long a platform's list may show a comment that is deleted."""


async def absent(session: AsyncSession, listed: CommentsListed) -> list[str]:
    """Ids of comments that are stored as not deleted, and that the platform lists no more.

    On a platform that does not list what is below a deleted comment, without those that may only be hidden; of them,
    what customers wait for an answer to is put `in_doubt`.
    """
    listed_ids = literal(sorted(listed.external_ids), ARRAY(Text))
    rows = await session.execute(
        select(
            Message.external_id,
            or_(
                Message.in_reply_to.is_(None),
                Message.in_reply_to == Inquiry.post_id,
                Message.in_reply_to == any_(listed_ids),
            ).label("below_listed"),
            and_(
                Message.direction == MessageDirection.CUSTOMER.value, Inquiry.status == InquiryStatus.OPEN.value
            ).label("awaits_answer"),
        )
        .join(Inquiry, and_(Inquiry.workspace_id == Message.workspace_id, Inquiry.id == Message.inquiry_id))
        .where(
            in_workspace(Inquiry, workspace_of(session)),
            Inquiry.community_id == listed.community.community_id,
            Inquiry.publication_id == listed.publication_id,
            Inquiry.channel == MessageKind.COMMENT.value,
            Message.external_id.is_not(None),
            Message.external_id != all_(listed_ids),
            Message.delivery.is_(None),
            Message.deleted_at.is_(None),
            Message.content_known,
            Message.sent_at >= listed.since,
            # A list may show a new comment a little late.
            Message.sent_at < listed.began - LISTED_WITHIN,
        )
    )
    deleted: list[str] = []
    for row in rows:
        if row.below_listed or listed.in_doubt is None:
            deleted.append(row.external_id)
        elif row.awaits_answer:
            listed.in_doubt.add(row.external_id)
    return deleted


async def restore(session: AsyncSession, listed: CommentsListed) -> None:
    """Mark comments as not deleted that the platform lists long after they were taken for deleted."""
    if not listed.external_ids:
        return
    community = listed.community
    await lock_threads(session, community.community_id)
    threads = await session.scalars(
        update(Message)
        .where(
            in_workspace(Message, workspace_of(session)),
            Message.community_id == community.community_id,
            Message.external_id == any_(literal(sorted(listed.external_ids), ARRAY(Text))),
            Message.deleted_at < listed.began - STALE_FOR,
        )
        .values(deleted_at=None)
        .returning(Message.thread_id)
    )
    if restored := set(threads):
        await recount(session, project_id=community.project_id, community_id=community.community_id, threads=restored)


async def open_publications(session: AsyncSession, community_id: UUID, since: datetime | None, most: int) -> list[UUID]:
    """The publications with open threads, those in which somebody wrote last first."""
    latest = func.max(Inquiry.last_message_at)
    query = (
        select(Inquiry.publication_id)
        .where(
            in_workspace(Inquiry, workspace_of(session)),
            Inquiry.community_id == community_id,
            text("inquiry.status = 'open' AND inquiry.publication_id IS NOT NULL"),  # as the index has it
        )
        .group_by(Inquiry.publication_id)
        .order_by(latest.desc())
        .limit(most)
    )
    if since is not None:
        query = query.where(Inquiry.last_message_at >= since)
    return [publication_id for publication_id in await session.scalars(query) if publication_id is not None]
