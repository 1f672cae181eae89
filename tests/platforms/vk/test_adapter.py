"""The VK adapter against a fake VK API server."""

import itertools
import json
import random
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.platforms.capabilities import Event, HookRequest, HookResult, ListsComments, Receives, Replies, ReplyTo
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
    RemoteMessage,
    RemotePerson,
    RemotePost,
    Throttled,
    Token,
    Transient,
)
from app.platforms.vk import adapter as module
from app.platforms.vk.adapter import ADAPTER, Vk
from tests.platforms.vk.server import GROUP, GROUP_TOKEN, START, USER_TOKEN, FakeVk, comment, message, post

BOTH = {Token.USER: USER_TOKEN, Token.COMMUNITY: GROUP_TOKEN}


def credentials(tokens: Mapping[Token, str] = BOTH, external_id: str | None = str(GROUP)) -> Credentials:
    return Credentials("https://vk.com/coffee", "https://api.vk.ru", external_id, tokens)


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


async def list_messages(
    adapter: Vk, cursor: str | None = None, since: datetime | None = None
) -> tuple[list[RemoteMessage], str]:
    messages: list[RemoteMessage] = []
    for _ in range(500):
        page = await adapter.conversations(credentials(), cursor, since)
        messages += page.items
        cursor = page.cursor
        assert cursor is not None
        if not page.more:
            return messages, cursor
    raise AssertionError("the pages do not end")


async def list_comments(adapter: Vk, cursor: str | None = None, since: datetime | None = None) -> list[RemoteMessage]:
    comments: list[RemoteMessage] = []
    for _ in range(500):
        page = await adapter.comments(credentials(), "1", cursor, since)
        comments += page.items
        cursor = page.cursor
        if not page.more:
            return comments
    raise AssertionError("the pages do not end")


def answering(answer: object) -> Vk:
    return Vk(httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(200, json=answer))))


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


@pytest.mark.parametrize("tokens", [BOTH, {Token.USER: USER_TOKEN}, {Token.COMMUNITY: GROUP_TOKEN}])
@pytest.mark.parametrize("external_id", [None, "77"])
async def test_the_community(tokens: Mapping[Token, str], external_id: str | None) -> None:
    snapshot = await Vk(FakeVk().client()).community(credentials(tokens, external_id))
    assert (snapshot.external_id, snapshot.title, snapshot.size) == ("77", "Coffee", 4242)
    assert snapshot.url == "https://vk.com/coffee"


async def test_a_community_that_does_not_exist() -> None:
    adapter = Vk(FakeVk().client())
    with pytest.raises(Gone):
        await adapter.community(credentials(external_id="78"))
    with pytest.raises(AuthExpired) as caught:
        await adapter.community(credentials({}))
    assert caught.value.token is Token.COMMUNITY


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


async def test_paging_does_not_end_at_an_old_pinned_post() -> None:
    fake = FakeVk([post(key) for key in range(350, 0, -1)])
    adapter = Vk(fake.client())
    _, cursor = await list_posts(adapter)
    fake.posts[-1]["is_pinned"] = 1
    fake.posts[:0] = [post(key) for key in range(600, 350, -1)]
    posts, _ = await list_posts(adapter, cursor)
    assert {int(p.external_id) for p in posts} >= {1, *range(351, 601)}


async def test_too_many_posts_at_once_are_refused() -> None:
    with pytest.raises(ValueError, match="100"):
        await Vk(FakeVk().client()).metrics(credentials(), tuple(map(str, range(101))))


def thread_of(size: int) -> list[dict[str, Any]]:
    """Comments of Ann (5) and Bob (6), each answered by the community, then `size` more replies of Ann."""
    first = [
        comment(10, 5),
        comment(11, -GROUP, (10,), reply_to_user=5, reply_to_comment=10),
        comment(12, 6, (10,), reply_to_user=5, reply_to_comment=10),
        comment(13, -GROUP, (10,), reply_to_user=6, reply_to_comment=12),
        comment(14, 6),
        comment(15, 0, deleted=True, text=""),
        comment(16, -GROUP),
    ]
    return first + [comment(key, 5, (10,), reply_to_user=-GROUP) for key in range(20, 20 + size)]


