"""The Odnoklassniki adapter: what the test suites for all adapters do not cover."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import parse_qs, parse_qsl

import httpx
import pytest

from app.platforms.capabilities import OutgoingPost, Picture, ReplyTo
from app.platforms.contract import (
    COST,
    AuthExpired,
    Cost,
    Credentials,
    Gone,
    Malformed,
    MessageKind,
    Metric,
    MetricStatus,
    MissingPermission,
    OutcomeUnknown,
    Page,
    RemoteMessage,
    RemotePerson,
    Token,
)
from app.platforms.odnoklassniki.adapter import Odnoklassniki
from app.platforms.odnoklassniki.errors import CODES, from_answer
from tests.platforms.contract.stage import Subject, staged

GROUP: Final = "57000000000077"
TOKENS: Final = {Token.USER: "-s-user", Token.COMMUNITY: "tkn-group", Token.REFRESH: "ref"}
APP: Final = {"application_id": "512", "application_key": "CBAKEY", "application_secret": "SECRET"}
C: Final = Credentials(f"https://ok.ru/group/{GROUP}", "https://api.example", GROUP, TOKENS, APP)
DAY: Final = 24 * 3600 * 1000
CUSTOMER: Final = RemotePerson("5", "A Customer")


MESSAGE: Final = {
    "sender": {"user_id": "user:123456789012", "name": "A Customer"},
    "recipient": {"chat_id": "chat:C3ecb9d02a600"},
    "message": {"text": "text", "seq": 98211023614189660, "mid": "mid:C3ecb9d02a600.15cea67d78d2059"},
    "timestamp": 1498581292941,
}


@pytest.fixture
async def s() -> AsyncIterator[Subject]:
    async with staged("odnoklassniki", Odnoklassniki) as subject:
        yield subject


class FakeOdnoklassniki:
    """A fake API server that returns a prepared response per method, or the next of an iterator, and records calls."""

    def __init__(self, **answers: Any) -> None:
        self.answers = {name.replace("_", "."): answer for name, answer in answers.items()}
        self.calls: list[tuple[str, dict[str, str]]] = []
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        form = dict(parse_qsl(request.content.decode())) if request.url.path == "/fb.do" else {}
        name = form.get("method") or request.url.path
        self.calls.append((name, form))
        answer = self.answers[name]
        return httpx.Response(200, json=next(answer) if isinstance(answer, Iterator) else answer)

    def adapter(self) -> Odnoklassniki:
        return Odnoklassniki(httpx.AsyncClient(transport=httpx.MockTransport(self)))


def error_response(code: int) -> object:
    return {"error_code": code, "error_msg": "x"}


def topic(number: int, **more: object) -> dict[str, object]:
    return {"id": str(number), "created_ms": number * DAY, "like_summary": {"count": number}} | more


async def test_tokens_are_sent_in_the_form_and_not_in_the_url(s: Subject) -> None:
    await s.adapter().posts(s.c, None)
    await s.adapter().conversations(s.c, None)
    rest, *_, graph = s.way.requests
    assert (rest.url.path, rest.url.query) == ("/fb.do", b"")
    assert rest.extensions[COST] == Cost(token=s.c.tokens[Token.USER], kind=Token.USER)
    assert graph.url.path == "/graph/me/chats"
    assert graph.extensions[COST] == Cost(token=s.c.tokens[Token.COMMUNITY], kind=Token.COMMUNITY)
    sent = parse_qs(rest.content.decode())
    assert sent["access_token"] == [s.c.tokens[Token.USER]]
    assert "application_secret" not in sent


@pytest.mark.parametrize("missing", ["application_key", "application_secret"])
async def test_nothing_is_sent_without_the_application(missing: str) -> None:
    fake = FakeOdnoklassniki()
    c = replace(C, app={name: value for name, value in APP.items() if name != missing})
    with pytest.raises(MissingPermission, match=missing):
        await fake.adapter().community(c)
    assert not fake.requests


# ── the group ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("typed", "canonical"),
    [
        ("https://ok.ru/group/53038939046008", "https://ok.ru/group/53038939046008"),
        ("https://ok.ru/group/53038939046008/topic/66", "https://ok.ru/group/53038939046008"),
        ("m.ok.ru/group53038939046008", "https://ok.ru/group/53038939046008"),
        ("group53038939046008", "https://ok.ru/group/53038939046008"),
        (" http://www.odnoklassniki.ru/apiok/ ", "https://ok.ru/apiok"),
        ("ok.ru/ApiOK", "https://ok.ru/apiok"),
        ("@apiok", "https://ok.ru/apiok"),
    ],
)
def test_an_address_has_one_spelling(typed: str, canonical: str) -> None:
    assert Odnoklassniki.address(typed).canonical == canonical


@pytest.mark.parametrize(
    "typed",
    [
        *("", "ok.ru", "ok.ru/group", "ok.ru/feed", "ok.ru/a/b", "ok.ru/группа", "group/0", "ftp://ok.ru/apiok"),
        *("https://[ok.ru/apiok", "https://ok.ru/profile/561104947330", "https://vk.com/club1"),
    ],
)
def test_an_invalid_address_is_rejected(typed: str) -> None:
    with pytest.raises(ValueError, match=r"ok\.ru"):
        Odnoklassniki.address(typed)


async def test_a_group_is_found_by_its_name(s: Subject) -> None:
    named = replace(s.c, external_id=None, address=f"https://ok.ru/{s.community.key}")
    numbered = replace(s.c, external_id=None, address=f"https://ok.ru/group/{s.c.external_id}")
    requests_before = len(s.way.requests)
    community = await s.adapter().community(named)
    assert len(s.way.requests) == requests_before + 2
    assert await s.adapter().community(numbered) == community
    assert len(s.way.requests) == requests_before + 3
    assert (community.external_id, community.url) == (s.c.external_id, f"https://ok.ru/{s.community.key}")
    with pytest.raises(Gone):
        await s.adapter().community(replace(named, address="https://ok.ru/nobody"))


async def test_the_groups_own_token_gives_its_id_but_not_its_size(s: Subject) -> None:
    own_token_only = replace(s.c, external_id=None, tokens={Token.COMMUNITY: s.c.tokens[Token.COMMUNITY]})
    community = await s.adapter().community(own_token_only)
    assert (community.external_id, community.size) == (s.c.external_id, None)
    with pytest.raises(MissingPermission, match="another group"):
        await s.adapter().community(replace(own_token_only, external_id="1"))
    with pytest.raises(AuthExpired) as caught:
        await s.adapter().posts(replace(own_token_only, external_id=s.c.external_id), None)
    assert caught.value.token is Token.USER
    page = await s.adapter().conversations(replace(s.c, tokens={}), "kept")
    assert page == Page((), "kept", more=False)


# ── topics ────────────────────────────────────────────────────────────────────────────────────────


async def test_posts_of_other_authors_are_not_listed() -> None:
    topics = [
        topic(5, author_ref=f"group:{GROUP}", media=[{"type": "text", "text": "Ours "}, {"type": "photo"}]),
        topic(4, author_ref="user:5", media=[{"type": "text", "text": "Somebody's"}]),
        topic(3, author_ref="user:9", is_on_behalf_of_group=True),
        topic(2),
    ]
    stats = {"topics": [{"id": "5", "created_ms": 5 * DAY, "reach": 7}], "has_more": False}
    fake = FakeOdnoklassniki(group_getStatTopics=stats, mediatopic_getByIds={"media_topics": topics})
    page = await fake.adapter().posts(C, None)
    assert [post.external_id for post in page.items] == ["5", "3", "2"]
    assert page.items[0].text == "Ours"
    assert page.items[0].metrics.counters == {Metric.REACTIONS: 5, Metric.REACH: 7}
    assert page.items[0].metrics.missing[Metric.COMMENTS] is MetricStatus.UNSUPPORTED, "switched off, not 0"
    assert page.items[1].metrics.missing[Metric.REACH] is MetricStatus.PENDING


async def test_the_next_poll_reads_the_last_day_again() -> None:
    """A topic may appear in the statistics late."""
    stats = {"topics": [{"id": "9"}], "has_more": False}
    fake = FakeOdnoklassniki(group_getStatTopics=stats, mediatopic_getByIds={"media_topics": [topic(9)]})
    first = await fake.adapter().posts(C, None)
    second = await fake.adapter().posts(C, first.cursor)
    third = await fake.adapter().posts(C, second.cursor, datetime.fromtimestamp(9 * DAY / 1000 - 60, UTC))
    starts = [form.get("start_time") for name, form in fake.calls if name == "group.getStatTopics"]
    assert starts == [None, str(8 * DAY), str(9 * DAY - 60_000)]
    assert second.items == first.items == third.items


@pytest.mark.parametrize("listing", [{"has_more": True}, {"has_more": True, "anchor": "A"}])
async def test_a_page_without_a_new_cursor_is_malformed(listing: dict[str, object]) -> None:
    fake = FakeOdnoklassniki(
        group_getStatTopics={"topics": [{"id": "9"}], **listing}, mediatopic_getByIds={"media_topics": []}
    )
    with pytest.raises(Malformed):
        await fake.adapter().posts(C, '{"anchor":"A"}')


async def test_a_page_without_topics_is_followed_by_the_next() -> None:
    fake = FakeOdnoklassniki(
        group_getStatTopics={"anchor": "B", "has_more": True}, mediatopic_getByIds={"media_topics": []}
    )
    page = await fake.adapter().posts(C, None)
    assert (page.items, page.more) == ((), True)
    assert len(fake.calls) == 1, "no topics are requested"


@pytest.mark.parametrize(
    ("stats", "status"),
    [
        (error_response(50), MetricStatus.NO_PERMISSION),
        (error_response(10), MetricStatus.NO_PERMISSION),
        (error_response(2), MetricStatus.ERROR),
        ({"topics": [], "has_more": False}, MetricStatus.PENDING),
        ({"topics": [{"id": "5"}], "has_more": False}, MetricStatus.PENDING),
    ],
)
async def test_an_error_of_reach_leaves_the_other_metrics(stats: object, status: MetricStatus) -> None:
    fake = FakeOdnoklassniki(group_getStatTopics=stats, mediatopic_getByIds={"media_topics": [topic(5, views_count=0)]})
    five, six = await fake.adapter().metrics(C, ("5", "6"))
    assert five.counters == {Metric.REACTIONS: 5, Metric.VIEWS: 0}
    assert five.missing[Metric.REACH] is status
    assert six.gone


async def test_reach_is_requested_from_the_latest_topic_without_it(s: Subject) -> None:
    """One page of the statistics has 50 topics; pages without a requested topic are not read."""
    old = s.post()
    s.later(3600)
    others = [s.post(f"Post {number}") for number in range(60)]
    ids = (old["id"], others[0]["id"], others[-1]["id"])
    s.let("view", id=old["id"], count=9, unique=4)
    requests_before = len(s.way.requests)
    metrics = await s.adapter().metrics(s.c, ids)
    assert [one.counters[Metric.REACH] for one in metrics] == [s.community.wall[int(one)].reach for one in ids]
    assert metrics[0].counters[Metric.REACH] >= 4
    assert len(s.way.requests) - requests_before == 3, "topics; statistics from the latest and from the second"


# ── comments ──────────────────────────────────────────────────────────────────────────────────────


async def test_times_are_in_moscow_time() -> None:
    comments = [{"id": "2", "date": "2026-11-23 09:00:00"}, {"id": "1", "date": "2014-01-01 04:00:00"}]
    page = (
        await FakeOdnoklassniki(discussions_getComments={"comments": comments, "has_more": False})
        .adapter()
        .comments(C, "66", None)
    )
    assert [one.sent_at for one in page.items] == [
        datetime(2026, 11, 23, 6, tzinfo=UTC),
        datetime(2014, 1, 1, tzinfo=UTC),
    ]


async def test_the_groups_reply_is_in_the_thread_of_the_customer(s: Subject) -> None:
    post = s.post()["id"]
    question = s.comment(post, "Until when?", person=1)
    s.let("reply", via="comment", post=post, parent=question["id"], text="Until six")
    s.comment(post, "Me too", person=2)
    adapter = Odnoklassniki(s.http)
    page = await adapter.comments(s.c, post, None)
    third, ours, first = page.items
    assert [one.author.is_community for one in page.items] == [False, True, False]
    assert ours.thread_id == first.thread_id != third.thread_id
    assert ours.in_reply_to == first.external_id
    assert first.external_id.startswith(f"comment:{post}:"), "ids of comments are unique only within a topic"
    assert first.author.url == f"https://ok.ru/profile/{first.author.external_id}"


async def test_the_next_poll_reads_only_new_comments(s: Subject) -> None:
    post = s.post()["id"]
    for number in range(250):
        s.comment(post, f"Comment {number}")
    adapter = Odnoklassniki(s.http)
    page = await adapter.comments(s.c, post, None)
    while page.more:
        page = await adapter.comments(s.c, post, page.cursor)
    s.comment(post, "One more")
    requests_before = len(s.way.requests)
    page = await adapter.comments(s.c, post, page.cursor)
    assert (page.items[0].text, page.more, len(s.way.requests) - requests_before) == ("One more", False, 1)


async def test_new_comments_are_read_over_several_pages(s: Subject) -> None:
    post = s.post()["id"]
    s.comment(post, "Known")
    adapter = Odnoklassniki(s.http)
    page = await adapter.comments(s.c, post, None)
    for number in range(150):
        s.comment(post, f"Comment {number}")
    texts = set()
    while True:
        page = await adapter.comments(s.c, post, page.cursor)
        texts |= {one.text for one in page.items}
        if not page.more:
            break
    assert len(texts) == 151


# ── messages ──────────────────────────────────────────────────────────────────────────────────────


async def _read_messages(s: Subject, cursor: str | None) -> tuple[dict[str, RemoteMessage], str | None]:
    messages: dict[str, RemoteMessage] = {}
    while True:
        page = await s.adapter().conversations(s.c, cursor)
        messages |= {one.external_id: one for one in page.items}
        cursor = page.cursor
        if not page.more:
            return messages, cursor


async def test_messages_of_the_same_time_are_all_read(s: Subject) -> None:
    """Messages with the same time, in known and new chats, before and after reading, on more than one page."""
    world, c = s.sandbox.network.world, s.community

    def write(person: int, text: str) -> None:
        world.emit("message", c, "control", person=c.number_of(person), text=text, kind="question")

    s.later()
    for number in range(60):
        write(1, f"At once {number}")
    for person in range(2, 130):
        write(person, "Hello")
    messages, cursor = await _read_messages(s, None)
    assert sum(one.text.startswith("At once") for one in messages.values()) >= 50
    assert sum(one.text == "Hello" for one in messages.values()) == 128
    write(1, "Once more")
    write(200, "I am new")
    new, _ = await _read_messages(s, cursor)
    assert {"Once more", "I am new"} <= {one.text for one in new.values()}


async def test_messages_of_the_same_time_on_two_pages_are_all_read(s: Subject) -> None:
    for amount in (10, 48, 5):
        s.later()
        for number in range(amount):
            person = s.community.number_of(1)
            s.sandbox.network.world.emit("message", s.community, "control", person=person, text=f"{amount} {number}")
    messages, _ = await _read_messages(s, None)
    assert sum(one.author.external_id.endswith("000001") for one in messages.values()) == 63


async def test_a_chat_that_moves_between_pages_is_read_completely(s: Subject) -> None:
    """A new message moves the chat from the second page to the first after the first page was read."""
    s.message("Long ago", person=1)
    for person in range(2, 140):
        s.message(person=person)
    page = await s.adapter().conversations(s.c, None)
    s.message("And now", person=1)
    texts = {one.text for one in page.items}
    for _ in range(2):
        while page.more:
            page = await s.adapter().conversations(s.c, page.cursor)
            texts |= {one.text for one in page.items}
        page = await s.adapter().conversations(s.c, page.cursor)
        texts |= {one.text for one in page.items}
    assert {"Long ago", "And now"} <= texts


async def test_a_poll_without_news_takes_two_requests(s: Subject) -> None:
    s.message()
    _, cursor = await _read_messages(s, None)
    requests_before = len(s.way.requests)
    again, _ = await _read_messages(s, cursor)
    assert len(again) == 1
    assert len(s.way.requests) - requests_before == 2, "the chats, and the messages of the latest chat"


async def test_a_deleted_chat_does_not_affect_the_others() -> None:
    chats = [{"chat_id": f"chat:C{number}", "lastEventTime": number} for number in (2, 1)]
    answers = {"/graph/me/chats": {"chats": chats}, "/graph/me/messages/chat:C2": error_response(705)}
    fake = FakeOdnoklassniki(**answers, **{"/graph/me/messages/chat:C1": {"messages": [MESSAGE]}})
    page = await fake.adapter().conversations(C, None)
    page = await fake.adapter().conversations(C, page.cursor)
    assert (page.items, page.more) == ((), True)
    page = await fake.adapter().conversations(C, page.cursor)
    assert (len(page.items), page.more) == (1, False)


async def test_chats_of_several_people_are_not_read() -> None:
    chats = [{"chat_id": "chat:C1", "type": "CHAT", "lastEventTime": 5}]
    fake = FakeOdnoklassniki(**{"/graph/me/chats": {"chats": chats}})
    page = await fake.adapter().conversations(C, None)
    assert (page.items, page.more, len(fake.requests)) == ((), False, 1)


# ── writing ───────────────────────────────────────────────────────────────────────────────────────


async def test_an_album_keeps_its_order() -> None:
    fake = FakeOdnoklassniki(
        photosV2_getUploadUrl=iter({"upload_url": f"https://up.example/{n}", "photo_ids": [f"p{n}"]} for n in "01"),
        mediatopic_post="66",
        **{f"/{n}": {"photos": {f"p{n}": {"token": f"t{n}"}}} for n in "01"},
    )
    pictures = (Picture(b"one", "image/png"), Picture(b"two", "image/jpeg"))
    sent = await fake.adapter().publish(C, OutgoingPost("Открыто", pictures), "key")
    assert (sent.external_id, sent.url) == ("66", f"https://ok.ru/group/{GROUP}/topic/66")
    *_, (method, form) = fake.calls
    assert (method, form["type"], form["gid"]) == ("mediatopic.post", "GROUP_THEME", GROUP)
    media = [{"type": "text", "text": "Открыто"}, {"type": "photo", "list": [{"id": "t0"}, {"id": "t1"}]}]
    assert json.loads(form["attachment"]) == {"media": media, "onBehalfOfGroup": "true"}
    uploads = [one for one in fake.requests if one.url.host == "up.example"]
    assert [b"one" in one.content for one in uploads] == [True, False]
    assert all(one.extensions[COST] == Cost() for one in uploads), "an upload carries no token"


async def test_a_picture_that_was_not_uploaded_is_not_posted() -> None:
    upload = {"upload_url": "https://up.example/0", "photo_ids": ["p0"]}
    fake = FakeOdnoklassniki(photosV2_getUploadUrl=upload, **{"/0": {"photos": {"other": {"token": "t"}}}})
    with pytest.raises(Malformed):
        await fake.adapter().publish(C, OutgoingPost("", (Picture(b"one", "image/png"),)), "key")
    assert [method for method, _ in fake.calls] == ["photosV2.getUploadUrl", "/0"]


async def test_a_write_with_a_malformed_response_has_an_unknown_outcome() -> None:
    fake = FakeOdnoklassniki(discussions_addDiscussionComment=None, mediatopic_post={"ok": True})
    with pytest.raises(OutcomeUnknown):
        await fake.adapter().publish(C, OutgoingPost("Hello"), "key")
    with pytest.raises(OutcomeUnknown):
        await fake.adapter().reply(C, ReplyTo("comment:66:1", "t", MessageKind.COMMENT, CUSTOMER, "66"), "Hi", "key")
    assert len(fake.requests) == 2


# ── tokens ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("response", "granted"),
    [
        ({"access_token": "new", "expires_in": "1800"}, {Token.USER: ("new", timedelta(minutes=30))}),
        ({"access_token": "new", "expires_in": 60}, {Token.USER: ("new", timedelta(minutes=1))}),
        (
            {"access_token": "new", "refresh_token": "next"},
            {Token.USER: ("new", timedelta(minutes=30)), Token.REFRESH: ("next", None)},
        ),
    ],
)
async def test_new_tokens(response: object, granted: dict[Token, tuple[str, timedelta | None]]) -> None:
    fake = FakeOdnoklassniki(**{"/oauth/token.do": response})
    issued = await fake.adapter().refresh(C)
    assert {kind: (one.text, one.lifetime) for kind, one in issued.items()} == granted
    (request,) = fake.requests
    assert request.url.query == b""
    form = {name: values[0] for name, values in parse_qs(request.content.decode()).items()}
    assert form == {
        "grant_type": "refresh_token", "refresh_token": "ref", "client_id": "512", "client_secret": "SECRET"
    }  # fmt: skip


def test_what_can_be_renewed() -> None:
    assert Odnoklassniki.renewable(TOKENS, APP) == {Token.USER}
    assert not Odnoklassniki.renewable({Token.USER}, APP)
    assert not Odnoklassniki.renewable(TOKENS, {"application_key"})


async def test_missing_permissions_are_named(s: Subject) -> None:
    adapter = Odnoklassniki(s.http)
    token = s.sandbox.network.grants.make(s.community, "user", ["VALUABLE_ACCESS", "GROUP_CONTENT"])
    states = await adapter.inspect(replace(s.c, tokens={Token.USER: token}))
    assert {kind: state.missing_scopes for kind, state in states.items()} == {Token.USER: ("PHOTO_CONTENT",)}
    alone = replace(s.c, tokens={Token.COMMUNITY: s.c.tokens[Token.COMMUNITY]})
    assert (await adapter.inspect(alone)).keys() == {Token.COMMUNITY}


async def test_the_error_names_the_expired_token() -> None:
    ended = error_response(102)
    fake = FakeOdnoklassniki(
        group_getInfo=ended, **{"/graph/me/chats": ended, "/oauth/token.do": {"error": "invalid_token"}}
    )
    adapter = fake.adapter()
    calls: dict[Token, Callable[[], Awaitable[object]]] = {
        Token.USER: lambda: adapter.community(C),
        Token.COMMUNITY: lambda: adapter.conversations(C, None),
        Token.REFRESH: lambda: adapter.refresh(C),
    }
    for kind, call in calls.items():
        with pytest.raises(AuthExpired) as caught:
            await call()
        assert caught.value.token is kind


# ── errors ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("code", [*CODES, 424242])
def test_every_error_code_is_an_error(code: int) -> None:
    error = from_answer(httpx.Response(200, json={"error_code": code, "error_msg": "SECRET"}))
    assert error is not None
    assert error.platform_code == str(code)
    assert "SECRET" not in str(error)


@pytest.mark.parametrize("response", [[], {}, "66", True, None, [{"error_code": 1}]])
def test_a_response_without_an_error_code_is_no_error(response: object) -> None:
    assert from_answer(httpx.Response(200, json=response)) is None
