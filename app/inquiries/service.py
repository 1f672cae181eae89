"""What people do with inquiries."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from itertools import groupby
from typing import Any, Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app import platforms
from app.communities.models import Community
from app.inquiries.models import Delivery, Direction, Inquiry, InquiryEvent, Message, Status
from app.inquiries.recount import recount
from app.inquiries.schemas import Action, Classify, Resolve
from app.inquiries.waiting import Change
from app.kit.db import fetch, in_workspace, now, workspace_of
from app.kit.errors import AppError, Conflict, Invalid, NotFound
from app.kit.jobs import enqueue
from app.platforms import outgoing
from app.platforms.capabilities import Replies

SEND: Final = "inquiries.send"
RECONCILE: Final = "inquiries.reconcile"
STALE: Final = timedelta(hours=24)
"""An answer that could not be sent for so long is not sent any more."""


async def reply(session: AsyncSession, *, inquiry_id: UUID, text: str, automatic: bool, actor: str) -> Message:
    """Store an answer and have it sent: both in this unit of work, the sending by a job.

    `Conflict` where the platform takes no replies or no message is left to answer, `Invalid` where
    the text is longer than the platform allows.
    """
    inquiry = await fetch(session, Inquiry, inquiry_id, for_update=True)
    community = await fetch(session, Community, inquiry.community_id)
    kind = platforms.adapters().get(community.platform)
    if kind is None or not issubclass(kind, Replies):
        raise Conflict(
            f"Instep cannot answer on {kind.spec.title if kind is not None else community.platform}: "
            "answer there; what you write is found by the next poll.",
            code="replies-unsupported",
        )
    limit, long = kind.spec.reply_limit or kind.spec.text_limit, outgoing.length(text, kind.spec.text_unit)
    if long > limit:
        detail = f"{kind.spec.title} takes answers of at most {limit} characters; these are {long}."
        raise Invalid(
            detail,
            code="text-too-long",
            errors=[{"in": "body", "field": "text", "code": "text-too-long", "detail": detail}],
        )
    answered = await session.scalar(
        select(Message)
        .where(
            in_workspace(Message, workspace_of(session)),
            Message.inquiry_id == inquiry.id,
            Message.direction == Direction.CUSTOMER.value,
            Message.deleted_at.is_(None),
            Message.read,
        )
        .order_by(Message.sent_at.desc(), Message.id.desc())
        .limit(1)
    )
    if answered is None:
        raise Conflict("The customer has deleted everything they wrote.", code="nothing-to-answer")
    message = Message(
        workspace_id=workspace_of(session),
        inquiry_id=inquiry.id,
        community_id=community.id,
        thread_id=inquiry.thread_id,
        external_id=None,
        direction=Direction.AGENCY.value,
        automatic=automatic,
        author_id=community.external_id,
        author_name=community.title or "",
        text=text,
        sent_at=now(session),
        in_reply_to=answered.external_id,
        delivery=Delivery.QUEUED.value,
    )
    session.add(message)
    await session.flush()
    record(session, inquiry.id, "replied", actor, message_id=str(message.id))
    about: dict[str, Any] = {"workspace_id": workspace_of(session), "key": str(message.id), "message_id": message.id}
    await enqueue(session, SEND, **about)
    # Whatever becomes of that job, the answer does not stay on its way for ever.
    await enqueue(session, RECONCILE, at=now(session) + STALE + timedelta(hours=1), **about)
    return message


async def change(
    session: AsyncSession, actions: Mapping[UUID, Action], *, actor: str, atomic: bool = False
) -> dict[UUID, Inquiry | AppError]:
    """Classify, resolve or reopen inquiries; each one as it is now, or why it was left as it was.

    `atomic`: where one cannot be changed, `Conflict` tells of all that cannot, and none is.
    """
    rows = await session.scalars(
        select(Inquiry)
        .where(in_workspace(Inquiry, workspace_of(session)), Inquiry.id.in_(actions))
        .order_by(Inquiry.id)
        .with_for_update()
    )
    found = {row.id: row for row in rows}
    refused: dict[UUID, AppError] = {}
    for inquiry_id, action in actions.items():
        inquiry = found.get(inquiry_id)
        error = NotFound() if inquiry is None else _refusal(inquiry, action)
        if error is not None:
            refused[inquiry_id] = error
    if atomic and refused:
        raise _all_refused(list(actions), refused)
    changed = [found[inquiry_id] for inquiry_id in actions if inquiry_id not in refused]
    for inquiry in changed:
        _apply(session, inquiry, actions[inquiry.id], actor)
    await session.flush()
    await _recount(session, changed)
    done = {inquiry.id: inquiry for inquiry in changed}
    return {inquiry_id: refused.get(inquiry_id) or done[inquiry_id] for inquiry_id in actions}


async def change_one(session: AsyncSession, *, inquiry_id: UUID, action: Action, actor: str) -> Inquiry:
    """Classify, resolve or reopen one inquiry; `NotFound`, or `Conflict` where it is so already."""
    outcome = (await change(session, {inquiry_id: action}, actor=actor))[inquiry_id]
    if isinstance(outcome, AppError):
        raise outcome
    return outcome


def _refusal(inquiry: Inquiry, action: Action) -> AppError | None:
    if isinstance(action, Classify):
        return None
    if isinstance(action, Resolve):
        # A person may confirm what a script has closed: then it was handled.
        confirms = inquiry.resolved_automatically and not action.automatic
        if inquiry.status == Status.RESOLVED.value and not confirms:
            return Conflict("It is resolved already.", code="already-resolved")
        return None
    return Conflict("It is open.", code="already-open") if inquiry.status == Status.OPEN.value else None


def _all_refused(asked: Sequence[UUID], refused: Mapping[UUID, AppError]) -> AppError:
    return Conflict(
        f"{len(refused)} of {len(asked)} changes cannot be made, so none was.",
        code="bulk-refused",
        errors=[
            {"in": "body", "field": f"items.{asked.index(inquiry_id)}", "code": error.code, "detail": error.detail}
            for inquiry_id, error in refused.items()
        ],
    )


def _apply(session: AsyncSession, inquiry: Inquiry, action: Action, actor: str) -> None:
    if isinstance(action, Classify):
        record(session, inquiry.id, "classified", actor, kind=action.kind.value, before=inquiry.kind)
        inquiry.kind, inquiry.kind_by = action.kind.value, "person"
        inquiry.version += 1
    elif isinstance(action, Resolve):
        record(
            session,
            inquiry.id,
            Change.RESOLVED.value,
            actor,
            reason=action.reason,
            automatic=action.automatic,
            # What comes to light later was not resolved by this.
            through=inquiry.last_message_at.isoformat(),
        )
    else:
        record(session, inquiry.id, Change.REOPENED.value, actor, reason=action.reason)


async def _recount(session: AsyncSession, inquiries: Sequence[Inquiry]) -> None:
    def place(inquiry: Inquiry) -> tuple[UUID, UUID]:
        return inquiry.project_id, inquiry.community_id

    for (project_id, community_id), group in groupby(sorted(inquiries, key=place), place):
        threads = [inquiry.thread_id for inquiry in group]
        await recount(session, project_id=project_id, community_id=community_id, threads=threads)
    if inquiries:
        ids = [inquiry.id for inquiry in inquiries]
        await session.scalars(
            select(Inquiry)
            .where(in_workspace(Inquiry, workspace_of(session)), Inquiry.id.in_(ids))
            .execution_options(populate_existing=True)
        )


def record(session: AsyncSession, inquiry_id: UUID, what: str, actor: str | None, **data: object) -> None:
    """Write down what happened to an inquiry, and who did it."""
    session.add(
        InquiryEvent(
            workspace_id=workspace_of(session),
            inquiry_id=inquiry_id,
            type=what,
            at=now(session),
            actor=actor,
            data=data,
        )
    )
