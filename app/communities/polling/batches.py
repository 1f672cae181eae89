"""Lanes: communities whose posts are measured together, because one call may take posts of all of them.

A community belongs to a lane where its platform's adapter measures across communities: with those
of the same workspace that have the same API and hold the same tokens of `Spec.metrics_group_tokens`. Any one
of them makes the calls. Full batches are what makes counters cheap.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import NAMESPACE_OID, UUID, uuid5

from sqlalchemy import case, false, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.communities import publications
from app.communities.events import CommunityRef
from app.communities.models import Community, State
from app.communities.platform_client import PlatformClient
from app.communities.polling import fair_share, poll_schedule
from app.communities.polling.fair_share import IntervalMultipliers, RateDemandOf, smoothed
from app.communities.polling.rate_limits import RateLimitKey
from app.communities.tokens import fingerprint
from app.kit import jobs
from app.kit.db import in_workspace, now, workspace_of
from app.kit.jobs import Run
from app.platforms.capabilities import MeasuresAcross, PostRef
from app.platforms.contract import PostMetrics, Spec
from app.projects.models import Project

MEASURE: Final = "communities.measure"
SLICE: Final = timedelta(seconds=20)
REST: Final = timedelta(minutes=1)
"""At least so long between two calls with batches that are not full: they fill meanwhile."""
AHEAD: Final = timedelta(minutes=15)
"""A batch with room takes posts along that are due within this time: they cost nothing."""
LISTS: Final[Mapping[str, poll_schedule.PollSchedule]] = {
    "size": poll_schedule.SIZE,
    "tokens": poll_schedule.TOKENS,
    "posts": poll_schedule.POSTS,
    "conversations": poll_schedule.CONVERSATIONS,
}


def name(line: PlatformClient, community: Community) -> str:
    """The lane a community belongs to; empty where it is measured on its own."""
    if not isinstance(line.adapter, MeasuresAcross) or community.external_id is None:
        return ""
    spec: Spec = line.adapter.spec
    held = {kind: text for kind, text in line.credentials.tokens.items() if kind in spec.metrics_group_tokens}
    shared = [f"{kind} {fingerprint(text)}" for kind, text in sorted(held.items())]
    return hashlib.sha256("\n".join([spec.key, community.base_url, *shared]).encode()).hexdigest()[:32]


async def wake(session: AsyncSession, metrics_group: str, members: Sequence[UUID]) -> None:
    """Have a lane measured when the first of these communities' posts is due."""
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


async def chosen(session: AsyncSession, metrics_group: str) -> UUID | None:
    """The community that makes the lane's calls: one that is well, and did not fail at it; None where nobody is."""
    found: UUID | None = await session.scalar(
        select(Community.id)
        .where(_in(session, metrics_group))
        .order_by(Community.failures, Community.metrics_poll_failures, Community.id)
        .limit(1)
    )
    return found


def _in(session: AsyncSession, metrics_group: str) -> Any:
    watched = [State.HEALTHY.value, State.DEGRADED.value, State.CONNECTING.value]
    return (
        in_workspace(Community, workspace_of(session))
        & (Community.metrics_group == metrics_group)
        & Community.state.in_(watched)
    )


_READ: Final = (
    Community.state.in_([State.HEALTHY.value, State.DEGRADED.value])
    & (Community.failures == 0)
    & (Community.state_code.is_(None) | (Community.state_code == Community.metrics_poll_code))
)
"""Polls found nothing wrong, and nobody says anything else: what a lane finds decides."""


def _said(state: Any, code: str | None, reason: str | None) -> dict[str, Any]:
    return {
        "state": state,
        "state_code": case((_READ, code), else_=Community.state_code),
        "state_reason": case((_READ, reason), else_=Community.state_reason),
    }


async def failed(session: AsyncSession, metrics_group: str, by: UUID | None, code: str, reason: str) -> None:
    """Say of all in a lane that their counters could not be read. What polls say of them stands.

    `by`: who made the calls, and leaves them to another the next time.
    """
    ours = Community.id == by if by is not None else false()
    await session.execute(
        update(Community)
        .where(_in(session, metrics_group))
        .values(
            metrics_poll_code=code,
            metrics_poll_reason=reason,
            metrics_poll_failures=Community.metrics_poll_failures + case((ours, 1), else_=0),
            **_said(case((_READ, State.DEGRADED.value), else_=Community.state), code, reason),
        )
    )


