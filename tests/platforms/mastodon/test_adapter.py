"""The Mastodon adapter against a fake server; `mastodon/test_mock` has a real one."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.platforms.capabilities import ListsComments, Replies, ReplyTo
from app.platforms.contract import (
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
    OutcomeUnknown,
    PlatformError,
    Rejected,
    RemotePerson,
    Throttled,
    Token,
    Transient,
)
from app.platforms.mastodon.adapter import ADAPTER, Mastodon

OWN_ID = "1"
START = datetime(2026, 11, 1, tzinfo=UTC)
TOKEN = "mastodon-token-12345"


def account(key: str = OWN_ID, **changes: object) -> dict[str, Any]:
    return {
        "id": key,
        "acct": f"user{key}",
        "username": f"user{key}",
        "display_name": "",
        "url": f"https://m.example/@user{key}",
        "followers_count": 7,
        **changes,
    }


def status(key: int, by: str = OWN_ID, reply_to: int | None = None, **changes: object) -> dict[str, Any]:
    return {
        "id": str(key),
        "created_at": (START + timedelta(minutes=key)).isoformat(),
        "in_reply_to_id": None if reply_to is None else str(reply_to),
        "visibility": "public",
        "content": f"<p>text {key}</p>",
        "uri": f"https://m.example/{key}",
        "url": None,
        "account": account(by),
        "favourites_count": 1,
        "reblogs_count": 2,
        "replies_count": 3,
        **changes,
    }


def credentials(*, token: bool = False) -> Credentials:
    return Credentials(
        address="https://m.example/@user1",
        base_url="https://m.example",
        external_id=OWN_ID,
        tokens={Token.COMMUNITY: TOKEN} if token else {},
    )


def with_handler(handler: Callable[[httpx.Request], httpx.Response]) -> Mastodon:
    return Mastodon(httpx.AsyncClient(transport=httpx.MockTransport(handler)))


def with_responses(*responses: httpx.Response) -> Mastodon:
    left = list(responses)
    return with_handler(lambda _: left.pop(0))


def test_it_is_an_adapter_that_lists_comments_and_replies() -> None:
    made: Adapter = with_responses()
    assert ADAPTER is Mastodon
    assert isinstance(made, ListsComments)
    assert isinstance(made, Replies)


@pytest.mark.parametrize(
    ("text", "canonical", "base"),
    [
        ("https://mastodon.social/@Gargron", "https://mastodon.social/@gargron", "https://mastodon.social"),
        ("https://mastodon.social/@Gargron/", "https://mastodon.social/@gargron", "https://mastodon.social"),
        ("https://Mastodon.Social/users/Gargron", "https://mastodon.social/@gargron", "https://mastodon.social"),
        (" @Gargron@mastodon.social ", "https://mastodon.social/@gargron", "https://mastodon.social"),
        ("Gargron@mastodon.social", "https://mastodon.social/@gargron", "https://mastodon.social"),
        ("https://here.example/@name@there.example", "https://there.example/@name", "https://there.example"),
        ("http://127.0.0.1:3300/@ada", "http://127.0.0.1:3300/@ada", "http://127.0.0.1:3300"),
        ("http://localhost:3300/@ada", "http://localhost:3300/@ada", "http://localhost:3300"),
        ("http://[::1]:3300/@ada", "http://[::1]:3300/@ada", "http://[::1]:3300"),
    ],
)
def test_addresses_have_one_spelling(text: str, canonical: str, base: str) -> None:
    address = Mastodon.address(text)
    assert (address.canonical, address.base_url) == (canonical, base)
    assert Mastodon.address(address.canonical) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Gargron",
        "https://mastodon.social",
        "https://mastodon.social/@",
        "http://mastodon.social/@Gargron",
        "https://user:pass@mastodon.social/@Gargron",
        "https://mastodon.social/@Gargron/1234",
        "ftp://mastodon.social/@Gargron",
        "https://[not/@a",
        "https://mastodon.social:99999/@a",
        "@a@b@c",
        "https://a b/@c",
    ],
)
def test_an_invalid_address_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match="Mastodon address"):
        Mastodon.address(text)


async def test_the_community_is_looked_up_by_name_once() -> None:
    paths: list[str] = []

    def server(request: httpx.Request) -> httpx.Response:
        paths.append(request.url.raw_path.decode())
        return httpx.Response(200, json=account(followers_count=370_000, display_name="Eugen"))

    made = with_handler(server)
    unknown = Credentials(address="https://m.example/@user1", base_url="https://m.example")
    snapshot = await made.community(unknown)
    assert (snapshot.external_id, snapshot.title, snapshot.size) == (OWN_ID, "Eugen", 370_000)
    await made.community(credentials())
    assert paths == ["/api/v1/accounts/lookup?acct=user1", "/api/v1/accounts/1"]


async def test_a_suspended_account_is_gone() -> None:
    with pytest.raises(Gone):
        await with_responses(httpx.Response(200, json=account(suspended=True))).community(credentials())


class Server:
    """A list of statuses paged like Mastodon's: by id, newest first, with pages that may be short."""

    def __init__(self, ids: set[int]) -> None:
        self.ids = ids
        self.calls = 0
        self.limit = 5

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.calls += 1
        query = request.url.params
        ids = sorted(self.ids, reverse=True)
        if "max_id" in query:
            ids = [i for i in ids if i < int(query["max_id"])][: self.limit]
        elif "min_id" in query:
            ids = [i for i in ids if i > int(query["min_id"])][-self.limit :]
        else:
            ids = ids[: self.limit]
        return httpx.Response(200, json=[status(i) for i in ids])


