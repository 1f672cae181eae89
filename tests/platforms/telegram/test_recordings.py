"""No responses of Telegram are recorded; they are generated from its description of every type."""

import copy
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter

from app.platforms.capabilities import HookRequest, OutgoingPost, Picture, ReplyTo
from app.platforms.contract import (
    Credentials,
    Malformed,
    MessageKind,
    OutcomeUnknown,
    PlatformError,
    RemotePerson,
    Token,
)
from app.platforms.telegram import wire_models
from app.platforms.telegram.adapter import SECRET_HEADER, Telegram
from tests.platforms.specimens import PIXEL
from tests.platforms.telegram.bot_api import Json, api, constant, fields, problems, returns, values

TOKEN = "7000000077:AAbot-secret_1234567890123456789012"
C = Credentials(
    "https://t.me/coffee_daily", "https://api.telegram.org", "-1001", {Token.COMMUNITY: TOKEN},
    aliases=frozenset({"-1002", "7000000077"}),
)  # fmt: skip

TYPES: dict[type[BaseModel], str] = {
    wire_models.Chat: "Chat",
    wire_models.FullChat: "ChatFullInfo",
    wire_models.User: "User",
    wire_models.Message: "Message",
    wire_models.ReactionCount: "ReactionCount",
    wire_models.Reactions: "MessageReactionCountUpdated",
    wire_models.Membership: "ChatMemberUpdated",
    wire_models.Update: "Update",
    wire_models.Webhook: "WebhookInfo",
    wire_models.Parameters: "ResponseParameters",
}
"""The wire models, and the types that they parse."""
COMPUTED = {"has_content", "attachments"}
"""Fields that are computed from others."""


def aliases(model: type[BaseModel]) -> dict[str, bool]:
    """The fields of a wire model by Telegram's names, and whether each is required."""
    return {
        str(field.validation_alias or name): field.is_required()
        for name, field in model.model_fields.items()
        if name not in COMPUTED
    }


OPTIONAL = frozenset(f"{kind}.{name}" for model, kind in TYPES.items() for name in aliases(model)) | {
    f"Message.{name}" for name in ("photo", "new_chat_members")
}

PARSERS: dict[str, TypeAdapter[Any]] = {
    "getChat": wire_models.CHAT,
    "getChatMemberCount": wire_models.COUNT,
    "getMe": wire_models.ME,
    "getChatMember": wire_models.MEMBER,
    "getUpdates": wire_models.STREAM,
    "getWebhookInfo": wire_models.WEBHOOK,
    "setWebhook": wire_models.DONE,
    "sendMessage": wire_models.SENT,
    "sendPhoto": wire_models.SENT,
    "sendMediaGroup": wire_models.SENT_ALBUM,
}


def answers(method: str) -> st.SearchStrategy[Json]:
    if method == "setWebhook":
        return st.just(True)
    results = st.one_of([values(kind, OPTIONAL) for kind in returns(method)])
    return results.filter(bool) if method == "sendMediaGroup" else results


def answering(result: Json) -> Telegram:
    answer = {"ok": True, "result": result}
    return Telegram(httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(200, json=answer))))


@pytest.mark.parametrize("model", TYPES, ids=lambda model: model.__name__)
def test_wire_models_match_the_documented_types(model: type[BaseModel]) -> None:
    """Every field of a wire model is documented, and none is required that Telegram may omit."""
    documented = fields(TYPES[model])
    for name, required in aliases(model).items():
        assert name in documented
        assert documented[name]["required"] or not required, f"{name} may be absent"


def test_members_and_origins_match_all_their_subtypes() -> None:
    for model, kind in ((wire_models.Member, "ChatMember"), (wire_models.Origin, "MessageOrigin")):
        subtypes = api()["types"][kind]["subtypes"]
        every = [fields(one) for one in subtypes]
        for name, required in aliases(model).items():
            assert any(name in one for one in every)
            assert not required or all(one.get(name, {}).get("required") for one in every)
    assert {constant(fields(one)["status"]) for one in api()["types"]["ChatMember"]["subtypes"]} >= {
        "administrator", "creator", "member", "left", "kicked",
    }  # fmt: skip


def test_names_are_documented() -> None:
    assert fields("Message").keys() >= wire_models.CONTENT
    assert fields("Update").keys() >= set(wire_models.UPDATES)
    assert "message_reaction_count" in wire_models.UPDATES, "Telegram sends it only on request"
    assert api()["version"].endswith(Telegram.spec.api_version)
    every = {field["name"] for kind in api()["types"].values() for field in kind.get("fields", [])}
    assert not {"views", "view_count", "views_count"} & every, "if there were one, the adapter could read views"


@pytest.mark.parametrize("method", PARSERS)
def test_every_response_parses(method: str) -> None:
    count = Counter[str]()

    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(answers(method))
    def parses(result: Json) -> None:
        if method != "setWebhook":
            assert problems(returns(method), result) == []
        PARSERS[method].validate_json(json.dumps({"ok": True, "result": result}))
        count[method] += 1

    parses()
    assert count[method] >= (1 if method == "setWebhook" else 50)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(st.deferred(lambda: values("Update", OPTIONAL)))
async def test_every_update_is_parsed(update: Json) -> None:
    """From the stream and the webhook alike: at most one event, with the id of the update and at most one item."""
    page = await answering([update]).updates(C, None)
    assert len(page.items) <= 1
    assert all(event.event_id == str(update["update_id"]) for event in page.items)
    call = HookRequest(json.dumps(update).encode(), {SECRET_HEADER: "s"}, {})
    received = Telegram.receive(call, {"secret": "s"})
    assert len(received.events) <= 1
    for event in (*page.items, *received.events):
        assert len(event.posts) + len(event.messages) + len(event.metrics) <= 1
        assert all(message.external_id for message in event.messages)


