"""Storing inbound events, and finding the community that one is about.

An event is stored under its own id, in one statement with the job that applies it: received again,
or twice at once, it has one effect. Storing takes no lock that a poll or the applying of earlier
events holds, so a call is acknowledged at once.
"""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog
from prometheus_client import Counter
from pydantic import TypeAdapter
from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Text,
    Uuid,
    and_,
    bindparam,
    delete,
    exists,
    literal,
    literal_column,
    or_,
    select,
    text,
    tuple_,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from app.communities.events import CommunityRef
from app.communities.inbound.models import Hook, InboundEvent, InboundGap, InboundItem
from app.communities.models import Community, CommunityStatus, CommunityToken
from app.kit.db import in_workspace, now, workspace_of
from app.kit.ids import uuid7
from app.kit.jobs import INSERT_JOB, ring_after_commit
from app.platforms.capabilities import Event
from app.platforms.contract import Token

log = structlog.get_logger()

APPLY: Final = "communities.apply-events"
READ_ANNOUNCED: Final = "communities.read-announced"
RETENTION: Final = timedelta(days=30)
"""How long event ids and item ids are kept; platforms repeat an event for less long."""
MAX_EVENT_ID: Final = 500
"""Characters of an event's id. An index takes no more than some thousand bytes."""

EVENT: Final = TypeAdapter(Event)
"""An event as the `payload` of a pending row."""
READABLE_STATUSES: Final = (CommunityStatus.HEALTHY, CommunityStatus.DEGRADED)
"""States of communities whose tokens are accepted."""
# With constants, as in the partial indexes: a prepared statement with a parameter would not use those.
PENDING: Final = InboundEvent.status == literal_column("'pending'")
UNPARSED: Final = InboundEvent.status == literal_column("'unparsed'")
EVENTS: Final = Counter("instep_hook_events", "Events received from platforms, by outcome.", ["outcome"])


@dataclass(frozen=True, slots=True)
class ReceivedEvent:
    """An event of a connected community, ready to be stored."""

    community_id: UUID
    event_id: str
    payload: str
    received_at: datetime
    parsed: bool = True
    """Otherwise it is stored for `unparsed`, and no job applies it."""


def received_event(community_id: UUID, event: Event, at: datetime) -> ReceivedEvent | None:
    """An event to store; None for one without an id, of which nothing is stored."""
    if event.event_id is None:
        return None
    event_id = event.event_id
    if len(event_id) > MAX_EVENT_ID:
        event_id = hashlib.sha256(event_id.encode()).hexdigest()
    if event.unparsed is not None:
        EVENTS.labels("unparsed").inc()
        # Its content is not for logs.
        log.warning("inbound.unparsed", community_id=str(community_id), event_id=event_id, detail=event.unparsed.why)
        return ReceivedEvent(community_id, event_id, event.unparsed.payload, at, parsed=False)
    return ReceivedEvent(community_id, event_id, EVENT.dump_json(event).decode(), at)


async def store(
    executor: AsyncSession | AsyncConnection, workspace_id: UUID, events: Sequence[ReceivedEvent], at: datetime
) -> tuple[int, UUID]:
    """Store events; how many parsed ones were new, and the id of the job that applies those.

    Unparsed ones are stored beside them and not counted. One statement, which may be a transaction by
    itself. The job is a new one, so that storing never waits for the lock of one that is running.
    """
    job_id = uuid7()
    # In key order, to avoid deadlocks.
    rows = sorted(events, key=lambda one: (one.community_id, one.event_id))
    new = await executor.scalar(
        _STORE,
        {
            "workspace_id": workspace_id,
            "community_ids": [one.community_id for one in rows],
            "event_ids": [one.event_id for one in rows],
            "payloads": [one.payload for one in rows],
            "moments": [one.received_at for one in rows],
            "parsed": [one.parsed for one in rows],
            "job_id": job_id,
            "job_kind": APPLY,
            "job_args": {"batch": str(job_id)},
            "job_at": at,
        },
    )
    return int(new or 0), job_id


_STORE: Final = text(f"""
WITH added AS (
    INSERT INTO inbound_event (workspace_id, community_id, event_id, status, batch, payload, received_at)
    SELECT :workspace_id, community_id, event_id, CASE WHEN parsed THEN 'pending' ELSE 'unparsed' END,
           CASE WHEN parsed THEN CAST(:job_id AS uuid) END, payload, received_at
    FROM unnest(
        CAST(:community_ids AS uuid[]), CAST(:event_ids AS text[]), CAST(:payloads AS text[]),
        CAST(:moments AS timestamptz[]), CAST(:parsed AS boolean[])
    ) AS received (community_id, event_id, payload, received_at, parsed)
    ON CONFLICT DO NOTHING
    RETURNING status
), job AS ({INSERT_JOB} WHERE EXISTS (SELECT FROM added WHERE status = 'pending'))
SELECT count(*) FILTER (WHERE status = 'pending') FROM added
""").bindparams(  # noqa: S608 - a constant of `kit.jobs`
    bindparam("workspace_id", type_=Uuid()), bindparam("job_id", type_=Uuid()), bindparam("job_args", type_=JSONB)
)