@settings(max_examples=100, deadline=None)
@given(
    st.sets(st.integers(0, 100), max_size=30),
    st.lists(st.tuples(st.booleans(), st.integers(0, 40)), max_size=40),
)
async def test_paging_skips_nothing_while_the_list_changes(ids: set[int], changes: list[tuple[bool, int]]) -> None:
    server = Server(set(ids))
    made, seen, cursor = with_handler(server), set[int](), None
    there, latest, todo = set(ids), 100, list(changes)
    for _pass in range(3):
        more = True
        while more:
            page = await made.posts(credentials(), cursor)
            seen |= {int(post.external_id) for post in page.items}
            cursor, more = page.cursor, page.more
            if todo:
                add, which = todo.pop()
                if add:
                    latest += which + 1
                    server.ids.add(latest)
                elif server.ids:
                    server.ids.discard(sorted(server.ids)[which % len(server.ids)])
                there &= server.ids
        there |= server.ids & seen
    while (page := await made.posts(credentials(), cursor)).more:
        seen |= {int(post.external_id) for post in page.items}
        cursor = page.cursor
    assert there <= seen
    assert server.ids <= seen


async def test_since_ends_paging_and_the_cursor_continues_with_newer_posts() -> None:
    server = Server(set(range(100)))
    made, seen, cursor, more = with_handler(server), [], None, True
    since = START + timedelta(minutes=90)
    while more:
        page = await made.posts(credentials(), cursor, since)
        seen += [int(post.external_id) for post in page.items]
        cursor, more = page.cursor, page.more
    assert seen == list(range(99, 89, -1))
    assert server.calls == 3
    server.ids |= {100, 101}
    page = await made.posts(credentials(), cursor, since)
    assert [post.external_id for post in page.items] == ["101", "100"]
    server.ids |= set(range(102, 112))
    server.calls, seen, more = 0, [], True
    while more:
        page = await made.posts(credentials(), cursor := page.cursor, since)
        seen += [int(post.external_id) for post in page.items]
        more = page.more
    assert sorted(seen) == list(range(102, 112))
    assert server.calls == 3, "two pages, and one request to find the end"


async def test_a_server_that_ignores_the_cursor_causes_no_endless_loop() -> None:
    made = with_handler(lambda _: httpx.Response(200, json=[status(2), status(1)]))
    cursor, more, pages = None, True, 0
    while more:
        page = await made.posts(credentials(), cursor)
        cursor, more, pages = page.cursor, page.more, pages + 1
    assert pages == 2
    assert not (await made.posts(credentials(), cursor)).more


async def test_only_own_public_statuses_are_posts() -> None:
    reblog = status(5, reblog=status(9, by="2"))
    page = [status(7), status(6, reply_to=7), reblog, status(4, visibility="direct"), status(3, by="2")]
    listed = await with_responses(httpx.Response(200, json=page)).posts(credentials(), None)
    assert [post.external_id for post in listed.items] == ["7"]
    post = listed.items[0]
    assert post.text == "text 7"
    assert post.url == "https://m.example/7"
    assert post.metrics.counters == {Metric.REACTIONS: 1, Metric.SHARES: 2, Metric.COMMENTS: 3}
    assert post.metrics.missing == dict.fromkeys(
        [Metric.VIEWS, Metric.REACH, Metric.QUOTES, Metric.SAVES], MetricStatus.UNSUPPORTED
    )


async def test_metrics_come_in_one_call_in_the_order_asked() -> None:
    answer = [status(3, quotes_count=4), status(1)]
    results = await with_responses(httpx.Response(200, json=answer)).metrics(credentials(), ("1", "2", "3"))
    assert [m.external_id for m in results] == ["1", "2", "3"]
    assert [m.gone for m in results] == [False, True, False]
    assert results[1].counters == {}
    assert results[2].counters[Metric.QUOTES] == 4
    with pytest.raises(ValueError, match="at most 20"):
        await with_responses().metrics(credentials(), tuple(map(str, range(21))))
    assert await with_responses().metrics(credentials(), ()) == ()


