"""How many publications of a community are stored: kept, and so known without counting them."""

from typing import Final
from uuid import UUID

from sqlalchemy import BigInteger, cast, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.communities.models import Publication, PublicationCount
from app.kit.db import Base, in_workspace, workspace_of
from app.kit.tallies import Tally

PUBLICATION_TALLY: Final = Tally(
    Base.metadata.tables[PublicationCount.__tablename__],
    Base.metadata.tables[Publication.__tablename__],
    ("community_id", "project_id"),
)


async def stored(session: AsyncSession, community_id: UUID) -> int:
    """The publications of a community, those deleted on the platform included."""
    number: int = (
        await session.execute(
            select(cast(func.coalesce(func.sum(PublicationCount.change), 0), BigInteger)).where(
                in_workspace(PublicationCount, workspace_of(session)), PublicationCount.community_id == community_id
            )
        )
    ).scalar_one()
    return number
