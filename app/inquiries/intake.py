"""Stores messages as platforms report them: repeated, late, out of order, edited or deleted.

The stored message does not depend on the order of the reports: it has the text of the latest edit, is
deleted once any report says so (until the platform reports it restored), and has its author's name
once any report gave it. The platform's time of sending replaces ours.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Text,
    and_,
    any_,
    case,
    delete,
    func,
    literal,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.communities.events import CommunityRef
from app.inquiries import claimed_dates, reply_copies
from app.inquiries.locking import lock_threads
from app.inquiries.merging import adopt_answers, join_own_threads, rename_threads
from app.inquiries.models import EarlyDeletion, Message, MessageDirection
from app.inquiries.recount import ThreadOrigin, recount
from app.kit.bulk import bulk_insert, column_arrays
from app.kit.db import Base, in_workspace, now, workspace_of
from app.kit.ids import uuid7
from app.platforms.capabilities import MessageChange
from app.platforms.contract import RemoteMessage

_BEGINNING: Final = text("'-infinity'::timestamptz")


async def store(
    session: AsyncSession, community: CommunityRef, seen: Sequence[tuple[RemoteMessage, UUID | None]]
) -> None:
    """Store messages, each with the id of the publication it comments on, and recount their threads."""
    if not seen:
        return
    await lock_threads(session, community.community_id)
    seen = await claimed_dates.bound(session, community, await _mark_own_messages(session, community, seen))
    seen = await join_own_threads(session, community, seen)
    renamed = await rename_threads(session, community, [message for message, _ in seen])
    restored = await _restored(session, community, {message.external_id for message, _ in seen if message.restored})
    deleted_early = await _deleted_early(session, community, {message.external_id for message, _ in seen})
    rows = _merged_rows(session, community, [message for message, _ in seen], deleted_early)
    threads = renamed | restored | set((await session.scalars(_UPSERT, column_arrays(rows, _SEEN))).all())
    if not threads:
        return
    threads |= await adopt_answers(session, community, {message.external_id for message, _ in seen})
    await reply_copies.match(session, community.community_id, threads)
    await recount(
        session,
        project_id=community.project_id,
        community_id=community.community_id,
        threads=threads,
        origins=_origins(seen),
    )


async def mark_deleted(session: AsyncSession, community: CommunityRef, external_ids: Collection[str]) -> None:
    """Mark messages as deleted, those included that will be ingested later.

    So it does not matter whether a message or its deletion arrives first.
    """
    if not external_ids:
        return
    await lock_threads(session, community.community_id)
    ids = any_(literal(sorted(external_ids), ARRAY(Text)))
    updated = await session.execute(
        update(Message)
        .where(
            in_workspace(Message, community.workspace_id),
            Message.community_id == community.community_id,
            Message.external_id == ids,
        )
        .values(deleted_at=func.coalesce(Message.deleted_at, now(session)))
        .returning(Message.external_id, Message.thread_id)
    )
    threads = {row.external_id: row.thread_id for row in updated}
    not_seen_yet = sorted(set(external_ids) - set(threads))
    if not_seen_yet:
        values = [
            {
                "workspace_id": community.workspace_id,
                "community_id": community.community_id,
                "external_id": external_id,
                "deleted_at": now(session),
            }
            for external_id in not_seen_yet
        ]
        await session.execute(insert(EarlyDeletion).values(values).on_conflict_do_nothing())
    if threads:
        await recount(
            session, project_id=community.project_id, community_id=community.community_id, threads=set(threads.values())
        )


async def change(session: AsyncSession, community: CommunityRef, changes: Sequence[MessageChange]) -> None:
    """Apply changes, in their order. One of a message that was not seen yet is left out: it is read as it is then."""
    if not changes:
        return
    await lock_threads(session, community.community_id)
    threads: set[str] = set()
    for one in changes:
        stored = and_(
            in_workspace(Message, community.workspace_id),
            Message.community_id == community.community_id,
            Message.external_id == one.external_id,
        )
        is_latest = or_(Message.edited_at.is_(None), Message.edited_at < one.at)
        if one.text is not None:
            edited = update(Message).where(stored, is_latest).values(text=one.text.strip(), edited_at=one.at)
            threads.update((await session.scalars(edited.returning(Message.thread_id))).all())
        if one.hidden is not None:
            await session.execute(update(Message).where(stored).values(hidden=one.hidden))
    if threads:
        await recount(session, project_id=community.project_id, community_id=community.community_id, threads=threads)


async def _restored(session: AsyncSession, community: CommunityRef, external_ids: Collection[str]) -> set[str]:
    """Mark messages as not deleted, seen or not; returns the threads in which that changed anything."""
    if not external_ids:
        return set()
    ids = any_(literal(sorted(external_ids), ARRAY(Text)))
    await session.execute(
        delete(EarlyDeletion).where(
            EarlyDeletion.workspace_id == community.workspace_id,
            EarlyDeletion.community_id == community.community_id,
            EarlyDeletion.external_id == ids,
        )
    )
    restored = await session.scalars(
        update(Message)
        .where(in_workspace(Message, community.workspace_id), Message.community_id == community.community_id)
        .where(Message.external_id == ids, Message.deleted_at.is_not(None))
        .values(deleted_at=None)
        .returning(Message.thread_id)
    )
    return set(restored.all())


async def _mark_own_messages(
    session: AsyncSession, community: CommunityRef, seen: Sequence[tuple[RemoteMessage, UUID | None]]
) -> Sequence[tuple[RemoteMessage, UUID | None]]:
    """The same messages, with those of the community's own accounts marked as its own.

    The parser of an inbound event does not know the community's account ids. It reports an own reply as
    a customer's message in a thread of its own; here it moves to the thread of what it replies to.
    """

    def is_unmarked_own(message: RemoteMessage) -> bool:
        return message.author.external_id in community.own_account_ids and not message.author.is_community

    if not any(is_unmarked_own(message) for message, _ in seen):
        return seen
    answered = {m.in_reply_to for m, _ in seen if is_unmarked_own(m) and m.in_reply_to is not None}
    threads = await _threads(session, community, answered)
    marked = []
    # In order of time: a reply may reply to one of our own messages, which must be moved first.
    for message, publication_id in sorted(seen, key=lambda pair: pair[0].sent_at):
        own = message
        if is_unmarked_own(message):
            author = replace(message.author, is_community=True)
            thread_id = threads.get(message.in_reply_to or "", message.thread_id)
            own = replace(message, thread_id=thread_id, author=author)
        threads[own.external_id] = own.thread_id
        marked.append((own, publication_id))
    return marked


async def _threads(session: AsyncSession, community: CommunityRef, external_ids: Collection[str]) -> dict[str, str]:
    rows = await session.execute(
        select(Message.external_id, Message.thread_id).where(
            in_workspace(Message, community.workspace_id),
            Message.community_id == community.community_id,
            Message.external_id == any_(literal(sorted(external_ids), ARRAY(Text))),
        )
    )
    return {row.external_id: row.thread_id for row in rows}


async def _deleted_early(session: AsyncSession, community: CommunityRef, external_ids: Collection[str]) -> set[str]:
    """Those of these messages whose deletion was reported before they were seen."""
    external_ids_deleted = await session.scalars(
        select(EarlyDeletion.external_id).where(
            EarlyDeletion.workspace_id == community.workspace_id,
            EarlyDeletion.community_id == community.community_id,
            EarlyDeletion.external_id == any_(literal(sorted(external_ids), ARRAY(Text))),
        )
    )
    return set(external_ids_deleted)


def _origins(seen: Sequence[tuple[RemoteMessage, UUID | None]]) -> Mapping[str, ThreadOrigin]:
    origins: dict[str, ThreadOrigin] = {}
    for message, publication_id in seen:
        previous = origins.get(message.thread_id)
        origins[message.thread_id] = ThreadOrigin(
            channel=message.kind.value,
            publication_id=publication_id or (previous.publication_id if previous else None),
            post_id=message.post_id or (previous.post_id if previous else None),
        )
    return origins


@dataclass(slots=True)
class _Sighting:
    """The merged reports of one message within a batch."""

    latest: RemoteMessage
    content_known: bool
    deleted: bool
    name: str

    def add(self, message: RemoteMessage) -> None:
        """Merge another report of it."""
        self.deleted = self.deleted or message.deleted
        self.name = message.author.name or self.name
        if not message.deleted:
            if not self.content_known or _edit_time(message) >= _edit_time(self.latest):
                self.latest = message
            self.content_known = True


def _edit_time(message: RemoteMessage) -> float:
    return message.edited_at.timestamp() if message.edited_at is not None else float("-inf")


def _merged_rows(
    session: AsyncSession, community: CommunityRef, messages: Sequence[RemoteMessage], deleted_early: Collection[str]
) -> list[dict[str, Any]]:
    """A row for each message, however often it is in the batch; those in `gone` are deleted already."""
    sightings: dict[str, _Sighting] = {}
    for message in messages:
        if (sighting := sightings.get(message.external_id)) is not None:
            sighting.add(message)
        else:
            deleted = message.deleted or message.external_id in deleted_early
            sightings[message.external_id] = _Sighting(message, not message.deleted, deleted, message.author.name)
    # In key order, to avoid deadlocks.
    return [_row(session, community, sightings[external_id]) for external_id in sorted(sightings)]


def _row(session: AsyncSession, community: CommunityRef, sighting: _Sighting) -> dict[str, Any]:
    message = sighting.latest
    return {
        "workspace_id": workspace_of(session),
        "id": uuid7(),
        "community_id": community.community_id,
        "thread_id": message.thread_id,
        "external_id": message.external_id,
        "direction": (MessageDirection.AGENCY if message.author.is_community else MessageDirection.CUSTOMER).value,
        "automatic": False,
        "author_id": message.author.external_id,
        "author_name": sighting.name,
        "written_by_id": message.written_by_id,
        "text": message.text,
        "attachments": [asdict(attachment) for attachment in message.attachments],
        "sent_at": message.sent_at,
        "edited_at": message.edited_at,
        "deleted_at": now(session) if sighting.deleted else None,
        "content_known": sighting.content_known,
        "url": message.url,
        "in_reply_to": message.in_reply_to,
        "hidden": message.hidden,
    }


def _upsert() -> Any:
    """The statement that stores rows and returns the threads in which anything changed."""
    new = bulk_insert(_MESSAGE, _SEEN)
    incoming = new.excluded
    first_content = and_(incoming.content_known, ~Message.content_known)
    newer_edit = func.coalesce(incoming.edited_at, _BEGINNING) > func.coalesce(Message.edited_at, _BEGINNING)
    # Of a reply sent through Instep our text is kept: the platform's copy may have a mention in front.
    same_edit = and_(Message.delivery.is_(None), incoming.edited_at.is_not_distinct_from(Message.edited_at))
    replaces_text = or_(first_content, and_(incoming.content_known, or_(newer_edit, same_edit)))

    def if_content_seen(name: str) -> ColumnElement[Any]:
        return case((incoming.content_known, incoming[name]), else_=_MESSAGE.c[name])

    changed: dict[str, ColumnElement[Any]] = {
        "text": case((replaces_text, incoming.text), else_=Message.text),
        # A report of the same edit may not name them (some events do not).
        "attachments": case(
            (and_(replaces_text, or_(~same_edit, incoming.attachments != [])), incoming.attachments),
            else_=Message.attachments,
        ),
        "edited_at": case((replaces_text, incoming.edited_at), else_=Message.edited_at),
        "author_name": case((incoming.author_name != "", incoming.author_name), else_=Message.author_name),
        "written_by_id": func.coalesce(incoming.written_by_id, Message.written_by_id),
        "author_id": if_content_seen("author_id"),
        "direction": if_content_seen("direction"),
        "sent_at": if_content_seen("sent_at"),
        "deleted_at": func.coalesce(Message.deleted_at, incoming.deleted_at),
        "content_known": or_(Message.content_known, incoming.content_known),
        "url": func.coalesce(incoming.url, Message.url),
        "in_reply_to": func.coalesce(Message.in_reply_to, incoming.in_reply_to),
        "hidden": func.coalesce(incoming.hidden, Message.hidden),
    }
    return new.on_conflict_do_update(
        index_elements=["workspace_id", "community_id", "external_id"],
        index_where=Message.external_id.is_not(None),
        set_=changed,
        where=or_(*(_MESSAGE.c[name].is_distinct_from(value) for name, value in changed.items())),
    ).returning(_MESSAGE.c.thread_id)


_MESSAGE: Final = Base.metadata.tables[Message.__tablename__]
_SEEN: Final = (
    *("workspace_id", "id", "community_id", "thread_id", "external_id", "direction", "automatic", "author_id"),
    *(
        "author_name",
        "written_by_id",
        "text",
        "attachments",
        "sent_at",
        "edited_at",
        "deleted_at",
        "content_known",
        "url",
        "in_reply_to",
        "hidden",
    ),
)
_UPSERT: Final = _upsert()
"""Built once: building it costs more than executing it."""
