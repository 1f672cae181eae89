"""Webhook events of a Facebook Page."""

import json
from datetime import UTC, datetime

import pytest

from app.platforms.capabilities import (
    Event,
    HookRequest,
    HookResult,
    HookState,
    MessageChange,
)
from app.platforms.contract import (
    Malformed,
    Metric,
    MissingPermission,
    Rejected,
    RemotePerson,
)
from app.platforms.meta.facebook import EVENTS, Facebook
from app.platforms.meta.instagram import Instagram
from tests.platforms.meta.facebook_graph import HOOK, PAGE, SECRETS, adapter, credentials, fake_graph, signed_request
from tests.platforms.meta.server import Node


def entry(*changes: Node, messaging: tuple[object, ...] = ()) -> Node:
    fields = [{"field": "feed", "value": change} for change in changes]
    return {"id": PAGE, "time": 1_772_355_660, "changes": fields, "messaging": list(messaging)}


def new_comment(**more: object) -> Node:
    return {
        "item": "comment", "verb": "add", "post_id": f"{PAGE}_1", "comment_id": "1_11", "parent_id": f"{PAGE}_1",
        "from": {"id": "5", "name": "Ann"}, "message": "Until when?", "created_time": 1_772_355_600, **more,
    }  # fmt: skip


def new_message(mid: str = "m_1", **more: object) -> Node:
    message = {"mid": mid, "text": "Hello", **more}
    return {"sender": {"id": "5"}, "recipient": {"id": PAGE}, "timestamp": 1_772_355_600_500, "message": message}


def events(*entries: Node, kind: str = "page") -> tuple[Event, ...]:
    return Facebook.receive(signed_request({"object": kind, "entry": list(entries)}), SECRETS).events


def test_the_verification_challenge_is_answered() -> None:
    query = {"hub.mode": "subscribe", "hub.verify_token": "agreed", "hub.challenge": "1158201444"}
    assert Facebook.receive(HookRequest(b"", {}, query), SECRETS) == HookResult("1158201444")
    nothing = {**query, "hub.verify_token": ""}
    for wrong, secrets in (({**query, "hub.verify_token": "x"}, SECRETS), (query, {}), (nothing, {"verify_token": ""})):
        with pytest.raises(MissingPermission):
            Facebook.receive(HookRequest(b"", {}, wrong), secrets)
    with pytest.raises(Malformed):
        Facebook.receive(HookRequest(b"", {}, {**query, "hub.challenge": "<script>"}), SECRETS)


def test_the_signature_is_over_the_raw_bytes() -> None:
    body = b'{"object": "page",  "entry": []}'
    assert Facebook.receive(signed_request(body), SECRETS).events == ()
    good = signed_request(body)
    for bad in (
        signed_request(body, "another secret"),
        HookRequest(body, {}, {}),
        HookRequest(body, {"x-hub-signature-256": ""}, {}),
        HookRequest(body, {"x-hub-signature": good.headers["x-hub-signature-256"]}, {}),
        HookRequest(body.replace(b"  ", b" "), good.headers, {}),
        HookRequest(body, good.headers, {"hub.mode": "subscribe", "hub.verify_token": "agreed", "hub.challenge": "1"}),
    ):
        if bad.query:
            assert Facebook.receive(bad, SECRETS).response_body != "1"
            continue
        with pytest.raises(MissingPermission):
            Facebook.receive(bad, SECRETS)
    with pytest.raises(MissingPermission):
        Facebook.receive(signed_request(body, ""), {"verify_token": "agreed", "app_secret": ""})
    [kept] = Facebook.receive(signed_request(b"[]"), SECRETS).events
    assert kept.unparsed is not None, "the control: a signed event is stored even if malformed"


