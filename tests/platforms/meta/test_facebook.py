"""The Facebook adapter against a fake Graph API server."""

import base64
import gzip
import hashlib
import hmac
import json
import random
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from app.platforms.capabilities import (
    Event,
    HookRequest,
    HookResult,
    HookState,
    Inspects,
    ListsComments,
    OutgoingPost,
    Picture,
    Publishes,
    Receives,
    Refreshes,
    Replies,
    ReplyTo,
    ReportsUsage,
    Subscribes,
    TokenState,
    Usage,
)
from app.platforms.contract import (
    COST,
    Adapter,
    AuthExpired,
    Credentials,
    Gone,
    LimitScope,
    Malformed,
    MessageKind,
    Metric,
    MetricStatus,
    MissingPermission,
    Page,
    Rejected,
    RemoteMessage,
    RemotePerson,
    Throttled,
    Token,
    Transient,
)
from app.platforms.meta.facebook import ADAPTER, Facebook
from tests.platforms.meta.server import START, FakeGraph, Node, graph_error, graph_time
from tests.platforms.specimens import PIXEL

PAGE = "77"
PAGE_TOKEN = "EAABpage-token"
USER_TOKEN = "EAABuser-token"
APP = {"client_id": "4400", "client_secret": "the-app's-secret"}
APP_TOKEN = "4400|the-app's-secret"
BOTH = {Token.COMMUNITY: PAGE_TOKEN, Token.USER: USER_TOKEN}
SECRETS = {"verify_token": "agreed", "app_secret": "the-app's-secret"}
HOOK = "https://instep.example/v1/hooks/1"


def fake_graph() -> FakeGraph:
    graph = FakeGraph(frozenset({PAGE_TOKEN, USER_TOKEN, APP_TOKEN, ""}))
    graph.nodes[PAGE] = {"id": PAGE, "name": "Coffee", "link": "https://www.facebook.com/coffee", "fan_count": 900}
    graph.metrics = {"post_media_view", "post_total_media_view_unique"}
    graph.lists = {f"{PAGE}/published_posts": [], f"{PAGE}/conversations": []}
    return graph


def credentials(
    tokens: Mapping[Token, str] = BOTH, external_id: str | None = PAGE, app: Mapping[str, str] = APP
) -> Credentials:
    return Credentials("https://www.facebook.com/coffee", "https://graph.facebook.com", external_id, tokens, app)


def adapter(graph: FakeGraph) -> Facebook:
    return Facebook(graph.client())


def post(number: int, minutes: float, **more: object) -> Node:
    node = {"id": f"{PAGE}_{number}", "created_time": graph_time(minutes), "message": f"post {number}"}
    return {**node, "comments": {"data": [], "summary": {"total_count": number}}, **more}


def counted(number: int, reactions: int, shares: int | None) -> Node:
    more = {} if shares is None else {"shares": {"count": shares}}
    return post(number, number, reactions={"data": [], "summary": {"total_count": reactions}}, **more)


async def read_all(
    list_page: Callable[[str | None], Awaitable[Page[Any]]], cursor: str | None = None
) -> tuple[list[Any], str | None]:
    """The items of all pages, and the last cursor."""
    items: list[Any] = []
    for _ in range(1000):
        page = await list_page(cursor)
        items += page.items
        cursor = page.cursor
        if not page.more:
            return items, cursor
    raise AssertionError("the pages do not end")


def test_the_adapter_has_its_capabilities() -> None:
    instance: Adapter = adapter(fake_graph())
    assert ADAPTER is Facebook
    for capability in (ListsComments, Replies, Publishes, Refreshes, Inspects, ReportsUsage, Receives, Subscribes):
        assert isinstance(instance, capability)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("https://www.facebook.com/Coffee.House", "coffee.house"),
        ("facebook.com/coffee/", "coffee"),
        ("m.facebook.com/coffee?ref=bookmarks", "coffee"),
        ("fb.com/coffee", "coffee"),
        ("@coffee", "coffee"),
        ("1234567", "1234567"),
        ("https://www.facebook.com/profile.php?id=61550001234567", "61550001234567"),
        ("https://www.facebook.com/people/Coffee-House/61550001234567/", "61550001234567"),
        ("https://www.facebook.com/pages/Coffee/61550001234567", "61550001234567"),
        ("https://www.facebook.com/p/Coffee-House-61550001234567/", "61550001234567"),
    ],
)
def test_addresses_have_one_spelling(text: str, name: str) -> None:
    assert Facebook.address(f" {text} ").canonical == f"https://www.facebook.com/{name}"
    assert Facebook.address(Facebook.address(text).canonical).canonical == f"https://www.facebook.com/{name}"


@pytest.mark.parametrize(
    "text",
    ["", "facebook.com", "https://facebook.com/", "https://facebook.com/groups/1", "https://other.com/coffee", "a b",
     "https://[", "ftp://facebook.com/coffee", "https://www.facebook.com/profile.php"],
)  # fmt: skip
def test_an_invalid_address_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match=r"facebook\.com"):
        Facebook.address(text)


@pytest.mark.parametrize("external_id", [None, PAGE])
async def test_the_community(external_id: str | None) -> None:
    graph = fake_graph()
    graph.nodes["coffee"] = graph.nodes[PAGE]
    community = await adapter(graph).community(credentials(external_id=external_id))
    assert (community.external_id, community.title, community.size) == (PAGE, "Coffee", 900)
    graph.nodes[PAGE]["followers_count"] = 0
    assert (await adapter(graph).community(credentials())).size == 0, "`followers_count` takes precedence"
    del graph.nodes[PAGE]["followers_count"], graph.nodes[PAGE]["fan_count"]
    assert (await adapter(graph).community(credentials())).size is None


