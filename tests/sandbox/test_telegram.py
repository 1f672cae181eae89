"""Telegram's behaviour that its description of types does not describe."""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.server import build
from sandbox.telegram import wire_models
from tests.platforms.specimens import PIXEL
from tests.sandbox.conftest import ManualClock, SandboxClient, running_server

KEY = "coffee_daily"
CHANNEL, GROUP = -1001000000007, -1002000000007
PICTURE = ("1.png", PIXEL, "image/png")


@pytest.fixture(scope="session")
def platforms() -> tuple[str, ...]:
    return ("telegram",)


async def call(client: SandboxClient, method: str, *, token: str | None = None, files: Any = None, **sent: Any) -> Any:
    url = f"/bot{token or client.token(KEY, 'community')}/{method}"
    answer = await (client.http.post(url, data=sent, files=files) if files else client.http.post(url, json=sent))
    return answer.json()


async def good(client: SandboxClient, method: str, **sent: Any) -> Any:
    answer = await call(client, method, **sent)
    assert answer["ok"], answer
    return answer["result"]


async def refused(client: SandboxClient, method: str, **sent: Any) -> tuple[int, str]:
    answer = await call(client, method, **sent)
    assert not answer["ok"], answer
    return answer["error_code"], answer["description"].partition(": ")[2]


def kinds(updates: list[Any]) -> Counter[str]:
    return Counter(name for update in updates for name in update if name != "update_id")


def last(updates: list[Any]) -> int:
    return int(updates[-1]["update_id"])


# ── updates ───────────────────────────────────────────────────────────────────────────────────────


async def test_updates_stay_until_a_higher_offset_is_named(client: SandboxClient) -> None:
    for number in range(5):
        await client.act(KEY, "message", text=str(number))
    first = await good(client, "getUpdates")
    assert await good(client, "getUpdates") == first
    assert await good(client, "getUpdates", offset=last(first)) == first[-1:]
    assert await good(client, "getUpdates") == first[-1:], "all before the offset are gone"
    assert await good(client, "getUpdates", offset=last(first) + 1) == []
    ids = [update["update_id"] for update in first]
    assert ids == sorted(set(ids))


async def test_a_page_and_the_end_of_the_queue(client: SandboxClient) -> None:
    for number in range(5):
        await client.act(KEY, "message", text=str(number))
    every = await good(client, "getUpdates")
    assert await good(client, "getUpdates", limit=2) == every[:2]
    assert await good(client, "getUpdates", offset=-2) == every[-2:]
    assert await good(client, "getUpdates") == every[-2:]


async def test_updates_are_kept_for_a_day(client: SandboxClient) -> None:
    before = await good(client, "getUpdates")
    client.manual_clock.at += 24 * 3600 + 1
    after = await good(client, "getUpdates")
    assert after
    assert not {one["update_id"] for one in before} & {one["update_id"] for one in after}


async def test_reactions_come_to_those_who_ask_late_and_together(client: SandboxClient) -> None:
    before = await good(client, "getUpdates")
    post = (await client.act(KEY, "post", text="Come along"))["id"]
    client.manual_clock.at += 600
    page = await good(client, "getUpdates", offset=last(before) + 1)
    assert "message_reaction_count" not in kinds(page)
    allowed = ["message", "message_reaction_count"]
    await good(client, "getUpdates", offset=last(page) + 1, allowed_updates=allowed)
    for number in range(20):
        await client.act(KEY, "react", id=post, person=940_000 + number)
    assert "message_reaction_count" not in kinds(await good(client, "getUpdates"))
    client.manual_clock.at += 91
    await client.act(KEY, "post", text="Not asked for")
    page = await good(client, "getUpdates")
    counts = [one["message_reaction_count"] for one in page if "message_reaction_count" in one]
    [count] = [one for one in counts if one["message_id"] == int(post) * 16]
    total = sum(one["total_count"] for one in count["reactions"])
    assert 20 <= total <= len(client.world.communities[KEY].wall[int(post)].reactors), "as many as there were then"
    assert "channel_post" not in kinds(page)


