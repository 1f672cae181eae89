"""Odnoklassniki's webhook events, and the addresses from which they are accepted."""

import json
from datetime import UTC, datetime
from typing import Any, Final

import pytest

from app.platforms.capabilities import Event, HookRequest
from app.platforms.contract import MessageKind, MissingPermission, RemoteMessage, RemotePerson
from app.platforms.odnoklassniki.adapter import Odnoklassniki
from tests.platforms.contract.stage import staged

MESSAGE: Final[dict[str, Any]] = {
    "sender": {"user_id": "user:123456789012", "name": "A Customer"},
    "recipient": {"chat_id": "chat:C3ecb9d02a600"},
    "message": {"text": "text", "seq": 98211023614189660, "mid": "mid:C3ecb9d02a600.15cea67d78d2059"},
    "timestamp": 1498581292941,
}


def events(body: object, source: str | None = "217.20.145.193", **secrets: str) -> tuple[Event, ...]:
    call = HookRequest(json.dumps(body).encode(), {}, {}, source)
    received = Odnoklassniki.receive(call, secrets)
    assert received.response_body == "ok"
    return received.events


@pytest.mark.parametrize("body", [MESSAGE, MESSAGE | {"webhookType": "MESSAGE_CREATED"}])
def test_a_pushed_message_has_its_own_id_as_event_id(body: dict[str, object]) -> None:
    (event,) = events(body)
    assert (event.event_id, event.account_id) == ("mid:C3ecb9d02a600.15cea67d78d2059", None)
    (message,) = event.messages
    assert message == RemoteMessage(
        "mid:C3ecb9d02a600.15cea67d78d2059", "chat:C3ecb9d02a600", MessageKind.MESSAGE,
        RemotePerson("123456789012", "A Customer", "https://ok.ru/profile/123456789012"), "text",
        datetime(2017, 6, 27, 16, 34, 52, 941000, UTC),
    )  # fmt: skip


def test_a_message_of_the_group_is_of_the_community() -> None:
    (event,) = events(MESSAGE | {"sender": {"user_id": "group:57000000000077"}})
    assert event.messages[0].author.is_community


@pytest.mark.parametrize("kind", ["CHAT_SYSTEM", "MESSAGE_READ"])
def test_other_events_are_ignored(kind: str) -> None:
    assert events({"webhookType": kind, "chat_id": 1}) == ()


@pytest.mark.parametrize(("kind", "text"), [(None, "picture"), ("MESSAGE_CREATED", "")])
def test_old_and_new_envelopes_bring_links_and_pictures(kind: str | None, text: str) -> None:
    """Older ones do not name their kind; a picture may come without a text."""
    more = {} if kind is None else {"webhookType": kind}
    attached = {"attachments": [{"type": "IMAGE", "payload": {"url": "https://i.example/1"}}]}
    content = {name: value for name, value in MESSAGE["message"].items() if name != "text"}
    (event,) = events(MESSAGE | more | {"message": content | attached | ({"text": text} if text else {})})
    (message,) = event.messages
    assert (message.external_id, message.text) == (MESSAGE["message"]["mid"], text)
    assert events({"recipient": MESSAGE["recipient"], "type": "chat_title_changed", "timestamp": 1}) == ()


KEYBOARD: Final = {
    "type": "INLINE_KEYBOARD",
    "payload": {
        "keyboard": {
            "buttons": [
                [{"type": "LINK", "text": "Our site", "url": "https://coffee.example"}],
                [{"type": "CALLBACK", "text": "Delivery", "payload": "delivery"}],
            ]
        }
    },
}


@pytest.mark.parametrize(("payload", "text"), [("delivery", "Delivery"), ("unlisted", "unlisted"), (None, "")])
def test_a_pressed_button_is_a_message_of_the_customer(payload: str | None, text: str) -> None:
    pressed = {"webhookType": "MESSAGE_CALLBACK", "callbackId": "c-1", "payload": payload}
    (event,) = events(MESSAGE | pressed | {"message": MESSAGE["message"] | {"attachments": [KEYBOARD]}})
    (message,) = event.messages
    assert (message.external_id, message.thread_id) == ("button:c-1", MESSAGE["recipient"]["chat_id"])
    assert (message.author.external_id, message.author.is_community, message.text) == ("123456789012", False, text)
    assert (message.in_reply_to, event.undated) == (MESSAGE["message"]["mid"], False)


