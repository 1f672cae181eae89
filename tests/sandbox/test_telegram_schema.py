"""Every response and update of an active channel is valid by Telegram's description of the Bot API."""

import copy
import json
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from sandbox.telegram import wire_models
from sandbox.telegram.api import METHODS
from sandbox.telegram.updates import KINDS
from tests.platforms.specimens import PIXEL
from tests.platforms.telegram.bot_api import api, fields, problems, returns
from tests.sandbox.conftest import SandboxClient

NAMES = {name.lower(): name for name in (
    "getMe", "getChat", "getChatMemberCount", "getChatMember", "getUpdates", "setWebhook", "deleteWebhook",
    "getWebhookInfo", "sendMessage", "sendPhoto", "sendMediaGroup",
)}  # fmt: skip


@pytest.fixture(scope="session")
def platforms() -> tuple[str, ...]:
    return ("telegram",)


async def ask(client: SandboxClient, method: str, files: Any = None, **sent: Any) -> Any:
    """A method's response; the parameters are Telegram's."""
    assert sent.keys() | (files or {}).keys() <= fields(method).keys() | {"a", "b"}
    token = client.token("coffee_daily", "community")
    url = f"/bot{token}/{method}"
    answer = await (client.http.post(url, data=sent, files=files) if files else client.http.post(url, json=sent))
    client.manual_clock.at += 2
    return answer.json()


async def calls(client: SandboxClient) -> AsyncIterator[tuple[str, Any]]:
    """Calls of every method, with the type of its response, in all variants."""
    c = client.world.communities["coffee_daily"]
    comment = await client.act("coffee_daily", "comment", text="Until when?")
    message = await client.act("coffee_daily", "message", text="Hello?")
    person, channel, group = int(message["person"]), c.profile.external_id, wire_models.group_id(c)
    picture = ("1.png", PIXEL, "image/png")
    yield "getMe", await ask(client, "getMe")
    for chat in (channel, group, person):
        yield "getChat", await ask(client, "getChat", chat_id=chat)
        yield "getChatMemberCount", await ask(client, "getChatMemberCount", chat_id=chat)
    for chat in (channel, group):
        for user in (wire_models.bot_id(c.profile), person, c.followers.page(0, 1)[0]):
            yield "getChatMember", await ask(client, "getChatMember", chat_id=chat, user_id=user)
    yield "getUpdates", await ask(client, "getUpdates", allowed_updates=list(KINDS))
    under = {"message_id": 5_000_000 + 16 * int(comment["id"])}
    yield "sendMessage", await ask(client, "sendMessage", chat_id=channel, text="Open")
    yield "sendMessage", await ask(client, "sendMessage", chat_id=group, text="Until six", reply_parameters=under)
    yield "sendMessage", await ask(client, "sendMessage", chat_id=person, text="Yes")
    yield "sendPhoto", await ask(client, "sendPhoto", {"photo": picture}, chat_id=channel, caption="Here")
    yield "sendPhoto", await ask(client, "sendPhoto", {"photo": picture}, chat_id=person)
    album = json.dumps([{"type": "photo", "media": f"attach://{name}", "caption": name} for name in "ab"])
    yield (
        "sendMediaGroup",
        await ask(client, "sendMediaGroup", {"a": picture, "b": picture}, chat_id=channel, media=album),
    )
    client.manual_clock.at += 1800
    await client.act("coffee_daily", "comment", text="Thanks", post=comment["post"], parent=comment["id"])
    yield "getUpdates", await ask(client, "getUpdates")
    yield "getWebhookInfo", await ask(client, "getWebhookInfo")
    yield "setWebhook", await ask(client, "setWebhook", url="https://instep.example/hook", secret_token="sesame")
    yield "getWebhookInfo", await ask(client, "getWebhookInfo")
    yield "deleteWebhook", await ask(client, "deleteWebhook")


