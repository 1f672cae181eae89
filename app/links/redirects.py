"""From a slug to its target, fast, and also while the database is away.

Each process remembers the routes it was asked for. A remembered route is `FRESH` for a few
seconds; so long may a link that was archived in another process still lead on. Where PostgreSQL
does not answer, a route that was confirmed within `STALE` still does: a client's printed link must
not break because our database has a bad minute.
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
from app.links.recording import WAIT_TIMEOUT, Recorder
from app.projects.models import Project

log = structlog.get_logger()

FRESH: Final = timedelta(seconds=10)
STALE: Final = timedelta(hours=1)
MOST: Final = 10_000


@dataclass(frozen=True, slots=True)
class Route:
    """Where a slug leads."""

    workspace_id: UUID
    link_id: UUID
    location: str
    archived: bool
    timezone: ZoneInfo
    """The project's."""


@dataclass(frozen=True, slots=True)
class _Known:
    route: Route
    confirmed_at: datetime
    asked_at: datetime


class Routes:
    """One process' routes, the least used of which are forgotten first."""

    def __init__(self, resources: Resources) -> None:
        self.resources: Final = resources
        self.recorder: Final = Recorder(resources.db)
        self._known: OrderedDict[str, _Known] = OrderedDict()

    async def find(self, slug: str) -> Route | None:
        """The route of a slug; None where there is none. `Unavailable` where nobody can say."""
        now = self.resources.clock.now()
        known = self._known.get(slug)
        if known is not None:
            self._known.move_to_end(slug)
            if abs(now - known.asked_at) < FRESH:
                return known.route
            # Those who come while this one asks are told what is known already.
            self._known[slug] = replace(known, asked_at=now)
        try:
            async with asyncio.timeout(WAIT_TIMEOUT.total_seconds()):
                route = await self._look_up(slug)
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            if known is not None and abs(now - known.confirmed_at) < STALE:
                log.warning("links.database_away", error=type(error).__name__)
                return known.route
            raise Unavailable("The database is out of reach.", code="database-away") from None
        if route is None:
            self._known.pop(slug, None)
            return None
        self._known[slug] = _Known(route, confirmed_at=now, asked_at=now)
        if len(self._known) > MOST:
            self._known.popitem(last=False)
        return route

    def forget(self, slug: str) -> None:
        """Ask anew the next time: the link has changed."""
        self._known.pop(slug, None)

    async def _look_up(self, slug: str) -> Route | None:
        async with self.resources.db.read_connection(None) as connection:
            found = (
                await connection.execute(
                    select(LinkRoute.workspace_id, LinkRoute.link_id, LinkRoute.target, LinkRoute.archived).where(
                        LinkRoute.slug == slug
                    )
                )
            ).one_or_none()
        if found is None:
            return None
        async with self.resources.db.read_connection(found.workspace_id) as connection:
            timezone = await connection.scalar(
                select(Project.timezone)
                .join(Link, (Link.workspace_id == Project.workspace_id) & (Link.project_id == Project.id))
                .where(Link.workspace_id == found.workspace_id, Link.id == found.link_id)
            )
        if timezone is None:
            return None
        return Route(found.workspace_id, found.link_id, found.target, found.archived, ZoneInfo(timezone))
