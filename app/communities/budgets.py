"""Calls we allow ourselves, so that a platform never has to tell us to stop.

Each limit of a platform's `Spec` is counted in PostgreSQL in windows of its own length, keyed by
the token (or our address, or the app): two workers, or two agencies that use the same token, share
one count. A short wait is waited out; a long one is the planner's business.
"""

import hashlib
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import case, or_
from sqlalchemy.dialects.postgresql import insert

from app.communities.models import CallBudget
from app.kit import telemetry
from app.kit.http import Request
from app.kit.resources import Resources
from app.platforms.contract import Budget, Scope, Spec

PATIENCE: Final = 2.0
"""Seconds a call waits for its turn; a longer wait is given back to the planner."""


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
        """Count one call; None, or when the window ends that has no room for it."""
        at = self._resources.clock.now()
        over = or_(CallBudget.window_at <= at - timedelta(seconds=budget.seconds), CallBudget.window_at > at)
        first = insert(CallBudget).values(
            key=self._key(budget.scope, token), seconds=budget.seconds, window_at=at, used=1
        )
        async with self._resources.transaction(None) as session:
            row = (
                await session.execute(
                    first.on_conflict_do_update(
                        index_elements=[CallBudget.key, CallBudget.seconds],
                        set_={
                            "window_at": case((over, at), else_=CallBudget.window_at),
                            # One beyond the limit says "full"; it must not grow with every try.
                            "used": case(
                                (over, 1), (CallBudget.used > budget.calls, CallBudget.used), else_=CallBudget.used + 1
                            ),
                        },
                    ).returning(CallBudget.window_at, CallBudget.used)
                )
            ).one()
        if row.used <= budget.calls:
            return None
        ends: datetime = row.window_at + timedelta(seconds=budget.seconds)
        return ends

    def _key(self, scope: Scope, token: str) -> str:
        """Whom the limit concerns, without naming the token."""
        concerned = {Scope.TOKEN: token, Scope.COMMUNITY: token, Scope.ADDRESS: "", Scope.APP: ""}[scope]
        text = f"{self._spec.key}\n{self._base_url}\n{scope}\n{concerned}"
        return hashlib.sha256(text.encode()).hexdigest()[:40]
