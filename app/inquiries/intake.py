"""Storing what was seen on a platform: repeated, late, out of order, edited or deleted, all the same.

A message's stored state is what all sightings of it together say, whatever their order: the newest
edit's words, deleted once it was seen deleted (until the platform tells that it was restored), its
author's name once it was given. The platform's
own time of sending wins over ours.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ARRAY, ColumnElement, Text, and_, any_, case, delete, func, literal, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.communities.events import CommunityRef
from app.inquiries.locking import lock_threads
from app.inquiries.models import Delivery, Direction, EarlyDeletion, InquiryEvent, Message
from app.inquiries.recount import Origin, recount
from app.kit.bulk import bulk_insert, column_arrays
from app.kit.db import Base, in_workspace, now, workspace_of
from app.kit.ids import uuid7
from app.platforms.contract import RemoteMessage

SKEW: Final = timedelta(minutes=2)
"""How far a platform's clock may be behind ours when a copy of our own answer is looked for."""

UNRESOLVED: Final = (Delivery.OUTCOME_UNKNOWN.value, Delivery.NEEDS_REVIEW.value)
UNDER_WAY: Final = timedelta(minutes=2)
"""An answer that has been on its way for longer is in doubt: no attempt takes so long."""

_MENTIONS: Final = re.compile(r"^(?:\s*(?:@\S+|\[(?:id|club|public)\d+\|[^\]]*\])[,:]?(?:\s+|$))+")
_BEGINNING: Final = text("'-infinity'::timestamptz")


async def store(session: AsyncSession, place: CommunityRef, seen: Sequence[tuple[RemoteMessage, UUID | None]]) -> None:
    """Store messages, each with the publication it stands under, and what follows from them."""
    if not seen:
        return
    await lock_threads(session, place.community_id)
    seen = await _recognised(session, place, seen)
    back = await _restored(session, place, {message.external_id for message, _ in seen if message.restored})
    gone = await _gone(session, place, {message.external_id for message, _ in seen})
    rows = _folded(session, place, [message for message, _ in seen], gone)
    threads = back | set((await session.scalars(_UPSERT, column_arrays(rows, _SEEN))).all())
    if not threads:
        return
    await adopt(session, place.community_id, threads)
    await recount(
        session,
        project_id=place.project_id,
        community_id=place.community_id,
        threads=threads,
        origins=_origins(seen),
    )


async def deleted(session: AsyncSession, place: CommunityRef, external_ids: Collection[str]) -> None:
    """Take messages for deleted; one that was never seen will be from the moment it is.

    So the order does not matter in which a message and its deletion become known.
    """
    if not external_ids:
        return
    await lock_threads(session, place.community_id)
    ids = any_(literal(sorted(external_ids), ARRAY(Text)))
    known = await session.execute(
        update(Message)
        .where(
            in_workspace(Message, place.workspace_id),
            Message.community_id == place.community_id,
            Message.external_id == ids,
        )
        .values(deleted_at=func.coalesce(Message.deleted_at, now(session)))
        .returning(Message.external_id, Message.thread_id)
    )
    threads = {row.external_id: row.thread_id for row in known}
    early = sorted(set(external_ids) - set(threads))
    if early:
        values = [
            {
                "workspace_id": place.workspace_id,
                "community_id": place.community_id,
                "external_id": external_id,
                "deleted_at": now(session),
            }
            for external_id in early
        ]
        await session.execute(insert(EarlyDeletion).values(values).on_conflict_do_nothing())
    if threads:
        await recount(
            session, project_id=place.project_id, community_id=place.community_id, threads=set(threads.values())
        )


async def _restored(session: AsyncSession, place: CommunityRef, external_ids: Collection[str]) -> set[str]:
    """Take these messages for deleted no longer, seen or not; the threads in which that changed anything."""
    if not external_ids:
        return set()
    ids = any_(literal(sorted(external_ids), ARRAY(Text)))
    await session.execute(
        delete(EarlyDeletion).where(
            EarlyDeletion.workspace_id == place.workspace_id,
            EarlyDeletion.community_id == place.community_id,
            EarlyDeletion.external_id == ids,
        )
    )
    back = await session.scalars(
        update(Message)
        .where(in_workspace(Message, place.workspace_id), Message.community_id == place.community_id)
        .where(Message.external_id == ids, Message.deleted_at.is_not(None))
        .values(deleted_at=None)
        .returning(Message.thread_id)
    )
    return set(back.all())


