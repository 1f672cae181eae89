"""Responses of particular servers, versions and accounts that differ from the usual documented ones."""

from typing import Any

import httpx
import pytest

from app.platforms.capabilities import HookRequest
from app.platforms.contract import Adapter, Credentials, Malformed, Metric, MetricStatus
from app.platforms.mastodon.adapter import Mastodon
from app.platforms.meta.facebook import Facebook
from app.platforms.odnoklassniki import wire_models as ok
from app.platforms.odnoklassniki.adapter import Odnoklassniki
from app.platforms.telegram.adapter import SECRET_HEADER, Telegram
from app.platforms.vk import wire_models as vk
from app.platforms.wire import parse_bytes
from tests.platforms.meta.facebook_graph import SECRETS, signed_request
from tests.platforms.specimens import json_response, specimen
from tests.platforms.vk.events import event, receive

Json = Any


def adapter_with_response(kind: type[Adapter], body: object) -> tuple[Any, Credentials]:
    """An adapter that gets this body in response to every request, and credentials for it."""
    about = specimen(kind.spec.key)
    made = kind(httpx.AsyncClient(transport=httpx.MockTransport(lambda _: json_response(body))))
    return made, about.credentials(kind.spec.base_url or "https://a.example")


# ── Mastodon-compatible servers ───────────────────────────────────────────────────────────────────


def account(**more: object) -> Json:
    return {"id": "7", "acct": "cafe", "username": "cafe", "url": "https://a.example/@cafe", **more}


def status(**more: object) -> Json:
    return {
        "id": "70", "created_at": "2026-11-24T05:00:00.000Z", "visibility": "public", "content": "<p>Open</p>",
        "uri": "https://a.example/70", "account": {"id": specimen("mastodon").external_id, "acct": "cafe"}, **more,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "size"),
    [
        ({"followers_count": 12}, 12),
        ({"followers_count": 0}, 0),
        ({"followers_count": -1}, None),
        ({"followers_count": None}, None),
        ({}, None),
        ({"followers_count": 0, "pleroma": {"hide_followers_count": True}}, None),
        ({"followers_count": 0, "pleroma": {"hide_followers_count": False}}, 0),
        ({"followers_count": 12, "pleroma": {"hide_followers_count": True}}, 12),
        ({"followers_count": 0, "pleroma": {}}, 0),
    ],
)
async def test_a_size_may_be_hidden_in_several_ways(fields: Json, size: int | None) -> None:
    """As -1 (glitch-soc), as 0 with a flag (Pleroma), or omitted; an account sees its own."""
    made, c = adapter_with_response(Mastodon, account(**fields))
    assert (await made.community(c)).size == size


async def test_a_server_need_not_count_everything() -> None:
    """Replies are counted since Mastodon 2.5; counters could be below zero until 4.0."""
    made, c = adapter_with_response(Mastodon, [status(favourites_count=2, reblogs_count=-1)])
    (result,) = await made.metrics(c, ("70",))
    assert result.counters == {Metric.REACTIONS: 2}
    for metric in (Metric.COMMENTS, Metric.SHARES, Metric.QUOTES):
        assert result.missing[metric] is MetricStatus.UNSUPPORTED


async def test_a_picture_may_come_without_a_text() -> None:
    made, c = adapter_with_response(Mastodon, [status(content=None)])
    (post,) = (await made.posts(c, None)).items
    assert post.text == ""


async def test_ids_may_be_numbers() -> None:
    made, c = adapter_with_response(Mastodon, [status(id=70, in_reply_to_id=None)])
    assert [one.external_id for one in await made.metrics(c, ("70",))] == ["70"]
    for wrong in (7.5, True, [7]):
        made, c = adapter_with_response(Mastodon, [status(id=wrong)])
        with pytest.raises(Malformed):
            await made.metrics(c, ("70",))


# ── Meta's hooks ──────────────────────────────────────────────────────────────────────────────────


def test_a_hook_may_write_ids_as_numbers() -> None:
    said = {"mid": "m_1", "text": "Until when?"}
    messaging = {"sender": {"id": 5}, "recipient": {"id": 77}, "timestamp": 1_795_413_600_000, "message": said}
    body = {"object": "page", "entry": [{"id": 77, "time": 1_795_413_600_000, "messaging": [messaging]}]}
    (event,) = Facebook.receive(signed_request(body), SECRETS).events
    (message,) = event.messages
    assert (event.account_id, message.author.external_id, message.thread_id) == ("77", "5", "message-5")


