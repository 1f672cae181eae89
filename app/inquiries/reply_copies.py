"""Finds the platform's copies of replies whose outcome is unknown, and merges them."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import ARRAY, Text, and_, any_, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.inquiries.models import InquiryEvent, Message, MessageDirection, ReplyDelivery
from app.kit.db import in_workspace, now, workspace_of
from app.platforms.markup import comparable

CLOCK_SKEW: Final = timedelta(minutes=2)
"""How far a platform's clock may be behind ours when the platform's copy of a reply is searched for."""
UNRESOLVED: Final = (ReplyDelivery.OUTCOME_UNKNOWN.value, ReplyDelivery.NEEDS_REVIEW.value)
SENDING_GRACE: Final = timedelta(minutes=2)
"""A reply that has been `sending` for longer may or may not have been sent: no attempt takes so long."""


_OF_COPY: Final = (
    *("external_id", "sent_at", "url", "written_by_id"),
    *("attachments", "hidden", "edited_at", "deleted_at"),
)
"""What the platform's copy of a reply says of it."""


async def match(
    session: AsyncSession, community_id: UUID, threads: Collection[str], *, doubtful: UUID | None = None
) -> None:
    """Find, among the stored messages of these threads, replies whose outcome was unknown, and merge them.

    `doubtful`: the id of a reply to include although it has been `sending` for less than `SENDING_GRACE`.
    """
    sending = and_(
        Message.delivery == ReplyDelivery.SENDING.value,
        or_(Message.intended_at <= now(session) - SENDING_GRACE, Message.id == doubtful),
    )
    of_threads = and_(
        in_workspace(Message, workspace_of(session)),
        Message.community_id == community_id,
        Message.thread_id == any_(literal(sorted(threads), ARRAY(Text))),
        Message.direction == MessageDirection.AGENCY.value,
    )
    unconfirmed = list(
        (
            await session.scalars(
                select(Message)
                .where(of_threads, or_(Message.delivery.in_(UNRESOLVED), sending))
                .order_by(Message.intended_at)
                .with_for_update()
            )
        ).all()
    )
    if not unconfirmed:
        return
    sent_after = min(message.intended_at or message.sent_at for message in unconfirmed) - CLOCK_SKEW
    candidates = list(
        (
            await session.scalars(
                select(Message)
                .where(of_threads, Message.delivery.is_(None), Message.content_known, Message.sent_at >= sent_after)
                .order_by(Message.sent_at, Message.id)
            )
        ).all()
    )
    for reply in unconfirmed:
        copy = next((candidate for candidate in candidates if _is_copy(candidate, reply)), None)
        if copy is not None:
            candidates.remove(copy)
            await merge(session, reply, copy)


def _is_copy(candidate: Message, reply: Message) -> bool:
    intended_at: datetime = reply.intended_at or reply.sent_at
    return (
        candidate.thread_id == reply.thread_id
        and candidate.sent_at >= intended_at - CLOCK_SKEW
        and comparable(candidate.text) == comparable(reply.text)
    )


async def merge(session: AsyncSession, reply: Message, copy: Message) -> None:
    """Merge the platform's copy into the reply's row, whose id the API has already given out.

    The text stays ours, as the copy may have a mention in front, unless it was edited on the platform since.
    """
    copied = {name: getattr(copy, name) for name in (*_OF_COPY, *(("text",) if copy.edited_at is not None else ()))}
    await session.delete(copy)
    await session.flush()  # its external_id must be free first
    for name, value in copied.items():
        setattr(reply, name, value)
    reply.delivery, reply.delivery_detail = ReplyDelivery.SENT.value, None
    if reply.inquiry_id is not None:
        session.add(
            InquiryEvent(
                workspace_id=reply.workspace_id,
                inquiry_id=reply.inquiry_id,
                type="sent",
                at=now(session),
                actor=None,
                data={"message_id": str(reply.id), "found": True},
            )
        )
    await session.flush()