def test_a_pressed_button_without_a_time_or_its_message_is_read() -> None:
    pressed = {"webhookType": "MESSAGE_CALLBACK", "callbackId": "c-1", "payload": "delivery"}
    (event,) = events(pressed | {name: MESSAGE[name] for name in ("sender", "recipient")})
    assert (event.messages[0].text, event.messages[0].in_reply_to, event.undated) == ("delivery", None, True)
    (unparsed,) = events(pressed)
    assert unparsed.unparsed is not None, "neither by anybody nor in a chat"


@pytest.mark.parametrize(
    ("source", "sources", "accepted"),
    [
        ("217.20.145.192", None, True),
        ("217.20.151.175", None, True),
        ("217.20.153.63", "", True),
        ("::ffff:217.20.153.48", None, True),
        ("217.20.153.64", None, False),
        ("217.20.145.191", None, False),
        ("127.0.0.1", None, False),
        ("::1", None, False),
        ("127.0.0.1", "127.0.0.0/8, ::1", True),
        ("::1", "127.0.0.0/8, ::1", True),
        ("217.20.145.193", "127.0.0.0/8", False),
        ("10.1.2.3", "10.1.2.0/24,192.0.2.1", True),
        ("192.0.2.2", "10.1.2.0/24,192.0.2.1", False),
        ("127.0.0.1", "127.0.0.0/8,nonsense", False),
        ("127.0.0.1", ",", False),
        ("", None, False),
        (None, None, False),
        ("localhost", "127.0.0.0/8", False),
    ],
)
def test_a_call_is_accepted_by_its_source_address(source: str | None, sources: str | None, accepted: bool) -> None:
    secrets = {} if sources is None else {"sources": sources}
    if accepted:
        assert events(MESSAGE, source, **secrets)
        return
    with pytest.raises(MissingPermission):
        events(MESSAGE, source, **secrets)


def test_the_source_address_is_checked_before_the_body() -> None:
    with pytest.raises(MissingPermission):
        Odnoklassniki.receive(HookRequest(b"{", {}, {}, "203.0.113.9"), {})
    [kept] = Odnoklassniki.receive(HookRequest(b"{", {}, {}, "217.20.145.193"), {}).events
    assert kept.unparsed is not None, "the control: from an accepted address it is stored"


async def test_a_webhook_is_subscribed_once() -> None:
    url = "https://instep.example/v1/hooks/1"
    async with staged("odnoklassniki", Odnoklassniki) as s:
        adapter = Odnoklassniki(s.http)
        for _ in range(2):
            assert await adapter.subscribe(s.c, url, {}) == {}
        posts = [request for request in s.transport.requests if request.url.path == "/graph/me/subscribe"]
        assert len(posts) == 1
        assert json.loads(posts[0].content) == {"url": url, "types": ["MESSAGE_CREATED", "MESSAGE_CALLBACK"]}
        assert posts[0].headers["content-type"] == "application/json;charset=utf-8"


async def test_a_webhook_is_unsubscribed_once_and_another_stays() -> None:
    url, other = "https://instep.example/v1/hooks/1", "https://instep.example/v1/hooks/2"
    async with staged("odnoklassniki", Odnoklassniki) as s:
        adapter = Odnoklassniki(s.http)
        for one in (url, other):
            await adapter.subscribe(s.c, one, {})
        for _ in range(2):
            await adapter.unsubscribe(s.c, url)
        posts = [request for request in s.transport.requests if request.url.path == "/graph/me/unsubscribe"]
        assert [json.loads(post.content) for post in posts] == [{"url": url}]
        states = [(await adapter.subscription(s.c, one)).subscribed for one in (url, other)]
        assert states == [False, True]
