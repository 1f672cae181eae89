"""While a community is polled again its values stay: requesting a poll discards nothing that is known."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select, update

from app import kpis, metrics
from app.communities.events import CommunityRef
from app.communities.models import Community
from app.communities.polling.rate_limits import RateLimitReached
from app.communities.service import POLL
from app.kit.clock import SetClock
from app.kit.db import in_workspace
from app.kit.resources import Resources
from app.kpis import all_kpis
from app.platforms import adapters
from app.platforms.contract import LimitScope, RemoteMessage, RemotePerson, Throttled, Transient
from tests.communities.conftest import START, Fake, World, register_adapters
from tests.conftest import Agency
from tests.kpis.conftest import ALL, Client, empty_project

HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)
WINDOW: Final[dict[str, Any]] = {"from": "2026-10-14", "to": "2026-10-18"}
METHODS: Final = ("community", "posts", "metrics", "comments", "conversations")
MOVES: Final = frozenset(
    {"community_size", "net_growth", "growth_rate", "engagement", "engagement_rate", "inquiries_received"}
)
"""What the news of `news` moves, at least."""

Act = Callable[[Agency, str], Awaitable[None]]


async def sync(agency: Agency, community_id: str) -> None:
    await agency.post(f"/v1/communities/{community_id}/sync", status=202)


async def reconnect(agency: Agency, community_id: str) -> None:
    platform = (await agency.get(f"/v1/communities/{community_id}"))["platform"]
    body = {"credentials": {"user" if platform == "fake" else "community": "another-token"}}
    await agency.post(f"/v1/communities/{community_id}/reconnect", body, status=200)


async def pause(agency: Agency, community_id: str) -> None:
    await agency.post(f"/v1/communities/{community_id}/pause", status=200)


async def pause_and_resume(agency: Agency, community_id: str) -> None:
    await pause(agency, community_id)
    await agency.post(f"/v1/communities/{community_id}/resume", status=200)


ASKS: Final = (sync, reconnect, pause_and_resume)


@pytest.fixture
async def resources(resources: Resources) -> AsyncIterator[Resources]:
    """With a client for platforms, as a worker has it; all real ones are away."""
    async with httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(502))) as client:
        yield replace(resources, http=client)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """The platform `fake` with three posts and a customer who was answered."""
    made = World()
    register_adapters(monkeypatch, MappingProxyType({**adapters(), "fake": type("FakeHere", (Fake,), {"world": made})}))
    made.posts = [made.post(number, START - number * HOUR, reactions=10 * number) for number in range(1, 4)]
    made.messages = [made.message_from("ivan", 1, START + HOUR), _answer("ivan", 2, START + 2 * HOUR)]
    return made


def _answer(name: str, number: int, sent_at: Any) -> RemoteMessage:
    reply = World().message_from(name, number, sent_at, "We open at nine.")
    return replace(reply, author=RemotePerson("c1", "The Fake", is_community=True))


@pytest.fixture
async def watched(agency: Agency, world: World, clock: SetClock) -> Client:
    """A project whose community was connected, and watched for three days."""
    client = await empty_project(agency)
    body = {"project_id": client.project_id, "platform": "fake", "address": "https://fake.test/name"}
    made = await agency.post("/v1/communities", {**body, "credentials": {"user": "a-token"}})
    client.places["fake"] = CommunityRef(
        agency.workspace_id, UUID(client.project_id), UUID(made["id"]), "fake", client.zone.key
    )
    for number in range(3):
        await agency.work(POLL)
        world.size = 100 + 10 * number
        world.posts = [world.post(int(post.external_id), post.published_at, _more(post)) for post in world.posts]
        clock.advance(DAY)
        await agency.work(POLL)
    link_id = await client.link()
    await client.click(link_id, [(clock.now() - HOUR, 1, None), (clock.now() - HOUR, 2, "preview")])
    return client


def _community(client: Client) -> str:
    return str(client.places["fake"].community_id)


def _more(post: Any) -> int:
    return int(sum(post.metrics.counters.values())) + 7


def news(world: World, clock: SetClock) -> None:
    """All that can happen on a platform, happens."""
    assert world.size is not None
    world.size += 25
    world.posts = [world.post(int(post.external_id), post.published_at, _more(post)) for post in world.posts]
    world.posts.insert(0, world.post(9, clock.now() - HOUR, reactions=3))
    world.messages.append(world.message_from("olga", 3, clock.now() - HOUR))


async def figures(client: Client, **window: Any) -> Any:
    """Every answer there is about a project's KPIs, without the instant that it is of."""
    agency = client.agency
    answers = {answer["key"]: answer for answer in (await agency.get(client.path, **window))["data"]}
    return _without_freshness(
        {
            "answers": answers,
            "explained": {key: await agency.get(f"{client.path}/{key}/explain", **window) for key in answers},
            "evidence": {key: await client.evidence(key, limit=200, **window) for key in answers},
            "portfolio": await agency.get("/v1/portfolio/kpis", **window),
        }
    )


def _without_freshness(answer: Any) -> Any:
    if isinstance(answer, dict):
        left_out = {"freshness", "as_of", "links"}
        return {key: _without_freshness(one) for key, one in answer.items() if key not in left_out}
    return [_without_freshness(one) for one in answer] if isinstance(answer, list) else answer


async def row(agency: Agency, community_id: str) -> dict[str, Any]:
    """A community as it is stored."""
    query = select(Community.__table__).where(
        in_workspace(Community, agency.workspace_id), Community.id == UUID(community_id)
    )
    async with agency.resources.db.read_connection(agency.workspace_id) as connection:
        return dict((await connection.execute(query)).mappings().one())