async def test_every_method_answers_as_telegram_says(client: SandboxClient) -> None:
    count, kinds = Counter[str](), Counter[str]()
    async for method, answer in calls(client):
        assert answer.keys() == {"ok", "result"}, (method, answer)
        assert problems(returns(method), answer["result"]) == [], method
        count[method] += 1
        if method == "getUpdates":
            kinds.update(name for update in answer["result"] for name in update if name != "update_id")
    assert set(count) == set(NAMES.values())
    assert set(NAMES) == set(METHODS)
    assert set(kinds) == {"message", "channel_post", "message_reaction_count", "chat_member"}


async def test_an_album_and_history_are_told_as_telegram_says(client: SandboxClient) -> None:
    """What the channel posted before the world's birth, and what its administrator posts by hand."""
    c = client.world.communities["coffee_daily"]
    media = [client.world.emit("media", c, "control", kind="image/png", count=67)["id"] for _ in range(3)]
    client.world.emit("post", c, "control", text="Spring", media=media)
    answer = await ask(client, "getUpdates")
    assert problems(returns("getUpdates"), answer["result"]) == []
    assert any("media_group_id" in update.get("channel_post", {}) for update in answer["result"])
    old = [one for one in c.wall.values() if one.kind == "comment" and one.person is None]
    assert old
    for entry in c.wall.values():
        if entry.kind == "comment" and not entry.deleted:
            assert problems(["Message"], wire_models.comment(c, entry, client.world.born)) == []
    for entry in c.mail.values():
        assert problems(["Message"], wire_models.direct(c, entry)) == []


async def test_what_people_attach_is_told_as_telegram_says(client: SandboxClient) -> None:
    for kind in ("picture", "video", "file"):
        for act in ("comment", "message"):
            await client.act("coffee_daily", act, attachments=[{"kind": kind, "name": "menu.pdf"}])
    answer = await ask(client, "getUpdates")
    assert problems(returns("getUpdates"), answer["result"]) == []
    sent = [update["message"] for update in answer["result"] if "message" in update]
    for field in ("photo", "video", "document"):
        assert [("text" in one, "caption" in one) for one in sent if field in one] == [(False, False)] * 2


async def test_refusals_answer_as_telegram_says(client: SandboxClient) -> None:
    limits = client.sandbox.network.limits
    limits["telegram_bot_rps"] = 1
    token = client.token("coffee_daily", "community")
    answers: list[httpx.Response] = [
        await client.http.post(f"/bot{token}/{method}", json={"chat_id": "@nobody"})
        for method in ("getChat", "getMe", "x")
    ]
    answers.append(await client.http.post("/bot1:x/getMe"))
    assert [one.status_code for one in answers] == [400, 429, 404, 404]
    for one in answers:
        said = one.json()
        assert (said["ok"], said["error_code"]) == (False, one.status_code)
        assert isinstance(said["description"], str)
        assert problems(["ResponseParameters"], said.get("parameters", {})) == []
    assert answers[1].json()["parameters"]["retry_after"] >= 1


def test_the_check_finds_what_is_wrong() -> None:
    good: Any = {"update_id": 1, "message": {
        "message_id": 2, "date": 3, "chat": {"id": 4, "type": "private"},
        "forward_origin": {"type": "channel", "date": 1, "chat": {"id": 4, "type": "channel"}, "message_id": 9},
    }}  # fmt: skip
    assert problems(["Update"], good) == []
    wrong = [
        ("update_id",), ("message", "message_id"), ("message", "chat", "type"), ("message", "forward_origin", "type"),
        ("message", "forward_origin", "message_id"),
    ]  # fmt: skip
    for place in wrong:
        for change in ("missing", "list"):
            broken = copy.deepcopy(good)
            inner = broken
            for name in place[:-1]:
                inner = inner[name]
            if change == "missing":
                del inner[place[-1]]
            else:
                inner[place[-1]] = []
            assert problems(["Update"], broken) != [], (place, change)
    assert problems(["Update"], {**good, "views": 5}) == [".views: not in Update"]
    assert problems(["Integer"], True) != []
    assert len(api()["types"]) > 300
