"""We keep to a platform's limits before it has to tell us."""

import asyncio
import uuid
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest

from app.communities.budgets import BudgetSpent, Meter
from app.kit.clock import SetClock
from app.kit.resources import Resources
from app.platforms.contract import Budget, Scope, Spec
from tests.communities.conftest import Fake


def limited(*budgets: Budget) -> Spec:
    return replace(Fake.spec, budgets=budgets)


def request(token: str = "") -> httpx.Request:
    return httpx.Request("GET", "https://x.test", headers={"authorization": token} if token else {})


@pytest.fixture
def host() -> str:
    """A server of this test's own, so that its counts are too."""
    return f"https://{uuid.uuid4().hex}.test"


async def test_the_limit_holds_and_the_window_passes(resources: Resources, clock: SetClock, host: str) -> None:
    meter = Meter(resources, limited(Budget(3, 300, Scope.TOKEN)), host)
    for _ in range(3):
        await meter.before(request("a"))
    with pytest.raises(BudgetSpent) as spent:
        await meter.before(request("a"))
    assert spent.value.until == clock.now() + timedelta(seconds=300)
    await meter.before(request("b"))  # another token has its own
    await meter.before(request())  # and no token has none of it
    clock.at = spent.value.until
    await meter.before(request("a"))


async def test_a_short_wait_is_waited_out(resources: Resources, clock: SetClock, host: str) -> None:
    meter = Meter(resources, limited(Budget(3, 1, Scope.TOKEN)), host)
    began = clock.now()
    for _ in range(10):
        await meter.before(request("a"))
    assert clock.now() - began == timedelta(seconds=3)


async def test_many_at_once_get_no_more_than_the_limit(resources: Resources, host: str) -> None:
    meter = Meter(resources, limited(Budget(5, 300, Scope.ADDRESS)), host)
    outcomes = await asyncio.gather(*(meter.before(request()) for _ in range(20)), return_exceptions=True)
    assert sum(outcome is None for outcome in outcomes) == 5
    assert all(outcome is None or isinstance(outcome, BudgetSpent) for outcome in outcomes)


async def test_every_limit_of_a_platform_counts(resources: Resources, host: str) -> None:
    spec = limited(Budget(100, 1, Scope.TOKEN), Budget(2, 86_400, Scope.TOKEN))
    meter = Meter(resources, spec, host)
    await meter.before(request("a"))
    await meter.before(request("a"))
    with pytest.raises(BudgetSpent):
        await meter.before(request("a"))