async def test_requests_carry_the_proof_of_the_app_secret() -> None:
    graph = fake_graph()
    await adapter(graph).community(credentials())
    await adapter(graph).community(credentials(app={}))
    proven, unproven = graph.requests
    proof = hmac.new(APP["client_secret"].encode(), PAGE_TOKEN.encode(), hashlib.sha256).hexdigest()
    assert proven.url.params["appsecret_proof"] == proof
    assert "appsecret_proof" not in unproven.url.params
    with pytest.raises(AuthExpired) as caught:
        await adapter(graph).community(credentials({Token.USER: USER_TOKEN}))
    assert caught.value.token is Token.COMMUNITY


# ── posts ─────────────────────────────────────────────────────────────────────────────────────────


async def test_posts_with_their_counters() -> None:
    graph, story = (
        fake_graph(),
        {"id": f"{PAGE}_1", "created_time": graph_time(1), "story": "Coffee changed its picture"},
    )
    graph.lists[f"{PAGE}/published_posts"] = [counted(2, 5, None) | {"permalink_url": "https://fb.com/2"}, story]
    posts, _ = await read_all(lambda cursor: adapter(graph).posts(credentials(), cursor))
    assert [one.external_id for one in posts] == [f"{PAGE}_2", f"{PAGE}_1"]
    assert [one.text for one in posts] == ["post 2", "Coffee changed its picture"]
    assert posts[0].url == "https://fb.com/2"
    assert posts[0].published_at == START + timedelta(minutes=2)
    assert posts[0].metrics.counters == {Metric.REACTIONS: 5, Metric.COMMENTS: 2, Metric.SHARES: 0}
    assert posts[1].metrics.missing[Metric.SHARES] is MetricStatus.PENDING, "the response has no counter"
    assert not posts[1].metrics.counters
    assert posts[0].metrics.missing[Metric.VIEWS] is MetricStatus.PENDING
    assert posts[0].metrics.missing[Metric.SAVES] is MetricStatus.UNSUPPORTED


@pytest.mark.parametrize("seed", range(12))
async def test_no_post_is_missed_while_the_list_changes(seed: int) -> None:
    """Posts are added and deleted between requests; those that existed throughout are all listed."""
    rng, graph, number = random.Random(seed), fake_graph(), 0
    posts = graph.lists[f"{PAGE}/published_posts"]
    graph.page_size = 4

    def add_post() -> None:
        nonlocal number
        number += 1
        posts.insert(0, post(number, number))

    def change() -> None:
        if rng.random() < 0.3:
            add_post()
        if posts and rng.random() < 0.15:
            posts.remove(rng.choice(posts))

    for _ in range(30):
        add_post()
    graph.before_response = change
    cursor, listed_ids = None, set[str]()
    for _ in range(4):
        before = {one["id"] for one in posts}
        items, cursor = await read_all(lambda cursor: adapter(graph).posts(credentials(), cursor), cursor)
        listed_ids |= {one.external_id for one in items}
        assert before & {one["id"] for one in posts} <= listed_ids


async def test_paging_ends_at_posts_that_are_known_or_too_old() -> None:
    graph = fake_graph()
    graph.page_size = 3
    graph.lists[f"{PAGE}/published_posts"] = [post(n, n) for n in range(12, 0, -1)]
    since = START + timedelta(minutes=8)
    items, cursor = await read_all(lambda cursor: adapter(graph).posts(credentials(), cursor, since))
    assert [one.external_id for one in items] == [f"{PAGE}_{n}" for n in range(12, 7, -1)]
    assert len(graph.requests) == 2
    graph.lists[f"{PAGE}/published_posts"].insert(0, post(13, 13))
    items, _ = await read_all(lambda cursor: adapter(graph).posts(credentials(), cursor), cursor)
    assert items[0].external_id == f"{PAGE}_13"
    assert len(graph.requests) == 3, "up to the first page that ends with a post that was read before"


async def test_paging_ends_even_if_cursors_become_invalid_again_and_again() -> None:
    """The last posts of each page are deleted, which makes the cursor invalid."""
    graph = fake_graph()
    graph.page_size = 10
    posts = graph.lists[f"{PAGE}/published_posts"] = [post(n, n) for n in range(170, 0, -1)]
    listed_ids, cursor, more = set[str](), None, True
    while more:
        page = await adapter(graph).posts(credentials(), cursor)
        listed_ids |= {one.external_id for one in page.items}
        gone = {one.external_id for one in page.items[-3:]}
        posts[:] = [one for one in posts if one["id"] not in gone]
        cursor, more = page.cursor, page.more
    assert {one["id"] for one in posts} <= listed_ids


async def test_an_error_is_raised_if_every_cursor_is_invalid() -> None:
    graph = fake_graph()
    graph.page_size = 1
    graph.lists[f"{PAGE}/published_posts"] = [post(2, 2), post(1, 1)]
    graph.overrides["after="] = httpx.Response(400, json=graph_error(100, None, "(#100) Invalid cursor"))
    with pytest.raises(Rejected, match="Invalid cursor"):
        await read_all(lambda cursor: adapter(graph).posts(credentials(), cursor))


# ── metrics ───────────────────────────────────────────────────────────────────────────────────────


def measured(count: int) -> FakeGraph:
    graph = fake_graph()
    for number in range(1, count + 1):
        graph.nodes[f"{PAGE}_{number}"] = counted(number, 10 * number, number)
        views: dict[str, int | None] = {"post_media_view": 100 * number, "post_total_media_view_unique": 50 * number}
        graph.insights[f"{PAGE}_{number}"] = views
    return graph


def ids(*numbers: int) -> tuple[str, ...]:
    return tuple(f"{PAGE}_{number}" for number in numbers)


async def test_metrics_of_a_batch() -> None:
    graph = measured(50)
    metrics = await adapter(graph).metrics(credentials(), ids(*range(50, 0, -1)))
    assert [one.external_id for one in metrics] == list(ids(*range(50, 0, -1)))
    assert metrics[-3].counters == {
        Metric.VIEWS: 300, Metric.REACH: 150, Metric.REACTIONS: 30, Metric.COMMENTS: 3, Metric.SHARES: 3,
    }  # fmt: skip
    assert metrics[-3].missing == dict.fromkeys((Metric.QUOTES, Metric.SAVES), MetricStatus.UNSUPPORTED)
    assert [request.extensions[COST].units for request in graph.requests] == [{"calls": 50}] * 2
    assert {request.extensions[COST].target for request in graph.requests} == {PAGE}
    with pytest.raises(ValueError, match="50"):
        await adapter(graph).metrics(credentials(), ids(*range(51)))
    assert await adapter(graph).metrics(credentials(), ()) == ()


