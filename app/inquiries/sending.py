"""An answer on its way to the customer: sent once, or never.

queued → *sending* (the intent, committed before the call) → sent | failed | outcome_unknown. An
attempt that provably sent nothing goes back to queued.

Where a worker died between the platform's answer and our commit, the message still stands as
sending. A platform that drops repeats is asked again with the same key, as long as it remembers
keys. Any other is not: the outcome is unknown, and polling looks for the answer in its thread.
Where it does not turn up, a person has to look.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app import platforms
from app.communities.models import Community
from app.inquiries import intake
from app.inquiries.events import ReplyFailed, ReplyNeedsReview
from app.inquiries.holding import hold
from app.inquiries.models import Delivery, Inquiry, Message
from app.inquiries.recount import recount
from app.inquiries.service import RECONCILE, STALE, record
from app.kit.db import fetch, mine, now, workspace_of
from app.kit.events import publish
from app.kit.jobs import enqueue
from app.platforms.abilities import ReplyTo
from app.platforms.contract import MessageKind, RemotePerson, Sent

PATIENCE: Final = timedelta(hours=1)
"""How long polling may take to find an answer whose outcome is unknown."""

_TOO_OLD: Final = "It could not be sent within a day. Send it anew if it still holds."


@dataclass(frozen=True, slots=True)
class Intent:
    """An answer that may be sent now."""

    community_id: UUID
    to: ReplyTo
    text: str


async def intend(session: AsyncSession, *, message_id: UUID) -> Intent | None:
    """Commit the intent to send; None where there is nothing to send, or it must not be sent again."""
    message, inquiry = await _locked(session, message_id)
    if message.delivery not in {Delivery.QUEUED.value, Delivery.SENDING.value}:
        return None
    if message.delivery == Delivery.SENDING.value and not await _repeatable(session, message):
        await _unknown(session, message, inquiry, "A worker ended while it was sending this answer.")
        return None
    if message.delivery == Delivery.QUEUED.value:
        if now(session) - message.sent_at > STALE:
            await _failed(session, message, inquiry, _TOO_OLD)
            return None
        message.delivery, message.intended_at = Delivery.SENDING.value, now(session)
    answered = await _answered(session, message)
    if answered is None or answered.external_id is None:
        await _failed(session, message, inquiry, "The message it answers is not known any more.")
        return None
    to = ReplyTo(
        external_id=answered.external_id,
        thread_id=message.thread_id,
        kind=MessageKind(inquiry.channel),
        author=RemotePerson(answered.author_id or "", answered.author_name),
        post_id=inquiry.post_id,
    )
    return Intent(message.community_id, to, message.text)


async def _repeatable(session: AsyncSession, message: Message) -> bool:
    """Whether the platform still drops a repeat of this very answer."""
    community = await fetch(session, Community, message.community_id)
    remembered = platforms.adapter(community.platform).spec.replies_remembered
    return (
        remembered is not None and message.intended_at is not None and now(session) - message.intended_at < remembered
    )


async def _answered(session: AsyncSession, message: Message) -> Message | None:
    found: Message | None = await session.scalar(
        select(Message).where(
            mine(Message, workspace_of(session)),
            Message.community_id == message.community_id,
            Message.external_id == message.in_reply_to,
        )
    )
    return found


async def delivered(session: AsyncSession, *, message_id: UUID, sent: Sent) -> None:
    """The platform has it. Where polling has found it already, the two become one."""
    message, inquiry = await _locked(session, message_id)
    if message.delivery == Delivery.SENT.value:
        return
    copy = await session.scalar(
        select(Message).where(
            mine(Message, workspace_of(session)),
            Message.community_id == message.community_id,
            Message.external_id == sent.external_id,
        )
    )
    if copy is not None:
        await intake.merge(session, message, copy)
        await _recount(session, inquiry, [message.thread_id, copy.thread_id])
        return
    answered = await _answered(session, message)
    message.external_id, message.url = sent.external_id, sent.url
    # Never before what it answers, whatever the platform's clock says; its own time comes with the poll.
    at = sent.sent_at or now(session)
    message.sent_at = max(at, answered.sent_at) if answered is not None else at
    message.delivery, message.delivery_detail = Delivery.SENT.value, None
    record(session, inquiry.id, "sent", None, message_id=str(message.id), found=False)
    await session.flush()
    await _recount(session, inquiry, [message.thread_id])


async def put_back(session: AsyncSession, *, message_id: UUID, why: str) -> None:
    """Nothing was sent: it will be tried again."""
    message, _ = await _locked(session, message_id)
    if message.delivery == Delivery.SENDING.value:
        message.delivery, message.delivery_detail, message.intended_at = Delivery.QUEUED.value, why, None


async def failed(session: AsyncSession, *, message_id: UUID, why: str) -> None:
    """It was not sent and will not be."""
    message, inquiry = await _locked(session, message_id)
    if message.delivery in {Delivery.QUEUED.value, Delivery.SENDING.value}:
        await _failed(session, message, inquiry, why)


async def unknown(session: AsyncSession, *, message_id: UUID, why: str) -> None:
    """It may have been sent."""
    message, inquiry = await _locked(session, message_id)
    if message.delivery == Delivery.SENDING.value:
        await _unknown(session, message, inquiry, why)


async def give_up(session: AsyncSession, *, message_id: UUID) -> None:
    """Polling has had its time: where it has not found the answer, a person has to look."""
    message, inquiry = await _locked(session, message_id)
    if message.delivery == Delivery.QUEUED.value:
        await _failed(session, message, inquiry, _TOO_OLD)
    if message.delivery not in {Delivery.OUTCOME_UNKNOWN.value, Delivery.SENDING.value}:
        return
    message.delivery = Delivery.NEEDS_REVIEW.value
    message.delivery_detail = (
        "The platform did not say whether it took this answer, and it has not turned up since. "
        "Look at the thread there; if it is missing, answer again."
    )
    record(session, inquiry.id, "needs_review", None, message_id=str(message.id))
    await publish(
        session, ReplyNeedsReview(inquiry.id, inquiry.project_id, inquiry.community_id, now(session), message.id)
    )


async def _locked(session: AsyncSession, message_id: UUID) -> tuple[Message, Inquiry]:
    community_id = (await fetch(session, Message, message_id)).community_id
    await hold(session, community_id)
    message = await fetch(session, Message, message_id, for_update=True)
    await session.refresh(message)  # it may have changed while we waited
    assert message.inquiry_id is not None, "an answer belongs to an inquiry"
    return message, await fetch(session, Inquiry, message.inquiry_id)


async def _failed(session: AsyncSession, message: Message, inquiry: Inquiry, why: str) -> None:
    message.delivery, message.delivery_detail = Delivery.FAILED.value, why
    record(session, inquiry.id, "failed", None, message_id=str(message.id), detail=why)
    await publish(
        session, ReplyFailed(inquiry.id, inquiry.project_id, inquiry.community_id, now(session), message.id, why)
    )


async def _unknown(session: AsyncSession, message: Message, inquiry: Inquiry, why: str) -> None:
    message.delivery = Delivery.OUTCOME_UNKNOWN.value
    message.delivery_detail = f"{why} It is looked for on the platform and not sent again."
    record(session, inquiry.id, "outcome_unknown", None, message_id=str(message.id), detail=why)
    await session.flush()
    # The poll may have been faster than we.
    await intake.adopt(session, message.community_id, [message.thread_id])
    if message.delivery == Delivery.SENT.value:
        await _recount(session, inquiry, [message.thread_id])
        return
    due: datetime = now(session) + PATIENCE
    await enqueue(
        session, RECONCILE, workspace_id=workspace_of(session), key=str(message.id), at=due, message_id=message.id
    )


async def _recount(session: AsyncSession, inquiry: Inquiry, threads: Sequence[str]) -> None:
    await recount(session, project_id=inquiry.project_id, community_id=inquiry.community_id, threads=set(threads))