COMPLETE: Json = {"id": 5, "type": "channel", "first_name": "B", "url": "", "pending_update_count": 0}
"""The required fields of a chat, a bot and a webhook together."""
CALLS: dict[type[BaseModel], Callable[[Telegram], Awaitable[object]]] = {
    wire_models.FullChat: lambda adapter: adapter.community(C),
    wire_models.User: lambda adapter: adapter.inspect(C),
    wire_models.Webhook: lambda adapter: adapter.subscription(C, "https://instep.example/h"),
}


@pytest.mark.parametrize("model", CALLS, ids=lambda model: model.__name__)
async def test_a_required_field_that_is_missing_or_wrong_is_malformed(model: type[BaseModel]) -> None:
    model.model_validate_json(json.dumps(COMPLETE))
    for name in (name for name, required in aliases(model).items() if required):
        for broken in ({key: one for key, one in COMPLETE.items() if key != name}, {**COMPLETE, name: {"no": "such"}}):
            with pytest.raises(Malformed):
                await CALLS[model](answering(broken))


UPDATE: Json = {
    "update_id": 1,
    "message": {
        "message_id": 2, "date": 1_795_413_600, "text": "hello",
        "chat": {"id": -1001234567890, "type": "supergroup"}, "from": {"id": 5, "is_bot": False, "first_name": "Ann"},
    },
}  # fmt: skip


@pytest.mark.parametrize(
    "place",
    [("update_id",), ("message", "message_id"), ("message", "date"), ("message", "chat"), ("message", "chat", "id"),
     ("message", "chat", "type"), ("message", "from", "id"), ("message", "from", "first_name")],
    ids=".".join,
)  # fmt: skip
async def test_a_malformed_update_is_stored(place: tuple[str, ...]) -> None:
    """Except an update of the stream without an id: the stream could not continue after it."""
    assert problems(["Update"], UPDATE) == []
    wrong: tuple[Json, ...] = (None, [], -(2**70))
    for value in wrong:
        broken = copy.deepcopy(UPDATE)
        inner = broken
        for name in place[:-1]:
            inner = inner[name]
        if value is None:
            del inner[place[-1]]
        else:
            inner[place[-1]] = value
        if place == ("update_id",):
            with pytest.raises(Malformed):
                await answering([broken]).updates(C, None)
        else:
            [event] = (await answering([broken]).updates(C, None)).items
            assert event.unparsed is not None
            assert json.loads(event.unparsed.payload) == broken
        body = json.dumps(broken).encode()
        [event] = Telegram.receive(HookRequest(body, {SECRET_HEADER: "s"}, {}), {"secret": "s"}).events
        assert event.unparsed is not None
        assert event.unparsed.payload == body.decode()


async def test_parameters_are_documented() -> None:
    """For every method that the adapter calls, the required parameters are sent and none is undocumented."""
    sent: dict[str, Json] = {}

    def record(request: httpx.Request) -> httpx.Response:
        method = request.url.path.rpartition("/")[2]
        body = request.content
        if request.headers["content-type"].startswith("multipart/"):
            names = [
                part.split(b'name="')[1].split(b'"')[0].decode() for part in body.split(b"\r\n--") if b"name=" in part
            ]
            sent[method] = {name for name in names if not name.startswith("picture")}
        else:
            sent[method] = json.loads(body).keys()
            types = {name: field["types"] for name, field in fields(method).items()}
            for name, value in json.loads(body).items():
                assert problems(types[name], value, name) == []
        return httpx.Response(500)

    adapter = Telegram(httpx.AsyncClient(transport=httpx.MockTransport(record)))
    picture = Picture(PIXEL, "image/png")
    ann = RemotePerson("5", "Ann")
    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: adapter.community(C),
        lambda: adapter.updates(C, '{"next":5}'),
        lambda: adapter.inspect(C),
        lambda: adapter.subscribe(C, "https://instep.example/h", {"secret": "s"}),
        lambda: adapter.subscription(C, "https://instep.example/h"),
        lambda: adapter.reply(C, ReplyTo("5_12", "5", MessageKind.MESSAGE, ann, None), "x", "k"),
        lambda: adapter.publish(C, OutgoingPost("x"), "k"),
        lambda: adapter.publish(C, OutgoingPost("x", (picture,)), "k"),
        lambda: adapter.publish(C, OutgoingPost("x", (picture, picture)), "k"),
    ]
    for call in calls:
        with pytest.raises(PlatformError):
            await call()
    assert sent.keys() == PARSERS.keys() - {"getChatMemberCount", "getChatMember"}
    for method, names in sent.items():
        documented = fields(method)
        assert set(names) <= documented.keys(), method
        assert {name for name, field in documented.items() if field["required"]} <= set(names), method


async def test_a_write_with_a_malformed_response_has_an_unknown_outcome() -> None:
    unreadable: tuple[Json, ...] = (None, {}, [], {"message_id": "x"})
    for result in unreadable:
        with pytest.raises(OutcomeUnknown):
            await answering(result).publish(C, OutgoingPost("x"), "k")
        with pytest.raises(OutcomeUnknown):
            await answering(result).publish(C, OutgoingPost("x", (Picture(PIXEL, "image/png"),) * 2), "k")
