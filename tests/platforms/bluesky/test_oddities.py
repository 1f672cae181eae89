"""Malformed data of other software and servers: it hides no valid data, and no values are invented."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import httpx
import pytest

from app.kit.instants import EARLIEST
from app.platforms.bluesky.paginators import ListPaginator
from app.platforms.contract import (
    AuthExpired,
    Gone,
    Malformed,
    Metric,
    MetricStatus,
    PlatformError,
    Rejected,
    RemoteMessage,
)
from tests.platforms.bluesky.server import ACCESS, POSTED_AT, Server, credentials, post, reply_fields
from tests.platforms.recorded.bluesky import with_response
from tests.platforms.specimens.bluesky import CID, CUSTOMER, OWN_DID, uri

INDEXED: Final = datetime.fromisoformat(POSTED_AT)
SIGNED_IN: Final = credentials(community=ACCESS)


def notification(rkey: str, **more: Any) -> dict[str, Any]:
    return {**post(rkey, did=CUSTOMER), "reason": "mention", "isRead": False, **more}


# ── moments ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("claimed", "published"),
    [
        ("0001-01-01T00:00:00Z", INDEXED),
        ("0001-01-01T00:00:00+14:00", INDEXED),
        ("0000-01-01T00:00:00.000Z", INDEXED),
        ("1970-01-01T00:00:00.000Z", INDEXED),
        ("2026-02-30T00:00:00Z", INDEXED),
        ("2026-11-20T00:00:00.1Z", datetime(2026, 11, 20, 0, 0, 0, 100_000, UTC)),
        ("2026-11-20T00:00:00.123456789Z", datetime(2026, 11, 20, 0, 0, 0, 123_456, UTC)),
        ("2026-11-20T03:00:00+03:00", datetime(2026, 11, 20, tzinfo=UTC)),
        ("2009-02-13T23:31:30Z", datetime(2009, 2, 13, 23, 31, 30, tzinfo=UTC)),
    ],
)
async def test_an_implausible_date_is_replaced(claimed: str, published: datetime) -> None:
    server = Server(getAuthorFeed={"feed": [{"post": post("a", at=claimed)}]})
    (remote_post,) = (await server.adapter.posts(credentials(), None)).items
    assert remote_post.published_at == published


@pytest.mark.parametrize(
    ("claimed", "sent"),
    [
        ("0001-01-01T00:00:00Z", INDEXED),
        ("2015-01-01T00:00:00Z", INDEXED),
        ("2031-01-01T00:00:00Z", INDEXED),
        (INDEXED.isoformat(), INDEXED),
        ((INDEXED - timedelta(minutes=10)).isoformat(), INDEXED - timedelta(minutes=10)),
        ((INDEXED - timedelta(hours=1)).isoformat(), INDEXED),
    ],
)
async def test_a_message_is_dated_by_the_network_unless_its_author_is_close_to_it(claimed: str, sent: datetime) -> None:
    listed = notification("a", record={"createdAt": claimed})
    server = Server(listNotifications={"notifications": [listed]})
    page = await server.adapter.conversations(SIGNED_IN, None, datetime(2026, 11, 1, tzinfo=UTC))
    assert [one.sent_at for one in page.items] == [sent]
    reply = {"post": post("b", did=CUSTOMER, record={"createdAt": claimed}), "replies": []}
    server = Server(getPostThread={"thread": {"post": post("a"), "replies": [reply]}})
    comments = await server.adapter.comments(SIGNED_IN, uri(OWN_DID, "a"), None, datetime(2026, 11, 1, tzinfo=UTC))
    assert [one.sent_at for one in comments.items] == [sent]


@pytest.mark.parametrize("indexed", ["0000-01-01T00:00:00.000Z", "-000001-12-31T23:59:59.999Z", "0001-01-01T00:00:00Z"])
async def test_a_server_date_at_the_start_of_the_calendar_ends_no_list(indexed: str) -> None:
    page: Any = {"feed": [{"post": post("a", at=indexed, indexed=indexed)}]}
    made = Server(getAuthorFeed=[page, page]).adapter
    first = await made.posts(credentials(), None)
    again = await made.posts(credentials(), first.cursor)
    assert [one.external_id for one in (*first.items, *again.items)] == [uri(OWN_DID, "a")] * 2
    assert first.items[0].published_at == EARLIEST


@pytest.mark.parametrize("cursor", ["9999-12-31T23:59:59.999Z", "0001-01-01T00:00:00+14:00"])
def test_a_cursor_at_the_end_of_the_calendar_is_used_unchanged(cursor: str) -> None:
    paginator, more = ListPaginator().after([INDEXED], cursor, None)
    assert (more, paginator.query()) == (True, {"cursor": cursor})


# ── counters ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("value", ["7", -1, 1.5, True, {}])
async def test_a_counter_that_is_no_number_is_an_error(value: object) -> None:
    view = post("a", likeCount=value)
    made = Server(getPosts={"posts": [view]}, getAuthorFeed={"feed": [{"post": view}]}).adapter
    (counted,) = await made.metrics(credentials(), (uri(OWN_DID, "a"),))
    (remote_post,) = (await made.posts(credentials(), None)).items
    assert counted == remote_post.metrics
    assert counted.missing[Metric.REACTIONS] is MetricStatus.ERROR
    assert (counted.counters[Metric.COMMENTS], counted.gone) == (2, False)


async def test_counters_need_nothing_but_the_post() -> None:
    bare = {"uri": uri(OWN_DID, "a"), "likeCount": 4, "replyCount": None}
    (counted,) = await Server(getPosts={"posts": [bare]}).adapter.metrics(credentials(), (uri(OWN_DID, "a"),))
    assert counted.counters == {Metric.REACTIONS: 4}
    assert counted.missing[Metric.COMMENTS] is MetricStatus.UNSUPPORTED


async def test_a_post_without_an_id_is_malformed_rather_than_gone() -> None:
    server = Server(getPosts={"posts": [post("a"), {**post("b"), "uri": None}]})
    with pytest.raises(Malformed):
        await server.adapter.metrics(credentials(), (uri(OWN_DID, "a"), uri(OWN_DID, "b")))


# ── lists ─────────────────────────────────────────────────────────────────────────────────────────


async def test_a_malformed_feed_entry_hides_no_others() -> None:
    malformed = {"post": {**post("odd"), "author": {"did": "nobody"}}}
    server = Server(getAuthorFeed=[{"feed": [malformed, {"post": post("a")}, {"post": None}]}, {"feed": [malformed]}])
    page = await server.adapter.posts(credentials(), None)
    assert [one.external_id for one in page.items] == [uri(OWN_DID, "a")]
    with pytest.raises(Malformed):
        await server.adapter.posts(credentials(), None)


async def test_a_malformed_reply_hides_no_others() -> None:
    answers = [{"post": {**post("odd", did=CUSTOMER), "indexedAt": 7}}, {"post": post("b", did=CUSTOMER)}, None]
    thread = {"thread": {"post": post("a"), "replies": answers}}
    page = await Server(getPostThread=thread).adapter.comments(credentials(), uri(OWN_DID, "a"), None)
    assert [one.external_id for one in page.items] == [uri(CUSTOMER, "b")]


async def test_notifications_of_unknown_kinds_are_skipped() -> None:
    strange = notification("x", reason="contact-match", uri=f"at://{CUSTOMER}", record=None)
    server = Server(
        listNotifications={"notifications": [strange, notification("a"), notification("b", reason="waved")]}
    )
    page = await server.adapter.conversations(SIGNED_IN, None)
    assert [one.external_id for one in page.items] == [uri(CUSTOMER, "a")]


async def test_the_valid_fields_of_a_malformed_record_are_read() -> None:
    malformed = notification("a", record={"text": "Hello", "createdAt": 7, "reply": {"root": {}}})
    nothing = notification("b", record={"text": None, **reply_fields(uri(OWN_DID, "post"), uri(OWN_DID, "post"))})
    server = Server(listNotifications={"notifications": [malformed, nothing, notification("c", record="none")]})
    page = await server.adapter.conversations(SIGNED_IN, None)
    assert [(one.text, one.post_id) for one in page.items] == [("Hello", None), ("", uri(OWN_DID, "post")), ("", None)]


async def test_messages_of_unknown_kinds_are_skipped() -> None:
    member = {"did": CUSTOMER, "handle": "missing.invalid", "displayName": None}
    convo = {"id": "c", "rev": "3k2", "members": [{"did": OWN_DID}, member], "muted": False, "unreadCount": 0}
    said = {"id": "m", "rev": "3k2", "text": "Hello", "sender": {"did": CUSTOMER}, "sentAt": POSTED_AT, "reactions": []}
    server = Server(
        listNotifications={"notifications": []},
        listConvos={"convos": [{**convo, "lastMessage": {"$type": "chat.bsky.convo.defs#poll"}}, {"id": "odd"}]},
        getMessages={"messages": [{"$type": "chat.bsky.convo.defs#poll", "id": "p"}, said]},
    )
    made, cursor = server.adapter, None
    messages: list[RemoteMessage] = []
    for _ in range(3):
        page = await made.conversations(SIGNED_IN, cursor)
        messages, cursor = [*messages, *page.items], page.cursor
    assert [(one.text, one.author.name) for one in messages] == [("Hello", "missing.invalid")]


async def test_null_counts_as_absent() -> None:
    profile = {"did": OWN_DID, "handle": "handle.invalid", "displayName": None, "followersCount": None}
    snapshot = await Server(getProfile=profile).adapter.community(credentials())
    assert (snapshot.title, snapshot.size) == (OWN_DID, None)


# ── errors ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("status", "said", "means"),
    [
        (400, {"error": "ExpiredToken", "message": None}, AuthExpired),
        (400, {"error": "InvalidRequest", "message": "Convo not found"}, Gone),
        (400, {"error": "InvalidRequest", "message": "Could not find repo: did:plc:a"}, Gone),
        (401, {"error": "BadJwt", "message": ["odd"]}, AuthExpired),
        (400, {"error": None, "message": "Bad Request"}, Rejected),
        (400, [], Rejected),
    ],
)
def test_an_incomplete_error_is_classified(status: int, said: object, means: type[PlatformError]) -> None:
    assert type(with_response({}).classify(httpx.Response(status, json=said))) is means


async def test_a_blocked_or_unknown_thread_is_not_shown() -> None:
    for kind in ("blockedPost", "notFoundPost", "heldPost"):
        thread = {"$type": f"app.bsky.feed.defs#{kind}", "uri": uri(OWN_DID, "a"), "cid": CID}
        with pytest.raises(Gone):
            await Server(getPostThread={"thread": thread}).adapter.comments(credentials(), uri(OWN_DID, "a"), None)
