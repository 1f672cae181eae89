"""Requests wait before they would exceed a platform's limit."""

import asyncio
import uuid
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import structlog
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY
from pydantic import SecretStr
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.communities.models import RateLimitUse
from app.communities.polling import rate_limits
from app.communities.polling.rate_limits import SLOTS, RateLimiter, RateLimitReached
from app.kit.clock import SetClock
from app.kit.crypto import Keyring
from app.kit.db import Database
from app.kit.resources import Resources, SilentDoorbell
from app.platforms.capabilities import Usage
from app.platforms.contract import CALLS, COST, Adapter, Cost, LimitScope, RateLimit, Throttled, Token
from app.settings import Settings
from tests.communities.conftest import Fake


def limited(*budgets: RateLimit) -> type[Adapter]:
    return type("Limited", (Fake,), {"spec": replace(Fake.spec, rate_limits=budgets)})


def request(token: str = "") -> httpx.Request:
    return httpx.Request("GET", "https://x.test", headers={"authorization": token} if token else {})


def key(host: str, token: str) -> str:
    return rate_limits._key(f"fake\n{host}", LimitScope.TOKEN, Cost(token=token), CALLS)


@pytest.fixture
def host() -> str:
    """A server for this test alone, and so are its counts."""
    return f"https://{uuid.uuid4().hex}.test"


async def test_the_limit_holds_and_the_window_passes(resources: Resources, clock: SetClock, host: str) -> None:
    limiter = RateLimiter(resources, limited(RateLimit(3, 300, LimitScope.TOKEN)), host)
    for _ in range(3):
        await limiter.before(request("a"))
    with pytest.raises(RateLimitReached) as spent:
        await limiter.before(request("a"))
    assert timedelta(seconds=300) <= spent.value.until - clock.now() <= timedelta(seconds=330)
    await limiter.before(request("b"))  # another token has its own count
    await limiter.before(request())  # and a call without a token has none
    clock.at = spent.value.until
    await limiter.before(request("a"))


@pytest.mark.parametrize("seconds", [2.0**63, 1e300, float("inf")])
async def test_no_wait_is_too_long_to_be_kept(resources: Resources, clock: SetClock, host: str, seconds: float) -> None:
    limiter = RateLimiter(resources, limited(RateLimit(3, 300, LimitScope.TOKEN)), host)
    await limiter.before(request("a"))
    until = await limiter.throttled(Throttled("slow down", retry_after=seconds, scope=LimitScope.TOKEN))
    assert until == clock.now() + timedelta(days=1)


async def test_a_short_wait_is_waited_out(resources: Resources, clock: SetClock, host: str) -> None:
    limiter = RateLimiter(resources, limited(RateLimit(3, 1, LimitScope.TOKEN)), host)
    began = clock.now()
    for _ in range(10):
        await limiter.before(request("a"))
    assert timedelta(seconds=3) <= clock.now() - began <= timedelta(seconds=3.5)