async def test_a_deleted_post_does_not_affect_the_metrics_of_others() -> None:
    graph = measured(8)
    del graph.nodes[f"{PAGE}_3"]
    metrics = await adapter(graph).metrics(credentials(), ids(*range(1, 9)))
    assert [one.gone for one in metrics] == [False, False, True, *[False] * 5]
    assert metrics[3].counters[Metric.VIEWS] == 400
    assert (metrics[2].counters, metrics[2].missing) == ({}, {})


async def test_a_post_that_may_not_be_read_is_not_taken_for_deleted() -> None:
    graph = measured(0)
    assert (await adapter(graph).metrics(credentials(), ids(1)))[0].gone
    error = graph_error(10, None, "(#10) This endpoint requires the 'pages_read_engagement' permission")
    graph.overrides["published_posts"] = httpx.Response(400, json=error)
    with pytest.raises(MissingPermission) as caught:
        await adapter(graph).metrics(credentials(), ids(1, 2))
    assert caught.value.scopes == ("pages_read_engagement",)


@pytest.mark.parametrize(
    "message",
    [
        "(#100) The value must be a valid insights metric",
        "Starting from version v22.0 and above, the impressions metric is no longer supported for the queried media.",
        "(#100) metric[0] must be one of the following values: reach, saved",
    ],
)
async def test_a_retired_metric_is_unsupported_and_fails_no_other(message: str) -> None:
    graph = measured(3)
    graph.unknown_metric_error = graph_error(100, None, message)
    graph.metrics.remove("post_media_view")
    metrics = await adapter(graph).metrics(credentials(), ids(1, 2, 3))
    assert [one.counters[Metric.REACH] for one in metrics] == [50, 100, 150]
    assert {one.missing[Metric.VIEWS] for one in metrics} == {MetricStatus.UNSUPPORTED}
    costs = [request.extensions[COST].units["calls"] for request in graph.requests]
    assert costs == [3, 3, 2, 3], "counters; both metrics; each metric for one post; the remaining metric for all"


async def test_a_post_that_has_no_such_metric_fails_no_other() -> None:
    graph = measured(4)
    del graph.insights[f"{PAGE}_2"]["post_media_view"]
    metrics = await adapter(graph).metrics(credentials(), ids(1, 2, 3, 4))
    assert [one.counters.get(Metric.VIEWS) for one in metrics] == [100, None, 300, 400]
    assert metrics[1].missing[Metric.VIEWS] is MetricStatus.UNSUPPORTED
    assert metrics[1].counters[Metric.REACH] == 100


@pytest.mark.parametrize(
    ("fans", "status"),
    [
        (900, MetricStatus.PENDING),
        (100, MetricStatus.PENDING),
        (99, MetricStatus.UNSUPPORTED),
        (0, MetricStatus.UNSUPPORTED),
    ],
)
async def test_an_empty_insight_is_never_zero(fans: int, status: MetricStatus) -> None:
    graph = measured(2)
    graph.insights = {key: dict.fromkeys(value) for key, value in graph.insights.items()}
    graph.nodes[PAGE]["fan_count"] = fans
    metrics = await adapter(graph).metrics(credentials(), ids(1, 2))
    assert {one.missing[kind] for one in metrics for kind in (Metric.VIEWS, Metric.REACH)} == {status}
    graph.insights[f"{PAGE}_1"]["post_media_view"] = 0
    metrics = await adapter(graph).metrics(credentials(), ids(1, 2))
    assert metrics[0].counters[Metric.VIEWS] == 0, "a counted 0 is kept"
    assert metrics[1].missing[Metric.VIEWS] is MetricStatus.PENDING


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (graph_error(200, None, "(#200) Requires read_insights permission"), MetricStatus.NO_PERMISSION),
        (graph_error(10), MetricStatus.NO_PERMISSION),
        (graph_error(10, None, "(#10) Not enough viewers for the media to show insights"), MetricStatus.PENDING),
        (graph_error(2), MetricStatus.ERROR),
        ({"data": "wrong"}, MetricStatus.ERROR),
    ],
)
async def test_insights_that_are_refused_leave_the_counters(error: Node, status: MetricStatus) -> None:
    graph = measured(1)
    graph.overrides["insights.metric"] = httpx.Response(400 if "error" in error else 200, json=error)
    (metrics,) = await adapter(graph).metrics(credentials(), ids(1))
    assert metrics.counters == {Metric.REACTIONS: 10, Metric.COMMENTS: 1, Metric.SHARES: 1}
    assert metrics.missing[Metric.VIEWS] is metrics.missing[Metric.REACH] is status


@pytest.mark.parametrize(("code", "kind"), [(190, AuthExpired), (32, Throttled), (4, Throttled)])
async def test_expired_tokens_and_rate_limits_are_raised_from_insights_too(code: int, kind: type[Exception]) -> None:
    graph = measured(2)
    graph.overrides["insights.metric"] = httpx.Response(400, json=graph_error(code))
    with pytest.raises(kind):
        await adapter(graph).metrics(credentials(), ids(1, 2))
    assert len(graph.requests) == 2


def batch_answering(*parts: object) -> Facebook:
    """An adapter whose server returns these parts for every batch."""
    answer = [{"code": 400 if "error" in str(one) else 200, "body": json.dumps(one)} if one else None for one in parts]
    return Facebook(httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(200, json=answer))))


