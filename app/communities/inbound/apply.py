"""What follows from events that platforms told: the job's part (see `hooks`).

It goes the way of what polls bring. Locks are taken in their order: a publication's rows before
its counters', a community's threads before the publications they stand under, its own row last.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, and_, exists, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from app.communities import publications
from app.communities.events import CommunityRef, MessagesDeleted, MessagesSeen, PostsMeasured
from app.communities.inbound.store import APPLY, EVENT, REMEMBERED, of
from app.communities.models import Community, Hook, InboundEvent, InboundItem, Publication
from app.kit.bulk import bulk_insert, column_arrays
from app.kit.db import Base, fetch, in_workspace, now, workspace_of
from app.kit.events import publish
from app.kit.jobs import LeaseLost, Run, absorb_waiting
from app.platforms import adapter as adapter_of
from app.platforms.capabilities import Event, Streams
from app.platforms.contract import MessageKind, Metric, MetricStatus, PostMetrics, RemoteMessage, Spec
from app.projects.models import Project

POST: Final = "post"
TOGETHER: Final = 200
"""So many events of a community are one unit of work: who answers a customer waits for it."""
SKEW: Final = timedelta(minutes=5)
"""A platform's clock may be so far ahead of ours. What is told of a later moment would be the newest for long."""


async def apply(run: Run, batch: UUID) -> None:
    """Do what follows from the events of a batch; one that fails holds up no other, and is tried again."""
    async with run.step() as session:
        mine_now = and_(InboundEvent.workspace_id == workspace_of(session), InboundEvent.batch == batch)
        waiting = select(InboundEvent.community_id).where(mine_now, InboundEvent.told.is_not(None))
        communities = sorted((await session.scalars(waiting.distinct())).all())
    failures: list[Exception] = []
    for community_id in communities:
        failures += await _apply_all(run, batch, community_id)
    if failures:
        raise failures[0]


async def join(run: Run, batch: UUID, most: int) -> int:
    """Make the events of up to `most` other commits that wait part of this batch; how many commits there were."""
    async with run.step() as session:
        others = [UUID(given["batch"]) for given in await absorb_waiting(session, APPLY, limit=most)]
        if others:
            await session.execute(
                update(InboundEvent)
                .where(InboundEvent.workspace_id == workspace_of(session), InboundEvent.batch.in_(others))
                .where(InboundEvent.told.is_not(None))
                .values(batch=batch)
            )
    return len(others)


async def _apply_all(run: Run, batch: UUID, community_id: UUID) -> list[Exception]:
    """All events of one community; what failed in the end."""
    async with run.step() as session:
        work = await _begin(session, batch, community_id)
    if work is None:
        return []
    return [failure for part in work.parts(TOGETHER) for failure in await _try(run, part)]


