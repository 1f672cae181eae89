"""The jobs of polling: poll a community, measure a metrics group, delete old counts."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy import case, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.communities import platform_calls, publications, tokens
from app.communities.events import CommunityRef
from app.communities.inbound import jobs as jobs
from app.communities.inbound import store, unparsed
from app.communities.models import UNPOLLED, Community, CommunityStatus
from app.communities.platform_calls import Answered, Cause, Failed, Postponed
from app.communities.platform_client import platform_client, renewable
from app.communities.polling import batches, fair_share, parts, poll_schedule, rate_limits, worker_slots
from app.communities.polling.batches import MEASURE, Measuring, limits_used
from app.communities.polling.parts import Part
from app.communities.polling.poll import Poll
from app.communities.polling.poll_state import OutOfTime
from app.communities.service import POLL
from app.kit.db import in_workspace, now, workspace_of
from app.kit.jobs import LeaseLost, Reschedule, Run, Snooze, job
from app.platforms.capabilities import MeasuresAcross, Receives
from app.platforms.contract import (
    AuthExpired,
    Gone,
    Malformed,
    MissingPermission,
    PlatformError,
    Rejected,
    Transient,
)

log = structlog.get_logger()

MIN_INTERVAL: Final = timedelta(seconds=30)
"""The least time between two polls of a community."""
FAILURE_THRESHOLD: Final = 3
"""After so many refused tokens in a row a person has to reconnect; one may be a passing fault of the platform."""
REFUSED_TOKEN_INTERVAL: Final = timedelta(hours=6)
"""How often a refused token is tried again: the platform may have erred."""
PAGE: Final = 1_000
INTERNAL_ERROR: Final = "internal-error"
_INTERNAL_ERROR_REASON: Final = (
    "Instep itself fails at reading this community. Tell whoever runs it: its log says why. "
    "It is tried again by itself."
)


# A community is given up by what its platform answers (`_store_result`), not because workers died.
@job(POLL, timeout=timedelta(minutes=5), attempts=1000)
async def poll(run: Run, community_id: UUID) -> Reschedule | None:
    """Poll a community, and schedule its next poll."""
    try:
        return await _poll(run, community_id)
    except (Snooze, LeaseLost):
        raise
    except Exception:
        if run.attempt >= FAILURE_THRESHOLD:
            await _try_to_record(run, lambda session: _record_internal_error(session, community_id))
        raise


async def _poll(run: Run, community_id: UUID) -> Reschedule | None:
    assert run.workspace_id is not None
    async with run.resources.db.read_session(run.workspace_id) as session:
        community, client = await platform_client(run.resources, session, community_id)
        timezone, pending = await publications.timezone_and_pending(session, community, run.now)
        multipliers = await fair_share.current_multipliers(session, limits_used(community.costs))
    if community.status in UNPOLLED:
        return None
    ref = CommunityRef(community.workspace_id, community.project_id, community.id, community.platform, timezone)
    polling = Poll(run, community, ref, client, multipliers, pending, run.now)
    try:
        with worker_slots.slot(run, community.base_url):
            result = await platform_calls.call(run, community_id, client, polling.run_due)
    except OutOfTime:
        await polling.finish_early()
        return Reschedule(run.now)
    if isinstance(result, Postponed):
        await polling.finish_early()
        raise result.snooze()
    error = result.error if isinstance(result, Failed) else None
    async with run.step() as session:
        planning = community.planned_at is None or run.now >= community.planned_at + fair_share.PLAN_INTERVAL
        if planning:
            await store.forget(session, community_id, most=PAGE)
            if isinstance(polling.client.adapter, Receives):
                parse_event, of_app = polling.client.adapter.parse_event, polling.client.adapter.spec.hook_of_app
                await unparsed.parse_again(session, polling.ref, community, parse_event, of_app=of_app, most=PAGE)
        community = await polling.finish(session)
        metrics_group = await _assign_metrics_group(session, polling, community)
        at = _store_result(community, polling, run, error)
        await _plan(session, polling, community, anew=planning)
        if at is not None and error is None:
            at = await _first_of_publications(session, polling, community, run, at)
        if metrics_group and (planning or polling.posts_changed or pending.counters):
            await batches.schedule_measuring(session, metrics_group, [community_id])
        await run.finish(session, Reschedule(at) if at is not None else None)
    return None


@job(MEASURE, timeout=timedelta(minutes=5), attempts=1000)
async def measure(run: Run, metrics_group: str) -> Reschedule | None:
    """Read the counters that are due of all communities in one metrics group, in batches of the platform's size."""
    try:
        return await _measure(run, metrics_group)
    except (Snooze, LeaseLost):
        raise
    except Exception:
        if run.attempt >= FAILURE_THRESHOLD:
            await _try_to_record(
                run,
                lambda session: batches.record_failure(
                    session, metrics_group, None, INTERNAL_ERROR, _INTERNAL_ERROR_REASON
                ),
            )
        raise