@pytest.mark.parametrize(
    ("parts", "kind"),
    [
        ((None, None), Transient),
        ((counted(1, 1, 1),), Malformed),
        ((graph_error(2), graph_error(100, 33)), Transient),
        ((counted(1, 1, 1), graph_error(190, 463)), AuthExpired),
        ((counted(1, 1, 1), graph_error(80_001)), Throttled),
    ],
)
async def test_a_batch_that_is_incomplete_raises(parts: tuple[object, ...], kind: type[Exception]) -> None:
    with pytest.raises(kind) as caught:
        await batch_answering(*parts).metrics(credentials(), ids(1, 2))
    if isinstance(caught.value, AuthExpired):
        assert caught.value.token is Token.COMMUNITY


@pytest.mark.parametrize(
    ("part", "status"),
    [
        (None, MetricStatus.ERROR),
        ({"name": "no id"}, MetricStatus.ERROR),
        (graph_error(2), MetricStatus.ERROR),
        (graph_error(200), MetricStatus.NO_PERMISSION),
    ],
)
async def test_an_error_of_one_post_does_not_affect_others(part: Node | None, status: MetricStatus) -> None:
    one, other = await batch_answering(counted(1, 10, 2), part).metrics(credentials(), ids(1, 2))
    assert one.counters == {Metric.REACTIONS: 10, Metric.COMMENTS: 1, Metric.SHARES: 2}
    assert (other.external_id, other.counters, other.gone) == (f"{PAGE}_2", {}, False)
    assert {other.missing[metric] for metric in Facebook.spec.metrics} == {status}
    assert other.missing[Metric.SAVES] is MetricStatus.UNSUPPORTED


async def test_a_compressed_batch_response() -> None:
    """Its headers describe the whole response; the parts within are not compressed."""
    part = {"code": 200, "body": json.dumps(counted(1, 10, 2))}
    packed = httpx.Response(
        200, headers={"content-encoding": "gzip"}, content=gzip.compress(json.dumps([part, None]).encode())
    )
    facebook = Facebook(httpx.AsyncClient(transport=httpx.MockTransport(lambda _: packed)))
    one, _ = await facebook.metrics(credentials(), ids(1, 2))
    assert one.counters == {Metric.REACTIONS: 10, Metric.COMMENTS: 1, Metric.SHARES: 2}


async def test_metrics_have_the_id_that_was_requested() -> None:
    """Posts of a Page that was migrated are found by their old ids, and returned with new ones."""
    graph = measured(1)
    graph.nodes["66_1"] = graph.nodes[f"{PAGE}_1"]
    (metrics,) = await adapter(graph).metrics(credentials(), ("66_1",))
    assert metrics.external_id == "66_1"
    assert metrics.counters[Metric.REACTIONS] == 10


async def test_an_insight_that_timed_out_is_an_error() -> None:
    graph = measured(2)
    graph.unfinished_part = "77_2?fields=id,insights"
    one, other = await adapter(graph).metrics(credentials(), ids(1, 2))
    assert one.counters[Metric.VIEWS] == 100
    assert other.missing[Metric.VIEWS] is MetricStatus.ERROR


# ── comments and messages ─────────────────────────────────────────────────────────────────────────


def comment(number: int, author_id: str | None, parent: tuple[int, str] | None = None) -> Node:
    node: Node = {"id": f"1_{number}", "created_time": graph_time(number), "message": f"comment {number} "}
    if author_id is not None:
        node["from"] = {"id": author_id, "name": f"Name {author_id}"}
    if parent is not None:
        node["parent"] = {"id": f"1_{parent[0]}", "from": {"id": parent[1]}}
    return node


async def test_comments_of_all_levels() -> None:
    graph = fake_graph()
    graph.lists[f"{PAGE}_1/comments"] = [
        comment(4, PAGE, (1, "5")), comment(3, None), comment(2, "6", (1, "5")), comment(1, "5"),
    ]  # fmt: skip
    items, _ = await read_all(lambda cursor: adapter(graph).comments(credentials(), f"{PAGE}_1", cursor))
    assert graph.requests[0].url.params["filter"] == "stream"
    answer, unknown, other, first = items
    assert first.thread_id == answer.thread_id == "comment-1_1-5", "the thread of the customer"
    assert other.thread_id == "comment-1_1-6"
    assert (answer.author.is_community, first.author.is_community) == (True, False)
    assert (first.in_reply_to, other.in_reply_to) == (None, "1_1")
    assert (first.author.name, first.text, first.post_id) == ("Name 5", "comment 1", f"{PAGE}_1")
    assert unknown.author.external_id == "unknown-1_3"
    assert unknown.author.name == ""


@pytest.mark.parametrize("seed", range(6))
async def test_no_comment_is_missed_while_the_list_changes(seed: int) -> None:
    rng, graph = random.Random(seed), fake_graph()
    comments = graph.lists[f"{PAGE}_1/comments"] = [comment(n, "5") for n in range(40, 0, -1)]
    graph.page_size, number = 5, 40

    def change() -> None:
        nonlocal number
        number += 1
        comments.insert(rng.choice([0, 0, len(comments)]), comment(number, "5"))
        if rng.random() < 0.2:
            comments.remove(rng.choice(comments))

    graph.before_response = change
    before = {one["id"] for one in comments}
    items, cursor = await read_all(lambda cursor: adapter(graph).comments(credentials(), f"{PAGE}_1", cursor))
    assert before & {one["id"] for one in comments} <= {one.external_id for one in items}
    graph.before_response = lambda: None
    items, _ = await read_all(lambda cursor: adapter(graph).comments(credentials(), f"{PAGE}_1", cursor), cursor)
    assert {one.external_id for one in items} == {one["id"] for one in comments}, "also comments inserted late"


@pytest.mark.parametrize("falling", [True, False])
async def test_comments_that_are_too_old_are_left_out(*, falling: bool) -> None:
    """If the list is not in the requested order, all its pages are read."""
    graph = fake_graph()
    graph.page_size = 4
    graph.lists[f"{PAGE}_1/comments"] = [comment(n, "5") for n in sorted(range(1, 21), reverse=falling)]
    since = START + timedelta(minutes=15)
    items, _ = await read_all(lambda cursor: adapter(graph).comments(credentials(), f"{PAGE}_1", cursor, since))
    assert {one.external_id for one in items} == {f"1_{n}" for n in range(15, 21)}
    assert len(graph.requests) == (2 if falling else 5)


