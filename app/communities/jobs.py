"""The community's job: to be looked at again and again."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy import case, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.communities import budgets, crowding, hook_odd, hooks, lanes, pace, planner, publications, tokens
from app.communities import hook_jobs as hook_jobs
from app.communities.budgets import BudgetSpent
from app.communities.calls import Line, fresh, mended, open_line, renewable
from app.communities.events import Place
from app.communities.lanes import MEASURE, Measuring, touched
from app.communities.models import Community, State
from app.communities.polling import OutOfTime, Poll
from app.communities.service import POLL
from app.kit.db import fetch, mine, now, workspace_of
from app.kit.jobs import Again, Later, LeaseLost, Run, job
from app.platforms.abilities import MeasuresAcross, Receives
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
async def poll(run: Run, community_id: UUID) -> Again | None:
    """Look at a community, then say when to look again."""
    try:
        return await _poll(run, community_id)
    except (Later, LeaseLost):
        raise
    except Exception:
        if run.attempt >= STRIKES:
            await _noted(run, lambda session: _stumbled(session, community_id))
        raise


async def _poll(run: Run, community_id: UUID) -> Again | None:
    assert run.workspace_id is not None
    async with run.resources.db.looking(run.workspace_id) as session:
        community, line = await open_line(run.resources, session, community_id)
        timezone, waiting = await publications.standing(session, community, run.now)
        stretch = await planner.stretched(session, touched(community.costs))
    if community.state in {State.PAUSED, State.FAILED}:
        return None
    place = Place(community.workspace_id, community.project_id, community.id, community.platform, timezone)
    looking = Poll(run, community, place, line, stretch, waiting, run.now)
    try:
        with crowding.place(run, community.base_url):
            looking.line = line = await fresh(run, community_id, line)
            await looking.all()
    except OutOfTime:
        await looking.keep()
        return Again(run.now)
    except BudgetSpent as spent:
        await looking.keep()
        raise Later(spent.until, str(spent)) from None
    except Throttled as error:
        until = await _stay_away(run, community_id, line, error)  # before all else: others are about to call
        await looking.keep()
        raise Later(until, error.message) from None
    except AuthExpired as error:
        await looking.keep()
        # Whoever finds that somebody else has renewed the token goes on, and blames nobody.
        refused = await _refused(run, community_id, looking.line, error)
        if refused is None:
            return Again(run.now)
        looking.failures["community"] = refused
    except PlatformError as error:
        looking.failures["community"] = error
    async with run.step() as session:
        planning = community.planned_at is None or run.now >= community.planned_at + planner.PLAN
        if planning:
            await hooks.forget(session, community_id, most=PAGE)
            if isinstance(looking.line.adapter, Receives):
                understand, of_app = looking.line.adapter.understand, looking.line.adapter.spec.hook_of_app
                await hook_odd.again(session, looking.place, community, understand, of_app=of_app, most=PAGE)
        community = await looking.conclude(session)
        lane = await _enter(session, looking, community)
        at = _conclude(community, looking, run)
        await _plan(session, looking, community, anew=planning)
        if at is not None and not looking.failures and not isinstance(looking.line.adapter, MeasuresAcross):
            first = await publications.first_due(session, [community_id])
            at = at if first is None else min(at, max(first, _soonest(run), looking.spent.get("looks", first)))
        if lane and (planning or looking.shown or waiting.counters):
            await lanes.wake(session, lane, [community_id])
        await run.finish(session, Again(at) if at is not None else None)
    return None


@job(MEASURE, timeout=timedelta(minutes=5), attempts=1000)
async def measure(run: Run, lane: str) -> Again | None:
    """Read the counters that are due of all communities in one lane, in batches of the platform's size."""
    try:
        return await _measure(run, lane)
    except (Later, LeaseLost):
        raise
    except Exception:
        if run.attempt >= STRIKES:
            await _noted(run, lambda session: lanes.failed(session, lane, None, OUR_FAULT, _OUR_FAULT))
        raise