async def store_stream_events(session: AsyncSession, ref: CommunityRef, events: Sequence[Event]) -> int:
    """Store events read from a platform's stream, in the unit of work that stores its cursor; how many were new.

    A stream has the events of all communities that its token serves: each is stored for the community of
    this workspace that it is about, and left out where there is none.
    """
    base_url = (
        await session.scalars(
            select(Community.base_url).where(
                in_workspace(Community, ref.workspace_id), Community.id == ref.community_id
            )
        )
    ).one()
    account_ids = {event.account_id for event in events if event.account_id is not None}
    connection = await session.connection()
    community_ids = await communities_by_account_id(connection, ref.workspace_id, ref.platform, base_url, account_ids)
    received = []
    for event in events:
        community_id = ref.community_id if event.account_id is None else community_ids.get(event.account_id)
        one = received_event(community_id, event, now(session)) if community_id is not None else None
        if one is not None:
            received.append(one)
    if not received:
        return 0
    new, job_id = await store(session, ref.workspace_id, received, now(session))
    if new:
        ring_after_commit(session, job_id)
    return new


async def communities_by_account_id(
    connection: AsyncConnection,
    workspace_id: UUID,
    platform: str,
    base_url: str,
    account_ids: Collection[str],
    *conditions: ColumnElement[bool],
) -> dict[str, UUID]:
    """The communities of a workspace by these ids on the platform; an `external_id` wins over an alias.

    `conditions`: further ones on `Community`.
    """
    if not account_ids:
        return {}
    ordered_ids = sorted(account_ids)
    rows = await connection.execute(
        select(Community.id, Community.external_id, Community.aliases)
        .where(
            in_workspace(Community, workspace_id),
            Community.platform == platform,
            Community.base_url == base_url,
            Community.disconnected_at.is_(None),
            or_(Community.external_id.in_(ordered_ids), Community.aliases.has_any(literal(ordered_ids, ARRAY(Text)))),
            *conditions,
        )
        .order_by(Community.id)
    )
    own: dict[str, UUID] = {}
    other: dict[str, UUID] = {}
    for row in rows:
        own[row.external_id] = row.id
        for alias in row.aliases:
            other.setdefault(alias, row.id)
    return {i: community_id for i in ordered_ids if (community_id := own.get(i) or other.get(i)) is not None}


@dataclass(frozen=True, slots=True)
class EventSource:
    """The community whose hook received an event."""

    workspace_id: UUID
    community_id: UUID
    platform: str
    base_url: str
    of_app: bool


async def target_community(
    connection: AsyncConnection, source: EventSource, account_id: str, *, readable_only: bool = False
) -> UUID | None:
    """The community with this id; where the hook is not an application's, only one with the same token.

    `readable_only`: only one whose status is one of `READABLE_STATUSES`. Agencies that share an application share its
    hook: one whose client has withdrawn the permission gets no more events, though another agency does.
    """
    conditions = [Community.status.in_(READABLE_STATUSES)] if readable_only else []
    matches = await communities_by_account_id(
        connection, source.workspace_id, source.platform, source.base_url, {account_id}, *conditions
    )
    target_id = matches.get(account_id)
    if target_id is None or target_id == source.community_id or source.of_app:
        return target_id
    tokens = await connection.execute(
        select(CommunityToken.community_id, CommunityToken.fingerprint).where(
            in_workspace(CommunityToken, source.workspace_id),
            CommunityToken.community_id.in_([source.community_id, target_id]),
            CommunityToken.kind == Token.COMMUNITY.value,
        )
    )
    fingerprints = {row.community_id: row.fingerprint for row in tokens}
    return target_id if len(fingerprints) == 2 and len(set(fingerprints.values())) == 1 else None


def hook_of(session: AsyncSession, community_id: UUID) -> ColumnElement[bool]:
    """The condition for a community's hook."""
    return and_(in_workspace(Hook, workspace_of(session)), Hook.community_id == community_id)


def pushed_late() -> ColumnElement[bool]:
    """The condition for gaps whose event was received after all, later than the poll found the item."""
    return exists().where(
        InboundItem.workspace_id == InboundGap.workspace_id,
        InboundItem.community_id == InboundGap.community_id,
        InboundItem.external_id == InboundGap.external_id,
        InboundItem.post == InboundGap.post,
    )


async def forget(session: AsyncSession, community_id: UUID, *, most: int) -> None:
    """Delete up to `most` of a community's events and of its items that are older than `RETENTION`.

    Gaps whose event was received late are deleted first, as long as that is known.
    """
    of_community = and_(InboundGap.workspace_id == workspace_of(session), InboundGap.community_id == community_id)
    await session.execute(delete(InboundGap).where(of_community, pushed_late()))
    before = now(session) - RETENTION
    for table in (InboundEvent, InboundItem):
        key = [column for column in table.__table__.primary_key if column.name not in {"workspace_id", "community_id"}]
        of_community = and_(table.workspace_id == workspace_of(session), table.community_id == community_id)
        old = (
            select(*key)
            .where(of_community, table.received_at < before)
            .order_by(table.received_at)
            .limit(most)
            .with_for_update(skip_locked=True)
        )
        await session.execute(delete(table).where(of_community, tuple_(*key).in_(old)))
