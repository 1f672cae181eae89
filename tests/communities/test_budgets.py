"""We keep to a platform's limits before it has to tell us."""

import asyncio
import uuid
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.communities import budgets
from app.communities.budgets import SLOTS, BudgetSpent, Meter, Slots, take
from app.communities.models import CallBudget
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
    assert timedelta(seconds=300) <= spent.value.until - clock.now() <= timedelta(seconds=330)
    await meter.before(request("b"))  # another token has its own
    await meter.before(request())  # and no token has none of it
    clock.at = spent.value.until
    await meter.before(request("a"))


async def test_a_short_wait_is_waited_out(resources: Resources, clock: SetClock, host: str) -> None:
    meter = Meter(resources, limited(Budget(3, 1, Scope.TOKEN)), host)
    began = clock.now()
    for _ in range(10):
        await meter.before(request("a"))
    assert timedelta(seconds=3) <= clock.now() - began <= timedelta(seconds=3.5)


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


async def test_counts_that_nobody_uses_are_forgotten(resources: Resources, clock: SetClock, host: str) -> None:
    meter = Meter(resources, limited(Budget(3, 300, Scope.TOKEN), Budget(2, 86_400, Scope.TOKEN)), host)
    ours = {meter._key(Scope.TOKEN, token): token for token in "ab"}

    async def counts() -> list[str]:
        async with resources.transaction(None) as session:
            found = await session.scalars(select(CallBudget.key).where(CallBudget.key.in_(ours)))
            return sorted(ours[key] for key in found)

    async def forget(most: int) -> int:
        async with resources.transaction(None) as session:
            return await budgets.forget(session, most=most)

    clock.advance(timedelta(days=365))
    while await forget(1000):
        pass  # what other tests have left
    await meter.before(request("a"))
    clock.advance(budgets.UNUSED)
    await meter.before(request("b"))
    assert await forget(1000) == 0, "at a week sharp nothing is forgotten"
    clock.advance(timedelta(seconds=1))
    assert [await forget(1), await forget(1), await forget(1)] == [1, 1, 0]
    assert await counts() == ["b", "b"]
    await meter.before(request("a"))
    assert await counts() == ["a", "a", "b", "b"]


async def test_a_count_that_is_forgotten_at_this_very_moment_is_counted_anew(
    resources: Resources, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    meter = Meter(resources, limited(Budget(1, 300, Scope.TOKEN)), host)
    real = AsyncSession.get
    misses = iter([True])

    async def get(session: AsyncSession, *args: Any, **options: Any) -> Any:
        if next(misses, False):
            await session.execute(delete(CallBudget).where(CallBudget.key == meter._key(Scope.TOKEN, "a")))
        return await real(session, *args, **options)

    monkeypatch.setattr(AsyncSession, "get", get)
    await meter.before(request("a"))
    with pytest.raises(BudgetSpent):
        await meter.before(request("a"))


@given(
    calls=st.integers(1, 20),
    seconds=st.integers(1, 600),
    gaps=st.lists(st.integers(0, 700_000), min_size=1, max_size=60),
)
def test_no_stretch_of_the_window_has_more_than_the_limit(calls: int, seconds: int, gaps: list[int]) -> None:
    """However calls are spread, and however the stretch that is looked at lies."""
    budget = Budget(calls, seconds, Scope.TOKEN)
    slots: Slots = []
    made: list[int] = []
    at = 1_790_000_000_000
    for gap in gaps:
        at += gap
        slots, free_at = take(slots, budget, at)
        if free_at is not None:
            assert at < free_at <= at + seconds * 1000 * (1 + 2 / SLOTS)
            at = free_at
            slots, still = take(slots, budget, at)
            assert still is None, "there is room when it says so"
        made.append(at)
        assert sum(earlier > at - seconds * 1000 for earlier in made) <= calls
