"""The Instagram adapter against a fake Graph API server. What it shares with Facebook is tested there."""

import base64
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from app.platforms.capabilities import (
    Event,
    Inspects,
    ListsComments,
    OutgoingPost,
    Picture,
    Publishes,
    Receives,
    Refreshes,
    Replies,
    ReportsUsage,
    Subscribes,
)
from app.platforms.contract import (
    COST,
    Adapter,
    AuthExpired,
    Credentials,
    Gone,
    MessageKind,
    Metric,
    MetricStatus,
    MissingPermission,
    Rejected,
    RemoteMessage,
    RemotePerson,
    Token,
    Transient,
)
from app.platforms.meta.instagram import ADAPTER, Instagram
from tests.platforms.meta.facebook_graph import APP, APP_TOKEN, SECRETS, read_all, signed_request
from tests.platforms.meta.server import START, FakeGraph, Node, graph_error, graph_time
from tests.platforms.specimens import PIXEL

ACCOUNT_ID = "17841400000000077"
PAGE_TOKEN = "EAABpage-token"
OWN_TOKEN = "IGAAown-token"
PAGE = {Token.COMMUNITY: PAGE_TOKEN}
OWN = {Token.USER: OWN_TOKEN}
ACCOUNT: Node = {"id": ACCOUNT_ID, "username": "coffee.house", "name": "Coffee", "followers_count": 12}
PICTURES = tuple(Picture(PIXEL, "image/jpeg", f"dot {n}", f"https://instep.example/{n}.jpg") for n in range(3))


def fake_graph() -> FakeGraph:
    graph = FakeGraph(frozenset({PAGE_TOKEN, OWN_TOKEN, APP_TOKEN}))
    graph.nodes = {ACCOUNT_ID: dict(ACCOUNT), "me": {"id": "77", "instagram_business_account": dict(ACCOUNT)}}
    graph.metrics = {"views", "reach", "shares", "saved"}
    graph.lists = {f"{ACCOUNT_ID}/media": [], "me/conversations": [], f"{ACCOUNT_ID}/tags": []}
    return graph


def credentials(tokens: Mapping[Token, str] = PAGE, external_id: str | None = ACCOUNT_ID) -> Credentials:
    return Credentials("https://www.instagram.com/coffee.house", "https://graph.facebook.com", external_id, tokens, APP)


def adapter(graph: FakeGraph) -> Instagram:
    return Instagram(graph.client())


def media(number: int, **more: object) -> Node:
    return {
        "id": f"18{number}", "timestamp": graph_time(number), "caption": f"post {number}", "like_count": number,
        "comments_count": 2 * number, "media_product_type": "FEED", "permalink": f"https://ig.example/{number}", **more,
    }  # fmt: skip


def test_the_adapter_has_its_capabilities() -> None:
    instance: Adapter = adapter(fake_graph())
    assert ADAPTER is Instagram
    for capability in (ListsComments, Replies, Publishes, Refreshes, Inspects, ReportsUsage, Receives, Subscribes):
        assert isinstance(instance, capability)


@pytest.mark.parametrize(
    "text",
    ["https://www.instagram.com/Coffee.House/", "instagram.com/coffee.house?hl=en", "@coffee.house", "Coffee.House"],
)
def test_addresses_have_one_spelling(text: str) -> None:
    assert Instagram.address(text).canonical == "https://www.instagram.com/coffee.house"


@pytest.mark.parametrize(
    "text", ["", "instagram.com", "https://www.instagram.com/p/CSr71Gzlqo4/", "https://other.com/x", "a b", "https://["]
)
def test_an_invalid_address_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match=r"instagram\.com"):
        Instagram.address(text)


