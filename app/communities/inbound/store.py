"""What platforms tell us by themselves, by hook or by stream: sooner than a poll would find it.

An event is stored under its own id, together with the job that applies it, and only then
acknowledged: repeated or told twice at once, it has one effect. What it brings goes the way of what
polls bring, and is applied by version, not by arrival, so it matters little which comes first; and
a poll finds what a hook has missed, and counts it.

Storing waits for nobody: neither for polls, which hold a community's rows, nor for the applying of
what came before (`hook_effects`).
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
    or_,
    select,
    text,
    tuple_,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from app.communities.events import CommunityRef
from app.communities.models import Community, CommunityToken, Hook, InboundEvent, InboundGap, InboundItem, State
from app.kit.db import in_workspace, now, workspace_of
from app.kit.ids import uuid7
from app.kit.jobs import FRESH, ring_after_commit
from app.platforms.capabilities import Event
from app.platforms.contract import Token

log = structlog.get_logger()

APPLY: Final = "communities.apply-events"
REMEMBERED: Final = timedelta(days=30)
"""For how long it is known what was told; no platform repeats an event for so long."""
LONGEST: Final = 500
"""Characters of an event's id. An index takes no more than some thousand bytes."""

EVENT: Final = TypeAdapter(Event)
"""How an event is written down until it is applied."""
READ: Final = (State.HEALTHY, State.DEGRADED)
"""A community in one of these states is ours to read."""
EVENTS: Final = Counter("instep_hook_events", "Events that platforms told us, by what became of them.", ["outcome"])


@dataclass(frozen=True, slots=True)
class ReceivedEvent:
    """An event of one of our communities, ready to be stored."""

    community_id: UUID
    event_id: str
    text: str
    at: datetime
    """When it came."""
    understood: bool = True
    """Otherwise it is kept for `hook_odd`, and not applied."""


def told(community_id: UUID, event: Event, at: datetime) -> ReceivedEvent | None:
    """An event to store; None for one of which nothing is kept."""
    if event.event_id is None:
        return None
    event_id = event.event_id
    if len(event_id) > LONGEST:
        event_id = hashlib.sha256(event_id.encode()).hexdigest()
    if event.unparsed is not None:
        EVENTS.labels("not understood").inc()
        # What it says is not for logs.
        why = event.unparsed.why
        log.warning("hook.unparsed_events", community_id=str(community_id), event_id=event_id, detail=why)
        return ReceivedEvent(community_id, event_id, event.unparsed.payload, at, understood=False)
    return ReceivedEvent(community_id, event_id, EVENT.dump_json(event).decode(), at)


async def store(
    executor: AsyncSession | AsyncConnection, workspace_id: UUID, events: Sequence[ReceivedEvent], at: datetime
) -> tuple[int, UUID]:
    """Keep events, and have those that are new applied; how many they are, and the id of the job that does it.

    Those that are not understood are kept beside them, and not counted. One statement, which may be
    a unit of work by itself. The job is one of their own: nobody who stores waits for one who applies.
    """
    job_id = uuid7()
    # In one order, so that nobody waits in a circle.
    rows = sorted(events, key=lambda one: (one.community_id, one.event_id))
    new = await executor.scalar(
        _STORE,
        {
            "workspace_id": workspace_id,
            "community_ids": [one.community_id for one in rows],
            "event_ids": [one.event_id for one in rows],
            "texts": [one.text for one in rows],
            "moments": [one.at for one in rows],
            "understood": [one.understood for one in rows],
            "job_id": job_id,
            "job_kind": APPLY,
            "job_args": {"batch": str(job_id)},
            "job_at": at,
        },
    )
    return int(new or 0), job_id


_STORE: Final = text(f"""
WITH added AS (
    INSERT INTO inbound_event (workspace_id, community_id, event_id, batch, told, received_at)
    SELECT :workspace_id, community_id, event_id, CASE WHEN understood THEN CAST(:job_id AS uuid) END, told, at
    FROM unnest(
        CAST(:community_ids AS uuid[]), CAST(:event_ids AS text[]), CAST(:texts AS text[]),
        CAST(:moments AS timestamptz[]), CAST(:understood AS boolean[])
    ) AS came (community_id, event_id, told, at, understood)
    ON CONFLICT DO NOTHING
    RETURNING batch
), job AS ({FRESH} WHERE EXISTS (SELECT FROM added WHERE batch IS NOT NULL))
SELECT count(batch) FROM added
""").bindparams(  # noqa: S608 - a constant of ours
    bindparam("workspace_id", type_=Uuid()), bindparam("job_id", type_=Uuid()), bindparam("job_args", type_=JSONB)
)


