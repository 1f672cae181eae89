"""Each part of a community fails, waits and backs off by itself; the state says what the agency can use."""

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from app.communities.models import Publication
from app.inquiries.models import Message
from app.kit.clock import SetClock
from app.platforms.capabilities import TokenState
from app.platforms.contract import (
    Credentials,
    Gone,
    LimitScope,
    MissingPermission,
    PlatformError,
    Throttled,
    Token,
    Transient,
    Unsupported,
)
from tests.communities.conftest import HOUR, START, Fake, World, register_adapters
from tests.conftest import Agency

POLL = "communities.poll"
MINUTE = timedelta(minutes=1)


async def health(agency: Agency, community: dict[str, Any]) -> Any:
    return await agency.get(f"/v1/communities/{community['id']}/health")


def part(seen: dict[str, Any], name: str) -> dict[str, Any]:
    return next(one for one in seen["parts"] if one["part"] == name)


async def count(agency: Agency, model: Any) -> int:
    async with agency.resources.db.read_connection(agency.workspace_id) as connection:
        return int((await connection.execute(select(func.count()).select_from(model))).scalar_one())


async def test_a_part_that_fails_backs_off_alone(
    agency: Agency, community: dict[str, Any], world: World, clock: SetClock
) -> None:
    world.posts = [world.post(1, START - HOUR, 1)]
    await agency.work(POLL)
    world.fail["conversations"] = [Transient("Bad gateway.")] * 1000
    world.calls.clear()
    for number in range(2, 62):
        clock.advance(MINUTE)
        if number % 10 == 0:
            world.posts.insert(0, world.post(number, clock.now(), 1))
        await agency.work(POLL)
    calls = Counter(world.calls)
    assert calls["conversations"] <= 8, "30 seconds, doubled each time"
    assert calls["posts"] >= 6, "posts are read as often as before"
    assert await count(agency, Publication) >= 6
    seen = await health(agency, community)
    assert (seen["status"], seen["code"]) == ("degraded", "transient")
    assert "conversations" in seen["reason"]
    assert (part(seen, "posts")["status"], part(seen, "size")["status"]) == ("ok", "ok")
    failing = part(seen, "conversations")
    assert (failing["status"], failing["code"], failing["failures"]) == ("failing", "transient", calls["conversations"])
    assert datetime.fromisoformat(failing["next_at"]) > clock.now()
    world.fail.clear()
    clock.advance(HOUR)
    await agency.work(POLL)
    seen = await health(agency, community)
    assert (seen["status"], seen["code"], part(seen, "conversations")["status"]) == ("healthy", None, "ok")


async def test_a_part_that_the_server_does_not_have_is_unsupported_and_nothing_else_is(
    agency: Agency, community: dict[str, Any], world: World, clock: SetClock
) -> None:
    world.posts = [world.post(1, START - HOUR, 1)]
    world.fail["conversations"] = [Unsupported("The server has no notifications.")] * 1000
    await agency.work(POLL)
    for _ in range(24):
        clock.advance(HOUR)
        await agency.work(POLL)
    seen = await health(agency, community)
    assert (seen["status"], seen["code"], seen["reason"]) == ("healthy", None, None)
    assert seen["polled_at"] is not None
    unsupported = part(seen, "conversations")
    assert (unsupported["status"], unsupported["code"]) == ("unsupported", "unsupported")
    assert seen["lag"]["conversations"] == 0
    assert world.calls.count("conversations") == 2, "once a day: the server may have a new version"
    assert world.calls.count("community") >= 24


async def test_a_request_reads_a_failing_part_at_once_but_only_once(
    agency: Agency, community: dict[str, Any], world: World, clock: SetClock
) -> None:
    world.fail["conversations"] = [Transient("Bad gateway.")] * 1000
    await agency.work(POLL)
    for _ in range(30):
        clock.advance(MINUTE)
        await agency.work(POLL)
    world.calls.clear()
    await agency.post(f"/v1/communities/{community['id']}/sync", status=202)
    await agency.work(POLL)
    assert world.calls.count("conversations") == 1
    for _ in range(5):
        clock.advance(MINUTE)
        await agency.work(POLL)
    assert world.calls.count("conversations") <= 2


@pytest.fixture
def inspecting(world: World, monkeypatch: pytest.MonkeyPatch) -> list[PlatformError]:
    """Errors of `inspect`, which the fake platform has now; empty: it answers."""
    errors: list[PlatformError] = []

    class Inspecting(Fake):
        async def inspect(self, c: Credentials) -> dict[Token, TokenState]:
            self._called("inspect")
            if errors:
                raise errors[0]
            return {kind: TokenState() for kind in c.tokens}

    register_adapters(monkeypatch, {"fake": type("InspectingHere", (Inspecting,), {"world": world})})
    return errors


@pytest.mark.parametrize("error", [Gone("Record not found."), Unsupported("No such function.")])
async def test_tokens_that_cannot_be_inspected_can_be_used(
    agency: Agency,
    project_id: str,
    world: World,
    clock: SetClock,
    inspecting: list[PlatformError],
    error: PlatformError,
) -> None:
    """A server without the function that inspects tokens reads everything else as before."""
    inspecting.append(error)
    body = {"project_id": project_id, "platform": "fake", "address": "https://fake.test/name"}
    community = await agency.post("/v1/communities", body | {"credentials": {"user": "token"}})
    await agency.work(POLL)
    for number in range(1, 31):
        clock.advance(MINUTE)
        world.messages.append(world.message_from("ivan", number, clock.now()))
        await agency.work(POLL)
    assert await count(agency, Message) == 30
    seen = await health(agency, community)
    assert seen["status"] == "healthy"
    assert part(seen, "tokens")["code"] == error.code
    inspecting[0] = MissingPermission("Not allowed.", scopes=("read",))
    clock.advance(timedelta(days=1))
    await agency.work(POLL)
    seen = await health(agency, community)
    assert (seen["status"], seen["missing_scopes"]) == ("degraded", ["read"]), "that a person can mend"


async def test_reconnecting_forgets_what_failed(
    agency: Agency, community: dict[str, Any], world: World, clock: SetClock
) -> None:
    world.fail["conversations"] = [MissingPermission("Not allowed.", scopes=("messages",))]
    await agency.work(POLL)
    await agency.post(f"/v1/communities/{community['id']}/reconnect", {"credentials": {"user": "better"}}, status=200)
    await agency.work(POLL)
    seen = await health(agency, community)
    assert (seen["status"], seen["missing_scopes"]) == ("healthy", [])


async def test_failures_of_a_poll_that_ends_early_are_kept(
    agency: Agency, community: dict[str, Any], world: World, clock: SetClock
) -> None:
    """A poll may end early by its time, or by a rate limit of the platform: what failed before has failed."""
    await agency.work(POLL)

    clock.advance(HOUR)
    world.fail["posts"] = [Transient("Bad gateway.")]
    world.fail["conversations"] = [Throttled("Too fast.", retry_after=60, scope=LimitScope.TOKEN)]
    await agency.work(POLL)
    assert part(await health(agency, community), "posts")["failures"] == 1