async def test_the_account_by_either_login() -> None:
    graph = fake_graph()
    for external_id in (None, ACCOUNT_ID):
        account = await adapter(graph).community(credentials(external_id=external_id))
        assert (account.external_id, account.title, account.size) == (ACCOUNT_ID, "Coffee", 12)
        assert account.url == "https://www.instagram.com/coffee.house"
    graph.nodes["me"] = {**ACCOUNT, "id": "555", "user_id": int(ACCOUNT_ID)}
    for external_id in (None, ACCOUNT_ID):
        account = await adapter(graph).community(credentials(OWN, external_id))
        assert (account.external_id, account.aliases) == (ACCOUNT_ID, frozenset({"555"}))
    assert [request.url.host for request in graph.requests] == ["graph.facebook.com"] * 2 + ["graph.instagram.com"] * 2
    both = credentials({**PAGE, **OWN})
    await adapter(graph).community(both)
    assert graph.requests[-1].headers["authorization"] == f"Bearer {PAGE_TOKEN}"
    assert "appsecret_proof" not in graph.requests[-2].url.params, "the app of Instagram Login has another secret"


async def test_the_token_of_another_account_is_rejected() -> None:
    graph = fake_graph()
    graph.nodes["me"]["instagram_business_account"]["username"] = "tea.house"
    with pytest.raises(Rejected, match=r"tea\.house"):
        await adapter(graph).community(credentials(external_id=None))
    graph.nodes["me"] = {**ACCOUNT, "user_id": "17841400000000078"}
    with pytest.raises(Rejected):
        await adapter(graph).community(credentials(OWN))
    graph.nodes["me"] = {"id": "77"}
    with pytest.raises(Gone, match="not linked"):
        await adapter(graph).community(credentials(external_id=None))
    with pytest.raises(AuthExpired):
        await adapter(graph).community(credentials({}))


async def test_metrics_by_type_of_media() -> None:
    graph = fake_graph()
    kinds = {1: "FEED", 2: "REELS", 3: "STORY", 4: "FEED"}
    for number, kind in kinds.items():
        graph.nodes[f"18{number}"] = media(number, media_product_type=kind)
        counts: dict[str, int | None] = {"views": 10 * number, "reach": number, "shares": 0, "saved": 7}
        graph.insights[f"18{number}"] = counts
    del graph.insights["183"]["saved"], graph.nodes["182"]["like_count"]
    graph.insights["184"] = dict.fromkeys(graph.insights["184"])
    feed, reel, story, new = await adapter(graph).metrics(credentials(), ("181", "182", "183", "184"))
    assert feed.counters == {
        Metric.VIEWS: 10, Metric.REACH: 1, Metric.SHARES: 0, Metric.SAVES: 7, Metric.REACTIONS: 1, Metric.COMMENTS: 2,
    }  # fmt: skip
    assert feed.missing == {Metric.QUOTES: MetricStatus.UNSUPPORTED}
    assert reel.missing[Metric.REACTIONS] is MetricStatus.UNSUPPORTED, "the account hides its likes"
    assert story.counters[Metric.VIEWS] == 30
    assert story.missing[Metric.SAVES] is MetricStatus.UNSUPPORTED
    assert {new.missing[m] for m in (Metric.VIEWS, Metric.REACH, Metric.SHARES, Metric.SAVES)} == {MetricStatus.PENDING}
    assert len(graph.requests) == 3, "counters; insights of feed and reels; insights of stories"
    urls = " ".join(str(request.url) for request in graph.requests)
    assert not any(retired in urls for retired in ("impressions", "plays", "video_views"))


async def test_a_retired_metric_and_media_that_may_not_be_read() -> None:
    graph = fake_graph()
    for number in (1, 2, 3):
        graph.nodes[f"18{number}"] = media(number)
        graph.insights[f"18{number}"] = {"views": 5, "reach": 4, "shares": 3, "saved": 2}
    graph.metrics.remove("saved")
    one, other = await adapter(graph).metrics(credentials(), ("181", "183"))
    assert one.missing[Metric.SAVES] is MetricStatus.UNSUPPORTED
    assert other.counters[Metric.VIEWS] == 5
    error = graph_error(10, None, "(#10) requires the instagram_basic permission")
    graph.overrides[f"{ACCOUNT_ID}/media"] = httpx.Response(400, json=error)
    with pytest.raises(MissingPermission):
        await adapter(graph).metrics(credentials(), ("189",))


# ── comments and messages ─────────────────────────────────────────────────────────────────────────


def comment(number: int, author_id: str | None, **more: object) -> Node:
    author = (
        {}
        if author_id is None
        else {"from": {"id": author_id, "username": f"name.{author_id}"}, "username": f"name.{author_id}"}
    )
    return {"id": f"179{number}", "timestamp": graph_time(number), "text": f"comment {number}", **author, **more}