async def test_a_post_comes_to_the_group_by_itself_and_comments_answer_that(client: SandboxClient) -> None:
    before = await good(client, "getUpdates")
    post = (await client.act(KEY, "post", text="Come along"))["id"]
    root_comment = await client.act(KEY, "comment", post=post, text="Until when?")
    await client.act(KEY, "comment", post=post, parent=root_comment["id"], text="Six")
    page = await good(client, "getUpdates", offset=last(before) + 1)
    messages = [one.get("channel_post") or one["message"] for one in page][:4]
    original, copy, comment, below = messages
    assert copy["is_automatic_forward"]
    assert copy["forward_origin"]["message_id"] == original["message_id"]
    assert (copy["chat"]["id"], copy["sender_chat"]["id"], copy["from"]["id"]) == (GROUP, CHANNEL, 777000)
    assert comment["reply_to_message"]["message_id"] == copy["message_id"]
    assert below["reply_to_message"]["message_id"] == comment["message_id"]
    assert "reply_to_message" not in below["reply_to_message"], "answers come without what they answer in turn"
    assert {one["message_thread_id"] for one in (comment, below)} == {copy["message_id"]}


async def test_a_bot_is_not_told_what_it_writes(client: SandboxClient) -> None:
    message = await client.act(KEY, "message", text="Hello?")
    comment = await client.act(KEY, "comment", text="Until when?")
    before = await good(client, "getUpdates")
    await good(client, "sendMessage", chat_id=CHANNEL, text="Open")
    await good(client, "sendMessage", chat_id=message["person"], text="Hello!")
    under = {"message_id": 5_000_000 + int(comment["id"]) * 16}
    await good(client, "sendMessage", chat_id=GROUP, text="Six", reply_parameters=under)
    page = await good(client, "getUpdates", offset=last(before) + 1)
    assert [one["message"]["is_automatic_forward"] for one in page] == [True], "the group is shown the post"


# ── webhooks ──────────────────────────────────────────────────────────────────────────────────────


class Hook:
    """A webhook that accepts updates, or not."""

    def __init__(self) -> None:
        self.status = 200
        self.got: list[tuple[str, Any]] = []
        self.came = asyncio.Event()
        self.app = Starlette(routes=[Route("/hook", self.take, methods=["POST"])])

    async def take(self, request: Request) -> Response:
        secret = request.headers.get("x-telegram-bot-api-secret-token", "")
        self.got.append((secret, json.loads(await request.body())))
        self.came.set()
        return Response(status_code=self.status)

    async def until(self, met: Callable[[], bool]) -> None:
        while not met():
            self.came.clear()
            await asyncio.wait_for(self.came.wait(), 20)


async def hooked(client: SandboxClient, run: Callable[[Hook, str], Awaitable[None]]) -> None:
    hook = Hook()
    client.sandbox.network.hooks.retry = 0.01
    async with running_server(hook.app) as url:
        await client.sandbox.network.hooks.start()
        try:
            await run(hook, f"{url}/hook")
        finally:
            await client.sandbox.network.hooks.stop()


async def test_a_webhook_gets_what_waits_then_all_that_comes(client: SandboxClient) -> None:
    async def run(hook: Hook, url: str) -> None:
        await good(client, "getUpdates", offset=-1)
        waiting = await good(client, "getUpdates")
        await good(client, "setWebhook", url=url, secret_token="sesame", allowed_updates=["message"])
        assert (await refused(client, "getUpdates"))[0] == 409
        await client.act(KEY, "message", text="Hello?")
        await client.act(KEY, "post", text="Not asked for")
        await hook.until(lambda: any(one["message"].get("text") == "Hello?" for _, one in hook.got))
        assert {secret for secret, _ in hook.got} == {"sesame"}
        assert hook.got[0][1] == waiting[0]
        assert all("channel_post" not in one for _, one in hook.got)
        info = await good(client, "getWebhookInfo")
        assert (info["url"], info["allowed_updates"]) == (url, ["message"])
        assert "last_error_date" not in info
        await client.act(KEY, "message", text="Anybody?")
        await hook.until(lambda: hook.got[-1][1]["message"].get("text") == "Anybody?")
        await good(client, "deleteWebhook")
        again = [one["message"]["text"] for one in await good(client, "getUpdates")]
        assert again in ([], ["Anybody?"]), "what was taken does not come again"

    await hooked(client, run)


async def test_what_a_webhook_does_not_take_comes_again_and_waits(client: SandboxClient) -> None:
    async def run(hook: Hook, url: str) -> None:
        hook.status = 500
        await good(client, "setWebhook", url=url, drop_pending_updates=True)
        await client.act(KEY, "message", text="Hello?")
        await hook.until(lambda: len(hook.got) >= 3)
        assert {one["update_id"] for _, one in hook.got} == {hook.got[0][1]["update_id"]}, "in order, and again"
        assert {secret for secret, _ in hook.got} == {""}
        info = await good(client, "getWebhookInfo")
        assert info["pending_update_count"] >= 1
        assert info["last_error_message"]
        await good(client, "deleteWebhook")
        back = await good(client, "getUpdates")
        assert back[0] == hook.got[0][1]

    await hooked(client, run)


