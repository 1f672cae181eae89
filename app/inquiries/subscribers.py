"""What polling and hooks bring to light, stored as inquiries."""

from sqlalchemy.ext.asyncio import AsyncSession

from app.communities.events import MessagesDeleted, MessagesSeen
from app.inquiries import intake
from app.kit.events import subscribe


@subscribe(MessagesSeen)
async def store(session: AsyncSession, event: MessagesSeen) -> None:
    """In the unit of work that stores the poll's cursor or the hook's event: both or neither."""
    await intake.store(session, event.community, event.messages)


@subscribe(MessagesDeleted)
async def forget(session: AsyncSession, event: MessagesDeleted) -> None:
    """In the unit of work that stores the hook's event."""
    await intake.deleted(session, event.community, event.external_ids)
