"""Threads that turn out to be one: their customer was first known by a name alone, or by another one.

Some platforms give no id of a conversation, so that an adapter makes one of the customer's name or id
(`RemoteMessage.renames_thread`). Where a message is stored in a thread with another id than it is reported with, the
stored thread takes the reported id; where there are inquiries of both, they become one.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from sqlalchemy import ARRAY, Text, any_, delete, func, literal, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.communities.events import CommunityRef
from app.inquiries.counts import INQUIRY_TALLY
from app.inquiries.events import InquiryMerged
from app.inquiries.lexemes import INQUIRY_LEXEMES
from app.inquiries.models import Inquiry, InquiryEvent, Message, ResolvedEpisode, ResponseWait
from app.kit.db import in_workspace, now
from app.kit.events import publish
from app.platforms.contract import RemoteMessage, thread_of_answers
from app.projects.service import lock_calendars


async def join_own_threads(
    session: AsyncSession, community: CommunityRef, seen: Sequence[tuple[RemoteMessage, UUID | None]]
) -> Sequence[tuple[RemoteMessage, UUID | None]]:
    """The same messages; one that `guesses_thread` is in the thread of what it answers.

    That is so where what it answers is known and by the same customer, or the message is the community's own.
    """
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
    roots = {row.external_id: (row.thread_id, row.author_id, row.author_name) for row in rows}
    threads: dict[str, str] = {}
    in_batch = {message.external_id: message for message, _ in seen}
    # In order of time: what a message answers may itself have been moved to the thread of what it answers.
    for message in sorted(in_batch.values(), key=lambda one: one.sent_at):
        threads[message.external_id] = thread_id = _joined_thread(message, roots)
        roots.setdefault(message.external_id, (thread_id, message.author.external_id, message.author.name))
    return [
        (replace(one, thread_id=threads[one.external_id]) if one.guesses_thread else one, publication_id)
        for one, publication_id in seen
    ]


def _joined_thread(message: RemoteMessage, roots: Mapping[str, tuple[str, str | None, str]]) -> str:
    """The thread of a message, by the threads and authors of what is answered, by its id."""
    answered = roots.get(message.in_reply_to or "") if message.guesses_thread else None
    if answered is None:
        return message.thread_id
    thread_id, author_id, name = answered
    is_same = author_id == message.author.external_id or (name != "" and name == message.author.name)
    return thread_id if is_same or message.author.is_community else message.thread_id


async def adopt_answers(session: AsyncSession, community: CommunityRef, external_ids: Collection[str]) -> set[str]:
    """Move the community's answers that were seen before these messages to the messages' threads.

    Returns those threads, to be recounted. Under `lock_threads`.
    """
    early = await session.execute(
        select(Message.thread_id)
        .where(
            in_workspace(Message, community.workspace_id),
            Message.community_id == community.community_id,
            Message.thread_id == any_(literal(sorted(map(thread_of_answers, external_ids)), ARRAY(Text))),
        )
        .distinct()
    )
    waiting = set(early.scalars())
    if not waiting:
        return set()
    answered = [external_id for external_id in sorted(external_ids) if thread_of_answers(external_id) in waiting]
    rows = await session.execute(
        select(Message.external_id, Message.thread_id)
        .where(
            in_workspace(Message, community.workspace_id),
            Message.community_id == community.community_id,
            Message.external_id == any_(literal(answered, ARRAY(Text))),
        )
        .order_by(Message.sent_at, Message.external_id)
    )
    adopted: dict[str, str] = {}
    for row in rows:
        # An answer to an answer, whose own thread has just been moved.
        thread_id = adopted.get(row.thread_id, row.thread_id)
        if thread_id != thread_of_answers(row.external_id):
            adopted[thread_of_answers(row.external_id)] = thread_id
    pairs = literal(list(adopted), ARRAY(Text)), literal(list(adopted.values()), ARRAY(Text))
    moved = func.unnest(*pairs).table_valued("early_id", "thread_id").render_derived("moved")
    # Only the community has written in these threads: there are no inquiries of them.
    await session.execute(
        update(Message)
        .where(
            in_workspace(Message, community.workspace_id),
            Message.community_id == community.community_id,
            Message.thread_id == moved.c.early_id,
        )
        .values(thread_id=moved.c.thread_id)
        .execution_options(synchronize_session=False)
    )
    return set(adopted.values())


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
    if new_ids:
        await lock_calendars(session, [community.project_id])  # before any inquiry, as in `recount`
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
    counted = INQUIRY_TALLY.changes(community.workspace_id)
    for later in inquiries[1:]:
        counted.move(later, None)
        if later.kind_by == "person" and inquiries[0].kind_by != "person":
            counted.move(inquiries[0], None)
            inquiries[0].kind, inquiries[0].kind_by = later.kind, later.kind_by
            counted.move(None, inquiries[0])
        await _join(session, community, later.id, inquiries[0].id)
        first = inquiries[0]
        await publish(
            session, InquiryMerged(first.id, first.project_id, community.community_id, now(session), later.id)
        )
    await counted.store(session)
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
    for computed in (ResponseWait, ResolvedEpisode):
        rows = in_workspace(computed, community.workspace_id), computed.inquiry_id == inquiry_id
        await session.execute(delete(computed).where(*rows))
    await INQUIRY_LEXEMES.remove(session, inquiry_id)
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
