"""What follows from a thread's messages and turns: the inquiry and its waits, brought up to date.

Everything here is computed from what is stored, for any number of threads of a community in a
handful of statements. Doing it again changes nothing.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ARRAY, Row, Text, and_, any_, delete, literal, or_, select, update
from sqlalchemy.dialects.postgresql import UUID as UUID_TYPE
from sqlalchemy.ext.asyncio import AsyncSession

from app.inquiries.events import InquiryAnswered, InquiryReceived, InquiryReopened, InquiryResolved
from app.inquiries.kinds import kind_of
from app.inquiries.models import Delivery, Direction, Inquiry, InquiryEvent, Message, Status, Waiting
from app.inquiries.waiting import Change, ConversationState, DeliveredMessage, StatusChange, Wait, course
from app.kit.bulk import bulk_insert, column_arrays
from app.kit.db import Base, in_workspace, workspace_of
from app.kit.events import Event, publish
from app.kit.ids import uuid7
from app.projects.hours import working_seconds
from app.projects.service import WorkCalendar, calendar

PREVIEW: Final = 200
"""Characters of the customer's newest message that a list shows."""

_INQUIRY: Final = Base.metadata.tables[Inquiry.__tablename__]
_WAITING: Final = Base.metadata.tables[Waiting.__tablename__]

# Put together once: that costs more than sending it.
_THREAD: Final = ("workspace_id", "community_id", "thread_id")
_COURSE: Final = (
    *("channel", "publication_id", "post_id", "kind", "kind_by", "status", "customer_id", "customer_name", "preview"),
    *("opened_at", "last_message_at", "first_answered_at", "handled_at"),
    *("resolved_at", "resolution", "resolved_automatically", "version"),
)
_STATE: Final = (*_THREAD, "id", "project_id", *_COURSE)
_NEW: Final = bulk_insert(_INQUIRY, _STATE)
_STORE: Final = _NEW.on_conflict_do_update(index_elements=_THREAD, set_={name: _NEW.excluded[name] for name in _COURSE})
_ENDS: Final = ("ended_at", "ended_by", "opening", "working_seconds")
_WAIT: Final = ("workspace_id", "id", "inquiry_id", "project_id", "community_id", "started_at", *_ENDS)
_NEW_WAIT: Final = bulk_insert(_WAITING, _WAIT)
_STORE_WAITS: Final = _NEW_WAIT.on_conflict_do_update(
    index_elements=["workspace_id", "inquiry_id", "started_at"],
    set_={name: _NEW_WAIT.excluded[name] for name in _ENDS},
)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a thread is."""

    channel: str
    publication_id: UUID | None
    post_id: str | None


@dataclass(slots=True)
class _Thread:
    said: list[Any] = field(default_factory=list)
    """Its messages' rows, oldest first."""
    turns: list[StatusChange] = field(default_factory=list)
    known: Row[Any] | None = None


async def recount(
    session: AsyncSession,
    *,
    project_id: UUID,
    community_id: UUID,
    threads: Collection[str],
    origins: Mapping[str, Origin] | None = None,
) -> None:
    """Bring the inquiries of these threads up to date. Under `holding.hold`, or with the inquiries' rows locked.

    `origins` is needed where a thread may become an inquiry by this. A thread in which no customer
    has written is none.
    """
    found = await _load(session, community_id, threads)
    courses: dict[UUID, ConversationState] = {}
    changed: list[dict[str, Any]] = []
    news: list[Event] = []
    for thread_id, thread in found.items():
        if not any(said.direction == Direction.CUSTOMER.value for said in thread.said):
            continue
        went = course(map(_said, thread.said), thread.turns)
        state = _state(thread_id, thread, went, (origins or {}).get(thread_id), project_id, community_id)
        state["workspace_id"] = workspace_of(session)
        courses[state["id"]] = went
        if thread.known is None or any(getattr(thread.known, name) != value for name, value in state.items()):
            state["version"] += 1
            changed.append(state)
            news += _news(thread.known, state, went)
    if changed:
        await session.execute(_STORE, column_arrays(changed, _STATE))
    await _link(session, community_id, threads)
    await _wait(session, project_id, community_id, courses)
    await publish(session, *news)