class Mailbox:
    """A Page's conversations with their messages, in Graph's format."""

    def __init__(self, graph: FakeGraph) -> None:
        self.graph, self.minute = graph, 0
        self.ids: set[str] = set()

    def add_message(self, customer_id: str, *, ours: bool = False, minutes: int = 1) -> None:
        self.minute += minutes
        mid, thread = f"m_{len(self.ids) + 1}", f"t_{customer_id}"
        self.ids.add(mid)
        people = [{"id": customer_id, "name": f"Name {customer_id}"}, {"id": PAGE, "name": "Coffee"}]
        message = {
            "id": mid, "created_time": graph_time(self.minute), "message": f"text {mid}",
            "from": people[ours], "to": {"data": [people[not ours]]},
        }  # fmt: skip
        messages = self.graph.lists.setdefault(f"{thread}/messages", [])
        messages.insert(0, message)
        threads = self.graph.lists[f"{PAGE}/conversations"]
        threads[:] = [one for one in threads if one["id"] != thread]
        embedded: Node = {"data": messages[:3]}
        if len(messages) > 3:
            embedded["paging"] = {
                "cursors": {"after": _cursor(messages[2]["id"])},
                "next": "https://graph.facebook.com/x",
            }
        threads.insert(
            0,
            {
                "id": thread,
                "updated_time": graph_time(self.minute),
                "participants": {"data": people},
                "messages": embedded,
            },
        )


def _cursor(item: str) -> str:
    return base64.urlsafe_b64encode(item.encode()).decode()


@pytest.mark.parametrize("seed", range(12))
async def test_no_message_is_missed_while_threads_change(seed: int) -> None:
    """Threads, unread ones too, move to the top of the list between pages."""
    rng, graph = random.Random(seed), fake_graph()
    mailbox = Mailbox(graph)
    for _ in range(60):
        mailbox.add_message(str(rng.randrange(100, 112)), ours=rng.random() < 0.3)
    graph.page_size = 3
    messages, cursor, before = dict[str, RemoteMessage](), None, set(mailbox.ids)
    for _ in range(3):
        calls = 0

        def change() -> None:
            nonlocal calls
            calls += 1
            if calls < 25 and rng.random() < 0.5:
                mailbox.add_message(str(rng.randrange(100, 112)))

        graph.before_response = change
        items, cursor = await read_all(lambda cursor: adapter(graph).conversations(credentials(), cursor), cursor)
        messages |= {one.external_id: one for one in items}
        assert before <= messages.keys()
        before = set(mailbox.ids)
    graph.before_response = lambda: None
    items, cursor = await read_all(lambda cursor: adapter(graph).conversations(credentials(), cursor), cursor)
    messages |= {one.external_id: one for one in items}
    assert messages.keys() == mailbox.ids
    for message in messages.values():
        assert message.kind is MessageKind.MESSAGE
        assert message.author.is_community == (message.author.external_id == PAGE)
        assert message.thread_id == f"message-{message.author.external_id}" or message.author.is_community
    requests_before = len(graph.requests)
    await read_all(lambda cursor: adapter(graph).conversations(credentials(), cursor), cursor)
    assert len(graph.requests) == requests_before + 1, "one request if there is nothing new"


async def test_messages_of_the_same_second_are_not_missed() -> None:
    graph = fake_graph()
    mailbox = Mailbox(graph)
    mailbox.add_message("100")
    _, cursor = await read_all(lambda cursor: adapter(graph).conversations(credentials(), cursor))
    mailbox.add_message("101", minutes=0)
    items, _ = await read_all(lambda cursor: adapter(graph).conversations(credentials(), cursor), cursor)
    assert "m_2" in {one.external_id for one in items}


async def test_messages_that_are_too_old_or_hidden_are_left_out() -> None:
    graph = fake_graph()
    mailbox = Mailbox(graph)
    for number in range(20):
        mailbox.add_message(str(100 + number % 5))
    since = START + timedelta(minutes=14)
    items, _ = await read_all(lambda cursor: adapter(graph).conversations(credentials(), cursor, since))
    assert {one.external_id for one in items} == {f"m_{n}" for n in range(14, 21)}
    assert not any(request.url.path.endswith("/messages") for request in graph.requests), "no older ones"
    graph.lists[f"{PAGE}/conversations"] = [
        {"id": "t_1", "updated_time": graph_time(30), "messages": {"data": [{"id": "m_old"}]}}
    ]
    items, _ = await read_all(lambda cursor: adapter(graph).conversations(credentials(), cursor))
    assert items == [], "of messages before the latest twenty Graph returns the id alone"


# ── answers and posts ─────────────────────────────────────────────────────────────────────────────


def reply_to(kind: MessageKind, external_id: str = "1_11") -> ReplyTo:
    return ReplyTo(external_id, "thread", kind, RemotePerson("5", "A"), f"{PAGE}_1")


async def test_replies() -> None:
    graph = fake_graph()
    made = {"id": "1_12", "created_time": graph_time(3), "permalink_url": "https://fb.com/1_12"}
    graph.bodies = {"1_11/comments": made, "/messages": {"recipient_id": "5", "message_id": "m_9"}}
    sent = await adapter(graph).reply(credentials(), reply_to(MessageKind.COMMENT), "Yes & no", "key")
    assert (sent.external_id, sent.url) == ("1_12", "https://fb.com/1_12")
    assert sent.sent_at == START + timedelta(minutes=3)
    sent = await adapter(graph).reply(credentials(), reply_to(MessageKind.MESSAGE, "m_1"), "Yes", "key")
    assert sent.external_id == "m_9"
    (_, comment_form), (path, message_form) = graph.sent
    assert comment_form["message"] == "Yes & no"
    assert path == f"{PAGE}/messages"
    assert json.loads(message_form["recipient"]) == {"id": "5"}
    assert json.loads(message_form["message"]) == {"text": "Yes"}
    assert message_form["messaging_type"] == "RESPONSE"


