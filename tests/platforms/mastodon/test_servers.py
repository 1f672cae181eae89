"""The Mastodon adapter against the kinds of server that the sandbox plays."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any

import httpx
import pytest

from app.platforms.capabilities import ReplyTo
from app.platforms.contract import (
    AuthExpired,
    Credentials,
    MessageKind,
    MissingPermission,
    RemoteMessage,
    Token,
    Unsupported,
)
from app.platforms.mastodon.adapter import SCOPES, Mastodon
from sandbox.server import Sandbox, build
from tests.platforms.mastodon.test_adapter import credentials, status, with_handler
from tests.sandbox.conftest import ManualClock, lift_rate_limits

RELATIVES = ("gotosocial", "takahe")


@dataclass
class Played:
    """A server of some kind, and the adapter that calls it for the community `coffee`."""

    sandbox: Sandbox
    clock: ManualClock
    http: httpx.AsyncClient
    requests: list[str]

    @property
    def adapter(self) -> Mastodon:
        return Mastodon(self.http)

    def credentials(self, token: str | None = "") -> Credentials:
        """Those of the community, with its token, another one, or none (None)."""
        c = self.sandbox.network.world.communities["coffee"]
        own = self.sandbox.network.grants.stable(c)["community"]
        tokens = {} if token is None else {Token.COMMUNITY: token or str(own)}
        base = self.sandbox.network.base_url
        return Credentials(f"{base}/@coffee", base, c.profile.external_id, tokens)

    async def act(self, act: str, **fields: object) -> Any:
        answer = await self.http.post("/_sandbox/communities/coffee", json={"act": act, **fields})
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def token(self, *scopes: str) -> str:
        """A new token with these scopes."""
        made = await self.http.post("/_sandbox/tokens", json={"community": "coffee", "scopes": list(scopes)})
        return str(made.json()["token"])

    async def messages(self) -> list[RemoteMessage]:
        """What customers wrote, once the server has processed it."""
        self.clock.at += 61
        return list((await self.adapter.conversations(self.credentials(), None)).items)

    def replies(self) -> list[Any]:
        return [one for one in self.sandbox.network.world.ledger.page(0, 10_000_000) if one["type"] == "reply"]


@pytest.fixture(params=["mastodon", *RELATIVES])
def variant(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def played(variant: str) -> AsyncIterator[Played]:
    clock = ManualClock()
    sandbox = build(seed=7, real=clock, tick=None, platforms=["mastodon"], alive=False, variants={"mastodon": variant})
    lift_rate_limits(sandbox)
    sandbox.network.base_url = "http://127.0.0.1:3300"
    requests: list[str] = []

    async def note(request: httpx.Request) -> None:
        requests.append(f"{request.method} {request.url.path}")

    async def date(response: httpx.Response) -> None:
        response.headers["date"] = formatdate(clock(), usegmt=True)  # every real server sends it

    transport = httpx.ASGITransport(sandbox.app)
    hooks: Any = {"request": [note], "response": [date]}
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:3300", event_hooks=hooks) as http:
        made = Played(sandbox, clock, http, requests)
        await made.act("post", text="We are open")
        clock.at += 3600
        yield made
    sandbox.network.world.ledger.close()


def reply_to(message: RemoteMessage) -> ReplyTo:
    return ReplyTo(message.external_id, message.thread_id, message.kind, message.author, message.post_id)


# ── parts that a server does not have ─────────────────────────────────────────────────────────────


async def test_every_kind_of_server_is_read_whole(played: Played) -> None:
    post = (await played.adapter.posts(played.credentials(), None)).items[0]
    await played.act("comment", text="Until when?")
    assert post.text == "We are open"
    assert (await played.adapter.community(played.credentials())).title == "Corner Coffee House"
    (measured,) = await played.adapter.metrics(played.credentials(), (post.external_id,))
    assert not measured.gone
    (question,) = await played.messages()
    assert (question.kind, question.post_id) == (MessageKind.COMMENT, post.external_id)
    assert (await played.adapter.inspect(played.credentials()))[Token.COMMUNITY].missing_scopes == ()


async def test_a_bad_token_is_seen_where_nothing_of_applications_is_reported(played: Played) -> None:
    with pytest.raises(AuthExpired):
        await played.adapter.inspect(played.credentials("wrong"))


@pytest.mark.parametrize("status", [404, 405, 501])
async def test_a_function_that_a_server_lacks_is_unsupported_and_the_others_are_read(
    played: Played, status: int
) -> None:
    effect = {"type": "status", "status": status}
    await played.http.post("/_sandbox/faults", json={"path": "/notifications$", "effect": effect})
    with pytest.raises(Unsupported):
        await played.adapter.conversations(played.credentials(), None)
    assert (await played.adapter.posts(played.credentials(), None)).items


# ── tokens ────────────────────────────────────────────────────────────────────────────────────────


async def test_a_token_that_may_only_read_names_the_missing_scope(played: Played) -> None:
    await played.act("comment", text="Until when?")
    (question,) = await played.messages()
    with pytest.raises(MissingPermission) as caught:
        await played.adapter.reply(
            played.credentials(await played.token("read")), reply_to(question), "Until six", "key"
        )
    assert caught.value.scopes == ("write:statuses",)


@pytest.mark.parametrize("variant", ["mastodon"])
async def test_mastodon_reports_missing_scopes_beforehand(played: Played) -> None:
    states = await played.adapter.inspect(played.credentials(await played.token("read")))
    assert set(states[Token.COMMUNITY].missing_scopes) == {scope for scope in SCOPES if scope.startswith("write")}


# ── what other servers have written ───────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "claimed", ["11968-11-07T17:22:13.599Z", "", "yesterday", "2015-01-01T00:00:00Z", "2031-01-01T00:00:00Z"]
)
async def test_a_message_is_dated_by_its_notification_where_a_strangers_date_is_nonsense(
    played: Played, claimed: str
) -> None:
    await played.act("mention", text="Before", person=900_001)
    made = await played.act("mention", text="Lovely place", person=900_002, claimed=claimed or "-")
    await played.act("mention", text="After", person=900_003)
    messages = {one.text.partition(" ")[2]: one for one in await played.messages()}
    assert set(messages) == {"Before", "Lovely place", "After"}
    assert messages["Lovely place"].sent_at.isoformat()[:19] == made["at"][:19]


async def test_a_date_shortly_before_the_notification_is_believed(played: Played) -> None:
    """It takes a server's queue some minutes to record what another one sends."""
    made = await played.act("mention", text="Lovely place", claimed="2026-11-23T06:55:00Z")
    assert made["at"] == "2026-11-23T07:00:00.000Z"
    (message,) = await played.messages()
    assert message.sent_at.isoformat() == "2026-11-23T06:55:00+00:00"


