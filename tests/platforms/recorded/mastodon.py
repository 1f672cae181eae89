"""Exchanges with real Mastodon servers, from Mastodon.py."""

import html
import json
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import yaml

from app.platforms.capabilities import ReplyTo
from app.platforms.contract import (
    Credentials,
    MessageKind,
    Metric,
    OutcomeUnknown,
    Rejected,
    RemoteMessage,
    RemotePerson,
    Token,
)
from app.platforms.mastodon.adapter import Mastodon
from tests.platforms.recorded import Recorded, RecordedResponse, ResponseCheck


class Exchange:
    def __init__(self, recorded: dict[str, Any]) -> None:
        self.method: str = recorded["request"]["method"]
        self.url = httpx.URL(recorded["request"]["uri"])
        self.status: int = recorded["response"]["status"]["code"]
        self.body: str = recorded["response"]["body"]["string"]
        dropped = {"content-encoding", "content-length", "transfer-encoding"}
        self.headers = {k: v[0] for k, v in recorded["response"]["headers"].items() if k.lower() not in dropped}

    @property
    def raw(self) -> Any:
        return json.loads(self.body or "null")

    def response(self, request: httpx.Request) -> httpx.Response:
        return httpx.Response(self.status, headers=self.headers, text=self.body, request=request)

    def adapter(self) -> Mastodon:
        return Mastodon(httpx.AsyncClient(transport=httpx.MockTransport(self.response)))


def exchanges(path: Path) -> Iterator[RecordedResponse]:
    for recorded in yaml.load(path.read_text(), Loader=yaml.CSafeLoader)["interactions"]:
        one = Exchange(recorded)
        yield RecordedResponse(f"{one.method} {one.url.path}", one)


def with_response(raw: object) -> Mastodon:
    return Mastodon(httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(200, json=raw))))


def own_credentials(external_id: str) -> Credentials:
    return Credentials(
        "https://mastodon.social/@us", "https://mastodon.social", external_id, {Token.COMMUNITY: "a-token"}
    )


def text_only(text: str) -> str:
    """Text without markup and white space, extracted differently from the adapter."""
    return re.sub(r"\s+", "", html.unescape(re.sub(r"<[^>]*>", "", text)))


def assert_same_metrics(counters: dict[Metric, int], raw: dict[str, Any]) -> None:
    names = {
        Metric.REACTIONS: "favourites_count", Metric.SHARES: "reblogs_count", Metric.COMMENTS: "replies_count",
        Metric.QUOTES: "quotes_count",
    }  # fmt: skip
    assert counters == {metric: raw[name] for metric, name in names.items() if name in raw}


def assert_same_message(message: RemoteMessage, raw: dict[str, Any]) -> None:
    assert message.external_id == raw["id"]
    assert message.sent_at == datetime.fromisoformat(raw["created_at"])
    assert message.in_reply_to == raw["in_reply_to_id"]
    assert message.author.external_id == raw["account"]["id"]
    assert message.url == (raw["url"] or raw["uri"])
    assert text_only(message.text) == text_only(raw["spoiler_text"] + raw["content"])


async def refusal(exchange: Exchange) -> None:
    said = exchange.adapter().classify(exchange.response(httpx.Request(exchange.method, exchange.url)))
    assert isinstance(said, Rejected)


async def scheduled(exchange: Exchange) -> None:
    """A scheduled status is no error, and no receipt of a reply either."""
    assert "scheduled_at" in exchange.raw
    assert exchange.adapter().classify(exchange.response(httpx.Request("POST", exchange.url))) is None
    question = {
        "id": "1", "created_at": "2026-11-24T05:00:00Z", "visibility": "public", "content": "", "uri": "https://a.example/1",
        "account": {"id": "2", "acct": "x"}, "favourites_count": 0, "reblogs_count": 0, "replies_count": 0,
    }  # fmt: skip

    def server(request: httpx.Request) -> httpx.Response:
        return exchange.response(request) if request.method == "POST" else httpx.Response(200, json=question)

    made = Mastodon(httpx.AsyncClient(transport=httpx.MockTransport(server)))
    to = ReplyTo("1", "t", MessageKind.COMMENT, RemotePerson("2", "x"), "1")
    with pytest.raises(OutcomeUnknown, match="created_at"):
        await made.reply(own_credentials("43"), to, "text", "key")


