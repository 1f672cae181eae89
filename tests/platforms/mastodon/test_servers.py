"""The Mastodon adapter against the kinds of server that the sandbox plays."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
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

    transport = httpx.ASGITransport(sandbox.app)
    hooks: Any = {"request": [note]}
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
