"""The Telegram adapter: the requests that it sends, and how it handles responses."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import httpx
import pytest

from app.platforms.capabilities import (
    HookRequest,
    Inspects,
    ListsComments,
    OutgoingPost,
    Picture,
    Publishes,
    Receives,
    Replies,
    ReplyTo,
    Streams,
    Subscribes,
    Unsubscribes,
)
from app.platforms.contract import (
    COST,
    Adapter,
    AuthExpired,
    Cost,
    MessageKind,
    Metric,
    MetricStatus,
    MissingPermission,
    Rejected,
    RemotePerson,
    Throttled,
    Token,
    Transient,
)
from app.platforms.telegram import errors
from app.platforms.telegram.adapter import ADAPTER, SECRET_HEADER, Telegram
from tests.platforms.specimens import PIXEL
from tests.platforms.telegram.server import (
    CHANNEL,
    DATE,
    GROUP,
    TOKEN,
    C,
    FakeBotApi,
    Json,
    channel_post,
    error_response,
    group_comment,
    message,
    ok_response,
)

# ── capabilities and addresses ────────────────────────────────────────────────────────────────────────────────────


def test_the_adapter_has_its_capabilities() -> None:
    adapter: Adapter = FakeBotApi([]).adapter()
    assert ADAPTER is Telegram
    for capability in (Streams, Replies, Publishes, Inspects, Receives, Subscribes, Unsubscribes):
        assert isinstance(adapter, capability)
    assert not isinstance(adapter, ListsComments)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("https://t.me/Coffee_Daily", "https://t.me/coffee_daily"),
        ("http://telegram.me/coffee_daily/", "https://t.me/coffee_daily"),
        ("t.me/coffee_daily", "https://t.me/coffee_daily"),
        ("t.me/s/coffee_daily", "https://t.me/coffee_daily"),
        ("https://t.me/coffee_daily/15?single", "https://t.me/coffee_daily"),
        (" @coffee_daily ", "https://t.me/coffee_daily"),
        ("coffee_daily", "https://t.me/coffee_daily"),
        ("-1001234567890", "https://t.me/c/1234567890"),
        ("-1000123456789", "https://t.me/c/123456789"),
        ("https://t.me/c/1234567890/15", "https://t.me/c/1234567890"),
    ],
)
def test_addresses_have_one_spelling(text: str, canonical: str) -> None:
    assert Telegram.address(text).canonical == canonical
    assert Telegram.address(canonical).canonical == canonical


@pytest.mark.parametrize(
    "text",
    ["", "@", "t.me", "https://t.me/", "https://t.me/+AbCdEf", "https://t.me/joinchat/AbCdEf", "https://vk.com/coffee",
     "-100", "-1000000000000", "-5", "5", "@abc", "@1coffee", "https://[", "ftp://t.me/coffee", "t.me/coffee/talk"],
)  # fmt: skip
def test_an_invalid_address_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match=r"t\.me/name"):
        Telegram.address(text)


async def test_lists_are_empty_without_a_request() -> None:
    adapter = FakeBotApi([]).adapter()
    for cursor in (None, "{}"):
        for page in (await adapter.posts(C, cursor), await adapter.conversations(C, cursor, datetime.now(UTC))):
            assert (page.items, page.cursor, page.more) == ((), cursor, False)


async def test_metrics_are_pending_or_unsupported_without_a_request() -> None:
    adapter = FakeBotApi([]).adapter()
    metrics = await adapter.metrics(C, ("1", "2"))
    assert [one.external_id for one in metrics] == ["1", "2"]
    for one in metrics:
        assert not one.counters
        pending = {kind for kind, status in one.missing.items() if status is MetricStatus.PENDING}
        assert pending == Telegram.spec.metrics == {Metric.REACTIONS, Metric.COMMENTS}
        assert {one.missing[kind] for kind in set(Metric) - pending} == {MetricStatus.UNSUPPORTED}
    with pytest.raises(ValueError, match="100"):
        await adapter.metrics(C, tuple(str(number) for number in range(101)))


async def test_nothing_is_requested_without_a_token() -> None:
    with pytest.raises(AuthExpired) as caught:
        await FakeBotApi([]).adapter().community(replace(C, tokens={}))
    assert caught.value.token is Token.COMMUNITY


# ── the stream ────────────────────────────────────────────────────────────────────────────────────


async def test_an_offset_is_sent_only_after_a_page_with_updates() -> None:
    """After a week without updates Telegram chooses a new id at random; too high an offset would discard updates."""
    first, second = ({"update_id": number, "channel_post": channel_post(16, text="x")} for number in (900, 5))
    fake = FakeBotApi([ok_response([first]), ok_response([]), ok_response([second]), ok_response([])])
    cursor: str | None = None
    offsets, ids = [], []
    for _ in range(4):
        page = await fake.adapter().updates(C, cursor)
        cursor = page.cursor
        offsets.append(fake.params[-1].get("offset"))
        ids += [event.event_id for event in page.items]
        assert not page.more
    assert offsets == [None, 901, None, 6]
    assert ids == ["900", "5"]
    assert "message_reaction_count" in fake.params[0]["allowed_updates"]


@pytest.mark.parametrize("waiting", [99, 100])
async def test_a_full_page_may_not_be_the_last(waiting: int) -> None:
    updates = [
        {"update_id": number, "channel_post": channel_post(number, text="x")} for number in range(1, waiting + 1)
    ]
    page = await FakeBotApi([ok_response(updates)]).adapter().updates(C, None)
    assert len(page.items) == waiting
    assert page.more == (waiting == 100)


async def test_the_stream_is_empty_while_a_webhook_is_set() -> None:
    description = (
        "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first"
    )
    page = await FakeBotApi([error_response(409, description)]).adapter().updates(C, '{"next":901}')
    assert (page.items, page.more) == ((), False)
    fake = FakeBotApi([ok_response([])])
    await fake.adapter().updates(C, page.cursor)
    assert "offset" not in fake.params[0], "ids of updates sent to the webhook do not count for the stream"


@pytest.mark.parametrize(
    "description", ["terminated by other getUpdates request; make sure", "terminated by setWebhook request"]
)
async def test_a_conflict_with_another_reader_is_transient(description: str) -> None:
    with pytest.raises(Transient):
        await FakeBotApi([error_response(409, f"Conflict: {description}")]).adapter().updates(C, None)


# ── writing ───────────────────────────────────────────────────────────────────────────────────────

TO_COMMENT = ReplyTo(f"{GROUP['id']}_50", "t", MessageKind.COMMENT, RemotePerson("5", "Ann"), "16")
TO_MESSAGE = ReplyTo("5_7", "5", MessageKind.MESSAGE, RemotePerson("5", "Ann"), None)


async def test_a_reply_refers_to_its_message() -> None:
    fake = FakeBotApi([ok_response(group_comment(70)), ok_response(message(8, {"id": 5, "type": "private"}))])
    comment = await fake.adapter().reply(C, TO_COMMENT, "Until six", "key")
    direct = await fake.adapter().reply(C, TO_MESSAGE, "Yes", "key")
    assert fake.params[0] == {
        "chat_id": GROUP["id"], "text": "Until six",
        "reply_parameters": {"message_id": 50, "allow_sending_without_reply": False},
    }  # fmt: skip
    assert fake.params[1]["reply_parameters"] == {"message_id": 7, "allow_sending_without_reply": True}
    assert (comment.external_id, comment.url) == (f"{GROUP['id']}_70", "https://t.me/c/2000000077/70")
    assert (direct.external_id, direct.url) == ("5_8", None)
    assert direct.sent_at == datetime.fromtimestamp(DATE + 8, UTC)


async def test_a_reply_to_an_invalid_id_is_rejected() -> None:
    for external_id in ("comment-1", "5", "_", "5_x"):
        with pytest.raises(Rejected):
            await FakeBotApi([]).adapter().reply(C, replace(TO_MESSAGE, external_id=external_id), "x", "key")


def cost(request: httpx.Request) -> Cost:
    declared = request.extensions[COST]
    assert isinstance(declared, Cost)
    assert (declared.token, declared.kind) == (TOKEN, Token.COMMUNITY)
    return declared


async def test_every_request_declares_its_cost() -> None:
    pictures = tuple(Picture(PIXEL, "image/png") for _ in range(3))
    album = [channel_post(20), channel_post(21), channel_post(22)]
    private = message(8, {"id": 5, "type": "private"})
    fake = FakeBotApi(
        [
            ok_response(group_comment(70)),
            ok_response(private),
            ok_response(album),
            ok_response([]),
            ok_response({**CHANNEL}),
            ok_response(9),
        ]
    )
    adapter = fake.adapter()
    await adapter.reply(C, TO_COMMENT, "x", "key")
    await adapter.reply(C, TO_MESSAGE, "x", "key")
    await adapter.publish(C, OutgoingPost("x", pictures), "key")
    await adapter.updates(C, None)
    await adapter.community(C)
    costs = [cost(request) for request in fake.requests]
    assert [dict(one.units) for one in costs] == [
        {"calls": 1, "sends": 1, "group sends": 1},
        {"calls": 1, "sends": 1},
        {"calls": 1, "sends": 3, "group sends": 3},
        *[{"calls": 1}] * 3,
    ]
    assert [one.target for one in costs] == [str(GROUP["id"]), "5", str(CHANNEL["id"]), "", "", ""]
    assert {limit.name for limit in Telegram.spec.rate_limits} == {name for one in costs for name in one.units}


async def test_pictures_and_text_are_sent_together() -> None:
    one, two = Picture(PIXEL, "image/png"), Picture(b"\xff\xd8 picture", "image/jpeg")
    fake = FakeBotApi(
        [
            ok_response(channel_post(16)),
            ok_response(channel_post(17)),
            ok_response([channel_post(19), channel_post(18)]),
        ]
    )
    adapter = fake.adapter()
    ids = [
        (await adapter.publish(C, draft, "key"))
        for draft in (OutgoingPost("A"), OutgoingPost("B", (one,)), OutgoingPost("C", (one, two)))
    ]
    assert [sent.external_id for sent in ids] == ["16", "17", "18"], "the id of an album is that of its first part"
    assert [sent.url for sent in ids] == [f"https://t.me/coffee/{number}" for number in (16, 17, 18)]
    bodies = [request.content for request in fake.requests]
    assert fake.params[0] == {"chat_id": str(CHANNEL["id"]), "text": "A"}
    assert PIXEL in bodies[1]
    assert b'name="caption"\r\n\r\nB' in bodies[1]
    assert b'name="photo"' in bodies[1]
    media = json.loads(bodies[2].split(b'name="media"\r\n\r\n')[1].split(b"\r\n")[0])
    assert media == [
        {"type": "photo", "media": "attach://picture0", "caption": "C"}, {"type": "photo", "media": "attach://picture1"},
    ]  # fmt: skip
    assert PIXEL in bodies[2]
    assert b'name="picture1"; filename="1"\r\nContent-Type: image/jpeg\r\n\r\n\xff\xd8 picture' in bodies[2]


@pytest.mark.parametrize(
    "draft",
    [OutgoingPost("😀" * 2049), OutgoingPost("x" * 1025, (Picture(PIXEL, "image/png"),)), OutgoingPost(" "),
     OutgoingPost("x", (Picture(PIXEL, "image/png"),) * 11), OutgoingPost("x", (Picture(PIXEL, "image/gif"),))],
    ids=["too long in UTF-16", "a caption too long", "nothing", "eleven pictures", "a GIF"],
)  # fmt: skip
async def test_an_invalid_post_is_rejected_without_a_request(draft: OutgoingPost) -> None:
    with pytest.raises(Rejected):
        await FakeBotApi([]).adapter().publish(C, draft, "key")


async def test_the_scope_of_a_rate_limit_depends_on_the_method() -> None:
    wait = error_response(429, "Too Many Requests: retry after 14", retry_after=14)
    with pytest.raises(Throttled) as sending:
        await FakeBotApi([wait]).adapter().reply(C, TO_MESSAGE, "x", "key")
    with pytest.raises(Throttled) as reading:
        await FakeBotApi([wait]).adapter().updates(C, None)
    assert (sending.value.scope, reading.value.scope) == ("community", "token")
    assert (sending.value.retry_after, reading.value.retry_after) == (14, 14)


async def test_an_error_counts_whatever_its_status() -> None:
    refused = httpx.Response(200, json=error_response(400, "Bad Request: message is too long"))
    adapter = Telegram(httpx.AsyncClient(transport=httpx.MockTransport(lambda _: refused)))
    with pytest.raises(Rejected):
        await adapter.publish(C, OutgoingPost("x"), "key")


async def test_error_messages_do_not_contain_the_token() -> None:
    response = error_response(400, f"Bad Request: {TOKEN} and {TOKEN.partition(':')[2]} are odd\nindeed")
    with pytest.raises(Rejected) as caught:
        await FakeBotApi([response]).adapter().updates(C, None)
    assert caught.value.message == "Telegram refused the request: […] and […] are odd indeed"


# ── hooks ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("headers", "secrets"),
    [({}, {"secret": "s"}), ({SECRET_HEADER: "other"}, {"secret": "s"}), ({SECRET_HEADER: ""}, {"secret": ""}),
     ({}, {}), ({SECRET_HEADER: "é"}, {"secret": "e"})],
)  # fmt: skip
def test_a_webhook_call_without_the_secret_is_rejected(headers: dict[str, str], secrets: dict[str, str]) -> None:
    with pytest.raises(MissingPermission):
        Telegram.receive(HookRequest(b"not even JSON", headers, {}), secrets)


async def test_a_webhook_is_set_with_its_secret_and_keeps_pending_updates() -> None:
    fake = FakeBotApi([ok_response(True)])
    assert await fake.adapter().subscribe(C, "https://instep.example/hook", {"secret": "sesame"}) == {}
    [params] = fake.params
    assert (params["url"], params["secret_token"]) == ("https://instep.example/hook", "sesame")
    assert params["drop_pending_updates"] is False
    assert {"channel_post", "message", "message_reaction_count"} <= set(params["allowed_updates"])


async def test_the_own_webhook_is_deleted_and_another_is_not() -> None:
    """While a webhook is set the stream stays empty. Pending updates are kept for the stream."""
    url, status = "https://instep.example/hook", {"has_custom_certificate": False, "pending_update_count": 2}
    fake = FakeBotApi([ok_response({"url": url, **status}), ok_response(True)])
    await fake.adapter().unsubscribe(C, url)
    assert fake.params[1] == {"drop_pending_updates": False}
    assert fake.requests[1].url.path.endswith("/deleteWebhook")
    for other in ("", f"{url}s"):
        fake = FakeBotApi([ok_response({"url": other, **status})])
        await fake.adapter().unsubscribe(C, url)
        assert len(fake.params) == 1


def test_an_unparsed_webhook_call_is_stored() -> None:
    for body in (b"", b"[]", b"{}", b'{"update_id": "1"}', b'{"update_id": 1, "message": {}}'):
        [event] = Telegram.receive(HookRequest(body, {SECRET_HEADER: "s"}, {}), {"secret": "s"}).events
        assert (event.account_id, event.unparsed and event.unparsed.payload) == (None, body.decode())


@pytest.mark.parametrize(
    ("info", "delivering"),
    [
        ({"pending_update_count": 0}, True),
        ({"pending_update_count": 0, "last_error_date": DATE, "last_error_message": "Wrong response: 500"}, True),
        ({"pending_update_count": 3}, None),
        ({"pending_update_count": 3, "last_error_date": DATE, "last_error_message": "Wrong response: 500"}, False),
    ],
)
async def test_the_state_of_a_webhook(info: Json, *, delivering: bool | None) -> None:
    url = "https://instep.example/hook"
    for set_to, subscribed in ((url, True), ("", False), (f"{url}s", False)):
        requested = {"allowed_updates": ["message", "chat_member"]}
        answer = ok_response({"url": set_to, "has_custom_certificate": False, **requested, **info})
        state = await FakeBotApi([answer]).adapter().subscription(C, url)
        assert (state.subscribed, state.delivering, state.waiting) == (
            subscribed, delivering, info["pending_update_count"],
        )  # fmt: skip
        assert state.detail == info.get("last_error_message", "")
        assert not state.outdated


async def test_a_webhook_that_was_set_without_joins_is_set_again() -> None:
    url = "https://instep.example/hook"
    for kinds in ({}, {"allowed_updates": ["message", "channel_post"]}):
        info = {"url": url, "has_custom_certificate": False, "pending_update_count": 0, **kinds}
        state = await FakeBotApi([ok_response(info)]).adapter().subscription(C, url)
        assert (state.subscribed, state.outdated) == (False, True)
        assert "chat_member" in state.detail


# ── permissions of the bot ────────────────────────────────────────────────────────────────────────────────────────

CHANNEL_ADMIN = {"status": "administrator", "can_post_messages": True}


@pytest.mark.parametrize(
    ("in_channel", "in_group", "reads_group", "missing"),
    [
        (CHANNEL_ADMIN, {"status": "administrator"}, False, ()),
        (CHANNEL_ADMIN, {"status": "member"}, True, ()),
        (CHANNEL_ADMIN, {"status": "member"}, False, (errors.READ_GROUP,)),
        (CHANNEL_ADMIN, {"status": "left"}, True, (errors.READ_GROUP,)),
        (CHANNEL_ADMIN, None, True, (errors.READ_GROUP,)),
        ({**CHANNEL_ADMIN, "can_post_messages": False}, {"status": "administrator"}, False, (errors.POST,)),
        ({"status": "member"}, {"status": "administrator"}, False, (errors.ADMINISTRATOR, errors.POST)),
        (None, {"status": "administrator"}, False, (errors.ADMINISTRATOR, errors.POST)),
    ],
)
async def test_missing_scopes_of_the_bot(
    in_channel: Json, in_group: Json, missing: tuple[str, ...], *, reads_group: bool
) -> None:
    closed = error_response(400, "Bad Request: member list is inaccessible")
    bot = {"id": 7000000077, "is_bot": True, "first_name": "B", "can_read_all_group_messages": reads_group}
    fake = FakeBotApi(
        [
            ok_response(bot),
            *(closed if membership is None else ok_response(membership) for membership in (in_channel, in_group)),
        ]
    )
    state = (await fake.adapter().inspect(C))[Token.COMMUNITY]
    assert state.missing_scopes == missing
    assert state.lifetime is None
    assert set(missing) <= set(Telegram.spec.scopes[Token.COMMUNITY])
    assert [one.get("chat_id") for one in fake.params] == [None, str(CHANNEL["id"]), str(GROUP["id"])]
