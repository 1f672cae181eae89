"""The VK adapter against a fake VK API server: addresses, the wall, metrics and errors."""

import itertools
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.platforms.capabilities import ListsComments, Receives, Replies
from app.platforms.contract import (
    Adapter,
    AuthExpired,
    Gone,
    LimitScope,
    Malformed,
    Metric,
    MetricStatus,
    PlatformError,
    RemotePost,
    Throttled,
    Transient,
)
from app.platforms.vk import adapter as module
from app.platforms.vk.adapter import ADAPTER, Vk
from tests.platforms.vk.server import (
    START,
    USER_TOKEN,
    FakeVk,
    answering,
    credentials,
    post,
)


def test_the_adapter_has_its_capabilities() -> None:
    adapter: Adapter = Vk(FakeVk().client())
    assert ADAPTER is Vk
    assert isinstance(adapter, ListsComments)
    assert isinstance(adapter, Replies)
    assert isinstance(adapter, Receives)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("https://vk.com/coffee", "https://vk.com/coffee"),
        ("http://vk.com/Coffee/", "https://vk.com/coffee"),
        ("vk.com/club123", "https://vk.com/club123"),
        ("https://vk.ru/public123", "https://vk.com/club123"),
        ("m.vk.com/event0123", "https://vk.com/club123"),
        ("@coffee.house", "https://vk.com/coffee.house"),
        ("club123", "https://vk.com/club123"),
        ("-123", "https://vk.com/club123"),
        ("https://vk.com/coffee?w=wall-1_2", "https://vk.com/coffee"),
    ],
)
def test_addresses_have_one_spelling(text: str, canonical: str) -> None:
    assert Vk.address(text).canonical == canonical
    assert Vk.address(canonical).canonical == canonical


@pytest.mark.parametrize("text", ["", "vk.com", "https://vk.com/", "https://vk.com/id1", "https://other.com/coffee"])
@pytest.mark.parametrize("around", ["{}", " {} "])
def test_an_invalid_address_is_rejected(text: str, around: str) -> None:
    with pytest.raises(ValueError, match=r"vk\.com"):
        Vk.address(around.format(text))


@pytest.mark.parametrize("text", ["club0", "-0", "https://vk.com/a/b", "wall-1_2", "https://[", "ftp://vk.com/coffee"])
def test_an_address_of_something_else_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match=r"vk\.com"):
        Vk.address(text)


async def test_a_hidden_size_is_unknown_and_a_closed_community_gone() -> None:
    for group, size in (({"id": 77, "name": "x"}, None), ({"id": 77, "name": "x", "members_count": 0}, 0)):
        assert (await answering({"response": {"groups": [group]}}).community(credentials())).size == size
    closed = {"id": 77, "name": "x", "deactivated": "banned"}
    with pytest.raises(Gone):
        await answering({"response": {"groups": [closed]}}).community(credentials())


async def test_a_post_with_its_counters() -> None:
    fake = FakeVk([post(9, edited=START + 60, views={})])
    [listed], _ = await list_posts(Vk(fake.client()))
    assert listed.external_id == "9"
    assert listed.url == "https://vk.com/wall-77_9"
    assert listed.published_at == datetime.fromtimestamp(START + 4, UTC)
    assert listed.edited_at == datetime.fromtimestamp(START + 60, UTC)
    assert listed.metrics.counters == {Metric.REACTIONS: 9, Metric.COMMENTS: 2, Metric.SHARES: 3}
    assert listed.metrics.missing[Metric.REACH] is MetricStatus.PENDING
    assert listed.metrics.missing[Metric.VIEWS] is MetricStatus.UNSUPPORTED
    assert set(listed.metrics.counters) | set(listed.metrics.missing) == set(Metric)


async def list_posts(
    adapter: Vk, cursor: str | None = None, since: datetime | None = None
) -> tuple[list[RemotePost], str]:
    posts: list[RemotePost] = []
    for _ in range(500):
        page = await adapter.posts(credentials(), cursor, since)
        posts += page.items
        cursor = page.cursor
        assert cursor is not None
        if not page.more:
            return posts, cursor
    raise AssertionError("the pages do not end")