async def test_the_error_of_a_reply_after_24_hours_names_the_limit() -> None:
    graph = fake_graph()
    error = graph_error(10, 2_018_278, "(#10) This message is sent outside of allowed window.")
    graph.overrides["/messages"] = httpx.Response(400, json=error)
    with pytest.raises(Rejected, match="24 hours"):
        await adapter(graph).reply(credentials(), reply_to(MessageKind.MESSAGE), "Yes", "key")


async def test_error_messages_do_not_contain_secrets() -> None:
    graph = fake_graph()
    error = graph_error(1234567, None, f"Cannot call with {PAGE_TOKEN} and {APP['client_secret']} and more")
    graph.overrides["oauth"] = graph.overrides[f"{PAGE}?"] = httpx.Response(400, json=error)
    with pytest.raises(Rejected) as caught:
        await adapter(graph).community(credentials())
    assert PAGE_TOKEN not in str(caught.value)
    with pytest.raises(Rejected) as caught:
        await adapter(graph).refresh(credentials())
    assert APP["client_secret"] not in str(caught.value)


async def test_posts_are_published() -> None:
    graph, uploads = fake_graph(), iter("123456")
    graph.bodies = {
        "/feed": {"id": f"{PAGE}_50"},
        "/photos": lambda: {"id": next(uploads), "post_id": f"{PAGE}_60"},
    }
    pictures = (Picture(PIXEL, "image/png", "a dot"), Picture(PIXEL + b"2", "image/jpeg"))
    text = await adapter(graph).publish(credentials(), OutgoingPost("Open"), "key")
    photo = await adapter(graph).publish(credentials(), OutgoingPost("Open", pictures[:1]), "key")
    album = await adapter(graph).publish(credentials(), OutgoingPost("Open", pictures), "key")
    assert [one.external_id for one in (text, photo, album)] == [f"{PAGE}_50", f"{PAGE}_60", f"{PAGE}_50"]
    assert text.url == f"https://www.facebook.com/{PAGE}_50"
    alone, captioned, first, second, whole = [form for _, form in graph.sent]
    assert alone == {"message": "Open"}
    assert captioned == {"caption": "Open", "alt_text_custom": "a dot", "source": PIXEL}
    assert first == {"published": "false", "alt_text_custom": "a dot", "source": PIXEL}
    assert second == {"published": "false", "source": PIXEL + b"2"}
    assert whole == {
        "message": "Open", "attached_media[0]": '{"media_fbid": "2"}', "attached_media[1]": '{"media_fbid": "3"}',
    }  # fmt: skip
    with pytest.raises(Rejected, match="11 pictures"):
        await adapter(graph).publish(credentials(), OutgoingPost("Open", pictures[:1] * 11), "key")


# ── tokens and limits ─────────────────────────────────────────────────────────────────────────────


async def test_tokens_are_renewed() -> None:
    graph = fake_graph()
    graph.tokens |= {"EAABnew-user"}
    graph.nodes[PAGE]["access_token"] = "EAABnew-page"
    graph.bodies = {"oauth/access_token": {"access_token": "EAABnew-user", "expires_in": 5_184_000}}
    granted = await adapter(graph).refresh(credentials())
    assert {kind: (one.text, one.lifetime) for kind, one in granted.items()} == {
        Token.USER: ("EAABnew-user", timedelta(days=60)),
        Token.COMMUNITY: ("EAABnew-page", None),
    }
    assert graph.sent[0][1] == {
        "grant_type": "fb_exchange_token", "fb_exchange_token": USER_TOKEN,
        "client_id": "4400", "client_secret": "the-app's-secret",
    }  # fmt: skip
    assert graph.requests[1].headers["authorization"] == "Bearer EAABnew-user"
    alone = await adapter(graph).refresh(credentials({Token.USER: USER_TOKEN}, app={}))
    assert set(alone) == {Token.COMMUNITY}
    assert len(graph.requests) == 3
    del graph.nodes[PAGE]["access_token"]
    with pytest.raises(AuthExpired, match="no role"):
        await adapter(graph).refresh(credentials(app={}))
    with pytest.raises(AuthExpired):
        await adapter(graph).refresh(credentials({Token.COMMUNITY: PAGE_TOKEN}))


def test_what_can_be_renewed() -> None:
    assert Facebook.renewable({Token.COMMUNITY}, APP) == frozenset()
    assert Facebook.renewable({Token.USER}, {}) == {Token.COMMUNITY}
    assert Facebook.renewable({Token.USER, Token.COMMUNITY}, APP) == {Token.COMMUNITY, Token.USER}


async def test_tokens_are_inspected() -> None:
    graph = fake_graph()
    access_end = int(datetime(2026, 11, 24, 6, tzinfo=UTC).timestamp())
    scopes = [scope for scope in Facebook.spec.scopes[Token.USER] if scope != "read_insights"]
    token_info: Node = {"is_valid": True, "scopes": scopes, "expires_at": 0, "data_access_expires_at": access_end}
    graph.bodies = {"debug_token": {"data": token_info}}
    states = await adapter(graph).inspect(credentials())
    assert states[Token.COMMUNITY] == TokenState(("read_insights",), timedelta(days=1))
    assert set(states) == {Token.COMMUNITY, Token.USER}
    assert [form["input_token"] for _, form in graph.sent] == [PAGE_TOKEN, USER_TOKEN]
    assert graph.requests[0].headers["authorization"] == f"Bearer {APP_TOKEN}"
    token_info |= {"expires_at": access_end - 3600}
    states = await adapter(graph).inspect(credentials())
    assert states[Token.USER].lifetime == timedelta(hours=23), "the earlier of the two expiries"
    token_info |= {"data_access_expires_at": 0, "expires_at": 0}
    assert (await adapter(graph).inspect(credentials()))[Token.USER].lifetime is None
    assert await adapter(graph).inspect(credentials(app={})) == {}
    token_info |= {"is_valid": False}
    with pytest.raises(AuthExpired) as caught:
        await adapter(graph).inspect(credentials())
    assert caught.value.token is Token.COMMUNITY


