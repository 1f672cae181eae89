"""The inbox: inquiries, their threads, replies and status changes."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Query, status
from sqlalchemy import Row, Select, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app import platforms
from app.access.current import CurrentActor, PagerDep, ReadDep, ResourcesDep, SessionDep
from app.access.permissions import Permission
from app.access.routing import Router
from app.communities.models import Community
from app.inquiries import service
from app.inquiries.models import (
    Inquiry,
    InquiryEvent,
    InquiryKind,
    InquiryStatus,
    Message,
    MessageDirection,
    ResponseWait,
)
from app.inquiries.replying import reply_terms
from app.inquiries.schemas import (
    Classify,
    InquiryBulk,
    InquiryBulkResult,
    InquiryBulkResults,
    InquiryDetail,
    InquiryEventRead,
    InquiryRead,
    MessageRead,
    Reopen,
    ReplyCreate,
    ReplyRefusal,
    Resolve,
    Search,
    WaitRead,
)
from app.kit.actors import Actor
from app.kit.bulk_results import Atomic, BulkProblem
from app.kit.db import in_workspace
from app.kit.errors import AppError, NotFound
from app.kit.paging import Cursor, Keyset, Limit, Page
from app.kit.routing import problems

ROUTER = Router("/v1/inquiries", tag="inquiries")

THREAD: Final = 200
"""Messages that come with an inquiry; the rest of a long thread is paged."""

_BY_LAST_MESSAGE: Final = Keyset((Inquiry.last_message_at, Inquiry.id))
_THREAD: Final = Keyset((Message.sent_at, Message.id), descending=False)
_THREAD_END: Final = Keyset((Message.sent_at, Message.id))
_EVENTS: Final = Keyset((InquiryEvent.at, InquiryEvent.sequence))


@ROUTER.get("", operation_id="inquiries.list", permission=Permission.INQUIRIES_READ)
async def list_inquiries(
    actor: CurrentActor,
    connection: ReadDep,
    pager: PagerDep,
    status: Annotated[InquiryStatus | None, Query(description="Only inquiries of this status.")] = None,
    kind: Annotated[InquiryKind | None, Query(description="Only inquiries of this kind.")] = None,
    project_id: Annotated[UUID | None, Query()] = None,
    community_id: Annotated[UUID | None, Query()] = None,
    q: Annotated[Search, Query(description="Part of the customer's name or of their latest message.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[InquiryRead]:
    """Inquiries of all platforms, the one with the latest message first.

    The inbox. Filters can be combined; `q` searches in names and in the beginnings of latest messages.
    """
    query = select(Inquiry.__table__).where(in_workspace(Inquiry, actor.workspace_id))
    filters = {Inquiry.status: status, Inquiry.kind: kind}
    for column, value in filters.items():
        if value is not None:
            query = query.where(column == value.value)
    if project_id is not None:
        query = query.where(Inquiry.project_id == project_id)
    if community_id is not None:
        query = query.where(Inquiry.community_id == community_id)
    if q is not None:
        query = query.where(or_(Inquiry.preview.ilike(q), Inquiry.customer_name.ilike(q)))
    result = await connection.execute(_BY_LAST_MESSAGE.after(query, pager.read(cursor, (datetime, UUID)), limit))
    rows, next_cursor = pager.page(result.all(), limit, ("last_message_at", "id"))
    return Page(data=[InquiryRead.model_validate(row) for row in rows], next_cursor=next_cursor)


@ROUTER.post("/bulk", operation_id="inquiries.bulk", permission=Permission.INQUIRIES_WRITE, responses=problems(409))
async def bulk(
    body: InquiryBulk, actor: CurrentActor, session: SessionDep, atomic: Atomic = False
) -> InquiryBulkResults:
    """Classify, resolve or reopen up to 500 inquiries; each has its own result.

    Each inquiry may be named once. Without `atomic`, those that can be changed are changed, and the others say
    why not.
    """
    actions = {item.id: item for item in body.items}
    outcomes = await service.change(session, actor, actions, atomic=atomic)
    data = [_result(index, outcome) for index, outcome in enumerate(outcomes.values())]
    failed = sum(result.problem is not None for result in data)
    return InquiryBulkResults(succeeded=len(data) - failed, failed=failed, data=data)


def _result(index: int, outcome: Inquiry | AppError) -> InquiryBulkResult:
    if isinstance(outcome, AppError):
        return InquiryBulkResult(index=index, inquiry=None, problem=BulkProblem.of(outcome))
    return InquiryBulkResult(index=index, inquiry=InquiryRead.model_validate(outcome), problem=None)


@ROUTER.get(
    "/{inquiry_id}", operation_id="inquiries.read", permission=Permission.INQUIRIES_READ, responses=problems(404)
)
async def read(inquiry_id: UUID, actor: CurrentActor, connection: ReadDep, resources: ResourcesDep) -> InquiryDetail:
    """An inquiry with its thread and the times the customer waited.

    The latest 200 messages come with it; `/messages` pages through a longer thread. `reply_refusal` says
    whether an answer can be sent now.
    """
    inquiry = await _row(connection, actor.workspace_id, inquiry_id)
    latest = _THREAD_END.after(_messages(actor.workspace_id, inquiry_id), None, THREAD)
    messages = list((await connection.execute(latest)).all())[:THREAD]
    waits = await connection.execute(
        select(ResponseWait.__table__)
        .where(in_workspace(ResponseWait, actor.workspace_id), ResponseWait.inquiry_id == inquiry_id)
        .order_by(ResponseWait.started_at)
    )
    of_community = in_workspace(Community, actor.workspace_id), Community.id == inquiry.community_id
    platform = (await connection.execute(select(Community.platform).where(*of_community))).scalar_one()
    answered = next(
        (row for row in messages if row.direction == MessageDirection.CUSTOMER.value and row.deleted_at is None), None
    )
    terms = reply_terms(platforms.adapters().get(platform), platform, inquiry.channel, answered, resources.clock.now())
    return InquiryDetail(
        **InquiryRead.model_validate(inquiry).model_dump(),
        reply_until=terms.until,
        reply_refusal=None if terms.refusal is None else ReplyRefusal(**asdict(terms.refusal)),
        messages=[MessageRead.model_validate(row) for row in reversed(messages)],
        waits=[WaitRead.model_validate(row) for row in waits],
    )


@ROUTER.get(
    "/{inquiry_id}/messages",
    operation_id="inquiries.messages",
    permission=Permission.INQUIRIES_READ,
    responses=problems(404),
)
async def messages(
    inquiry_id: UUID,
    actor: CurrentActor,
    connection: ReadDep,
    pager: PagerDep,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[MessageRead]:
    """The thread, oldest first.

    Messages of both sides, those not sent yet and those deleted since among them.
    """
    await _row(connection, actor.workspace_id, inquiry_id)
    after = pager.read(cursor, (datetime, UUID))
    result = await connection.execute(_THREAD.after(_messages(actor.workspace_id, inquiry_id), after, limit))
    rows, next_cursor = pager.page(result.all(), limit, ("sent_at", "id"))
    return Page(data=[MessageRead.model_validate(row) for row in rows], next_cursor=next_cursor)


@ROUTER.post(
    "/{inquiry_id}/messages",
    operation_id="inquiries.reply",
    permission=Permission.INQUIRIES_REPLY,
    status_code=status.HTTP_202_ACCEPTED,
    responses=problems(404, 409),
)
async def reply(inquiry_id: UUID, body: ReplyCreate, actor: CurrentActor, session: SessionDep) -> MessageRead:
    """Answer the customer through the platform.

    The reply is stored and sent within moments; `delivery` is its state. It is never sent twice: where
    the platform does not confirm it, polling searches the thread for it.
    """
    message = await service.reply(session, actor, inquiry_id=inquiry_id, text=body.text, automatic=body.automatic)
    return MessageRead.model_validate(message)


@ROUTER.post(
    "/{inquiry_id}/classify",
    operation_id="inquiries.classify",
    permission=Permission.INQUIRIES_WRITE,
    responses=problems(404, 409),
)
async def classify(inquiry_id: UUID, body: Classify, actor: CurrentActor, session: SessionDep) -> InquiryRead:
    """Say what the customer wants; no rule overwrites it.

    KPIs of questions, problems and thanks follow it at once.
    """
    return await _changed(session, inquiry_id, body, actor)


@ROUTER.post(
    "/{inquiry_id}/resolve",
    operation_id="inquiries.resolve",
    permission=Permission.INQUIRIES_WRITE,
    responses=problems(404, 409),
)
async def resolve(inquiry_id: UUID, body: Resolve, actor: CurrentActor, session: SessionDep) -> InquiryRead:
    """Close an inquiry with a reason.

    What the customer writes afterwards opens it again. With `automatic` it does not count as handled; 409
    `already-resolved` where it is.
    """
    return await _changed(session, inquiry_id, body, actor)


@ROUTER.post(
    "/{inquiry_id}/reopen",
    operation_id="inquiries.reopen",
    permission=Permission.INQUIRIES_WRITE,
    responses=problems(404, 409),
)
async def reopen(inquiry_id: UUID, body: Reopen, actor: CurrentActor, session: SessionDep) -> InquiryRead:
    """Take an inquiry up again.

    The customer waits from now on: a new response time begins. 409 `already-open` where it is open.
    """
    return await _changed(session, inquiry_id, body, actor)


@ROUTER.get(
    "/{inquiry_id}/events",
    operation_id="inquiries.events",
    permission=Permission.INQUIRIES_READ,
    responses=problems(404),
)
async def events(
    inquiry_id: UUID,
    actor: CurrentActor,
    connection: ReadDep,
    pager: PagerDep,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[InquiryEventRead]:
    """What happened to an inquiry and who did it, newest first.

    Messages themselves are not events: `/messages` has them.
    """
    await _row(connection, actor.workspace_id, inquiry_id)
    query = select(InquiryEvent.__table__).where(
        in_workspace(InquiryEvent, actor.workspace_id), InquiryEvent.inquiry_id == inquiry_id
    )
    last: Row[Any] | None = None
    if (last_id := pager.read(cursor, (UUID,))) is not None:
        # A cursor with the sequence would show how many events all workspaces have.
        keys = query.with_only_columns(*_EVENTS.columns).where(InquiryEvent.id == last_id[0])
        last = (await connection.execute(keys)).one()
    result = await connection.execute(_EVENTS.after(query, last, limit))
    rows, next_cursor = pager.page(result.all(), limit, ("id",))
    return Page(data=[InquiryEventRead.model_validate(row) for row in rows], next_cursor=next_cursor)


async def _changed(
    session: SessionDep, inquiry_id: UUID, action: Classify | Resolve | Reopen, actor: Actor
) -> InquiryRead:
    inquiry = await service.change_one(session, actor, inquiry_id=inquiry_id, action=action)
    return InquiryRead.model_validate(inquiry)


async def _row(connection: AsyncConnection, workspace_id: UUID, inquiry_id: UUID) -> Any:
    query = select(Inquiry.__table__).where(in_workspace(Inquiry, workspace_id), Inquiry.id == inquiry_id)
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise NotFound
    return row


def _messages(workspace_id: UUID, inquiry_id: UUID) -> Select[Any]:
    return select(Message.__table__).where(
        in_workspace(Message, workspace_id), Message.inquiry_id == inquiry_id, Message.content_known
    )