async def test_comments_form_one_thread_for_each_customer_and_first_comment() -> None:
    by_id = {m.external_id: m for m in await list_comments(Vk(FakeVk(comments=thread_of(0)).client()))}
    assert {key: m.thread_id for key, m in by_id.items()} == {
        "comment-10": "comment-10-5",
        "comment-11": "comment-10-5",
        "comment-12": "comment-10-6",
        "comment-13": "comment-10-6",
        "comment-14": "comment-14-6",
        "comment-15": "comment-15-0",
        "comment-16": "comment-16--77",
    }
    assert {key for key, m in by_id.items() if m.author.is_community} == {"comment-11", "comment-13", "comment-16"}
    assert by_id["comment-10"].author.name == "Ann Lee"
    assert by_id["comment-14"].author.name == ""
    assert by_id["comment-13"].in_reply_to == "comment-12"
    assert by_id["comment-15"].deleted
    assert {m.post_id for m in by_id.values()} == {"1"}


@pytest.mark.parametrize("size", [6, 7, 30, 250])
async def test_a_long_thread_is_read_to_its_end(size: int) -> None:
    fake = FakeVk(comments=thread_of(size) + [comment(key, 6) for key in range(1000, 1150)])
    ids = {m.external_id for m in await list_comments(Vk(fake.client()))}
    assert ids == {f"comment-{c['id']}" for c in fake.comments}


async def test_comments_that_are_too_old_are_left_out() -> None:
    since = datetime.fromtimestamp(START + 14, UTC)
    comments = await list_comments(Vk(FakeVk(comments=thread_of(0)).client()), since=since)
    assert {m.external_id for m in comments} == {"comment-14", "comment-15", "comment-16"}


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 40), st.integers(0, 2**32))
async def test_no_comment_is_missed_while_comments_change(size: int, seed: int) -> None:
    rng = random.Random(seed)
    keys = itertools.count(1)
    fake = FakeVk()

    def add() -> None:
        roots = [c["id"] for c in fake.comments if not c["parents_stack"]]
        stack = (rng.choice(roots),) if roots and rng.random() < 0.6 else ()
        fake.comments.append(comment(next(keys), 5, stack))

    for _ in range(size):
        add()
    stored = {c["id"] for c in fake.comments}

    def change() -> None:
        for _ in range(rng.randrange(4)):
            if rng.random() < 0.5:
                add()
            elif fake.comments:
                gone = rng.choice(fake.comments)["id"]
                fake.comments = [c for c in fake.comments if gone not in (c["id"], *c["parents_stack"])]
        stored.intersection_update(c["id"] for c in fake.comments)

    fake.after_call = change
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "COMMENTS_PAGE", 12)
        patch.setattr(module, "THREAD_ITEMS", 2)
        read = {int(m.external_id.removeprefix("comment-")) for m in await list_comments(Vk(fake.client()))}
    assert stored <= read


async def test_messages_both_ways() -> None:
    fake = FakeVk(messages=[message(1, 5), message(2, 5, out=True), message(3, 6), message(4, 2_000_000_001)])
    adapter = Vk(fake.client())
    messages, cursor = await list_messages(adapter)
    assert {(m.external_id, m.thread_id, m.author.is_community) for m in messages} == {
        ("message-1", "message-5", False),
        ("message-2", "message-5", True),
        ("message-3", "message-6", False),
    }
    assert {m.kind for m in messages} == {MessageKind.MESSAGE}
    calls = len(fake.calls)
    assert (await list_messages(adapter, cursor))[0] == []
    assert len(fake.calls) == calls + 1
    fake.messages.append(message(5, 6))
    assert [m.external_id for m in (await list_messages(adapter, cursor))[0]] == ["message-5"]


