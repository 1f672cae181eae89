"""Values are loaded once, kept for their time, and forgotten with the commit that changes them."""

import asyncio
import gc
from collections.abc import Callable
from datetime import timedelta

import pytest

from app.kit.cache import Cache, OnePer, Recent
from app.kit.clock import SetClock
from app.kit.db import Database
from app.kit.errors import CommitOutcomeUnknown, NotFound, Unavailable

SECONDS = 5.0


class Source:
    """What a cache loads from: counts the loads, and holds them up or fails on demand."""

    def __init__(self, value: str = "first") -> None:
        self.value = value
        self.loads = 0
        self.error: Exception | None = None
        self.entered = asyncio.Event()
        self.proceed = asyncio.Event()
        self.proceed.set()

    async def __call__(self) -> str:
        self.loads += 1
        value, error = self.value, self.error
        self.entered.set()
        await self.proceed.wait()
        if error is not None:
            raise error
        return value


def cache_of(clock: SetClock, stale_seconds: float = 0.0, size: int = 100) -> Cache[str, str]:
    return Cache(clock, seconds=SECONDS, size=size, stale_seconds=stale_seconds, unavailable=(Unavailable,))


async def test_a_value_is_loaded_once_in_its_time(clock: SetClock) -> None:
    cache, source = cache_of(clock), Source()
    assert [await cache.get("key", source) for _ in range(3)] == ["first"] * 3
    clock.advance(timedelta(seconds=SECONDS - 0.01))
    source.value = "second"
    assert (await cache.get("key", source), source.loads) == ("first", 1)
    clock.advance(timedelta(seconds=0.02))
    assert (await cache.get("key", source), source.loads) == ("second", 2)


def test_what_is_put_stays_for_its_time_and_while_it_is_used(clock: SetClock) -> None:
    recent: Recent[str, int] = Recent(clock, seconds=SECONDS, size=2)
    for number, key in enumerate(("used", "idle", "last")):
        recent.put(key, number)
        assert recent.get("used") == 0
    assert [recent.get(key) for key in ("used", "idle", "last")] == [0, None, 2]
    clock.advance(timedelta(seconds=SECONDS - 0.01))
    assert recent.get("used") == 0
    clock.advance(timedelta(seconds=0.02))
    assert recent.get("used") is None


async def test_concurrent_misses_share_one_load(clock: SetClock) -> None:
    cache, source = cache_of(clock), Source()
    source.error = LookupError("not kept")
    source.proceed.clear()
    callers = [asyncio.create_task(cache.get("key", source)) for _ in range(10)]
    await source.entered.wait()
    callers[0].cancel()
    source.proceed.set()
    outcomes = await asyncio.gather(*callers, return_exceptions=True)
    assert source.loads == 1
    assert [type(outcome) for outcome in outcomes] == [asyncio.CancelledError] + [LookupError] * 9
    source.error = None
    assert [await cache.get("key", source), await cache.get("key", source), source.loads] == ["first", "first", 2]


@pytest.mark.parametrize("drop", [lambda cache: cache.forget("key"), lambda cache: cache.clear()], ids=["key", "all"])
async def test_a_load_begun_before_a_change_is_not_kept(
    clock: SetClock, drop: Callable[[Cache[str, str]], None]
) -> None:
    cache, source = cache_of(clock), Source("old")
    source.proceed.clear()
    early = asyncio.create_task(cache.get("key", source))
    await source.entered.wait()
    source.value = "new"
    drop(cache)
    late = asyncio.create_task(cache.get("key", source))
    await asyncio.sleep(0)
    source.proceed.set()
    assert [await early, await late, await cache.get("key", source)] == ["old", "new", "new"]


async def test_the_least_recently_used_go_first(clock: SetClock) -> None:
    cache, source = cache_of(clock, size=2), Source()
    for key in ("a", "b", "a", "c"):
        await cache.get(key, source)
    assert (len(cache), source.loads) == (2, 3)
    await cache.get("a", source)
    assert source.loads == 3
    await cache.get("b", source)
    assert source.loads == 4