@pytest.mark.parametrize(
    ("headers", "usage"),
    [
        ({}, None),
        ({"x-app-usage": "nonsense"}, None),
        ({"x-app-usage": '{"call_count":28,"total_time":45,"total_cputime":25}'}, Usage(0.45, LimitScope.APP)),
        ({"x-page-usage": '{"call_count":110}'}, Usage(1.1, LimitScope.COMMUNITY)),
        (
            {
                "x-app-usage": '{"call_count":28,"total_time":45,"total_cputime":25}',
                "x-business-use-case-usage": '{"77":[{"type":"pages","call_count":95,"total_cputime":20,"total_time":2,'
                '"estimated_time_to_regain_access":19},{"type":"messenger","call_count":1}]}',
            },
            Usage(0.95, LimitScope.COMMUNITY, 1140.0),
        ),
    ],
)
def test_usage_is_read_from_response_headers(headers: dict[str, str], usage: Usage | None) -> None:
    assert Facebook.usage(httpx.Response(200, headers=headers)) == usage


# ── hooks ─────────────────────────────────────────────────────────────────────────────────────────


def signed_request(body: object, secret: str = SECRETS["app_secret"], **headers: str) -> HookRequest:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    signature = "sha256=" + hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()
    return HookRequest(raw, {"x-hub-signature-256": signature, **headers}, {})


def entry(*changes: Node, messaging: tuple[object, ...] = ()) -> Node:
    fields = [{"field": "feed", "value": change} for change in changes]
    return {"id": PAGE, "time": 1_772_355_660, "changes": fields, "messaging": list(messaging)}


def new_comment(**more: object) -> Node:
    return {
        "item": "comment", "verb": "add", "post_id": f"{PAGE}_1", "comment_id": "1_11", "parent_id": f"{PAGE}_1",
        "from": {"id": "5", "name": "Ann"}, "message": "Until when?", "created_time": 1_772_355_600, **more,
    }  # fmt: skip


def new_message(mid: str = "m_1", **more: object) -> Node:
    message = {"mid": mid, "text": "Hello", **more}
    return {"sender": {"id": "5"}, "recipient": {"id": PAGE}, "timestamp": 1_772_355_600_500, "message": message}


def events(*entries: Node, kind: str = "page") -> tuple[Event, ...]:
    return Facebook.receive(signed_request({"object": kind, "entry": list(entries)}), SECRETS).events


def test_the_verification_challenge_is_answered() -> None:
    query = {"hub.mode": "subscribe", "hub.verify_token": "agreed", "hub.challenge": "1158201444"}
    assert Facebook.receive(HookRequest(b"", {}, query), SECRETS) == HookResult("1158201444")
    nothing = {**query, "hub.verify_token": ""}
    for wrong, secrets in (({**query, "hub.verify_token": "x"}, SECRETS), (query, {}), (nothing, {"verify_token": ""})):
        with pytest.raises(MissingPermission):
            Facebook.receive(HookRequest(b"", {}, wrong), secrets)
    with pytest.raises(Malformed):
        Facebook.receive(HookRequest(b"", {}, {**query, "hub.challenge": "<script>"}), SECRETS)


def test_the_signature_is_over_the_raw_bytes() -> None:
    body = b'{"object": "page",  "entry": []}'
    assert Facebook.receive(signed_request(body), SECRETS).events == ()
    good = signed_request(body)
    for bad in (
        signed_request(body, "another secret"),
        HookRequest(body, {}, {}),
        HookRequest(body, {"x-hub-signature-256": ""}, {}),
        HookRequest(body, {"x-hub-signature": good.headers["x-hub-signature-256"]}, {}),
        HookRequest(body.replace(b"  ", b" "), good.headers, {}),
        HookRequest(body, good.headers, {"hub.mode": "subscribe", "hub.verify_token": "agreed", "hub.challenge": "1"}),
    ):
        if bad.query:
            assert Facebook.receive(bad, SECRETS).response_body != "1"
            continue
        with pytest.raises(MissingPermission):
            Facebook.receive(bad, SECRETS)
    with pytest.raises(MissingPermission):
        Facebook.receive(signed_request(body, ""), {"verify_token": "agreed", "app_secret": ""})
    [kept] = Facebook.receive(signed_request(b"[]"), SECRETS).events
    assert kept.unparsed is not None, "the control: a signed event is stored even if malformed"


def test_a_pushed_comment_equals_the_listed_one() -> None:
    (first,), (reply,) = events(entry(new_comment())), events(entry(new_comment(comment_id="1_12", parent_id="1_11")))
    (message,) = first.messages
    assert first.account_id == PAGE
    assert (message.external_id, message.thread_id, message.post_id) == ("1_11", "comment-1_11-5", f"{PAGE}_1")
    assert (message.text, message.author) == ("Until when?", RemotePerson("5", "Ann"))
    assert message.sent_at == datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
    assert (message.in_reply_to, message.edited_at) == (None, None)
    assert reply.messages[0].thread_id == "comment-1_11-5"
    assert reply.messages[0].in_reply_to == "1_11"


def test_events_of_comments_and_posts() -> None:
    (edited,) = events(entry(new_comment(verb="edited", message="Till when?")))
    assert edited.messages[0].edited_at == datetime(2026, 3, 1, 9, 1, tzinfo=UTC)
    (removed,) = events(entry(new_comment(verb="remove")))
    assert (removed.deleted_ids, removed.messages) == (("1_11",), ())
    ours = {"from": {"id": PAGE, "name": "Coffee"}}
    assert events(entry(new_comment(parent_id="1_10", **ours))) == (), "it names no customer"
    (own,) = events(entry(new_comment(**ours)))
    assert own.messages[0].author.is_community
    new = {"item": "status", "verb": "add", "post_id": f"{PAGE}_9", "message": "Hi", "created_time": 1_772_355_600}
    (posted,) = events(entry({**new, **ours}))
    assert posted.posts[0].external_id == f"{PAGE}_9"
    assert not posted.posts[0].metrics.counters
    assert set(posted.posts[0].metrics.missing) == set(Metric)
    assert events(entry({**new, "from": {"id": "5"}}), entry({**new, **ours, "published": 0})) == ()


