"""Delivery of replies: at most once.

queued → *sending* (the intent, committed before the call) → sent | failed | outcome_unknown. An
attempt that provably sent nothing goes back to queued.

Where a worker died between the platform's answer and our commit, the message is still `sending`, and
may have been sent. To a platform that drops repeats it is sent again with the same key, as long as the
platform keeps keys. Where that depends on the server (`FindsReplies`), and this one may not drop it, the
reply is first looked up there, and sent again only where it is still absent `RESEND_AFTER` the attempt.
To any other platform it is not sent again: the outcome is unknown, and polling searches the thread for
the reply. Where it is not found, a person has to check. A platform with `FindsReplies` is asked for the reply
first, `RESEND_AFTER` its outcome became unknown and once more before a person is.

A failed repeat (platform unavailable, rate limit, refused token) says nothing about the attempt before
it. So only the platform's confirmation, a poll that finds the reply, or a person settles it: a message
that may have been sent is never queued again, and never marked as failed.
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
from app.inquiries import reply_copies
from app.inquiries.events import ReplyFailed, ReplyNeedsReview
from app.inquiries.locking import lock_threads
from app.inquiries.models import Inquiry, InquiryEvent, Message, ReplyDelivery
from app.inquiries.recount import recount
from app.inquiries.replying import DISCONNECTED, is_late
from app.inquiries.service import RECONCILE, SEND_DEADLINE, record
from app.kit.db import fetch, in_workspace, now, workspace_of
from app.kit.events import publish
from app.kit.jobs import enqueue
from app.platforms.capabilities import FindsReplies, ReplyTo
from app.platforms.contract import Adapter, MessageKind, RemotePerson, SendReceipt

RECONCILE_TIMEOUT: Final = timedelta(hours=1)
"""How long polling may take to find a reply whose outcome is unknown."""

RESEND_AFTER: Final = timedelta(minutes=5)
"""How long after an attempt a reply may still appear on a server that shows it late: later it was not accepted."""

_WORKER_DIED: Final = "A worker ended while it was sending this answer."
_TOO_OLD: Final = "It could not be sent within a day. Send it anew if it still holds."


@dataclass(frozen=True, slots=True)
class Intent:
    """A reply to be sent now."""

    message_id: UUID
    community_id: UUID
    to: ReplyTo
    text: str
    repeat_safe_until: datetime | None = None
    """None: nothing was sent before. Else the outcome of an earlier attempt is unknown, and until this
    instant the platform drops a repeat of it.
    """
    attempted_at: datetime | None = None
    """When that attempt began; None: nothing was sent before."""

    @property
    def lookup_since(self) -> datetime:
        """The earliest time that the platform may have given to what that attempt sent."""
        assert self.attempted_at is not None, "only called for a repeat"
        return self.attempted_at - reply_copies.CLOCK_SKEW

    def may_resend(self, at: datetime) -> bool:
        """Whether a reply that is still absent was not accepted."""
        return self.attempted_at is None or at >= self.attempted_at + RESEND_AFTER


async def record_intent(session: AsyncSession, *, message_id: UUID) -> Intent | None:
    """Commit the intent to send; None where there is nothing to send, or it must not be sent again."""
    message, inquiry = await _locked(session, message_id)
    if message.delivery not in {ReplyDelivery.QUEUED.value, ReplyDelivery.SENDING.value}:
        return None
    repeat_safe_until: datetime | None = None
    if message.delivery == ReplyDelivery.SENDING.value:
        if await _found_by_polling(session, message, inquiry):
            return None
        repeat_safe_until = await _repeat_safe_until(session, message)
        if repeat_safe_until is None or now(session) >= repeat_safe_until:
            await _unknown(session, message, inquiry, _WORKER_DIED)
            return None
    else:
        if now(session) - message.sent_at > SEND_DEADLINE:
            await _failed(session, message, inquiry, _TOO_OLD)
            return None
        message.delivery, message.intended_at = ReplyDelivery.SENDING.value, now(session)
    to, why = await _reply_to(session, message, inquiry), "The message it answers is not known any more."
    if (await fetch(session, Community, message.community_id)).disconnected_at is not None:
        to, why = None, DISCONNECTED
    if to is None:
        if repeat_safe_until is None:
            await _failed(session, message, inquiry, why)
        else:
            await _unknown(session, message, inquiry, f"{_WORKER_DIED} {why}")
        return None
    attempted_at = None if repeat_safe_until is None else message.intended_at
    return Intent(message.id, message.community_id, to, message.text, repeat_safe_until, attempted_at)


async def unresolved(session: AsyncSession, *, message_id: UUID) -> Intent | None:
    """A reply that may have been sent, to be looked up on the platform; None for any other."""
    message, inquiry = await _locked(session, message_id)
    may_be_sent = message.delivery in {ReplyDelivery.OUTCOME_UNKNOWN.value, ReplyDelivery.SENDING.value}
    if not may_be_sent or message.intended_at is None:
        return None
    if (await fetch(session, Community, message.community_id)).disconnected_at is not None:
        return None
    to = await _reply_to(session, message, inquiry)
    if to is None:
        return None
    return Intent(message.id, message.community_id, to, message.text, attempted_at=message.intended_at)


async def _reply_to(session: AsyncSession, message: Message, inquiry: Inquiry) -> ReplyTo | None:
    """The message that a reply answers; None where it is not stored any more."""
    answered = await _answered_message(session, message)
    if answered is None or answered.external_id is None:
        return None
    return ReplyTo(
        external_id=answered.external_id,
        thread_id=message.thread_id,
        kind=MessageKind(inquiry.channel),
        author=RemotePerson(answered.author_id or "", answered.author_name),
        post_id=inquiry.post_id,
        late=is_late((await _adapter_class(session, message)).spec, inquiry.channel, answered, now(session)),
        by_person=not message.automatic,
    )


async def resolve(
    session: AsyncSession, *, intent: Intent, candidates: Sequence[SendReceipt], may_resend: bool
) -> SendReceipt | None:
    """The one of these replies on the platform that an earlier attempt sent; None where it sent none.

    Those that the platform has confirmed for other messages are not counted. Where none is left and it
    `may_resend`, the intent is renewed: another attempt begins now.
    """
    message, _ = await _locked(session, intent.message_id)
    confirmed = await session.scalars(
        select(Message.external_id).where(
            in_workspace(Message, workspace_of(session)),
            Message.community_id == message.community_id,
            Message.external_id.in_([one.external_id for one in candidates]),
            Message.delivery.is_not(None),
            Message.id != message.id,
        )
    )
    others = set(confirmed)
    receipt = next((one for one in candidates if one.external_id not in others), None)
    if receipt is None and may_resend:
        message.intended_at = now(session)
    return receipt


async def _repeat_safe_until(session: AsyncSession, message: Message) -> datetime | None:
    """Until when the platform drops a repeat of this reply; None where it would deliver it twice."""
    dedup_window = (await _adapter_class(session, message)).spec.replies_dedup_window
    return None if dedup_window is None or message.intended_at is None else message.intended_at + dedup_window


async def _adapter_class(session: AsyncSession, message: Message) -> type[Adapter]:
    return platforms.adapter((await fetch(session, Community, message.community_id)).platform)


async def _found_by_polling(session: AsyncSession, message: Message, inquiry: Inquiry) -> bool:
    """Whether polling has already found the reply on the platform."""
    await reply_copies.match(session, message.community_id, [message.thread_id], doubtful=message.id)
    if message.delivery != ReplyDelivery.SENT.value:
        return False
    await _recount(session, inquiry, [message.thread_id])
    return True


async def _answered_message(session: AsyncSession, message: Message) -> Message | None:
    matched: Message | None = await session.scalar(
        select(Message).where(
            in_workspace(Message, workspace_of(session)),
            Message.community_id == message.community_id,
            Message.external_id == message.in_reply_to,
        )
    )
    return matched


async def delivered(session: AsyncSession, *, message_id: UUID, sent: SendReceipt) -> None:
    """The platform has confirmed the reply. Where polling has stored its copy already, the two are merged."""
    message, inquiry = await _locked(session, message_id)
    if message.delivery == ReplyDelivery.SENT.value:
        return
    copy = await session.scalar(
        select(Message).where(
            in_workspace(Message, workspace_of(session)),
            Message.community_id == message.community_id,
            Message.external_id == sent.external_id,
        )
    )
    if copy is not None and await _matched_by_polling_only(session, copy):
        # The copy was matched to another reply with the same text: the platform's confirmation decides.
        copy.external_id, copy.url, copy.sent_at = None, None, copy.intended_at or copy.sent_at
        await _unknown(session, copy, inquiry, "What was found of it was another answer with the same words.")
    elif copy is not None:
        await reply_copies.merge(session, message, copy)
        await _recount(session, inquiry, [message.thread_id, copy.thread_id])
        return
    answered = await _answered_message(session, message)
    message.external_id, message.url = sent.external_id, sent.url
    # Never before the message it replies to, whatever the platform's clock says; polling brings the exact time.
    at = sent.sent_at or now(session)
    message.sent_at = max(at, answered.sent_at) if answered is not None else at
    message.delivery, message.delivery_detail = ReplyDelivery.SENT.value, None
    record(session, None, inquiry.id, "sent", message_id=str(message.id), found=False)
    await session.flush()
    await _recount(session, inquiry, [message.thread_id])


async def _matched_by_polling_only(session: AsyncSession, copy: Message) -> bool:
    """Whether this is a reply that polling has matched, and that the platform has not confirmed."""
    matched = select(InquiryEvent.id).where(
        in_workspace(InquiryEvent, workspace_of(session)),
        InquiryEvent.inquiry_id == copy.inquiry_id,
        InquiryEvent.type == "sent",
        InquiryEvent.data.contains({"message_id": str(copy.id), "found": True}),
    )
    return copy.delivery is not None and await session.scalar(matched.limit(1)) is not None


async def requeue(session: AsyncSession, *, intent: Intent, why: str) -> None:
    """This attempt sent nothing, and another follows. A message that may have been sent before is not queued."""
    message, inquiry = await _locked(session, intent.message_id)
    if message.delivery != ReplyDelivery.SENDING.value:
        return
    if intent.repeat_safe_until is None:
        message.delivery, message.delivery_detail, message.intended_at = ReplyDelivery.QUEUED.value, why, None
    elif not await _found_by_polling(session, message, inquiry):
        message.delivery_detail = f"{_WORKER_DIED} It is not sent twice: the attempt is repeated safely. {why}"


async def failed(session: AsyncSession, *, intent: Intent, why: str) -> None:
    """This attempt sent nothing, and no other follows: failed, or unknown if an earlier attempt may have sent it."""
    message, inquiry = await _locked(session, intent.message_id)
    if message.delivery not in {ReplyDelivery.QUEUED.value, ReplyDelivery.SENDING.value}:
        return
    if intent.repeat_safe_until is None:
        await _failed(session, message, inquiry, why)
    else:
        await _unknown(
            session, message, inquiry, f"{_WORKER_DIED} The platform has not said since whether it has it: {why}"
        )


async def job_failed(session: AsyncSession, message_id: UUID) -> None:
    """Its job is dead. Where an intent was committed, the outcome is unknown."""
    message, inquiry = await _locked(session, message_id)
    if message.delivery == ReplyDelivery.QUEUED.value:
        await _failed(session, message, inquiry, "Something went wrong here, and it was not sent. Send it anew.")
    elif message.delivery == ReplyDelivery.SENDING.value:
        await _unknown(session, message, inquiry, "Every worker that was sending this answer ended midway.")


async def unknown(session: AsyncSession, *, message_id: UUID, why: str) -> None:
    """It may have been sent."""
    message, inquiry = await _locked(session, message_id)
    if message.delivery == ReplyDelivery.SENDING.value:
        await _unknown(session, message, inquiry, why)


async def require_review(session: AsyncSession, *, message_id: UUID) -> None:
    """Polling has not found the reply in time: a person has to check."""
    message, inquiry = await _locked(session, message_id)
    if message.delivery == ReplyDelivery.QUEUED.value:
        await _failed(session, message, inquiry, _TOO_OLD)
    if message.delivery not in {ReplyDelivery.OUTCOME_UNKNOWN.value, ReplyDelivery.SENDING.value}:
        return
    message.delivery = ReplyDelivery.NEEDS_REVIEW.value
    message.delivery_detail = (
        "The platform did not say whether it took this answer, and it has not turned up since. "
        "Look at the thread there; if it is missing, answer again."
    )
    record(session, None, inquiry.id, "needs_review", message_id=str(message.id))
    await publish(
        session, ReplyNeedsReview(inquiry.id, inquiry.project_id, inquiry.community_id, now(session), message.id)
    )


async def _locked(session: AsyncSession, message_id: UUID) -> tuple[Message, Inquiry]:
    community_id = (await fetch(session, Message, message_id)).community_id
    await lock_threads(session, community_id)
    message = await fetch(session, Message, message_id, for_update=True)
    await session.refresh(message)  # it may have changed while we waited for the lock
    assert message.inquiry_id is not None, "an answer belongs to an inquiry"
    return message, await fetch(session, Inquiry, message.inquiry_id)


async def _failed(session: AsyncSession, message: Message, inquiry: Inquiry, why: str) -> None:
    message.delivery, message.delivery_detail = ReplyDelivery.FAILED.value, why
    record(session, None, inquiry.id, "failed", message_id=str(message.id), detail=why)
    await publish(
        session, ReplyFailed(inquiry.id, inquiry.project_id, inquiry.community_id, now(session), message.id, why)
    )


async def _unknown(session: AsyncSession, message: Message, inquiry: Inquiry, why: str) -> None:
    message.delivery = ReplyDelivery.OUTCOME_UNKNOWN.value
    message.delivery_detail = f"{why} It is looked for on the platform and not sent again."
    record(session, None, inquiry.id, "outcome_unknown", message_id=str(message.id), detail=why)
    await session.flush()
    if await _found_by_polling(session, message, inquiry):
        return
    is_looked_up = issubclass(await _adapter_class(session, message), FindsReplies)
    due: datetime = now(session) + (RESEND_AFTER if is_looked_up else RECONCILE_TIMEOUT)
    await enqueue(
        session, RECONCILE, workspace_id=workspace_of(session), key=str(message.id), at=due, message_id=message.id
    )


async def _recount(session: AsyncSession, inquiry: Inquiry, threads: Sequence[str]) -> None:
    await recount(session, project_id=inquiry.project_id, community_id=inquiry.community_id, threads=set(threads))