def ours(number: int) -> Node:
    return {**comment(number, None), "username": "coffee.house", "from": {"id": "999", "username": "coffee.house"}}


async def test_comments_with_all_their_replies() -> None:
    graph = fake_graph()
    graph.page_size = 2
    answers = [ours(9), comment(8, "6"), comment(7, "5"), comment(6, "5")]
    graph.lists["1791/replies"] = answers
    graph.lists["1792/replies"] = [ours(5)]
    first = {"data": answers[:2], "paging": {"cursors": {"after": _after(answers[1])}, "next": "https://x"}}
    graph.lists["181/comments"] = [
        comment(4, None), comment(2, "6", replies={"data": [ours(5)]}), comment(1, "5", replies=first),
    ]  # fmt: skip
    items, cursor = await read_all(lambda cursor: adapter(graph).comments(credentials(), "181", cursor))
    by_id: dict[str, RemoteMessage] = {one.external_id: one for one in items}
    assert set(by_id) == {f"179{n}" for n in (1, 2, 4, 5, 6, 7, 8, 9)}
    assert {by_id[f"179{n}"].thread_id for n in (1, 6, 7, 9)} == {"comment-1791"}
    assert by_id["1798"].thread_id == "comment-1791-name.6"
    assert by_id["1795"].thread_id == by_id["1792"].thread_id == "comment-1792"
    assert [by_id[f"179{n}"].author.is_community for n in (9, 5, 1)] == [True, True, False]
    assert (by_id["1797"].in_reply_to, by_id["1791"].in_reply_to) == ("1791", None)
    assert by_id["1794"].author == RemotePerson("unknown-1794", "")
    assert by_id["1791"].author.url == "https://www.instagram.com/name.5"
    since = START + timedelta(minutes=6)
    late, _ = await read_all(lambda cursor: adapter(graph).comments(credentials(), "181", cursor, since), cursor)
    assert {one.external_id for one in late} == {f"179{n}" for n in (6, 7, 8, 9)}, "also new replies to an old comment"
    del graph.lists["1791/replies"]
    items, _ = await read_all(lambda cursor: adapter(graph).comments(credentials(), "181", cursor))
    assert len(items) == 6, "a deleted comment has no further replies"


def _after(item: Node) -> str:
    return base64.urlsafe_b64encode(item["id"].encode()).decode()


async def test_messages_then_tags() -> None:
    graph = fake_graph()
    graph.page_size = 1
    people = {"data": [{"id": ACCOUNT_ID, "username": "coffee.house"}, {"id": "5", "username": "ann"}]}
    listed = [
        {
            "id": "aW2",
            "created_time": graph_time(2),
            "message": "Yes",
            "from": people["data"][0],
            "to": {"data": [{"id": "5"}]},
        },
        {"id": "aW1", "created_time": graph_time(1), "message": "Open?", "from": people["data"][1]},
    ]
    thread = {"id": "aWd", "updated_time": graph_time(2), "participants": people, "messages": {"data": listed}}
    graph.lists["me/conversations"] = [thread]
    graph.lists[f"{ACCOUNT_ID}/tags"] = [media(n, username="bob") for n in (3, 2, 1)]
    items, cursor = await read_all(lambda cursor: adapter(graph).conversations(credentials(), cursor))
    messages = {one.external_id: one for one in items if one.kind is MessageKind.MESSAGE}
    assert {one.thread_id for one in messages.values()} == {"message-5"}
    assert messages["aW1"].author == RemotePerson("5", "ann")
    assert messages["aW2"].author.is_community
    mentions = [one for one in items if one.kind is MessageKind.MENTION]
    assert [one.external_id for one in mentions] == ["tag-183", "tag-182", "tag-181"]
    assert (mentions[0].text, mentions[0].author.name, mentions[0].url) == ("post 3", "bob", "https://ig.example/3")
    assert graph.requests[0].extensions[COST].units == {"calls": 1, "conversations": 1}
    requests_before = len(graph.requests)
    await read_all(lambda cursor: adapter(graph).conversations(credentials(), cursor), cursor)
    assert len(graph.requests) == requests_before + 3, "threads up to the known ones, the first page of tags"
    graph.lists[f"{ACCOUNT_ID}/tags"].insert(0, media(4, username="bob"))
    since = START + timedelta(minutes=4)
    items, _ = await read_all(lambda cursor: adapter(graph).conversations(credentials(), cursor, since), cursor)
    assert [one.external_id for one in items] == ["tag-184"]