def test_messages_and_echoes() -> None:
    echo = {**new_message("m_2", is_echo=True), "sender": {"id": PAGE}, "recipient": {"id": "5"}}
    read = {"sender": {"id": "5"}, "recipient": {"id": PAGE}, "timestamp": 1, "read": {"watermark": 1}}
    theirs, ours = events(entry(messaging=(new_message(), read, echo)))
    assert theirs.messages[0].thread_id == ours.messages[0].thread_id == "message-5"
    assert [one.messages[0].author.is_community for one in (theirs, ours)] == [False, True]
    assert theirs.messages[0].sent_at == datetime(2026, 3, 1, 9, 0, 0, 500_000, tzinfo=UTC)


def test_event_ids_depend_on_the_content_alone() -> None:
    received = events(entry(new_comment(), new_comment(message="Else"), messaging=(new_message(), new_message("m_2"))))
    assert len({event.event_id for event in received}) == 4
    again = {**entry(new_comment(), messaging=(new_message(),)), "time": 1_772_359_999}
    assert {event.event_id for event in events(again)} <= {event.event_id for event in received}
    other = {**entry(new_comment()), "id": "78"}
    assert events(other)[0].event_id not in {event.event_id for event in received}
    assert events(other)[0].account_id == "78"


def test_an_unparsed_event_does_not_affect_the_others() -> None:
    unparsable = new_comment(created_time="yesterday")
    other = {"id": "78", "time": 1, "changes": [{"field": "mention", "value": {"anything": 1}}]}
    kept, parsed = events(entry(unparsable, new_comment()), other)
    assert parsed.messages[0].external_id == "1_11"
    assert (kept.account_id, kept.messages) == (PAGE, ())
    assert events(entry(new_comment()), kind="user") == ()


def test_an_unparsed_event_is_stored_as_a_webhook_call_of_its_own() -> None:
    unparsed, strange = new_comment(created_time="yesterday"), {**new_message("m_9"), "timestamp": "noon"}
    sent = entry(unparsed, new_comment(), messaging=(strange, new_message(), "hm"))
    kept = [event.unparsed for event in events(sent, {"id": None}) if event.unparsed is not None]
    bare = {name: value for name, value in sent.items() if name not in {"changes", "messaging"}}
    assert [json.loads(one.payload) for one in kept] == [
        {"object": "page", "entry": [one]}
        for one in (
            {**bare, "changes": [{"field": "feed", "value": unparsed}]},
            {**bare, "messaging": [strange]},
            {**bare, "messaging": ["hm"]},
            {"id": None},
        )
    ]
    for one in kept:
        [again] = Facebook.parse_event(one.payload.encode())
        assert again.unparsed == one
    corrected = kept[1].payload.replace('"noon"', str(new_message()["timestamp"]))
    assert [e.messages[0].external_id for e in Facebook.parse_event(corrected.encode())] == ["m_9"]


def test_events_without_a_message_are_not_stored() -> None:
    """Read receipts, deliveries, reactions and postbacks are not stored as unparsed events."""
    header = {name: value for name, value in new_message().items() if name != "message"}
    for name in ("read", "delivery", "reaction", "postback"):
        assert events(entry(messaging=({**header, name: {"mid": "m_1"}},))) == ()


async def test_the_webhook_is_subscribed_and_inspected() -> None:
    graph = fake_graph()
    graph.bodies = {"/subscriptions": {"success": True}, "/subscribed_apps": {"success": True}}
    assert await adapter(graph).subscribe(credentials(), HOOK, SECRETS) == {}
    (app, app_form), (page, page_form) = graph.sent
    assert (app, page) == ("4400/subscriptions", f"{PAGE}/subscribed_apps")
    assert (app_form["object"], app_form["callback_url"], app_form["verify_token"]) == ("page", HOOK, "agreed")
    assert page_form == {"subscribed_fields": "feed,messages,message_echoes"}
    fields = ["feed", "messages", "message_echoes"]
    versioned = [{"name": name, "version": "v26.0"} for name in fields]
    subscriptions: list[Node] = [{"object": "page", "callback_url": HOOK, "active": True, "fields": versioned}]
    listed = {"data": [{"id": "4400", "name": "Instep", "subscribed_fields": fields}]}
    graph.bodies = {"/subscribed_apps": listed, "/subscriptions": {"data": subscriptions}}
    assert await adapter(graph).subscription(credentials(), HOOK) == HookState(True)
    subscriptions[0]["fields"] = fields
    assert await adapter(graph).subscription(credentials(), HOOK) == HookState(True), "the format before v3.2"
    subscriptions[0]["fields"] = versioned[:2]
    state = await adapter(graph).subscription(credentials(), HOOK)
    assert (state.subscribed, state.detail) == (False, "the application does not send: message_echoes")
    assert not (await adapter(graph).subscription(credentials(), HOOK + "0")).subscribed
    without_app = await adapter(graph).subscription(credentials(app={}), HOOK)
    assert without_app.subscribed
    assert "dashboard" in without_app.detail
    listed["data"] = [{"id": "9999", "subscribed_fields": fields}]
    state = await adapter(graph).subscription(credentials(), HOOK)
    assert (state.subscribed, state.detail) == (False, "the community does not send: feed, message_echoes, messages")
    graph.bodies = {"/subscribed_apps": {"success": False}}
    with pytest.raises(Rejected):
        await adapter(graph).subscribe(credentials(app={}), HOOK, SECRETS)


async def test_a_deleted_post_has_no_comments() -> None:
    with pytest.raises(Gone):
        await adapter(fake_graph()).comments(credentials(), f"{PAGE}_404", None)