async def _measure(run: Run, metrics_group: str) -> Reschedule | None:
    assert run.workspace_id is not None
    async with run.resources.db.read_session(run.workspace_id) as session:
        calling_community = await batches.calling_community(session, metrics_group)
        if calling_community is None:
            return None
        community, client = await platform_client(run.resources, session, calling_community)
        multipliers = await fair_share.current_multipliers(session, limits_used(community.costs))
    measuring = Measuring(run, metrics_group, community, client, multipliers)
    with worker_slots.slot(run, community.base_url):
        result = await platform_calls.call(run, community.id, client, measuring.measure_due)
    match result:
        case Postponed():
            await _record_waiting(run, measuring, result)
            raise result.snooze()
        case Failed(error):
            await _record_unread(run, measuring, error)
            failures = 1 + community.metrics_poll_failures if isinstance(error, AuthExpired) else 3
            return Reschedule(run.now + poll_schedule.back_off(failures))
        case Answered(at):
            async with run.step() as session:
                await measuring.finish(session)
                await run.finish(session, Reschedule(at) if at is not None else None)
            return None


@job("communities.tidy", every=timedelta(hours=24))
async def tidy(run: Run) -> Reschedule | None:
    """Delete rate-limit counts and demand that are out of date, a page at a time."""
    async with run.step() as session:
        gone = max(await rate_limits.forget(session, most=PAGE), await fair_share.forget(session, most=PAGE))
    return Reschedule(run.now) if gone == PAGE else None


async def _record_unread(run: Run, measuring: Measuring, error: PlatformError) -> None:
    """Record for all communities of a metrics group that their counters could not be read."""
    log.warning("measure.failed", metrics_group=measuring.metrics_group, code=error.code, detail=error.message)
    async with run.step() as session:
        await batches.record_failure(
            session, measuring.metrics_group, measuring.community.id, error.code, parts.reason(error)
        )


async def _record_waiting(run: Run, measuring: Measuring, result: Postponed) -> None:
    """Record for a metrics group that its counters have waited for a rate limit for long."""
    late = measuring.waiting_since is not None and run.now - measuring.waiting_since >= parts.LATE
    if late and result.cause is Cause.RATE_LIMIT and not measuring.posts and not measuring.has_failure:
        async with run.step() as session:
            await batches.record_failure(
                session, measuring.metrics_group, None, parts.RATE_LIMITED, parts.RATE_LIMITED_REASON
            )


async def _try_to_record(run: Run, record: Callable[[AsyncSession], Awaitable[None]]) -> None:
    """Record, in a step of its own, that an attempt failed by an internal error; only the log says which."""
    try:
        async with run.step() as session:
            await record(session)
    except Exception as error:  # the original error is raised next
        log.warning("poll.fault_not_recorded", exc_info=error)


async def _record_internal_error(session: AsyncSession, community_id: UUID) -> None:
    watched = Community.status.in_(
        [CommunityStatus.HEALTHY.value, CommunityStatus.DEGRADED.value, CommunityStatus.CONNECTING.value]
    )
    await session.execute(
        update(Community)
        .where(in_workspace(Community, workspace_of(session)), Community.id == community_id, watched)
        .values(
            status=case((Community.external_id.is_not(None), CommunityStatus.DEGRADED.value), else_=Community.status),
            status_code=INTERNAL_ERROR,
            status_reason=_INTERNAL_ERROR_REASON,
            failures=Community.failures + 1,
        )
    )


