"""Stores polled and pushed messages as inquiries."""

from sqlalchemy.ext.asyncio import AsyncSession

from app.communities.events import MessagesChanged, MessagesDeleted, MessagesSeen
from app.inquiries import intake
from app.kit.events import subscribe


@subscribe(MessagesSeen)
async def store(session: AsyncSession, event: MessagesSeen) -> None:
    """In the transaction that stores the poll's cursor or applies the inbound event: both or neither."""
    await intake.store(session, event.community, event.messages)


@subscribe(MessagesDeleted)
async def mark_deleted(session: AsyncSession, event: MessagesDeleted) -> None:
    """In the transaction that applies the inbound event."""
    await intake.mark_deleted(session, event.community, event.external_ids)


@subscribe(MessagesChanged)
async def change(session: AsyncSession, event: MessagesChanged) -> None:
    """In the transaction that applies the inbound event."""
    await intake.change(session, event.community, event.changes)