async def test_a_webhook_may_drop_what_waits(client: SandboxClient) -> None:
    await client.act(KEY, "message", text="Hello?")
    assert await good(client, "getUpdates")
    await good(client, "setWebhook", url="https://instep.example/hook", drop_pending_updates=True)
    await good(client, "deleteWebhook")
    assert await good(client, "getUpdates") == []


# ── sending ───────────────────────────────────────────────────────────────────────────────────────


async def test_pictures_are_counted(client: SandboxClient) -> None:
    c = client.world.communities[KEY]
    photo = await good(client, "sendPhoto", chat_id=CHANNEL, caption="Here", files={"photo": PICTURE})
    assert (photo["photo"][0]["width"], photo["photo"][0]["file_size"], photo["caption"]) == (1, len(PIXEL), "Here")
    names = [f"p{number}" for number in range(10)]
    media = json.dumps([{"type": "photo", "media": f"attach://{name}"} for name in names])
    album = await good(client, "sendMediaGroup", chat_id=CHANNEL, media=media, files=dict.fromkeys(names, PICTURE))
    assert [one["message_id"] for one in album] == [album[0]["message_id"] + place for place in range(10)]
    assert len({one["media_group_id"] for one in album}) == 1
    assert [len(c.wall[one].media) for one in c.posts[-2:]] == [1, 10]
    assert c.uploads == 11


async def test_nothing_is_dropped_for_being_sent_twice(client: SandboxClient) -> None:
    before = len(client.world.communities[KEY].posts)
    for _ in range(2):
        await good(client, "sendMessage", chat_id=CHANNEL, text="Open")
    assert len(client.world.communities[KEY].posts) == before + 2


@pytest.mark.parametrize(
    ("method", "sent", "said"),
    [
        ("getChat", {}, (400, "chat_id is empty")),
        ("getChat", {"chat_id": "@nobody_here"}, (400, "chat not found")),
        ("getChat", {"chat_id": -1002000000008}, (400, "chat not found")),
        ("getChatMember", {"chat_id": -1001000000008, "user_id": 1}, (400, "member list is inaccessible")),
        ("getChatMember", {"chat_id": CHANNEL, "user_id": 1}, (400, "user not found")),
        ("sendMessage", {"chat_id": CHANNEL, "text": " "}, (400, "message text is empty")),
        ("sendMessage", {"chat_id": CHANNEL, "text": "😀" * 2049}, (400, "message is too long")),
        ("sendMessage", {"chat_id": -1001000000008, "text": "x"}, (403, "bot is not a member of the channel chat")),
        ("sendMessage", {"chat_id": -1002000000008, "text": "x"}, (403, "bot is not a member of the supergroup chat")),
        ("sendMessage", {"chat_id": 7_949_999, "text": "x"}, (403, "bot can't initiate conversation with a user")),
        ("sendMessage", {"chat_id": GROUP, "text": "x", "reply_parameters": {"message_id": 1}},
         (400, "message to be replied not found")),
        ("sendPhoto", {"chat_id": CHANNEL}, (400, "there is no photo in the request")),
        ("sendMediaGroup", {"chat_id": CHANNEL, "media": "[{}]"}, (400, "an album consists of 2 to 10 media")),
        ("setWebhook", {"url": "ftp://x"}, (400, "bad webhook: An HTTPS URL must be provided for webhook")),
        ("setWebhook", {"url": "https://x.example", "secret_token": "no spaces"},
         (400, "secret token contains unallowed characters")),
        ("getUpdates", {"offset": "first"}, (400, "offset must be an integer")),
        ("getEverything", {}, (404, "method not found")),
    ],
)  # fmt: skip
async def test_what_is_refused(client: SandboxClient, method: str, sent: Any, said: tuple[int, str]) -> None:
    before = len(client.world.ledger)
    assert await refused(client, method, **sent) == said
    assert len(client.world.ledger) == before, "nothing has changed"


async def test_a_caption_and_what_is_no_picture(client: SandboxClient) -> None:
    files = {"photo": PICTURE}
    assert (await refused(client, "sendPhoto", chat_id=CHANNEL, caption="x" * 1025, files=files))[0] == 400
    broken = {"photo": ("1.png", b"no picture", "image/png")}
    assert await refused(client, "sendPhoto", chat_id=CHANNEL, files=broken) == (400, "IMAGE_PROCESS_FAILED")
    large = {"photo": ("1.png", PIXEL + bytes(10_000_000), "image/png")}
    assert (await refused(client, "sendPhoto", chat_id=CHANNEL, files=large))[0] == 413


