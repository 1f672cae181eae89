"""Metrics groups: communities whose posts' counters are read together, by calls that take posts of several communities.

Where a platform's adapter measures across communities, a group holds the communities of the same
workspace with the same API and the same tokens of `Spec.metrics_group_tokens`. Any one of them makes the calls.
Full batches make counters cheap.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import NAMESPACE_OID, UUID, uuid5

from sqlalchemy import case, false, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.communities import publications
from app.communities.events import CommunityRef
from app.communities.models import Community, CommunityStatus, UnreadItem
from app.communities.platform_client import PlatformClient
from app.communities.polling import fair_share, poll_schedule, unread_items
from app.communities.polling.fair_share import DailyDemand, IntervalMultipliers, smoothed
from app.communities.polling.parts import Part
from app.communities.polling.rate_limits import Priority, RateLimitKey
from app.communities.polling.unread_items import ReadResult, Unread
from app.communities.publications import DuePost
from app.communities.tokens import fingerprint
from app.kit import jobs
from app.kit.db import in_workspace, now, workspace_of
from app.kit.jobs import Run
from app.platforms import poll_intervals
from app.platforms.capabilities import MeasuresAcross, PostRef
from app.platforms.contract import PostMetrics, Spec
from app.projects.models import Project

MEASURE: Final = "communities.measure"
SLICE: Final = timedelta(seconds=20)
PARTIAL_BATCH_INTERVAL: Final = timedelta(minutes=1)
"""The shortest time between two calls with batches that are not full, so that they fill up."""
FILL_AHEAD: Final = timedelta(minutes=15)
"""A batch that is not full is filled with posts that are due within this time: they cost no further call."""
CONTENT_SCHEDULES: Final[Mapping[str, poll_intervals.PollSchedule]] = {
    "size": poll_intervals.SIZE,
    "tokens": poll_intervals.TOKENS,
    "posts": poll_intervals.POSTS,
    "conversations": poll_intervals.CONVERSATIONS,
    "threads": poll_intervals.THREADS,
    "revisions": poll_intervals.REVISIONS,
}


def metrics_group_of(client: PlatformClient, community: Community) -> str:
    """The name of a community's metrics group; empty where it is measured on its own."""
    if not isinstance(client.adapter, MeasuresAcross) or community.external_id is None:
        return ""
    spec: Spec = client.adapter.spec
    tokens = {kind: text for kind, text in client.credentials.tokens.items() if kind in spec.metrics_group_tokens}
    shared = [f"{kind} {fingerprint(text)}" for kind, text in sorted(tokens.items())]
    return hashlib.sha256("\n".join([spec.key, community.base_url, *shared]).encode()).hexdigest()[:32]


async def schedule_measuring(session: AsyncSession, metrics_group: str, members: Sequence[UUID]) -> None:
    """Schedule a group's measuring for when the first of these communities' posts is due."""
    if not metrics_group:
        return
    first = await publications.first_due(session, members)
    if first is not None:
        await jobs.enqueue(
            session,
            MEASURE,
            workspace_id=workspace_of(session),
            key=metrics_group,
            at=first,
            metrics_group=metrics_group,
        )


async def calling_community(session: AsyncSession, metrics_group: str) -> UUID | None:
    """The community that makes the group's calls: the one with the fewest failures; None where none is connected."""
    caller_id: UUID | None = await session.scalar(
        select(Community.id)
        .where(_members(session, metrics_group))
        .order_by(Community.failures, Community.metrics_poll_failures, Community.id)
        .limit(1)
    )
    return caller_id


def _members(session: AsyncSession, metrics_group: str) -> Any:
    watched = [CommunityStatus.HEALTHY.value, CommunityStatus.DEGRADED.value, CommunityStatus.CONNECTING.value]
    return (
        in_workspace(Community, workspace_of(session))
        & (Community.metrics_group == metrics_group)
        & Community.status.in_(watched)
    )


_NO_OTHER_FAULT: Final = (
    Community.status.in_([CommunityStatus.HEALTHY.value, CommunityStatus.DEGRADED.value])
    & (Community.failures == 0)
    & (Community.status_code.is_(None) | (Community.status_code == Community.metrics_poll_code))
)
"""Polls recorded no failure: the group's measuring alone decides the status."""


def _status_columns(status: CommunityStatus, code: str | None, reason: str | None) -> dict[str, Any]:
    return {
        "status": case((_NO_OTHER_FAULT, status.value), else_=Community.status),
        "status_code": case((_NO_OTHER_FAULT, code), else_=Community.status_code),
        "status_reason": case((_NO_OTHER_FAULT, reason), else_=Community.status_reason),
    }


