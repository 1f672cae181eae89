"""The state of one poll of one community, and what reading any part of it takes."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncSession

from app.communities import publications
from app.communities.events import CommunityRef, MessagesSeen, SizeMeasured
from app.communities.inbound import reconcile
from app.communities.models import Community
from app.communities.platform_client import PlatformClient
from app.communities.polling import parts, unread_items
from app.communities.polling.fair_share import IntervalMultipliers
from app.communities.polling.parts import ListResults, Part
from app.communities.polling.rate_limits import RateLimitKey
from app.communities.polling.unread_items import Stored, Unread
from app.communities.publications import PendingReads
from app.kit.db import fetch
from app.kit.events import publish
from app.kit.jobs import Run
from app.platforms.contract import Page, PlatformError, RemoteMessage, RemotePost

SLICE: Final = timedelta(seconds=20)
"""A poll that takes longer yields to other communities and goes on later."""


class OutOfTime(Exception):
    """This poll has used up its slice; what it has read is kept."""


@dataclass(slots=True)
class Scan:
    """A list that is read page by page, by this poll or by several."""

    key: str
    """Of `Community.unfinished_scans`."""
    began: datetime
    """The instant up to which the scan covers the list: where it goes on further down, newer items are above it."""


@dataclass(slots=True)
class PollState:
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
    posts_listed: bool = False
    """A list of conversations had the posts too (`Spec.posts_list`)."""
    any_read: bool = False
    """The platform let anything be read."""
    comments_requested: bool = False
    """Comments are to be read again, whatever their counters say."""
    failures: dict[Part, PlatformError] = field(default_factory=dict)
    """Errors by the part that failed: one part does not stop the others."""
    blocked_until: dict[Part, datetime] = field(default_factory=dict)
    """By part: until when its rate limit is used up."""
    read_parts: set[Part] = field(default_factory=set)
    """Parts that were read to the end."""
    list_results: ListResults | None = None
    """Of the lists of conversations, where some could not be read."""
    newly_unread: list[Unread] = field(default_factory=list)
    """Items that lists were read without, to be stored with the cursor that leaves them out."""
    costs: dict[str, dict[str, float]] = field(default_factory=dict)
    """By part: the units that one read takes from each limit (`fair_share.smoothed`)."""
    column_updates: dict[str, Any] = field(default_factory=dict)
    """Columns of the community's row to write at the end, for reads that brought nothing else to store: most of them.
    That saves a transaction for each.
    """
    unfinished_scans: dict[str, str] = field(init=False)
    """As `Community.unfinished_scans`, with what this poll has read."""
    reread_at: dict[str, str] = field(default_factory=dict)
    """Additions to `Community.reread_at`, to write at the end."""
    deferred_events: list[SizeMeasured] = field(default_factory=list)
    """Events to publish at the end, for the same reason."""
    comment_units: Counter[RateLimitKey] = field(default_factory=Counter)
    """Units taken by reading comments: those have no interval, so their cost is counted by the day."""

    def __post_init__(self) -> None:
        self.unfinished_scans = dict(self.community.unfinished_scans)

    @property
    def factor(self) -> float:
        """The factor on every interval of a post's counters."""
        return self.run.resources.settings.poll_interval_multiplier * self.multipliers.metrics

    @property
    def unread_items(self) -> tuple[Stored, ...]:
        """Items that could not be read before this poll."""
        return unread_items.stored_items(self.pending.unread_items)

    async def finish_early(self) -> None:
        """Store what was deferred, where a poll ends early."""
        recovered = self.read_parts & parts.problems(self.community).keys()
        deferred = self.column_updates or self.deferred_events or self.reread_at or self.newly_unread
        if deferred or self.failures or recovered:
            async with self.run.step() as session:
                await self.finish(session)

    async def finish(self, session: AsyncSession) -> Community:
        """Store what was deferred; the community's row, locked."""
        community = await self.lock_community(session)
        for one in self.deferred_events:
            await publish(session, one)
        for name, value in self.column_updates.items():
            setattr(community, name, value)
        if self.reread_at:
            community.reread_at = {**community.reread_at, **self.reread_at}
        self.column_updates, self.deferred_events = {}, []
        await self.store_newly_unread(session)
        parts.record(
            community,
            read=self.read_parts,
            failures=self.failures,
            blocked_until=self.blocked_until,
            lists=self.list_results,
            at=self.run.now,
        )
        return community

    def begin(self, part: str) -> datetime:
        """The instant up to which a read that begins now covers a part; a request made during it stays open.

        At least the part's last request, which another machine's clock may have dated later.
        """
        return max(self.run.now, self.community.requested(part) or self.run.now)

    def begin_scan(self, part: Part, name: str = "") -> Scan:
        """Begin to read a list of a part, or go on with the scan that an earlier poll has left unfinished."""
        key, began = f"{part.value}:{name}", self.begin(part)
        unfinished = self.unfinished_scans.get(key)
        return Scan(key, began if unfinished is None else min(began, datetime.fromisoformat(unfinished)))

    def unfinished_after(self, scan: Scan, *, more: bool) -> dict[str, str]:
        """`Community.unfinished_scans` after a page of a scan; `more`: it goes on."""
        began = {scan.key: scan.began.isoformat()} if more else {}
        self.unfinished_scans = {key: at for key, at in self.unfinished_scans.items() if key != scan.key} | began
        return self.unfinished_scans

    def check_time(self) -> None:
        """Raise `OutOfTime` where the poll's slice is used up."""
        if self.run.now - self.started_at >= SLICE:
            raise OutOfTime

    async def lock_community(self, session: AsyncSession) -> Community:
        """The community's row as it is now."""
        return await fetch(session, Community, self.ref.community_id, for_update=True)

    async def store_posts(self, session: AsyncSession, posts: Sequence[RemotePost], at: datetime) -> int:
        """Store posts of the community as a list reported them at `at`; how many of them are new."""
        result = await publications.store(session, self.ref, posts, at, self.factor)
        self.posts_changed = self.posts_changed or result.written > 0
        await reconcile.reconcile(session, self.ref, posts=posts)
        return result.new

    async def publish_messages(self, session: AsyncSession, page: Page[RemoteMessage]) -> None:
        """Publish the messages of a page to the rooms that store them."""
        if not page.items:
            return
        under = {message.post_id for message in page.items if message.post_id is not None}
        publication_ids = await publications.ids_by_external_id(session, self.ref, sorted(under))
        messages = tuple((message, publication_ids.get(message.post_id or "")) for message in page.items)
        await publish(session, MessagesSeen(self.ref, messages))
        await reconcile.reconcile(session, self.ref, messages=page.items)

    async def store_newly_unread(self, session: AsyncSession) -> None:
        """Store the items that lists were read without."""
        if self.newly_unread:
            items, self.newly_unread = self.newly_unread, []
            await unread_items.remember(session, [(self.ref.community_id, one) for one in items])
