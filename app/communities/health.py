"""A community's health: what was read when, what is missing, and what to do about it."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.communities import publication_counts, tokens
from app.communities.inbound import reconcile, unparsed
from app.communities.inbound.models import Hook, SubscriptionStatus
from app.communities.inbound.store import hook_of
from app.communities.models import Community, CommunityStatus, CommunityToken, Publication
from app.communities.platform_client import app_credentials
from app.communities.polling import rate_limits, unread_items
from app.communities.polling.fair_share import IntervalMultipliers
from app.communities.polling.parts import Part, PartStatus, due_times, problems
from app.communities.schemas import (
    Backfill,
    Health,
    HookHealth,
    Lag,
    PartHealth,
    RateLimitRemaining,
    SeenAt,
    TokenRead,
    UnparsedEvents,
)
from app.communities.service import POLL
from app.kit.crypto import Keyring, SealBroken
from app.kit.db import fetch, in_workspace, now, workspace_of
from app.kit.jobs import Job
from app.platforms import adapter as adapter_of
from app.platforms.capabilities import Inspects, ListsComments, Streams
from app.platforms.contract import Adapter, Token
from app.settings import Settings


async def health(session: AsyncSession, settings: Settings, keyring: Keyring, *, community_id: UUID) -> Health:
    """A community's health, from its row, tokens, hook, publications and rate limits."""
    community = await fetch(session, Community, community_id)
    rows = (
        await session.execute(
            select(CommunityToken.__table__)
            .where(in_workspace(CommunityToken, workspace_of(session)), CommunityToken.community_id == community_id)
            .order_by(CommunityToken.kind)
        )
    ).all()
    adapter_class = adapter_of(community.platform)
    app = app_credentials(settings, community.platform)
    self_renewing = tokens.renewable(adapter_class, [Token(row.kind) for row in rows], app)
    remaining = await rate_limits.remaining(
        session, settings, adapter_class.spec, community.base_url, _open_tokens(keyring, rows), now(session)
    )
    publication_count, metrics_due_at = await _publications(session, community_id)
    unparsed_count, last_unparsed_at = await unparsed.count(session, community_id)
    return Health(
        community_id=community.id,
        status=community.status,
        code=community.status_code,
        reason=community.status_reason,
        missing_scopes=sorted({*community.missing_scopes, *(scope for row in rows for scope in row.missing_scopes)}),
        tokens=[
            TokenRead(
                kind=row.kind,
                expires_at=row.expires_at,
                renews_itself=Token(row.kind) in self_renewing,
                missing_scopes=row.missing_scopes,
                updated_at=row.updated_at,
            )
            for row in rows
        ],
        parts=_parts(
            community,
            adapter_class,
            await unread_items.counts(session, community_id),
            has_tokens=bool(rows),
            measured=metrics_due_at is not None,
        ),
        polled_at=community.polled_at,
        seen_at=SeenAt(
            size=community.size_seen_at, posts=community.posts_seen_at, conversations=community.conversations_seen_at
        ),
        last_event_at=community.last_event_at,
        hook=await _hook(session, community),
        unparsed_events=UnparsedEvents(events=unparsed_count, last_at=last_unparsed_at),
        throttled_until=community.throttled_until,
        next_poll_at=None
        if community.status == CommunityStatus.DISCONNECTED
        else await _next_poll(session, community_id),
        backfill=_backfill(community, now(session)),
        publications=publication_count,
        rate_limits=[
            RateLimitRemaining(
                name=one.name,
                scope=one.scope,
                token=one.token,
                calls=one.calls,
                seconds=one.seconds,
                remaining=one.remaining,
                cooldown_until=one.cooldown_until,
            )
            for one in remaining
        ],
        lag=_lag(community, metrics_due_at, settings.poll_interval_multiplier, now(session)),
    )


