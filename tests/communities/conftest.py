"""A fake platform: an adapter over data that the test sets."""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import httpx
import pytest

from app.communities import health, platform_client, service
from app.kit.resources import Resources
from app.metrics import routes as metrics_routes
from app.platforms.contract import (
    Address,
    CommunityIdentity,
    CommunitySnapshot,
    Credentials,
    LimitScope,
    MessageKind,
    Metric,
    MetricStatus,
    Page,
    PlatformError,
    PostMetrics,
    RateLimit,
    RemoteMessage,
    RemotePerson,
    RemotePost,
    Spec,
    Token,
)
from app.posts import permalinks
from tests.conftest import Agency

if TYPE_CHECKING:
    from tests.communities.renewing import FakePlatform

MISSING: dict[Metric, MetricStatus] = {
    metric: MetricStatus.UNSUPPORTED for metric in Metric if metric not in {Metric.REACTIONS, Metric.COMMENTS}
}


@dataclass
class World:
    """The data of the fake platform, and the errors it raises."""

    size: int | None = 100
    posts: list[RemotePost] = field(default_factory=list)
    """Newest first."""
    messages: list[RemoteMessage] = field(default_factory=list)
    """Oldest first."""
    comments: dict[str, list[RemoteMessage]] = field(default_factory=dict)
    fail: dict[str, list[Exception]] = field(default_factory=dict)
    """Errors that the next calls of a method raise."""
    calls: list[str] = field(default_factory=list)
    after: Callable[[str], None] | None = None
    """Called when a method has computed its result, before it returns."""
    page: int = 2

    def post(self, number: int, published_at: datetime, reactions: int, comments: int = 0) -> RemotePost:
        """A post with its present counters."""
        return RemotePost(
            external_id=str(number),
            url=f"https://fake.test/{number}",
            text=f"Post {number}",
            published_at=published_at,
            metrics=PostMetrics(str(number), {Metric.REACTIONS: reactions, Metric.COMMENTS: comments}, MISSING),
        )

    def message_from(self, name: str, number: int, sent_at: datetime, text: str = "Hello?") -> RemoteMessage:
        """A direct message of a customer."""
        return RemoteMessage(
            external_id=f"m{number}",
            thread_id=f"with-{name}",
            kind=MessageKind.MESSAGE,
            author=RemotePerson(name, name.title()),
            text=text,
            sent_at=sent_at,
        )


class Fake:
    """The adapter; a subclass for each test has that test's `world`."""

    spec: ClassVar[Spec] = Spec(
        key="fake",
        title="Fake",
        api_version="1",
        base_url="https://api.fake.test",
        metrics=frozenset({Metric.REACTIONS, Metric.COMMENTS}),
        rate_limits=(RateLimit(100_000, 60, LimitScope.ADDRESS),),
        metrics_batch=3,
        text_limit=500,
        tokens=frozenset({Token.USER}),
        public=True,
        address_hint="https://fake.test/name",
    )
    world: ClassVar[World]

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http

    @classmethod
    def address(cls, text: str) -> Address:
        if not text.startswith("https://fake.test/"):
            raise ValueError("That is not an address of Fake.")
        return Address(text.lower())

    @staticmethod
    def post_key(community: CommunityIdentity, url: str) -> str | None:
        return url.rpartition("/")[2] or None

    def _called(self, name: str) -> None:
        self.world.calls.append(name)
        waiting = self.world.fail.get(name)
        if waiting:
            raise waiting.pop(0)

    def _answered(self, name: str) -> None:
        if self.world.after is not None:
            self.world.after(name)

    async def community(self, c: Credentials) -> CommunitySnapshot:
        self._called("community")
        self._answered("community")
        return CommunitySnapshot("c1", "The Fake", "https://fake.test/name", self.world.size)

    async def posts(self, c: Credentials, cursor: str | None, since: datetime | None = None) -> Page[RemotePost]:
        self._called("posts")
        # `3`: the latest three are read; `done 7`: all are read, and 7 was the latest.
        matching = [post for post in self.world.posts if since is None or post.published_at >= since]
        start = 0
        if cursor is not None and cursor.startswith("done "):
            ids = [post.external_id for post in matching]
            last_read = cursor.removeprefix("done ")
            matching = matching[: ids.index(last_read)] if last_read in ids else matching
        elif cursor is not None:
            start = int(cursor)
        items = tuple(matching[start : start + self.world.page])
        more = start + self.world.page < len(matching)
        latest = self.world.posts[0].external_id if self.world.posts else ""
        self._answered("posts")
        return Page(items, str(start + self.world.page) if more else f"done {latest}", more)

    async def metrics(self, c: Credentials, ids: tuple[str, ...]) -> tuple[PostMetrics, ...]:
        self._called("metrics")
        by_id = {post.external_id: post.metrics for post in self.world.posts}
        self._answered("metrics")
        return tuple(by_id.get(i, PostMetrics(i, {}, gone=True)) for i in ids)

    async def conversations(
        self, c: Credentials, cursor: str | None, since: datetime | None = None
    ) -> Page[RemoteMessage]:
        self._called("conversations")
        start = int(cursor or 0)
        items = tuple(self.world.messages[start : start + self.world.page])
        self._answered("conversations")
        return Page(items, str(start + len(items)), start + len(items) < len(self.world.messages))

    async def comments(
        self, c: Credentials, post_id: str, cursor: str | None, since: datetime | None = None
    ) -> Page[RemoteMessage]:
        self._called("comments")
        self._answered("comments")
        return Page(tuple(self.world.comments.get(post_id, ())), None, False)

    def classify(self, response: httpx.Response) -> PlatformError | None:
        return None


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """The data of the platform `fake`, empty at first."""
    made = World()
    adapter_class = type("FakeHere", (Fake,), {"world": made})
    from app.platforms import adapters

    adapter_classes = MappingProxyType({**adapters(), "fake": adapter_class})
    register_adapters(monkeypatch, adapter_classes)
    return made


def register_adapters(monkeypatch: pytest.MonkeyPatch, adapter_classes: Mapping[str, Any]) -> None:
    """Make these the only registered adapters."""
    monkeypatch.setattr(service, "adapters", lambda: adapter_classes)
    for room in (platform_client, health, metrics_routes, permalinks):
        monkeypatch.setattr(room, "adapter_of", adapter_classes.__getitem__)


@pytest.fixture
def fake_platform(world: World, monkeypatch: pytest.MonkeyPatch) -> "FakePlatform":
    """The platform `fake` with tokens that expire and are renewed."""
    from tests.communities.renewing import install

    return install(world, monkeypatch)


@pytest.fixture
async def resources(resources: Resources) -> AsyncIterator[Resources]:
    """Resources with an HTTP client for platforms, as a worker has."""
    async with httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(500))) as client:
        yield replace(resources, http=client)


@pytest.fixture
async def project_id(agency: Agency) -> str:
    """A client's project."""
    made = await agency.post("/v1/projects", {"title": "Coffee house", "timezone": "Europe/Minsk"})
    return str(made["id"])


@pytest.fixture
async def community(agency: Agency, project_id: str, world: World) -> dict[str, Any]:
    """A community of the platform `fake`, connected but not polled yet."""
    body = {
        "project_id": project_id,
        "platform": "fake",
        "address": "https://fake.test/name",
        "credentials": {"user": "first-token"},
    }
    made: dict[str, Any] = await agency.post("/v1/communities", body)
    return made


START = datetime(2026, 10, 15, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