def test_a_pushed_comment_equals_the_listed_one() -> None:
    (first,), (reply,) = events(entry(new_comment())), events(entry(new_comment(comment_id="1_12", parent_id="1_11")))
    (message,) = first.messages
    assert first.account_id == PAGE
    assert (message.external_id, message.thread_id, message.post_id) == ("1_11", "comment-1_11-5", f"{PAGE}_1")
    assert (message.text, message.author) == ("Until when?", RemotePerson("5", "Ann"))
    assert message.sent_at == datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
    assert (message.in_reply_to, message.edited_at) == (None, None)
    assert reply.messages[0].thread_id == "comment-1_11-5"
    assert reply.messages[0].in_reply_to == "1_11"


def test_events_of_comments_and_posts() -> None:
    (edited,) = events(entry(new_comment(verb="edited", message="Till when?")))
    assert edited.messages[0].edited_at == datetime(2026, 3, 1, 9, 1, tzinfo=UTC)
    (removed,) = events(entry(new_comment(verb="remove")))
    assert (removed.deleted_ids, removed.messages) == (("1_11",), ())
    ours = {"from": {"id": PAGE, "name": "Coffee"}}
    assert events(entry(new_comment(parent_id="1_10", **ours))) == (), "it names no customer"
    (own,) = events(entry(new_comment(**ours)))
    assert own.messages[0].author.is_community
    new = {"item": "status", "verb": "add", "post_id": f"{PAGE}_9", "message": "Hi", "created_time": 1_772_355_600}
    (posted,) = events(entry({**new, **ours}))
    assert posted.posts[0].external_id == f"{PAGE}_9"
    assert not posted.posts[0].metrics.counters
    assert set(posted.posts[0].metrics.missing) == set(Metric)
    assert events(entry({**new, "from": {"id": "5"}}), entry({**new, **ours, "published": 0})) == ()


def test_messages_and_echoes() -> None:
    echo = {**new_message("m_2", is_echo=True), "sender": {"id": PAGE}, "recipient": {"id": "5"}}
    read = {"sender": {"id": "5"}, "recipient": {"id": PAGE}, "timestamp": 1, "read": {"watermark": 1}}
    theirs, ours = events(entry(messaging=(new_message(), read, echo)))
    assert theirs.messages[0].thread_id == ours.messages[0].thread_id == "message-5"
    assert [one.messages[0].author.is_community for one in (theirs, ours)] == [False, True]
    assert theirs.messages[0].sent_at == datetime(2026, 3, 1, 9, 0, 0, 500_000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("sender", "recipient", "is_echo", "is_own", "customer"),
    [
        (PAGE, "5", True, True, "5"),
        (PAGE, "5", None, True, "5"),
        ("178", "5", True, True, "5"),
        ("5", PAGE, None, False, "5"),
        ("5", PAGE, True, False, "5"),
    ],
)
def test_whose_a_message_is_follows_from_sender_and_recipient(
    sender: str, recipient: str, is_echo: bool | None, is_own: bool, customer: str
) -> None:
    """`is_echo` decides only where neither is the account by the id that it has in the event."""
    sent = {**new_message(is_echo=is_echo), "sender": {"id": sender}, "recipient": {"id": recipient}}
    (event,) = events(entry(messaging=(sent,)))
    assert event.messages[0].author.is_community == is_own
    assert event.messages[0].thread_id == f"message-{customer}"


def test_event_ids_depend_on_the_content_alone() -> None:
    received = events(entry(new_comment(), new_comment(message="Else"), messaging=(new_message(), new_message("m_2"))))
    assert len({event.event_id for event in received}) == 4
    again = {**entry(new_comment(), messaging=(new_message(),)), "time": 1_772_359_999}
    assert {event.event_id for event in events(again)} <= {event.event_id for event in received}
    other = {**entry(new_comment()), "id": "78"}
    assert events(other)[0].event_id not in {event.event_id for event in received}
    assert events(other)[0].account_id == "78"


def test_an_unparsed_event_does_not_affect_the_others() -> None:
    unparsable = new_comment(created_time="yesterday")
    other = {"id": "78", "time": 1, "changes": [{"field": "mention", "value": {"anything": 1}}]}
    kept, parsed = events(entry(unparsable, new_comment()), other)
    assert parsed.messages[0].external_id == "1_11"
    assert (kept.account_id, kept.messages) == (PAGE, ())
    assert events(entry(new_comment()), kind="user") == ()