async def _assign_metrics_group(session: AsyncSession, polling: Poll, community: Community) -> str:
    """Store a community's metrics group, which depends on its tokens; its name."""
    disconnected = community.status == CommunityStatus.DISCONNECTED
    metrics_group = "" if disconnected else batches.metrics_group_of(polling.client, community)
    if metrics_group != community.metrics_group:
        community.metrics_group = metrics_group
        community.metrics_poll_code, community.metrics_poll_reason, community.metrics_poll_failures = None, None, 0
        await session.flush()
    return metrics_group


async def _plan(session: AsyncSession, polling: Poll, community: Community, *, anew: bool) -> None:
    """Store what a community's polls cost; where `anew`, record its demand of each limit too."""
    costs = {**community.costs, **polling.costs}
    costs["comments_since_plan"] = fair_share.add_spent(costs.get("comments_since_plan", {}), polling.comment_units)
    community.content_interval_multiplier, community.metrics_interval_multiplier = (
        polling.multipliers.content,
        polling.multipliers.metrics,
    )
    if anew:
        if community.planned_at is not None:
            over = now(session) - community.planned_at
            costs["comments"] = fair_share.per_day(costs.get("comments", {}), costs.pop("comments_since_plan"), over)
        community.planned_at = now(session)
        await tokens.warn_of_expiry(session, community, renewable(polling.client))
        ages = [] if community.metrics_group else await publications.ages(session, [community.id], now(session))
        metrics_polls = poll_schedule.metrics_polls_per_day(ages)
        await fair_share.record_demand(session, community.id, batches.daily_demand(community, costs, metrics_polls))
    community.costs = costs


def _store_result(community: Community, polling: Poll, run: Run, error: PlatformError | None) -> datetime | None:
    """Store a poll's result in the community's status; when to poll next, None for never.

    `error` ended the whole poll; errors of parts are in `polling.failures`.
    """
    at = run.now
    if community.status in {CommunityStatus.PAUSED, CommunityStatus.DISCONNECTED}:
        return None
    community.throttled_until = None
    refused, reauth = isinstance(error, AuthExpired), community.status == CommunityStatus.REAUTH_REQUIRED
    # Each poll repeats the call that was refused: where nothing stopped it, the token was accepted.
    unclear = any(isinstance(one, Transient | Malformed) for one in polling.failures.values())
    accepted = error is None and not unclear and (polling.any_read or bool(polling.failures))
    if refused:
        community.refusals += 1
    elif accepted:
        community.refusals = 0
    elif reauth:
        community.failures += 1
        return at + poll_schedule.back_off(community.failures)  # nothing new is known of the token: its status stays
    if error is None:
        if parts.derive_status(community, any_read=polling.any_read, at=at):
            community.polled_at = at
        return max(min(polling.due(community).values()), _earliest(run))
    community.failures += 1
    community.status_code, community.status_reason = error.code, parts.reason(error)
    never_answered = community.external_id is None
    if refused:
        if never_answered or reauth or community.refusals >= FAILURE_THRESHOLD:
            community.status = CommunityStatus.REAUTH_REQUIRED.value
            return at + REFUSED_TOKEN_INTERVAL
    elif never_answered and isinstance(error, Gone | Rejected):
        community.status = CommunityStatus.FAILED.value
        return None
    if not never_answered or isinstance(error, AuthExpired | MissingPermission):
        community.status = CommunityStatus.DEGRADED.value
    if isinstance(error, MissingPermission):
        community.missing_scopes = sorted(error.scopes)
    return at + poll_schedule.back_off(community.failures)


async def _first_of_publications(
    session: AsyncSession, polling: Poll, community: Community, run: Run, at: datetime
) -> datetime:
    """The earlier of `at` and of when something of the community's publications is due."""
    retries = parts.retry_times(community)
    if (retry := retries.get(Part.COMMENTS)) is not None:
        at = min(at, max(retry, _earliest(run)))
    if isinstance(polling.client.adapter, MeasuresAcross):
        return at
    first = await publications.first_due(session, [community.id])
    if first is None:
        return at
    blocked = polling.blocked_until.get(Part.COUNTERS, first)
    return min(at, max(first, _earliest(run), blocked, retries.get(Part.COUNTERS, first)))


def _earliest(run: Run) -> datetime:
    return run.now + MIN_INTERVAL * run.resources.settings.poll_interval_multiplier