async def account(exchange: Exchange) -> None:
    snapshot, raw = await exchange.adapter().community(own_credentials("1")), exchange.raw
    assert (snapshot.external_id, snapshot.size) == (raw["id"], raw["followers_count"])
    assert (snapshot.url, snapshot.title) == (raw["url"], raw["display_name"])


async def status(exchange: Exchange) -> None:
    raw = exchange.raw
    author = own_credentials(raw["account"]["id"])
    [post] = (await with_response([raw]).posts(author, None)).items or [None]
    assert post is not None or raw["in_reply_to_id"] is not None
    if post is not None:
        assert_same_metrics(dict(post.metrics.counters), raw)
        assert post.published_at == datetime.fromisoformat(raw["created_at"])
        edited = raw["edited_at"]
        assert post.edited_at == (datetime.fromisoformat(edited) if edited else None)
        assert text_only(post.text) == text_only(raw["spoiler_text"] + raw["content"])
    [metrics] = await with_response([raw]).metrics(author, (raw["id"],))
    assert_same_metrics(dict(metrics.counters), raw)


async def context(exchange: Exchange) -> None:
    below = exchange.raw["descendants"]
    page = await exchange.adapter().comments(
        own_credentials(below[0]["account"]["id"]), exchange.url.path.split("/")[-2], None
    )
    visible = [one for one in below if one["visibility"] != "direct"]
    assert len(page.items) == len(visible) > 0
    for message, one in zip(page.items, visible, strict=True):
        assert_same_message(message, one)
        assert message.author.is_community


async def notifications(exchange: Exchange) -> None:
    raw = exchange.raw
    statuses = {n["status"]["id"]: n["status"] for n in raw if n["type"] == "mention" and n["status"]}
    nothing: dict[str, list[object]] = {"ancestors": [], "descendants": []}

    def server(request: httpx.Request) -> httpx.Response:
        listed = request.url.path.endswith("/notifications")
        return exchange.response(request) if listed else httpx.Response(200, json=nothing)

    mentions = Mastodon(httpx.AsyncClient(transport=httpx.MockTransport(server)))
    page = await mentions.conversations(own_credentials("43"), None)
    assert {message.external_id for message in page.items} == set(statuses)
    for message in page.items:
        one = statuses[message.external_id]
        assert_same_message(message, one)
        assert (message.kind is MessageKind.MESSAGE) == (one["visibility"] == "direct")
    assert page.more
    assert page.cursor is not None
    assert raw[-1]["id"] in page.cursor


STATUS: Final = r"/api/v1/statuses/\d+"
RECORDED: Final = Recorded(
    files=("mastodon/mastodon.py/cassettes_entity_tests/*.yaml",),
    answers=exchanges,
    left_out={
        r"\w+ /api/v[12]/instance/": "the description of a server",
        r"\w+ /api/v1/apps/verify_credentials": "the application's registration",
        r"\w+ /oauth/token": "signing in",
        r"\w+ /api/v1/accounts/relationships": "relationships of accounts",
        rf"\w+ {STATUS}/(history|source)": "the edits of a status",
        r"\w+ /api/v2/notifications(/policy)?": "grouped notifications",
        r"\w+ /api/v1/push/subscription": "push",
    },
    checks={
        r"POST /api/v1/accounts": ResponseCheck("refusals", refusal, refused=True),
        r"POST /api/v1/statuses": ResponseCheck(
            "scheduled statuses: a reply is never scheduled", scheduled, refused=True
        ),
        r"\w+ /api/v1/accounts/(\d+|verify_credentials)": ResponseCheck("accounts", account),
        rf"\w+ {STATUS}": ResponseCheck("statuses", status),
        rf"GET {STATUS}/context": ResponseCheck("contexts", context),
        r"GET /api/v1/notifications": ResponseCheck("notifications", notifications),
    },
    schemas={"mastodon/openapi/dist/schema.json": "an OpenAPI schema of Mastodon, checked by the sandbox's tests"},
)
