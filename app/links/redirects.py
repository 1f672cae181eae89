"""Resolves a slug to its target, fast, and also while the database is unavailable.

Each process caches routes. A cached route is used for `ROUTE_TTL` without asking; so long a link
archived in another process still redirects. While PostgreSQL does not answer, a route confirmed
within `STALE_ROUTE_TTL` is used: a client's printed link must not break with our database.
"""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from app.kit.errors import Unavailable
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
    archived: bool
    timezone: ZoneInfo
    """The project's."""


@dataclass(frozen=True, slots=True)
class _CachedRoute:
    route: Route
    confirmed_at: datetime
    checked_at: datetime


class RouteCache:
    """One process' routes; the least recently used are evicted first."""

    def __init__(self, resources: Resources) -> None:
        self.resources: Final = resources
        self.recorder: Final = ClickRecorder(resources.db)
        self._cache: OrderedDict[str, _CachedRoute] = OrderedDict()

    async def find(self, slug: str) -> Route | None:
        """The route of a slug; None where there is none.

        Raises `Unavailable` where the database is down and no cached route is recent enough.
        """
        now = self.resources.clock.now()
        cached = self._cache.get(slug)
        if cached is not None:
            self._cache.move_to_end(slug)
            if abs(now - cached.checked_at) < ROUTE_TTL:
                return cached.route
            # Requests during this look-up get the cached route.
            self._cache[slug] = replace(cached, checked_at=now)
        try:
            async with asyncio.timeout(WAIT_TIMEOUT.total_seconds()):
                route = await self._look_up(slug)
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            if cached is not None and abs(now - cached.confirmed_at) < STALE_ROUTE_TTL:
                log.warning("links.database_unavailable", error=type(error).__name__)
                return cached.route
            raise Unavailable("The database is out of reach.", code="database-away") from None
        if route is None:
            self._cache.pop(slug, None)
            return None
        self._cache[slug] = _CachedRoute(route, confirmed_at=now, checked_at=now)
        if len(self._cache) > MAX_ROUTES:
            self._cache.popitem(last=False)
        return route

    def forget(self, slug: str) -> None:
        """Drop a slug from the cache: its link has changed."""
        self._cache.pop(slug, None)

    async def _look_up(self, slug: str) -> Route | None:
        async with self.resources.db.read_connection(None) as connection:
            row = (
                await connection.execute(
                    select(LinkRoute.workspace_id, LinkRoute.link_id, LinkRoute.target, LinkRoute.archived).where(
                        LinkRoute.slug == slug
                    )
                )
            ).one_or_none()
        if row is None:
            return None
        async with self.resources.db.read_connection(row.workspace_id) as connection:
            timezone = await connection.scalar(
                select(Project.timezone)
                .join(Link, (Link.workspace_id == Project.workspace_id) & (Link.project_id == Project.id))
                .where(Link.workspace_id == row.workspace_id, Link.id == row.link_id)
            )
        if timezone is None:
            return None
        return Route(row.workspace_id, row.link_id, row.target, row.archived, ZoneInfo(timezone))
