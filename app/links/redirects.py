"""Resolves a slug to its target, fast, and also while the database is unavailable.

Each process caches routes. A cached route is used for `ROUTE_TTL` without asking; so long a link
archived in another process still redirects, and one whose target was changed leads to the old one.
While PostgreSQL does not answer, a route confirmed
within `STALE_ROUTE_TTL` is used: a client's printed link must not break with our database.
"""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import select

from app.kit.cache import Cache, OnePer
from app.kit.errors import NotFound, Unavailable, is_outage
from app.kit.resources import Resources
from app.links.models import Link, LinkRoute
from app.links.recording import WAIT_TIMEOUT, ClickRecorder
from app.projects.models import Project

log = structlog.get_logger()

ROUTE_TTL: Final = timedelta(seconds=10)
STALE_ROUTE_TTL: Final = timedelta(hours=1)
MAX_ROUTES: Final = 10_000


@dataclass(frozen=True, slots=True)
class Route:
    """The target of a slug, with its link."""

    workspace_id: UUID
    link_id: UUID
    location: str
    target_version: int
    archived: bool
    timezone: ZoneInfo
    """The project's."""


class Redirects:
    """Resolves slugs to their targets, and records clicks on them; one for each process."""

    def __init__(self, resources: Resources) -> None:
        self._db = resources.db
        self.recorder: Final = ClickRecorder(resources.db)
        self.routes: Final = Cache[str, Route](
            resources.clock,
            seconds=ROUTE_TTL.total_seconds(),
            size=MAX_ROUTES,
            stale_seconds=(STALE_ROUTE_TTL - ROUTE_TTL).total_seconds(),
            unavailable=(Unavailable,),
        )
        """By slug."""

    async def find(self, slug: str) -> Route:
        """The route of a slug; raises `NotFound` where there is none.

        Raises `Unavailable` where the database is down and no cached route is recent enough.
        """
        return await self.routes.get(slug, lambda: self._load(slug))

    async def _load(self, slug: str) -> Route:
        try:
            async with asyncio.timeout(WAIT_TIMEOUT.total_seconds()):
                return await self._look_up(slug)
        except Exception as error:
            if not is_outage(error):
                raise
            log.warning("links.database_unavailable", error=type(error).__name__)
            raise Unavailable("The database is out of reach.", code="database-away") from None

    async def _look_up(self, slug: str) -> Route:
        async with self._db.read_connection(None) as connection:
            row = (
                await connection.execute(
                    select(
                        LinkRoute.workspace_id,
                        LinkRoute.link_id,
                        LinkRoute.target,
                        LinkRoute.target_version,
                        LinkRoute.archived,
                    ).where(LinkRoute.slug == slug)
                )
            ).one_or_none()
        if row is None:
            raise NotFound
        async with self._db.read_connection(row.workspace_id) as connection:
            timezone = await connection.scalar(
                select(Project.timezone)
                .join(Link, (Link.workspace_id == Project.workspace_id) & (Link.project_id == Project.id))
                .where(Link.workspace_id == row.workspace_id, Link.id == row.link_id)
            )
        if timezone is None:
            raise NotFound
        return Route(*row, ZoneInfo(timezone))


redirects: Final = OnePer(Redirects)
"""The redirects of a process."""
