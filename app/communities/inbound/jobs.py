"""The jobs of hooks: apply stored events, subscribe and unsubscribe a hook at its platform, probe it."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.communities import platform_calls
from app.communities.disconnecting import DESTROY_TOKENS, destroy_tokens
from app.communities.events import CommunityRef, MessagesSeen
from app.communities.inbound import apply
from app.communities.inbound.ingest import CACHE_SECONDS
from app.communities.inbound.models import Hook, InboundEvent, SubscriptionStatus
from app.communities.inbound.store import APPLY, READ_ANNOUNCED, hook_of
from app.communities.inbound.subscriptions import (
    PROBE,
    SUBSCRIBE,
    UNSUBSCRIBE,
    address,
    app_secrets,
    installation_hook_at,
    lock_hooks_at,
    of_another_app,
    open_secrets,
    seal_secrets,
)
from app.communities.models import UNPOLLED, Community, CommunityStatus
from app.communities.platform_calls import Answered, Failed, Postponed
from app.communities.platform_client import PlatformClient, platform_client
from app.kit.actors import SYSTEM
from app.kit.db import fetch, now, workspace_of
from app.kit.events import publish
from app.kit.jobs import Reschedule, Run, Snooze, enqueue, job
from app.platforms.capabilities import HookState, ReadsAnnounced, Subscribes, Unsubscribes
from app.platforms.contract import Adapter, Credentials
from app.projects.models import Project

log = structlog.get_logger()

RETRY_UNREAD_AFTER: Final = timedelta(seconds=5)
"""A hook is subscribed after its community's first poll, which is waited for in these steps."""
PROBE_CHECK_INTERVAL: Final = timedelta(hours=1)
"""How often it is checked whether a probe is due; also the silence of a busy hook that makes it due."""
DAILY: Final = timedelta(hours=24)
WEEK: Final = timedelta(days=7)
MAX_BATCHES: Final = 50
"""The most batches that a run applies together with its own."""
ANNOUNCED_ATTEMPTS: Final = 20
"""Over some hours while the platform is unavailable."""
SLICE: Final = timedelta(seconds=20)
"""A run that has taken longer applies no further batches."""
BUSY_WEEK: Final = 50
"""With so many events in the week before, an hour of silence makes a probe due."""


@job(APPLY, timeout=timedelta(minutes=5), attempts=20)
async def apply_events(run: Run, batch: UUID) -> None:
    """Apply the events of one commit, together with those of other pending batches.

    Under load one ring stands for several commits of a workspace (`ingest.RING_INTERVAL`), and much of
    the work costs as much for one event as for many.
    """
    started, more = run.now, True
    while more:
        # A run that has failed before takes no other batches: their events would fail with it.
        joined = await apply.join(run, batch, MAX_BATCHES) if run.attempt == 1 else 0
        await apply.apply(run, batch)
        more = joined == MAX_BATCHES and run.now - started < SLICE


@job(READ_ANNOUNCED, attempts=ANNOUNCED_ATTEMPTS)
async def read_announced(run: Run, community_id: UUID, reference: str) -> None:
    """Read a message that an event has announced without its content."""
    async with run.step() as session:
        community, client = await platform_client(run.resources, session, community_id)
        zone = (await fetch(session, Project, community.project_id)).timezone
        if community.status == CommunityStatus.DISCONNECTED:
            await run.finish(session)
            return
    adapter = client.adapter
    assert isinstance(adapter, ReadsAnnounced), "only called for adapters that read announced messages"
    result = await platform_calls.call(
        run, community_id, client, lambda ready: adapter.announced(ready.credentials, reference)
    )
    match result:
        case Postponed():
            raise result.snooze()
        case Failed(error) if result.platform_is_unwell:
            raise error
        case Failed(error):
            log.info("inbound.announced_unreadable", community_id=str(community_id), code=error.code)
        case Answered(message) if message.sent_at >= community.backfill_since:
            own_account_ids = frozenset({community.external_id, *community.aliases} - {None})
            async with run.step() as session:
                ref = CommunityRef(
                    workspace_of(session), community.project_id, community_id, community.platform, zone, own_account_ids
                )
                await publish(session, MessagesSeen(ref, ((message, None),)))
                await run.finish(session)


