"""What polling and hooks bring to light, stored as inquiries."""

from sqlalchemy.ext.asyncio import AsyncSession

from app.communities.events import MessagesSeen
from app.inquiries import intake
from app.kit.events import subscribe


@subscribe(MessagesSeen)
async def store(session: AsyncSession, event: MessagesSeen) -> None:
    """In the unit of work that stores the poll's cursor: both or neither."""
    await intake.store(session, event.place, event.messages)
