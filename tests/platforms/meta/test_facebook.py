"""The Facebook adapter: addresses, lists and answers. What the sandbox plays as well is tested with it: the contract's
checks, and `test_facebook_sandbox`."""

from datetime import timedelta

import httpx
import pytest

from app.platforms.capabilities import (
    Inspects,
    ListsComments,
    Publishes,
    Receives,
    Refreshes,
    Replies,
    ReportsUsage,
    Subscribes,
)
from app.platforms.contract import (
    Adapter,
    MessageKind,
    Metric,
    MetricStatus,
    Rejected,
)
from app.platforms.meta.facebook import ADAPTER, Facebook
from tests.platforms.meta.facebook_graph import (
    PAGE,
    adapter,
    counted,
    credentials,
    fake_graph,
    post,
    read_all,
    reply_to,
)
from tests.platforms.meta.server import START, Node, graph_error, graph_time


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


def comment(number: int, author_id: str) -> Node:
    author = {"id": author_id, "name": f"Name {author_id}"}
    return {"id": f"1_{number}", "created_time": graph_time(number), "message": f"comment {number}", "from": author}


async def test_all_pages_are_read_if_comments_are_not_in_the_requested_order() -> None:
    """In order, a page that ends with an old comment is the last one; the sandbox always keeps to the order."""
    graph = fake_graph()
    graph.page_size = 4
    graph.lists[f"{PAGE}_1/comments"] = [comment(n, "5") for n in range(1, 21)]
    since = START + timedelta(minutes=15)
    items, _ = await read_all(lambda cursor: adapter(graph).comments(credentials(), f"{PAGE}_1", cursor, since))
    assert {one.external_id for one in items} == {f"1_{n}" for n in range(15, 21)}
    assert len(graph.requests) == 5


async def test_messages_that_come_with_an_id_alone_are_left_out() -> None:
    """So Graph returns those before the latest twenty of a thread."""
    graph = fake_graph()
    thread = {"id": "t_1", "updated_time": graph_time(30), "messages": {"data": [{"id": "m_old"}]}}
    graph.lists[f"{PAGE}/conversations"] = [thread]
    items, _ = await read_all(lambda cursor: adapter(graph).conversations(credentials(), cursor))
    assert items == []


async def test_the_error_of_a_reply_after_24_hours_names_the_limit() -> None:
    graph = fake_graph()
    error = graph_error(10, 2_018_278, "(#10) This message is sent outside of allowed window.")
    graph.overrides["/messages"] = httpx.Response(400, json=error)
    with pytest.raises(Rejected, match="24 hours"):
        await adapter(graph).reply(credentials(), reply_to(MessageKind.MESSAGE), "Yes", "key")