async def record_failure(session: AsyncSession, metrics_group: str, by: UUID | None, code: str, reason: str) -> None:
    """Record for all communities of a group that their counters could not be read; faults that polls found stay.

    `by`: the community that made the calls; another one makes them the next time.
    """
    is_caller = Community.id == by if by is not None else false()
    await session.execute(
        update(Community)
        .where(_members(session, metrics_group))
        .values(
            metrics_poll_code=code,
            metrics_poll_reason=reason,
            metrics_poll_failures=Community.metrics_poll_failures + case((is_caller, 1), else_=0),
            **_status_columns(CommunityStatus.DEGRADED, code, reason),
        )
    )


@dataclass(slots=True)
class Measuring:
    """One run of a group's measuring."""

    run: Run
    metrics_group: str
    community: Community
    """The one that makes the calls."""
    client: PlatformClient
    multipliers: IntervalMultipliers
    posts: int = 0
    """The number of posts that were measured."""
    has_failure: bool = False
    """A failure of the group's measuring is recorded for some of its communities."""
    waiting_since: datetime | None = None
    """When the first post of the last batch was due."""
    suspects: set[tuple[UUID, str]] = field(default_factory=set)
    """Posts whose counters could not be read before: their communities' ids, and their own on the platform."""

    async def measure_due(self, client: PlatformClient) -> datetime | None:
        """Measure what is due; when to run next, None where nothing will ever be due."""
        self.client, adapter = client, client.adapter
        client.limiter.workspace_id, client.limiter.shares = self.community.workspace_id, self.multipliers.shares
        assert isinstance(adapter, MeasuresAcross)
        started, base_factor = self.run.now, self.run.resources.settings.poll_interval_multiplier
        factor = base_factor * self.multipliers.metrics
        while True:
            async with self.run.resources.db.read_session(self.community.workspace_id) as session:
                refs = await self._refs(session)
                due = await publications.due_among(
                    session, list(refs), self.run.now, self.run.now + FILL_AHEAD * factor, adapter.spec.metrics_batch
                )
                if not due:
                    first = await publications.first_due(session, list(refs))
                    return None if first is None else max(first, self.run.now + PARTIAL_BATCH_INTERVAL * base_factor)
            self.waiting_since = min(post.measure_at for post in due)
            requested = any(post.requested for post in due)
            client.limiter.priority = Priority.REQUESTED if requested else Priority.BACKGROUND
            suspects = {post for post in due if (post.community_id, post.external_id) in self.suspects}
            result = await unread_items.read_each(
                due, lambda posts: self._call(adapter, posts), suspects=suspects, unwell=self.has_failure
            )
            at = self.run.now
            if result.read:
                metrics_by_community: defaultdict[CommunityRef, list[tuple[UUID, PostMetrics]]] = defaultdict(list)
                for post, metrics in result.read:
                    metrics_by_community[refs[post.community_id]].append((post.id, metrics))
                async with self.run.step() as session:
                    since = {post.id: post.measure_at for post, _ in result.read}
                    await publications.store_metrics(session, metrics_by_community, at, factor, since=since)
            await self._settle(result, suspects)
            if result.stopped_by is not None:
                raise result.stopped_by
            self.posts += len(result.read)
            if self.run.now - started >= SLICE:
                return self.run.now

    async def _call(self, adapter: MeasuresAcross, posts: tuple[DuePost, ...]) -> tuple[PostMetrics, ...]:
        refs = tuple(PostRef(post.community, post.external_id) for post in posts)
        return await adapter.metrics_across(self.client.credentials, refs)

    async def _settle(self, result: ReadResult[DuePost, PostMetrics], suspects: set[DuePost]) -> None:
        """Remember the posts whose counters could not be read, and forget those whose could."""
        recovered = [(post.community_id, post.external_id) for post, _ in result.read if post in suspects]
        if not recovered and not result.unread:
            return
        async with self.run.step() as session:
            await unread_items.forget(session, Part.COUNTERS, recovered)
            items = [
                (post.community_id, Unread(Part.COUNTERS, post.external_id, error, doubtful=result.doubtful))
                for post, error in result.unread
            ]
            await unread_items.remember(session, items)
            await publications.put_off(session, [post.id for post, _ in result.unread])

    async def _refs(self, session: AsyncSession) -> dict[UUID, CommunityRef]:
        unread = (
            select(func.array_agg(UnreadItem.external_id))
            .where(
                UnreadItem.workspace_id == Community.workspace_id,
                UnreadItem.community_id == Community.id,
                UnreadItem.part == Part.COUNTERS.value,
            )
            .scalar_subquery()
        )
        result = await session.execute(
            select(
                Community.id,
                Community.project_id,
                Community.platform,
                Project.timezone,
                Community.metrics_poll_code,
                unread.label("unread"),
            )
            .join(Project, (Project.workspace_id == Community.workspace_id) & (Project.id == Community.project_id))
            .where(_members(session, self.metrics_group), Community.external_id.is_not(None))
            .order_by(Community.id)
        )
        rows = result.all()
        self.suspects = {(row.id, external_id) for row in rows for external_id in row.unread or ()}
        self.has_failure = self.has_failure or any(row.metrics_poll_code is not None for row in rows)
        return {
            row.id: CommunityRef(workspace_of(session), row.project_id, row.id, row.platform, row.timezone)
            for row in rows
        }

    async def _clear_failure(self, session: AsyncSession) -> None:
        """Undo `record_failure`, now that everything due could be read."""
        is_caller = Community.id == self.community.id
        await session.execute(
            update(Community)
            .where(
                _members(session, self.metrics_group),
                Community.metrics_poll_code.is_not(None) | (is_caller & (Community.metrics_poll_failures > 0)),
            )
            .values(
                metrics_poll_code=None,
                metrics_poll_reason=None,
                metrics_poll_failures=case((is_caller, 0), else_=Community.metrics_poll_failures),
                **_status_columns(CommunityStatus.HEALTHY, None, None),
            )
        )

    async def finish(self, session: AsyncSession) -> None:
        """Store what a metrics poll costs, and record the group's demand."""
        # A run that only waited for what could not be read shows nothing.
        if (self.posts or not self.suspects) and (self.has_failure or self.community.metrics_poll_failures):
            await self._clear_failure(session)
        if not self.posts:
            return
        metrics_units = smoothed(self.community.costs.get("metrics", {}), self.client.limiter.spent, self.posts)
        await session.execute(
            update(Community)
            .where(in_workspace(Community, workspace_of(session)), Community.id == self.community.id)
            .values(costs=Community.costs.concat({"metrics": metrics_units}))
        )
        await session.execute(
            update(Community)
            .where(
                _members(session, self.metrics_group), Community.metrics_interval_multiplier != self.multipliers.metrics
            )
            .values(metrics_interval_multiplier=self.multipliers.metrics)
        )
        consumer, limits = (
            uuid5(NAMESPACE_OID, self.metrics_group),
            {text: RateLimitKey.parse(text) for text in metrics_units},
        )
        # Counting all posts of a group is the slowest step here.
        if not await fair_share.demand_is_recent(session, consumer, limits.values()):
            members = list(await self._refs(session))
            a_day = poll_schedule.metrics_polls_per_day(await publications.ages(session, members, now(session)))
            demand = {limits[text]: DailyDemand(metrics=units * a_day) for text, units in metrics_units.items()}
            await fair_share.record_demand(session, consumer, demand)