async def test_a_request_overtaken_again_and_again_waits_no_longer(
    resources: Resources, clock: SetClock, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Jobs that wait for one limit do not block the worker."""
    kind = limited(RateLimit(1, 1, LimitScope.TOKEN))
    limiter, rival = RateLimiter(resources, kind, host), RateLimiter(resources, kind, host)
    await rival.before(request("a"))
    began, waits, sleep = clock.now(), list[float](), clock.sleep

    async def overtaken(seconds: float) -> None:
        waits.append(seconds)
        assert len(waits) < 5, "waits for ever"
        await sleep(seconds)
        with monkeypatch.context() as patch:
            patch.setattr(clock, "sleep", sleep)
            await rival.before(request("a"))

    monkeypatch.setattr(clock, "sleep", overtaken)
    with pytest.raises(RateLimitReached) as spent:
        await limiter.before(request("a"))
    assert clock.now() <= began + rate_limits.WAIT_TIMEOUT
    assert clock.now() < spent.value.until <= clock.now() + timedelta(seconds=1.1)
    assert waits, "it did wait"


async def test_many_at_once_get_no_more_than_the_limit(resources: Resources, host: str) -> None:
    limiter = RateLimiter(resources, limited(RateLimit(5, 300, LimitScope.ADDRESS)), host)
    outcomes = await asyncio.gather(*(limiter.before(request()) for _ in range(20)), return_exceptions=True)
    assert sum(outcome is None for outcome in outcomes) == 5
    assert all(outcome is None or isinstance(outcome, RateLimitReached) for outcome in outcomes)


@pytest.mark.parametrize(("late", "counted"), [(0.1, 1), (0.11, 2), (0.9, 2)])
async def test_a_request_that_learns_late_of_its_turn_is_counted_again(
    resources: Resources, clock: SetClock, host: str, monkeypatch: pytest.MonkeyPatch, late: float, counted: int
) -> None:
    """A call counts in the slot of the window in which it is made; a slot is a tenth of a second here."""
    limiter = RateLimiter(
        resources, limited(RateLimit(5, 1, LimitScope.TOKEN), RateLimit(500, 300, LimitScope.TOKEN, "long")), host
    )
    take = limiter._take

    async def slow(*what: Any) -> Any:
        outcome = await take(*what)
        clock.advance(timedelta(seconds=late))
        return outcome

    monkeypatch.setattr(limiter, "_take", slow)
    began = clock.now()
    await limiter.before(request("a"))
    assert clock.now() == began + timedelta(seconds=late * counted), "counted again once at most"
    async with resources.transaction(None) as session:
        slots = (await session.scalars(select(RateLimitUse.slots).where(RateLimitUse.key == key(host, "a")))).one()
    assert sum(count for _, count in slots) == counted
    assert slots[-1][0] == int((began.timestamp() + late * (counted - 1)) * 10)
    assert [*limiter.spent.values()] == [1], "what a call costs is not what is counted"


async def test_counting_a_request_again_keeps_the_limit(
    resources: Resources, clock: SetClock, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five are allowed a second. One is counted and delayed until its slot has passed and others have called."""
    kind = limited(RateLimit(5, 1, LimitScope.TOKEN))
    held_up, others = RateLimiter(resources, kind, host), RateLimiter(resources, kind, host)
    take, sent = held_up._take, list[datetime]()

    async def call(limiter: RateLimiter) -> None:
        await limiter.before(request("a"))
        sent.append(clock.now())

    async def stalled(*what: Any) -> Any:
        outcome = await take(*what)
        monkeypatch.setattr(held_up, "_take", take)
        clock.advance(timedelta(seconds=1.2))
        for _ in range(4):
            await call(others)
        return outcome

    monkeypatch.setattr(held_up, "_take", stalled)
    for _ in range(5):
        await call(held_up)
    fullest = max(sum(at <= other < at + timedelta(seconds=1) for other in sent) for at in sent)
    assert (len(sent), fullest) == (9, 5)


async def test_every_limit_of_a_platform_counts(resources: Resources, host: str) -> None:
    kind = limited(RateLimit(100, 1, LimitScope.TOKEN), RateLimit(2, 86_400, LimitScope.TOKEN))
    limiter = RateLimiter(resources, kind, host)
    await limiter.before(request("a"))
    await limiter.before(request("a"))
    with pytest.raises(RateLimitReached):
        await limiter.before(request("a"))


async def test_unused_counts_are_deleted(resources: Resources, clock: SetClock, host: str) -> None:
    limiter = RateLimiter(
        resources, limited(RateLimit(3, 300, LimitScope.TOKEN), RateLimit(2, 86_400, LimitScope.TOKEN)), host
    )
    ours = {key(host, token): token for token in "ab"}

    async def counts() -> list[str]:
        async with resources.transaction(None) as session:
            keys = await session.scalars(select(RateLimitUse.key).where(RateLimitUse.key.in_(ours)))
            return sorted(ours[key] for key in keys)

    async def forget(most: int) -> int:
        async with resources.transaction(None) as session:
            return await rate_limits.forget(session, most=most)

    clock.advance(timedelta(days=365))
    while await forget(1000):
        pass  # rows of other tests
    await limiter.before(request("a"))
    clock.advance(rate_limits.UNUSED)
    await limiter.before(request("b"))
    assert await forget(1000) == 0, "at a week sharp nothing is forgotten"
    clock.advance(timedelta(seconds=1))
    assert [await forget(1), await forget(1), await forget(1)] == [1, 1, 0]
    assert await counts() == ["b", "b"]
    await limiter.before(request("a"))
    assert await counts() == ["a", "a", "b", "b"]


async def test_a_count_that_was_forgotten_meanwhile_is_counted_anew(
    resources: Resources, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    limiter = RateLimiter(resources, limited(RateLimit(1, 300, LimitScope.TOKEN)), host)
    real = AsyncConnection.execute
    forgotten = iter([True])

    async def execute(connection: AsyncConnection, statement: Any, *args: Any, **options: Any) -> Any:
        done = await real(connection, statement, *args, **options)
        if statement is rate_limits._ADD_ROWS and next(forgotten, False):
            await real(connection, delete(RateLimitUse).where(RateLimitUse.key == key(host, "a")))
        return done

    monkeypatch.setattr(AsyncConnection, "execute", execute)
    await limiter.before(request("a"))
    assert next(forgotten, False) is False, "it was forgotten"
    with pytest.raises(RateLimitReached):
        await limiter.before(request("a"))


async def test_writers_on_connections_of_their_own_lose_no_call(configuration: Settings, host: str) -> None:
    """Each statement locks and counts what the one before it has stored."""
    kind = limited(RateLimit(100, 86_400, LimitScope.ADDRESS), RateLimit(1000, 86_400, LimitScope.TOKEN))
    db = Database(configuration.database_url, pool=8, clock=(clock := SetClock(datetime(2026, 10, 15, tzinfo=UTC))))
    try:
        resources = Resources(configuration, clock, db, Keyring(configuration.secret_keys), SilentDoorbell())
        limiters = [RateLimiter(resources, kind, host) for _ in range(16)]
        outcomes = await asyncio.gather(
            *(limiter.before(request("ab"[n % 2])) for n, limiter in enumerate(limiters * 10)), return_exceptions=True
        )
        assert Counter(type(outcome) for outcome in outcomes) == {type(None): 100, RateLimitReached: 60}
        async with resources.transaction(None) as session:
            ours = [key(host, token) for token in "ab"]
            counts = (await session.scalars(select(RateLimitUse.slots).where(RateLimitUse.key.in_(ours)))).all()
        assert sum(units for slots in counts for _, units in slots) == 100, "what one limit refused took nothing"
    finally:
        await db.close()


async def test_what_two_platforms_know_as_one_application_is_counted_together(resources: Resources, host: str) -> None:
    """Counts are kept by application id; a cooldown concerns both platforms that share the application."""
    owner = uuid.uuid4().hex
    apps = {key: {"client_id": SecretStr(app)} for key, app in (("one", "1"), ("two", "1"), ("three", "3"))}
    resources = replace(resources, settings=resources.settings.model_copy(update={"platform_apps": apps}))

    def limiter(platform: str) -> RateLimiter:
        budgets = (RateLimit(3, 3600, LimitScope.APP, "platform"),)
        spec = replace(Fake.spec, key=platform, rate_limits=budgets, app_owner=owner)
        return RateLimiter(resources, type("Known", (Fake,), {"spec": spec}), f"{host}/{platform}")

    request = httpx.Request("GET", "https://x.test", extensions={COST: Cost(units={"platform": 1})})
    one, two, three = limiter("one"), limiter("two"), limiter("three")
    for together in (one, two, one, three):
        await together.before(request)
    with pytest.raises(RateLimitReached):
        await two.before(request)
    await three.before(request)
    await three.throttled(Throttled("", retry_after=60, scope=LimitScope.APP))
    with pytest.raises(RateLimitReached):
        await three.before(request)
    spec = two._adapter_class.spec
    async with resources.transaction(None) as session:
        (left,) = await rate_limits.remaining(
            session, resources.settings, spec, f"{host}/two", {}, resources.clock.now()
        )
    assert left.remaining == 0


def test_a_cost_never_shows_its_token() -> None:
    assert "secret" not in repr(Cost(token="secret"))


async def test_a_request_costs_what_its_adapter_says(resources: Resources, clock: SetClock, host: str) -> None:
    """Units, kinds of token, and chats are counted apart."""
    units = RateLimit(100, 86_400, LimitScope.TOKEN, name="units")
    sends = RateLimit(1, 60, LimitScope.COMMUNITY, name="sends")
    walls = RateLimit(2, 86_400, LimitScope.TOKEN, name="walls", token=Token.USER)
    limiter = RateLimiter(resources, limited(units, sends, walls), host)

    def costing(**params: Any) -> httpx.Request:
        return httpx.Request("GET", "https://x.test", extensions={COST: Cost(**params)})

    await limiter.before(costing(token="a", units={"units": 60}))
    with pytest.raises(RateLimitReached):
        await limiter.before(costing(token="a", units={"units": 50}))
    await limiter.before(costing(token="a", units={"units": 40}))
    await limiter.before(costing(token="b", units={"units": 50}))
    await limiter.before(costing(token="a", units={"sends": 1}, target="chat 1"))
    await limiter.before(costing(token="a", units={"sends": 1}, target="chat 2"))
    with pytest.raises(RateLimitReached):
        await limiter.before(costing(token="b", units={"sends": 1}, target="chat 1"))
    for _ in range(3):
        await limiter.before(costing(token="a", kind=Token.COMMUNITY, units={"walls": 1}))
    for _ in range(2):
        await limiter.before(costing(token="a", kind=Token.USER, units={"walls": 1}))
    with pytest.raises(RateLimitReached):
        await limiter.before(costing(token="a", kind=Token.USER, units={"walls": 1}))


async def test_a_request_that_one_limit_refuses_takes_nothing_from_another(resources: Resources, host: str) -> None:
    spec = (
        RateLimit(10, 86_400, LimitScope.TOKEN, name="units"),
        RateLimit(1, 86_400, LimitScope.COMMUNITY, name="sends"),
    )
    limiter = RateLimiter(resources, limited(*spec), host)

    def sending(chat: str) -> httpx.Request:
        cost = Cost(token="a", units={"units": 1, "sends": 1}, target=chat)
        return httpx.Request("GET", "https://x.test", extensions={COST: cost})

    await limiter.before(sending("1"))
    for _ in range(20):
        with pytest.raises(RateLimitReached):
            await limiter.before(sending("1"))
    for chat in "23456789":
        await limiter.before(sending(chat))


@pytest.mark.parametrize("scope", [LimitScope.TOKEN, LimitScope.ADDRESS, LimitScope.APP])
async def test_no_request_is_made_during_a_hold(
    resources: Resources, clock: SetClock, host: str, scope: LimitScope
) -> None:
    """Within the scope no call is made before the time it named; other scopes are not affected."""
    kind = limited(RateLimit(1000, 1, LimitScope.ADDRESS))
    in_workspace, sister, other = (RateLimiter(resources, kind, host) for _ in range(3))
    await in_workspace.before(request("a"))
    until = await in_workspace.throttled(Throttled("slow down", retry_after=90, scope=scope))
    assert until == clock.now() + timedelta(seconds=90)
    for seconds in (0, 30, 59.9):
        clock.at = until - timedelta(seconds=90 - seconds)
        with pytest.raises(RateLimitReached) as spent:
            await sister.before(request("a"))
        assert spent.value.until == until
        if scope is LimitScope.TOKEN:
            await other.before(request("b"))
        else:
            with pytest.raises(RateLimitReached):
                await other.before(request("b"))
    clock.at = until
    await sister.before(request("a"))


@pytest.mark.parametrize("microseconds", [1, 400, 500, 600, 999])
async def test_no_request_is_made_a_part_of_a_millisecond_too_early(
    resources: Resources, clock: SetClock, host: str, microseconds: int
) -> None:
    limiter = RateLimiter(resources, limited(), host)
    clock.advance(timedelta(microseconds=microseconds))
    await limiter.before(request("a"))
    until = await limiter.throttled(Throttled("", retry_after=60, scope=LimitScope.TOKEN))
    for early in (1, 300, 700):
        clock.at = until - timedelta(microseconds=early)
        await limiter.before(request("a"))  # so short a wait is not snoozed
        assert clock.now() >= until


async def test_of_two_orders_to_stop_the_longer_holds(resources: Resources, clock: SetClock, host: str) -> None:
    limiter = RateLimiter(resources, limited(), host)
    await limiter.before(request("a"))
    long = await limiter.throttled(Throttled("", retry_after=600, scope=LimitScope.TOKEN))
    await limiter.throttled(Throttled("", retry_after=5, scope=LimitScope.TOKEN))
    with pytest.raises(RateLimitReached) as spent:
        await limiter.before(request("a"))
    assert spent.value.until == long


async def test_a_nearly_used_limit_sets_a_hold(resources: Resources, clock: SetClock, host: str) -> None:
    class EventSource(Fake):
        @classmethod
        def usage(cls, response: httpx.Response) -> Usage | None:
            return Usage(float(response.headers["used"]), LimitScope.TOKEN, resets_in=120)

    limiter = RateLimiter(resources, EventSource, host)
    for used in ("0.2", "0.89"):
        await limiter.before(request("a"))
        await limiter.after(httpx.Response(200, headers={"used": used}))
    await limiter.before(request("a"))
    await limiter.after(httpx.Response(200, headers={"used": "0.95"}))
    with pytest.raises(RateLimitReached) as spent:
        await limiter.before(request("a"))
    assert spent.value.until == clock.now() + timedelta(seconds=120)
    await limiter.before(request("b"))


async def test_what_is_left_is_shown(resources: Resources, clock: SetClock, host: str) -> None:
    kind = limited(RateLimit(10, 300, LimitScope.TOKEN), RateLimit(5, 300, LimitScope.ADDRESS))
    limiter = RateLimiter(resources, kind, host)
    for _ in range(3):
        await limiter.before(request("a"))
    await limiter.throttled(Throttled("", retry_after=60, scope=LimitScope.TOKEN))

    async def remaining_of(token: str) -> list[tuple[LimitScope, int, bool]]:
        async with resources.transaction(None) as session:
            rates = await rate_limits.remaining(
                session, resources.settings, kind.spec, host, {Token.USER: token}, clock.now()
            )
        return [(one.scope, one.remaining, one.cooldown_until is not None) for one in rates]

    assert await remaining_of("a") == [(LimitScope.TOKEN, 7, True), (LimitScope.ADDRESS, 2, False)]
    assert await remaining_of("b") == [(LimitScope.TOKEN, 10, False), (LimitScope.ADDRESS, 2, False)]
    clock.advance(timedelta(seconds=331))
    assert await remaining_of("a") == [(LimitScope.TOKEN, 10, False), (LimitScope.ADDRESS, 5, False)]


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
)
@given(
    calls=st.integers(1, 20),
    seconds=st.integers(1, 600),
    gaps=st.lists(st.tuples(st.integers(0, 700_000), st.integers(1, 25)), min_size=1, max_size=30),
)
async def test_no_interval_of_a_windows_length_has_more_than_the_limit(
    resources: Resources, clock: SetClock, calls: int, seconds: int, gaps: list[tuple[int, int]]
) -> None:
    """For any distribution of calls, and any position of the interval."""
    limit = RateLimit(calls, seconds, LimitScope.TOKEN)
    limiter = RateLimiter(resources, limited(limit), f"https://{uuid.uuid4().hex}.test")
    made: list[tuple[datetime, int]] = []

    async def take(units: int) -> datetime | None:
        cost = Cost(token="a", units={CALLS: units})
        request_cost = rate_limits.RequestCost(
            rate_limits._key("any", LimitScope.TOKEN, cost, limiter._base_url), limit, units
        )
        return (await limiter._take([request_cost], []))[1]

    for gap, drawn in gaps:
        clock.advance(timedelta(milliseconds=gap))
        units = min(drawn, calls) if drawn % 7 else drawn  # sometimes more than the limit
        free_at = await take(units)
        if free_at is not None:
            assert clock.now() < free_at <= clock.now() + timedelta(seconds=seconds) * (1 + 2 / SLOTS)
            clock.at = free_at
            assert await take(units) is None, "there is room when it says so"
        made.append((clock.now(), units))
        window = [units for at, units in made if at > clock.now() - timedelta(seconds=seconds)]
        assert sum(window) <= calls or window == [units], "more than are allowed are taken alone"


async def test_calls_are_counted_and_logged_by_how_they_ended(resources: Resources, host: str) -> None:
    limiter = RateLimiter(resources, limited(RateLimit(10, 300, LimitScope.ADDRESS)), host)
    secret = httpx.Request("POST", f"{host}/bot1:secret/send?access_token=secret")

    def calls(outcome: str) -> float:
        return REGISTRY.get_sample_value("instep_platform_calls_total", {"platform": "fake", "outcome": outcome}) or 0.0

    before = {outcome: calls(outcome) for outcome in ("2xx", "5xx", "no-answer")}
    with structlog.testing.capture_logs() as lines:
        await limiter.before(secret)
        await limiter.after(httpx.Response(200))
        await limiter.before(secret)
        await limiter.after(httpx.Response(503))
        await limiter.before(secret)
        await limiter.unanswered(secret, httpx.ConnectError("no"))
    assert {outcome: calls(outcome) - number for outcome, number in before.items()} == dict.fromkeys(before, 1.0)
    logged = [(line["log_level"], line["result"]) for line in lines if line["event"] == "platform.call"]
    assert logged == [("debug", 200), ("info", 503), ("info", "ConnectError")]
    assert "secret" not in str(lines)
    assert host.removeprefix("https://") in str(lines)


async def test_what_is_left_of_a_limit_is_shown(resources: Resources, host: str) -> None:
    kind = type(
        "Shown",
        (Fake,),
        {"spec": replace(Fake.spec, key="shown", rate_limits=(RateLimit(4, 300, LimitScope.ADDRESS),))},
    )
    limiter = RateLimiter(resources, kind, host)

    def left() -> float | None:
        labels = {"platform": "shown", "limit": "calls in 300 s per address"}
        return REGISTRY.get_sample_value("instep_platform_limit_left_ratio", labels)

    await limiter.before(request())
    assert left() == 0.75
    for _ in range(3):
        await limiter.before(request())
    assert left() == 0.0
    with pytest.raises(RateLimitReached):
        await limiter.before(request())
    assert left() == 0.0
