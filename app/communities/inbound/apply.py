"""Applying stored events: the same events are published as for what polls read.

A message that an event only announces is read by a job of its own.

Locks are taken in the order of polls: a publication's row before its counters', a community's
threads before the publications they belong to, the community's own row last.
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
from app.communities.events import (
    CommunityRef,
    MembersChanged,
    MessagesChanged,
    MessagesDeleted,
    MessagesSeen,
    PostsMeasured,
    SeenMember,
)
from app.communities.inbound.models import Hook, InboundEvent, InboundItem, InboundStatus
from app.communities.inbound.store import APPLY, EVENT, PENDING, READ_ANNOUNCED, RETENTION, hook_of
from app.communities.models import Community, Publication
from app.kit.actors import Actor, ActorKind
from app.kit.bulk import bulk_insert, column_arrays
from app.kit.db import Base, fetch, in_workspace, now, workspace_of
from app.kit.events import publish
from app.kit.jobs import LeaseLost, Run, absorb_waiting, enqueue
from app.platforms import adapter as adapter_of
from app.platforms.capabilities import Event, Streams
from app.platforms.contract import MessageKind, Metric, MetricStatus, PostMetrics, RemoteMessage, Spec
from app.projects.models import Project

POST: Final = "post"
MAX_GROUP: Final = 200
"""Events of one unit of work: it locks threads, and sending an answer waits for those."""
MAX_CLOCK_SKEW: Final = timedelta(minutes=5)
"""How far a platform's clock may be ahead. Counters of a later instant would stay the latest until then."""


async def apply(run: Run, batch: UUID) -> None:
    """Apply the events of a batch; one that fails delays no other, and is tried again. Raises the first failure."""
    async with run.step() as session:
        in_batch = and_(InboundEvent.workspace_id == workspace_of(session), InboundEvent.batch == batch)
        communities_pending = select(InboundEvent.community_id).where(in_batch, PENDING)
        communities = sorted((await session.scalars(communities_pending.distinct())).all())
    failures: list[Exception] = []
    for community_id in communities:
        failures += await _apply_community(run, batch, community_id)
    if failures:
        raise failures[0]


async def join(run: Run, batch: UUID, most: int) -> int:
    """Add the events of up to `most` other pending batches to this one; how many batches were added."""
    async with run.step() as session:
        others = [UUID(args["batch"]) for args in await absorb_waiting(session, APPLY, limit=most)]
        if others:
            await session.execute(
                update(InboundEvent)
                .where(InboundEvent.workspace_id == workspace_of(session), InboundEvent.batch.in_(others))
                .where(PENDING)
                .values(batch=batch)
            )
    return len(others)


async def _apply_community(run: Run, batch: UUID, community_id: UUID) -> list[Exception]:
    """Apply all events of one community; the failures."""
    async with run.step() as session:
        group = await _load(session, batch, community_id)
    if group is None:
        return []
    return [failure for part in group.parts(MAX_GROUP) for failure in await _apply_group(run, part)]