def limits_used(costs: Mapping[str, Mapping[str, float]]) -> Iterable[RateLimitKey]:
    """The limits that polls with these costs take from."""
    return {RateLimitKey.parse(text) for part in costs.values() for text in part}


def daily_demand(
    community: Community, costs: Mapping[str, Mapping[str, float]], metrics_polls_per_day: float
) -> dict[RateLimitKey, DailyDemand]:
    """The units that a community would take a day from each limit."""
    polls_per_day = {"metrics": metrics_polls_per_day, "comments": 1.0, "comments_since_plan": 0.0}
    for part, one in CONTENT_SCHEDULES.items():
        idle = {"posts": community.posts_idle_polls, "conversations": community.conversations_idle_polls}.get(part, 0)
        polls_per_day[part] = poll_intervals.DAY / one.interval(1.0, idle=idle, push_is_active=community.push_is_active)
    content_units: dict[str, float] = {}
    metrics_units: dict[str, float] = {}
    for part, spent in costs.items():
        kind = metrics_units if part == "metrics" else content_units
        for text, units in spent.items():
            kind[text] = kind.get(text, 0.0) + units * polls_per_day[part]
    return {
        RateLimitKey.parse(text): DailyDemand(content_units.get(text, 0.0), metrics_units.get(text, 0.0))
        for text in content_units.keys() | metrics_units.keys()
    }
