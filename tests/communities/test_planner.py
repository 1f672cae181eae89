"""What all ask of a limit fits into it: intervals are stretched, and nobody is starved."""

import uuid
from collections import Counter
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.communities.polling import fair_share
from app.communities.polling.fair_share import (
    FOR_LOOKS,
    USABLE,
    IntervalMultipliers,
    RateDemandOf,
    allowed,
    smoothed,
    stretch,
)
from app.communities.polling.rate_limits import RateLimitKey
from app.kit.clock import SetClock
from app.kit.resources import Resources

DAY = 86_400


@given(
    lists=st.floats(0, 1e7),
    looks=st.floats(0, 1e7),
    limit=st.floats(1, 1e6),
)
def test_a_stretched_demand_fits(lists: float, looks: float, limit: float) -> None:
    found = stretch(RateDemandOf(lists, looks), limit)
    assert found.lists >= 1
    assert found.looks >= 1
    assert lists / found.lists + looks / found.looks <= USABLE * limit * 1.000_001


@given(lists=st.floats(0, 1e7), looks=st.floats(0, 1e7), limit=st.floats(1, 1e6))
def test_nothing_is_stretched_for_nothing(lists: float, looks: float, limit: float) -> None:
    found = stretch(RateDemandOf(lists, looks), limit)
    if lists + looks <= USABLE * limit:
        assert found == IntervalMultipliers()
    if looks <= FOR_LOOKS * limit:
        assert found.looks == 1, "counters come first"


def test_what_a_limit_allows_a_day() -> None:
    assert allowed(RateLimitKey("k", DAY, 10_000)) == 10_000
    assert allowed(RateLimitKey("k", 1, 3)) == 3 * DAY
    assert RateLimitKey.parse(RateLimitKey("k", 300, 7).text) == RateLimitKey("k", 300, 7)


async def test_those_who_share_a_limit_are_stretched_alike(resources: Resources, clock: SetClock) -> None:
    shared, own = RateLimitKey(uuid.uuid4().hex, DAY, 1000), RateLimitKey(uuid.uuid4().hex, DAY, 1000)
    askers = [uuid.uuid4() for _ in range(10)]

    async def of(*allowances: RateLimitKey) -> IntervalMultipliers:
        async with resources.transaction(None) as session:
            return await fair_share.stretched(session, allowances)

    assert await of(shared, own) == IntervalMultipliers()
    for asker in askers:
        async with resources.transaction(None) as session:
            await fair_share.note(session, asker, {shared: RateDemandOf(lists=400), own: RateDemandOf(lists=5)})
    assert (await of(own)).lists == 1
    assert (await of(shared)).lists == pytest.approx(4000 / (USABLE * 1000))
    assert await of(shared) == await of(shared, own), "the scarcest limit rules"
    # Asking anew replaces, it does not add.
    async with resources.transaction(None) as session:
        await fair_share.note(session, askers[0], {shared: RateDemandOf(lists=4400)})
    assert (await of(shared)).lists == pytest.approx(8000 / (USABLE * 1000))
    clock.advance(fair_share.STALE)
    assert await of(shared) == IntervalMultipliers(), "those who ask no more do not count"
    clock.advance(timedelta(seconds=1))
    async with resources.transaction(None) as session:
        while await fair_share.forget(session, most=7):
            pass
    async with resources.transaction(None) as session:
        assert await fair_share.forget(session, most=7) == 0


def test_what_a_look_costs_follows_slowly() -> None:
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
    """Comments are read when somebody writes some: ten units in an hour are 240 a day, not ten each time we look."""
    limit = RateLimitKey("k", DAY, 1000)
    spent = fair_share.added(fair_share.added({}, Counter({limit: 4})), Counter({limit: 6}))
    assert spent == {limit.text: 10}
    assert fair_share.a_day({}, spent, timedelta(hours=1)) == {limit.text: pytest.approx(240)}
    assert fair_share.a_day({limit.text: 100}, {}, timedelta(hours=1)) == {limit.text: pytest.approx(70)}


async def test_it_is_known_who_left_a_note_lately(resources: Resources, clock: SetClock) -> None:
    one, other = (RateLimitKey(uuid.uuid4().hex, DAY, 1000) for _ in range(2))
    asker = uuid.uuid4()

    async def lately(who: uuid.UUID, *allowances: RateLimitKey) -> bool:
        async with resources.transaction(None) as session:
            return await fair_share.noted_lately(session, who, allowances)

    assert not await lately(asker, one, other)
    async with resources.transaction(None) as session:
        await fair_share.note(session, asker, {one: RateDemandOf(looks=1)})
    assert await lately(asker, one, other)
    assert not await lately(asker, other)
    assert not await lately(asker)
    assert not await lately(uuid.uuid4(), one)
    clock.advance(fair_share.PLAN)
    assert not await lately(asker, one)
