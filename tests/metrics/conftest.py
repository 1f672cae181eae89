"""A client project with communities and publications, and what was stored about them."""

import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.models import Workspace
from app.communities.events import CommunityRef
from app.communities.models import Community, Publication
from app.kit.actors import SYSTEM
from app.kit.clock import SetClock
from app.kit.db import Database
from app.kit.ids import uuid7
from app.metrics import service
from app.metrics.models import CommunityDay, PostLast, RollupDay
from app.platforms.contract import Metric, MetricStatus, PostMetrics
from app.projects.hours import DEFAULT
from app.projects.models import Project
from tests.metrics.recount import NAMES, Counters, Key, PublicationFacts

NOON = datetime(2026, 10, 15, 12, 0, tzinfo=UTC)


def measured(counters: Counters) -> PostMetrics:
    """Counters as an adapter returns them; those not passed are missing, with a status."""
    return PostMetrics(
        external_id="1",
        counters={Metric(name): value for name, value in counters.items()},
        missing={Metric(name): MetricStatus.UNSUPPORTED for name in NAMES if name not in counters},
    )


@dataclass
class Client:
    """A project whose communities are polled."""

    db: Database
    workspace_id: uuid.UUID
    project_id: uuid.UUID
    zone: str
    refs: list[CommunityRef]
    publications: list[PublicationFacts] = field(default_factory=list)
    snapshots: list[tuple[uuid.UUID, datetime, Counters]] = field(default_factory=list)

    @asynccontextmanager
    async def work(self) -> AsyncIterator[AsyncSession]:
        """A unit of work in its workspace."""
        async with self.db.transaction(self.workspace_id) as session:
            yield session

    async def publish(
        self, published_at: datetime = NOON, category: str | None = None, community: int = 0
    ) -> uuid.UUID:
        """Store a publication; its id."""
        return (await self.publish_many([(published_at, category)], community))[0]

    async def publish_many(
        self, published: Sequence[tuple[datetime, str | None]], community: int = 0
    ) -> list[uuid.UUID]:
        """Store several publications; their ids."""
        ref = self.refs[community]
        ids = [uuid7() for _ in published]
        rows = [
            {
                "workspace_id": self.workspace_id,
                "id": publication_id,
                "community_id": ref.community_id,
                "project_id": self.project_id,
                "external_id": uuid.uuid4().hex,
                "url": "https://social.example/1",
                "text": "…",
                "category": category,
                "published_at": at,
            }
            for publication_id, (at, category) in zip(ids, published, strict=True)
        ]
        async with self.work() as session:
            await session.execute(insert(Publication), rows)
        for publication_id, (at, category) in zip(ids, published, strict=True):
            self.publications.append(PublicationFacts(publication_id, ref.community_id, category or "", at))
        return ids

    async def measure(self, at: datetime, counters: Sequence[tuple[uuid.UUID, Counters]], community: int = 0) -> None:
        """Measure publications, as one poll does."""
        self.snapshots += [(publication_id, at, counts) for publication_id, counts in counters]
        async with self.work() as session:
            await service.record_posts(
                session, self.refs[community], at, [(one, measured(counts)) for one, counts in counters]
            )

    async def move(self, publication_ids: Sequence[uuid.UUID], category: str | None) -> None:
        """Give publications another category."""
        async with self.work() as session:
            await service.set_category(session, SYSTEM, publication_ids, category)
        self.publications = [
            PublicationFacts(one.id, one.community_id, category or "", one.published_at)
            if one.id in publication_ids
            else one
            for one in self.publications
        ]

    async def rezone(self, zone: str) -> None:
        """Move the project to another zone, without publishing the event."""
        async with self.work() as session:
            await session.execute(update(Project).where(Project.id == self.project_id).values(timezone=zone))
        self.zone = zone

    async def stored(self) -> dict[Key, dict[str, int | None]]:
        """The rollup as it is stored; all-zero rows are left out."""
        rows = await self.all_rows(RollupDay)
        return {
            (row["day"], row["community_id"], row["category"], row["source"]): {
                name: row[name] for name in (*NAMES, *(f"{name}_n" for name in NAMES), "snapshots")
            }
            for row in rows
            if row["snapshots"] or any(row[f"{name}_n"] for name in NAMES)
        }

    async def last(self) -> dict[uuid.UUID, dict[str, Any]]:
        """Each publication's row of last values."""
        return {row["publication_id"]: row for row in await self.all_rows(PostLast)}

    async def sizes(self) -> list[dict[str, Any]]:
        """The community's days, in order."""
        return sorted(await self.all_rows(CommunityDay), key=lambda row: row["day"])

    async def all_rows(self, model: Any) -> list[dict[str, Any]]:
        """All rows of a table in its workspace."""
        async with self.db.read_connection(self.workspace_id) as connection:
            query = select(model.__table__).where(model.workspace_id == self.workspace_id)
            return [dict(row) for row in (await connection.execute(query)).mappings()]


async def make_client(
    db: Database, zone: str = "Europe/Minsk", communities: int = 2, workspace_id: uuid.UUID | None = None
) -> Client:
    """A project, in `workspace_id` or in a new workspace."""
    new = workspace_id is None
    workspace_id, project_id = workspace_id or uuid7(), uuid7()
    ids = [uuid7() for _ in range(communities)]
    async with db.transaction(workspace_id) as session:
        if new:
            await session.execute(
                insert(Workspace), [{"workspace_id": workspace_id, "title": "Step & Co", "created_at": NOON}]
            )
        await session.execute(
            insert(Project),
            [
                {
                    "workspace_id": workspace_id,
                    "id": project_id,
                    "title": "Bakery",
                    "timezone": zone,
                    "working_hours": DEFAULT.as_json,
                    "version": 1,
                    "created_at": NOON,
                }
            ],
        )
        await session.execute(
            insert(Community),
            [
                {
                    "workspace_id": workspace_id,
                    "id": one,
                    "project_id": project_id,
                    "platform": "mastodon",
                    "address": f"https://social.example/@{one}",
                    "base_url": "https://social.example",
                    "status": "healthy",
                    "missing_scopes": [],
                    "failures": 0,
                    "backfill_since": NOON - timedelta(days=365),
                    "created_at": NOON,
                }
                for one in ids
            ],
        )
    refs = [CommunityRef(workspace_id, project_id, one, "mastodon", zone) for one in ids]
    return Client(db, workspace_id, project_id, zone, refs)


@pytest.fixture
async def client(db: Database, clock: SetClock) -> Client:
    """A project in Minsk (UTC+3, no summer time) with two communities."""
    return await make_client(db)
