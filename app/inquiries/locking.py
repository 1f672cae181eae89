"""The lock on a community's threads."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.kit.db import lock


async def lock_threads(session: AsyncSession, community_id: UUID) -> None:
    """Lock the threads of a community until the transaction ends; waits for the lock.

    An advisory lock, taken before any row of the community, so that polls, inbound events and replies
    cannot deadlock.
    """
    await lock(session, "inquiries", community_id)