async def test_messages_that_are_too_old_are_left_out() -> None:
    fake = FakeVk(messages=[message(key, key % 7 + 1) for key in range(1, 60)])
    messages, _ = await list_messages(Vk(fake.client()), since=datetime.fromtimestamp(START + 50, UTC))
    assert {m.external_id for m in messages} == {f"message-{key}" for key in range(50, 60)}


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 60), st.integers(1, 30), st.integers(0, 2**32), st.integers(0, 4))
async def test_no_message_is_missed_while_more_arrive(size: int, peers: int, seed: int, most_per_call: int) -> None:
    rng = random.Random(seed)
    keys = itertools.count(1)
    fake, left = FakeVk(), 60

    def write() -> None:
        fake.messages.append(message(next(keys), rng.randrange(1, peers + 1), out=rng.random() < 0.3))

    for _ in range(size):
        write()

    def change() -> None:
        nonlocal left
        for _ in range(min(left, rng.randrange(most_per_call + 1))):
            left -= 1
            write()

    fake.after_call = change
    adapter, seen, cursor = Vk(fake.client()), set[str](), None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "CONVERSATIONS_PAGE", 8)
        patch.setattr(module, "HISTORY_PAGE", 8)
        for _ in range(3):
            messages, cursor = await list_messages(adapter, cursor)
            seen |= {m.external_id for m in messages}
        left = 0
        messages, cursor = await list_messages(adapter, cursor)
        seen |= {m.external_id for m in messages}
    assert {f"message-{m['id']}" for m in fake.messages} == seen


async def test_a_method_is_called_with_the_token_that_it_accepts() -> None:
    adapter = Vk(FakeVk([post(1)]).client())
    only_user, only_group = credentials({Token.USER: USER_TOKEN}), credentials({Token.COMMUNITY: GROUP_TOKEN})
    assert (await adapter.conversations(only_user, None)).items == ()
    with pytest.raises(AuthExpired) as caught:
        await adapter.posts(only_group, None)
    assert caught.value.token is Token.USER
    with pytest.raises(AuthExpired) as caught:
        await adapter.conversations(credentials({Token.COMMUNITY: "revoked"}), None)
    assert caught.value.token is Token.COMMUNITY


def to_comment() -> ReplyTo:
    return ReplyTo("comment-12", "comment-10-6", MessageKind.COMMENT, RemotePerson("6", "Bob"), "1")


def to_message() -> ReplyTo:
    return ReplyTo("message-1", "message-5", MessageKind.MESSAGE, RemotePerson("5", "Ann"), None)


async def test_a_comment_is_answered() -> None:
    fake = FakeVk()
    sent = await Vk(fake.client()).reply(credentials(), to_comment(), "Yes & no", "key-1")
    assert sent.external_id == "comment-901"
    [(method, form)] = fake.calls
    assert method == "wall.createComment"
    assert form == {
        "v": "5.199",
        "owner_id": "-77",
        "post_id": "1",
        "from_group": "77",
        "message": "Yes & no",
        "guid": "key-1",
        "reply_to_comment": "12",
    }


async def test_the_random_id_of_a_reply_depends_on_its_idempotency_key() -> None:
    fake = FakeVk()
    adapter = Vk(fake.client())
    for key in ("key-1", "key-1", "key-2"):
        assert (await adapter.reply(credentials(), to_message(), "Yes", key)).external_id == "message-900"
    numbers = [int(form["random_id"]) for _, form in fake.calls]
    assert numbers[0] == numbers[1] != numbers[2]
    assert all(0 < number < 2**31 for number in numbers)
    assert fake.calls[0][1]["peer_id"] == "5"


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (1, OutcomeUnknown),
        (10, OutcomeUnknown),
        (36, OutcomeUnknown),
        (77_777, OutcomeUnknown),
        (6, Throttled),
        (9, Throttled),
        (15, MissingPermission),
        (27, AuthExpired),
        (901, Rejected),
        (902, Rejected),
        (914, Rejected),
        (100, Rejected),
    ],
)
async def test_the_error_of_a_reply_says_whether_it_may_have_been_sent(code: int, error: type[PlatformError]) -> None:
    fake = FakeVk(errors={"messages.send": code, "wall.createComment": code})
    for target in (to_message(), to_comment()):
        with pytest.raises(error):
            await Vk(fake.client()).reply(credentials(), target, "text", "key")


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(502, text="<html>"),
        httpx.Response(200, text="<html>"),
        httpx.Response(200, json={"response": True}),
    ],
)
async def test_a_reply_with_an_unreadable_answer_may_have_been_sent(answer: httpx.Response) -> None:
    adapter = Vk(httpx.AsyncClient(transport=httpx.MockTransport(lambda _: answer)))
    with pytest.raises(OutcomeUnknown):
        await adapter.reply(credentials(), to_message(), "text", "key")


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