async def _recognised(
    session: AsyncSession, place: CommunityRef, seen: Sequence[tuple[RemoteMessage, UUID | None]]
) -> Sequence[tuple[RemoteMessage, UUID | None]]:
    """The messages, with the community's own among them known for its own.

    What reads a hook's call does not know who we are. It then takes us for a customer with a thread
    of our own: such an answer belongs to the thread of what it answers.
    """

    def taken_for_a_customer(message: RemoteMessage) -> bool:
        return message.author.external_id in place.own_account_ids and not message.author.is_community

    if not any(taken_for_a_customer(message) for message, _ in seen):
        return seen
    answered = {m.in_reply_to for m, _ in seen if taken_for_a_customer(m) and m.in_reply_to is not None}
    threads = await _threads(session, place, answered)
    found = []
    # An answer comes after what it answers, which may be an answer of ours in turn.
    for message, publication_id in sorted(seen, key=lambda pair: pair[0].sent_at):
        known = message
        if taken_for_a_customer(message):
            author = replace(message.author, is_community=True)
            thread_id = threads.get(message.in_reply_to or "", message.thread_id)
            known = replace(message, thread_id=thread_id, author=author)
        threads[known.external_id] = known.thread_id
        found.append((known, publication_id))
    return found


async def _threads(session: AsyncSession, place: CommunityRef, external_ids: Collection[str]) -> dict[str, str]:
    rows = await session.execute(
        select(Message.external_id, Message.thread_id).where(
            in_workspace(Message, place.workspace_id),
            Message.community_id == place.community_id,
            Message.external_id == any_(literal(sorted(external_ids), ARRAY(Text))),
        )
    )
    return {row.external_id: row.thread_id for row in rows}


async def _gone(session: AsyncSession, place: CommunityRef, external_ids: Collection[str]) -> set[str]:
    """Which of these messages were told to be deleted before they were seen."""
    found = await session.scalars(
        select(EarlyDeletion.external_id).where(
            EarlyDeletion.workspace_id == place.workspace_id,
            EarlyDeletion.community_id == place.community_id,
            EarlyDeletion.external_id == any_(literal(sorted(external_ids), ARRAY(Text))),
        )
    )
    return set(found)


def _origins(seen: Sequence[tuple[RemoteMessage, UUID | None]]) -> Mapping[str, Origin]:
    found: dict[str, Origin] = {}
    for message, publication_id in seen:
        before = found.get(message.thread_id)
        found[message.thread_id] = Origin(
            channel=message.kind.value,
            publication_id=publication_id or (before.publication_id if before else None),
            post_id=message.post_id or (before.post_id if before else None),
        )
    return found


@dataclass(slots=True)
class _Sighting:
    """What is known of one message from one batch."""

    newest: RemoteMessage
    read: bool
    deleted: bool
    name: str

    def meet(self, message: RemoteMessage) -> None:
        """Learn from another sighting of it."""
        self.deleted = self.deleted or message.deleted
        self.name = message.author.name or self.name
        if not message.deleted:
            if not self.read or _edition(message) >= _edition(self.newest):
                self.newest = message
            self.read = True


def _edition(message: RemoteMessage) -> float:
    return message.edited_at.timestamp() if message.edited_at is not None else float("-inf")


def _folded(
    session: AsyncSession, place: CommunityRef, messages: Sequence[RemoteMessage], gone: Collection[str]
) -> list[dict[str, Any]]:
    """A row for each message, however often it is in the batch; those in `gone` are deleted already."""
    found: dict[str, _Sighting] = {}
    for message in messages:
        if (known := found.get(message.external_id)) is not None:
            known.meet(message)
        else:
            deleted = message.deleted or message.external_id in gone
            found[message.external_id] = _Sighting(message, not message.deleted, deleted, message.author.name)
    # In one order, whoever writes.
    return [_row(session, place, found[external_id]) for external_id in sorted(found)]


def _row(session: AsyncSession, place: CommunityRef, sighting: _Sighting) -> dict[str, Any]:
    message = sighting.newest
    return {
        "workspace_id": workspace_of(session),
        "id": uuid7(),
        "community_id": place.community_id,
        "thread_id": message.thread_id,
        "external_id": message.external_id,
        "direction": (Direction.AGENCY if message.author.is_community else Direction.CUSTOMER).value,
        "automatic": False,
        "author_id": message.author.external_id,
        "author_name": sighting.name,
        "text": message.text,
        "sent_at": message.sent_at,
        "edited_at": message.edited_at,
        "deleted_at": now(session) if sighting.deleted else None,
        "read": sighting.read,
        "url": message.url,
        "in_reply_to": message.in_reply_to,
    }


