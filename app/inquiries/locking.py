"""The lock on a community's threads."""

from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession


async def lock_threads(session: AsyncSession, community_id: UUID) -> None:
    """Lock the threads of a community until the transaction ends; waits for the lock.

    An advisory lock, taken before any row of the community, so that polls, inbound events and replies
    cannot deadlock.
    """
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"inquiries {community_id}", 0))))