async def _apply_group(run: Run, group: "_EventGroup") -> list[Exception]:
    """Apply events together; where that fails, each half by itself, down to the single events that fail."""
    try:
        await group.apply(run)
    except LeaseLost:
        raise
    except Exception as error:
        if len(group.events) == 1:
            return [error]
    else:
        return []
    return [failure for half in group.parts(-(-len(group.events) // 2)) for failure in await _apply_group(run, half)]


async def _load(session: AsyncSession, batch: UUID, community_id: UUID) -> "_EventGroup | None":
    """Read the pending events, and store that the hook has delivered some.

    In a step before they are applied: polls lock the community's row last.
    """
    workspace_id = workspace_of(session)
    rows = (
        await session.execute(
            select(InboundEvent.event_id, InboundEvent.payload, InboundEvent.received_at)
            .where(InboundEvent.workspace_id == workspace_id, InboundEvent.community_id == community_id)
            .where(InboundEvent.batch == batch, PENDING)
            .order_by(InboundEvent.received_at, InboundEvent.event_id)
        )
    ).all()
    if not rows:
        return None
    community = await fetch(session, Community, community_id)
    zone = (await fetch(session, Project, community.project_id)).timezone
    events = {row.event_id: _dated(EVENT.validate_json(row.payload), row.received_at) for row in rows}
    last, adapter_class = max(row.received_at for row in rows), adapter_of(community.platform)
    await session.execute(
        update(Community)
        .where(in_workspace(Community, workspace_id), Community.id == community_id)
        .where(or_(Community.last_event_at.is_(None), Community.last_event_at < last))
        # Events of a stream, which polls read, and of a hook closed meanwhile do not make polls rarer.
        .where(
            exists().where(
                hook_of(session, community_id)
                if issubclass(adapter_class, Streams)
                else _hook_may_deliver(session, community)
            )
        )
        .values(last_event_at=last)
    )
    await _record_kinds(session, community_id, set().union(*map(_kinds, events.values())), last)
    own_account_ids = frozenset({community.external_id, *community.aliases} - {None})
    ref = CommunityRef(workspace_id, community.project_id, community_id, community.platform, zone, own_account_ids)
    return _EventGroup(ref, community.external_id, adapter_class.spec, community.backfill_since, last, events)


def _dated(event: Event, received_at: datetime) -> Event:
    """The event with the time of its messages and members, where the platform did not say it."""
    if not event.undated:
        return event
    return replace(
        event,
        messages=tuple(replace(message, sent_at=received_at) for message in event.messages),
        members=tuple(replace(one, at=received_at) for one in event.members),
    )


def _hook_may_deliver(session: AsyncSession, community: Community) -> ColumnElement[bool]:
    """The condition for hooks that may deliver a community's events: those of its platform and API."""
    other = aliased(Community)
    same = select(other.id).where(
        in_workspace(other, workspace_of(session)),
        other.platform == community.platform,
        other.base_url == community.base_url,
    )
    return and_(in_workspace(Hook, workspace_of(session)), Hook.community_id.in_(same))


async def _record_kinds(session: AsyncSession, community_id: UUID, kinds: set[str], at: datetime) -> None:
    """Store since when the hook delivers these kinds of items."""
    kinds_since = await session.scalar(select(Hook.first_event_at_by_kind).where(hook_of(session, community_id)))
    if kinds_since is None or kinds <= kinds_since.keys():
        return
    query = select(Hook).where(hook_of(session, community_id)).with_for_update(key_share=True)
    hook = await session.scalar(query.execution_options(populate_existing=True))
    if hook is not None:
        hook.first_event_at_by_kind = {**dict.fromkeys(sorted(kinds), at.isoformat()), **hook.first_event_at_by_kind}


def kind_of(message: RemoteMessage) -> str:
    """The kind of item that a hook may or may not deliver: messages by the community itself are another kind."""
    return f"{message.kind.value} of ours" if message.author.is_community else message.kind.value


def _kinds(event: Event) -> set[str]:
    return {POST for _ in event.posts} | {kind_of(message) for message in event.messages}


@dataclass(frozen=True, slots=True)
class _EventGroup:
    """Events of one community that are applied together."""

    ref: CommunityRef
    account_id: str | None
    """The community's id on the platform; None before the first poll."""
    spec: Spec
    since: datetime
    """Older posts and messages are left out, as by polls."""
    received_at: datetime
    events: Mapping[str, Event]

    def parts(self, most: int) -> Iterable["_EventGroup"]:
        """The same with up to `most` events each, in their order."""
        events = iter(self.events.items())
        while part := dict(islice(events, most)):
            yield replace(self, events=part)

    async def apply(self, run: Run) -> None:
        """Apply them: posts first, in a step of their own, as their locks come after those of messages."""
        posts = [post for event in self.events.values() for post in event.posts if post.published_at >= self.since]
        actor = Actor(ActorKind.PLATFORM, self.ref.platform)
        if posts:
            async with run.step(actor) as session:
                polled_metrics = self.spec.metrics - self.spec.pushed_metrics - self.spec.counted_metrics
                await publications.store_pushed(session, self.ref, posts, now(session) if polled_metrics else None)
                if Metric.COMMENTS in self.spec.counted_metrics:
                    await self._begin_count(session, {post.external_id for post in posts})
        async with run.step(actor) as session:
            publication_ids = await self._publication_ids(session)
            newly_received = await self._store_items(session, publication_ids)
            await self._messages(session, newly_received, publication_ids, run)
            if deleted := self._deleted():
                await publish(session, MessagesDeleted(self.ref, deleted))
            for reference in sorted({one for event in self.events.values() for one in event.announced}):
                await enqueue(
                    session,
                    READ_ANNOUNCED,
                    workspace_id=self.ref.workspace_id,
                    key=f"{self.ref.community_id}:{reference}",
                    community_id=self.ref.community_id,
                    reference=reference,
                )
            if changes := tuple(change for event in self.events.values() for change in event.changes):
                await publish(session, MessagesChanged(self.ref, changes))
            await self._pushed_metrics(session)
            if members := self._members(run):
                await publish(session, MembersChanged(self.ref, members))
            await session.execute(
                update(InboundEvent)
                .where(InboundEvent.workspace_id == self.ref.workspace_id)
                .where(InboundEvent.community_id == self.ref.community_id, InboundEvent.event_id.in_(self.events))
                .values(status=InboundStatus.APPLIED.value, payload=None, applied_at=now(session))
            )

    def _members(self, run: Run) -> tuple[SeenMember, ...]:
        """Who joined and who left, each known by a keyed hash of the community's and the account's ids alone.

        Of the community itself: who joins another of its chats (a channel's discussion group) is not one more member.
        """
        keyring, community = run.resources.keyring, self.ref.community_id.bytes
        return tuple(
            SeenMember(
                keyring.sign("member", community + one.account_id.encode()),
                min(one.at, self.received_at + MAX_CLOCK_SKEW),
                one.joined,
                one.invite_link,
            )
            for event in self.events.values()
            if event.account_id in {None, self.account_id}
            for one in event.members
        )

    def _deleted(self) -> tuple[str, ...]:
        """Ids of messages that were deleted, and not restored by a later event."""
        gone: dict[str, None] = {}
        for event in self.events.values():
            gone |= dict.fromkeys(event.deleted_ids)
            for message in event.messages:
                if message.restored:
                    gone.pop(message.external_id, None)
        return tuple(gone)

    async def _publication_ids(self, session: AsyncSession) -> dict[str, UUID]:
        """The publication of each message, by the message's id. A reply without a post belongs to that of the
        message it answers, if that was received.
        """
        received = {message.external_id: message for event in self.events.values() for message in event.messages}
        roots = {i: _root_message(message, received) for i, message in received.items()}
        named = sorted({root.post_id for root in roots.values() if root.post_id is not None})
        posts = await publications.ids_by_external_id(session, self.ref, named)
        above = {root.in_reply_to for root in roots.values() if root.post_id is None and root.in_reply_to is not None}
        earlier = await self._publications_of(session, above) if above else {}
        by_message = {
            i: posts.get(root.post_id or "") or earlier.get(root.in_reply_to or "") for i, root in roots.items()
        }
        return {i: publication_id for i, publication_id in by_message.items() if publication_id is not None}

    async def _publications_of(self, session: AsyncSession, external_ids: set[str]) -> dict[str, UUID]:
        rows = await session.execute(
            select(InboundItem.external_id, InboundItem.publication_id)
            .where(InboundItem.workspace_id == self.ref.workspace_id, InboundItem.community_id == self.ref.community_id)
            .where(InboundItem.external_id.in_(sorted(external_ids)), ~InboundItem.post)
            .where(InboundItem.publication_id.is_not(None))
        )
        return {row.external_id: row.publication_id for row in rows}

    async def _store_items(self, session: AsyncSession, publication_ids: Mapping[str, UUID]) -> set[str]:
        """Store which posts and messages were received; the ids of messages that were received for the first time."""
        received_items = {item for event in self.events.values() for item in items(event)}
        if not received_items:
            return set()
        common: dict[str, Any] = {"workspace_id": self.ref.workspace_id, "community_id": self.ref.community_id}
        common["received_at"] = self.received_at
        rows = [
            {**common, "external_id": i, "post": post, "publication_id": None if post else publication_ids.get(i)}
            for i, post in sorted(received_items)
        ]
        new = await session.execute(_STORE_ITEMS, column_arrays(rows, _ITEM))
        return {row.external_id for row in new if not row.post}

    async def _messages(
        self, session: AsyncSession, newly_received: set[str], publication_ids: Mapping[str, UUID], run: Run
    ) -> None:
        messages = [m for event in self.events.values() for m in event.messages if m.sent_at >= self.since]
        if not messages:
            return
        await publish(session, MessagesSeen(self.ref, tuple((m, publication_ids.get(m.external_id)) for m in messages)))
        if Metric.COMMENTS in self.spec.counted_metrics:
            # Older ones may have been received before `RETENTION`.
            recent = {m.external_id: m for m in messages if m.sent_at > now(session) - RETENTION}
            comments = [
                m for i, m in recent.items() if i in newly_received and m.kind is MessageKind.COMMENT and not m.deleted
            ]
            await self._count(
                session,
                Counter(publication_ids[m.external_id] for m in comments if m.external_id in publication_ids),
                run,
            )

    async def _begin_count(self, session: AsyncSession, external_ids: set[str]) -> None:
        """Where comments are counted from events, a post starts with 0."""
        begun = await session.execute(
            update(Publication)
            .where(self._ours, Publication.external_id.in_(external_ids), Publication.comments.is_(None))
            .values(comments=0)
            .returning(Publication.id, Publication.external_id, Publication.published_at)
        )
        for row in begun.all():
            # Where the platform's clock is ahead, the next count would be older than this one.
            at = min(row.published_at, now(session))
            await self._publish_metrics(session, at, {row.id: PostMetrics(row.external_id, {Metric.COMMENTS: 0})})

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
            # The clock is read under the row's lock: a later count has a later instant.
            await self._publish_metrics(session, run.now, counted)

    async def _pushed_metrics(self, session: AsyncSession) -> None:
        """Store counters that came with events, each at the platform's own instant."""
        by_instant: defaultdict[datetime, dict[str, PostMetrics]] = defaultdict(dict)
        for event in self.events.values():
            for metrics in event.metrics:
                if event.at is not None:
                    at = min(event.at, self.received_at + MAX_CLOCK_SKEW)
                    earlier = by_instant[at].get(metrics.external_id)
                    by_instant[at][metrics.external_id] = metrics if earlier is None else _merge(earlier, metrics)
        publication_ids = await publications.ids_by_external_id(
            session, self.ref, sorted({i for one in by_instant.values() for i in one})
        )
        for at in sorted(by_instant):
            metrics_by_id = {
                publication_ids[i]: metrics for i, metrics in by_instant[at].items() if i in publication_ids
            }
            for publication_id in sorted(metrics_by_id):
                if changed := _publication_changes(metrics_by_id[publication_id], at):
                    await session.execute(
                        update(Publication).where(self._ours, Publication.id == publication_id).values(changed)
                    )
            await self._publish_metrics(
                session, at, {i: metrics for i, metrics in metrics_by_id.items() if not metrics.gone}
            )

    async def _publish_metrics(
        self, session: AsyncSession, at: datetime, metrics_by_id: Mapping[UUID, PostMetrics]
    ) -> None:
        """Publish counters. Those not pushed are not missing, but those the platform never gives are."""
        never = {metric: MetricStatus.UNSUPPORTED for metric in Metric if metric not in self.spec.metrics}
        if metrics_by_id:
            completed = tuple((i, replace(one, missing={**never, **one.missing})) for i, one in metrics_by_id.items())
            await publish(session, PostsMeasured(self.ref, at, completed))

    @property
    def _ours(self) -> ColumnElement[bool]:
        return and_(in_workspace(Publication, self.ref.workspace_id), Publication.community_id == self.ref.community_id)


def _root_message(message: RemoteMessage, received: Mapping[str, RemoteMessage]) -> RemoteMessage:
    """The first ancestor of a message, among those received with it, that names the post; else the topmost one."""
    for _ in received:
        above = received.get(message.in_reply_to or "") if message.post_id is None else None
        if above is None:
            break
        message = above
    return message


def _merge(earlier: PostMetrics, later: PostMetrics) -> PostMetrics:
    """The counters of two events of one instant; the later wins."""
    return replace(later, counters={**earlier.counters, **later.counters}, missing={**earlier.missing, **later.missing})


def _publication_changes(metrics: PostMetrics, at: datetime) -> dict[str, Any]:
    """The columns of a publication that its counters change."""
    if metrics.gone:
        return {"gone_at": at, "measure_at": None}
    if Metric.COMMENTS in metrics.counters:
        return {"comments": metrics.counters[Metric.COMMENTS]}
    return {}


def items(event: Event) -> Iterable[tuple[str, bool]]:
    """The ids of an event's messages, and of its posts (True)."""
    yield from ((message.external_id, False) for message in event.messages)
    yield from ((post.external_id, True) for post in event.posts)


_ITEMS: Final = Base.metadata.tables[InboundItem.__tablename__]
_ITEM: Final = tuple(column.name for column in _ITEMS.columns)
_STORE_ITEMS: Final = bulk_insert(_ITEMS, _ITEM).on_conflict_do_nothing().returning(_ITEMS.c.external_id, _ITEMS.c.post)