async def test_an_old_value_serves_while_the_source_is_unavailable(clock: SetClock) -> None:
    cache, source = cache_of(clock, stale_seconds=60), Source()
    await cache.get("key", source)
    clock.advance(timedelta(seconds=SECONDS + 1))
    source.error = Unavailable("away", code="database-away")
    assert [await cache.get("key", source) for _ in range(5)] == ["first"] * 5
    assert source.loads == 2, "tried again after SECONDS, not for each caller"
    with pytest.raises(Unavailable):
        await cache.get("another", source)
    clock.advance(timedelta(seconds=60))
    with pytest.raises(Unavailable):
        await cache.get("key", source)


async def test_an_old_value_serves_while_it_is_loaded_again(clock: SetClock) -> None:
    cache, source = cache_of(clock, stale_seconds=60), Source()
    await cache.get("key", source)
    clock.advance(timedelta(seconds=SECONDS + 1))
    source.value = "second"
    source.proceed.clear()
    source.entered.clear()
    reloading = asyncio.create_task(cache.get("key", source))
    await source.entered.wait()
    assert await cache.get("key", source) == "first"
    source.proceed.set()
    assert [await reloading, await cache.get("key", source)] == ["second", "second"]


async def test_what_is_gone_is_not_served_any_more(clock: SetClock) -> None:
    """Only an unavailable source leaves the old value."""
    cache, source = cache_of(clock, stale_seconds=60), Source()
    await cache.get("key", source)
    clock.advance(timedelta(seconds=SECONDS + 1))
    source.error = NotFound()
    with pytest.raises(NotFound):
        await cache.get("key", source)
    source.error = Unavailable("away", code="database-away")
    with pytest.raises(Unavailable):
        await cache.get("key", source)


# ── forgotten after the commit ─────────────────────────────────────────────────────────────────────


async def test_a_value_is_forgotten_with_the_commit_and_not_before(clock: SetClock, db: Database) -> None:
    """A load between the change and its commit finds the old value; it must not be kept beyond the commit."""
    cache, source = cache_of(clock), Source("old")
    async with db.transaction(None) as session:
        cache.forget_after_commit(session, "key")
        assert await cache.get("key", source) == "old"
        source.value = "new"
        assert await cache.get("key", source) == "old"
    assert await cache.get("key", source) == "new"


async def test_a_rolled_back_change_forgets_nothing(clock: SetClock, db: Database) -> None:
    cache, source = cache_of(clock), Source()
    await cache.get("key", source)

    async def change() -> None:
        async with db.transaction(None) as session:
            cache.clear_after_commit(session)
            raise LookupError

    with pytest.raises(LookupError):
        await change()
    await cache.get("key", source)
    assert source.loads == 1


async def test_a_commit_of_unknown_outcome_forgets_too(
    clock: SetClock, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, source = cache_of(clock), Source()
    await cache.get("key", source)

    async def broken_off(_: object) -> None:
        raise ConnectionResetError

    monkeypatch.setattr("app.kit.db.AsyncSession.commit", broken_off)

    async def change() -> None:
        async with db.transaction(None) as session:
            cache.clear_after_commit(session)

    with pytest.raises(CommitOutcomeUnknown):
        await change()
    await cache.get("key", source)
    assert source.loads == 2


# ── one object for each owner ──────────────────────────────────────────────────────────────────────


class Owner:
    """What an object belongs to."""


def test_an_owner_has_one_object_which_goes_with_it() -> None:
    counters = OnePer[Owner, list[int]](lambda _: [])
    first, second = Owner(), Owner()
    counters(first).append(1)
    assert (counters(first), counters(second)) == ([1], [])
    del first
    gc.collect()
    assert len(counters._objects) == 1
