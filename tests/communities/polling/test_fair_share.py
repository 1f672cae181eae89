"""Intervals are multiplied so that the demand of all consumers fits into a limit."""

import uuid
from collections import Counter
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.communities.polling import fair_share
from app.communities.polling.fair_share import (
    METRICS_SHARE,
    PLANNED_SHARE,
    DailyDemand,
    IntervalMultipliers,
    interval_multipliers,
    smoothed,
    units_per_day,
)
from app.communities.polling.rate_limits import RateLimitKey
from app.kit.clock import SetClock
from app.kit.resources import Resources

DAY = 86_400


@given(
    content=st.floats(0, 1e7),
    metrics=st.floats(0, 1e7),
    limit=st.floats(1, 1e6),
)
def test_a_multiplied_demand_fits(content: float, metrics: float, limit: float) -> None:
    multipliers = interval_multipliers(DailyDemand(content, metrics), limit)
    assert multipliers.content >= 1
    assert multipliers.metrics >= 1
    assert content / multipliers.content + metrics / multipliers.metrics <= PLANNED_SHARE * limit * 1.000_001


@given(content=st.floats(0, 1e7), metrics=st.floats(0, 1e7), limit=st.floats(1, 1e6))
def test_a_demand_that_fits_is_not_multiplied(content: float, metrics: float, limit: float) -> None:
    multipliers = interval_multipliers(DailyDemand(content, metrics), limit)
    if content + metrics <= PLANNED_SHARE * limit:
        assert multipliers == IntervalMultipliers()
    if metrics <= METRICS_SHARE * limit:
        assert multipliers.metrics == 1, "counters come first"


def test_what_a_limit_allows_a_day() -> None:
    assert units_per_day(RateLimitKey("k", DAY, 10_000)) == 10_000
    assert units_per_day(RateLimitKey("k", 1, 3)) == 3 * DAY
    assert RateLimitKey.parse(RateLimitKey("k", 300, 7).text) == RateLimitKey("k", 300, 7)


async def test_consumers_of_a_limit_get_the_same_multiplier(resources: Resources, clock: SetClock) -> None:
    shared, own = RateLimitKey(uuid.uuid4().hex, DAY, 1000), RateLimitKey(uuid.uuid4().hex, DAY, 1000)
    consumers = [uuid.uuid4() for _ in range(10)]

    async def multipliers(*allowances: RateLimitKey) -> IntervalMultipliers:
        async with resources.transaction(None) as session:
            return await fair_share.current_multipliers(session, allowances)

    assert await multipliers(shared, own) == IntervalMultipliers()
    for consumer in consumers:
        async with resources.transaction(None) as session:
            await fair_share.record_demand(
                session, consumer, {shared: DailyDemand(content=400), own: DailyDemand(content=5)}
            )
    assert (await multipliers(own)).content == 1
    assert (await multipliers(shared)).content == pytest.approx(4000 / (PLANNED_SHARE * 1000))
    assert await multipliers(shared) == await multipliers(shared, own), "the scarcest limit rules"
    # A new record replaces the old one.
    async with resources.transaction(None) as session:
        await fair_share.record_demand(session, consumers[0], {shared: DailyDemand(content=4400)})
    assert (await multipliers(shared)).content == pytest.approx(8000 / (PLANNED_SHARE * 1000))
    clock.advance(fair_share.STALE)
    assert await multipliers(shared) == IntervalMultipliers(), "those who ask no more do not count"
    clock.advance(timedelta(seconds=1))
    async with resources.transaction(None) as session:
        while await fair_share.forget(session, most=7):
            pass
    async with resources.transaction(None) as session:
        assert await fair_share.forget(session, most=7) == 0


def test_the_cost_of_a_poll_is_smoothed() -> None:
    limit = RateLimitKey("k", 60, 1)
    first = smoothed({}, Counter({limit: 10}))
    assert first == {limit.text: 10}
    assert smoothed(first, Counter({limit: 20})) == {limit.text: pytest.approx(13)}
    assert smoothed({}, Counter({limit: 5}), per=50) == {limit.text: pytest.approx(0.1)}
    fading = first
    for _ in range(40):
        fading = smoothed(fading, Counter())
    assert fading == {}


def test_what_has_no_rhythm_is_counted_by_the_day() -> None:
    """Comments are read only after new ones: ten units in an hour are 240 a day, not ten with each poll."""
    limit = RateLimitKey("k", DAY, 1000)
    spent = fair_share.add_spent(fair_share.add_spent({}, Counter({limit: 4})), Counter({limit: 6}))
    assert spent == {limit.text: 10}
    assert fair_share.per_day({}, spent, timedelta(hours=1)) == {limit.text: pytest.approx(240)}
    assert fair_share.per_day({limit.text: 100}, {}, timedelta(hours=1)) == {limit.text: pytest.approx(70)}


async def test_recent_demand_is_found(resources: Resources, clock: SetClock) -> None:
    one, other = (RateLimitKey(uuid.uuid4().hex, DAY, 1000) for _ in range(2))
    consumer = uuid.uuid4()

    async def lately(consumer: uuid.UUID, *allowances: RateLimitKey) -> bool:
        async with resources.transaction(None) as session:
            return await fair_share.demand_is_recent(session, consumer, allowances)

    assert not await lately(consumer, one, other)
    async with resources.transaction(None) as session:
        await fair_share.record_demand(session, consumer, {one: DailyDemand(metrics=1)})
    assert await lately(consumer, one, other)
    assert not await lately(consumer, other)
    assert not await lately(consumer)
    assert not await lately(uuid.uuid4(), one)
    clock.advance(fair_share.PLAN_INTERVAL)
    assert not await lately(consumer, one)
