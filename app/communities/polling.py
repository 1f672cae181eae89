"""One poll of one community: what is due is read, page by page, each page kept with its cursor.

Never in one transaction with a call: a page is fetched, then stored together with the cursor that
leads to the next. Where a worker dies between the two, the page is fetched again, and storing it
twice changes nothing.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

import structlog
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.communities import pace, publications
from app.communities.calls import Line
from app.communities.events import CommunityConnected, MessagesSeen, Place, SizeMeasured
from app.communities.models import Community, State
from app.kit.db import fetch
from app.kit.events import publish
from app.kit.jobs import Run
from app.platforms.abilities import ListsComments
from app.platforms.contract import AuthExpired, Page, PlatformError, Rejected, RemoteMessage, Throttled

log = structlog.get_logger()

SLICE: Final = timedelta(seconds=20)
"""A poll that takes longer makes room for other communities and goes on later."""
COMMENTS_PER_POLL: Final = 50


class OutOfTime(Exception):
    """This poll has used up its slice; what it has read is kept."""


@dataclass(slots=True)
class Poll:
    """One poll of one community. `community` is as it stood when the poll began."""

    run: Run
    community: Community
    place: Place
    line: Line
    started_at: datetime
    failures: dict[str, PlatformError] = field(default_factory=dict)
    """What failed, by the part that failed: one part does not stop the others."""

    @property
    def pace(self) -> float:
        """The factor on every interval."""
        return self.run.resources.settings.poll_pace

    async def all(self) -> None:
        """Read everything that is due. `PlatformError`s are kept in `failures`; what ends a poll is raised."""
        if self.community.external_id is None:
            await self.size()  # a failure here is raised: nothing else can work
        else:
            await self._part("size", self.size, self.community.size_seen_at, pace.SIZE)
        await self._part("conversations", self.conversations, self.community.conversations_seen_at, pace.CONVERSATIONS)
        await self._part("posts", self.posts, self.community.posts_seen_at, pace.POSTS)
        await self._part("metrics", self.measure)
        await self._part("comments", self.comments)

    async def _part(
        self,
        name: str,
        read: Callable[[], Awaitable[None]],
        seen_at: datetime | None = None,
        every: timedelta = timedelta(0),
    ) -> None:
        if seen_at is not None and self.started_at < seen_at + every * self.pace:
            return
        try:
            await read()
        except (Throttled, AuthExpired):
            raise
        except PlatformError as error:
            log.warning("poll.part_failed", part=name, code=error.code, detail=error.message)
            self.failures[name] = error

    def _check_time(self) -> None:
        if self.run.now - self.started_at >= SLICE:
            raise OutOfTime

    async def size(self) -> None:
        """Who the community is, and how large."""
        found = await self.line.adapter.community(self.line.credentials)
        at = self.run.now
        try:
            async with self.run.step() as session:
                community = await self._mine(session)
                first = community.external_id is None
                if community.state == State.CONNECTING:
                    community.state = State.HEALTHY.value
                community.external_id = found.external_id
                community.title, community.url = found.title, found.url
                community.size_seen_at = at
                await session.flush()
                await publish(session, SizeMeasured(self.place, at, found.size))
                if first:
                    place = self.place
                    await publish(session, CommunityConnected(place.community_id, place.project_id, place.platform))
        except IntegrityError:
            raise Rejected("This community is connected already, under another spelling of its address.") from None
        self.line = replace(self.line, credentials=replace(self.line.credentials, external_id=found.external_id))

    async def posts(self) -> None:
        """The community's own posts: first back to the wanted age, later what is new."""
        cursor, more = self.community.posts_cursor, True
        while more:
            page = await self.line.adapter.posts(self.line.credentials, cursor, self.community.backfill_since)
            at = self.run.now
            async with self.run.step() as session:
                await publications.store(session, self.place, page.items, at, self.pace)
                community = await self._mine(session)
                community.posts_cursor = page.cursor
                if not page.more:
                    community.posts_seen_at = at
                    community.backfilled_at = community.backfilled_at or at
            cursor, more = page.cursor, page.more
            self._check_time()

    async def measure(self) -> None:
        """The counters that are due, in the platform's own batches."""
        batch = self.line.adapter.spec.metrics_batch
        while True:
            async with self.run.step() as session:
                due = await publications.due(session, self.place, self.run.now, batch)
            if not due:
                return
            found = await self.line.adapter.metrics(self.line.credentials, tuple(external for _, external in due))
            at = self.run.now
            async with self.run.step() as session:
                pairs = [(publication_id, metrics) for (publication_id, _), metrics in zip(due, found, strict=True)]
                await publications.measured(session, self.place, pairs, at, self.pace)
            self._check_time()

    async def comments(self) -> None:
        """Comments under posts whose counter has moved."""
        adapter = self.line.adapter
        if not isinstance(adapter, ListsComments):
            return
        async with self.run.step() as session:
            changed = await publications.with_new_comments(
                session, self.place, self.community.backfill_since, COMMENTS_PER_POLL
            )
        for publication_id, external_id, start, counter in changed:
            cursor, more = start, True
            while more:
                page = await adapter.comments(self.line.credentials, external_id, cursor, self.community.backfill_since)
                async with self.run.step() as session:
                    await self._tell(session, page)
                    await publications.comments_read(
                        session, self.place, publication_id, page.cursor, None if page.more else counter
                    )
                cursor, more = page.cursor, page.more
                self._check_time()

    async def conversations(self) -> None:
        """What customers wrote, as the platform lists it for the whole community."""
        cursor, more = self.community.conversations_cursor, True
        while more:
            page = await self.line.adapter.conversations(self.line.credentials, cursor, self.community.backfill_since)
            at = self.run.now
            async with self.run.step() as session:
                await self._tell(session, page)
                community = await self._mine(session)
                community.conversations_cursor = page.cursor
                if not page.more:
                    community.conversations_seen_at = at
            cursor, more = page.cursor, page.more
            self._check_time()

    async def _tell(self, session: AsyncSession, page: Page[RemoteMessage]) -> None:
        if not page.items:
            return
        under = {message.post_id for message in page.items if message.post_id is not None}
        known = await publications.known(session, self.place, sorted(under))
        messages = tuple((message, known.get(message.post_id or "")) for message in page.items)
        await publish(session, MessagesSeen(self.place, messages))

    async def _mine(self, session: AsyncSession) -> Community:
        return await fetch(session, Community, self.place.community_id, for_update=True)


def next_due(community: Community, factor: float) -> datetime | None:
    """When the next of the regular looks is due; None where one never took place."""
    looks = (
        (community.size_seen_at, pace.SIZE),
        (community.posts_seen_at, pace.POSTS),
        (community.conversations_seen_at, pace.CONVERSATIONS),
    )
    due = [seen_at + every * factor for seen_at, every in looks if seen_at is not None]
    return min(due) if len(due) == len(looks) else None