def _upsert() -> Any:
    """Stores rows; gives the threads in which anything changed."""
    new = bulk_insert(_MESSAGE, _SEEN)
    given = new.excluded
    first = and_(given["read"], ~Message.read)
    newer = func.coalesce(given.edited_at, _BEGINNING) > func.coalesce(Message.edited_at, _BEGINNING)
    # The copy of our own answer shows it as the platform does (with a mention in front, say).
    same = and_(Message.delivery.is_(None), given.edited_at.is_not_distinct_from(Message.edited_at))
    takes = or_(first, and_(given["read"], or_(newer, same)))

    def once_read(name: str) -> ColumnElement[Any]:
        return case((given["read"], given[name]), else_=_MESSAGE.c[name])

    changed: dict[str, ColumnElement[Any]] = {
        "text": case((takes, given.text), else_=Message.text),
        "edited_at": case((takes, given.edited_at), else_=Message.edited_at),
        "author_name": case((given.author_name != "", given.author_name), else_=Message.author_name),
        "author_id": once_read("author_id"),
        "direction": once_read("direction"),
        "sent_at": once_read("sent_at"),
        "deleted_at": func.coalesce(Message.deleted_at, given.deleted_at),
        "read": or_(Message.read, given["read"]),
        "url": func.coalesce(given.url, Message.url),
        "in_reply_to": func.coalesce(Message.in_reply_to, given.in_reply_to),
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
    *("author_name", "text", "sent_at", "edited_at", "deleted_at", "read", "url", "in_reply_to"),
)
_UPSERT: Final = _upsert()
"""Put together once: that costs more than sending it."""


async def adopt(
    session: AsyncSession, community_id: UUID, threads: Collection[str], *, doubtful: UUID | None = None
) -> None:
    """Recognise, among what was found, answers of ours of which it was not known whether they were sent.

    `doubtful`: an answer that is among them although it has not been on its way for long.
    """
    sending = and_(
        Message.delivery == Delivery.SENDING.value,
        or_(Message.intended_at <= now(session) - UNDER_WAY, Message.id == doubtful),
    )
    of_threads = and_(
        in_workspace(Message, workspace_of(session)),
        Message.community_id == community_id,
        Message.thread_id == any_(literal(sorted(threads), ARRAY(Text))),
        Message.direction == Direction.AGENCY.value,
    )
    lost = list(
        (
            await session.scalars(
                select(Message)
                .where(of_threads, or_(Message.delivery.in_(UNRESOLVED), sending))
                .order_by(Message.intended_at)
                .with_for_update()
            )
        ).all()
    )
    if not lost:
        return
    since = min(message.intended_at or message.sent_at for message in lost) - SKEW
    found = list(
        (
            await session.scalars(
                select(Message)
                .where(of_threads, Message.delivery.is_(None), Message.read, Message.sent_at >= since)
                .order_by(Message.sent_at, Message.id)
            )
        ).all()
    )
    for ours in lost:
        copy = next((each for each in found if _is_copy(each, ours)), None)
        if copy is not None:
            found.remove(copy)
            await merge(session, ours, copy)


def _is_copy(found: Message, ours: Message) -> bool:
    intended_at: datetime = ours.intended_at or ours.sent_at
    return (
        found.thread_id == ours.thread_id
        and found.sent_at >= intended_at - SKEW
        and _words(found.text) == _words(ours.text)
    )


def _words(said: str) -> str:
    """The text without the mentions a platform puts in front, and however it breaks lines."""
    return " ".join(_MENTIONS.sub("", said).split())


async def merge(session: AsyncSession, ours: Message, copy: Message) -> None:
    """Make the found copy and our own row one: ours, which somebody may have asked for by its id."""
    external_id, sent_at, url = copy.external_id, copy.sent_at, copy.url
    await session.delete(copy)
    await session.flush()  # its external_id must be free first
    ours.external_id, ours.sent_at, ours.url = external_id, sent_at, url
    ours.delivery, ours.delivery_detail = Delivery.SENT.value, None
    if ours.inquiry_id is not None:
        session.add(
            InquiryEvent(
                workspace_id=ours.workspace_id,
                inquiry_id=ours.inquiry_id,
                type="sent",
                at=now(session),
                actor=None,
                data={"message_id": str(ours.id), "found": True},
            )
        )
    await session.flush()
