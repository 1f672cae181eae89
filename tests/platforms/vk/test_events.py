"""VK: what the Callback API sends."""

import json
from dataclasses import replace

import pytest

from app.platforms.capabilities import (
    HookRequest,
)
from app.platforms.contract import (
    Malformed,
    MessageKind,
    MissingPermission,
)
from app.platforms.vk.adapter import Vk
from tests.platforms.vk.events import SECRETS, event, only_event, receive
from tests.platforms.vk.server import GROUP, comment, message, post


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


def test_restored_and_edited_comments_are_complete_messages() -> None:
    """Edited and restored comments have the id of the deleted one, and a text."""
    deleted = only_event(event("wall_reply_delete", {"id": 11, "post_id": 1}))
    (restored,) = only_event(event("wall_reply_restore", comment(11, 5))).messages
    (edited,) = only_event(event("wall_reply_edit", comment(11, 5, text="In other words"))).messages
    assert deleted.deleted_ids == (restored.external_id,) == (edited.external_id,)
    assert (restored.deleted, restored.restored, restored.text) == (False, True, "comment 11")
    assert replace(edited, text=restored.text, restored=True) == restored


@pytest.mark.parametrize("kind", ["message_new", "message_edit"])
@pytest.mark.parametrize("out", [0, 1])
def test_the_author_of_a_message_decides_whose_it_is(kind: str, out: int) -> None:
    """VK sends events with `out` of 1 for what a customer wrote; a community's id is negative."""
    written = message(1, 5, out=bool(out), from_id=5)
    subject = {"message": written} if kind == "message_new" else written
    [received] = only_event(event(kind, subject)).messages
    assert (received.author.external_id, received.author.is_community) == ("5", False)
    [sent] = only_event(event("message_reply", message(2, 5, out=bool(out), from_id=-GROUP))).messages
    assert (sent.author.external_id, sent.author.is_community) == (f"-{GROUP}", True)
    assert received.thread_id == sent.thread_id


def test_a_message_without_an_author_is_of_whom_its_event_is_about() -> None:
    """In versions before 5.80: `message_new` is a customer's, `message_reply` the community's."""
    old = {"id": 43, "date": 10, "out": 1, "user_id": 5, "read_state": 0, "title": "", "body": "Open?"}
    [received] = only_event(event("message_new", old, v="5.50")).messages
    assert (received.author.external_id, received.author.is_community) == ("5", False)
    [sent] = only_event(event("message_reply", old | {"out": 0}, v="5.50")).messages
    assert (sent.author.external_id, sent.author.is_community) == (f"-{GROUP}", True)


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        ('{"button":"delivery","label":"What does delivery cost?"}', "What does delivery cost?"),
        ({"command": "start"}, "start"),
        ('"opening hours"', '"opening hours"'),
        ("Opening hours", "Opening hours"),
        ('{"id":7}', '{"id": 7}'),
    ],
)
def test_a_pressed_button_is_a_message_of_the_customer(payload: object, text: str) -> None:
    pressed = {"user_id": 5, "peer_id": 5, "event_id": "f1", "payload": payload, "conversation_message_id": 9}
    received = only_event(event("message_event", pressed))
    [message] = received.messages
    assert (message.thread_id, message.kind, message.text) == ("message-5", MessageKind.MESSAGE, text)
    assert (message.author.external_id, message.author.is_community) == ("5", False)
    assert received.undated, "VK does not say when it was pressed"
    assert only_event(event("message_event", pressed | {"peer_id": 2_000_000_001})).messages == ()


def test_the_administrator_who_wrote_for_the_community_is_read() -> None:
    for kind in ("message_reply", "message_edit"):
        [sent] = only_event(event(kind, message(1, 5, out=True, admin_author_id=9))).messages
        assert sent.written_by_id == "9"
    [received] = only_event(event("message_new", message(1, 5, admin_author_id=9))).messages
    assert received.written_by_id is None
    [unnamed] = only_event(event("message_reply", message(1, 5, out=True, admin_author_id=0))).messages
    assert unnamed.written_by_id is None


def test_an_edited_message_is_parsed() -> None:
    body = {"id": 3, "peer_id": 5, "from_id": 5, "date": 10, "update_time": 20, "text": "In other words"}
    (edited,) = only_event(event("message_edit", body)).messages
    assert (edited.external_id, edited.text) == ("message-3", "In other words")
    assert edited.edited_at is not None
