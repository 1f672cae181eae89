"""Calls we allow ourselves, so that a platform never has to tell us to stop.

Each limit of a platform's `Spec` is counted in PostgreSQL over a sliding window, keyed by the token
(or our address, or the app): two workers, or two agencies that use the same token, share one count.
A short wait is waited out; a long one is the planner's business.
"""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.communities.models import CallBudget
from app.kit import telemetry
from app.kit.db import now
from app.kit.http import Request
from app.kit.resources import Resources
from app.platforms.contract import Budget, Scope, Spec

PATIENCE: Final = 2.0
"""Seconds a call waits for its turn; a longer wait is given back to the planner."""
SLOTS: Final = 10
"""A window is counted in this many parts."""
UNUSED: Final = timedelta(days=7)
"""A count of which nothing was taken for so long is forgotten: no window is longer than a day."""


class BudgetSpent(Exception):
    """The next call is allowed at `until`."""

    def __init__(self, until: datetime) -> None:
        super().__init__(f"the calls we allow ourselves are used up until {until.isoformat()}")
        self.until = until


class Meter:
    """Counts one platform's calls against its limits."""

    def __init__(self, resources: Resources, spec: Spec, base_url: str) -> None:
        self._resources = resources
        self._spec = spec
        self._base_url = base_url

    async def before(self, request: Request) -> None:
        """Take one call from every limit that concerns this request; `BudgetSpent` where there is none left."""
        token = request.headers.get("authorization", "")
        for budget in self._spec.budgets:
            if budget.scope is Scope.TOKEN and not token:
                continue
            await self._take(budget, token)
        telemetry.PLATFORM_CALLS.labels(self._spec.key, "made").inc()

    async def _take(self, budget: Budget, token: str) -> None:
        while True:
            free_at = await self._try(budget, token)
            if free_at is None:
                return
            wait = (free_at - self._resources.clock.now()).total_seconds()
            if wait > PATIENCE:
                raise BudgetSpent(free_at)
            await self._resources.clock.sleep(max(wait, 0.01))

    async def _try(self, budget: Budget, token: str) -> datetime | None:
        """Count one call; None, or when there is room for it."""
        key = self._key(budget.scope, token)
        at = self._resources.clock.now()
        async with self._resources.transaction(None) as session:
            fresh = insert(CallBudget).values(key=key, seconds=budget.seconds, slots=[])
            await session.execute(fresh.on_conflict_do_nothing())
            row = await session.get(CallBudget, (key, budget.seconds), with_for_update=True)
            if row is None:  # forgotten between the two statements
                return at
            slots, free_at = take(row.slots, budget, round(at.timestamp() * 1000))
            row.slots = slots
        return None if free_at is None else datetime.fromtimestamp(free_at / 1000, UTC)

    def _key(self, scope: Scope, token: str) -> str:
        """Whom the limit concerns, without naming the token."""
        concerned = {Scope.TOKEN: token, Scope.COMMUNITY: token, Scope.ADDRESS: "", Scope.APP: ""}[scope]
        whom = f"{self._spec.key}\n{self._base_url}\n{scope}\n{concerned}"
        return hashlib.sha256(whom.encode()).hexdigest()[:40]


async def forget(session: AsyncSession, *, most: int) -> int:
    """Drop up to `most` counts that no call was added to for `UNUSED`; how many there were."""
    before = round((now(session) - UNUSED).timestamp() * 1000)
    gone = await session.execute(_FORGET, {"before": before, "most": most})
    return len(gone.all())


# The last slot of a count tells when its last call was.
_FORGET: Final = text(f"""
DELETE FROM call_budget WHERE (key, seconds) IN (
    SELECT key, seconds FROM call_budget
    WHERE coalesce((slots -> -1 ->> 0)::bigint, 0) * seconds * 1000 / {SLOTS} < :before
    LIMIT :most FOR UPDATE SKIP LOCKED
)
RETURNING key
""")  # noqa: S608 - a number of ours

Slots = list[list[int]]


def take(slots: Slots, budget: Budget, at: int) -> tuple[Slots, int | None]:
    """Count a call at `at` (milliseconds) if there is room: the new counts, and when there is room if there is none.

    In *any* stretch of `budget.seconds` there are at most `budget.calls` calls, however it lies: a
    tenth of the stretch is counted as one, and counts until the whole of it is out of sight.
    """
    length = budget.seconds * 1000 // SLOTS
    current = at // length
    kept = [[slot, count] for slot, count in slots if slot >= current - SLOTS]
    over = sum(count for _, count in kept) + 1 - budget.calls
    if over > 0:
        for slot, count in kept:
            over -= count
            if over <= 0:
                return kept, (slot + SLOTS + 1) * length
    if kept and kept[-1][0] == current:
        kept[-1][1] += 1
    else:
        kept.append([current, 1])
    return kept, None