async def _load(session: AsyncSession, community_id: UUID, threads: Collection[str]) -> dict[str, _Thread]:
    workspace_id = workspace_of(session)
    wanted = literal(sorted(threads), ARRAY(Text))
    found: defaultdict[str, _Thread] = defaultdict(_Thread)
    inquiries = await session.execute(
        select(_INQUIRY)
        .where(
            in_workspace(Inquiry, workspace_id), Inquiry.community_id == community_id, Inquiry.thread_id == any_(wanted)
        )
        .order_by(Inquiry.id)
        .with_for_update()
    )
    thread_of: dict[UUID, str] = {}
    for row in inquiries:
        found[row.thread_id].known = row
        thread_of[row.id] = row.thread_id
    messages = await session.execute(
        select(
            Message.thread_id,
            Message.direction,
            Message.automatic,
            Message.author_id,
            Message.author_name,
            Message.text,
            Message.sent_at,
            Message.deleted_at,
        )
        .where(
            in_workspace(Message, workspace_id),
            Message.community_id == community_id,
            Message.thread_id == any_(wanted),
            Message.read,
            or_(Message.delivery.is_(None), Message.delivery == Delivery.SENT.value),
        )
        # Not by our id: it depends on the order in which they were seen.
        .order_by(Message.sent_at, Message.external_id)
    )
    for message in messages:
        found[message.thread_id].said.append(message)
    turns = await session.execute(
        select(InquiryEvent.inquiry_id, InquiryEvent.type, InquiryEvent.at, InquiryEvent.data).where(
            in_workspace(InquiryEvent, workspace_id),
            InquiryEvent.inquiry_id == any_(literal(list(thread_of), ARRAY(UUID_TYPE(as_uuid=True)))),
            InquiryEvent.type.in_([change.value for change in Change]),
        )
    )
    for row in turns:
        found[thread_of[row.inquiry_id]].turns.append(_turn(row))
    return found


def _said(row: Row[Any]) -> DeliveredMessage:
    return DeliveredMessage(row.sent_at, Direction(row.direction), row.automatic, row.deleted_at)


def _turn(row: Row[Any]) -> StatusChange:
    through = row.data.get("through")
    return StatusChange(
        at=row.at,
        change=Change(row.type),
        through=row.at.fromisoformat(through) if through else None,
        automatic=row.data.get("automatic", False),
        reason=row.data.get("reason"),
    )


def _state(
    thread_id: str,
    thread: _Thread,
    went: ConversationState,
    origin: Origin | None,
    project_id: UUID,
    community_id: UUID,
) -> dict[str, Any]:
    """The inquiry's row as it should be, its version still the stored one."""
    known = thread.known
    asked = [said for said in thread.said if said.direction == Direction.CUSTOMER.value]
    standing = [said for said in asked if said.deleted_at is None]
    named = [said.author_name for said in asked if said.author_name]
    by_person = known is not None and known.kind_by == "person"
    if origin is None:
        assert known is not None, "a new inquiry needs its origin"
        origin = Origin(known.channel, None, None)
    return {
        "id": known.id if known is not None else uuid7(),
        "project_id": known.project_id if known is not None else project_id,
        "community_id": community_id,
        "thread_id": thread_id,
        "channel": known.channel if known is not None else origin.channel,
        "publication_id": (known.publication_id if known is not None else None) or origin.publication_id,
        "post_id": (known.post_id if known is not None else None) or origin.post_id,
        "kind": known.kind if known is not None and by_person else kind_of(said.text for said in asked).value,
        "kind_by": "person" if by_person else "rule",
        "status": went.status.value,
        "customer_id": asked[0].author_id or "",
        "customer_name": named[-1] if named else "",
        "preview": standing[-1].text[:PREVIEW] if standing else "",
        "opened_at": asked[0].sent_at,
        "last_message_at": thread.said[-1].sent_at,
        "first_answered_at": went.first_answered_at,
        "handled_at": went.handled_at,
        "resolved_at": went.resolution.at if went.resolution is not None else None,
        "resolution": went.resolution.reason if went.resolution is not None else None,
        "resolved_automatically": went.resolution is not None and went.resolution.automatic,
        "version": known.version if known is not None else 0,
    }


