"""The jobs of hooks: apply what was told, set a hook at its platform, ask whether it works."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Final, TypeVar
from uuid import UUID

import structlog
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.communities.inbound import apply
from app.communities.inbound.ingest import MEMORY
from app.communities.inbound.store import APPLY, of
from app.communities.inbound.subscriptions import (
    PROBE,
    SUBSCRIBE,
    UNSUBSCRIBE,
    address,
    common_at,
    of_another_app,
    opened,
    own_app,
    sealed,
    sharing,
)
from app.communities.models import Community, Hook, HookState, InboundEvent, State
from app.communities.platform_client import PlatformClient, platform_client, reauthorised, with_valid_tokens
from app.communities.polling.rate_limits import RateLimitReached
from app.kit.db import now, workspace_of
from app.kit.jobs import Reschedule, Run, Snooze, job
from app.platforms.capabilities import HookState as PlatformsView
from app.platforms.capabilities import Subscribes, Unsubscribes
from app.platforms.contract import (
    Adapter,
    AuthExpired,
    Credentials,
    Gone,
    MissingPermission,
    PlatformError,
    Rejected,
    Throttled,
)

log = structlog.get_logger()

T = TypeVar("T")

SOON: Final = timedelta(seconds=30)
"""A community that was not looked at yet is waited for so long."""
LOOK: Final = timedelta(hours=1)
"""How often it is looked whether a hook is to be asked about; and how long a silence makes us ask."""
DAILY: Final = timedelta(hours=24)
WEEK: Final = timedelta(days=7)
AT_ONCE: Final = 50
"""Commits whose events are applied together at most, beside a run's own."""
SLICE: Final = timedelta(seconds=20)
"""A run that takes longer takes no further commits along."""
LIVELY: Final = 50
"""With so many events in the week before, an hour of silence is worth asking about."""


@job(APPLY, timeout=timedelta(minutes=5), attempts=20)
async def apply_events(run: Run, batch: UUID) -> None:
    """Do what follows from the events of one commit, together with those of others that wait.

    Under load a ring stands for several commits of a workspace (`ingest.PAUSE`), and much of what
    follows costs as much for one event as for many.
    """
    started, more = run.now, True
    while more:
        # Where something failed before, new events are not drawn into it.
        joined = await apply.join(run, batch, AT_ONCE) if run.attempt == 1 else 0
        await apply.apply(run, batch)
        more = joined == AT_ONCE and run.now - started < SLICE


# Neither is given up because a platform was unwell: what a hook's state says would stay as it is.
@job(SUBSCRIBE, attempts=1000)
async def subscribe(run: Run, community_id: UUID) -> Reschedule | None:
    """Set a hook at its platform; how it went shows on the hook."""
    async with run.step() as session:
        community, line = await platform_client(run.resources, session, community_id)
        hook = await session.scalar(select(Hook).where(of(session, community_id)))
    if hook is None:
        return None
    if community.external_id is None and community.state != State.FAILED:
        raise Snooze(run.now + SOON, "the community was not looked at yet")
    adapter = line.adapter
    assert isinstance(adapter, Subscribes), "asked of adapters that subscribe"
    settings = run.resources.settings
    held = opened(run.resources.keyring, hook.sealed) or {}
    shared = common_at(settings, adapter.spec, community.base_url, hook.public_id)
    known = {**own_app(settings, adapter.spec), **held} if shared is None else shared.secrets
    if lacking := sorted(adapter.spec.hook_given - known.keys()):
        reason = (
            f"Without {', '.join(lacking)}, which only a person knows, no call can be believed: open the hook with it."
        )
        await _keep(run, hook, HookState.REFUSED, reason)
        return None
    url = address(run.resources.settings, community.platform, hook.public_id)
    try:
        chosen = await _answer(
            run, community_id, line, lambda c: adapter.subscribe(_as(run, hook, adapter, c), url, known)
        )
    except (RateLimitReached, Throttled) as error:
        raise await _later(line, error) from None
    except (AuthExpired, MissingPermission, Rejected, Gone) as error:
        await _keep(run, hook, HookState.REFUSED, error.message)
        return None
    except PlatformError as error:
        await _keep(run, hook, HookState.WAITING, error.message)
        raise
    if chosen.items() <= known.items():
        await _keep(run, hook, HookState.SUBSCRIBED)
        return None
    # The platform chose secrets: from now on we know its calls, which it may have tried already.
    await _keep(run, hook, HookState.WAITING, chosen={**held, **chosen})
    return Reschedule(run.now + timedelta(seconds=MEMORY))


