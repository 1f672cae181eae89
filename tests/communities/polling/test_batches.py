"""Metrics groups: one call measures posts of several communities; cooldowns are respected; failures do not spread."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, ClassVar

import httpx
import pytest
from sqlalchemy import func, select

from app.communities import publications
from app.communities.models import Community, Publication
from app.communities.polling import worker_slots
from app.communities.polling.rate_limits import RateLimitReached
from app.kit import jobs
from app.kit.clock import SetClock
from app.metrics.models import PostSnapshot
from app.platforms import adapters
from app.platforms.capabilities import PostRef
from app.platforms.contract import (
    AuthExpired,
    CommunitySnapshot,
    Credentials,
    LimitScope,
    Metric,
    Page,
    PlatformError,
    PostMetrics,
    RateLimit,
    Rejected,
    RemoteMessage,
    RemotePost,
    Spec,
    Throttled,
    Token,
    Transient,
)
from tests.communities.conftest import MISSING, START, Fake, World, register_adapters
from tests.conftest import Agency

POLL, MEASURE = "communities.poll", "communities.measure"


@dataclass
class SharedWorld:
    """Several communities on one platform, each with its posts, and a record of the calls."""

    posts: dict[str, int] = field(default_factory=dict)
    """The number of posts of each community, by its name."""
    measured: list[tuple[PostRef, ...]] = field(default_factory=list)
    calls: list[tuple[str, str]] = field(default_factory=list)
    """The method and the calling community of each call."""
    fail: dict[str, list[PlatformError]] = field(default_factory=dict)
    """By community: errors of its next calls."""
    fail_metrics: list[PlatformError] = field(default_factory=list)
    """Errors of the next calls for counters, by any community."""
    gone: set[tuple[str, str]] = field(default_factory=set)
    poisoned: dict[tuple[str, str], PlatformError] = field(default_factory=dict)
    """Posts that make each call for them fail."""
    before: Callable[[], Awaitable[None]] | None = None
    """Awaited in every call."""


class Shared(Fake):
    """The adapter; its batch takes five posts of communities with the same user token."""

    spec: ClassVar[Spec] = replace(
        Fake.spec,
        key="shared",
        metrics_batch=5,
        tokens=frozenset({Token.USER, Token.COMMUNITY}),
        metrics_group_tokens=frozenset({Token.USER}),
        rate_limits=(RateLimit(10_000, 60, LimitScope.TOKEN),),
    )
    shared: ClassVar[SharedWorld]

    async def _called_by(self, method: str, c: Credentials) -> str:
        name = c.address.rpartition("/")[2]
        if self.shared.before is not None:
            await self.shared.before()
        headers = {"authorization": f"Bearer {c.tokens.get(Token.USER, 'nobody')}"}
        await self.http.get(f"{c.base_url}/{method}", headers=headers)
        self.shared.calls.append((method, name))
        if waiting := self.shared.fail.get(name):
            raise waiting.pop(0)
        return name

    async def community(self, c: Credentials) -> CommunitySnapshot:
        name = await self._called_by("community", c)
        return CommunitySnapshot(name, name, c.address, 100)

    async def posts(self, c: Credentials, cursor: str | None, since: Any = None) -> Page[RemotePost]:
        name = await self._called_by("posts", c)
        posts = [
            RemotePost(f"{name}-{n}", "https://fake.test", "", START - timedelta(days=1, minutes=n), counted(name, n))
            for n in range(self.shared.posts.get(name, 0))
        ]
        return Page(tuple(posts), "{}", False)

    async def conversations(self, c: Credentials, cursor: str | None, since: Any = None) -> Page[RemoteMessage]:
        return Page((), "{}", False)

    async def comments(
        self, c: Credentials, post_id: str, cursor: str | None, since: Any = None
    ) -> Page[RemoteMessage]:
        return Page((), "{}", False)

    async def metrics_across(self, c: Credentials, posts: tuple[PostRef, ...]) -> tuple[PostMetrics, ...]:
        await self._called_by("metrics", c)
        assert len(posts) <= self.spec.metrics_batch
        if self.shared.fail_metrics:
            raise self.shared.fail_metrics.pop(0)
        for post in posts:
            if (post.community_id, post.post_id) in self.shared.poisoned:
                raise self.shared.poisoned[post.community_id, post.post_id]
        self.shared.measured.append(posts)
        return tuple(
            PostMetrics(post.post_id, {}, gone=True)
            if (post.community_id, post.post_id) in self.shared.gone
            else counted(post.community_id, int(post.post_id.rpartition("-")[2]))
            for post in posts
        )


def counted(name: str, number: int) -> PostMetrics:
    counters = {Metric.REACTIONS: len(name) * 100 + number, Metric.COMMENTS: 0}
    return PostMetrics(f"{name}-{number}", counters, MISSING)


@pytest.fixture
def shared(world: World, monkeypatch: pytest.MonkeyPatch) -> SharedWorld:
    made = SharedWorld()
    kind = type("SharedHere", (Shared,), {"world": world, "shared": made})
    register_adapters(monkeypatch, {**adapters(), "shared": kind})
    return made


async def connect(agency: Agency, project_id: str, name: str, **tokens: str) -> dict[str, Any]:
    # Limits are counted by token, so each test has its own.
    tokens = {"user": "one"} | tokens
    tokens["user"] += project_id
    body = {
        "project_id": project_id,
        "platform": "shared",
        "address": f"https://fake.test/{name}",
        "credentials": tokens,
    }
    made: dict[str, Any] = await agency.post("/v1/communities", body)
    return made


async def status(agency: Agency, community: Mapping[str, Any]) -> str:
    return str((await agency.get(f"/v1/communities/{community['id']}/health"))["status"])


async def test_a_batch_is_filled_from_all_communities_of_a_token(
    agency: Agency, project_id: str, shared: SharedWorld, clock: SetClock
) -> None:
    shared.posts = {"a": 2, "bb": 2, "ccc": 1, "other": 2}
    for name in ("a", "bb", "ccc"):
        await connect(agency, project_id, name, community=f"own-{name}")
    await connect(agency, project_id, "other", user="two")
    await agency.work(POLL)
    assert shared.measured == [], "the list showed their counters"
    shared.gone = {("bb", "bb-1")}
    clock.advance(timedelta(hours=6, minutes=5))
    shared.posts = {}  # the lists are empty now
    await agency.work(POLL, MEASURE)
    batches = sorted(sorted(ref.community_id for ref in batch) for batch in shared.measured)
    assert batches == [["a", "a", "bb", "bb", "ccc"], ["other", "other"]]
    async with agency.resources.transaction(agency.workspace_id) as session:
        rows = await session.execute(
            select(Community.external_id, func.max(PostSnapshot.reactions), func.count(PostSnapshot.at))
            .join(Publication, Publication.community_id == Community.id)
            .join(PostSnapshot, PostSnapshot.publication_id == Publication.id)
            .group_by(Community.external_id)
        )
        assert {row[0]: (row[1], row[2]) for row in rows} == {
            "a": (101, 4),
            "bb": (201, 3),
            "ccc": (300, 2),
            "other": (501, 4),
        }
        gone = await session.scalars(select(Publication.external_id).where(Publication.gone_at.is_not(None)))
        assert gone.all() == ["bb-1"]


async def test_metrics_requested_while_a_group_reads_them_are_read_again(
    agency: Agency, project_id: str, shared: SharedWorld, clock: SetClock
) -> None:
    shared.posts = {"a": 2, "bb": 1}
    a, _ = await connect(agency, project_id, "a"), await connect(agency, project_id, "bb")
    await agency.work(POLL)

    async def sync() -> None:
        shared.before = None
        clock.advance(timedelta(seconds=1))
        await agency.post(f"/v1/communities/{a['id']}/sync", status=202)
        clock.advance(timedelta(seconds=1))

    shared.posts = {}  # the lists are empty now
    clock.advance(timedelta(hours=6, minutes=5))
    await agency.work(POLL)
    shared.before = sync
    await agency.work(MEASURE)
    first, *others = [sorted(ref.post_id for ref in batch) for batch in shared.measured]
    assert first == ["a-0", "a-1", "bb-0"]
    assert others == [["a-0", "a-1"]], "what belongs to another community was not asked for"


async def test_a_batch_that_is_not_full_takes_along_what_is_due_soon(
    agency: Agency, project_id: str, shared: SharedWorld, clock: SetClock
) -> None:
    shared.posts = {"a": 3}
    await connect(agency, project_id, "a")
    await agency.work(POLL)
    async with agency.resources.transaction(agency.workspace_id) as session:
        rows = (await session.scalars(select(Publication).order_by(Publication.external_id))).all()
        for row, minutes in zip(rows, (0, 14, 16), strict=True):
            row.measure_at = clock.now() + timedelta(minutes=minutes)
    clock.advance(timedelta(seconds=1))
    async with agency.resources.transaction(agency.workspace_id) as session:
        from app.communities.polling import batches

        community = (await session.scalars(select(Community))).one()
        await batches.schedule_measuring(session, community.metrics_group, [community.id])
    await agency.work(MEASURE)
    assert [[ref.post_id for ref in batch] for batch in shared.measured] == [["a-0", "a-1"]]


async def test_a_hold_stops_all_requests_of_its_token_and_no_others(
    agency: Agency, project_id: str, shared: SharedWorld, clock: SetClock
) -> None:
    """After a 429 no community of the group calls until the cooldown ends."""
    for name in ("a", "bb", "ccc"):
        await connect(agency, project_id, name)
    other = await connect(agency, project_id, "other", user="two")
    await agency.work(POLL)
    clock.advance(timedelta(hours=1))
    shared.calls.clear()
    shared.fail = {
        name: [Throttled("too many", retry_after=600, scope=LimitScope.TOKEN)] for name in ("a", "bb", "ccc")
    }
    await agency.work(POLL)
    ours = [name for _, name in shared.calls if name != "other"]
    assert len(ours) == 1, "the first was refused, the others did not call"
    assert await status(agency, other) == "healthy"
    for _ in range(9):
        clock.advance(timedelta(seconds=66))
        await agency.work(POLL)
    assert [name for _, name in shared.calls if name != "other"] == ours
    shared.fail.clear()
    clock.advance(timedelta(seconds=10))
    await agency.work(POLL)
    assert {name for _, name in shared.calls} == {"a", "bb", "ccc", "other"}


async def test_a_community_that_fails_backs_off_alone(
    agency: Agency, project_id: str, shared: SharedWorld, clock: SetClock
) -> None:
    shared.posts = {"good": 1, "bad": 1}
    good, bad = await connect(agency, project_id, "good"), await connect(agency, project_id, "bad")
    await agency.work(POLL)
    shared.fail = {"bad": [Transient("unwell")] * 1000}
    for least, most in ((2, 20), (2, 3)):
        shared.calls.clear()
        for _ in range(60):
            clock.advance(timedelta(minutes=1))
            await agency.work(POLL, MEASURE)
        polled = [name for method, name in shared.calls if method == "posts"]
        assert polled.count("good") >= least
        assert polled.count("bad") <= most, "longer and longer"
    assert (await status(agency, good), await status(agency, bad)) == ("healthy", "degraded")


async def test_another_member_of_a_group_calls_when_one_is_refused(
    agency: Agency, project_id: str, shared: SharedWorld, clock: SetClock
) -> None:
    shared.posts = {"a": 1, "bb": 1}
    for name in ("a", "bb"):
        await connect(agency, project_id, name)
    await agency.work(POLL)
    shared.fail = {"a": [AuthExpired("refused", token=Token.USER)] * 1000}
    for _ in range(8 * 60):
        clock.advance(timedelta(minutes=1))
        await agency.work(POLL, MEASURE)
    assert "bb" in {ref.community_id for batch in shared.measured for ref in batch}
    assert {name for method, name in shared.calls if method == "metrics"} >= {"bb"}


async def test_unreadable_counters_degrade_all_of_a_group(
    agency: Agency, project_id: str, shared: SharedWorld, clock: SetClock
) -> None:
    """All communities of the group show it until a metrics poll succeeds; other successful polls do not clear it."""
    shared.posts = {"a": 1, "bb": 1, "ccc": 1}
    ours = [await connect(agency, project_id, name) for name in shared.posts]
    other = await connect(agency, project_id, "other", user="two")
    await agency.work(POLL, MEASURE)
    shared.posts = {}  # the lists are empty now
    shared.fail_metrics = [Rejected("no counters today")] * 1000
    clock.advance(timedelta(hours=6, minutes=5))
    await agency.work(MEASURE)
    for turn in range(40):
        await agency.work((POLL, MEASURE)[turn % 2])
        seen = [await agency.get(f"/v1/communities/{one['id']}/health") for one in ours]
        assert [(one["status"], one["code"]) for one in seen] == [("degraded", "rejected")] * 3
        assert seen[0]["reason"].startswith("no counters today")
        assert await status(agency, other) == "healthy"
        clock.advance(timedelta(minutes=turn % 2))
    assert {name for method, name in shared.calls if method == "metrics"} == {"a", "bb", "ccc"}, "each had its turn"
    shared.fail["ccc"] = [Transient("unwell")] * 1000
    clock.advance(timedelta(hours=1))
    await agency.work(POLL)
    shared.fail_metrics.clear()
    await agency.work(MEASURE)
    assert [await status(agency, one) for one in ours] == ["healthy", "healthy", "degraded"], "a poll has its own word"
    shared.fail.clear()
    clock.advance(timedelta(hours=1))
    await agency.work(POLL, MEASURE)
    seen = [await agency.get(f"/v1/communities/{one['id']}/health") for one in ours]
    assert [(one["status"], one["code"], one["reason"]) for one in seen] == [("healthy", None, None)] * 3


async def test_one_post_does_not_freeze_the_counters_of_its_group(
    agency: Agency, project_id: str, shared: SharedWorld, clock: SetClock
) -> None:
    shared.posts = {"a": 2, "bb": 3}
    ours = [await connect(agency, project_id, name) for name in shared.posts]
    await agency.work(POLL, MEASURE)
    shared.poisoned["a", "a-1"] = Transient("suspended", platform_code="500")
    clock.advance(timedelta(days=1))
    shared.measured.clear()
    await agency.work(MEASURE)
    read = {(ref.community_id, ref.post_id) for batch in shared.measured for ref in batch}
    assert read == {("a", "a-0"), ("bb", "bb-0"), ("bb", "bb-1"), ("bb", "bb-2")}
    for one, unread in zip(ours, (1, 0), strict=True):
        seen = await agency.get(f"/v1/communities/{one['id']}/health")
        counters = next(part for part in seen["parts"] if part["part"] == "counters")
        assert (seen["status"], counters["status"], counters["unread_items"]) == ("healthy", "ok", unread)
    shared.calls.clear()
    clock.advance(timedelta(minutes=5))
    await agency.work(MEASURE)
    assert [method for method, _ in shared.calls] == ["metrics"], "it is tried again alone"
    shared.poisoned.clear()
    clock.advance(timedelta(minutes=10))
    shared.measured.clear()
    await agency.work(MEASURE)
    assert [ref.post_id for batch in shared.measured for ref in batch] == ["a-1"]
    seen = await agency.get(f"/v1/communities/{ours[0]['id']}/health")
    assert [part["unread_items"] for part in seen["parts"]] == [0] * len(seen["parts"])


async def test_counters_that_wait_for_long_make_the_group_degraded(
    agency: Agency, project_id: str, shared: SharedWorld, clock: SetClock
) -> None:
    shared.posts = {"a": 2}
    community = await connect(agency, project_id, "a")
    await agency.work(POLL, MEASURE)
    clock.advance(timedelta(hours=6, minutes=5))

    async def used_up() -> None:
        raise RateLimitReached(clock.now() + timedelta(minutes=1))

    shared.before = used_up
    states = []
    for _ in range(15):
        await agency.work(MEASURE)
        seen = await agency.get(f"/v1/communities/{community['id']}/health")
        states.append((seen["status"], seen["code"]))
        clock.advance(timedelta(minutes=1))
    assert states[0] == ("healthy", None)
    assert states[-1] == ("degraded", "rate-limited")
    shared.before = None
    await agency.work(MEASURE)
    assert await status(agency, community) == "healthy"


async def test_an_internal_error_in_a_group_is_recorded(
    agency: Agency, project_id: str, shared: SharedWorld, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared.posts = {"a": 1}
    community = await connect(agency, project_id, "a")
    await agency.work(POLL, MEASURE)
    shared.posts = {}

    async def fail(*_: Any) -> None:
        raise RuntimeError("a bug")

    with monkeypatch.context() as broken:
        broken.setattr(publications, "store_metrics", fail)
        clock.advance(timedelta(hours=6, minutes=5))
        states = []
        for _ in range(4):
            await agency.work(POLL, MEASURE)
            states.append(await status(agency, community))
            clock.advance(timedelta(seconds=65))
    assert states == ["healthy", "healthy", "degraded", "degraded"]
    clock.advance(timedelta(minutes=1))
    await agency.work(POLL, MEASURE)
    assert await status(agency, community) == "healthy"


async def test_a_platform_that_hangs_takes_no_more_than_its_slots(
    agency: Agency, project_id: str, shared: SharedWorld, clock: SetClock
) -> None:
    """While any number of communities hang, another platform's are polled; the other jobs are snoozed briefly."""
    many = worker_slots.MAX_PER_API + 10
    for number in range(many):
        await connect(agency, project_id, f"n{number}")
    hanging, waiting, full = 0, asyncio.Event(), asyncio.Event()

    async def hang() -> None:
        nonlocal hanging
        hanging += 1
        if hanging == worker_slots.MAX_PER_API:
            full.set()
        await waiting.wait()

    shared.before = hang
    due = await agency.due(POLL)
    attempts = [asyncio.create_task(jobs.perform(agency.resources, job)) for job in due]
    calling = set(attempts)
    async with asyncio.timeout(60):
        while len(calling) > worker_slots.MAX_PER_API:  # the other jobs free their worker
            _, calling = await asyncio.wait(calling, return_when=asyncio.FIRST_COMPLETED)
        await full.wait()
    assert hanging == worker_slots.MAX_PER_API
    with worker_slots.slot(run_of(agency), "https://another.test"):
        pass
    shared.before = None
    waiting.set()
    await asyncio.gather(*attempts)
    clock.advance(worker_slots.RETRY_AFTER)
    await agency.work(POLL)
    assert {name for method, name in shared.calls if method == "posts"} == {f"n{number}" for number in range(many)}


def run_of(agency: Agency) -> jobs.Run:
    return jobs.Run(agency.resources, uuid.uuid4(), POLL, agency.workspace_id, 1, 1)


@pytest.fixture
async def resources(resources: Any) -> Any:
    """Resources with an HTTP client that answers everything, so that calls are counted."""
    async with httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(200))) as client:
        yield replace(resources, http=client)