async def test_a_comment_that_another_server_has_dated_is_marked(played: Played) -> None:
    post = (await played.adapter.posts(played.credentials(), None)).items[0]
    await played.act("comment", text="Local")
    await played.act("comment", text="Remote", claimed="2015-01-01T00:00:00Z")
    await played.act("comment", text="Undated", claimed="never")
    played.clock.at += 61
    items = (await played.adapter.comments(played.credentials(), post.external_id, None, post.published_at)).items
    assert {one.text.partition(" ")[2]: one.dated_by_author for one in items} == {
        "Local": False,
        "Remote": True,
        "Undated": True,
    }, "none is left out as too old"


@pytest.mark.parametrize("act", ["comment", "mention"])
async def test_however_deep_in_a_thread_it_is_the_same_thread(played: Played, act: str) -> None:
    made = await played.act(act, text="0", person=900_001)
    (first,) = await played.messages()
    for number in range(1, 25):
        made = await played.act(act, text=str(number), person=900_001 + number % 2, parent=made["id"])
    messages = await played.messages()
    assert {one.thread_id for one in messages if one.author == first.author} == {first.thread_id}
    assert len({one.thread_id for one in messages}) == 2, "two customers, a thread each"


@pytest.mark.parametrize("variant", ["takahe"])
async def test_the_root_of_a_thread_costs_a_request_for_every_ten_ancestors(played: Played) -> None:
    made = await played.act("mention", text="0")
    for number in range(1, 25):
        made = await played.act("mention", text=str(number), parent=made["id"])
    before = (await played.adapter.conversations(played.credentials(), None)).cursor
    played.clock.at += 61
    played.requests.clear()
    page = await played.adapter.conversations(played.credentials(), before)
    contexts = [one for one in played.requests if one.endswith("/context")]
    depths = range(25 - len(page.items), 25)
    assert len(contexts) == sum(-(-depth // 10) for depth in depths)


async def test_a_quote_is_read_like_a_mention() -> None:
    """Mastodon 4.5 reports quotes by notifications of their own kind."""
    quoting = status(20, "2", quote={"state": "accepted"})
    notices = [{"id": "5", "type": "quote", "created_at": quoting["created_at"], "status": quoting}]
    kinds: list[list[str]] = []

    def server(request: httpx.Request) -> httpx.Response:
        kinds.append(request.url.params.get_list("types[]"))
        return httpx.Response(200, json=notices)

    (message,) = (await with_handler(server).conversations(credentials(token=True), None)).items
    assert (message.external_id, message.kind) == ("20", MessageKind.MENTION)
    assert kinds == [["mention", "quote"]]
