"""VK responses that differ from its schema or its latest version and must still be parsed."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from pydantic import TypeAdapter, ValidationError

from app.platforms.contract import MessageKind, Metric, MetricStatus, Throttled, Token, Transient
from app.platforms.vk import wire_models as vk
from app.platforms.vk.adapter import Vk
from tests.platforms.data import data
from tests.platforms.vk.events import event, only_event, receive
from tests.platforms.vk.server import GROUP, START, answering, comment, credentials, message, post

Json = Any


# ── optional fields of the schema ──────────────────────────────────────────────────────────────

PARSERS: Final[Mapping[str, TypeAdapter[Any]]] = {
    "groups_getById_object_response": vk.GROUPS,
    "wall_get_response": vk.WALL,
    "wall_getById_response": vk.POSTS_BY_ID,
    "wall_getComments_extended_response": vk.COMMENTS,
    "messages_getConversations_response": vk.CONVERSATIONS,
    "messages_getHistory_extended_response": vk.HISTORY,
    "messages_send_deprecated_response": vk.SENT_MESSAGE,
    "wall_createComment_response": vk.NEW_COMMENT,
    "wall_post_response": vk.NEW_POST,
    "photos_getWallUploadServer_response": vk.UPLOAD_SERVER,
    "photos_saveWallPhoto_response": vk.SAVED,
    "account_getAppPermissions_response": vk.MASK,
    "groups_getTokenPermissions_response": vk.PERMISSIONS,
    "groups_getCallbackConfirmationCode_response": vk.CONFIRMATION,
    "groups_getCallbackServers_response": vk.SERVERS,
    "groups_getCallbackSettings_response": vk.SETTINGS,
    "groups_addCallbackServer_response": vk.NEW_SERVER,
    "stats_getPostReach_response": vk.REACH,
}
REQUIRED: Final = {
    *("id", "name", "count", "items", "date", "owner_id", "peer", "type", "conversation", "last_message_id"),
    *("from_id", "peer_id", "response", "groups", "comment_id", "post_id", "upload_url", "permissions", "code"),
    *("url", "status", "events", "server_id"),
}
"""Fields that the adapter requires; in some responses they may be missing all the same."""
MAX_DEPTH: Final = 8
RECURSIVE: Final = {"attachments", "copy_history", "reply_message", "fwd_messages"}


@cache
def definitions(path: Path) -> Json:
    return json.loads(path.read_text())


def example(node: Json, path: Path, depth: int = 0) -> Json:
    """A response with every field of a schema, except fields that contain their own type."""
    while "$ref" in node:
        file, _, definition = node["$ref"].partition("#/definitions/")
        path = (path.parent / file).resolve() if file else path
        node = definitions(path)["definitions"][definition]
    if "allOf" in node:
        parts = [example(part, path, depth) for part in node["allOf"]]
        return {name: value for part in parts for name, value in part.items()}
    if "oneOf" in node:
        return example(node["oneOf"][0], path, depth)
    if "enum" in node:
        return node["enum"][0]
    kind = node.get("type")
    if "properties" in node or kind == "object":
        inside = {} if depth > MAX_DEPTH else node.get("properties", {})
        return {name: example(one, path, depth + 1) for name, one in inside.items() if name not in RECURSIVE}
    if kind == "array":
        return [example(node["items"], path, depth + 1)] if depth < MAX_DEPTH else []
    kind = kind[0] if isinstance(kind, list) else kind
    return {"integer": max(1, node.get("minimum", 1)), "number": 0.5, "boolean": True, "string": "x"}[kind]


def with_one_field_removed(answer: Json, path: str = "") -> Iterator[tuple[str, str, Json]]:
    """The response with each field removed in turn: the path of the field, its name, and the remaining response."""
    if isinstance(answer, dict):
        for name, value in answer.items():
            yield f"{path}.{name}", name, {other: kept for other, kept in answer.items() if other != name}
            yield from (
                (removed_path, removed, {**answer, name: rest})
                for removed_path, removed, rest in with_one_field_removed(value, f"{path}.{name}")
            )
    elif isinstance(answer, list) and answer:
        yield from (
            (removed_path, removed, [rest, *answer[1:]])
            for removed_path, removed, rest in with_one_field_removed(answer[0], path)
        )


def parses(name: str, answer: Json) -> bool:
    try:
        PARSERS[name].validate_json(json.dumps(answer))
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize("name", PARSERS)
def test_the_adapter_does_not_need_optional_fields(name: str) -> None:
    path: Path = data("vk/schema") / name.partition("_")[0] / "responses.json"
    full = example(definitions(path)["definitions"][name], path)
    if name == "stats_getPostReach_response":
        full = {"response": [full["response"]]}
    assert parses(name, full)
    reduced = [
        (field_path, rest) for field_path, removed, rest in with_one_field_removed(full) if removed not in REQUIRED
    ]
    assert [field_path for field_path, rest in reduced if not parses(name, rest)] == []


# ── fields that are null, hidden or not counted ───────────────────────────────────────────────────────────


async def test_a_counter_that_is_hidden_is_unknown_and_the_rest_is_read() -> None:
    hidden = {"likes": {"can_like": 1}, "reposts": None, "comments": {"can_post": 1, "count": None}}
    answers = iter([{"response": {"items": [post(2, views={"count": -1}, text=None, **hidden)]}}, {"response": [[]]}])
    http = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(200, json=next(answers))))
    [metrics] = await Vk(http).metrics(credentials(), ("2",))
    assert metrics.counters == {}
    assert set(metrics.missing) == set(Metric)


async def test_a_size_that_is_hidden_is_unknown() -> None:
    for size in ({}, {"members_count": None}, {"members_count": -1}):
        group = {"id": GROUP, "name": "Coffee", "screen_name": None, **size}
        snapshot = await answering({"response": {"groups": [group]}}).community(credentials())
        assert (snapshot.size, snapshot.url) == (None, f"https://vk.com/club{GROUP}")


async def test_comments_without_authors_are_read() -> None:
    people = {"profiles": [{"id": 5, "first_name": "DELETED", "last_name": None}], "groups": None}
    freeze = comment(10, 5, parents_stack=None, thread={"count": 1, "items": None})
    gone = {"id": 11, "date": START, "deleted": True, "thread": {"count": 0}}
    answer = {"response": {"count": 2, "items": [freeze, gone], **people}}
    page = await answering(answer).comments(credentials(), "1", None)
    assert [(one.author.name, one.deleted) for one in page.items] == [("DELETED", False), ("", True)]
    assert page.more, "the reply that was not embedded is still to be read"


async def test_a_row_of_reach_without_a_post_does_not_affect_the_others() -> None:
    rows = [{"reach_total": 3}, {"post_id": 3, "reach_total": -1}, {"post_id": 2, "reach_total": 7}]
    answers = iter([{"response": {"items": [post(2), post(3)]}}, {"response": [rows]}])
    http = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(200, json=next(answers))))
    two, three = await Vk(http).metrics(credentials(), ("2", "3"))
    assert two.counters[Metric.REACH] == 7
    assert three.missing[Metric.REACH] is MetricStatus.PENDING


@pytest.mark.parametrize(("seconds", "life"), [(3600, timedelta(hours=1)), (0, None)])
async def test_a_token_that_expires_in_0_seconds_does_not_expire(seconds: int, life: timedelta | None) -> None:
    tokens = {"access_token": "a", "refresh_token": "r", "expires_in": seconds, "token_type": "Bearer", "state": "s"}
    c = credentials({Token.REFRESH: "device:token"})
    c = type(c)(c.address, c.base_url, c.external_id, c.tokens, {"client_id": "1"})
    assert (await answering(tokens).refresh(c))[Token.USER].lifetime == life


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("[id5|Ann], until six", "Ann, until six"),
        ("[club77|Coffee] and [public78|Tea]: [https://vk.com/menu|the menu] ", "Coffee and Tea: the menu"),
        ("[id5:bp-77_1|Ann], thanks", "Ann, thanks"),
        ("[id|x] [5|x] [id5] a|b [id5|] [note|this] []", "[id|x] [5|x] [id5] a|b [id5|] [note|this] []"),
    ],
)
async def test_mentions_are_read_as_names(text: str, parsed: str) -> None:
    posts = answering({"response": {"count": 1, "items": [post(2, text=text)]}})
    comments = answering({"response": {"count": 1, "items": [comment(10, 5, text=text)]}})
    texts = [one.text for one in (await posts.posts(credentials(), None)).items]
    texts += [one.text for one in (await comments.comments(credentials(), "1", None)).items]
    texts += [one.text for one in only_event(event("message_new", {"message": message(1, 5, text=text)})).messages]
    assert texts == [parsed] * 3


def test_an_error_code_counts_whatever_the_status() -> None:
    error = Vk(httpx.AsyncClient()).classify(httpx.Response(401, json={"error": {"error_code": 6}}))
    assert isinstance(error, Throttled)
    assert isinstance(Vk(httpx.AsyncClient()).classify(httpx.Response(502, json={})), Transient)


async def test_the_author_of_a_listed_message_decides_whose_it_is() -> None:
    messages = [
        message(1, 5, out=True, from_id=5),
        message(2, 5, out=False, from_id=-GROUP),
        message(3, 5, out=True, from_id=9),
        message(4, 5, out=False, from_id=5),
    ]
    page = await answering({"response": {"count": 4, "items": messages}}).conversations(
        credentials(), '{"pending_peers":[5]}'
    )
    assert [(one.author.external_id, one.author.is_community) for one in page.items] == [
        ("5", False),
        (f"-{GROUP}", True),
        (f"-{GROUP}", True),
        ("5", False),
    ], "3: an administrator wrote it in the community's name"


def test_an_outgoing_message_is_of_the_community() -> None:
    [sent] = only_event(event("message_reply", message(1, 5, out=True, from_id=5))).messages
    assert (sent.author.external_id, sent.author.is_community) == (f"-{GROUP}", True)


# ── older versions ────────────────────────────────────────────────────────────────────────────────


async def test_responses_that_are_bare_lists() -> None:
    """In older versions `groups.getById` and `wall.getById` return a bare list."""
    alone = answering({"response": [{"id": GROUP, "name": "Coffee", "screen_name": "coffee", "members_count": 3}]})
    assert (await alone.community(credentials())).size == 3
    answers = iter([{"response": [post(2)]}, {"response": [[]]}])
    http = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(200, json=next(answers))))
    two, three = await Vk(http).metrics(credentials(), ("2", "3"))
    assert two.counters[Metric.VIEWS] == 1000
    assert three.gone


OLD: Final = {"id": 43, "date": START, "out": 0, "user_id": 5, "read_state": 0, "title": "", "body": "Open?"}
"""A message in the format before version 5.80."""


@pytest.mark.parametrize("kind", ["message_new", "message_edit"])
def test_a_message_of_an_old_version(kind: str) -> None:
    [received] = only_event(event(kind, OLD, v="5.50")).messages
    assert (received.external_id, received.thread_id, received.text) == ("message-43", "message-5", "Open?")
    assert (received.kind, received.sent_at) == (MessageKind.MESSAGE, datetime.fromtimestamp(START, UTC))
    assert (received.author.external_id, received.author.is_community) == ("5", False)


def test_an_outgoing_message_of_an_old_version() -> None:
    [received] = only_event(event("message_reply", OLD | {"out": 1}, v="5.50")).messages
    assert (received.thread_id, received.author.external_id, received.author.is_community) == (
        "message-5",
        f"-{GROUP}",
        True,
    )


def test_a_message_in_a_group_chat_of_an_old_version_is_ignored() -> None:
    assert only_event(event("message_new", OLD | {"chat_id": 3}, v="5.50")).messages == ()


def test_an_event_without_an_id_gets_one_from_its_content() -> None:
    """Older versions send no id. A repeated event gets the same id, another event does not."""
    first, again, other = (
        only_event({name: value for name, value in event("message_new", message(key, 5)).items() if name != "event_id"})
        for key in (1, 1, 2)
    )
    assert first.event_id is not None
    assert first.event_id == again.event_id != other.event_id
    assert receive(event("group_join", {"user_id": 1}, event_id="")).events[0].event_id
