"""The inbox: inquiries, their threads, replies and status changes."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Query, status
from sqlalchemy import Row, Select, select
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.responses import Response

from app.access.current import CurrentActor, ListDep, PagerDep, ReadDep, ResourcesDep, SessionDep
from app.access.permissions import Permission
from app.access.routing import Router
from app.inquiries import counts, deadlines, reads, service
from app.inquiries.conversation import EndedBy
from app.inquiries.deadline_schemas import InquiryDeadlines
from app.inquiries.lexemes import INQUIRY_LEXEMES
from app.inquiries.models import (
    Inquiry,
    InquiryEvent,
    InquiryKind,
    InquiryStatus,
    Message,
    ResponseWait,
)
from app.inquiries.schemas import (
    Classify,
    InquiryBulk,
    InquiryBulkResult,
    InquiryBulkResults,
    InquiryCounts,
    InquiryDetail,
    InquiryEventRead,
    InquiryRead,
    InquirySort,
    MessageRead,
    Reopen,
    ReplyCreate,
    Resolve,
    WaitRead,
)
from app.kit.actors import Actor
from app.kit.bulk_results import Atomic, BulkProblem
from app.kit.db import in_workspace
from app.kit.errors import AppError, NotFound
from app.kit.i18n import reader_language
from app.kit.lists import json_page, json_response
from app.kit.paging import Cursor, Keyset, Limit, Page
from app.kit.routing import problems
from app.kit.schemas import SearchText
from app.projects.service import read_calendar

ROUTER = Router("/v1/inquiries", tag="inquiries")

THREAD: Final = 200
"""Messages that come with an inquiry; the rest of a long thread is paged."""

_THREAD: Final = Keyset((Message.sent_at, Message.id), descending=False)
_THREAD_END: Final = Keyset((Message.sent_at, Message.id))
_EVENTS: Final = Keyset((InquiryEvent.at, InquiryEvent.sequence))


Status = Annotated[InquiryStatus | None, Query(description="Only inquiries with this status.")]
Kind = Annotated[InquiryKind | None, Query(description="Only those of this kind.")]
OfProject = Annotated[UUID | None, Query(description="Only those of this project.")]
OfCommunity = Annotated[UUID | None, Query(description="Only those of this community.")]


@ROUTER.get("", operation_id="inquiries.list", permission=Permission.INQUIRIES_READ, response_model=Page[InquiryRead])
async def list_inquiries(
    lists: ListDep,
    status: Status = None,
    kind: Kind = None,
    project_id: OfProject = None,
    community_id: OfCommunity = None,
    q: Annotated[
        SearchText,
        Query(
            description="Words that stand in the customer's name or in messages of the thread, deleted ones left out: "
            "all of them, in any form (`заказ` finds `заказы`) and any order. Whole words, not parts of words. 422 "
            "`no-word` where it has only words that are not searched, such as `the`."
        ),
    ] = None,
    overdue: Annotated[
        bool | None,
        Query(
            description="Only those whose `due_at` is over, or only the others (those without one among them); both "
            "when left out."
        ),
    ] = None,
    sort: Annotated[
        InquirySort,
        Query(
            description="`last_message_at`: the one with the latest message first. `waiting_since`: the customer who "
            "has waited longest first; only inquiries in which one waits. `due_at`: what is due next first, overdue "
            "ones before it; only inquiries that have a `due_at`."
        ),
    ] = InquirySort.LAST_MESSAGE,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Inquiries of all platforms, with what an inbox shows of them.

    Each has its community's name and platform, the beginning of its last message, since when the customer waits, until
    when what is due, and whether and until when an answer can be sent: a screen is one call.
    """
    at = lists.resources.clock.now()
    filters = {
        "kind": kind,
        "project_id": project_id,
        "community_id": community_id,
        **reads.overdue_filters(overdue, at, sort=sort, status=status),
    }
    rows, next_cursor = await lists.page(
        reads.INQUIRIES, sort=sort, limit=limit, cursor=cursor, filters=filters, search=(INQUIRY_LEXEMES, q)
    )
    return json_page([reads.inquiry_read(row, at) for row in rows], next_cursor)


@ROUTER.get(
    "/counts", operation_id="inquiries.counts", permission=Permission.INQUIRIES_READ, response_model=InquiryCounts
)
async def count(
    actor: CurrentActor,
    connection: ReadDep,
    resources: ResourcesDep,
    status: Status = None,
    kind: Kind = None,
    project_id: OfProject = None,
    community_id: OfCommunity = None,
) -> Response:
    """How many inquiries there are, by status, kind and community, and how many of them are overdue.

    The numbers are exact, and kept up to date with each change: asking for them takes the same time for a hundred
    inquiries as for a million. Those that are overdue are counted at the instant of this answer. An id of another
    workspace, as any filter that nothing matches, gives zeros.
    """
    return json_response(
        await counts.counts(
            connection,
            actor.workspace_id,
            resources.clock.now(),
            status=status,
            kind=kind,
            project_id=project_id,
            community_id=community_id,
        )
    )


@ROUTER.post("/bulk", operation_id="inquiries.bulk", permission=Permission.INQUIRIES_WRITE, responses=problems(409))
async def bulk(
    body: InquiryBulk, actor: CurrentActor, session: SessionDep, resources: ResourcesDep, atomic: Atomic = False
) -> InquiryBulkResults:
    """Classify, resolve or reopen up to 500 inquiries; each has its own result.

    Each inquiry may be named once. Without `atomic`, those that can be changed are changed, and the others say
    why not.
    """
    actions = {item.id: item for item in body.items}
    outcomes = await service.change(session, actor, actions, atomic=atomic)
    made = [inquiry_id for inquiry_id, outcome in outcomes.items() if not isinstance(outcome, AppError)]
    inquiries = await reads.changed(session, made, resources.clock.now())
    data = [
        InquiryBulkResult(
            index=index,
            inquiry=None if isinstance(outcome, AppError) else InquiryRead.model_validate(inquiries[inquiry_id]),
            problem=BulkProblem.of(outcome) if isinstance(outcome, AppError) else None,
        )
        for index, (inquiry_id, outcome) in enumerate(outcomes.items())
    ]
    return InquiryBulkResults(succeeded=len(made), failed=len(data) - len(made), data=data)


