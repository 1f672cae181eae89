"""One poll of one community: what is due is read, page by page, each page kept with its cursor.

Never in one transaction with a call: a page is fetched, then stored together with the cursor that
leads to the next. Where a worker dies between the two, the page is fetched again, and storing it
twice changes nothing.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.communities import publications, tokens
from app.communities.events import CommunityConnected, CommunityRef, MessagesSeen, SizeMeasured
from app.communities.inbound import reconcile, store
from app.communities.models import Community, State
from app.communities.platform_client import PlatformClient
from app.communities.polling import poll_schedule
from app.communities.polling.fair_share import IntervalMultipliers, smoothed
from app.communities.polling.poll_schedule import PollSchedule
from app.communities.polling.rate_limits import RateLimitKey, RateLimitReached
from app.communities.publications import Waiting
from app.kit.db import fetch
from app.kit.events import publish
from app.kit.jobs import Run
from app.platforms.capabilities import Inspects, ListsComments, MeasuresAcross, Streams
from app.platforms.contract import (
    AuthExpired,
    Page,
    PlatformError,
    Rejected,
    RemoteMessage,
    RemotePost,
    Throttled,
)

log = structlog.get_logger()

SLICE: Final = timedelta(seconds=20)
"""A poll that takes longer makes room for other communities and goes on later."""
COMMENTS_PER_POLL: Final = 50
EARLY: Final = 0.1
"""The share of its interval by which a look may come early: a poll that is under way is cheaper than another."""
WATCHED: Final = frozenset({State.HEALTHY.value, State.DEGRADED.value})


class OutOfTime(Exception):
    """This poll has used up its slice; what it has read is kept."""


@dataclass(slots=True)
class Poll:
    """One poll of one community. `community` is as it stood when the poll began."""

    run: Run
    community: Community
    place: CommunityRef
    line: PlatformClient
    stretch: IntervalMultipliers
    waiting: Waiting
    started_at: datetime
    shown: bool = False
    """The list showed something of posts that is new."""
    failures: dict[str, PlatformError] = field(default_factory=dict)
    """What failed, by the part that failed: one part does not stop the others."""
    spent: dict[str, datetime] = field(default_factory=dict)
    """Until when a part waits for a limit."""
    costs: dict[str, dict[str, float]] = field(default_factory=dict)
    """What a look of each part took from which limit (`planner.smoothed`)."""
    marks: dict[str, Any] = field(default_factory=dict)
    """What the community's row is to say of looks that brought nothing else to keep: most do, and each is spared a
    unit of work of its own.
    """
    news: list[SizeMeasured] = field(default_factory=list)
    """What is to be told at the end, for the same reason."""
    heard: Counter[RateLimitKey] = field(default_factory=Counter)
    """What reading comments took: it has no rhythm of its own, so what counts is how much it is a day."""

    @property
    def factor(self) -> float:
        """On every interval of a post's counters."""
        return self.run.resources.settings.poll_interval_multiplier * self.stretch.looks

    async def all(self) -> None:
        """Read everything that is due. `PlatformError`s are kept in `failures`; what ends a poll is raised."""
        due = [name for name, at in self.due(self.community).items() if self._takes(name, at)]
        if self.community.external_id is None:
            await self.size()  # a failure here is raised: nothing else can work
        elif "size" in due:
            await self._part("size", self.size)
        for name in due:
            if name != "size":
                await self._part(name, getattr(self, name))
        looked = (self.shown or self.waiting.counters) and not isinstance(self.line.adapter, MeasuresAcross)
        if looked:
            await self._part("looks", self.measure)
        if looked or self.shown or self.waiting.comments:
            await self._part("comments", self.comments)

    async def keep(self) -> None:
        """Keep what was left for the end, where a poll ends before its time."""
        if self.marks or self.news:
            async with self.run.step() as session:
                await self.conclude(session)

    async def conclude(self, session: AsyncSession) -> Community:
        """Keep what was left for the end; the community's row, locked."""
        community = await self._mine(session)
        for one in self.news:
            await publish(session, one)
        for name, value in self.marks.items():
            setattr(community, name, value)
        self.marks, self.news = {}, []
        return community

    def _takes(self, name: str, at: datetime) -> bool:
        """Whether a look is due; one that will be within a tenth of its interval is taken along."""
        if self.community.requested(name) is not None:
            return True
        seen_at: datetime | None = getattr(self.community, f"{name}_seen_at")
        return at - (at - seen_at) * EARLY <= self.started_at if seen_at is not None else at <= self.started_at

    def due(self, community: Community) -> dict[str, datetime]:
        """When each of the looks that this platform allows is due: a method's name and an instant."""
        looks = rounds(community, self.run.resources.settings.poll_interval_multiplier, self.stretch)
        adapter = self.line.adapter
        if not (isinstance(adapter, Inspects) and self.line.held.texts):
            del looks["tokens"]
        if isinstance(adapter, Streams):
            del looks["posts"]
        return {name: max(at, self.spent.get(name, at)) for name, at in looks.items()}

    async def _part(self, name: str, read: Callable[[], Awaitable[int | None]]) -> None:
        """Do a part; it answers how many things it read, where its costs are counted for each."""
        before = Counter(self.line.meter.spent)
        try:
            read_things = await read()
        except (Throttled, AuthExpired):
            raise
        except RateLimitReached as wait:
            # Other parts may have limits of their own: they need not wait for this one's.
            self.spent[name] = wait.until
            return
        except PlatformError as error:
            log.warning("poll.part_failed", part=name, code=error.code, detail=error.message)
            self.failures[name] = error
            return
        spent: Counter[RateLimitKey] = self.line.meter.spent - before
        if name == "comments":
            self.heard += spent
        # The first walk back reads far more than any later one.
        elif self.community.backfilled_at is not None and read_things != 0:
            self.costs[name] = smoothed(self.community.costs.get(name, {}), spent, read_things or 1)

    def _begin(self, part: str) -> datetime:
        """How far a part is known by a read that begins now: what is asked for while it goes on is not answered by it.

        What was asked for before is, though it was another machine's clock that said when.
        """
        return max(self.run.now, self.community.requested(part) or self.run.now)

    def _check_time(self) -> None:
        if self.run.now - self.started_at >= SLICE:
            raise OutOfTime

    async def size(self) -> None:
        """Who the community is, and how large."""
        began = self._begin("size")
        found = await self.line.adapter.community(self.line.credentials)
        at, known = self.run.now, self.community
        same = (known.external_id, known.title, known.url, known.aliases)
        if same == (found.external_id, found.title, found.url, sorted(found.aliases)) and known.state in WATCHED:
            self.marks["size_seen_at"] = began
            self.news.append(SizeMeasured(self.place, at, found.size))
            return
        try:
            async with self.run.step() as session:
                community = await self._mine(session)
                first = community.external_id is None
                if community.state == State.CONNECTING:
                    community.state = State.HEALTHY.value
                community.external_id = found.external_id
                community.title, community.url = found.title, found.url
                community.aliases = sorted(found.aliases)
                community.size_seen_at = began
                await session.flush()
                await publish(session, SizeMeasured(self.place, at, found.size))
                if first:
                    place = self.place
                    await publish(session, CommunityConnected(place.community_id, place.project_id, place.platform))
        except IntegrityError:
            raise Rejected("This community is connected already, under another spelling of its address.") from None
        credentials = replace(self.line.credentials, external_id=found.external_id, aliases=found.aliases)
        self.line = replace(self.line, credentials=credentials)

    async def tokens(self) -> None:
        """What the platform says about our tokens."""
        adapter = self.line.adapter
        assert isinstance(adapter, Inspects)
        began = self._begin("tokens")
        states = await adapter.inspect(self.line.credentials)
        async with self.run.step() as session:
            if await tokens.inspected(session, self.place.community_id, self.line.held, states):
                community = await self._mine(session)
                community.tokens_seen_at = began

    async def posts(self) -> None:
        """The community's own posts: first back to the wanted age, later what is new."""
        began, cursor, more, new = self._begin("posts"), self.community.posts_cursor, True, 0
        while more:
            page = await self.line.adapter.posts(self.line.credentials, cursor, self.community.backfill_since)
            at = self.run.now
            if await self._shows_nothing_new(page, at):
                self.marks |= {"posts_cursor": page.cursor, "posts_seen_at": began}
                self.marks["posts_idle_polls"] = 0 if new else self.community.posts_idle_polls + 1
                return
            async with self.run.step() as session:
                kept = await publications.store(session, self.place, page.items, at, self.factor)
                self.shown, new = self.shown or kept.written > 0, new + kept.new
                await reconcile.reconcile(session, self.place, posts=page.items)
                community = await self._mine(session)
                community.posts_cursor = page.cursor
                if community.backfilled_at is None:
                    community.backfilled_to = _reached(community.backfilled_to, page.items)
                if not page.more:
                    community.posts_seen_at = began
                    community.posts_idle_polls = 0 if new else community.posts_idle_polls + 1
                    community.backfilled_at = community.backfilled_at or at
            cursor, more = page.cursor, page.more
            self._check_time()

    async def _shows_nothing_new(self, page: Page[RemotePost], at: datetime) -> bool:
        """Whether there is nothing to keep of the last page of a walk, nor to hold a hook to."""
        told = self.community.event_at is not None
        if page.more or told or self.community.backfilled_at is None:
            return False
        async with self.run.resources.db.read_session(self.place.workspace_id) as session:
            return not await publications.changed(session, self.place, page.items, at)

    async def measure(self) -> int:
        """The counters that are due, in the platform's own batches; how many posts there were."""
        batch, measured = self.line.adapter.spec.metrics_batch, 0
        while True:
            async with self.run.step() as session:
                due = await publications.due(session, self.place, self.run.now, batch)
            if not due:
                return measured
            found = await self.line.adapter.metrics(self.line.credentials, tuple(external for _, external, _ in due))
            at = self.run.now
            async with self.run.step() as session:
                since = {publication_id: due_at for publication_id, _, due_at in due}
                pairs = list(zip(since, found, strict=True))
                await publications.measured(session, {self.place: pairs}, at, self.factor, since=since)
            measured += len(due)
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
        """What customers wrote, as the platform lists it for the whole community; of a stream, whatever happened."""
        if isinstance(self.line.adapter, Streams):
            await self._updates(self.line.adapter)
            return
        began, cursor, more = self._begin("conversations"), self.community.conversations_cursor, True
        last, new = self.community.conversations_seen_at, False
        while more:
            page = await self.line.adapter.conversations(self.line.credentials, cursor, self.community.backfill_since)
            new = new or any(last is None or message.sent_at > last for message in page.items)
            if not page.items and not page.more:
                self._mark_conversations(page.cursor, began, new=new)
                return
            async with self.run.step() as session:
                await self._tell(session, page)
                await self._read_conversations(session, page.cursor, began, more=page.more, new=new)
            cursor, more = page.cursor, page.more
            self._check_time()

    async def _updates(self, adapter: Streams) -> None:
        began, posts_began = self._begin("conversations"), self._begin("posts")
        cursor, more, new = self.community.conversations_cursor, True, False
        while more:
            page = await adapter.updates(self.line.credentials, cursor)
            new = new or bool(page.items)
            at = self.run.now
            if not page.items and not page.more:
                self._mark_conversations(page.cursor, began, new=new)
                self.marks |= {"posts_seen_at": posts_began, "backfilled_at": self.community.backfilled_at or at}
                return
            async with self.run.step() as session:
                await store.happened(session, self.place, page.items)
                await self._read_conversations(session, page.cursor, began, more=page.more, new=new)
                if not page.more:
                    community = await self._mine(session)
                    community.posts_seen_at = posts_began
                    community.backfilled_at = community.backfilled_at or at
            cursor, more = page.cursor, page.more
            self._check_time()

    async def _read_conversations(
        self, session: AsyncSession, cursor: str | None, began: datetime, *, more: bool, new: bool
    ) -> None:
        community = await self._mine(session)
        community.conversations_cursor = cursor
        if not more:
            community.conversations_seen_at = began
            community.conversations_idle_polls = 0 if new else community.conversations_idle_polls + 1

    def _mark_conversations(self, cursor: str | None, began: datetime, *, new: bool) -> None:
        self.marks |= {"conversations_cursor": cursor, "conversations_seen_at": began}
        self.marks["conversations_idle_polls"] = 0 if new else self.community.conversations_idle_polls + 1

    async def _tell(self, session: AsyncSession, page: Page[RemoteMessage]) -> None:
        if not page.items:
            return
        under = {message.post_id for message in page.items if message.post_id is not None}
        known = await publications.known(session, self.place, sorted(under))
        messages = tuple((message, known.get(message.post_id or "")) for message in page.items)
        await publish(session, MessagesSeen(self.place, messages))
        await reconcile.reconcile(session, self.place, messages=page.items)

    async def _mine(self, session: AsyncSession) -> Community:
        return await fetch(session, Community, self.place.community_id, for_update=True)


def rounds(community: Community, factor: float, stretch: IntervalMultipliers) -> dict[str, datetime]:
    """When each of the regular looks is due: at once where it never was, else by its interval or by request."""
    told, listed = community.push_is_active, factor * stretch.lists

    def due(name: str, one: PollSchedule, *, idle: int = 0, told: bool = False) -> datetime:
        seen_at: datetime | None = getattr(community, f"{name}_seen_at")
        if seen_at is None:
            return community.created_at
        at = seen_at + one.interval(listed, idle=idle, told=told)
        return min(at, community.requested(name) or at)

    return {
        "size": due("size", poll_schedule.SIZE),
        "tokens": due("tokens", poll_schedule.TOKENS),
        "posts": due("posts", poll_schedule.POSTS, idle=community.posts_idle_polls, told=told),
        "conversations": due(
            "conversations", poll_schedule.CONVERSATIONS, idle=community.conversations_idle_polls, told=told
        ),
    }


def _reached(known: datetime | None, posts: Sequence[RemotePost]) -> datetime | None:
    """How far back a walk has come that reads newest first.

    One post that is older than the one after it (pinned, say) is out of that order, and tells nothing.
    """
    if not posts:
        return known
    at = posts[-1].published_at
    return at if known is None else min(known, at)