@dataclass(slots=True)
class Measuring:
    """One round of a lane."""

    run: Run
    metrics_group: str
    community: Community
    """The one that makes the calls."""
    line: PlatformClient
    stretch: IntervalMultipliers
    posts: int = 0
    """So many were measured."""
    unwell: bool = False
    """Of some it stands written that their counters could not be read, or that it failed at reading them."""

    async def all(self) -> datetime | None:
        """Measure what is due; when to come again, None where nothing will ever be due."""
        adapter = self.line.adapter
        assert isinstance(adapter, MeasuresAcross)
        started, pace_factor = self.run.now, self.run.resources.settings.poll_interval_multiplier
        factor = pace_factor * self.stretch.looks
        while True:
            async with self.run.resources.db.read_session(self.community.workspace_id) as session:
                places = await self._places(session)
                due = await publications.due_among(
                    session, list(places), self.run.now, self.run.now + AHEAD * factor, adapter.spec.metrics_batch
                )
                if not due:
                    first = await publications.first_due(session, list(places))
                    return None if first is None else max(first, self.run.now + REST * pace_factor)
            refs = tuple(PostRef(post.community, post.external_id) for post in due)
            found = await adapter.metrics_across(self.line.credentials, refs)
            at = self.run.now
            looks: defaultdict[CommunityRef, list[tuple[UUID, PostMetrics]]] = defaultdict(list)
            for post, metrics in zip(due, found, strict=True):
                looks[places[post.community_id]].append((post.id, metrics))
            async with self.run.step() as session:
                since = {post.id: post.measure_at for post in due}
                await publications.measured(session, looks, at, factor, since=since)
            self.posts += len(due)
            if self.run.now - started >= SLICE:
                return self.run.now

    async def _places(self, session: AsyncSession) -> dict[UUID, CommunityRef]:
        rows = await session.execute(
            select(
                Community.id, Community.project_id, Community.platform, Project.timezone, Community.metrics_poll_code
            )
            .join(Project, (Project.workspace_id == Community.workspace_id) & (Project.id == Community.project_id))
            .where(_in(session, self.metrics_group), Community.external_id.is_not(None))
            .order_by(Community.id)
        )
        found = rows.all()
        self.unwell = self.unwell or any(row.metrics_poll_code is not None for row in found)
        return {
            row.id: CommunityRef(workspace_of(session), row.project_id, row.id, row.platform, row.timezone)
            for row in found
        }

    async def _recovered(self, session: AsyncSession) -> None:
        """Take back what `failed` has said, now that everything due could be read."""
        ours = Community.id == self.community.id
        await session.execute(
            update(Community)
            .where(
                _in(session, self.metrics_group),
                Community.metrics_poll_code.is_not(None) | (ours & (Community.metrics_poll_failures > 0)),
            )
            .values(
                metrics_poll_code=None,
                metrics_poll_reason=None,
                metrics_poll_failures=case((ours, 0), else_=Community.metrics_poll_failures),
                **_said(case((_READ, State.HEALTHY.value), else_=Community.state), None, None),
            )
        )

    async def conclude(self, session: AsyncSession) -> None:
        """Remember what a look costs, and leave a note of what the lane asks for."""
        if self.unwell or self.community.metrics_poll_failures:
            await self._recovered(session)
        if not self.posts:
            return
        looks = smoothed(self.community.costs.get("looks", {}), self.line.meter.spent, self.posts)
        await session.execute(
            update(Community)
            .where(in_workspace(Community, workspace_of(session)), Community.id == self.community.id)
            .values(costs=Community.costs.concat({"looks": looks}))
        )
        await session.execute(
            update(Community)
            .where(_in(session, self.metrics_group), Community.metrics_interval_multiplier != self.stretch.looks)
            .values(metrics_interval_multiplier=self.stretch.looks)
        )
        asker, allowances = uuid5(NAMESPACE_OID, self.metrics_group), {text: RateLimitKey.parse(text) for text in looks}
        # To count all posts of a lane takes longer than all else here.
        if not await fair_share.noted_lately(session, asker, allowances.values()):
            members = list(await self._places(session))
            a_day = poll_schedule.looks_a_day(await publications.ages(session, members, now(session)))
            asked = {allowances[text]: RateDemandOf(looks=units * a_day) for text, units in looks.items()}
            await fair_share.note(session, asker, asked)


def touched(costs: Mapping[str, Mapping[str, float]]) -> Iterable[RateLimitKey]:
    """The limits that somebody's looks take from."""
    return {RateLimitKey.parse(text) for part in costs.values() for text in part}


def demands(
    community: Community, costs: Mapping[str, Mapping[str, float]], looks_a_day: float
) -> dict[RateLimitKey, RateDemandOf]:
    """What a community would like to take a day from each limit."""
    often = {"looks": looks_a_day, "comments": 1.0, "heard": 0.0}
    for part, one in LISTS.items():
        idle = {"posts": community.posts_idle_polls, "conversations": community.conversations_idle_polls}.get(part, 0)
        often[part] = poll_schedule.DAY / one.interval(1.0, idle=idle, told=community.push_is_active)
    lists: dict[str, float] = {}
    looks: dict[str, float] = {}
    for part, spent in costs.items():
        kind = looks if part == "looks" else lists
        for text, units in spent.items():
            kind[text] = kind.get(text, 0.0) + units * often[part]
    return {
        RateLimitKey.parse(text): RateDemandOf(lists.get(text, 0.0), looks.get(text, 0.0))
        for text in lists.keys() | looks.keys()
    }