async def test_limits_of_a_chat_a_group_and_a_bot(client: SandboxClient) -> None:
    limits = client.sandbox.network.limits
    message = await client.act(KEY, "message", text="Hello?")
    limits["telegram_chat_rps"] = 1
    await good(client, "sendMessage", chat_id=message["person"], text="1")
    answer = await call(client, "sendMessage", chat_id=message["person"], text="2")
    assert (answer["error_code"], answer["parameters"]) == (429, {"retry_after": 1})
    await good(client, "sendMessage", chat_id=CHANNEL, text="another chat")
    client.manual_clock.at += 1
    await good(client, "sendMessage", chat_id=message["person"], text="2")
    limits.update(telegram_chat_rps=1000, telegram_group_rpm=3)
    client.manual_clock.at += 60
    names = [f"p{number}" for number in range(3)]
    media = json.dumps([{"type": "photo", "media": f"attach://{name}"} for name in names])
    await good(client, "sendMediaGroup", chat_id=CHANNEL, media=media, files=dict.fromkeys(names, PICTURE))
    answer = await call(client, "sendMessage", chat_id=CHANNEL, text="one more")
    assert 1 <= answer["parameters"]["retry_after"] <= 60
    client.manual_clock.at += answer["parameters"]["retry_after"]
    await good(client, "sendMessage", chat_id=CHANNEL, text="one more")
    limits["telegram_bot_rps"] = 30
    client.manual_clock.at += 1
    accepted = [(await call(client, "getMe"))["ok"] for _ in range(31)]
    assert accepted == [True] * 30 + [False]


# ── tokens ────────────────────────────────────────────────────────────────────────────────────────


async def test_tokens_look_like_telegrams_and_end(client: SandboxClient) -> None:
    token = client.token(KEY, "community")
    number, _, secret = token.partition(":")
    assert (number, len(secret)) == ("7000000007", 35)
    for said, code in ((f"{number}:{'A' * 35}", 401), ("nonsense", 404)):
        assert (await call(client, "getMe", token=said))["error_code"] == code
    client.sandbox.network.grants.end(token, "revoked")
    assert (await call(client, "getMe"))["error_code"] == 401


async def test_a_bot_hears_what_its_rights_let_it(client: SandboxClient) -> None:
    await client.act(KEY, "message", text="Hello?")
    await client.act(KEY, "post", text="Come along")
    await client.act(KEY, "comment", text="Until when?")
    c = client.world.communities[KEY]
    received_kinds: dict[str, set[str]] = {}
    for scopes in ([], ["administrator"], ["administrator", "can_read_all_group_messages"]):
        token = client.sandbox.network.grants.make(c, "community", scopes)
        page = await good(client, "getUpdates", token=token)
        received_kinds[",".join(scopes)] = {next(u[n]["chat"]["type"] for n in u if n != "update_id") for u in page}
    assert list(received_kinds.values()) == [{"private"}, {"private", "channel"}, {"private", "channel", "supergroup"}]


# ── the world ─────────────────────────────────────────────────────────────────────────────────────


async def test_what_waits_survives_a_restart(ledger_path: Path) -> None:
    """Updates and confirmations are restored from the ledger."""
    manual_clock = ManualClock()
    pages: list[Any] = []
    for _ in range(2):
        sandbox = build(seed=7, real=manual_clock, tick=None, ledger=ledger_path, platforms=["telegram"])
        token = sandbox.network.grants.stable(sandbox.network.world.communities[KEY])["community"]
        transport = httpx.ASGITransport(sandbox.app)
        async with httpx.AsyncClient(transport=transport, base_url=f"http://sandbox.test/bot{token}/") as http:
            if not pages:
                manual_clock.at += 900
                params = {"allowed_updates": ["message", "message_reaction_count"]}
                first = (await http.post("getUpdates", json=params)).json()["result"]
                await http.post("getUpdates", json={"offset": first[2]["update_id"]})
                manual_clock.at += 600
            pages.append((await http.post("getUpdates", json={})).json()["result"])
        sandbox.network.world.ledger.close()
    assert pages[0] == pages[1]
    assert pages[0][0] == first[2]
    assert "message_reaction_count" in kinds(pages[0])


def test_ids_are_never_the_same_in_channel_and_group(client: SandboxClient) -> None:
    c = client.world.communities[KEY]
    posts = [c.wall[one] for one in c.posts]
    channel = {wire_models.post(c, one)["message_id"] for one in posts}
    group = {wire_models.forward(c, one)["message_id"] for one in posts}
    assert not channel & group
    assert {wire_models.entry_of_group(int(str(one))) for one in group} == set(c.posts)
