"""The content plan's subscription to polled publications."""

from sqlalchemy.ext.asyncio import AsyncSession

from app.communities.events import PublicationsSeen
from app.kit.db import actor_of
from app.kit.events import subscribe
from app.posts import matching


@subscribe(PublicationsSeen)
async def match(session: AsyncSession, event: PublicationsSeen) -> None:
    """Match every publication to a post."""
    await matching.match_seen(session, actor_of(session), event)
