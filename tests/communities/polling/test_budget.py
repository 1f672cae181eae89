"""What a person waits for takes its calls first; a poll that could read nothing for want of calls is no success."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from app.communities.polling import rate_limits
from app.communities.polling.rate_limits import RateLimiter, RateLimitReached
from app.kit.clock import SetClock
from app.kit.ids import uuid7
from app.kit.resources import Resources
from app.platforms.contract import (
    CommunitySnapshot,
    Credentials,
    LimitScope,
    Page,
    PostMetrics,
    RateLimit,
    RemoteMessage,
    RemotePost,
    Transient,
)
from tests.communities.conftest import HOUR, START, Fake, World, register_adapters
from tests.conftest import Agency

POLL = "communities.poll"
MINUTE = timedelta(minutes=1)


class Metered(Fake):
    """A platform each of whose calls takes one of the limit's."""

    async def _take(self, c: Credentials) -> None:
        await self.http.get(f"{c.base_url}/call")

    async def community(self, c: Credentials) -> CommunitySnapshot:
        await self._take(c)
        name = c.address.rpartition("/")[2]
        return replace(await super().community(c), external_id=name)

    async def posts(self, c: Credentials, cursor: str | None, since: datetime | None = None) -> Page[RemotePost]:
        await self._take(c)
        return await super().posts(c, cursor, since)

    async def metrics(self, c: Credentials, ids: tuple[str, ...]) -> tuple[PostMetrics, ...]:
        await self._take(c)
        return await super().metrics(c, ids)

    async def conversations(
        self, c: Credentials, cursor: str | None, since: datetime | None = None
    ) -> Page[RemoteMessage]:
        await self._take(c)
        return await super().conversations(c, cursor, since)


def metered(monkeypatch: pytest.MonkeyPatch, world: World, limit: RateLimit) -> type[Metered]:
    """Make a platform `fake` with this limit the only one."""
    spec = replace(Fake.spec, rate_limits=(limit,), base_url=f"https://{uuid7().hex}.test")
    made = type("MeteredHere", (Metered,), {"world": world, "spec": spec})
    register_adapters(monkeypatch, {"fake": made})
    return made


async def connect(agency: Agency, project_id: str, name: str = "name") -> dict[str, Any]:
    body = {"project_id": project_id, "platform": "fake", "address": f"https://fake.test/{name}"}
    made: dict[str, Any] = await agency.post("/v1/communities", body)
    return made


async def health(agency: Agency, community: Mapping[str, Any]) -> Any:
    return await agency.get(f"/v1/communities/{community['id']}/health")


async def use_up(resources: Resources, adapter_class: type[Metered], calls: int) -> None:
    """Take calls of the limit, as others with the same address do."""
    limiter = RateLimiter(resources, adapter_class, str(adapter_class.spec.base_url))
    for _ in range(calls):
        await limiter.before(httpx.Request("GET", "https://fake.test"))