def test_an_unparsed_event_is_stored_as_a_webhook_call_of_its_own() -> None:
    unparsed, strange = new_comment(created_time="yesterday"), {**new_message("m_9"), "timestamp": "noon"}
    sent = entry(unparsed, new_comment(), messaging=(strange, new_message(), "hm"))
    kept = [event.unparsed for event in events(sent, {"id": None}) if event.unparsed is not None]
    bare = {name: value for name, value in sent.items() if name not in {"changes", "messaging"}}
    assert [json.loads(one.payload) for one in kept] == [
        {"object": "page", "entry": [one]}
        for one in (
            {**bare, "changes": [{"field": "feed", "value": unparsed}]},
            {**bare, "messaging": [strange]},
            {**bare, "messaging": ["hm"]},
            {"id": None},
        )
    ]
    for one in kept:
        [again] = Facebook.parse_event(one.payload.encode())
        assert again.unparsed == one
    corrected = kept[1].payload.replace('"noon"', str(new_message()["timestamp"]))
    assert [e.messages[0].external_id for e in Facebook.parse_event(corrected.encode())] == ["m_9"]


def without_message(**more: object) -> Node:
    return {**{name: value for name, value in new_message().items() if name != "message"}, **more}


def test_events_without_a_message_are_not_stored() -> None:
    """Read receipts, deliveries, reactions, and buttons of which nothing is known are not stored as unparsed events."""
    for name in ("read", "delivery", "reaction", "postback"):
        assert events(entry(messaging=(without_message(**{name: {"mid": "m_1"}}),))) == ()
    ours = without_message(postback={"title": "Open?", "mid": "m_1"}, sender={"id": PAGE})
    assert events(entry(messaging=(ours,))) == (), "the Page itself presses no button"


@pytest.mark.parametrize(
    ("postback", "external_id", "text"),
    [
        ({"mid": "m_1", "title": "What does delivery cost?", "payload": "DELIVERY"}, "m_1", "What does delivery cost?"),
        ({"mid": "m_1", "payload": "GET_STARTED"}, "m_1", "GET_STARTED"),
        ({"title": "Menu", "payload": "1", "referral": {"source": "SHORTLINK"}}, None, "Menu"),
    ],
)
@pytest.mark.parametrize("kind", [Facebook, Instagram])
def test_a_pressed_button_is_a_message(
    kind: type[Facebook | Instagram], postback: Node, external_id: str | None, text: str
) -> None:
    """Of a menu, of a message, "Get started", or an ice breaker; older ones have no id."""
    item, name = without_message(postback=postback), "page" if kind is Facebook else "instagram"

    def received(item: Node, time: int) -> Event:
        body = {"object": name, "entry": [{"id": PAGE, "time": time, "messaging": [item]}]}
        (event,) = kind.receive(signed_request(body), SECRETS).events
        return event

    event = received(item, 1)
    (message,) = event.messages
    assert (message.text, message.thread_id, message.author) == (text, "message-5", RemotePerson("5", ""))
    assert message.external_id == (external_id or message.external_id)
    assert received(item, 2) == event, "the same when it is repeated"
    assert received({**item, "timestamp": 1_772_355_600_501}, 1).messages != event.messages
    sample = {"id": PAGE, "time": 1, "changes": [{"field": "messaging_postbacks", "value": item}]}
    (from_dashboard,) = kind.receive(signed_request({"object": name, "entry": [sample]}), SECRETS).events
    assert from_dashboard.messages == event.messages


def test_a_quick_reply_without_a_text_has_that_of_its_payload() -> None:
    (event,) = events(entry(messaging=(new_message(text="Big", quick_reply={"payload": "SIZE_L"}),)))
    assert event.messages[0].text == "Big"
    (event,) = events(entry(messaging=(new_message(text=None, quick_reply={"payload": "SIZE_L"}),)))
    assert event.messages[0].text == "SIZE_L"


