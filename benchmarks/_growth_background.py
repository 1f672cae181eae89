"""The reads that workers repeat, of which each must not grow with the data."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.alerts.contract import AlertKind, ConcernQuery
from app.alerts.kinds import kinds
from app.communities import publications
from app.communities.events import CommentsListed, CommunityRef
from app.communities.models import Community
from app.goals import measurements
from app.inquiries import rereading
from app.kit.db import Database
from benchmarks._growth_data import ZONE, World

LIMIT: Final = 5.0
"""Milliseconds of PostgreSQL."""
BATCH: Final = 100

Read = Callable[[AsyncSession], Awaitable[object]]


def reads(db: Database, world: World, values: Mapping[str, Sequence[str]]) -> dict[str, Callable[[], Awaitable[None]]]:
    """The reads by name, of the largest community."""
    community_id, project_id = UUID(values["community_id"][0]), UUID(values["project_id"][0])
    ref = CommunityRef(world.workspace_id, project_id, community_id, "vk", ZONE)
    ids, now = [community_id], world.now
    day = timedelta(days=1)

    async def pending(session: AsyncSession) -> object:
        community = (await session.scalars(select(Community).where(Community.id == community_id))).one()
        return await publications.timezone_and_pending(session, community, now)

    async def absent(session: AsyncSession) -> object:
        open_ids = await rereading.open_publications(session, community_id, None, 1)
        listed = CommentsListed(ref, open_ids[0] if open_ids else community_id, frozenset(), now - 30 * day, now)
        return await rereading.absent(session, listed)

    def concerns(kind: AlertKind) -> Read:
        query = ConcernQuery(kind.key, world.workspace_id, now, now - kind.threshold, kind.ongoing)
        return lambda session: kind.find(session, query)

    async def goals(session: AsyncSession) -> object:
        subjects = await measurements.to_measure(session, project_id)
        return await measurements.measured(
            await session.connection(),
            workspace_id=world.workspace_id,
            project_id=project_id,
            subject=subjects[0],
            today=now.date(),
            at=now,
        )

    made: dict[str, Read] = {
        "one goal measured": goals,
        **{f"alerts of {key}": concerns(kind) for key, kind in kinds().items()},
        "due": lambda session: publications.due(session, ref, now, BATCH),
        "due_among": lambda session: publications.due_among(session, ids, now, now + day, BATCH),
        "first_due": lambda session: publications.first_due(session, ids),
        "ages": lambda session: publications.ages(session, ids, now),
        "pending": pending,
        "absent": absent,
        "open_publications": lambda session: rereading.open_publications(session, community_id, now - 2 * day, 20),
        "open_publications, all": lambda session: rereading.open_publications(session, community_id, None, 20),
    }
    return {f"worker: {name}": _bound(db, world.workspace_id, read) for name, read in made.items()}


def _bound(db: Database, workspace_id: UUID, read: Read) -> Callable[[], Awaitable[None]]:
    async def run() -> None:
        async with db.read_session(workspace_id) as session:
            await read(session)

    return run
