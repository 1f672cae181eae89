"""The community's job: to be looked at again and again."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy import case, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.communities import publications, tokens
from app.communities.events import CommunityRef
from app.communities.inbound import jobs as jobs
from app.communities.inbound import store, unparsed
from app.communities.models import Community, State
from app.communities.platform_client import PlatformClient, platform_client, reauthorised, renewable, with_valid_tokens
from app.communities.polling import batches, fair_share, poll_schedule, rate_limits, worker_slots
from app.communities.polling.batches import MEASURE, Measuring, touched
from app.communities.polling.poll import OutOfTime, Poll
from app.communities.polling.rate_limits import RateLimitReached
from app.communities.service import POLL
from app.kit.db import fetch, in_workspace, now, workspace_of
from app.kit.jobs import LeaseLost, Reschedule, Run, Snooze, job
from app.platforms.capabilities import MeasuresAcross, Receives
from app.platforms.contract import (
    AuthExpired,
    Gone,
    Malformed,
    MissingPermission,
    PlatformError,
    Rejected,
    Throttled,
    Transient,
)

log = structlog.get_logger()

SOONEST: Final = timedelta(seconds=30)
"""No community is looked at sooner after a look."""
STRIKES: Final = 3
"""So many refused tokens in a row make a person reconnect; one may be the platform's bad minute."""
PROBE: Final = timedelta(hours=6)
"""A refused token is tried again this often: the platform may have erred."""
PAGE: Final = 1_000
OUR_FAULT: Final = "internal-error"
_OUR_FAULT: Final = (
    "Instep itself fails at reading this community. Tell whoever runs it: its log says why. "
    "It is tried again by itself."
)

_ADVICE: Final = {
    AuthExpired: "The platform refuses the token. Reconnect the community with a new one.",
    MissingPermission: "The token may not do all that is needed. Reconnect with the missing permissions.",
    Gone: "The platform does not know this community (any more). Check its address.",
}


# A community is given up by what its platform answers (`_conclude`), not because workers died.
@job(POLL, timeout=timedelta(minutes=5), attempts=1000)
async def poll(run: Run, community_id: UUID) -> Reschedule | None:
    """Look at a community, then say when to look again."""
    try:
        return await _poll(run, community_id)
    except (Snooze, LeaseLost):
        raise
    except Exception:
        if run.attempt >= STRIKES:
            await _noted(run, lambda session: _stumbled(session, community_id))
        raise


async def _poll(run: Run, community_id: UUID) -> Reschedule | None:
    assert run.workspace_id is not None
    async with run.resources.db.read_session(run.workspace_id) as session:
        community, line = await platform_client(run.resources, session, community_id)
        timezone, waiting = await publications.standing(session, community, run.now)
        stretch = await fair_share.stretched(session, touched(community.costs))
    if community.state in {State.PAUSED, State.FAILED}:
        return None
    place = CommunityRef(community.workspace_id, community.project_id, community.id, community.platform, timezone)
    looking = Poll(run, community, place, line, stretch, waiting, run.now)
    try:
        with worker_slots.place(run, community.base_url):
            looking.line = line = await with_valid_tokens(run, community_id, line)
            await looking.all()
    except OutOfTime:
        await looking.keep()
        return Reschedule(run.now)
    except RateLimitReached as spent:
        await looking.keep()
        raise Snooze(spent.until, str(spent)) from None
    except Throttled as error:
        until = await _stay_away(run, community_id, line, error)  # before all else: others are about to call
        await looking.keep()
        raise Snooze(until, error.message) from None
    except AuthExpired as error:
        await looking.keep()
        # Whoever finds that somebody else has renewed the token goes on, and blames nobody.
        refused = await _refused(run, community_id, looking.line, error)
        if refused is None:
            return Reschedule(run.now)
        looking.failures["community"] = refused
    except PlatformError as error:
        looking.failures["community"] = error
    async with run.step() as session:
        planning = community.planned_at is None or run.now >= community.planned_at + fair_share.PLAN
        if planning:
            await store.forget(session, community_id, most=PAGE)
            if isinstance(looking.line.adapter, Receives):
                parse_event, of_app = looking.line.adapter.parse_event, looking.line.adapter.spec.hook_of_app
                await unparsed.again(session, looking.place, community, parse_event, of_app=of_app, most=PAGE)
        community = await looking.conclude(session)
        metrics_group = await _enter(session, looking, community)
        at = _conclude(community, looking, run)
        await _plan(session, looking, community, anew=planning)
        if at is not None and not looking.failures and not isinstance(looking.line.adapter, MeasuresAcross):
            first = await publications.first_due(session, [community_id])
            at = at if first is None else min(at, max(first, _soonest(run), looking.spent.get("looks", first)))
        if metrics_group and (planning or looking.shown or waiting.counters):
            await batches.wake(session, metrics_group, [community_id])
        await run.finish(session, Reschedule(at) if at is not None else None)
    return None