@pytest.mark.parametrize("refusal", [404, 405])
async def test_without_a_batch_posts_are_asked_for_one_by_one(refusal: int) -> None:
    made = with_responses(
        httpx.Response(refusal), httpx.Response(200, json=status(1)), httpx.Response(404, json={"error": "no"})
    )
    results = await made.metrics(credentials(), ("1", "2"))
    assert [m.gone for m in results] == [False, True]


def tree() -> list[dict[str, Any]]:
    """Below post 10: A (by 2) with a reply of ours and B (by 3), which has a reply of ours; and C (by 2)."""
    return [
        status(11, "2", 10),
        status(12, OWN_ID, 11),
        status(13, "3", 11),
        status(14, OWN_ID, 13),
        status(15, "2", 12),
        status(16, "2", 10),
        status(17, OWN_ID, 10),
        status(18, "2", 10, visibility="direct"),
    ]


async def test_comments_form_one_thread_for_each_customer_and_first_comment() -> None:
    answer = {"ancestors": [], "descendants": tree()}
    page = await with_responses(httpx.Response(200, json=answer)).comments(credentials(), "10", None)
    assert not page.more
    assert {m.external_id: m.thread_id for m in page.items} == {
        "11": "comment:11:2",
        "12": "comment:11:2",
        "13": "comment:11:3",
        "14": "comment:11:3",
        "15": "comment:11:2",
        "16": "comment:16:2",
        "17": "comment:17:1",
    }
    assert [m.external_id for m in page.items if m.author.is_community] == ["12", "14", "17"]
    assert {m.post_id for m in page.items} == {"10"}
    assert {m.kind for m in page.items} == {MessageKind.COMMENT}


async def test_comments_and_conversations_return_the_same_comment() -> None:
    statuses = {10: status(10), **{int(s["id"]): s for s in tree()}}

    def above(key: int) -> list[dict[str, Any]]:
        ancestors: list[dict[str, Any]] = []
        while (parent := statuses[key]["in_reply_to_id"]) is not None:
            key = int(parent)
            ancestors.insert(0, statuses[key])
        return ancestors

    def server(request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path.endswith("/notifications"):
            notifications = [
                {"id": str(100 + k), "type": "mention", "created_at": statuses[k]["created_at"], "status": statuses[k]}
                for k in (16, 15, 13, 11)
            ]
            return httpx.Response(200, json=notifications if "min_id" not in request.url.params else [])
        key = int(path.split("/")[-2])
        return httpx.Response(
            200, json={"ancestors": above(key), "descendants": [] if key != 10 else list(statuses.values())[1:]}
        )

    made = with_handler(server)
    comments = {m.external_id: m for m in (await made.comments(credentials(token=True), "10", None)).items}
    mentions = (await made.conversations(credentials(token=True), None)).items
    assert len(mentions) == 4
    for message in mentions:
        assert message == comments[message.external_id]


async def test_mentions_and_direct_messages() -> None:
    alone = status(20, "2")
    direct = status(21, "3", 19, visibility="direct")
    ours = status(19, OWN_ID, 18, visibility="direct")
    notifications = [
        {"id": "3", "type": "mention", "created_at": alone["created_at"], "status": alone},
        {"id": "2", "type": "mention", "created_at": direct["created_at"], "status": direct},
        {"id": "1", "type": "mention", "created_at": direct["created_at"], "status": None},
    ]
    context = {"ancestors": [status(18, "3", visibility="direct"), ours], "descendants": []}
    made = with_responses(httpx.Response(200, json=notifications), httpx.Response(200, json=context))
    page = await made.conversations(credentials(token=True), None)
    assert [(m.external_id, m.kind, m.thread_id, m.author.is_community) for m in page.items] == [
        ("20", MessageKind.MENTION, "mention:20:2", False),
        ("19", MessageKind.MESSAGE, "direct:3", True),
        ("21", MessageKind.MESSAGE, "direct:3", False),
    ]


async def test_without_a_token_there_are_no_conversations() -> None:
    page = await with_responses().conversations(credentials(), None)
    assert (page.items, page.more) == ((), False)


def question() -> ReplyTo:
    return ReplyTo("11", "comment:11:2", MessageKind.COMMENT, RemotePerson("2", "Ann"), "10")


@pytest.mark.parametrize("visibility", ["public", "unlisted", "private", "direct"])
async def test_a_reply_is_as_visible_as_what_it_answers(visibility: str) -> None:
    sent: list[httpx.Request] = []

    def server(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, json=status(11, "2", 10, visibility=visibility))
        sent.append(request)
        return httpx.Response(200, json=status(12, OWN_ID, 11))

    made = await with_handler(server).reply(credentials(token=True), question(), "Hello & welcome", "key-1")
    assert made.external_id == "12"
    assert made.sent_at == START + timedelta(minutes=12)
    form = httpx.QueryParams(sent[0].content.decode())
    assert dict(form) == {
        "status": "@user2 Hello & welcome",
        "in_reply_to_id": "11",
        "visibility": visibility,
    }
    assert sent[0].headers["idempotency-key"] == "key-1"
    assert sent[0].headers["authorization"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (httpx.Response(502, text="<html>Bad gateway"), OutcomeUnknown),
        (httpx.Response(500, json={"error": "?"}), OutcomeUnknown),
        (httpx.Response(503, json={"error": "busy"}), Transient),
        (httpx.Response(200, text="not json"), OutcomeUnknown),
        (httpx.Response(422, json={"error": "Validation failed: too long"}), Rejected),
        (httpx.Response(429), Throttled),
        (httpx.Response(401, json={"error": "The access token is invalid"}), AuthExpired),
        (httpx.Response(403, json={"error": "This action is outside the authorized scopes"}), MissingPermission),
    ],
)
async def test_a_failed_reply_is_classified_by_whether_it_may_have_been_sent(
    answer: httpx.Response, error: type[PlatformError]
) -> None:
    made = with_responses(httpx.Response(200, json=status(11, "2", 10)), answer)
    with pytest.raises(error):
        await made.reply(credentials(token=True), question(), "Hello", "key-1")