# ── VK ────────────────────────────────────────────────────────────────────────────────────────────

MESSAGE: Json = {"id": 3, "date": 1_795_413_600, "from_id": 5, "peer_id": 5, "text": "Until when?"}


@pytest.mark.parametrize("payload", [MESSAGE, {"message": MESSAGE, "client_info": {"lang_id": 0}}])
def test_a_new_message_may_come_alone(payload: Json) -> None:
    """As it is sent to servers configured for an API version below 5.103."""
    (only,) = receive(event("message_new", payload)).events
    assert [one.external_id for one in only.messages] == ["message-3"]


def test_a_moment_of_zero_is_none() -> None:
    (only,) = receive(event("message_edit", {**MESSAGE, "update_time": 0})).events
    assert [one.edited_at for one in only.messages] == [None]


def test_a_deleted_comment_may_have_lost_its_author() -> None:
    raw = {"id": 8, "date": 1_795_413_600, "deleted": True, "parents_stack": [], "thread": {"count": 1, "items": []}}
    (comment,) = parse_bytes(
        vk.COMMENTS, json_response({"response": {"count": 3, "items": [raw]}}).content
    ).response.items
    assert (comment.deleted, comment.from_id, comment.text, comment.answers) == (True, 0, "", ())


# ── Telegram ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("content", "is_post"),
    [
        ({"giveaway": {"chats": [], "winner_count": 3}}, True),
        ({"giveaway_winners": {"winner_count": 3}}, True),
        ({"invoice": {"title": "Coffee"}}, True),
        ({"giveaway_created": {}}, False),
        ({"giveaway_completed": {"winner_count": 3}}, False),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_service_messages_are_no_posts(content: Json, is_post: bool) -> None:
    post = {"message_id": 2, "date": 1_795_413_600, "chat": {"id": -1001, "type": "channel"}, **content}
    call = HookRequest(json_response({"update_id": 1, "channel_post": post}).content, {SECRET_HEADER: "s"}, {})
    posts = [one for event in Telegram.receive(call, {"secret": "s"}).events for one in event.posts]
    assert [one.external_id for one in posts] == (["2"] if is_post else [])


# ── Odnoklassniki ─────────────────────────────────────────────────────────────────────────────────


async def test_a_group_may_write_with_a_bare_id() -> None:
    """The author's kind is a field of its own, and the id has no prefix for it."""
    said = {
        "id": "MTpA=",
        "date": "2026-11-24 12:53:02",
        "text": "Until six",
        "like_count": 1,
        "type": "ACTIVE_MESSAGE",
    }
    ours = {"author_id": specimen("odnoklassniki").external_id, "author_type": "GROUP", "author_name": "Coffee"}
    made, c = adapter_with_response(
        Odnoklassniki, {"comments": [{**said, **ours}, {**said, "author_id": "5"}], "has_more": False}
    )
    first, second = (await made.comments(c, "1", None)).items
    assert (first.author.is_community, second.author.is_community) == (True, False)
    assert first.sent_at.isoformat() == "2026-11-24T09:53:02+00:00"


# ── unstorable values ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
async def test_a_moment_outside_the_calendar_is_malformed(moment: str) -> None:
    made, c = adapter_with_response(Mastodon, [status(created_at=moment)])
    with pytest.raises(Malformed, match="created_at"):
        await made.posts(c, None)


@pytest.mark.parametrize(
    ("topic", "place"), [({"id": "1\x00"}, "id"), ({"created_ms": "soon"}, "created_ms")], ids=["a NUL", "no moment"]
)
def test_a_topic_that_cannot_be_stored_is_malformed(topic: Json, place: str) -> None:
    whole = {"id": "1", "created_ms": 1_795_413_600_000, **topic}
    with pytest.raises(Malformed, match=place):
        parse_bytes(ok.TOPICS, json_response({"media_topics": [whole]}).content)


def test_a_topic_with_a_date_out_of_bounds_is_kept_without_it() -> None:
    """If it were left out, it would be taken for deleted."""
    (topic,) = parse_bytes(
        ok.TOPICS, json_response({"media_topics": [{"id": "1", "created_ms": 2**60}]}).content
    ).media_topics
    assert topic.created_ms is None


def test_a_moscow_date_outside_the_calendar_is_malformed() -> None:
    raw = {"id": "1", "date": "0001-01-01 00:00:00"}
    with pytest.raises(Malformed, match="date"):
        parse_bytes(ok.COMMENTS, json_response({"comments": [raw]}).content)
