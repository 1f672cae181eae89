"""Who may change a community's threads."""

from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession


async def lock_threads(session: AsyncSession, community_id: UUID) -> None:
    """Wait until nobody else changes this community's threads; held until the unit of work ends.

    Taken before any of its rows, so that two polls, a hook and a reply cannot block each other.
    """
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"inquiries {community_id}", 0))))
