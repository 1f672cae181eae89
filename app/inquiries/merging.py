"""Threads that turn out to be one: their customer was first known by a name alone, or by another one.

Some platforms give no id of a conversation, so that an adapter makes one of the customer's name or id
(`RemoteMessage.renames_thread`). Where a message is stored in a thread with another id than it is reported with, the
stored thread takes the reported id; where there are inquiries of both, they become one.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from uuid import UUID

from sqlalchemy import ARRAY, Text, any_, delete, literal, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.communities.events import CommunityRef
from app.inquiries.events import InquiryMerged
from app.inquiries.models import Inquiry, InquiryEvent, Message, ResponseWait
from app.kit.db import in_workspace, now
from app.kit.events import publish
from app.platforms.contract import RemoteMessage


async def join_own_threads(
    session: AsyncSession, community: CommunityRef, seen: Sequence[tuple[RemoteMessage, UUID | None]]
) -> Sequence[tuple[RemoteMessage, UUID | None]]:
    """The same messages; one that `guesses_thread` is in the thread of what it answers, if by the same customer."""
    answered = {message.in_reply_to for message, _ in seen if message.guesses_thread}
    if not answered:
        return seen
    rows = await session.execute(
        select(Message.external_id, Message.thread_id, Message.author_id, Message.author_name).where(
            in_workspace(Message, community.workspace_id),
            Message.community_id == community.community_id,
            Message.external_id == any_(literal(sorted(i for i in answered if i is not None), ARRAY(Text))),
        )
    )
    stored = {row.external_id: (row.thread_id, row.author_id, row.author_name) for row in rows}
    in_batch = {m.external_id: (m.thread_id, m.author.external_id, m.author.name) for m, _ in seen}
    roots = {**in_batch, **stored}

    def joined(message: RemoteMessage) -> RemoteMessage:
        if not message.guesses_thread or message.in_reply_to not in roots:
            return message
        thread_id, author_id, name = roots[message.in_reply_to]
        is_same = author_id == message.author.external_id or (name != "" and name == message.author.name)
        return replace(message, thread_id=thread_id) if is_same else message

    return [(joined(message), publication_id) for message, publication_id in seen]


async def place_own_replies(
    session: AsyncSession, community: CommunityRef, seen: Sequence[tuple[RemoteMessage, UUID | None]]
) -> Sequence[tuple[RemoteMessage, UUID | None]]:
    """The same messages; those `in_parents_thread` are in the thread of what they answer, or left out."""
    to_place = [pair for pair in seen if pair[0].in_parents_thread]
    if not to_place:
        return seen
    placed = [pair for pair in seen if not pair[0].in_parents_thread]
    threads = await threads_of(session, community, {one.in_reply_to for one, _ in to_place if one.in_reply_to})
    threads |= {one.external_id: one.thread_id for one, _ in placed}
    # In order of time: a reply may answer one before it.
    for message, publication_id in sorted(to_place, key=lambda pair: pair[0].sent_at):
        thread_id = threads.get(message.in_reply_to or "")
        if thread_id is not None:
            threads[message.external_id] = thread_id
            placed.append((replace(message, thread_id=thread_id), publication_id))
    return placed


async def threads_of(session: AsyncSession, community: CommunityRef, external_ids: Collection[str]) -> dict[str, str]:
    """The thread of each of these messages that is stored."""
    rows = await session.execute(
        select(Message.external_id, Message.thread_id).where(
            in_workspace(Message, community.workspace_id),
            Message.community_id == community.community_id,
            Message.external_id == any_(literal(sorted(external_ids), ARRAY(Text))),
        )
    )
    return {row.external_id: row.thread_id for row in rows}


async def rename_threads(session: AsyncSession, community: CommunityRef, seen: Iterable[RemoteMessage]) -> set[str]:
    """Give stored threads the ids that these messages are reported with; the new ids, to be recounted.

    Under `lock_threads`.
    """
    reported = {message.external_id: message.thread_id for message in seen if message.renames_thread}
    if not reported:
        return set()
    rows = await session.execute(
        select(Message.external_id, Message.thread_id).where(
            in_workspace(Message, community.workspace_id),
            Message.community_id == community.community_id,
            Message.external_id == any_(literal(sorted(reported), ARRAY(Text))),
        )
    )
    new_ids = {row.thread_id: reported[row.external_id] for row in rows if row.thread_id != reported[row.external_id]}
    # In key order, to avoid deadlocks.
    for thread_id, new_id in sorted(new_ids.items()):
        await _rename(session, community, thread_id, new_id)
    return set(new_ids.values())


async def _rename(session: AsyncSession, community: CommunityRef, thread_id: str, new_id: str) -> None:
    inquiries = list(
        (
            await session.scalars(
                select(Inquiry)
                .where(
                    in_workspace(Inquiry, community.workspace_id),
                    Inquiry.community_id == community.community_id,
                    Inquiry.thread_id.in_([thread_id, new_id]),
                )
                .order_by(Inquiry.opened_at, Inquiry.id)
                .with_for_update()
            )
        ).all()
    )
    for later in inquiries[1:]:
        if later.kind_by == "person" and inquiries[0].kind_by != "person":
            inquiries[0].kind, inquiries[0].kind_by = later.kind, later.kind_by
        await _join(session, community, later.id, inquiries[0].id)
        at = now(session)
        await publish(
            session,
            InquiryMerged(inquiries[0].id, inquiries[0].project_id, community.community_id, at, later.id),
        )
    await session.execute(
        update(Message)
        .where(
            in_workspace(Message, community.workspace_id),
            Message.community_id == community.community_id,
            Message.thread_id == thread_id,
        )
        .values(thread_id=new_id)
    )
    if inquiries:
        inquiries[0].thread_id = new_id
        await session.flush()


async def _join(session: AsyncSession, community: CommunityRef, inquiry_id: UUID, into: UUID) -> None:
    """Move the messages and the history of an inquiry to another, and delete it. Its waits are computed anew."""
    for table in (Message, InquiryEvent):
        of_inquiry = in_workspace(table, community.workspace_id), table.inquiry_id == inquiry_id
        await session.execute(update(table).where(*of_inquiry).values(inquiry_id=into))
    waits = in_workspace(ResponseWait, community.workspace_id), ResponseWait.inquiry_id == inquiry_id
    await session.execute(delete(ResponseWait).where(*waits))
    await session.execute(
        delete(Inquiry).where(in_workspace(Inquiry, community.workspace_id), Inquiry.id == inquiry_id)
    )
    session.add(
        InquiryEvent(
            workspace_id=community.workspace_id,
            inquiry_id=into,
            type="merged",
            at=now(session),
            actor=None,
            data={"inquiry_id": str(inquiry_id)},
        )
    )