@job(MEASURE, timeout=timedelta(minutes=5), attempts=1000)
async def measure(run: Run, metrics_group: str) -> Reschedule | None:
    """Read the counters that are due of all communities in one lane, in batches of the platform's size."""
    try:
        return await _measure(run, metrics_group)
    except (Snooze, LeaseLost):
        raise
    except Exception:
        if run.attempt >= STRIKES:
            await _noted(run, lambda session: batches.failed(session, metrics_group, None, OUR_FAULT, _OUR_FAULT))
        raise


async def _measure(run: Run, metrics_group: str) -> Reschedule | None:
    assert run.workspace_id is not None
    async with run.resources.db.read_session(run.workspace_id) as session:
        chosen = await batches.chosen(session, metrics_group)
        if chosen is None:
            return None
        community, line = await platform_client(run.resources, session, chosen)
        stretch = await fair_share.stretched(session, touched(community.costs))
    measuring = Measuring(run, metrics_group, community, line, stretch)
    try:
        with worker_slots.place(run, community.base_url):
            measuring.line = await with_valid_tokens(run, community.id, line)
            at = await measuring.all()
    except RateLimitReached as spent:
        raise Snooze(spent.until, str(spent)) from None
    except Throttled as error:
        raise Snooze(await _stay_away(run, community.id, line, error), error.message) from None
    except AuthExpired as error:
        refused = await _refused(run, community.id, measuring.line, error)
        if refused is None:
            return Reschedule(run.now)
        await _unread(run, measuring, refused)
        return Reschedule(run.now + poll_schedule.back_off(1 + community.metrics_poll_failures))
    except PlatformError as error:
        await _unread(run, measuring, error)
        return Reschedule(run.now + poll_schedule.back_off(3))
    async with run.step() as session:
        await measuring.conclude(session)
        await run.finish(session, Reschedule(at) if at is not None else None)
    return None


@job("communities.tidy", every=timedelta(hours=24))
async def tidy(run: Run) -> Reschedule | None:
    """Drop the counts of calls that nobody makes any more, a page at a time."""
    async with run.step() as session:
        gone = max(await rate_limits.forget(session, most=PAGE), await fair_share.forget(session, most=PAGE))
    return Reschedule(run.now) if gone == PAGE else None


async def _stay_away(run: Run, community_id: UUID, line: PlatformClient, error: Throttled) -> datetime:
    until = await line.throttled(error)
    async with run.step() as session:
        community = await fetch(session, Community, community_id, for_update=True)
        community.throttled_until = until
    return until


async def _refused(run: Run, community_id: UUID, line: PlatformClient, error: AuthExpired) -> PlatformError | None:
    """What is wrong with a refused token; None where there is another one by now."""
    try:
        return None if await reauthorised(run, community_id, line, error) else error
    except RateLimitReached as spent:
        raise Snooze(spent.until, str(spent)) from None
    except Throttled as throttled:
        raise Snooze(await _stay_away(run, community_id, line, throttled), throttled.message) from None
    except PlatformError as worse:
        return worse


async def _unread(run: Run, measuring: Measuring, error: PlatformError) -> None:
    """Say of all in a lane that their counters could not be read, whoever made the calls."""
    log.warning("measure.failed", metrics_group=measuring.metrics_group, code=error.code, detail=error.message)
    async with run.step() as session:
        await batches.failed(session, measuring.metrics_group, measuring.community.id, error.code, _in_words(error))


async def _noted(run: Run, note: Callable[[AsyncSession], Awaitable[None]]) -> None:
    """Note, apart, that an attempt has failed again by our own fault. What exactly failed is for the log alone."""
    try:
        async with run.step() as session:
            await note(session)
    except Exception as error:  # what brought us here is raised next, and counts
        log.warning("poll.fault_not_noted", exc_info=error)


