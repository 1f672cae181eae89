"""The community's job: to be looked at again and again."""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from app.communities import budgets, hooks, pace
from app.communities.budgets import BudgetSpent
from app.communities.calls import open_line
from app.communities.events import Place
from app.communities.models import Community, State
from app.communities.polling import OutOfTime, Poll, next_due
from app.communities.service import POLL
from app.kit.db import fetch
from app.kit.jobs import Again, Later, Run, job
from app.platforms.contract import (
    AuthExpired,
    Gone,
    MissingPermission,
    PlatformError,
    Rejected,
    Throttled,
)
from app.projects.models import Project

STRIKES: Final = 3
"""So many refused tokens in a row make a person reconnect; one may be the platform's bad minute."""
PROBE: Final = timedelta(hours=6)
"""A refused token is tried again this often: the platform may have erred."""
THROTTLED: Final = timedelta(seconds=60)
"""For how long we stay away where the platform does not say."""
PAGE: Final = 1_000

_ADVICE: Final = {
    AuthExpired: "The platform refuses the token. Reconnect the community with a new one.",
    MissingPermission: "The token may not do all that is needed. Reconnect with the missing permissions.",
    Gone: "The platform does not know this community (any more). Check its address.",
}


# A community is given up by what its platform answers (`_conclude`), not because workers died.
@job(POLL, timeout=timedelta(minutes=5), attempts=1000)
async def poll(run: Run, community_id: UUID) -> Again | None:
    """Look at a community, then say when to look again."""
    async with run.step() as session:
        community, line = await open_line(run.resources, session, community_id)
        project = await fetch(session, Project, community.project_id)
        if community.state in {State.PAUSED, State.FAILED}:
            await run.finish(session)
            return None
    place = Place(community.workspace_id, project.id, community.id, community.platform, project.timezone)
    looking = Poll(run, community, place, line, run.now)
    try:
        await looking.all()
    except OutOfTime:
        return Again(run.now)
    except BudgetSpent as spent:
        raise Later(spent.until, str(spent)) from None
    except Throttled as error:
        raise Later(await _stay_away(run, community_id, error), error.message) from None
    except PlatformError as error:
        looking.failures["community"] = error
    async with run.step() as session:
        await hooks.forget(session, community_id, most=PAGE)
        community = await fetch(session, Community, community_id, for_update=True)
        at = _conclude(community, list(looking.failures.values()), run.now, run.resources.settings.poll_pace)
        await run.finish(session, Again(at) if at is not None else None)
    return None


@job("communities.tidy", every=timedelta(hours=24))
async def tidy(run: Run) -> Again | None:
    """Drop the counts of calls that nobody makes any more, a page at a time."""
    async with run.step() as session:
        gone = await budgets.forget(session, most=PAGE)
    return Again(run.now) if gone == PAGE else None


async def _stay_away(run: Run, community_id: UUID, error: Throttled) -> datetime:
    wait = timedelta(seconds=error.retry_after) if error.retry_after is not None else THROTTLED
    until = run.now + min(max(wait, timedelta(seconds=1)), timedelta(days=1))
    async with run.step() as session:
        community = await fetch(session, Community, community_id, for_update=True)
        community.throttled_until = until
    return until


def _conclude(community: Community, failures: list[PlatformError], at: datetime, pace_factor: float) -> datetime | None:
    """Write down how a poll went; when to look again, None where there is no use in it."""
    if community.state == State.PAUSED:
        return None
    community.throttled_until = None
    community.missing_scopes = sorted(
        {scope for error in failures if isinstance(error, MissingPermission) for scope in error.scopes}
    )
    if not failures:
        community.state, community.state_code, community.state_reason = State.HEALTHY.value, None, None
        community.failures = 0
        community.polled_at = at
        return next_due(community, pace_factor) or at + pace.CONVERSATIONS * pace_factor
    worst = min(failures, key=_gravity)
    community.failures += 1
    community.state_code = worst.code
    advice = _ADVICE.get(type(worst), "It is tried again by itself.")
    community.state_reason = f"{worst.message} {advice}"
    never_answered = community.external_id is None
    if isinstance(worst, AuthExpired):
        if never_answered or community.failures >= STRIKES:
            community.state = State.REAUTH_REQUIRED.value
            return at + PROBE
    elif never_answered and isinstance(worst, Gone | Rejected):
        community.state = State.FAILED.value
        return None
    if not never_answered or isinstance(worst, AuthExpired | MissingPermission):
        community.state = State.DEGRADED.value
    return at + pace.back_off(community.failures)


def _gravity(error: PlatformError) -> int:
    """The lower, the more it concerns a person."""
    order = (AuthExpired, MissingPermission, Gone, Rejected)
    return next((place for place, kind in enumerate(order) if isinstance(error, kind)), len(order))