def _parts(
    community: Community,
    adapter_class: type[Adapter],
    unread: Mapping[Part, int],
    *,
    has_tokens: bool,
    measured: bool,
) -> list[PartHealth]:
    """Each part that the platform's adapter reads; `measured`: a publication's counters are read."""
    was_read = {
        Part.SIZE: community.size_seen_at is not None,
        Part.POSTS: community.posts_seen_at is not None,
        Part.COUNTERS: measured,
        Part.COMMENTS: community.backfilled_at is not None,
        Part.CONVERSATIONS: community.conversations_seen_at is not None,
        Part.TOKENS: community.tokens_seen_at is not None,
        Part.REVISIONS: community.seen_at(Part.REVISIONS) is not None,
    }
    if issubclass(adapter_class, Streams):
        del was_read[Part.REVISIONS]
    if not issubclass(adapter_class, ListsComments):
        del was_read[Part.COMMENTS]
    if not (issubclass(adapter_class, Inspects) and has_tokens):
        del was_read[Part.TOKENS]
    by_part = problems(community)
    healths = []
    for name, read in was_read.items():
        one = by_part.get(name)
        health_of_part = PartHealth(
            part=name,
            status=one.status if one is not None else PartStatus.OK if read else PartStatus.PENDING,
            code=one and one.code,
            reason=one and one.reason,
            failures=0 if one is None else one.failures,
            since=one and one.since,
            next_at=one and one.next_at,
            missing_scopes=[] if one is None else list(one.missing_scopes),
            unread_items=unread.get(name, 0),
        )
        if name is Part.COUNTERS and community.metrics_poll_code is not None:  # of its metrics group
            health_of_part.status, health_of_part.code = PartStatus.FAILING, community.metrics_poll_code
            health_of_part.reason = community.metrics_poll_reason
            health_of_part.failures = max(community.metrics_poll_failures, 1)
        healths.append(health_of_part)
    return healths


def _open_tokens(keyring: Keyring, rows: Iterable[Row[Any]]) -> dict[Token, str]:
    """The decrypted tokens, for their rate limits; one that no key opens is left out, and shows in its status."""
    texts: dict[Token, str] = {}
    for row in rows:
        try:
            texts[Token(row.kind)] = keyring.open(row.sealed)
        except SealBroken:
            continue
    return texts


async def _publications(session: AsyncSession, community_id: UUID) -> tuple[int, datetime | None]:
    """How many are stored, and when the first of their counters is or was due."""
    first_due: datetime | None = await session.scalar(
        select(Publication.measure_at)
        .where(
            in_workspace(Publication, workspace_of(session)),
            Publication.community_id == community_id,
            Publication.measure_at.is_not(None),
        )
        .order_by(Publication.measure_at)
        .limit(1)
    )
    return await publication_counts.stored(session, community_id), first_due


async def _hook(session: AsyncSession, community: Community) -> HookHealth | None:
    hook = await session.scalar(select(Hook).where(hook_of(session, community.id)))
    if hook is None:
        return None
    gap_count, last_gap_at = await reconcile.count(session, community.id)
    return HookHealth(
        status=None if hook.status is None else SubscriptionStatus(hook.status),
        reason=hook.reason,
        last_event_at=community.last_event_at,
        checked_at=hook.checked_at,
        subscribed=hook.subscribed,
        delivering=hook.delivering,
        waiting=hook.waiting,
        detail=hook.detail,
        # A hook that never received anything is not expected to receive any kind of item.
        gaps=gap_count if hook.first_event_at_by_kind else None,
        last_gap_at=last_gap_at,
    )


async def _next_poll(session: AsyncSession, community_id: UUID) -> datetime | None:
    at: datetime | None = await session.scalar(
        select(func.min(Job.run_at)).where(
            Job.workspace_id == workspace_of(session),
            Job.kind == POLL,
            Job.key == str(community_id),
            Job.state != "dead",
        )
    )
    return at


def _backfill(community: Community, at: datetime) -> Backfill:
    span = max((at if community.backfilled_at is None else community.backfilled_at) - community.backfill_since, _TINY)
    reached = community.backfilled_to
    share = 0.0 if reached is None else min((at - reached) / span, _ALMOST)
    return Backfill(
        since=community.backfill_since,
        reached=reached,
        progress=1.0 if community.backfilled_at is not None else round(max(share, 0.0), 3),
        done_at=community.backfilled_at,
    )


_TINY = timedelta(seconds=1)
_ALMOST = 0.999
"""The most that a backfill shows before it is done."""


def _lag(community: Community, metrics_due_at: datetime | None, factor: float, at: datetime) -> Lag:
    multipliers = IntervalMultipliers(community.content_interval_multiplier, community.metrics_interval_multiplier)
    due = due_times(community, factor, multipliers)

    unsupported = {name for name, one in problems(community).items() if one.status is PartStatus.UNSUPPORTED}

    disconnected = community.disconnected_at is not None

    def late(part: Part, moment: datetime | None) -> float:
        on_time = moment is None or disconnected or part in unsupported
        return 0.0 if on_time or moment is None else max((at - moment).total_seconds(), 0.0)

    return Lag(
        size=late(Part.SIZE, due[Part.SIZE]),
        posts=late(Part.POSTS, due[Part.POSTS]),
        conversations=late(Part.CONVERSATIONS, due[Part.CONVERSATIONS]),
        counters=late(Part.COUNTERS, metrics_due_at),
        interval_multiplier=round(max(multipliers.content, multipliers.metrics), 2),
    )