async def _stumbled(session: AsyncSession, community_id: UUID) -> None:
    watched = Community.state.in_([State.HEALTHY.value, State.DEGRADED.value, State.CONNECTING.value])
    await session.execute(
        update(Community)
        .where(in_workspace(Community, workspace_of(session)), Community.id == community_id, watched)
        .values(
            state=case((Community.external_id.is_not(None), State.DEGRADED.value), else_=Community.state),
            state_code=OUR_FAULT,
            state_reason=_OUR_FAULT,
            failures=Community.failures + 1,
        )
    )


async def _enter(session: AsyncSession, looking: Poll, community: Community) -> str:
    """Put a community into the lane that its tokens lead to, which may be another by now; its name."""
    metrics_group = batches.name(looking.line, community)
    if metrics_group != community.metrics_group:
        community.metrics_group = metrics_group
        community.metrics_poll_code, community.metrics_poll_reason, community.metrics_poll_failures = None, None, 0
        await session.flush()
    return metrics_group


async def _plan(session: AsyncSession, looking: Poll, community: Community, *, anew: bool) -> None:
    """Remember what a community's looks cost; now and then leave a note of what it asks of each limit."""
    costs = {**community.costs, **looking.costs}
    costs["heard"] = fair_share.added(costs.get("heard", {}), looking.heard)
    community.content_interval_multiplier, community.metrics_interval_multiplier = (
        looking.stretch.lists,
        looking.stretch.looks,
    )
    if anew:
        if community.planned_at is not None:
            over = now(session) - community.planned_at
            costs["comments"] = fair_share.a_day(costs.get("comments", {}), costs.pop("heard"), over)
        community.planned_at = now(session)
        await tokens.warn(session, community, renewable(looking.line))
        ages = [] if community.metrics_group else await publications.ages(session, [community.id], now(session))
        looks = poll_schedule.looks_a_day(ages)
        await fair_share.note(session, community.id, batches.demands(community, costs, looks))
    community.costs = costs


def _conclude(community: Community, looking: Poll, run: Run) -> datetime | None:
    """Write down how a poll went; when to look again, None where there is no use in it."""
    at = run.now
    failures = list(looking.failures.values())
    if community.state == State.PAUSED:
        return None
    community.throttled_until = None
    community.missing_scopes = sorted(
        {scope for error in failures if isinstance(error, MissingPermission) for scope in error.scopes}
    )
    if not failures:
        # What a lane could not read is not read by a poll either.
        unread = community.metrics_poll_code is not None
        community.state = (State.DEGRADED if unread else State.HEALTHY).value
        community.state_code, community.state_reason = community.metrics_poll_code, community.metrics_poll_reason
        community.failures = community.refusals = 0
        community.polled_at = at
        return max(min(looking.due(community).values()), _soonest(run))
    worst = min(failures, key=_gravity)
    community.failures += 1
    refused, reauth = isinstance(worst, AuthExpired), community.state == State.REAUTH_REQUIRED
    # Each poll asks again for what was refused: where nothing stopped it and nobody was unwell, that was answered.
    taken = "community" not in looking.failures and not any(isinstance(e, Transient | Malformed) for e in failures)
    if refused:
        community.refusals += 1
    elif taken:
        community.refusals = 0
    elif reauth:
        return at + poll_schedule.back_off(
            community.failures
        )  # nothing is known of the token: what was said of it stands
    community.state_code, community.state_reason = worst.code, _in_words(worst)
    never_answered = community.external_id is None
    if refused:
        if never_answered or reauth or community.refusals >= STRIKES:
            community.state = State.REAUTH_REQUIRED.value
            return at + PROBE
    elif never_answered and isinstance(worst, Gone | Rejected):
        community.state = State.FAILED.value
        return None
    if not never_answered or isinstance(worst, AuthExpired | MissingPermission):
        community.state = State.DEGRADED.value
    return at + poll_schedule.back_off(community.failures)


def _in_words(error: PlatformError) -> str:
    """What is wrong, and what to do about it, for people."""
    return f"{error.message} {_ADVICE.get(type(error), 'It is tried again by itself.')}"


def _soonest(run: Run) -> datetime:
    return run.now + SOONEST * run.resources.settings.poll_interval_multiplier


def _gravity(error: PlatformError) -> int:
    """The lower, the more it concerns a person."""
    order = (AuthExpired, MissingPermission, Gone, Rejected)
    return next((place for place, kind in enumerate(order) if isinstance(error, kind)), len(order))