@pytest.mark.parametrize("ask", [*ASKS, pause], ids=lambda ask: ask.__name__)
async def test_requesting_a_poll_changes_no_answer(busy: Client, ask: Act) -> None:
    """Weeks of life on two platforms; both are away when they are polled."""
    before = await figures(busy, **ALL)
    assert {key for key, one in before["answers"].items() if one["value"] is not None} == all_kpis().keys()
    for place in busy.places.values():
        await ask(busy.agency, str(place.community_id))
    assert await figures(busy, **ALL) == before
    await busy.agency.work(POLL)
    assert await figures(busy, **ALL) == before


@pytest.mark.parametrize("ask", ASKS, ids=lambda ask: ask.__name__)
@pytest.mark.parametrize(
    "trouble",
    [
        RateLimitReached(START + 3 * DAY + 2 * HOUR),
        Throttled("Too fast.", retry_after=7200, scope=LimitScope.TOKEN),
        Transient("Away."),
    ],
    ids=["budget spent", "throttled", "away"],
)
async def test_values_stay_until_the_poll_is_done_and_then_change(
    watched: Client, world: World, clock: SetClock, ask: Act, trouble: Exception
) -> None:
    agency, before = watched.agency, await figures(watched, **WINDOW)
    seen = (await row(agency, _community(watched)))["posts_seen_at"]
    assert before["answers"]["engagement"]["value"] > 0
    clock.advance(HOUR)
    news(world, clock)
    await ask(agency, _community(watched))
    assert await figures(watched, **WINDOW) == before
    world.calls.clear()
    world.fail = {method: [trouble] * 100 for method in METHODS}
    await agency.work(POLL)
    assert world.calls, "it was tried"
    assert await figures(watched, **WINDOW) == before
    clock.advance(HOUR / 2)
    await agency.work(POLL)
    assert await figures(watched, **WINDOW) == before
    assert (await row(agency, _community(watched)))["posts_seen_at"] == seen
    world.fail = {}
    clock.advance(3 * HOUR)
    await agency.work(POLL)
    after = await figures(watched, **WINDOW)
    assert {key for key in MOVES if after["answers"][key]["value"] == before["answers"][key]["value"]} == set()
    for key, one in after["answers"].items():
        assert (one["status"], one["reason"]) == tuple(before["answers"][key][name] for name in ("status", "reason"))


async def test_what_waits_for_its_rate_limit_keeps_its_values_while_the_rest_changes(
    watched: Client, world: World, clock: SetClock
) -> None:
    agency, before = watched.agency, (await figures(watched, **WINDOW))["answers"]
    clock.advance(HOUR)
    news(world, clock)
    await sync(agency, _community(watched))
    world.fail = {part: [RateLimitReached(clock.now() + HOUR)] * 100 for part in ("posts", "metrics", "comments")}
    await agency.work(POLL)
    after = (await figures(watched, **WINDOW))["answers"]
    for key in ("engagement", "reach", "clicks_per_post"):
        assert after[key] == before[key]
    for key in ("community_size", "inquiries_received"):
        assert (after[key]["status"], after[key]["value"] > before[key]["value"]) == ("ok", True)


async def test_repeated_paging_hides_nothing_meanwhile(watched: Client, world: World, clock: SetClock) -> None:
    """All pages from the first one, with a worker that dies between two of them."""

    class Killed(BaseException):
        pass

    def die(method: str) -> None:
        if method == "posts" and world.calls.count("posts") == 2:
            raise Killed

    agency, before = watched.agency, await figures(watched, **WINDOW)
    async with agency.resources.transaction(agency.workspace_id) as session:
        ours = in_workspace(Community, agency.workspace_id)
        await session.execute(update(Community).where(ours).values(posts_cursor=None, conversations_cursor=None))
    await sync(agency, _community(watched))
    world.calls.clear()
    world.after = die
    with pytest.raises(Killed):
        await agency.work(POLL)
    assert (await row(agency, _community(watched)))["posts_cursor"] == "2", "it is in the middle of it"
    assert await figures(watched, **WINDOW) == before


@pytest.mark.parametrize("ask", [*ASKS, pause], ids=lambda ask: ask.__name__)
async def test_requesting_a_poll_writes_no_column_that_kpis_read(watched: Client, clock: SetClock, ask: Act) -> None:
    """The state alone is: it is the reason of what is missing, and takes nothing away."""
    sources = "".join(path.read_text() for room in (kpis, metrics) for path in Path(room.__path__[0]).rglob("*.py"))
    read = set(re.findall(r"\bCommunity(?:Row)?\.(\w+)", sources)) & {one.name for one in Community.__table__.columns}
    assert {"size_seen_at", "posts_seen_at", "conversations_seen_at", "backfill_since"} <= read
    clock.advance(HOUR)
    before = await row(watched.agency, _community(watched))
    await ask(watched.agency, _community(watched))
    after = await row(watched.agency, _community(watched))
    assert {name for name in read if after[name] != before[name]} <= {"status"}


@pytest.mark.parametrize("part", ["size", "posts", "conversations"])
async def test_these_tests_would_notice(watched: Client, part: str) -> None:
    """What is known is forgotten, as if to have it read again: answers change."""
    before = await figures(watched, **WINDOW)
    async with watched.agency.resources.transaction(watched.agency.workspace_id) as session:
        ours = in_workspace(Community, watched.agency.workspace_id)
        await session.execute(update(Community).where(ours).values({f"{part}_seen_at": None}))
    after = await figures(watched, **WINDOW)
    worse = [key for key, one in before["answers"].items() if one != after["answers"][key]]
    assert worse
    assert "unknown" in {after["answers"][key]["status"] for key in worse} or part == "size"