def _news(known: Row[Any] | None, state: Mapping[str, Any], went: ConversationState) -> Iterable[Event]:
    of = (state["id"], state["project_id"], state["community_id"])
    if known is None:
        yield InquiryReceived(*of, at=state["opened_at"], kind=state["kind"])
    if went.first_answered_at is not None and (known is None or known.first_answered_at is None):
        yield InquiryAnswered(*of, at=went.first_answered_at)
    if went.resolution is not None and (known is None or known.status != Status.RESOLVED.value):
        yield InquiryResolved(*of, at=went.resolution.at, automatic=went.resolution.automatic)
    if known is not None and went.status is Status.OPEN and known.status != Status.OPEN.value:
        yield InquiryReopened(*of, at=went.waits[-1].started_at)


async def _link(session: AsyncSession, community_id: UUID, threads: Collection[str]) -> None:
    """Give messages that waited for their thread to become an inquiry to it."""
    await session.execute(
        update(Message)
        .where(
            in_workspace(Message, workspace_of(session)),
            Message.community_id == community_id,
            Message.thread_id == any_(literal(sorted(threads), ARRAY(Text))),
            Message.inquiry_id.is_(None),
            in_workspace(Inquiry, workspace_of(session)),
            Inquiry.community_id == Message.community_id,
            Inquiry.thread_id == Message.thread_id,
        )
        .values(inquiry_id=Inquiry.id)
        .execution_options(synchronize_session=False)
    )


async def _wait(
    session: AsyncSession, project_id: UUID, community_id: UUID, courses: Mapping[UUID, ConversationState]
) -> None:
    """Store the waits. One that stays as it is keeps the working time it was given when it ended."""
    if not courses:
        return
    stored = await session.execute(
        select(_WAITING).where(
            in_workspace(Waiting, workspace_of(session)),
            Waiting.inquiry_id == any_(literal(list(courses), ARRAY(UUID_TYPE(as_uuid=True)))),
        )
    )
    before = {(row.inquiry_id, row.started_at): row for row in stored}
    work: WorkCalendar | None = None
    changed: list[dict[str, Any]] = []
    for inquiry_id, went in courses.items():
        for wait in went.waits:
            known = before.pop((inquiry_id, wait.started_at), None)
            if known is not None and _same(known, wait):
                continue
            if known is not None and known.ended_at == wait.ended_at:
                worked = known.working_seconds
            elif wait.ended_at is None:
                worked = None
            else:
                work = work or await calendar(session, project_id=project_id)
                worked = working_seconds(wait.started_at, wait.ended_at, work.hours, work.zone)
            changed.append(
                {
                    "workspace_id": workspace_of(session),
                    "id": known.id if known is not None else uuid7(),
                    "inquiry_id": inquiry_id,
                    "project_id": project_id,
                    "community_id": community_id,
                    "started_at": wait.started_at,
                    "ended_at": wait.ended_at,
                    "ended_by": wait.ended_by.value if wait.ended_by is not None else None,
                    "opening": wait.opening,
                    "working_seconds": worked,
                }
            )
    await _store_waits(session, changed, [row.id for row in before.values()])


def _same(known: Row[Any], wait: Wait) -> bool:
    ended_by = wait.ended_by.value if wait.ended_by is not None else None
    return (known.ended_at, known.ended_by, known.opening) == (wait.ended_at, ended_by, wait.opening)


async def _store_waits(session: AsyncSession, changed: Sequence[Mapping[str, Any]], gone: Sequence[UUID]) -> None:
    if gone:
        unwanted = and_(
            in_workspace(Waiting, workspace_of(session)),
            Waiting.id == any_(literal(list(gone), ARRAY(UUID_TYPE(as_uuid=True)))),
        )
        await session.execute(delete(Waiting).where(unwanted).execution_options(synchronize_session=False))
    if changed:
        await session.execute(_STORE_WAITS, column_arrays(changed, _WAIT))