async def _measure(run: Run, lane: str) -> Again | None:
    assert run.workspace_id is not None
    async with run.resources.db.looking(run.workspace_id) as session:
        chosen = await lanes.chosen(session, lane)
        if chosen is None:
            return None
        community, line = await open_line(run.resources, session, chosen)
        stretch = await planner.stretched(session, touched(community.costs))
    measuring = Measuring(run, lane, community, line, stretch)
    try:
        with crowding.place(run, community.base_url):
            measuring.line = await fresh(run, community.id, line)
            at = await measuring.all()
    except BudgetSpent as spent:
        raise Later(spent.until, str(spent)) from None
    except Throttled as error:
        raise Later(await _stay_away(run, community.id, line, error), error.message) from None
    except AuthExpired as error:
        refused = await _refused(run, community.id, measuring.line, error)
        if refused is None:
            return Again(run.now)
        await _unread(run, measuring, refused)
        return Again(run.now + pace.back_off(1 + community.looks_failures))
    except PlatformError as error:
        await _unread(run, measuring, error)
        return Again(run.now + pace.back_off(3))
    async with run.step() as session:
        await measuring.conclude(session)
        await run.finish(session, Again(at) if at is not None else None)
    return None


@job("communities.tidy", every=timedelta(hours=24))
async def tidy(run: Run) -> Again | None:
    """Drop the counts of calls that nobody makes any more, a page at a time."""
    async with run.step() as session:
        gone = max(await budgets.forget(session, most=PAGE), await planner.forget(session, most=PAGE))
    return Again(run.now) if gone == PAGE else None


async def _stay_away(run: Run, community_id: UUID, line: Line, error: Throttled) -> datetime:
    until = await line.throttled(error)
    async with run.step() as session:
        community = await fetch(session, Community, community_id, for_update=True)
        community.throttled_until = until
    return until


async def _refused(run: Run, community_id: UUID, line: Line, error: AuthExpired) -> PlatformError | None:
    """What is wrong with a refused token; None where there is another one by now."""
    try:
        return None if await mended(run, community_id, line, error) else error
    except BudgetSpent as spent:
        raise Later(spent.until, str(spent)) from None
    except Throttled as throttled:
        raise Later(await _stay_away(run, community_id, line, throttled), throttled.message) from None
    except PlatformError as worse:
        return worse


async def _unread(run: Run, measuring: Measuring, error: PlatformError) -> None:
    """Say of all in a lane that their counters could not be read, whoever made the calls."""
    log.warning("measure.failed", lane=measuring.lane, code=error.code, detail=error.message)
    async with run.step() as session:
        await lanes.failed(session, measuring.lane, measuring.community.id, error.code, _in_words(error))


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
        .where(mine(Community, workspace_of(session)), Community.id == community_id, watched)
        .values(
            state=case((Community.external_id.is_not(None), State.DEGRADED.value), else_=Community.state),
            state_code=OUR_FAULT,
            state_reason=_OUR_FAULT,
            failures=Community.failures + 1,
        )
    )


async def _enter(session: AsyncSession, looking: Poll, community: Community) -> str:
    """Put a community into the lane that its tokens lead to, which may be another by now; its name."""
    lane = lanes.name(looking.line, community)
    if lane != community.lane:
        community.lane = lane
        community.looks_code, community.looks_reason, community.looks_failures = None, None, 0
        await session.flush()
    return lane


async def _plan(session: AsyncSession, looking: Poll, community: Community, *, anew: bool) -> None:
    """Remember what a community's looks cost; now and then leave a note of what it asks of each limit."""
    costs = {**community.costs, **looking.costs}
    costs["heard"] = planner.added(costs.get("heard", {}), looking.heard)
    community.lists_stretch, community.looks_stretch = looking.stretch.lists, looking.stretch.looks
    if anew:
        if community.planned_at is not None:
            over = now(session) - community.planned_at
            costs["comments"] = planner.a_day(costs.get("comments", {}), costs.pop("heard"), over)
        community.planned_at = now(session)
        await tokens.warn(session, community, renewable(looking.line))
        ages = [] if community.lane else await publications.ages(session, [community.id], now(session))
        looks = pace.looks_a_day(ages)
        await planner.note(session, community.id, lanes.demands(community, costs, looks))
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
        unread = community.looks_code is not None
        community.state = (State.DEGRADED if unread else State.HEALTHY).value
        community.state_code, community.state_reason = community.looks_code, community.looks_reason
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
        return at + pace.back_off(community.failures)  # nothing is known of the token: what was said of it stands
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
    return at + pace.back_off(community.failures)


def _in_words(error: PlatformError) -> str:
    """What is wrong, and what to do about it, for people."""
    return f"{error.message} {_ADVICE.get(type(error), 'It is tried again by itself.')}"


def _soonest(run: Run) -> datetime:
    return run.now + SOONEST * run.resources.settings.poll_pace


def _gravity(error: PlatformError) -> int:
    """The lower, the more it concerns a person."""
    order = (AuthExpired, MissingPermission, Gone, Rejected)
    return next((place for place, kind in enumerate(order) if isinstance(error, kind)), len(order))
