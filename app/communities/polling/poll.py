"""One poll of one community: what is due is read page by page, each page stored with its cursor.

No transaction is open during a call: a page is fetched, then stored together with the cursor of the
next. Where a worker dies between the two, the page is fetched again, and storing it twice changes
nothing.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
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
from app.communities.polling import parts
from app.communities.polling.fair_share import IntervalMultipliers, smoothed
from app.communities.polling.parts import Part, due_times
from app.communities.polling.rate_limits import RateLimitKey, RateLimitReached
from app.communities.publications import PendingReads
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
"""A poll that takes longer yields to other communities and goes on later."""
COMMENTS_PER_POLL: Final = 50
EARLY_SHARE: Final = 0.1
"""The share of its interval by which a part may be read early: cheaper than another poll a little later."""
CONNECTED: Final = frozenset({State.HEALTHY.value, State.DEGRADED.value})


class OutOfTime(Exception):
    """This poll has used up its slice; what it has read is kept."""


@dataclass(slots=True)
class Poll:
    """One poll of one community. `community` is its row as of the start of the poll."""

    run: Run
    community: Community
    ref: CommunityRef
    client: PlatformClient
    multipliers: IntervalMultipliers
    pending: PendingReads
    started_at: datetime
    posts_changed: bool = False
    """The list of posts had a new post or a change."""
    failures: dict[Part, PlatformError] = field(default_factory=dict)
    """Errors by the part that failed: one part does not stop the others."""
    blocked_until: dict[Part, datetime] = field(default_factory=dict)
    """By part: until when its rate limit is used up."""
    read_parts: set[Part] = field(default_factory=set)
    """Parts that were read to the end."""
    costs: dict[str, dict[str, float]] = field(default_factory=dict)
    """By part: the units that one read takes from each limit (`fair_share.smoothed`)."""
    column_updates: dict[str, Any] = field(default_factory=dict)
    """Columns of the community's row to write at the end, for reads that brought nothing else to store: most of them.
    That saves a transaction for each.
    """
    deferred_events: list[SizeMeasured] = field(default_factory=list)
    """Events to publish at the end, for the same reason."""
    comment_units: Counter[RateLimitKey] = field(default_factory=Counter)
    """Units taken by reading comments: those have no interval, so their cost is counted by the day."""

    @property
    def factor(self) -> float:
        """The factor on every interval of a post's counters."""
        return self.run.resources.settings.poll_interval_multiplier * self.multipliers.metrics

    async def run_due(self, client: PlatformClient) -> None:
        """Read everything that is due. `PlatformError`s are kept in `failures`; what ends a poll is raised."""
        self.client = client
        due = [name for name, at in self.due(self.community).items() if self._is_due(name, at)]
        if self.community.external_id is None:
            await self.size()  # a failure here is raised: nothing else can work
            self.read_parts.add(Part.SIZE)
        elif Part.SIZE in due:
            await self._read_part(Part.SIZE, self.size)
        for name in due:
            if name != Part.SIZE:
                await self._read_part(name, getattr(self, name))
        measuring = (self.posts_changed or self.pending.counters) and not isinstance(
            self.client.adapter, MeasuresAcross
        )
        retries = parts.retry_times(self.community)
        if measuring and self._may_try(retries, Part.COUNTERS):
            await self._read_part(Part.COUNTERS, self.measure)
        if (measuring or self.posts_changed or self.pending.comments) and self._may_try(retries, Part.COMMENTS):
            await self._read_part(Part.COMMENTS, self.comments)

    def _may_try(self, retries: Mapping[Part, datetime], name: Part) -> bool:
        return retries.get(name, self.started_at) <= self.started_at

    async def finish_early(self) -> None:
        """Store what was deferred, where a poll ends early."""
        recovered = self.read_parts & parts.problems(self.community).keys()
        if self.column_updates or self.deferred_events or self.failures or recovered:
            async with self.run.step() as session:
                await self.finish(session)

    async def finish(self, session: AsyncSession) -> Community:
        """Store what was deferred; the community's row, locked."""
        community = await self._lock_community(session)
        for one in self.deferred_events:
            await publish(session, one)
        for name, value in self.column_updates.items():
            setattr(community, name, value)
        self.column_updates, self.deferred_events = {}, []
        parts.record(
            community, read=self.read_parts, failures=self.failures, blocked_until=self.blocked_until, at=self.run.now
        )
        return community

    def _is_due(self, name: Part, at: datetime) -> bool:
        """Whether a part is due, or will be within a tenth of its interval."""
        if name in parts.retry_times(self.community):
            return at <= self.started_at
        if self.community.requested(name) is not None:
            return True
        seen_at: datetime | None = getattr(self.community, f"{name}_seen_at")
        return at - (at - seen_at) * EARLY_SHARE <= self.started_at if seen_at is not None else at <= self.started_at

    def due(self, community: Community) -> dict[Part, datetime]:
        """When each part that this platform allows is due, by the name of the method that reads it."""
        due_at = due_times(community, self.run.resources.settings.poll_interval_multiplier, self.multipliers)
        adapter = self.client.adapter
        if not (isinstance(adapter, Inspects) and self.client.stored_tokens.texts):
            del due_at[Part.TOKENS]
        if isinstance(adapter, Streams):
            del due_at[Part.POSTS]
        due_at |= {name: at for name, at in parts.retry_times(community).items() if name in due_at}
        return {name: max(at, self.blocked_until.get(name, at)) for name, at in due_at.items()}

    async def _read_part(self, name: Part, read: Callable[[], Awaitable[int | None]]) -> None:
        """Read a part; `read` returns the number of items read, where the cost is counted per item."""
        before = Counter(self.client.limiter.spent)
        try:
            read_things = await read()
        except RateLimitReached as wait:
            # Other parts may have other limits: they need not wait for this one.
            self.blocked_until[name] = wait.until
            return
        except PlatformError as error:
            if isinstance(error, Throttled | AuthExpired):  # the other parts would fail alike
                raise
            log.warning("poll.part_failed", part=name.value, code=error.code, detail=error.message)
            self.failures[name] = error
            return
        self.read_parts.add(name)
        spent: Counter[RateLimitKey] = self.client.limiter.spent - before
        if name == Part.COMMENTS:
            self.comment_units += spent
        # The backfill reads far more than any later poll.
        elif self.community.backfilled_at is not None and read_things != 0:
            key = "metrics" if name is Part.COUNTERS else name.value
            self.costs[key] = smoothed(self.community.costs.get(key, {}), spent, read_things or 1)

    def _begin(self, part: str) -> datetime:
        """The instant up to which a read that begins now covers a part; a request made during it stays open.

        At least the part's last request, which another machine's clock may have dated later.
        """
        return max(self.run.now, self.community.requested(part) or self.run.now)

    def _check_time(self) -> None:
        if self.run.now - self.started_at >= SLICE:
            raise OutOfTime

    async def size(self) -> None:
        """Read the community's id, title, link and size."""
        began = self._begin("size")
        snapshot = await self.client.adapter.community(self.client.credentials)
        at, stored = self.run.now, self.community
        same = (stored.external_id, stored.title, stored.url, stored.aliases)
        if (
            same == (snapshot.external_id, snapshot.title, snapshot.url, sorted(snapshot.aliases))
            and stored.state in CONNECTED
        ):
            self.column_updates["size_seen_at"] = began
            self.deferred_events.append(SizeMeasured(self.ref, at, snapshot.size))
            return
        try:
            async with self.run.step() as session:
                community = await self._lock_community(session)
                first = community.external_id is None
                if community.state == State.CONNECTING:
                    community.state = State.HEALTHY.value
                community.external_id = snapshot.external_id
                community.title, community.url = snapshot.title, snapshot.url
                community.aliases = sorted(snapshot.aliases)
                community.size_seen_at = began
                await session.flush()
                await publish(session, SizeMeasured(self.ref, at, snapshot.size))
                if first:
                    ref = self.ref
                    await publish(session, CommunityConnected(ref.community_id, ref.project_id, ref.platform))
        except IntegrityError:
            raise Rejected("This community is connected already, under another spelling of its address.") from None
        credentials = replace(self.client.credentials, external_id=snapshot.external_id, aliases=snapshot.aliases)
        self.client = replace(self.client, credentials=credentials)

    async def tokens(self) -> None:
        """Read what the platform reports about the tokens."""
        adapter = self.client.adapter
        assert isinstance(adapter, Inspects)
        began = self._begin("tokens")
        states = await adapter.inspect(self.client.credentials)
        async with self.run.step() as session:
            if await tokens.store_inspection(session, self.ref.community_id, self.client.stored_tokens, states):
                community = await self._lock_community(session)
                community.tokens_seen_at = began

    async def posts(self) -> None:
        """Read the community's own posts: first the backfill, later what is new."""
        began, cursor, more, new = self._begin("posts"), self.community.posts_cursor, True, 0
        while more:
            page = await self.client.adapter.posts(self.client.credentials, cursor, self.community.backfill_since)
            at = self.run.now
            if await self._shows_nothing_new(page, at):
                self.column_updates |= {"posts_cursor": page.cursor, "posts_seen_at": began}
                self.column_updates["posts_idle_polls"] = 0 if new else self.community.posts_idle_polls + 1
                return
            async with self.run.step() as session:
                result = await publications.store(session, self.ref, page.items, at, self.factor)
                self.posts_changed, new = self.posts_changed or result.written > 0, new + result.new
                await reconcile.reconcile(session, self.ref, posts=page.items)
                community = await self._lock_community(session)
                community.posts_cursor = page.cursor
                if community.backfilled_at is None:
                    community.backfilled_to = _furthest(community.backfilled_to, page.items)
                if not page.more:
                    community.posts_seen_at = began
                    community.posts_idle_polls = 0 if new else community.posts_idle_polls + 1
                    community.backfilled_at = community.backfilled_at or at
            cursor, more = page.cursor, page.more
            self._check_time()

    async def _shows_nothing_new(self, page: Page[RemotePost], at: datetime) -> bool:
        """Whether a page is the last, has nothing to store, and no hook should have delivered its posts."""
        has_push = self.community.last_event_at is not None
        if page.more or has_push or self.community.backfilled_at is None:
            return False
        async with self.run.resources.db.read_session(self.ref.workspace_id) as session:
            return not await publications.has_changes(session, self.ref, page.items, at)

    async def measure(self) -> int:
        """Read the counters that are due, in the platform's batches; the number of posts."""
        batch, measured = self.client.adapter.spec.metrics_batch, 0
        while True:
            async with self.run.step() as session:
                due = await publications.due(session, self.ref, self.run.now, batch)
            if not due:
                return measured
            metrics = await self.client.adapter.metrics(
                self.client.credentials, tuple(external for _, external, _ in due)
            )
            at = self.run.now
            async with self.run.step() as session:
                since = {publication_id: due_at for publication_id, _, due_at in due}
                pairs = list(zip(since, metrics, strict=True))
                await publications.store_metrics(session, {self.ref: pairs}, at, self.factor, since=since)
            measured += len(due)
            self._check_time()

    async def comments(self) -> None:
        """Read the comments of posts whose comments counter has changed."""
        adapter = self.client.adapter
        if not isinstance(adapter, ListsComments):
            return
        async with self.run.step() as session:
            changed = await publications.with_new_comments(
                session, self.ref, self.community.backfill_since, COMMENTS_PER_POLL
            )
        for publication_id, external_id, start, counter in changed:
            cursor, more = start, True
            while more:
                page = await adapter.comments(
                    self.client.credentials, external_id, cursor, self.community.backfill_since
                )
                async with self.run.step() as session:
                    await self._publish_messages(session, page)
                    await publications.mark_comments_read(
                        session, self.ref, publication_id, page.cursor, None if page.more else counter
                    )
                cursor, more = page.cursor, page.more
                self._check_time()

    async def conversations(self) -> None:
        """Read what customers wrote, as the platform lists it for the whole community; from a stream, all events."""
        if isinstance(self.client.adapter, Streams):
            await self._read_stream(self.client.adapter)
            return
        began, cursor, more = self._begin("conversations"), self.community.conversations_cursor, True
        last, new = self.community.conversations_seen_at, False
        while more:
            page = await self.client.adapter.conversations(
                self.client.credentials, cursor, self.community.backfill_since
            )
            new = new or any(last is None or message.sent_at > last for message in page.items)
            if not page.items and not page.more:
                self._mark_conversations(page.cursor, began, new=new)
                return
            async with self.run.step() as session:
                await self._publish_messages(session, page)
                await self._read_conversations(session, page.cursor, began, more=page.more, new=new)
            cursor, more = page.cursor, page.more
            self._check_time()

    async def _read_stream(self, adapter: Streams) -> None:
        began, posts_began = self._begin("conversations"), self._begin("posts")
        cursor, more, new = self.community.conversations_cursor, True, False
        while more:
            page = await adapter.updates(self.client.credentials, cursor)
            new = new or bool(page.items)
            at = self.run.now
            if not page.items and not page.more:
                self._mark_conversations(page.cursor, began, new=new)
                self.column_updates |= {
                    "posts_seen_at": posts_began,
                    "backfilled_at": self.community.backfilled_at or at,
                }
                return
            async with self.run.step() as session:
                await store.store_stream_events(session, self.ref, page.items)
                await self._read_conversations(session, page.cursor, began, more=page.more, new=new)
                if not page.more:
                    community = await self._lock_community(session)
                    community.posts_seen_at = posts_began
                    community.backfilled_at = community.backfilled_at or at
            cursor, more = page.cursor, page.more
            self._check_time()

    async def _read_conversations(
        self, session: AsyncSession, cursor: str | None, began: datetime, *, more: bool, new: bool
    ) -> None:
        community = await self._lock_community(session)
        community.conversations_cursor = cursor
        if not more:
            community.conversations_seen_at = began
            community.conversations_idle_polls = 0 if new else community.conversations_idle_polls + 1

    def _mark_conversations(self, cursor: str | None, began: datetime, *, new: bool) -> None:
        self.column_updates |= {"conversations_cursor": cursor, "conversations_seen_at": began}
        self.column_updates["conversations_idle_polls"] = 0 if new else self.community.conversations_idle_polls + 1

    async def _publish_messages(self, session: AsyncSession, page: Page[RemoteMessage]) -> None:
        if not page.items:
            return
        under = {message.post_id for message in page.items if message.post_id is not None}
        publication_ids = await publications.ids_by_external_id(session, self.ref, sorted(under))
        messages = tuple((message, publication_ids.get(message.post_id or "")) for message in page.items)
        await publish(session, MessagesSeen(self.ref, messages))
        await reconcile.reconcile(session, self.ref, messages=page.items)

    async def _lock_community(self, session: AsyncSession) -> Community:
        return await fetch(session, Community, self.ref.community_id, for_update=True)


def _furthest(reached: datetime | None, posts: Sequence[RemotePost]) -> datetime | None:
    """How far back a list that begins with the newest post has been read.

    A post that is older than the one after it (pinned, say) is out of that order and does not count.
    """
    if not posts:
        return reached
    at = posts[-1].published_at
    return at if reached is None else min(reached, at)