# ── posts ─────────────────────────────────────────────────────────────────────────────────────────


def publishing(*states: str) -> FakeGraph:
    graph, numbers, status_codes = fake_graph(), iter(range(901, 999)), iter(states)

    def container() -> Node:
        number = str(next(numbers))
        graph.bodies[number] = lambda: {
            "id": number,
            "status_code": next(status_codes, "FINISHED"),
            "status": "Error: odd",
        }
        return {"id": number}

    limit = {"quota_usage": 0, "config": {"quota_total": 25, "quota_duration": 86400}}
    graph.bodies = {"/media": container, "media_publish": {"id": "1850"}, "publishing_limit": {"data": [limit]}}
    return graph


@pytest.mark.parametrize(
    ("state", "kind", "match"), [("EXPIRED", Transient, "busy"), ("", Transient, "busy"), ("ERROR", Rejected, "odd")]
)
async def test_what_is_not_ready_is_not_published(state: str, kind: type[Exception], match: str) -> None:
    graph = publishing(*[state] * 9)
    with pytest.raises(kind, match=match):
        await adapter(graph).publish(credentials(), OutgoingPost("Open", PICTURES[:1]), "key")
    assert not any("media_publish" in path for path, _ in graph.sent)


@pytest.mark.parametrize(
    "draft",
    [
        OutgoingPost("Open"),
        OutgoingPost("Open", PICTURES * 4),
        OutgoingPost("x" * 2201, PICTURES),
        OutgoingPost("", (Picture(b"", "image/jpeg"),)),
        OutgoingPost("", (Picture(PIXEL, "image/png", url="https://instep.example/1.png"),)),
        OutgoingPost("", (Picture(bytes(8 * 2**20 + 1), "image/jpeg", url="https://instep.example/1.jpg"),)),
    ],
)
async def test_an_invalid_post_is_rejected_before_any_request(draft: OutgoingPost) -> None:
    graph = publishing()
    with pytest.raises(Rejected):
        await adapter(graph).publish(credentials(), draft, "key")
    assert graph.requests == []


# ── tokens and hooks ──────────────────────────────────────────────────────────────────────────────


async def test_the_token_of_instagram_login_is_refreshed_with_itself() -> None:
    graph = fake_graph()
    graph.bodies = {
        "refresh_access_token": {"access_token": "IGAAnew", "token_type": "bearer", "expires_in": 5_183_944}
    }
    granted = await adapter(graph).refresh(credentials({**PAGE, **OWN}))
    assert set(granted) == {Token.USER}
    assert (granted[Token.USER].text, granted[Token.USER].lifetime) == ("IGAAnew", timedelta(seconds=5_183_944))
    assert (graph.requests[0].url.host, graph.requests[0].url.path) == ("graph.instagram.com", "/refresh_access_token")
    assert graph.requests[0].method == "GET"
    assert dict(graph.requests[0].url.params) == {"grant_type": "ig_refresh_token", "access_token": OWN_TOKEN}
    assert "authorization" not in graph.requests[0].headers
    with pytest.raises(AuthExpired):
        await adapter(graph).refresh(credentials())
    assert Instagram.renewable({Token.USER, Token.COMMUNITY}, {}) == {Token.USER}
    assert Instagram.renewable({Token.COMMUNITY}, APP) == frozenset()


async def test_the_page_s_token_is_inspected() -> None:
    graph = fake_graph()
    token_info = {"is_valid": True, "scopes": list(Instagram.spec.scopes[Token.COMMUNITY][1:]), "expires_at": 0}
    graph.bodies = {"debug_token": {"data": token_info}}
    (state,) = (await adapter(graph).inspect(credentials({**PAGE, **OWN}))).values()
    assert (state.missing_scopes, state.lifetime) == (("instagram_basic",), None)
    assert await adapter(graph).inspect(credentials(OWN)) == {}


