"""What the content plan does when something is seen on a platform."""

from sqlalchemy.ext.asyncio import AsyncSession

from app.communities.events import PublicationsSeen
from app.kit.events import subscribe
from app.posts import matching


@subscribe(PublicationsSeen)
async def match(session: AsyncSession, event: PublicationsSeen) -> None:
    """Give every publication its post."""
    await matching.seen(session, event)