async def _try(run: Run, work: "_Work") -> list[Exception]:
    """Events together; where that fails, each half of them by itself, down to those that fail alone."""
    try:
        await work.do(run)
    except LeaseLost:
        raise
    except Exception as error:
        if len(work.events) == 1:
            return [error]
    else:
        return []
    return [failure for half in work.parts(-(-len(work.events) // 2)) for failure in await _try(run, half)]


async def _begin(session: AsyncSession, batch: UUID, community_id: UUID) -> "_Work | None":
    """Read what is to be done, and note that something was told.

    Apart from doing it: polls take the community's row last, and what the events concern before.
    """
    workspace_id = workspace_of(session)
    rows = (
        await session.execute(
            select(InboundEvent.event_id, InboundEvent.told, InboundEvent.received_at)
            .where(InboundEvent.workspace_id == workspace_id, InboundEvent.community_id == community_id)
            .where(InboundEvent.batch == batch, InboundEvent.told.is_not(None))
            .order_by(InboundEvent.received_at, InboundEvent.event_id)
        )
    ).all()
    if not rows:
        return None
    community = await fetch(session, Community, community_id)
    zone = (await fetch(session, Project, community.project_id)).timezone
    events = {row.event_id: EVENT.validate_json(row.told) for row in rows}
    last, kind = max(row.received_at for row in rows), adapter_of(community.platform)
    await session.execute(
        update(Community)
        .where(in_workspace(Community, workspace_id), Community.id == community_id)
        .where(or_(Community.event_at.is_(None), Community.event_at < last))
        # Neither a stream that we read ourselves nor a hook that is closed meanwhile makes any poll less needed.
        .where(exists().where(of(session, community_id) if issubclass(kind, Streams) else _tells(session, community)))
        .values(event_at=last)
    )
    await _learn(session, community_id, set().union(*map(_kinds, events.values())), last)
    us = frozenset({community.external_id, *community.aliases} - {None})
    place = CommunityRef(workspace_id, community.project_id, community_id, community.platform, zone, us)
    return _Work(place, kind.spec, community.backfill_since, last, events)


def _tells(session: AsyncSession, community: Community) -> ColumnElement[bool]:
    """The condition for hooks that may tell of a community: its own, or another's to which its platform sends all."""
    other = aliased(Community)
    same = select(other.id).where(
        in_workspace(other, workspace_of(session)),
        other.platform == community.platform,
        other.base_url == community.base_url,
    )
    return and_(in_workspace(Hook, workspace_of(session)), Hook.community_id.in_(same))


async def _learn(session: AsyncSession, community_id: UUID, kinds: set[str], at: datetime) -> None:
    """Remember of which kinds of things the hook tells."""
    known = await session.scalar(select(Hook.told).where(of(session, community_id)))
    if known is None or kinds <= known.keys():
        return
    query = select(Hook).where(of(session, community_id)).with_for_update(key_share=True)
    hook = await session.scalar(query.execution_options(populate_existing=True))
    if hook is not None:
        hook.told = {**dict.fromkeys(sorted(kinds), at.isoformat()), **hook.told}


def kind_of(message: RemoteMessage) -> str:
    """What a hook may tell of, or not: the community's own words are a kind apart."""
    return f"{message.kind.value} of ours" if message.author.is_community else message.kind.value


def _kinds(event: Event) -> set[str]:
    return {POST for _ in event.posts} | {kind_of(message) for message in event.messages}


@dataclass(frozen=True, slots=True)
class _Work:
    """Events of one community that are applied together."""

    place: CommunityRef
    spec: Spec
    since: datetime
    """Older posts and messages are not wanted, as with polls."""
    received_at: datetime
    events: Mapping[str, Event]

    def parts(self, most: int) -> Iterable["_Work"]:
        """The same with up to `most` events each, in their order."""
        events = iter(self.events.items())
        while part := dict(islice(events, most)):
            yield replace(self, events=part)

    async def do(self, run: Run) -> None:
        """Posts first, in a step of their own: their locks come after those of messages."""
        posts = [post for event in self.events.values() for post in event.posts if post.published_at >= self.since]
        if posts:
            async with run.step() as session:
                asked_for = self.spec.metrics - self.spec.pushed - self.spec.counted
                await publications.announced(session, self.place, posts, now(session) if asked_for else None)
                if Metric.COMMENTS in self.spec.counted:
                    await self._begin_count(session, {post.external_id for post in posts})
        async with run.step() as session:
            under = await self._under(session)
            fresh = await self._heard(session, under)
            await self._messages(session, fresh, under, run)
            if deleted := self._deleted():
                await publish(session, MessagesDeleted(self.place, deleted))
            await self._measures(session)
            await session.execute(
                update(InboundEvent)
                .where(InboundEvent.workspace_id == self.place.workspace_id)
                .where(InboundEvent.community_id == self.place.community_id, InboundEvent.event_id.in_(self.events))
                .values(told=None)
            )

    def _deleted(self) -> tuple[str, ...]:
        """The messages that were deleted, and not restored by what was told after that."""
        gone: dict[str, None] = {}
        for event in self.events.values():
            gone |= dict.fromkeys(event.deleted_ids)
            for message in event.messages:
                if message.restored:
                    gone.pop(message.external_id, None)
        return tuple(gone)

    async def _under(self, session: AsyncSession) -> dict[str, UUID]:
        """The publications that messages stand under. An answer that names no post stands where that stands
        which it answers, if that was told of.
        """
        told = {message.external_id: message for event in self.events.values() for message in event.messages}
        tops = {i: _top(message, told) for i, message in told.items()}
        named = sorted({top.post_id for top in tops.values() if top.post_id is not None})
        posts = await publications.known(session, self.place, named)
        above = {top.in_reply_to for top in tops.values() if top.post_id is None and top.in_reply_to is not None}
        earlier = await self._stood_under(session, above) if above else {}
        found = {i: posts.get(top.post_id or "") or earlier.get(top.in_reply_to or "") for i, top in tops.items()}
        return {i: publication_id for i, publication_id in found.items() if publication_id is not None}

    async def _stood_under(self, session: AsyncSession, external_ids: set[str]) -> dict[str, UUID]:
        rows = await session.execute(
            select(InboundItem.external_id, InboundItem.publication_id)
            .where(
                InboundItem.workspace_id == self.place.workspace_id, InboundItem.community_id == self.place.community_id
            )
            .where(InboundItem.external_id.in_(sorted(external_ids)), ~InboundItem.post)
            .where(InboundItem.publication_id.is_not(None))
        )
        return {row.external_id: row.publication_id for row in rows}

    async def _heard(self, session: AsyncSession, under: Mapping[str, UUID]) -> set[str]:
        """Keep which posts and messages were told of; the messages that were never told of before."""
        heard = {item for event in self.events.values() for item in items(event)}
        if not heard:
            return set()
        ours: dict[str, Any] = {"workspace_id": self.place.workspace_id, "community_id": self.place.community_id}
        ours["received_at"] = self.received_at
        rows = [
            {**ours, "external_id": i, "post": post, "publication_id": None if post else under.get(i)}
            for i, post in sorted(heard)
        ]
        new = await session.execute(_HEARD, column_arrays(rows, _ITEM))
        return {row.external_id for row in new if not row.post}

    async def _messages(self, session: AsyncSession, fresh: set[str], under: Mapping[str, UUID], run: Run) -> None:
        messages = [m for event in self.events.values() for m in event.messages if m.sent_at >= self.since]
        if not messages:
            return
        await publish(session, MessagesSeen(self.place, tuple((m, under.get(m.external_id)) for m in messages)))
        if Metric.COMMENTS in self.spec.counted:
            # What is older than our memory may have been told before.
            newest = {m.external_id: m for m in messages if m.sent_at > now(session) - REMEMBERED}
            comments = [m for i, m in newest.items() if i in fresh and m.kind is MessageKind.COMMENT and not m.deleted]
            await self._count(session, Counter(under[m.external_id] for m in comments if m.external_id in under), run)

    async def _begin_count(self, session: AsyncSession, external_ids: set[str]) -> None:
        """Where comments are counted by us there are none as a post appears."""
        begun = await session.execute(
            update(Publication)
            .where(self._ours, Publication.external_id.in_(external_ids), Publication.comments.is_(None))
            .values(comments=0)
            .returning(Publication.id, Publication.external_id, Publication.published_at)
        )
        for row in begun.all():
            # Where the platform's clock is ahead, what is counted next would be older than nothing.
            at = min(row.published_at, now(session))
            await self._measured(session, at, {row.id: PostMetrics(row.external_id, {Metric.COMMENTS: 0})})

    async def _count(self, session: AsyncSession, more: Counter[UUID], run: Run) -> None:
        counted = {}
        for publication_id in sorted(more):
            row = (
                await session.execute(
                    update(Publication)
                    .where(self._ours, Publication.id == publication_id)
                    .values(comments=func.coalesce(Publication.comments, 0) + more[publication_id])
                    .returning(Publication.external_id, Publication.comments)
                )
            ).one()
            counted[publication_id] = PostMetrics(row.external_id, {Metric.COMMENTS: row.comments})
        if counted:
            # The clock is read under the lock of the row: a later count is of a later instant.
            await self._measured(session, run.now, counted)

    async def _measures(self, session: AsyncSession) -> None:
        """Counters that came with events, each at the platform's own moment."""
        looks: defaultdict[datetime, dict[str, PostMetrics]] = defaultdict(dict)
        for event in self.events.values():
            for metrics in event.metrics:
                if event.at is not None:
                    at = min(event.at, self.received_at + SKEW)
                    earlier = looks[at].get(metrics.external_id)
                    looks[at][metrics.external_id] = metrics if earlier is None else _both(earlier, metrics)
        known = await publications.known(session, self.place, sorted({i for look in looks.values() for i in look}))
        for at in sorted(looks):
            found = {known[i]: metrics for i, metrics in looks[at].items() if i in known}
            for publication_id in sorted(found):
                if changed := _shown(found[publication_id], at):
                    await session.execute(
                        update(Publication).where(self._ours, Publication.id == publication_id).values(changed)
                    )
            await self._measured(session, at, {i: metrics for i, metrics in found.items() if not metrics.gone})

    async def _measured(self, session: AsyncSession, at: datetime, found: Mapping[UUID, PostMetrics]) -> None:
        """Counters that are not told are not missing, but those the platform never gives are."""
        never = {metric: MetricStatus.UNSUPPORTED for metric in Metric if metric not in self.spec.metrics}
        if found:
            whole = tuple((i, replace(one, missing={**never, **one.missing})) for i, one in found.items())
            await publish(session, PostsMeasured(self.place, at, whole))

    @property
    def _ours(self) -> ColumnElement[bool]:
        return and_(
            in_workspace(Publication, self.place.workspace_id), Publication.community_id == self.place.community_id
        )


def _top(message: RemoteMessage, told: Mapping[str, RemoteMessage]) -> RemoteMessage:
    """The first above a message, as far as it was told together with it, that names the post; else the last above."""
    for _ in told:
        above = told.get(message.in_reply_to or "") if message.post_id is None else None
        if above is None:
            break
        message = above
    return message


def _both(earlier: PostMetrics, later: PostMetrics) -> PostMetrics:
    """Two events of one instant as one look."""
    return replace(later, counters={**earlier.counters, **later.counters}, missing={**earlier.missing, **later.missing})


def _shown(metrics: PostMetrics, at: datetime) -> dict[str, Any]:
    """What a publication's row says of its counters."""
    if metrics.gone:
        return {"gone_at": at, "measure_at": None}
    if Metric.COMMENTS in metrics.counters:
        return {"comments": metrics.counters[Metric.COMMENTS]}
    return {}


def items(event: Event) -> Iterable[tuple[str, bool]]:
    """The ids of the messages and the posts (True) that an event tells of."""
    yield from ((message.external_id, False) for message in event.messages)
    yield from ((post.external_id, True) for post in event.posts)


_ITEMS: Final = Base.metadata.tables[InboundItem.__tablename__]
_ITEM: Final = tuple(column.name for column in _ITEMS.columns)
_HEARD: Final = bulk_insert(_ITEMS, _ITEM).on_conflict_do_nothing().returning(_ITEMS.c.external_id, _ITEMS.c.post)
