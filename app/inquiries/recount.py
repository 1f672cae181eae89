"""Recomputes inquiries, their waits and deadlines from the stored messages and status changes of their threads.

Any number of threads of one community in a handful of statements. Idempotent.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ARRAY, Row, Text, any_, literal, or_, select, update
from sqlalchemy.dialects.postgresql import UUID as UUID_TYPE
from sqlalchemy.ext.asyncio import AsyncSession

from app.inquiries import waits
from app.inquiries.conversation import (
    ConversationState,
    DeliveredMessage,
    StatusChange,
    Transition,
    conversation_state,
)
from app.inquiries.counts import INQUIRY_TALLY
from app.inquiries.events import InquiryAnswered, InquiryReceived, InquiryReopened, InquiryResolved
from app.inquiries.kinds import kind_of
from app.inquiries.lexemes import INQUIRY_LEXEMES, searched_text
from app.inquiries.models import (
    Inquiry,
    InquiryEvent,
    InquiryStatus,
    Message,
    MessageDirection,
    ReplyDelivery,
)
from app.inquiries.previews import preview
from app.kit.bulk import bulk_insert, column_arrays
from app.kit.db import Base, in_workspace, workspace_of
from app.kit.events import Event, publish
from app.kit.ids import uuid7
from app.projects.service import calendar

_INQUIRY: Final = Base.metadata.tables[Inquiry.__tablename__]

# Built once: building a statement costs more than executing it.
_THREAD: Final = ("workspace_id", "community_id", "thread_id")
_COMPUTED: Final = (
    *("channel", "publication_id", "post_id", "kind", "kind_by", "status", "customer_id", "customer_name", "preview"),
    "preview_attachments",
    *("opened_at", "last_message_at", "waiting_since", "due_at", "due_target", "first_answered_at", "handled_at"),
    *("resolved_at", "resolution", "resolved_automatically", "version"),
)
_COLUMNS: Final = (*_THREAD, "id", "project_id", *_COMPUTED)
_INSERT_INQUIRIES: Final = bulk_insert(_INQUIRY, _COLUMNS)
_UPSERT_INQUIRIES: Final = _INSERT_INQUIRIES.on_conflict_do_update(
    index_elements=_THREAD, set_={name: _INSERT_INQUIRIES.excluded[name] for name in _COMPUTED}
)


@dataclass(frozen=True, slots=True)
class ThreadOrigin:
    """Where a thread began: its channel and, of a comment, the publication."""

    channel: str
    publication_id: UUID | None
    post_id: str | None


@dataclass(slots=True)
class _Thread:
    messages: list[Any] = field(default_factory=list)
    """Its messages' rows, oldest first."""
    status_changes: list[StatusChange] = field(default_factory=list)
    stored: Row[Any] | None = None


async def recount(
    session: AsyncSession,
    *,
    project_id: UUID,
    community_id: UUID,
    threads: Collection[str],
    origins: Mapping[str, ThreadOrigin] | None = None,
    texts_changed: bool = True,
) -> None:
    """Bring the inquiries of these threads up to date. Under `lock_threads`, or with the inquiries' rows locked.

    `origins` is needed for threads that may become inquiries. A thread in which no customer has written
    is no inquiry. Without `texts_changed` the words by which they are found stay as they are.
    """
    # The project's row first, in every transaction that locks inquiries: a change of its hours or targets locks it, and
    # then the inquiries that are due by them. In that order, to avoid deadlocks.
    work = await calendar(session, project_id=project_id)
    by_thread = await _load(session, community_id, threads)
    conversations: dict[UUID, ConversationState] = {}
    changed: list[dict[str, Any]] = []
    counted = INQUIRY_TALLY.changes(workspace_of(session))
    events: list[Event] = []
    texts: dict[UUID, str] = {}
    computed: list[tuple[_Thread, dict[str, Any]]] = []
    for thread_id, thread in by_thread.items():
        if not any(message.direction == MessageDirection.CUSTOMER.value for message in thread.messages):
            continue
        conversation = conversation_state(map(_delivered_message, thread.messages), thread.status_changes)
        values = _inquiry_values(
            thread_id, thread, conversation, (origins or {}).get(thread_id), project_id, community_id
        )
        values["workspace_id"] = workspace_of(session)
        conversations[values["id"]] = conversation
        texts[values["id"]] = searched_text(values["customer_name"], thread.messages)
        computed.append((thread, values))
    computed_waits = await waits.compute(
        session, work, project_id=project_id, community_id=community_id, conversations=conversations
    )
    for thread, values in computed:
        due = computed_waits.due[values["id"]]
        values["due_at"], values["due_target"] = (due.at, due.target.value) if due is not None else (None, None)
        if thread.stored is None or any(getattr(thread.stored, name) != value for name, value in values.items()):
            values["version"] += 1
            changed.append(values)
            counted.move(thread.stored, values)
            events += _events(thread.stored, values, conversations[values["id"]])
    if changed:
        await session.execute(_UPSERT_INQUIRIES, column_arrays(changed, _COLUMNS))
        await counted.store(session)
    if texts_changed:
        await INQUIRY_LEXEMES.replace(session, texts)
    await _link(session, community_id, threads)
    await computed_waits.store(session)
    await publish(session, *events)


