"""Requested reads: parts become due, also while they are read, and stored data is kept."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

import pytest
from sqlalchemy import select, update

from app.communities import service
from app.communities.models import Community, Publication
from app.communities.polling.rate_limits import RateLimitReached
from app.communities.service import POLL
from app.kit.clock import SetClock
from app.kit.db import in_workspace
from app.platforms import adapters
from app.platforms.capabilities import TokenState
from app.platforms.contract import Credentials, Token
from tests.communities.conftest import HOUR, START, Fake, World, register_adapters
from tests.conftest import Agency

SECOND: Final = timedelta(seconds=1)
METRICS_POLL: Final = frozenset({"metrics_poll_code", "metrics_poll_reason", "metrics_poll_failures"})
STATUS: Final = frozenset({"status", "status_code", "status_reason"})
WRITTEN: Final[Mapping[str, frozenset[str]]] = {
    "sync": frozenset({"size_requested_at", "posts_requested_at", "conversations_requested_at"}),
    "reconnect": frozenset({"size_requested_at", "tokens_requested_at", "missing_scopes", "failures", "refusals"})
    | {"throttled_until"}
    | STATUS
    | METRICS_POLL,
    "pause": STATUS | METRICS_POLL,
    "resume": frozenset({"status"}),
}
"""The columns of a community that a request may change: requests and the connection's status; no cursor, no time of a
last read, no costs.
"""
PARTS: Final = {"community": "size", "posts": "posts", "conversations": "conversations", "inspect": "tokens"}
"""By method of an adapter."""


class Inspecting(Fake):
    """The fake platform, which also inspects tokens."""

    async def inspect(self, c: Credentials) -> dict[Token, TokenState]:
        self._called("inspect")
        return {kind: TokenState() for kind in c.tokens}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """A platform with two posts and messages of two customers."""
    made = World()
    monkeypatch.setattr(Inspecting, "world", made, raising=False)
    register_adapters(monkeypatch, MappingProxyType({**adapters(), "fake": Inspecting}))
    made.posts = [made.post(number, START - number * HOUR, reactions=number) for number in (1, 2)]
    made.messages = [made.message_from("ivan", 1, START - HOUR), made.message_from("olga", 2, START - HOUR / 2)]
    return made


@pytest.fixture
async def watched(agency: Agency, project_id: str, world: World) -> str:
    """A community that was polled once; its id."""
    body = {"project_id": project_id, "platform": "fake", "address": "https://fake.test/name"}
    made = await agency.post("/v1/communities", {**body, "credentials": {"user": "a-token"}})
    await agency.work(POLL)
    world.calls.clear()
    return str(made["id"])


async def request_read(agency: Agency, community_id: str, what: str) -> None:
    body = {"credentials": {"user": "another-token"}} if what == "reconnect" else None
    await agency.post(f"/v1/communities/{community_id}/{what}", body, status=202 if what == "sync" else 200)


async def stored(agency: Agency, model: Any, **where: Any) -> list[dict[str, Any]]:
    """Rows of this agency."""
    query = (
        select(model.__table__).where(in_workspace(model, agency.workspace_id)).filter_by(**where).order_by(model.id)
    )
    async with agency.resources.db.read_connection(agency.workspace_id) as connection:
        return [dict(row) for row in (await connection.execute(query)).mappings()]


def changed(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> set[str]:
    """The columns that changed."""
    return {name for old, new in zip(before, after, strict=True) for name in old if old[name] != new[name]}


@pytest.mark.parametrize("what", WRITTEN)
async def test_asking_writes_nothing_of_what_is_known(agency: Agency, watched: str, clock: SetClock, what: str) -> None:
    async with agency.resources.transaction(agency.workspace_id) as session:
        # Every column has a value that could be overwritten.
        said = {
            "status_code": "transient",
            "status_reason": "Away.",
            "metrics_poll_code": "gone",
            "metrics_poll_reason": "Gone.",
        }
        counted = {
            "failures": 2,
            "refusals": 1,
            "metrics_poll_failures": 3,
            "posts_idle_polls": 4,
            "conversations_idle_polls": 5,
        }
        moments = dict.fromkeys(("throttled_until", "last_event_at", "backfilled_to", "planned_at"), clock.now())
        status = {"status": "paused" if what == "resume" else "degraded", "missing_scopes": ["messages"]}
        ours = in_workspace(Community, agency.workspace_id)
        await session.execute(update(Community).where(ours).values({**status, **said, **counted, **moments}))
    before, posts = await stored(agency, Community), await stored(agency, Publication)
    assert {name for name, value in before[0].items() if value is None} == {
        name for name in before[0] if name.endswith("_requested_at") or name == "disconnected_at"
    }
    clock.advance(SECOND)
    await request_read(agency, watched, what)
    assert changed(before, await stored(agency, Community)) == WRITTEN[what]
    counters = {"measure_at", "total"} if what == "sync" else set()
    assert changed(posts, await stored(agency, Publication)) == counters


@pytest.mark.parametrize(
    ("what", "parts"),
    [("sync", {"community", "posts", "conversations"}), ("reconnect", {"community", "inspect"})],
)
async def test_a_requested_part_is_due_once(
    agency: Agency, watched: str, world: World, clock: SetClock, what: str, parts: set[str]
) -> None:
    """Requested at the instant of the last read, and a second later; once read, the part is not due."""
    for wait in (timedelta(0), SECOND):
        clock.advance(wait)
        await request_read(agency, watched, what)
        await agency.work(POLL)
        assert parts <= set(world.calls)
        world.calls.clear()
        clock.advance(20 * SECOND)
        async with agency.resources.transaction(agency.workspace_id) as session:
            await service.poll_now(session, UUID(watched))
        await agency.work(POLL)
        assert world.calls == []


def interrupted(
    monkeypatch: pytest.MonkeyPatch, world: World, clock: SetClock, method: str, act: Callable[[], Awaitable[None]]
) -> list[int]:
    """Call a function once after a method has its result and before it returns; the calls made by then."""
    real = getattr(Inspecting, method)
    calls: list[int] = []

    async def answer(self: Any, *args: Any) -> Any:
        result = await real(self, *args)
        if not calls:
            clock.advance(SECOND)
            await act()
            clock.advance(SECOND)
            calls.append(len(world.calls))
        return result

    monkeypatch.setattr(Inspecting, method, answer)
    return calls


@pytest.mark.parametrize(
    ("method", "what"),
    [(method, "sync") for method in ("community", "posts", "conversations", "metrics")]
    + [(method, "reconnect") for method in ("community", "inspect")],
)
async def test_a_part_requested_while_it_is_read_is_read_again(
    agency: Agency,
    watched: str,
    world: World,
    clock: SetClock,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    what: str,
) -> None:
    """A response under way may be older than the request."""
    clock.advance(timedelta(hours=25))
    calls = interrupted(monkeypatch, world, clock, method, lambda: request_read(agency, watched, what))
    await agency.work(POLL)
    assert method in world.calls[calls[0] :]
    if method in PARTS:
        (row,) = await stored(agency, Community)
        assert row[f"{PARTS[method]}_seen_at"] >= row[f"{PARTS[method]}_requested_at"] > START


async def test_a_part_is_known_up_to_where_its_read_began(
    agency: Agency, watched: str, world: World, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Something created while pages are read may be on none of them."""

    async def nothing() -> None:
        """Advance the clock."""

    clock.advance(HOUR)
    began = clock.now()
    world.posts.insert(0, world.post(9, began, 1))
    interrupted(monkeypatch, world, clock, "posts", nothing)
    await agency.work(POLL)
    (row,) = await stored(agency, Community)
    assert row["posts_seen_at"] == began