async def happened(session: AsyncSession, place: CommunityRef, events: Sequence[Event]) -> int:
    """Keep what a platform's stream tells, in the unit of work that stores its cursor; how much of it is new.

    It may tell of any community that the token serves: each event goes to the community of this
    workspace that it is about, and one that is about none of ours is passed over.
    """
    base_url = (
        await session.scalars(
            select(Community.base_url).where(
                in_workspace(Community, place.workspace_id), Community.id == place.community_id
            )
        )
    ).one()
    strangers = {event.account_id for event in events if event.account_id is not None}
    connection = await session.connection()
    known = await addressees(connection, place.workspace_id, place.platform, base_url, strangers)
    kept = []
    for event in events:
        community_id = place.community_id if event.account_id is None else known.get(event.account_id)
        one = told(community_id, event, now(session)) if community_id is not None else None
        if one is not None:
            kept.append(one)
    if not kept:
        return 0
    new, job_id = await store(session, place.workspace_id, kept, now(session))
    if new:
        ring_after_commit(session, job_id)
    return new


async def addressees(
    connection: AsyncConnection,
    workspace_id: UUID,
    platform: str,
    base_url: str,
    account_ids: Collection[str],
    *also: ColumnElement[bool],
) -> dict[str, UUID]:
    """The communities of a workspace that these ids on the platform mean; an id of its own before an alias.

    `also`: what else has to be true of a community.
    """
    if not account_ids:
        return {}
    wanted = sorted(account_ids)
    rows = await connection.execute(
        select(Community.id, Community.external_id, Community.aliases)
        .where(
            in_workspace(Community, workspace_id),
            Community.platform == platform,
            Community.base_url == base_url,
            or_(Community.external_id.in_(wanted), Community.aliases.has_any(literal(wanted, ARRAY(Text)))),
            *also,
        )
        .order_by(Community.id)
    )
    own: dict[str, UUID] = {}
    other: dict[str, UUID] = {}
    for row in rows:
        own[row.external_id] = row.id
        for alias in row.aliases:
            other.setdefault(alias, row.id)
    return {i: found for i in wanted if (found := own.get(i) or other.get(i)) is not None}


@dataclass(frozen=True, slots=True)
class EventSource:
    """Whose hook tells."""

    workspace_id: UUID
    community_id: UUID
    platform: str
    base_url: str
    of_app: bool


async def addressee(
    connection: AsyncConnection, whose: EventSource, account_id: str, *, still_ours: bool = False
) -> UUID | None:
    """The community of an id; where the hook is not an application's, only one that the same token serves.

    `still_ours`: only one that we may read. Who shares an application with other agencies is told no
    more once a client has taken the permission away, though another agency is.
    """
    also = [Community.state.in_(READ)] if still_ours else []
    known = await addressees(connection, whose.workspace_id, whose.platform, whose.base_url, {account_id}, *also)
    found = known.get(account_id)
    if found is None or found == whose.community_id or whose.of_app:
        return found
    tokens = await connection.execute(
        select(CommunityToken.community_id, CommunityToken.fingerprint).where(
            in_workspace(CommunityToken, whose.workspace_id),
            CommunityToken.community_id.in_([whose.community_id, found]),
            CommunityToken.kind == Token.COMMUNITY.value,
        )
    )
    prints = {row.community_id: row.fingerprint for row in tokens}
    return found if len(prints) == 2 and len(set(prints.values())) == 1 else None


def of(session: AsyncSession, community_id: UUID) -> ColumnElement[bool]:
    """The condition for a community's hook."""
    return and_(in_workspace(Hook, workspace_of(session)), Hook.community_id == community_id)


def told_late() -> ColumnElement[bool]:
    """The condition for what a poll has found first, and an event has told of all the same."""
    return exists().where(
        InboundItem.workspace_id == InboundGap.workspace_id,
        InboundItem.community_id == InboundGap.community_id,
        InboundItem.external_id == InboundGap.external_id,
        InboundItem.post == InboundGap.post,
    )


async def forget(session: AsyncSession, community_id: UUID, *, most: int) -> None:
    """Drop up to `most` of a community's event ids, and of the ids they told of, that are older than any repeat.

    What counts as missed and was told late is taken back before that is forgotten.
    """
    ours = and_(InboundGap.workspace_id == workspace_of(session), InboundGap.community_id == community_id)
    await session.execute(delete(InboundGap).where(ours, told_late()))
    before = now(session) - REMEMBERED
    for table in (InboundEvent, InboundItem):
        key = [column for column in table.__table__.primary_key if column.name not in {"workspace_id", "community_id"}]
        ours = and_(table.workspace_id == workspace_of(session), table.community_id == community_id)
        old = (
            select(*key)
            .where(ours, table.received_at < before)
            .order_by(table.received_at)
            .limit(most)
            .with_for_update(skip_locked=True)
        )
        await session.execute(delete(table).where(ours, tuple_(*key).in_(old)))
