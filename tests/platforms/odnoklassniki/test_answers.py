"""Undocumented responses of Odnoklassniki that public clients handle."""

import json
from datetime import UTC, datetime
from typing import Any, Final

import httpx
import pytest

from app.platforms.capabilities import Event, HookRequest
from app.platforms.contract import AuthExpired, Credentials, Gone, Metric, MissingPermission, Token
from app.platforms.odnoklassniki.adapter import Odnoklassniki
from app.platforms.odnoklassniki.errors import from_answer
from tests.platforms.odnoklassniki.server import MESSAGE, TOKENS, C, FakeOdnoklassniki, topic

COMMUNITY_TOKEN_ONLY: Final = Credentials(
    C.address, C.base_url, C.external_id, {Token.COMMUNITY: TOKENS[Token.COMMUNITY]}, C.app
)
SYSTEM_NOTICES: Final = (
    '{"ai":1,"pa":[2,3],"ty":"CHAT_CREATED"}',
    '{"ui":1,"ty":"JOIN_BY_LINK"}',
    '{"ai":1,"tn":"Sales","ty":"THEME_CHANGED"}',
)
CUSTOMER_TEXTS: Final = ("", "Hello", "7", "null", '{"ty":"x"}', '{"ty":"CHAT_CREATED"}', "[1]", '{"ai":1}')


def message_body(text: str, number: int = 1) -> dict[str, Any]:
    return {**MESSAGE, "message": {"text": text, "mid": f"mid:C1.{number}"}}


def webhook_events(body: object) -> tuple[Event, ...]:
    """The events of a webhook call."""
    got = Odnoklassniki.receive(HookRequest(json.dumps(body).encode(), {}, {}, "217.20.145.193"), {})
    assert got.response_body == "ok"
    return got.events


def parsed_count(body: object) -> int:
    """How many of its events are parsed."""
    return sum(event.unparsed is None for event in webhook_events(body))


async def test_system_notices_are_not_listed_as_messages() -> None:
    messages = [message_body(text, number) for number, text in enumerate([*SYSTEM_NOTICES, *CUSTOMER_TEXTS])]
    chats = {"chats": [{"chat_id": "chat:C1", "lastEventTime": 1}]}
    fake = FakeOdnoklassniki(**{"/graph/me/chats": chats, "/graph/me/messages/chat:C1": {"messages": messages}})
    page = await fake.adapter().conversations(C, None)
    page = await fake.adapter().conversations(C, page.cursor)
    assert [one.text for one in page.items] == list(CUSTOMER_TEXTS)


def test_pushed_system_notices_are_ignored() -> None:
    assert [parsed_count(message_body(text)) for text in SYSTEM_NOTICES] == [0] * len(SYSTEM_NOTICES)
    assert [parsed_count(message_body(text)) for text in CUSTOMER_TEXTS] == [1] * len(CUSTOMER_TEXTS)


def test_a_webhook_call_without_a_message_is_accepted() -> None:
    """If it were rejected, OK would repeat it for eight hours and then delete the subscription."""
    change = {"sender": MESSAGE["sender"], "recipient": MESSAGE["recipient"], "timestamp": 1}
    assert parsed_count({**change, "chat_control": {"title": "Sales"}}) == 0
    for wrong in ({**change, "webhookType": "MESSAGE_CREATED"}, {"timestamp": 1}):
        assert [event.unparsed is not None for event in webhook_events(wrong)] == [True]


@pytest.mark.parametrize("about", ["community", "inspect"])
async def test_the_token_of_a_person_is_rejected(about: str) -> None:
    fake = FakeOdnoklassniki(**{"/graph/me/info": {"name": "Ann Lee", "user_id": "user:5"}})
    with pytest.raises(MissingPermission, match="person"):
        await getattr(fake.adapter(), about)(COMMUNITY_TOKEN_ONLY)


async def test_groups_are_a_list_or_in_an_object_or_missing() -> None:
    group = {"uid": C.external_id, "name": "Coffee", "shortname": None, "members_count": 7}
    for answer in ([group], {"groups": [group]}):
        snapshot = await FakeOdnoklassniki(group_getInfo=answer).adapter().community(C)
        assert (snapshot.size, snapshot.url) == (7, C.address)
    for empty in ("null", "[]", '{"groups": null}'):
        http = httpx.AsyncClient(transport=httpx.MockTransport(lambda _, text=empty: httpx.Response(200, text=text)))
        with pytest.raises(Gone):
            await Odnoklassniki(http).community(C)


async def test_hidden_counters_are_missing() -> None:
    hidden = topic(5, like_summary={"count": -1}, discussion_summary=None, views_count=None, media=None)
    stats = {"topics": [{"id": "5", "reach": -1}], "has_more": False}
    fake = FakeOdnoklassniki(group_getStatTopics=stats, mediatopic_getByIds={"media_topics": [hidden]})
    [metrics] = await fake.adapter().metrics(C, ("5",))
    assert metrics.counters == {}
    assert set(metrics.missing) == set(Metric)


async def test_a_time_with_a_zone_is_in_that_zone() -> None:
    dated = [{"id": "2", "date": "2026-11-23T09:00:00+05:00"}, {"id": "1", "date": "2026-11-23 09:00:00"}]
    page = (
        await FakeOdnoklassniki(discussions_getComments={"comments": dated, "has_more": False})
        .adapter()
        .comments(C, "66", None)
    )
    assert [one.sent_at.hour for one in page.items] == [4, 6]
    assert all(one.sent_at.tzinfo is UTC for one in page.items)
    assert page.items[0].sent_at == datetime(2026, 11, 23, 4, tzinfo=UTC)


@pytest.mark.parametrize(
    ("code", "body", "means"),
    [("102", b"<error/>", AuthExpired), (" 300 ", b"", Gone), ("10", b'{"error_code": "?"}', MissingPermission)],
)
def test_an_error_code_in_a_header_counts(code: str, body: bytes, means: type[Exception]) -> None:
    error = from_answer(httpx.Response(200, headers={"invocation-error": code}, content=body))
    assert type(error) is means


@pytest.mark.parametrize("code", ["", "x", "1" * 30, "²"])
def test_an_invalid_error_code_in_a_header_is_ignored(code: str) -> None:
    headers = httpx.Headers([(b"invocation-error", code.encode())])
    assert from_answer(httpx.Response(200, headers=headers, content=b"[]")) is None