# These two are not given up when a platform fails for long: the hook's status would stay outdated.
@job(SUBSCRIBE, attempts=1000)
async def subscribe(run: Run, community_id: UUID) -> Reschedule | None:
    """Subscribe a hook at its platform; the result is stored in the hook's status."""
    async with run.step() as session:
        community, client = await platform_client(run.resources, session, community_id)
        hook = await session.scalar(select(Hook).where(hook_of(session, community_id)))
    if hook is None:
        return None
    if community.external_id is None and community.status != CommunityStatus.FAILED:
        raise Snooze(run.now + RETRY_UNREAD_AFTER, "the community was not polled yet")
    adapter = client.adapter
    assert isinstance(adapter, Subscribes), "only called for adapters that subscribe"
    settings = run.resources.settings
    stored = open_secrets(run.resources.keyring, hook.sealed) or {}
    installation = installation_hook_at(settings, adapter.spec, community.base_url, hook.public_id)
    all_secrets = {**app_secrets(settings, adapter.spec), **stored} if installation is None else installation.secrets
    if lacking := sorted(adapter.spec.hook_manual_secrets - all_secrets.keys()):
        reason = (
            f"Without {', '.join(lacking)}, which only a person knows, no call can be verified: open the hook with it."
        )
        await _store_status(run, hook, SubscriptionStatus.REFUSED, reason)
        return None
    url = address(run.resources.settings, community.platform, hook.public_id)
    result = await platform_calls.call(
        run,
        community_id,
        client,
        lambda ready: adapter.subscribe(_credentials_for(run, hook, adapter, ready), url, all_secrets),
    )
    match result:
        case Postponed():
            raise result.snooze()
        case Failed():
            status = SubscriptionStatus.REFUSED if result.needs_person else SubscriptionStatus.WAITING
            await _store_status(run, hook, status, result.error.message)
            if not result.needs_person:
                raise result.error
            return None
        case Answered(new_secrets):
            return await _subscribed(run, hook, current=all_secrets, stored=stored, new_secrets=new_secrets)


async def _subscribed(
    run: Run, hook: Hook, *, current: Mapping[str, str], stored: Mapping[str, str], new_secrets: Mapping[str, str]
) -> Reschedule | None:
    """Store that a hook is subscribed, and the secrets that the platform chose."""
    if new_secrets.items() <= current.items():
        await _store_status(run, hook, SubscriptionStatus.SUBSCRIBED)
        return None
    # The platform chose secrets, and may have called already: subscribe again once no cache has the old ones.
    await _store_status(run, hook, SubscriptionStatus.WAITING, new_secrets={**stored, **new_secrets})
    return Reschedule(run.now + timedelta(seconds=CACHE_SECONDS))


@job(UNSUBSCRIBE, attempts=1000)
async def unsubscribe(run: Run, community_id: UUID, hook_id: UUID) -> None:
    """Unsubscribe a closed hook at its platform; where the tokens are refused, that is left to a person.

    If its community is disconnected, its tokens were kept for this call alone, and are destroyed after it.
    """
    async with run.step() as session:
        community, client = await platform_client(run.resources, session, community_id)
    adapter = client.adapter
    assert isinstance(adapter, Unsubscribes), "only called for adapters that unsubscribe"
    url = address(run.resources.settings, community.platform, hook_id)
    result = await platform_calls.call(
        run, community_id, client, lambda ready: adapter.unsubscribe(ready.credentials, url)
    )
    match result:
        case Postponed():
            raise result.snooze()
        case Failed(error) if result.needs_person:
            log.warning("hook.not_unsubscribed", code=error.code, detail=error.message)
        case Failed(error):
            raise error
    async with run.step() as session:
        await destroy_tokens(session, SYSTEM, community_id=community_id)
        await run.finish(session)