async def test_lateness_counts_from_the_request(agency: Agency, watched: str, world: World, clock: SetClock) -> None:
    """It is not read from the first day again, and the health shows the same state."""
    path = f"/v1/communities/{watched}/health"
    seen = (await agency.get(path))["seen_at"]
    clock.advance(SECOND)
    await request_read(agency, watched, "sync")
    world.fail = {part: [RateLimitReached(clock.now() + HOUR)] for part in ("community", "posts", "conversations")}
    await agency.work(POLL)
    clock.advance(20 * SECOND)
    health = await agency.get(path)
    assert (health["seen_at"], health["lag"]["size"], health["lag"]["posts"]) == (seen, 20, 20)


async def test_a_clock_that_is_behind_loses_no_request(
    agency: Agency, watched: str, world: World, clock: SetClock
) -> None:
    """The clocks of the API's machine and of the worker's differ."""
    async with agency.resources.transaction(agency.workspace_id) as session:
        ahead = {f"{part}_seen_at": clock.now() + 5 * SECOND for part in PARTS.values()}
        await session.execute(update(Community).where(in_workspace(Community, agency.workspace_id)).values(ahead))
    await request_read(agency, watched, "sync")
    await agency.work(POLL)
    assert {"community", "posts", "conversations"} <= set(world.calls)