async def test_a_poll_that_could_read_nothing_is_no_success(
    agency: Agency,
    project_id: str,
    world: World,
    clock: SetClock,
    resources: Resources,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kind = metered(monkeypatch, world, RateLimit(100, 3600, LimitScope.ADDRESS))
    community = await connect(agency, project_id)
    await agency.work(POLL)
    polled_at = (await health(agency, community))["polled_at"]
    clock.advance(HOUR / 2)
    await use_up(resources, kind, 95)
    await agency.work(POLL)
    seen = await health(agency, community)
    assert (seen["status"], seen["code"]) == ("degraded", "rate-limited")
    assert seen["polled_at"] == polled_at
    waiting = {one["part"]: one["status"] for one in seen["parts"]}
    assert waiting["conversations"] == "waiting"
    clock.advance(2 * HOUR)
    await agency.work(POLL)
    seen = await health(agency, community)
    assert (seen["status"], seen["code"]) == ("healthy", None)
    assert seen["polled_at"] > polled_at
    assert {one["status"] for one in seen["parts"]} <= {"ok", "pending"}


async def test_a_part_that_waits_for_long_makes_the_community_degraded(
    agency: Agency, community: dict[str, Any], world: World, clock: SetClock
) -> None:
    await agency.work(POLL)
    world.fail["posts"] = [RateLimitReached(clock.now() + MINUTE)] * 1000
    states = []
    for _ in range(40):
        clock.advance(MINUTE)
        await agency.work(POLL)
        states.append((await health(agency, community))["status"])
    assert states[5] == "healthy", "it waits for a few minutes only so far"
    assert states[-1] == "degraded"
    assert "posts" in (await health(agency, community))["reason"]


async def test_what_a_person_waits_for_takes_its_calls_first(
    agency: Agency,
    project_id: str,
    world: World,
    clock: SetClock,
    resources: Resources,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Counters of many posts leave calls for an answer, and for a read that a person requests."""
    kind = metered(monkeypatch, world, RateLimit(100, 3600, LimitScope.ADDRESS))
    world.posts = [world.post(n, START - n * MINUTE, n) for n in range(1, 600)]
    world.page = 1000
    community = await connect(agency, project_id)
    await agency.work(POLL)
    clock.advance(HOUR)
    for _ in range(3):
        await agency.work(POLL)
        clock.advance(MINUTE)
    assert world.calls.count("metrics") > 50, "counters have used up what they may"
    world.calls.clear()
    await agency.post(f"/v1/communities/{community['id']}/sync", status=202)
    await agency.work(POLL)
    assert {"community", "posts", "conversations"} <= set(world.calls)
    await use_up(resources, kind, 3)  # answers: nothing is left for anything else, and none waited


@pytest.mark.parametrize(("calls", "seconds"), [(3, 1), (5, 300), (20, 1), (300, 300), (10_000, 86_400)])
async def test_each_priority_leaves_calls_for_those_above(calls: int, seconds: int) -> None:
    limit = RateLimit(calls, seconds, LimitScope.TOKEN)
    allowed = [rate_limits.allowed(limit, priority) for priority in rate_limits.Priority]
    assert allowed[0] == calls
    assert allowed == sorted(allowed, reverse=True)
    assert min(allowed) >= max(1, 0.8 * calls), "what is planned for background reads fits"
    if calls >= 20:
        assert len(set(allowed)) == 3


async def test_syncs_of_one_agency_leave_the_others_their_share(
    agency: Agency,
    rival: Agency,
    project_id: str,
    world: World,
    clock: SetClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An agency requests all its communities again and again; what another one requests is read at once."""
    metered(monkeypatch, world, RateLimit(300, 3600, LimitScope.ADDRESS))
    ours = [await connect(agency, project_id, f"name{n}") for n in range(20)]
    project = await rival.post("/v1/projects", {"title": "Tea house", "timezone": "Europe/Minsk"})
    theirs = await connect(rival, str(project["id"]), "tea")
    for _ in range(3):
        await agency.work(POLL)
        await rival.work(POLL)
        clock.advance(2 * HOUR)
    world.calls.clear()
    for _ in range(8):
        clock.advance(MINUTE)
        for community in ours:
            await agency.post(f"/v1/communities/{community['id']}/sync", status=202)
        await agency.work(POLL)
    assert 100 <= len(world.calls) <= 165, "about half of the limit"
    world.calls.clear()
    await rival.post(f"/v1/communities/{theirs['id']}/sync", status=202)
    await rival.work(POLL)
    assert set(world.calls) >= {"community", "posts", "conversations"}


async def test_an_agency_alone_may_use_the_whole_limit(
    agency: Agency, project_id: str, world: World, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    metered(monkeypatch, world, RateLimit(60, 3600, LimitScope.ADDRESS))
    ours = [await connect(agency, project_id, f"name{n}") for n in range(10)]
    for _ in range(3):
        await agency.work(POLL)
        clock.advance(2 * HOUR)
    world.calls.clear()
    for _ in range(4):
        clock.advance(MINUTE)
        for community in ours:
            await agency.post(f"/v1/communities/{community['id']}/sync", status=202)
        await agency.work(POLL)
    assert len(world.calls) >= 55


def interrupted(method: str, act: Callable[[], Awaitable[None]]) -> Callable[..., Awaitable[Any]]:
    """A method of the fake platform, with something else done after its first call has a result."""
    real = getattr(Fake, method)
    calls: list[str] = []

    async def called(self: Fake, *args: Any) -> Any:
        result = await real(self, *args)
        calls.append(method)
        if len(calls) == 1:
            await act()
        return result

    return called


async def test_syncs_join_the_one_under_way(
    agency: Agency, community: dict[str, Any], world: World, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requested again before a worker is free, and while the read goes on: all is read once."""
    world.posts = [world.post(n, START - n * HOUR, n) for n in range(1, 4)]
    world.page = 10
    await agency.work(POLL)

    async def sync() -> None:
        clock.advance(timedelta(seconds=1))
        await agency.post(f"/v1/communities/{community['id']}/sync", status=202)

    for _ in range(5):
        await sync()
    world.calls.clear()
    with monkeypatch.context() as patched:
        for method in ("posts", "metrics"):
            patched.setattr(Fake, method, interrupted(method, sync))
        await agency.work(POLL)
    for _ in range(3):
        clock.advance(timedelta(seconds=10))
        await agency.work(POLL)
    # New posts, and the recent ones again.
    assert sorted(world.calls) == ["community", "conversations", "metrics", "posts", "posts"]


async def test_a_sync_tries_again_what_has_failed_since_it_was_requested(
    agency: Agency, community: dict[str, Any], world: World, clock: SetClock
) -> None:
    await agency.work(POLL)
    world.fail["posts"] = [Transient("Bad gateway.")] * 3
    for _ in range(4):
        clock.advance(timedelta(seconds=1))
        await agency.post(f"/v1/communities/{community['id']}/sync", status=202)
        await agency.work(POLL)
    assert world.fail["posts"] == [], "each request tries it"
    assert (await health(agency, community))["status"] == "healthy"
