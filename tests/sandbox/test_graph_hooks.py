"""Meta's webhooks: a URL is confirmed by its challenge, events are signed, and some are batched."""

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import orjson
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from sandbox.graph import ids
from sandbox.graph.call import app_secret, verify_token
from sandbox.graph.events import HOOK
from sandbox.server import build
from tests.sandbox.conftest import ManualClock, SandboxClient, lift_rate_limits, running_server
from tests.sandbox.graph_callers import ACCOUNT, PAGE, Someone


class Listener:
    """Our webhook endpoint."""

    def __init__(self, secret: str, word: str) -> None:
        self.secret, self.word, self.refuse = secret, word, 0
        self.received: list[Any] = []
        self.challenged = 0
        self._more = asyncio.Event()
        self.app = Starlette(routes=[Route("/", self._confirm), Route("/", self._hear, methods=["POST"])])

    async def _confirm(self, request: Request) -> Response:
        params = request.query_params
        if (params["hub.mode"], params["hub.verify_token"]) != ("subscribe", self.word):
            return Response(status_code=403)
        self.challenged += 1
        self._more.set()
        return PlainTextResponse(params["hub.challenge"])

    async def _hear(self, request: Request) -> Response:
        body = await request.body()
        signature = hmac.new(self.secret.encode(), body, hashlib.sha256).hexdigest()
        assert request.headers["x-hub-signature-256"] == f"sha256={signature}"
        self.received.append(orjson.loads(body))
        self._more.set()
        self.refuse -= 1
        return Response(status_code=500 if self.refuse >= 0 else 200)

    async def until(self, ready: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not ready():
                self._more.clear()
                await self._more.wait()

    def values(self, field: str) -> list[Any]:
        """The received values of a field, in order; for `messages` the messages."""
        values: list[Any] = []
        for one in self.received:
            for entry in one["entry"]:
                values += [change["value"] for change in entry.get("changes", []) if change["field"] == field]
                values += entry.get("messaging", []) if field == "messages" else []
        return values


@pytest.fixture
async def client(manual_clock: ManualClock) -> AsyncIterator[SandboxClient]:
    """A stopped world that sends webhooks."""
    sandbox = build(seed=7, real=manual_clock, tick=None, speed=0, platforms=["facebook", "instagram"])
    lift_rate_limits(sandbox)
    sandbox.callbacks.retry = 0.01
    async with httpx.AsyncClient(transport=httpx.ASGITransport(sandbox.app), base_url="http://sandbox.test") as http:
        await sandbox.callbacks.start()
        yield SandboxClient(sandbox, manual_clock, http)
        await sandbox.callbacks.stop()
    sandbox.network.world.ledger.close()


async def _confirmed(client: SandboxClient, listener: Listener, key: str, url: str) -> None:
    """Configure our URL, as in Meta's dashboard."""
    response = await client.http.post("/_sandbox/callbacks", json={"community": key, "url": url})
    assert response.json()["secret"] == app_secret(client.world)
    await listener.until(lambda: listener.challenged == 1)
    await _subscribe(client, key)


async def _subscribe(client: SandboxClient, key: str) -> None:
    """Subscribe; Meta has accepted our response to its challenge."""
    (one,) = client.sandbox.callbacks.of(client.world.communities[key])
    for _ in range(500):
        if one.status == "ok":
            return
        await asyncio.sleep(0.01)
    pytest.fail("it is never confirmed")


@pytest.fixture
def listener(client: SandboxClient) -> Listener:
    return Listener(app_secret(client.world), verify_token(client.world))


async def test_the_challenge_has_to_be_said_as_it_is(client: SandboxClient) -> None:
    c, hooks = client.world.communities[PAGE], client.sandbox.callbacks
    one = hooks.configure(c, "http://127.0.0.1:9/", hooks.secret(c), origin="control")
    assert HOOK.confirmation is not None
    confirmation = HOOK.confirmation(client.world, one, c)
    challenge = confirmation.query["hub.challenge"]
    answers = [(200, challenge), (200, f'"{challenge}"'), (200, ""), (403, challenge)]
    assert [confirmation.is_accepted(*answer) for answer in answers] == [True, False, False, False]


async def test_a_pages_feed(client: SandboxClient, listener: Listener) -> None:
    page = Someone(client, PAGE)
    async with running_server(listener.app) as url:
        await _confirmed(client, listener, PAGE, url)
        listener.refuse = 1
        post = (await page.post("me/feed", message="Open on Sunday"))["id"]
        comment = await page.act("comment", post=page.number(post), text="Until when?", person=5)
        comment_id = ids.comment(page.c, int(comment["post"]), int(comment["id"]))
        answer = (await page.post(f"{comment_id}/comments", message="Six"))["id"]
        await page.act("delete_comment", id=comment["id"])
        await page.call("DELETE", post)
        await listener.until(lambda: len(listener.received) == 6)
    assert listener.received[0] == listener.received[1], "what is not taken comes again, word by word"
    assert {(one["object"], one["entry"][0]["id"]) for one in listener.received} == {("page", ids.page(page.c))}
    values = listener.values("feed")[1:]
    seen = [(one["item"], one["verb"], one["post_id"], one.get("comment_id")) for one in values]
    assert seen == [
        ("status", "add", post, None),
        ("comment", "add", post, comment_id),
        ("comment", "add", post, answer),
        ("comment", "remove", post, comment_id),
        ("post", "remove", post, None),
    ]
    assert values[1]["from"]["id"] == ids.person(page.c, page.c.number_of(5))
    assert (values[1]["parent_id"], values[2]["parent_id"], values[2]["from"]["id"]) == (
        post,
        comment_id,
        ids.page(page.c),
    )


async def test_reactions_come_together(client: SandboxClient, listener: Listener) -> None:
    page = Someone(client, PAGE)
    async with running_server(listener.app) as url:
        await _confirmed(client, listener, PAGE, url)
        post = (await page.act("post"))["id"]
        for person in (1, 2, 3):
            await page.act("react", id=post, person=person)
        await page.act("unreact", id=post, person=2)
        await client.http.post("/_sandbox/clock", json={"advance": 20})
        await listener.until(lambda: any(one["item"] == "reaction" for one in listener.values("feed")))
    changes = [one["entry"][0].get("changes", []) for one in listener.received]
    (batch,) = [some for some in changes if any(one["value"]["item"] == "reaction" for one in some)]
    ours = [one["value"] for one in batch if one["value"]["post_id"] == page.post_id(post)]
    expected = [("add", 1), ("add", 2), ("add", 3), ("remove", 2)]
    expected_verbs = [(verb, ids.person(page.c, page.c.number_of(number))) for verb, number in expected]
    assert [(one["verb"], one["from"]["id"]) for one in ours][:4] == expected_verbs


@pytest.mark.parametrize("key", [PAGE, ACCOUNT])
async def test_messages_and_their_echoes(client: SandboxClient, listener: Listener, key: str) -> None:
    someone = Someone(client, key)
    account_id = someone.c.profile.external_id
    async with running_server(listener.app) as url:
        await _confirmed(client, listener, key, url)
        message = await someone.act("message", text="Open?", person=5)
        them = ids.person(someone.c, message["person"])
        said = {"recipient": f'{{"id": "{them}"}}', "message": '{"text": "Yes"}', "messaging_type": "RESPONSE"}
        sent = await someone.post("me/messages", **said)
        await listener.until(lambda: len(listener.values("messages")) == 2)
    first, echo = listener.values("messages")
    assert (first["sender"]["id"], first["recipient"]["id"], first["message"]["text"]) == (them, account_id, "Open?")
    assert first["timestamp"] == client.world.now, "in milliseconds"
    assert "is_echo" not in first["message"]
    assert (echo["sender"]["id"], echo["recipient"]["id"]) == (account_id, them)
    assert (echo["message"]["mid"], echo["message"]["is_echo"]) == (sent["message_id"], True)


async def test_comments_and_mentions_of_an_account(client: SandboxClient, listener: Listener) -> None:
    account = Someone(client, ACCOUNT)
    async with running_server(listener.app) as url:
        await _confirmed(client, listener, ACCOUNT, url)
        await account.act("react")
        comment = await account.act("comment", text="Open?")
        await account.act("comment", post=comment["post"], parent=comment["id"], text="And on Sunday?")
        mention = await account.act("mention")
        await listener.until(lambda: len(listener.received) == 3)
    one, below = listener.values("comments")
    assert (one["text"], one["media"]["id"]) == ("Open?", account.post_id(comment["post"]))
    assert "parent_id" not in one
    assert below["parent_id"] == one["id"] == ids.make(ids.IG_COMMENT, account.c, int(comment["id"]))
    assert listener.values("mentions") == [{"media_id": ids.make(ids.TAGGED, account.c, int(mention["id"]))}]
    assert {one["object"] for one in listener.received} == {"instagram"}


async def test_the_application_and_the_page_have_to_agree(client: SandboxClient, listener: Listener) -> None:
    """The application configures a URL and fields; each Page subscribes fields of its own."""
    page, app = Someone(client, PAGE), Someone(client, PAGE)
    app.token = f"{ids.APP}|{app_secret(client.world)}"
    listener.word = "open sesame"
    assert (await page.get("me/subscribed_apps"))["data"] == []
    async with running_server(listener.app) as url:
        subscription: dict[str, Any] = {
            "object": "page",
            "callback_url": url,
            "verify_token": "open sesame",
            "fields": "feed,messages",
        }
        assert await page.refused("POST", f"{ids.APP}/subscriptions", **subscription) == (100, 33)
        assert await app.post(f"{ids.APP}/subscriptions", **subscription) == {"success": True}
        assert await page.post("me/subscribed_apps", subscribed_fields="messages") == {"success": True}
        await _subscribe(client, PAGE)
        await page.act("comment")
        await page.act("message", text="Open?")
        await listener.until(lambda: bool(listener.received))
    (subscription_row,) = (await app.get(f"{ids.APP}/subscriptions"))["data"]
    assert (subscription_row["object"], subscription_row["callback_url"], subscription_row["active"]) == (
        "page",
        url,
        True,
    )
    assert [field["name"] for field in subscription_row["fields"]] == ["feed", "messages"]
    assert [entry["message"]["text"] for entry in listener.values("messages")] == ["Open?"]
    assert listener.values("feed") == [], "the Page does not give it"
    (ours,) = (await page.get("me/subscribed_apps"))["data"]
    assert (ours["id"], ours["subscribed_fields"]) == (ids.APP, ["messages"])
    assert await page.call("DELETE", "me/subscribed_apps") == {"success": True}
    assert (await page.get("me/subscribed_apps"))["data"] == []
    assert [sorted(one.topics) for one in client.sandbox.callbacks.of(page.c)] == [[]]
