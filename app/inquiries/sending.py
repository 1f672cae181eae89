"""An answer on its way to the customer: sent once, or never.

queued → *sending* (the intent, committed before the call) → sent | failed | outcome_unknown. An
attempt that provably sent nothing goes back to queued.

Where a worker died between the platform's answer and our commit, the message still stands as
sending: it is in doubt. A platform that drops repeats is asked again with the same key, as long as
it remembers keys. Any other is not: the outcome is unknown, and polling looks for the answer in its
thread. Where it does not turn up, a person has to look.

That a repeat fails (the platform is away, asks for fewer calls, refuses the token) says nothing of
the attempt before it. So only the platform's word that it has the answer, the poll that finds it,
or a person ends the doubt: a message in doubt is never queued again, and never told to have failed.
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
from app.inquiries.locking import lock_threads
from app.inquiries.models import Delivery, Inquiry, InquiryEvent, Message
from app.inquiries.recount import recount
from app.inquiries.service import RECONCILE, STALE, record
from app.kit.db import fetch, in_workspace, now, workspace_of
from app.kit.events import publish
from app.kit.jobs import enqueue
from app.platforms.capabilities import ReplyTo
from app.platforms.contract import MessageKind, RemotePerson, SendReceipt

WAIT_TIMEOUT: Final = timedelta(hours=1)
"""How long polling may take to find an answer whose outcome is unknown."""

_ENDED: Final = "A worker ended while it was sending this answer."
_TOO_OLD: Final = "It could not be sent within a day. Send it anew if it still holds."


@dataclass(frozen=True, slots=True)
class Intent:
    """An answer that may be sent now."""

    message_id: UUID
    community_id: UUID
    to: ReplyTo
    text: str
    doubted_until: datetime | None = None
    """None: nothing was sent before. Else nobody knows what became of an attempt before this one, and until
    then the platform drops a repeat of it.
    """


async def intend(session: AsyncSession, *, message_id: UUID) -> Intent | None:
    """Commit the intent to send; None where there is nothing to send, or it must not be sent again."""
    message, inquiry = await _locked(session, message_id)
    if message.delivery not in {Delivery.QUEUED.value, Delivery.SENDING.value}:
        return None
    doubted_until: datetime | None = None
    if message.delivery == Delivery.SENDING.value:
        if await _found(session, message, inquiry):
            return None
        doubted_until = await _remembered_until(session, message)
        if doubted_until is None or now(session) >= doubted_until:
            await _unknown(session, message, inquiry, _ENDED)
            return None
    else:
        if now(session) - message.sent_at > STALE:
            await _failed(session, message, inquiry, _TOO_OLD)
            return None
        message.delivery, message.intended_at = Delivery.SENDING.value, now(session)
    answered = await _answered(session, message)
    if answered is None or answered.external_id is None:
        why = "The message it answers is not known any more."
        if doubted_until is None:
            await _failed(session, message, inquiry, why)
        else:
            await _unknown(session, message, inquiry, f"{_ENDED} {why}")
        return None
    to = ReplyTo(
        external_id=answered.external_id,
        thread_id=message.thread_id,
        kind=MessageKind(inquiry.channel),
        author=RemotePerson(answered.author_id or "", answered.author_name),
        post_id=inquiry.post_id,
    )
    return Intent(message.id, message.community_id, to, message.text, doubted_until)


async def _remembered_until(session: AsyncSession, message: Message) -> datetime | None:
    """Until when the platform drops a repeat of this very answer; None where it would send it twice."""
    community = await fetch(session, Community, message.community_id)
    remembered = platforms.adapter(community.platform).spec.replies_remembered
    return None if remembered is None or message.intended_at is None else message.intended_at + remembered


async def _found(session: AsyncSession, message: Message, inquiry: Inquiry) -> bool:
    """Whether polling has found it already, faster than we."""
    await intake.adopt(session, message.community_id, [message.thread_id], doubtful=message.id)
    if message.delivery != Delivery.SENT.value:
        return False
    await _recount(session, inquiry, [message.thread_id])
    return True


async def _answered(session: AsyncSession, message: Message) -> Message | None:
    found: Message | None = await session.scalar(
        select(Message).where(
            in_workspace(Message, workspace_of(session)),
            Message.community_id == message.community_id,
            Message.external_id == message.in_reply_to,
        )
    )
    return found


async def delivered(session: AsyncSession, *, message_id: UUID, sent: SendReceipt) -> None:
    """The platform has it. Where polling has found it already, the two become one."""
    message, inquiry = await _locked(session, message_id)
    if message.delivery == Delivery.SENT.value:
        return
    copy = await session.scalar(
        select(Message).where(
            in_workspace(Message, workspace_of(session)),
            Message.community_id == message.community_id,
            Message.external_id == sent.external_id,
        )
    )
    if copy is not None and await _only_found(session, copy):
        # It was taken for another answer of ours with the same words: the platform knows better whose it is.
        copy.external_id, copy.url, copy.sent_at = None, None, copy.intended_at or copy.sent_at
        await _unknown(session, copy, inquiry, "What was found of it was another answer with the same words.")
    elif copy is not None:
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


async def _only_found(session: AsyncSession, copy: Message) -> bool:
    """Whether this is an answer of ours that polling has recognised, and of which the platform said nothing."""
    found = select(InquiryEvent.id).where(
        in_workspace(InquiryEvent, workspace_of(session)),
        InquiryEvent.inquiry_id == copy.inquiry_id,
        InquiryEvent.type == "sent",
        InquiryEvent.data.contains({"message_id": str(copy.id), "found": True}),
    )
    return copy.delivery is not None and await session.scalar(found.limit(1)) is not None


async def put_back(session: AsyncSession, *, intent: Intent, why: str) -> None:
    """This attempt sent nothing, and another follows. What was in doubt before it still is, and is not queued."""
    message, inquiry = await _locked(session, intent.message_id)
    if message.delivery != Delivery.SENDING.value:
        return
    if intent.doubted_until is None:
        message.delivery, message.delivery_detail, message.intended_at = Delivery.QUEUED.value, why, None
    elif not await _found(session, message, inquiry):
        message.delivery_detail = f"{_ENDED} The platform is asked again, and drops what it has already. {why}"


async def failed(session: AsyncSession, *, intent: Intent, why: str) -> None:
    """This attempt sent nothing, and no other follows: it was not sent, unless that was in doubt before."""
    message, inquiry = await _locked(session, intent.message_id)
    if message.delivery not in {Delivery.QUEUED.value, Delivery.SENDING.value}:
        return
    if intent.doubted_until is None:
        await _failed(session, message, inquiry, why)
    else:
        await _unknown(session, message, inquiry, f"{_ENDED} The platform has not said since whether it has it: {why}")


async def abandoned(session: AsyncSession, message_id: UUID) -> None:
    """Its job was given up. Where an intent stands, nobody has seen what became of it."""
    message, inquiry = await _locked(session, message_id)
    if message.delivery == Delivery.QUEUED.value:
        await _failed(session, message, inquiry, "Something went wrong here, and it was not sent. Send it anew.")
    elif message.delivery == Delivery.SENDING.value:
        await _unknown(session, message, inquiry, "Every worker that was sending this answer ended midway.")


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
    await lock_threads(session, community_id)
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
    if await _found(session, message, inquiry):
        return
    due: datetime = now(session) + WAIT_TIMEOUT
    await enqueue(
        session, RECONCILE, workspace_id=workspace_of(session), key=str(message.id), at=due, message_id=message.id
    )


async def _recount(session: AsyncSession, inquiry: Inquiry, threads: Sequence[str]) -> None:
    await recount(session, project_id=inquiry.project_id, community_id=inquiry.community_id, threads=set(threads))
