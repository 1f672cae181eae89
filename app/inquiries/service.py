"""Replying to inquiries and changing them."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from itertools import groupby
from typing import Any, Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app import platforms
from app.access import audit
from app.communities.models import Community
from app.inquiries.conversation import Transition
from app.inquiries.counts import INQUIRY_TALLY
from app.inquiries.gauges import REPLIES
from app.inquiries.models import Inquiry, InquiryEvent, InquiryStatus, Message, MessageDirection, ReplyDelivery
from app.inquiries.recount import recount
from app.inquiries.replying import reply_terms
from app.inquiries.schemas import Action, Classify, Resolve
from app.kit.actors import Actor
from app.kit.bulk_results import refusal
from app.kit.db import after_commit, fetch, in_workspace, now, workspace_of
from app.kit.errors import AppError, Conflict, Invalid, NotFound
from app.kit.jobs import enqueue
from app.platforms import outgoing
from app.platforms.contract import MessageKind
from app.projects.service import lock_calendars

SEND: Final = "inquiries.send"
RECONCILE: Final = "inquiries.reconcile"
DELIVERIES: Final = frozenset({"sent", "failed", "outcome_unknown", "needs_review"})
"""Events that tell how a reply went; they are counted for the metrics."""
SEND_DEADLINE: Final = timedelta(hours=24)
"""A reply that could not be sent within this time is not sent any more."""


async def reply(session: AsyncSession, actor: Actor, *, inquiry_id: UUID, text: str, automatic: bool) -> Message:
    """Store a reply and enqueue the job that sends it, both in this transaction.

    Raises `Conflict` where the platform takes no such reply (`replying`), `Invalid` where the text is longer than it
    allows.
    """
    inquiry = await fetch(session, Inquiry, inquiry_id, for_update=True)
    community = await fetch(session, Community, inquiry.community_id)
    adapter_class = platforms.adapters().get(community.platform)
    answered = await session.scalar(
        select(Message)
        .where(
            in_workspace(Message, workspace_of(session)),
            Message.inquiry_id == inquiry.id,
            Message.direction == MessageDirection.CUSTOMER.value,
            Message.deleted_at.is_(None),
            Message.content_known,
        )
        .order_by(Message.sent_at.desc(), Message.id.desc())
        .limit(1)
    )
    terms = reply_terms(
        adapter_class,
        community.platform,
        inquiry.channel,
        answered,
        now(session),
        connected=community.disconnected_at is None,
        automatic=automatic,
    )
    if terms.refusal is not None:
        raise Conflict(terms.refusal.detail, code=terms.refusal.code)
    assert adapter_class is not None, "else it is refused"
    assert answered is not None, "else it is refused"
    spec = adapter_class.spec
    is_message = inquiry.channel == MessageKind.MESSAGE.value
    limit = spec.message_text_limit if is_message else spec.reply_text_limit
    if (excess := outgoing.excess(text, limit)) is not None:
        detail = f"{spec.title} takes answers of {excess}."
        raise Invalid(
            detail,
            code="text-too-long",
            errors=[{"in": "body", "field": "text", "code": "text-too-long", "detail": detail}],
        )
    message = Message(
        workspace_id=workspace_of(session),
        inquiry_id=inquiry.id,
        community_id=community.id,
        thread_id=inquiry.thread_id,
        external_id=None,
        direction=MessageDirection.AGENCY.value,
        automatic=automatic,
        author_id=community.external_id,
        author_name=community.title or "",
        text=text,
        sent_at=now(session),
        in_reply_to=answered.external_id,
        delivery=ReplyDelivery.QUEUED.value,
    )
    session.add(message)
    await session.flush()
    audit.record(
        session,
        actor,
        "inquiries.reply",
        inquiry_id=inquiry.id,
        project_id=inquiry.project_id,
        message_id=message.id,
        after={"delivery": message.delivery, "automatic": automatic, "length": len(text)},
    )
    record(session, actor, inquiry.id, "replied", message_id=str(message.id))
    job_args: dict[str, Any] = {"workspace_id": workspace_of(session), "key": str(message.id), "message_id": message.id}
    await enqueue(session, SEND, **job_args)
    # Whatever happens to that job, the reply reaches a final state.
    await enqueue(session, RECONCILE, at=now(session) + SEND_DEADLINE + timedelta(hours=1), **job_args)
    return message


async def change(
    session: AsyncSession, actor: Actor, actions: Mapping[UUID, Action], *, atomic: bool = False
) -> dict[UUID, Inquiry | AppError]:
    """Classify, resolve or reopen inquiries; returns each changed inquiry, or why it was not changed, by id.

    `atomic`: where one cannot be changed, none is, and `Invalid` (`bulk-refused`) lists all that cannot.
    """
    selected = in_workspace(Inquiry, workspace_of(session)), Inquiry.id.in_(actions)
    # Before any inquiry, as in `recount`.
    await lock_calendars(session, await session.scalars(select(Inquiry.project_id).where(*selected).distinct()))
    rows = await session.scalars(select(Inquiry).where(*selected).order_by(Inquiry.id).with_for_update())
    by_id = {row.id: row for row in rows}
    refusals: dict[UUID, AppError] = {}
    for inquiry_id, action in actions.items():
        inquiry = by_id.get(inquiry_id)
        error = NotFound() if inquiry is None else _refusal(inquiry, action)
        if error is not None:
            refusals[inquiry_id] = error
    if atomic and refusals:
        index_by_id = {inquiry_id: index for index, inquiry_id in enumerate(actions)}
        raise refusal({index_by_id[inquiry_id]: error for inquiry_id, error in refusals.items()}, len(actions))
    changed = [by_id[inquiry_id] for inquiry_id in actions if inquiry_id not in refusals]
    counted = INQUIRY_TALLY.changes(workspace_of(session))
    for inquiry in changed:
        counted.move(inquiry, None)
        _apply(session, actor, inquiry, actions[inquiry.id])
        counted.move(None, inquiry)
    await session.flush()
    await counted.store(session)
    await _recount(session, changed)
    changed_by_id = {inquiry.id: inquiry for inquiry in changed}
    return {inquiry_id: refusals.get(inquiry_id) or changed_by_id[inquiry_id] for inquiry_id in actions}


async def change_one(session: AsyncSession, actor: Actor, *, inquiry_id: UUID, action: Action) -> Inquiry:
    """Classify, resolve or reopen one inquiry; raises `NotFound`, or `Conflict` where it has that status already."""
    outcome = (await change(session, actor, {inquiry_id: action}))[inquiry_id]
    if isinstance(outcome, AppError):
        raise outcome
    return outcome


def _refusal(inquiry: Inquiry, action: Action) -> AppError | None:
    if isinstance(action, Classify):
        return None
    if isinstance(action, Resolve):
        # A person may confirm an automatic resolution: then the inquiry counts as handled.
        confirms = inquiry.resolved_automatically and not action.automatic
        if inquiry.status == InquiryStatus.RESOLVED.value and not confirms:
            return Conflict("It is resolved already.", code="already-resolved")
        return None
    return Conflict("It is open.", code="already-open") if inquiry.status == InquiryStatus.OPEN.value else None


def _apply(session: AsyncSession, actor: Actor, inquiry: Inquiry, action: Action) -> None:
    subject = {"inquiry_id": inquiry.id, "project_id": inquiry.project_id}
    if isinstance(action, Classify):
        record(session, actor, inquiry.id, "classified", kind=action.kind.value, before=inquiry.kind)
        before = audit.snapshot(inquiry)
        inquiry.kind, inquiry.kind_by = action.kind.value, "person"
        inquiry.version += 1
        audit.record(session, actor, "inquiries.classify", **subject, before=before, after=audit.snapshot(inquiry))
    elif isinstance(action, Resolve):
        record(
            session,
            actor,
            inquiry.id,
            Transition.RESOLVED.value,
            reason=action.reason,
            automatic=action.automatic,
            # Messages that are ingested later are not covered by this resolution.
            through=inquiry.last_message_at.isoformat(),
        )
        # The status is recomputed from its events, after all of them.
        resolved = {"status": InquiryStatus.RESOLVED.value, "resolved_automatically": action.automatic}
        audit.record(
            session,
            actor,
            "inquiries.resolve",
            **subject,
            before={name: getattr(inquiry, name) for name in resolved},
            after=resolved,
        )
    else:
        record(session, actor, inquiry.id, Transition.REOPENED.value, reason=action.reason)
        audit.record(
            session,
            actor,
            "inquiries.reopen",
            **subject,
            before={"status": inquiry.status},
            after={"status": InquiryStatus.OPEN.value},
        )


async def _recount(session: AsyncSession, inquiries: Sequence[Inquiry]) -> None:
    def community_of(inquiry: Inquiry) -> tuple[UUID, UUID]:
        return inquiry.project_id, inquiry.community_id

    for (project_id, community_id), group in groupby(sorted(inquiries, key=community_of), community_of):
        threads = [inquiry.thread_id for inquiry in group]
        await recount(session, project_id=project_id, community_id=community_id, threads=threads, texts_changed=False)
    if inquiries:
        ids = [inquiry.id for inquiry in inquiries]
        await session.scalars(
            select(Inquiry)
            .where(in_workspace(Inquiry, workspace_of(session)), Inquiry.id.in_(ids))
            .execution_options(populate_existing=True)
        )


def record(session: AsyncSession, actor: Actor | None, inquiry_id: UUID, event_type: str, **data: object) -> None:
    """Add an event to the history of an inquiry; `actor`: None for what follows from a person's request by itself."""
    session.add(
        InquiryEvent(
            workspace_id=workspace_of(session),
            inquiry_id=inquiry_id,
            type=event_type,
            at=now(session),
            actor=str(actor) if actor is not None else None,
            data=data,
        )
    )
    if event_type in DELIVERIES:

        async def count() -> None:
            REPLIES.labels(event_type).inc()

        after_commit(session, count)