@job(UNSUBSCRIBE, attempts=1000)
async def unsubscribe(run: Run, community_id: UUID, hook_id: UUID) -> None:
    """Take a closed hook away at its platform; one whose tokens are no longer good is left to a person."""
    async with run.step() as session:
        community, line = await platform_client(run.resources, session, community_id)
    adapter = line.adapter
    assert isinstance(adapter, Unsubscribes), "asked of adapters that unsubscribe"
    url = address(run.resources.settings, community.platform, hook_id)
    try:
        await _answer(run, community_id, line, lambda c: adapter.unsubscribe(c, url))
    except (RateLimitReached, Throttled) as error:
        raise await _later(line, error) from None
    except (AuthExpired, MissingPermission, Rejected, Gone) as error:
        log.warning("hook.not_unsubscribed", code=error.code, detail=error.message)


async def _answer(run: Run, community_id: UUID, line: PlatformClient, ask: Callable[[Credentials], Awaitable[T]]) -> T:
    """What a platform answers to tokens that were renewed, where that was needed."""
    line = await with_valid_tokens(run, community_id, line)
    try:
        return await ask(line.credentials)
    except AuthExpired as error:
        if not await reauthorised(run, community_id, line, error):
            raise
    raise Snooze(run.now, "the tokens were renewed")


def _as(run: Run, hook: Hook, adapter: Adapter, c: Credentials) -> Credentials:
    """Credentials that do not speak for the installation's application where a hook is that of another."""
    held = opened(run.resources.keyring, hook.sealed) or {}
    return replace(c, app={}) if of_another_app(run.resources.settings, adapter.spec, held) else c


async def _later(line: PlatformClient, error: RateLimitReached | Throttled) -> Snooze:
    if isinstance(error, RateLimitReached):
        return Snooze(error.until, str(error))
    return Snooze(await line.throttled(error), error.message)


async def _keep(
    run: Run, hook: Hook, state: HookState, reason: str | None = None, *, chosen: dict[str, str] | None = None
) -> None:
    async with run.step() as session:
        for one in await sharing(session, hook.public_id):
            if chosen is not None:
                one.sealed = sealed(run.resources.keyring, chosen)
            if one.community_id == hook.community_id:
                one.state, one.reason = state.value, reason


@job(PROBE, attempts=1000)
async def probe(run: Run, community_id: UUID) -> Reschedule | None:
    """Ask a platform now and then how it sees a hook: daily, and once in each unusual silence."""
    async with run.step() as session:
        community, line = await platform_client(run.resources, session, community_id)
        hook = await session.scalar(select(Hook).where(of(session, community_id)))
        if hook is None or not isinstance(line.adapter, Subscribes):
            await run.finish(session)
            return None
        asks = community.state not in {State.PAUSED, State.FAILED} and await _worth_asking(session, hook, community)
    if asks:
        await _ask(run, hook, community, line)
    return Reschedule(run.now + LOOK)


async def _worth_asking(session: AsyncSession, hook: Hook, community: Community) -> bool:
    at = now(session)
    if hook.checked_at is None or at - hook.checked_at >= DAILY:
        return True
    last = community.event_at
    if last is None or at - last < LOOK or hook.checked_at >= last + LOOK:
        return False
    recent = (
        select(InboundEvent.event_id)
        .where(InboundEvent.workspace_id == workspace_of(session), InboundEvent.community_id == community.id)
        .where(InboundEvent.received_at > last - WEEK)
        .limit(LIVELY)
        .subquery()
    )
    return (await session.scalar(select(func.count()).select_from(recent))) == LIVELY


async def _ask(run: Run, hook: Hook, community: Community, line: PlatformClient) -> None:
    adapter = line.adapter
    assert isinstance(adapter, Subscribes), "asked of adapters that subscribe"
    url = address(run.resources.settings, community.platform, hook.public_id)
    found: PlatformsView | None = None
    try:
        found = await _answer(run, community.id, line, lambda c: adapter.subscription(_as(run, hook, adapter, c), url))
        detail = found.detail
    except (RateLimitReached, Throttled) as error:
        raise await _later(line, error) from None
    except PlatformError as error:
        detail = error.message
    async with run.step() as session:
        for one in await sharing(session, hook.public_id):
            if one.community_id == hook.community_id:
                one.checked_at, one.detail = run.now, detail
                one.subscribed = found.subscribed if found is not None else None
                one.delivering = found.delivering if found is not None else None
                one.waiting = found.waiting if found is not None else None