@job(DESTROY_TOKENS)
async def destroy_kept_tokens(run: Run, community_id: UUID) -> None:
    """Destroy the tokens of a disconnected community whose hook could not be unsubscribed for long."""
    async with run.step() as session:
        await destroy_tokens(session, SYSTEM, community_id=community_id)
        await run.finish(session)


def _credentials_for(run: Run, hook: Hook, adapter: Adapter, client: PlatformClient) -> Credentials:
    """Credentials for a hook; without the installation's application where the hook is another's."""
    stored = open_secrets(run.resources.keyring, hook.sealed) or {}
    is_other = of_another_app(run.resources.settings, adapter.spec, stored)
    return replace(client.credentials, app={}) if is_other else client.credentials


async def _store_status(
    run: Run,
    hook: Hook,
    status: SubscriptionStatus,
    reason: str | None = None,
    *,
    new_secrets: dict[str, str] | None = None,
) -> None:
    async with run.step() as session:
        for one in await lock_hooks_at(session, hook.public_id):
            if new_secrets is not None:
                one.sealed = seal_secrets(run.resources.keyring, new_secrets)
            if one.community_id == hook.community_id:
                one.status, one.reason = status.value, reason


@job(PROBE, attempts=1000)
async def probe(run: Run, community_id: UUID) -> Reschedule | None:
    """Read a hook's subscription from its platform: daily, and once in each unusual silence.

    One that an earlier version has subscribed to fewer kinds of event is subscribed again.
    """
    async with run.step() as session:
        community, client = await platform_client(run.resources, session, community_id)
        hook = await session.scalar(select(Hook).where(hook_of(session, community_id)))
        if hook is None or not isinstance(client.adapter, Subscribes):
            await run.finish(session)
            return None
        is_due = community.status not in UNPOLLED and await _is_probe_due(session, hook, community)
    if is_due:
        await _probe(run, hook, community, client)
    return Reschedule(run.now + PROBE_CHECK_INTERVAL)


async def _is_probe_due(session: AsyncSession, hook: Hook, community: Community) -> bool:
    at = now(session)
    if hook.checked_at is None or at - hook.checked_at >= DAILY:
        return True
    last = community.last_event_at
    if last is None or at - last < PROBE_CHECK_INTERVAL or hook.checked_at >= last + PROBE_CHECK_INTERVAL:
        return False
    recent = (
        select(InboundEvent.event_id)
        .where(InboundEvent.workspace_id == workspace_of(session), InboundEvent.community_id == community.id)
        .where(InboundEvent.received_at > last - WEEK)
        .limit(BUSY_WEEK)
        .subquery()
    )
    return (await session.scalar(select(func.count()).select_from(recent))) == BUSY_WEEK


async def _probe(run: Run, hook: Hook, community: Community, client: PlatformClient) -> None:
    adapter = client.adapter
    assert isinstance(adapter, Subscribes), "only called for adapters that subscribe"
    url = address(run.resources.settings, community.platform, hook.public_id)
    reported: HookState | None = None
    result = await platform_calls.call(
        run, community.id, client, lambda ready: adapter.subscription(_credentials_for(run, hook, adapter, ready), url)
    )
    match result:
        case Postponed():
            raise result.snooze()
        case Failed(error):
            detail: str | None = error.message
        case Answered(reported):
            detail = reported.detail
    async with run.step() as session:
        if reported is not None and reported.outdated and hook.status == SubscriptionStatus.SUBSCRIBED:
            # A worker locks the job's row first and the hook's second.
            await enqueue(
                session,
                SUBSCRIBE,
                workspace_id=workspace_of(session),
                key=str(community.id),
                community_id=community.id,
            )
        for one in await lock_hooks_at(session, hook.public_id):
            if one.community_id == hook.community_id:
                one.checked_at, one.detail = run.now, detail
                one.subscribed = reported.subscribed if reported is not None else None
                one.delivering = reported.delivering if reported is not None else None
                one.waiting = reported.waiting if reported is not None else None