SECRETS = {"secret": "shared secret", "confirmation": "a1b2c3"}


def receive(event: Mapping[str, Any], secrets: Mapping[str, str] = SECRETS) -> HookResult:
    return Vk.receive(HookRequest(json.dumps(event).encode(), {}, {}), secrets)


def only_event(event: Mapping[str, Any]) -> Event:
    (only,) = receive(event).events
    return only


def event(kind: str, subject: Mapping[str, Any] | None, **changes: object) -> dict[str, Any]:
    return {
        "type": kind,
        "group_id": GROUP,
        "event_id": "e1",
        "v": "5.199",
        "secret": "shared secret",
        "object": subject,
        **changes,
    }


def test_the_confirmation_request_is_answered() -> None:
    assert receive({"type": "confirmation", "group_id": GROUP}).response_body == "a1b2c3"
    with pytest.raises(MissingPermission):
        receive({"type": "confirmation", "group_id": GROUP, "secret": "wrong"})
    with pytest.raises(MissingPermission):
        receive({"type": "confirmation", "group_id": GROUP}, {"secret": "x"})


@pytest.mark.parametrize("changes", [{"secret": "wrong"}, {"secret": None}, {"secret": ""}, {"secret": "sharedsecret"}])
@pytest.mark.parametrize("kind", ["message_new", "group_join", "unheard_of"])
def test_an_event_without_the_secret_is_rejected(kind: str, changes: dict[str, object]) -> None:
    with pytest.raises(MissingPermission):
        receive(event(kind, {}, **changes))


def test_events_are_rejected_if_no_secret_is_stored() -> None:
    with pytest.raises(MissingPermission):
        receive(event("group_join", {}, secret=""), {})
    with pytest.raises(MissingPermission):
        receive(event("group_join", {}, secret=""), {"secret": ""})


async def test_a_pushed_message_equals_the_polled_one() -> None:
    fake = FakeVk(comments=thread_of(0), messages=[message(1, 5), message(2, 5, out=True)])
    adapter = Vk(fake.client())
    listed = {m.external_id: m for m in [*await list_comments(adapter), *(await list_messages(adapter))[0]]}
    events = [
        *(event("wall_reply_new", c) for c in fake.comments),
        event("message_new", {"message": fake.messages[0], "client_info": {}}),
        event("message_reply", fake.messages[1]),
    ]
    assert len(events) == 9
    for body in events:
        received = only_event(body)
        [pushed] = received.messages
        polled = listed[pushed.external_id]
        assert (receive(body).response_body, received.event_id, received.account_id) == ("ok", "e1", "77")
        for part in ("thread_id", "kind", "text", "sent_at", "url", "post_id", "in_reply_to", "deleted"):
            assert getattr(pushed, part) == getattr(polled, part)
        assert pushed.author.external_id == polled.author.external_id
        assert pushed.author.is_community == polled.author.is_community


def test_other_events() -> None:
    assert only_event(event("wall_reply_delete", {"id": 12, "post_id": 1})).deleted_ids == ("comment-12",)
    assert [p.external_id for p in only_event(event("wall_post_new", post(5))).posts] == ["5"]
    assert only_event(event("wall_post_new", post(5, from_id=8))).posts == ()
    assert only_event(event("message_new", {"message": message(1, 2_000_000_001)})).messages == ()
    assert receive(event("group_join", {"user_id": 1})).response_body == "ok"


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"\xff", b'{"type": 1, "group_id": 1}'])
def test_a_webhook_call_that_is_no_event_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        Vk.receive(HookRequest(body, {}, {}), SECRETS)


def test_an_unparsed_event_is_stored_without_the_secret() -> None:
    for subject in (None, {}, {"message": {"id": "x"}}):
        got = receive(event("message_new", subject))
        [kept] = got.events
        assert (got.response_body, kept.account_id, kept.messages) == ("ok", "77", ())
        assert kept.unparsed is not None
        assert json.loads(kept.unparsed.payload)["object"] == subject
        assert SECRETS["secret"] not in kept.unparsed.payload