async def test_an_unchanged_wall_is_read_in_four_requests_and_then_in_one() -> None:
    fake = FakeVk([post(key) for key in range(350, 0, -1)])
    adapter = Vk(fake.client())
    posts, cursor = await list_posts(adapter)
    assert [p.external_id for p in posts[:3]] == ["350", "349", "348"]
    assert {p.external_id for p in posts} == {str(key) for key in range(1, 351)}
    assert len(fake.calls) == 4
    fake.posts.insert(0, post(351))
    posts, _ = await list_posts(adapter, cursor)
    assert posts[0].external_id == "351"
    assert len(fake.calls) == 5


async def test_paging_ends_at_posts_that_are_too_old() -> None:
    fake = FakeVk([post(key) for key in range(350, 0, -1)])
    adapter = Vk(fake.client())
    since = datetime.fromtimestamp(START + 140, UTC)
    posts, cursor = await list_posts(adapter, since=since)
    assert {int(p.external_id) for p in posts} == set(range(280, 351))
    assert len(fake.calls) == 1
    fake.posts.insert(0, post(400))
    assert (await list_posts(adapter, cursor, since))[0][0].external_id == "400"


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 60), st.integers(0, 2**32), st.integers(0, 16))
async def test_no_post_is_missed_while_the_wall_changes(size: int, seed: int, churn: int) -> None:
    rng = random.Random(seed)
    fake = FakeVk([post(key) for key in range(size, 0, -1)])
    keys = itertools.count(size + 1)
    pins: list[int] = []
    quiet = False

    def change() -> None:
        for _ in range(0 if quiet else rng.randrange(churn + 1)):
            what = rng.random()
            if what < 0.4:
                fake.posts.insert(0, post(next(keys)))
            elif what < 0.8 and fake.posts:
                del fake.posts[rng.randrange(len(fake.posts))]
            elif fake.posts and pins:
                pin(pins.pop())

    def pin(pinned: int) -> None:
        for there in fake.posts:
            there["is_pinned"] = 0
        if fake.posts:
            rng.choice(fake.posts)["is_pinned"] = pinned

    fake.after_call = change
    adapter, seen, cursor = Vk(fake.client()), set[str](), None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "WALL_PAGE", 12)
        pin(rng.randrange(2))
        for _ in range(3):
            pins[:] = [1]  # while all pages are read, another post is pinned instead
            posts, cursor = await list_posts(adapter, cursor)
            seen |= {p.external_id for p in posts}
        quiet = True
        posts, cursor = await list_posts(adapter, cursor)
        seen |= {p.external_id for p in posts}
    assert {str(p["id"]) for p in fake.posts} <= seen


async def test_only_published_posts_of_the_community_are_listed() -> None:
    others = [post(3, from_id=5), post(2, post_type="suggest"), post(1, is_deleted=True)]
    posts, _ = await list_posts(Vk(FakeVk([post(4), *others]).client()))
    assert [p.external_id for p in posts] == ["4"]


async def test_paging_does_not_end_at_an_old_pinned_post() -> None:
    fake = FakeVk([post(key) for key in range(350, 0, -1)])
    adapter = Vk(fake.client())
    _, cursor = await list_posts(adapter)
    fake.posts[-1]["is_pinned"] = 1
    fake.posts[:0] = [post(key) for key in range(600, 350, -1)]
    posts, _ = await list_posts(adapter, cursor)
    assert {int(p.external_id) for p in posts} >= {1, *range(351, 601)}


async def test_metrics_and_reach() -> None:
    fake = FakeVk([post(key) for key in range(100, 1, -1)])
    ids = tuple(str(key) for key in range(1, 101))
    metrics = await Vk(fake.client()).metrics(credentials(), ids)
    assert tuple(m.external_id for m in metrics) == ids
    assert metrics[0].gone
    assert metrics[0].counters == {}
    assert metrics[41].counters == {
        Metric.REACTIONS: 42,
        Metric.COMMENTS: 2,
        Metric.SHARES: 3,
        Metric.VIEWS: 1000,
        Metric.REACH: 420,
    }
    assert [name for name, _ in fake.calls] == ["wall.getById", "execute"] + 4 * ["stats.getPostReach"]