async def _load(session: AsyncSession, community_id: UUID, threads: Collection[str]) -> dict[str, _Thread]:
    workspace_id = workspace_of(session)
    thread_ids = literal(sorted(threads), ARRAY(Text))
    by_thread: defaultdict[str, _Thread] = defaultdict(_Thread)
    inquiries = await session.execute(
        select(_INQUIRY)
        .where(
            in_workspace(Inquiry, workspace_id),
            Inquiry.community_id == community_id,
            Inquiry.thread_id == any_(thread_ids),
        )
        .order_by(Inquiry.id)
        .with_for_update()
    )
    thread_of: dict[UUID, str] = {}
    for row in inquiries:
        by_thread[row.thread_id].stored = row
        thread_of[row.id] = row.thread_id
    messages = await session.execute(
        select(
            Message.thread_id,
            Message.direction,
            Message.automatic,
            Message.author_id,
            Message.author_name,
            Message.text,
            Message.attachments,
            Message.sent_at,
            Message.deleted_at,
        )
        .where(
            in_workspace(Message, workspace_id),
            Message.community_id == community_id,
            Message.thread_id == any_(thread_ids),
            Message.content_known,
            or_(Message.delivery.is_(None), Message.delivery == ReplyDelivery.SENT.value),
        )
        # Not by our id: it depends on the order in which messages were ingested.
        .order_by(Message.sent_at, Message.external_id)
    )
    for message in messages:
        by_thread[message.thread_id].messages.append(message)
    status_changes = await session.execute(
        select(
            InquiryEvent.inquiry_id, InquiryEvent.type, InquiryEvent.at, InquiryEvent.sequence, InquiryEvent.data
        ).where(
            in_workspace(InquiryEvent, workspace_id),
            InquiryEvent.inquiry_id == any_(literal(list(thread_of), ARRAY(UUID_TYPE(as_uuid=True)))),
            InquiryEvent.type.in_([transition.value for transition in Transition]),
        )
    )
    for row in status_changes:
        by_thread[thread_of[row.inquiry_id]].status_changes.append(_status_change(row))
    return by_thread


def _delivered_message(row: Row[Any]) -> DeliveredMessage:
    return DeliveredMessage(row.sent_at, MessageDirection(row.direction), row.automatic, row.deleted_at)


def _status_change(row: Row[Any]) -> StatusChange:
    through = row.data.get("through")
    return StatusChange(
        at=row.at,
        sequence=row.sequence,
        transition=Transition(row.type),
        through=row.at.fromisoformat(through) if through else None,
        automatic=row.data.get("automatic", False),
        reason=row.data.get("reason"),
    )


def _inquiry_values(
    thread_id: str,
    thread: _Thread,
    conversation: ConversationState,
    origin: ThreadOrigin | None,
    project_id: UUID,
    community_id: UUID,
) -> dict[str, Any]:
    """The inquiry's row as computed, with the version that is stored."""
    stored = thread.stored
    customer_messages = [message for message in thread.messages if message.direction == MessageDirection.CUSTOMER.value]
    visible = [message for message in customer_messages if message.deleted_at is None]
    names = [message.author_name for message in customer_messages if message.author_name]
    by_person = stored is not None and stored.kind_by == "person"
    if origin is None:
        assert stored is not None, "a new inquiry needs its origin"
        origin = ThreadOrigin(stored.channel, None, None)
    return {
        "id": stored.id if stored is not None else uuid7(),
        "project_id": stored.project_id if stored is not None else project_id,
        "community_id": community_id,
        "thread_id": thread_id,
        "channel": stored.channel if stored is not None else origin.channel,
        "publication_id": (stored.publication_id if stored is not None else None) or origin.publication_id,
        "post_id": (stored.post_id if stored is not None else None) or origin.post_id,
        "kind": stored.kind
        if stored is not None and by_person
        else kind_of(message.text for message in customer_messages).value,
        "kind_by": "person" if by_person else "rule",
        "status": conversation.status.value,
        "customer_id": customer_messages[0].author_id or "",
        "customer_name": names[-1] if names else "",
        "preview": preview(visible[-1].text, visible[-1].attachments) if visible else "",
        "preview_attachments": visible[-1].attachments if visible and not visible[-1].text else [],
        "opened_at": customer_messages[0].sent_at,
        "last_message_at": thread.messages[-1].sent_at,
        "waiting_since": next((wait.started_at for wait in conversation.waits if wait.ended_at is None), None),
        "first_answered_at": conversation.first_answered_at,
        "handled_at": conversation.handled_at,
        "resolved_at": conversation.resolution.at if conversation.resolution is not None else None,
        "resolution": conversation.resolution.reason if conversation.resolution is not None else None,
        "resolved_automatically": conversation.resolution is not None and conversation.resolution.automatic,
        "version": stored.version if stored is not None else 0,
    }


def _events(stored: Row[Any] | None, values: Mapping[str, Any], conversation: ConversationState) -> Iterable[Event]:
    ids = (values["id"], values["project_id"], values["community_id"])
    if stored is None:
        yield InquiryReceived(*ids, at=values["opened_at"], kind=values["kind"])
    if conversation.first_answered_at is not None and (stored is None or stored.first_answered_at is None):
        yield InquiryAnswered(*ids, at=conversation.first_answered_at)
    if conversation.resolution is not None and (stored is None or stored.status != InquiryStatus.RESOLVED.value):
        yield InquiryResolved(*ids, at=conversation.resolution.at, automatic=conversation.resolution.automatic)
    if stored is not None and conversation.status is InquiryStatus.OPEN and stored.status != InquiryStatus.OPEN.value:
        yield InquiryReopened(*ids, at=conversation.waits[-1].started_at)


async def _link(session: AsyncSession, community_id: UUID, threads: Collection[str]) -> None:
    """Set `inquiry_id` on messages stored before their thread was an inquiry."""
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