@ROUTER.get(
    "/{inquiry_id}", operation_id="inquiries.read", permission=Permission.INQUIRIES_READ, responses=problems(404)
)
async def read(inquiry_id: UUID, actor: CurrentActor, connection: ReadDep, resources: ResourcesDep) -> InquiryDetail:
    """An inquiry with its thread and the times the customer waited.

    The latest 200 messages come with it; `/messages` pages through a longer thread. `reply_refusal` says
    whether an answer can be sent now.
    """
    inquiry = await reads.INQUIRIES.one(connection, actor.workspace_id, inquiry_id)
    latest = _THREAD_END.after(_messages(actor.workspace_id, inquiry_id), None, THREAD)
    messages = list((await connection.execute(latest)).all())[:THREAD]
    waits = await _waits(connection, actor.workspace_id, inquiry_id)
    first = next((wait for wait in waits if wait.opening and wait.ended_by == EndedBy.ANSWER.value), None)
    return InquiryDetail(
        **InquiryRead.model_validate(reads.inquiry_read(inquiry, resources.clock.now())).model_dump(),
        first_response_seconds=None if first is None else _seconds(first),
        first_response_working_seconds=None if first is None else first.working_seconds,
        messages=[MessageRead.model_validate(row) for row in reversed(messages)],
        waits=[WaitRead(**_fields(wait), seconds=_seconds(wait)) for wait in waits],
    )


async def _waits(connection: AsyncConnection, workspace_id: UUID, inquiry_id: UUID) -> Sequence[Row[Any]]:
    """The times the customer waited, oldest first."""
    query = (
        select(ResponseWait.__table__)
        .where(in_workspace(ResponseWait, workspace_id), ResponseWait.inquiry_id == inquiry_id)
        .order_by(ResponseWait.started_at)
    )
    return (await connection.execute(query)).all()


def _fields(wait: Row[Any]) -> dict[str, Any]:
    return {name: getattr(wait, name) for name in WaitRead.model_fields if name != "seconds"}


def _seconds(wait: Row[Any]) -> int | None:
    """The duration of a wait by the clock; None while it lasts."""
    return None if wait.ended_at is None else round((wait.ended_at - wait.started_at).total_seconds())


@ROUTER.get(
    "/{inquiry_id}/deadlines",
    operation_id="inquiries.deadlines",
    permission=Permission.INQUIRIES_READ,
    responses=problems(404),
)
async def read_deadlines(
    inquiry_id: UUID, actor: CurrentActor, connection: ReadDep, resources: ResourcesDep
) -> InquiryDeadlines:
    """What the agency owes in an inquiry, until when, and how that comes about.

    Each deadline has the target it follows from, and every local day from its beginning to its end with the working
    time that counts and, where none or not all of it does, why: closed for a holiday, a day off, before it began.
    `note` and `detail` are in the language of `Accept-Language`, English or Russian. Nothing is owed: no deadlines.
    """
    inquiry = await _row(connection, actor.workspace_id, inquiry_id)
    waits = await _waits(connection, actor.workspace_id, inquiry_id)
    work = await read_calendar(connection, actor.workspace_id, inquiry.project_id)
    return deadlines.of_inquiry(inquiry, waits, work, resources.clock.now(), reader_language())


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
async def classify(
    inquiry_id: UUID, body: Classify, actor: CurrentActor, session: SessionDep, resources: ResourcesDep
) -> InquiryRead:
    """Say what the customer wants; no rule overwrites it.

    KPIs of questions, problems and thanks follow it at once.
    """
    return await _changed(session, inquiry_id, body, actor, resources.clock.now())


@ROUTER.post(
    "/{inquiry_id}/resolve",
    operation_id="inquiries.resolve",
    permission=Permission.INQUIRIES_WRITE,
    responses=problems(404, 409),
)
async def resolve(
    inquiry_id: UUID, body: Resolve, actor: CurrentActor, session: SessionDep, resources: ResourcesDep
) -> InquiryRead:
    """Close an inquiry with a reason. What the customer writes afterwards opens it again.

    What the customer writes afterwards opens it again. With `automatic` it does not count as handled; 409
    `already-resolved` where it is.
    """
    return await _changed(session, inquiry_id, body, actor, resources.clock.now())


@ROUTER.post(
    "/{inquiry_id}/reopen",
    operation_id="inquiries.reopen",
    permission=Permission.INQUIRIES_WRITE,
    responses=problems(404, 409),
)
async def reopen(
    inquiry_id: UUID, body: Reopen, actor: CurrentActor, session: SessionDep, resources: ResourcesDep
) -> InquiryRead:
    """Take an inquiry up again: the customer waits from now on.

    The customer waits from now on: a new response time begins. 409 `already-open` where it is open.
    """
    return await _changed(session, inquiry_id, body, actor, resources.clock.now())


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
    session: SessionDep, inquiry_id: UUID, action: Classify | Resolve | Reopen, actor: Actor, at: datetime
) -> InquiryRead:
    await service.change_one(session, actor, inquiry_id=inquiry_id, action=action)
    return InquiryRead.model_validate((await reads.changed(session, [inquiry_id], at))[inquiry_id])


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
