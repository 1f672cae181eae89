"""The Bluesky adapter against the sandbox, and against a fake server for other cases."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.platforms.bluesky.adapter import ADAPTER, Bluesky
from app.platforms.bluesky.paginators import ListPaginator
from app.platforms.capabilities import (
    Inspects,
    ListsComments,
    MeasuresAcross,
    Publishes,
    Receives,
    Refreshes,
    Replies,
    ReportsUsage,
)
from app.platforms.contract import (
    Adapter,
    Credentials,
    Gone,
    MessageKind,
    Metric,
    MetricStatus,
    Token,
)
from sandbox.bluesky import ids
from tests.platforms.bluesky.server import ACCESS, POSTED_AT, PROFILE, Server, credentials, post, read_all, reply_fields
from tests.platforms.contract.stage import Subject, staged
from tests.platforms.specimens import json_response
from tests.platforms.specimens.bluesky import CUSTOMER, OWN_DID, jwt, uri

PUBLIC = "public.api.bsky.app"
HOME = "bsky.social"


@pytest.fixture
async def stage() -> AsyncIterator[Subject]:
    async with staged("bluesky", Bluesky) as subject:
        yield subject


# ── capabilities ──────────────────────────────────────────────────────────────────────────────────


def test_the_adapter_has_blueskys_capabilities_and_no_webhooks() -> None:
    made: Adapter = Server().adapter
    assert ADAPTER is Bluesky
    for ability in (ListsComments, MeasuresAcross, Replies, Publishes, Refreshes, Inspects, ReportsUsage):
        assert isinstance(made, ability)
    assert not isinstance(made, Receives)
    assert {Metric.VIEWS, Metric.REACH}.isdisjoint(made.spec.metrics)


@pytest.mark.parametrize(
    ("text", "canonical", "base"),
    [
        ("https://bsky.app/profile/Name.bsky.social", "https://bsky.app/profile/name.bsky.social", None),
        ("bsky.app/profile/name.bsky.social/", "https://bsky.app/profile/name.bsky.social", None),
        (" @Name.Example ", "https://bsky.app/profile/name.example", None),
        ("name.example", "https://bsky.app/profile/name.example", None),
        (OWN_DID, f"https://bsky.app/profile/{OWN_DID}", None),
        ("did:web:name.example", "https://bsky.app/profile/did:web:name.example", None),
        ("@name.example@bsky.social", "https://bsky.app/profile/name.example", None),
        ("@name.example@pds.example", "https://bsky.app/profile/name.example?pds=pds.example", "https://pds.example"),
        (
            "https://bsky.app/profile/name.example?pds=PDS.example:8443",
            "https://bsky.app/profile/name.example?pds=pds.example:8443",
            "https://pds.example:8443",
        ),
    ],
)
def test_addresses_have_one_spelling(text: str, canonical: str, base: str | None) -> None:
    address = Bluesky.address(text)
    assert (address.canonical, address.base_url) == (canonical, base)
    assert Bluesky.address(address.canonical) == address


@pytest.mark.parametrize(
    "text",
    [
        "", "name", "@", "https://bsky.app", "https://bsky.app/profile/", "https://bsky.app/profile/name.example/post/1",
        "https://other.example/profile/name.example", "ftp://bsky.app/profile/name.example", "did:plc:short",
        "https://user@bsky.app/profile/name.example", "name.example@", "@name.example@127.0.0.1/x",
        "name.example@localhost", "https://[bsky.app/profile/a.b", "-a.example",
    ],
)  # fmt: skip
def test_an_invalid_address_is_rejected(text: str) -> None:
    if text == "name.example@":
        assert Bluesky.address(text).base_url is None
        return
    with pytest.raises(ValueError, match="Bluesky address"):
        Bluesky.address(text)


# ── hosts ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("address", "base_url", "token", "host"),
    [
        ("name.bsky.social", "https://bsky.social", None, PUBLIC),
        ("name.bsky.social", "https://bsky.social", ACCESS, HOME),
        ("@name.example@pds.example", "https://pds.example", None, PUBLIC),
        ("@name.example@pds.example", "https://pds.example", ACCESS, "pds.example"),
        ("name.bsky.social", "http://127.0.0.1:3300", None, "127.0.0.1"),
        ("@name.example@pds.example", "http://127.0.0.1:3300", None, "127.0.0.1"),
    ],
)
async def test_without_a_token_requests_go_to_the_public_api(
    address: str, base_url: str, token: str | None, host: str
) -> None:
    server = Server(getProfile=PROFILE)
    tokens = {} if token is None else {Token.COMMUNITY: token}
    c = Credentials(Bluesky.address(address).canonical, base_url, None, tokens)
    snapshot = await server.adapter.community(c)
    (request,) = server.requests
    assert (request.url.host, snapshot.size, snapshot.external_id) == (host, 7, OWN_DID)
    assert request.url.params["actor"] == address.removeprefix("@").partition("@")[0]
    assert request.headers.get("authorization") == (None if token is None else f"Bearer {token}")


async def test_counters_are_read_without_a_token() -> None:
    """Posts of blocked people are hidden from an account, and would be taken for deleted."""
    server = Server(getPosts={"posts": [post("a")]})
    await server.adapter.metrics(credentials(community=ACCESS), (uri(OWN_DID, "a"),))
    (request,) = server.requests
    assert request.url.host == PUBLIC
    assert "authorization" not in request.headers


async def test_an_account_may_hide_its_size_and_lose_its_handle() -> None:
    server = Server(getProfile={"did": OWN_DID, "handle": "handle.invalid"})
    snapshot = await server.adapter.community(credentials())
    assert (snapshot.size, snapshot.title, snapshot.url) == (None, OWN_DID, f"https://bsky.app/profile/{OWN_DID}")


# ── posts ─────────────────────────────────────────────────────────────────────────────────────────


def feed(*entries: dict[str, Any], cursor: str | None = None) -> dict[str, Any]:
    return {"feed": list(entries), **({} if cursor is None else {"cursor": cursor})}


async def test_reposts_replies_and_posts_of_others_are_left_out() -> None:
    repost = {"$type": "app.bsky.feed.defs#reasonRepost", "indexedAt": POSTED_AT, "by": {}}
    server = Server(
        getAuthorFeed=feed(
            {"post": post("mine")},
            {"post": post("mine-again"), "reason": repost},
            {"post": post("others", did=CUSTOMER), "reason": repost},
            {"post": post("pinned"), "reason": {"$type": "app.bsky.feed.defs#reasonPin"}},
            {"post": post("answer", record=reply_fields(uri(OWN_DID, "mine"), uri(OWN_DID, "mine")))},
        )
    )
    page = await server.adapter.posts(credentials(), None)
    assert [one.external_id for one in page.items] == [uri(OWN_DID, "mine")]
    assert page.items[0].url == f"https://bsky.app/profile/{OWN_DID}/post/mine"
    assert page.items[0].metrics.counters == {
        Metric.REACTIONS: 1, Metric.COMMENTS: 2, Metric.SHARES: 3, Metric.QUOTES: 4, Metric.SAVES: 5,
    }  # fmt: skip
    assert page.items[0].metrics.missing == dict.fromkeys((Metric.VIEWS, Metric.REACH), MetricStatus.UNSUPPORTED)
    assert not page.more
    assert server.requests[0].url.params["filter"] == "posts_no_replies"


async def test_a_repost_of_an_old_post_does_not_end_the_list() -> None:
    repost = {"$type": "app.bsky.feed.defs#reasonRepost", "indexedAt": POSTED_AT, "by": {}}
    old = post("old", did=CUSTOMER, at="2023-01-01T00:00:00Z")
    server = Server(getAuthorFeed=feed({"post": old, "reason": repost}, cursor=POSTED_AT))
    assert (await server.adapter.posts(credentials(), None, datetime(2026, 1, 1, tzinfo=UTC))).more


@pytest.mark.parametrize(
    ("claimed", "published"),
    [
        ("2026-11-20T00:00:00Z", "2026-11-20T00:00:00+00:00"),
        ("2031-01-01T00:00:00Z", "2026-11-23T05:00:00+00:00"),
        ("2023-07-21T01:33:51.481951", "2026-11-23T05:00:00+00:00"),
        ("yesterday", "2026-11-23T05:00:00+00:00"),
        (7, "2026-11-23T05:00:00+00:00"),
    ],
)
async def test_a_publication_date_in_the_future_is_replaced(claimed: object, published: str) -> None:
    server = Server(getAuthorFeed=feed({"post": post("a", record={"createdAt": claimed})}))
    (remote_post,) = (await server.adapter.posts(credentials(), None)).items
    assert remote_post.published_at == datetime.fromisoformat(published)


async def test_omitted_counters_are_unsupported_and_omitted_posts_gone() -> None:
    view = {name: value for name, value in post("a").items() if name != "bookmarkCount"}
    server = Server(getPosts={"posts": [view]})
    requested_ids = (uri(OWN_DID, "gone"), uri(OWN_DID, "a"), uri(OWN_DID, "a"))
    gone, first, second = await server.adapter.metrics(credentials(), requested_ids)
    assert (gone.external_id, gone.gone) == (uri(OWN_DID, "gone"), True)
    assert first == second
    assert first.missing[Metric.SAVES] is MetricStatus.UNSUPPORTED
    assert server.requests[0].url.params.get_list("uris") == [uri(OWN_DID, "gone"), uri(OWN_DID, "a")]
    with pytest.raises(ValueError, match="25"):
        await server.adapter.metrics(credentials(), tuple(uri(OWN_DID, str(n)) for n in range(26)))


# ── paging ────────────────────────────────────────────────────────────────────────────────────────

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def test_a_page_starts_a_little_above_its_cursor() -> None:
    paginator, more = ListPaginator().after([NOON], "2026-11-23T12:00:00.123Z", None)
    assert more
    assert paginator.query() == {"cursor": "2026-11-23T12:00:00.124Z"}
    paginator, more = paginator.after([NOON], "2026-11-23T12:00:00.123Z", None)
    assert (more, paginator.query()) == (True, {"cursor": "2026-11-23T12:00:00.123Z"}), "all items share one timestamp"
    paginator, more = paginator.after([NOON], "2026-11-23T12:00:00.123Z", None)
    assert (more, paginator.seen_until) == (False, NOON), "a server that repeats a page"


def test_a_cursor_that_is_no_timestamp_is_used_unchanged() -> None:
    paginator, _ = ListPaginator().after([NOON], "1700000000000__bafyreia", None)
    assert paginator.query() == {"cursor": "1700000000000__bafyreia"}


def test_paging_continues_an_hour_below_the_last_item_seen() -> None:
    initial = ListPaginator(seen_until=NOON)
    _, more = initial.after([NOON - timedelta(minutes=55)], "c", None)
    assert more, "items may come late"
    paginator, more = initial.after([NOON + timedelta(hours=1), NOON - timedelta(minutes=65)], "c", None)
    assert (more, paginator) == (False, ListPaginator(seen_until=NOON + timedelta(hours=1)))
    paginator, more = initial.after([], "c", None)
    assert more, "an empty page is not the end"
    assert paginator.after([], None, None) == (ListPaginator(seen_until=NOON), False), "it keeps `seen_until`"


async def test_items_of_one_timestamp_on_two_pages_are_all_read(stage: Subject) -> None:
    """Bluesky omits items that are exactly as old as the cursor."""
    for number in range(230):
        if number % 23 == 0:
            stage.later()
        stage.sandbox.network.world.emit(
            "mention", stage.community, person=stage.community.number_of(1), text=f"{number}"
        )
    texts = {one.text for one in await read_all(stage.c, stage.adapter().conversations)}
    assert {f"@velosreda.bsky.social {number}" for number in range(230)} <= texts


async def test_a_conversation_that_moves_to_the_top_during_paging_is_read(stage: Subject) -> None:
    for person in range(1, 121):
        stage.message(f"From {person}", person=person)

    def write(number: int) -> None:
        if number % 40 == 0:
            stage.message(f"Again {number}", person=1 + number)

    stage.transport.before = write
    messages = await read_all(stage.c, stage.adapter().conversations)
    entries = [entry for entry in stage.community.mail.values() if entry.person is not None]
    assert {one.text for one in messages if one.kind is MessageKind.MESSAGE} >= {entry.text for entry in entries}


async def test_only_new_messages_of_a_conversation_are_read(stage: Subject) -> None:
    for number in range(120):
        stage.message(f"{number}", person=1)
    made = Bluesky(stage.http)
    cursor: str | None = None
    for _ in range(2):
        texts, more = [], True
        while more:
            page = await made.conversations(stage.c, cursor)
            texts += [one.text for one in page.items if one.kind is MessageKind.MESSAGE]
            cursor, more = page.cursor, page.more
        stage.message("News", person=1)
    assert texts == ["News"]
    assert [request.url.path.rpartition(".")[2] for request in stage.transport.requests[-5:]] == [
        "listNotifications", "listConvos", "getMessages", "listConvos", "getAuthorFeed",
    ]  # fmt: skip


# ── conversations ─────────────────────────────────────────────────────────────────────────────────


def notification(reason: str, rkey: str, **more: Any) -> dict[str, Any]:
    made = post(rkey, did=CUSTOMER, **more)
    return {**made, "reason": reason, "isRead": False}


async def test_replies_below_our_posts_are_comments_and_others_mentions() -> None:
    ours, theirs = uri(OWN_DID, "post"), uri(CUSTOMER, "theirs")
    server = Server(
        listNotifications={
            "notifications": [
                notification("reply", "a", record=reply_fields(ours, ours)),
                notification("reply", "b", record=reply_fields(uri(CUSTOMER, "a"), ours)),
                notification("reply", "c", record=reply_fields(uri(OWN_DID, "answer"), theirs)),
                notification("mention", "d"),
                notification("quote", "e"),
                notification("like", "f"),
            ]
        },
        listConvos={"convos": []},
    )
    page = await server.adapter.conversations(credentials(community=ACCESS), None)
    summaries = [(one.external_id[-1], one.kind, one.post_id, one.thread_id) for one in page.items]
    comment, mention = MessageKind.COMMENT, MessageKind.MENTION
    assert summaries == [
        ("a", comment, ours, f"comment:{ours}:{CUSTOMER}"),
        ("b", comment, ours, f"comment:{ours}:{CUSTOMER}"),
        ("c", mention, None, f"mention:{theirs}:{CUSTOMER}"),
        ("d", mention, None, f"mention:{uri(CUSTOMER, 'd')}:{CUSTOMER}"),
        ("e", mention, None, f"mention:{uri(CUSTOMER, 'e')}:{CUSTOMER}"),
    ]
    assert page.more, "direct messages are still to come"
    params = server.requests[0].url.params
    assert (params.get_list("reasons"), params["priority"]) == (["reply", "mention", "quote"], "false")


async def test_comments_and_conversations_return_the_same_message(stage: Subject) -> None:
    post_id = stage.post()["id"]
    first = stage.comment(post_id, "Until when?", person=1)
    stage.let("reply", via="comment", post=post_id, parent=first["id"], text="Until six")
    stage.comment(post_id, "Thanks", parent=first["id"], person=1)
    stage.comment(post_id, "Me too", parent=first["id"], person=2)
    made = Bluesky(stage.http)
    remote = ids.uri(ids.did(18), ids.POST, ids.rkey(int(post_id)))
    below_post = {
        one.external_id: one for one in await read_all(stage.c, lambda c, cursor: made.comments(c, remote, cursor))
    }
    conversation_comments = {
        one.external_id: one for one in await read_all(stage.c, made.conversations) if one.post_id == remote
    }
    assert {one.text for one in conversation_comments.values()} == {"Until when?", "Thanks", "Me too"}
    assert all(below_post[key] == one for key, one in conversation_comments.items())
    (answer,) = (one for one in below_post.values() if one.author.is_community)
    question = next(one for one in below_post.values() if one.text == "Until when?")
    assert (answer.thread_id, answer.in_reply_to) == (question.thread_id, question.external_id)
    assert len({one.thread_id for one in below_post.values()}) == 2, "there must be one thread for each customer"


async def test_replies_deeper_than_one_response_are_read_by_further_requests(stage: Subject) -> None:
    post_id = stage.post()["id"]
    above = stage.comment(post_id, "0")["id"]
    for number in range(1, 130):
        above = stage.comment(post_id, str(number), parent=above, person=1 + number % 2)["id"]
    remote = ids.uri(ids.did(18), ids.POST, ids.rkey(int(post_id)))
    made = Bluesky(stage.http)
    comments = await read_all(stage.c, lambda c, cursor: made.comments(c, remote, cursor))
    assert sorted(int(one.text) for one in comments) == list(range(130))


async def test_blocked_and_missing_replies_are_skipped() -> None:
    root = {
        "$type": "app.bsky.feed.defs#threadViewPost",
        "post": post("post"),
        "replies": [
            {"$type": "app.bsky.feed.defs#blockedPost", "uri": "at://x", "blocked": True, "author": {"did": CUSTOMER}},
            {"$type": "app.bsky.feed.defs#notFoundPost", "uri": "at://x", "notFound": True},
            {"post": post("a", did=CUSTOMER), "replies": []},
        ],
    }
    gone = {"$type": "app.bsky.feed.defs#notFoundPost", "uri": "at://x", "notFound": True}
    server = Server(getPostThread=[{"thread": root}, {"thread": gone}])
    page = await server.adapter.comments(credentials(), uri(OWN_DID, "post"), None)
    assert ([one.external_id for one in page.items], page.more) == ([uri(CUSTOMER, "a")], False)
    with pytest.raises(Gone):
        await server.adapter.comments(credentials(), uri(OWN_DID, "post"), None)


async def test_without_permission_direct_messages_are_not_requested() -> None:
    ordinary = jwt("signature", scope="com.atproto.appPass")
    server = Server(listNotifications={"notifications": []})
    await read_all(credentials(community=ordinary), server.adapter.conversations)
    assert [one.url.path.rpartition(".")[2] for one in server.requests] == ["listNotifications", "getAuthorFeed"]


async def test_a_chat_that_refuses_does_not_stop_the_notifications() -> None:
    refused = json_response({"error": "InvalidToken", "message": "Bad token method"}, 400)
    server = Server(listNotifications={"notifications": []}, listConvos=refused)
    page = await server.adapter.conversations(credentials(community="opaque-token"), None)
    assert page.more
    page = await server.adapter.conversations(credentials(community="opaque-token"), page.cursor)
    assert (page.items, page.more) == ((), True)
    for _ in range(2):
        page = await server.adapter.conversations(credentials(community="opaque-token"), page.cursor)
    assert [one.url.path.rpartition(".")[2] for one in server.requests][-1] == "listNotifications"
    assert server.requests[1].headers["atproto-proxy"] == "did:web:api.bsky.chat#bsky_chat"


async def test_a_refused_conversation_does_not_hide_the_next() -> None:
    member = {"did": CUSTOMER, "handle": "customer.example"}
    convos = [{"id": f"c{n}", "rev": f"3k{n}", "members": [member], "muted": False, "unreadCount": 0} for n in (2, 1)]
    message = {"id": "m", "rev": "3k1", "text": "Hello", "sender": {"did": CUSTOMER}, "sentAt": POSTED_AT}
    server = Server(
        listNotifications={"notifications": []},
        listConvos=[{"convos": convos}, {"convos": convos}],
        getMessages=[
            json_response({"error": "InvalidRequest", "message": "Convo is odd"}, 400),
            {"messages": [message]},
        ],
    )
    messages = await read_all(credentials(community=ACCESS), server.adapter.conversations)
    assert [(one.text, one.author.name, one.thread_id) for one in messages] == [
        ("Hello", "customer.example", "direct:c1")
    ]


async def test_a_malformed_record_hides_no_others() -> None:
    malformed = {**notification("mention", "odd"), "record": {"text": 7, "reply": "no"}}
    server = Server(listNotifications={"notifications": [malformed, notification("mention", "good")]})
    page = await server.adapter.conversations(credentials(community=ACCESS), None)
    assert [(one.external_id, one.text) for one in page.items] == [
        (uri(CUSTOMER, "odd"), ""),
        (uri(CUSTOMER, "good"), "text good"),
    ]