@pytest.mark.parametrize(
    ("code", "status"),
    [(7, "no_permission"), (5, "no_permission"), (15, "no_permission"), (10, "error"), (6, "error"), (100, "error")],
)
async def test_an_error_of_reach_leaves_the_other_metrics(code: int, status: str) -> None:
    fake = FakeVk([post(2)], errors={"stats.getPostReach": code})
    [metrics] = await Vk(fake.client()).metrics(credentials(), ("2",))
    assert metrics.counters[Metric.VIEWS] == 1000
    assert metrics.missing[Metric.REACH] == MetricStatus(status)


async def test_reach_that_is_not_in_the_response_is_pending() -> None:
    rows = [{"post_id": 2}, {"post_id": 3, "reach_total": 0}]
    answers = iter([{"response": {"items": [post(key) for key in (2, 3, 4)]}}, {"response": [rows]}])
    http = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(200, json=next(answers))))
    two, three, four = await Vk(http).metrics(credentials(), ("2", "3", "4"))
    assert two.missing[Metric.REACH] is four.missing[Metric.REACH] is MetricStatus.PENDING
    assert three.counters[Metric.REACH] == 0


async def test_too_many_posts_at_once_are_refused() -> None:
    with pytest.raises(ValueError, match="100"):
        await Vk(FakeVk().client()).metrics(credentials(), tuple(map(str, range(101))))


@pytest.mark.parametrize(
    ("response", "error"),
    [
        (httpx.Response(500), Transient),
        (httpx.Response(503, text="<html>"), Transient),
        (httpx.Response(429, headers={"retry-after": "5"}), Throttled),
        (httpx.Response(401), AuthExpired),
        (httpx.Response(404), Malformed),
        (httpx.Response(302, headers={"location": "/"}), Malformed),
        (httpx.Response(200, json={"error": {"error_code": 123456789}}), Transient),
        (httpx.Response(200, json={"response": 1}), None),
    ],
)
def test_http_responses_are_classified(response: httpx.Response, error: type[PlatformError] | None) -> None:
    raised = Vk(FakeVk().client()).classify(response)
    assert raised is None if error is None else type(raised) is error


def test_too_many_requests_a_second_have_a_retry_after() -> None:
    error = Vk(FakeVk().client()).classify(httpx.Response(200, json=FakeVk.error(6)))
    assert isinstance(error, Throttled)
    assert (error.retry_after, error.scope) == (1.0, LimitScope.TOKEN)


@settings(max_examples=200)
@given(st.integers(-5, 12000), st.text(max_size=50))
def test_an_error_does_not_contain_the_token(code: int, text: str) -> None:
    body = {"error": {"error_code": code, "error_msg": text + USER_TOKEN}}
    request = httpx.Request(
        "POST", f"https://api.vk.ru/method/messages.send?access_token={USER_TOKEN}", data={"access_token": USER_TOKEN}
    )
    error = Vk(FakeVk().client()).classify(httpx.Response(200, json=body, request=request))
    assert error is not None
    assert USER_TOKEN not in f"{error} {error!r} {error.__dict__}"


@pytest.mark.parametrize("body", ["", "{}", "null", '{"response": 1}', '{"response": {"items": 1}}', "<html>"])
async def test_an_unexpected_response_is_malformed(body: str) -> None:
    adapter = Vk(httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(200, text=body))))
    c = credentials()
    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: adapter.community(c),
        lambda: adapter.posts(c, None),
        lambda: adapter.metrics(c, ("1",)),
        lambda: adapter.comments(c, "1", None),
        lambda: adapter.conversations(c, None),
    ]
    for call in calls:
        with pytest.raises(Malformed):
            await call()