def test_an_edited_message() -> None:
    """Instagram names no sender, and sends one without a text, or with the number 0, for a message that is new."""
    edit = {"mid": "m_1", "text": "two cups please", "num_edit": 1}
    expected = MessageChange("m_1", datetime(2026, 3, 1, 9, 0, 0, 500_000, tzinfo=UTC), text="two cups please")
    for item in (without_message(message_edit=edit), {"timestamp": 1_772_355_600_500, "message_edit": edit}):
        for name, kind in (("page", Facebook), ("instagram", Instagram)):
            body = {"object": name, "entry": [{"id": PAGE, "time": 1, "messaging": [item]}]}
            (event,) = kind.receive(signed_request(body), SECRETS).events
            assert (event.changes, event.messages, event.account_id) == ((expected,), (), PAGE)
    again = {**edit, "num_edit": 2}
    ids = {
        event.event_id
        for e in (edit, again, edit)
        for event in events(entry(messaging=(without_message(message_edit=e),)))
    }
    assert len(ids) == 2
    for new in (
        {"mid": "m_1", "num_edit": 0},
        {"mid": "m_1", "num_edit": 0, "text": "two"},
        {"mid": "m_1", "text": None},
    ):
        assert events(entry(messaging=(without_message(message_edit=new),))) == ()
    (unparsed,) = events(entry(messaging=(without_message(message_edit={"text": "of nothing"}),)))
    assert unparsed.unparsed is not None


def test_a_comment_is_hidden_and_shown_again() -> None:
    for verb, hidden in (("hide", True), ("unhide", False)):
        (event,) = events(entry(new_comment(verb=verb)))
        assert event.changes == (MessageChange("1_11", datetime(2026, 3, 1, 9, 1, tzinfo=UTC), hidden=hidden),)
        assert event.messages == ()


async def test_the_states_of_a_subscription() -> None:
    """`subscribe` is tested on the sandbox; here, the other states that Graph reports."""
    graph = fake_graph()
    versioned = [{"name": name, "version": "v26.0"} for name in EVENTS]
    subscriptions: list[Node] = [{"object": "page", "callback_url": HOOK, "active": True, "fields": versioned}]
    listed = {"data": [{"id": "4400", "name": "Instep", "subscribed_fields": list(EVENTS)}]}
    graph.bodies = {"/subscribed_apps": listed, "/subscriptions": {"data": subscriptions}}
    assert await adapter(graph).subscription(credentials(), HOOK) == HookState(True)
    subscriptions[0]["fields"] = list(EVENTS)
    assert await adapter(graph).subscription(credentials(), HOOK) == HookState(True), "the format before v3.2"
    subscriptions[0]["fields"] = [one for one in versioned if one["name"] != "message_echoes"]
    state = await adapter(graph).subscription(credentials(), HOOK)
    assert (state.subscribed, state.detail) == (False, "the application does not send: message_echoes")
    assert state.outdated
    listed["data"][0]["subscribed_fields"] = ["feed"]
    assert (await adapter(graph).subscription(credentials(), HOOK)).outdated
    listed["data"][0]["subscribed_fields"] = list(EVENTS)
    without_app = await adapter(graph).subscription(credentials(app={}), HOOK)
    assert without_app.subscribed
    assert "dashboard" in without_app.detail
    listed["data"] = [{"id": "9999", "subscribed_fields": list(EVENTS)}]
    state = await adapter(graph).subscription(credentials(), HOOK)
    assert (state.subscribed, state.detail) == (False, "the community does not send: feed, message_echoes, messages")
    assert not state.outdated, "somebody has taken the application away"
    graph.bodies = {"/subscribed_apps": {"success": False}}
    with pytest.raises(Rejected):
        await adapter(graph).subscribe(credentials(app={}), HOOK, SECRETS)
