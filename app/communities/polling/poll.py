"""One poll of one community: what is due is read page by page, each page stored with its cursor.

No transaction is open during a call: a page is fetched, then stored together with the cursor of the
next. Where a worker dies between the two, the page is fetched again, and storing it twice changes
nothing.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import structlog
from sqlalchemy.exc import IntegrityError

from app.communities import publications, tokens
from app.communities.events import CommunityConnected, SizeMeasured
from app.communities.models import Community, CommunityStatus
from app.communities.platform_client import PlatformClient
from app.communities.polling import parts
from app.communities.polling.conversations import ConversationReads, PartlyRead
from app.communities.polling.fair_share import smoothed
from app.communities.polling.parts import Part, due_times
from app.communities.polling.publication_reads import PublicationReads
from app.communities.polling.rate_limits import Priority, RateLimitKey, RateLimitReached
from app.kit.events import publish
from app.platforms.capabilities import Inspects, ListsComments, MeasuresAcross, Streams
from app.platforms.contract import (
    AuthExpired,
    Page,
    PlatformError,
    Rejected,
    RemotePost,
    Throttled,
)

log = structlog.get_logger()

EARLY_SHARE: Final = 0.1
"""The share of its interval by which a part may be read early: cheaper than another poll a little later."""
CONNECTED: Final = frozenset({CommunityStatus.HEALTHY.value, CommunityStatus.DEGRADED.value})


@dataclass(slots=True)
class Poll(PublicationReads, ConversationReads):
    """One poll of one community. `community` is its row as of the start of the poll."""

    async def run_due(self, client: PlatformClient) -> None:
        """Read everything that is due. `PlatformError`s are kept in `failures`; what ends a poll is raised."""
        self.client = client
        client.limiter.workspace_id, client.limiter.shares = self.ref.workspace_id, self.multipliers.shares
        due = [name for name, at in self.due(self.community).items() if self._is_due(name, at)]
        client.limiter.priority = Priority.REQUESTED
        if self.community.external_id is None:
            await self.size()  # a failure here is raised: nothing else can work
            self.read_parts.add(Part.SIZE)
            self.any_read = True
        elif Part.SIZE in due:
            await self._read_part(Part.SIZE, self.size)
        again = (Part.THREADS, Part.REVISIONS)
        for name in self._in_turn(due):
            if name not in {Part.SIZE, *again} and not (name is Part.POSTS and self.posts_listed):
                await self._read_part(name, getattr(self, name))
        measuring = (self.posts_changed or self.pending.counters) and not isinstance(
            self.client.adapter, MeasuresAcross
        )
        retries = parts.retry_times(self.community)
        if measuring and self._may_try(retries, Part.COUNTERS):
            await self._read_part(Part.COUNTERS, self.measure)
        for name in again:
            if name in due:
                await self._read_part(name, getattr(self, name))
        if (measuring or self.posts_changed or self.pending.comments or self.comments_requested) and self._may_try(
            retries, Part.COMMENTS
        ):
            await self._read_part(Part.COMMENTS, self.comments)

    def _in_turn(self, due: Sequence[Part]) -> Sequence[Part]:
        """Parts in the order in which they are read: where conversations have the posts too, these need not follow.

        The backfill reads them by themselves.
        """
        if self.client.adapter.spec.posts_list is None or self.community.backfilled_at is None:
            return due
        return sorted(due, key=lambda name: name is Part.POSTS)

    def _may_try(self, retries: Mapping[Part, datetime], name: Part) -> bool:
        return retries.get(name, self.started_at) <= self.started_at

    def _is_due(self, name: Part, at: datetime) -> bool:
        """Whether a part is due, or will be within a tenth of its interval."""
        if name in parts.retry_times(self.community):
            return at <= self.started_at
        if self.community.requested(name) is not None:
            return True
        seen_at = self.community.seen_at(name)
        return at - (at - seen_at) * EARLY_SHARE <= self.started_at if seen_at is not None else at <= self.started_at

    def due(self, community: Community) -> dict[Part, datetime]:
        """When each part that this platform allows is due, by the name of the method that reads it."""
        due_at = due_times(community, self.run.resources.settings.poll_interval_multiplier, self.multipliers)
        adapter = self.client.adapter
        if not (isinstance(adapter, Inspects) and self.client.stored_tokens.texts):
            del due_at[Part.TOKENS]
        if isinstance(adapter, Streams):
            del due_at[Part.POSTS]
            due_at.pop(Part.REVISIONS, None)
        if not isinstance(adapter, ListsComments):
            due_at.pop(Part.THREADS, None)
        due_at |= {name: at for name, at in parts.retry_times(community).items() if name in due_at}
        return {name: max(at, self.blocked_until.get(name, at)) for name, at in due_at.items()}

    async def _read_part(self, name: Part, read: Callable[[], Awaitable[int | None]]) -> None:
        """Read a part; `read` returns the number of items read, where the cost is counted per item."""
        limiter = self.client.limiter
        before, limiter.priority = Counter(limiter.spent), self._priority(name)
        try:
            read_things = await read()
        except RateLimitReached as wait:
            # Other parts may have other limits: they need not wait for this one.
            self.blocked_until[name] = wait.until
            return
        except PartlyRead:
            self.any_read = self.any_read or (self.list_results is not None and bool(self.list_results.read))
            if self.list_results is not None and self.list_results.errors:
                self.failures[name] = next(iter(self.list_results.errors.values()))
            return
        except PlatformError as error:
            if isinstance(error, Throttled | AuthExpired):  # the other parts would fail alike
                raise
            log.warning("poll.part_failed", part=name.value, code=error.code, detail=error.message)
            self.failures[name] = error
            return
        self.any_read = self.any_read or read_things != 0
        # Where all that was to be read is put off, nothing shows that the part can be read again.
        if read_things != 0 or not any(one.part is name for one in self.unread_items):
            self.read_parts.add(name)
        spent: Counter[RateLimitKey] = limiter.spent - before
        if name == Part.COMMENTS:
            self.comment_units += spent
        # The backfill reads far more than any later poll.
        elif self.community.backfilled_at is not None and read_things != 0:
            key = "metrics" if name is Part.COUNTERS else name.value
            self.costs[key] = smoothed(self.community.costs.get(key, {}), spent, read_things or 1)

    def _priority(self, name: Part) -> Priority:
        """Whether a person waits for a part; counters say so themselves, post by post (`measure`)."""
        if self.community.status == CommunityStatus.CONNECTING:
            return Priority.REQUESTED
        if name in {Part.COUNTERS, Part.COMMENTS}:
            return Priority.BACKGROUND
        return Priority.BACKGROUND if self.community.requested(name) is None else Priority.REQUESTED

    async def size(self) -> None:
        """Read the community's id, title, link and size."""
        began = self.begin("size")
        snapshot = await self.client.adapter.community(self.client.credentials)
        at, stored = self.run.now, self.community
        same = (stored.external_id, stored.title, stored.url, stored.aliases)
        if (
            same == (snapshot.external_id, snapshot.title, snapshot.url, sorted(snapshot.aliases))
            and stored.status in CONNECTED
        ):
            self.column_updates["size_seen_at"] = began
            self.deferred_events.append(SizeMeasured(self.ref, at, snapshot.size))
            return
        try:
            async with self.run.step() as session:
                community = await self.lock_community(session)
                first = community.external_id is None
                if community.status == CommunityStatus.CONNECTING:
                    community.status = CommunityStatus.HEALTHY.value
                community.external_id = snapshot.external_id
                community.title, community.url = snapshot.title, snapshot.url
                community.aliases = sorted(snapshot.aliases)
                community.base_url = snapshot.base_url or community.base_url
                community.size_seen_at = began
                await session.flush()
                await publish(session, SizeMeasured(self.ref, at, snapshot.size))
                if first:
                    ref = self.ref
                    await publish(session, CommunityConnected(ref.community_id, ref.project_id, ref.platform))
        except IntegrityError:
            raise Rejected("This community is connected already, under another spelling of its address.") from None
        credentials = replace(
            self.client.credentials,
            external_id=snapshot.external_id,
            aliases=snapshot.aliases,
            base_url=snapshot.base_url or self.client.credentials.base_url,
        )
        self.client = replace(self.client, credentials=credentials)

    async def tokens(self) -> None:
        """Read what the platform reports about the tokens."""
        adapter = self.client.adapter
        assert isinstance(adapter, Inspects)
        began = self.begin("tokens")
        states = await adapter.inspect(self.client.credentials)
        async with self.run.step() as session:
            if await tokens.store_inspection(session, self.ref.community_id, self.client.stored_tokens, states):
                community = await self.lock_community(session)
                community.tokens_seen_at = began

    async def posts(self) -> None:
        """Read the community's own posts: first the backfill, later what is new."""
        scan, cursor, more, new = self.begin_scan(Part.POSTS), self.community.posts_cursor, True, 0
        while more:
            page = await self.client.adapter.posts(self.client.credentials, cursor, self.community.backfill_since)
            at = self.run.now
            if await self._shows_nothing_new(page, at):
                self.column_updates |= {"posts_cursor": page.cursor, "posts_seen_at": scan.began}
                self.column_updates["unfinished_scans"] = self.unfinished_after(scan, more=False)
                self.column_updates["posts_idle_polls"] = 0 if new else self.community.posts_idle_polls + 1
                return
            async with self.run.step() as session:
                community = await self.lock_community(session)  # before its publications, as everywhere
                new += await self.store_posts(session, page.items, at)
                community.posts_cursor = page.cursor
                community.unfinished_scans = self.unfinished_after(scan, more=page.more)
                if community.backfilled_at is None:
                    community.backfilled_to = _furthest(community.backfilled_to, page.items)
                if not page.more:
                    community.posts_seen_at = scan.began
                    community.posts_idle_polls = 0 if new else community.posts_idle_polls + 1
                    community.backfilled_at = community.backfilled_at or at
            cursor, more = page.cursor, page.more
            self.check_time()

    async def _shows_nothing_new(self, page: Page[RemotePost], at: datetime) -> bool:
        """Whether a page is the last, has nothing to store, and no hook should have delivered its posts."""
        has_push = self.community.last_event_at is not None
        if page.more or has_push or self.community.backfilled_at is None:
            return False
        async with self.run.resources.db.read_session(self.ref.workspace_id) as session:
            return not await publications.has_changes(session, self.ref, page.items, at)


def _furthest(reached: datetime | None, posts: Sequence[RemotePost]) -> datetime | None:
    """How far back a list that begins with the newest post has been read.

    A post that is older than the one after it (pinned, say) is out of that order and does not count.
    """
    if not posts:
        return reached
    at = posts[-1].published_at
    return at if reached is None else min(reached, at)