@pytest.mark.parametrize(
    ("status_code", "body", "error"),
    [
        (301, "", Malformed),
        (400, '{"error": "bad"}', Rejected),
        (401, '{"error": "The access token is invalid"}', AuthExpired),
        (403, '{"error": "This action is not allowed"}', MissingPermission),
        (404, '{"error": "Record not found"}', Gone),
        (408, "", Transient),
        (410, "", Gone),
        (413, "", Rejected),
        (422, '{"error": "Validation failed"}', Rejected),
        (429, '{"error": "Too many requests"}', Throttled),
        (500, "", Transient),
        (503, "<html>", Transient),
        (200, "[]", None),
        (202, "{}", None),
    ],
)
def test_every_documented_answer_has_its_class(status_code: int, body: str, error: type[PlatformError] | None) -> None:
    said = with_responses().classify(httpx.Response(status_code, text=body))
    assert said is None if error is None else type(said) is error


def test_a_rate_limit_has_a_reset_and_a_scope() -> None:
    headers = {"date": "Sun, 22 Nov 2026 10:00:00 GMT", "x-ratelimit-reset": "2026-11-22T10:05:00.000000Z"}
    request = httpx.Request("GET", "https://m.example/", headers={"authorization": "Bearer x"})
    said = with_responses().classify(httpx.Response(429, headers=headers, request=request))
    assert isinstance(said, Throttled)
    assert (said.retry_after, said.scope) == (300.0, LimitScope.TOKEN)
    said = with_responses().classify(httpx.Response(429, headers={"retry-after": "7"}))
    assert isinstance(said, Throttled)
    assert (said.retry_after, said.scope) == (7.0, LimitScope.ADDRESS)


def test_a_bad_token_reported_in_plain_text() -> None:
    request = httpx.Request("GET", "https://m.example/", headers={"authorization": "Bearer x"})
    said = with_responses().classify(httpx.Response(400, text="Invalid token", request=request))
    assert isinstance(said, AuthExpired)
    assert said.token is Token.COMMUNITY


@settings(max_examples=200)
@given(st.sampled_from([400, 401, 403, 404, 422, 429, 500, 503]), st.text(max_size=100), st.text(max_size=100))
def test_no_token_stands_in_an_error(code: int, before: str, after: str) -> None:
    request = httpx.Request("POST", f"https://m.example/?t={TOKEN}", headers={"authorization": f"Bearer {TOKEN}"})
    said = with_responses().classify(httpx.Response(code, json={"error": f"{before}{TOKEN}{after}"}, request=request))
    assert said is not None
    assert TOKEN not in f"{said} {said!r} {said.__dict__}"


def test_no_token_stands_in_the_credentials() -> None:
    assert TOKEN not in repr(credentials(token=True))


@pytest.mark.parametrize("body", ["", "{}", "null", "[1]", '[{"id": 1}]', '{"ancestors": 1}', "<html>"])
async def test_an_unexpected_response_is_malformed(body: str) -> None:
    calls: list[Callable[[Mastodon], Any]] = [
        lambda made: made.community(credentials()),
        lambda made: made.posts(credentials(), None),
        lambda made: made.metrics(credentials(), ("1",)),
        lambda made: made.comments(credentials(), "1", None),
        lambda made: made.conversations(credentials(token=True), None),
    ]
    for call in calls:
        with pytest.raises(Malformed):
            await call(with_responses(httpx.Response(200, text=body)))