def events(field: str, value: Node, *, flat: bool = False, **more: object) -> tuple[Event, ...]:
    change = {"field": field, "value": value}
    entry = {"id": ACCOUNT_ID, "time": 1_772_355_600, **(change if flat else {"changes": [change]}), **more}
    return Instagram.receive(signed_request({"object": "instagram", "entry": [entry]}), SECRETS).events


@pytest.mark.parametrize("flat", [True, False])
def test_a_pushed_comment_equals_the_listed_one(*, flat: bool) -> None:
    value: Node = {
        "id": "1791", "text": "Open?", "from": {"id": "5", "username": "ann"},
        "media": {"id": "181", "media_product_type": "FEED"},
    }  # fmt: skip
    (event,) = events("comments", value, flat=flat)
    (message,) = event.messages
    assert event.account_id == ACCOUNT_ID
    assert (message.external_id, message.thread_id, message.post_id) == ("1791", "comment-1791", "181")
    assert (message.author.name, message.text) == ("ann", "Open?")
    assert message.sent_at == datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
    (reply,) = events("comments", {**value, "parent_id": "1790"}, flat=flat)
    assert (reply.messages[0].thread_id, reply.messages[0].in_reply_to) == ("comment-1790-ann", "1790")
    for own in ({"id": ACCOUNT_ID}, {"id": "999", "self_ig_scoped_id": "999"}):
        assert events("comments", {**value, "from": own, "parent_id": "1790"}, flat=flat) == ()
        assert events("comments", {**value, "from": own}, flat=flat)[0].messages[0].author.is_community
    for mention, reference in (({"media_id": 181}, "181"), ({"media_id": "181", "comment_id": "1791"}, "181/1791")):
        (event,) = events("mentions", mention, flat=flat)
        assert (event.announced, event.messages) == ((reference,), ())
    (unparsed,) = events("mentions", {"comment_id": "1791"}, flat=flat)
    assert unparsed.unparsed is not None


@pytest.mark.parametrize("writer", [None, {"username": "ann"}, {"id": "5"}, {"id": "5", "username": "ann.of.old"}])
async def test_a_customer_is_in_one_thread_by_name_and_by_id(writer: Node | None) -> None:
    """Events and lists contain the id, the name, or both; our answer belongs to the thread in any case."""
    (event,) = events("comments", {"id": "1791", "text": "Open?", "from": writer, "media": {"id": "181"}})
    graph = fake_graph()
    author = {"username": "ann", "from": {"id": "5", "username": "ann"}}
    graph.lists["181/comments"] = [{**comment(1, None), **author, "replies": {"data": [ours(2)]}}]
    items, _ = await read_all(lambda cursor: adapter(graph).comments(credentials(), "181", cursor))
    assert {one.thread_id for one in items} == {event.messages[0].thread_id}
    assert all(one.renames_thread for one in items), "the list decides, whatever an event knew"
    assert not event.messages[0].renames_thread
    assert not event.messages[0].guesses_thread
    (reply,) = events("comments", {"id": "1799", "text": "?", "from": writer, "parent_id": "1791"})
    assert reply.messages[0].guesses_thread, "it may be the same customer"


def test_messages_echoes_and_deletions() -> None:
    def message_event(sender: str, recipient: str, **message: object) -> Node:
        at_ms = 1_772_355_600_000
        return {"sender": {"id": sender}, "recipient": {"id": recipient}, "timestamp": at_ms, "message": message}

    received = events(
        "story_insights",
        {},
        messaging=[
            message_event("5", ACCOUNT_ID, mid="aW1", text="Open?"),
            message_event(ACCOUNT_ID, "5", mid="aW2", text="Yes", is_echo=True),
            message_event("5", ACCOUNT_ID, mid="aW1", is_deleted=True),
        ],
    )
    theirs, ours_, deleted = received
    assert theirs.messages[0].thread_id == ours_.messages[0].thread_id == "message-5"
    assert ours_.messages[0].author.is_community
    assert (deleted.deleted_ids, deleted.messages) == (("aW1",), ())
    assert len({event.event_id for event in received}) == 3
