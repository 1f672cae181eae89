"""Every recorded exchange with real Mastodon servers: understood rightly, or a typed error, or none of ours."""

import html
import json
import re
from collections import Counter
from datetime import datetime
from typing import Any

import httpx
import pytest
import yaml

from app.platforms.abilities import ReplyTo
from app.platforms.adapters.mastodon import Mastodon
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
from tests.platforms.data import data

NOT_OURS = {
    r"/api/v[12]/instance/": "what a server says of itself",
    r"/api/v1/apps/verify_credentials": "the application's registration",
    r"/oauth/token": "signing in",
    r"/api/v1/accounts/relationships": "who follows whom",
    r"/api/v1/statuses/\d+/(history|source)": "how a status was edited",
    r"/api/v2/notifications(/policy)?": "grouped notifications",
    r"/api/v1/push/subscription": "push",
}


class Exchange:
    def __init__(self, recorded: dict[str, Any]) -> None:
        self.method: str = recorded["request"]["method"]
        self.url = httpx.URL(recorded["request"]["uri"])
        self.status: int = recorded["response"]["status"]["code"]
        self.body: str = recorded["response"]["body"]["string"]
        dropped = {"content-encoding", "content-length", "transfer-encoding"}
        self.headers = {k: v[0] for k, v in recorded["response"]["headers"].items() if k.lower() not in dropped}

    def response(self, request: httpx.Request) -> httpx.Response:
        return httpx.Response(self.status, headers=self.headers, text=self.body, request=request)

    def adapter(self) -> Mastodon:
        return Mastodon(httpx.AsyncClient(transport=httpx.MockTransport(self.response)))


def exchanges() -> list[Exchange]:
    folder = data("mastodon/mastodon.py/cassettes_entity_tests")
    return [
        Exchange(recorded)
        for path in sorted(folder.glob("*.yaml"))
        for recorded in yaml.load(path.read_text(), Loader=yaml.CSafeLoader)["interactions"]
    ]


def us(external_id: str) -> Credentials:
    return Credentials(
        "https://mastodon.social/@us", "https://mastodon.social", external_id, {Token.COMMUNITY: "a-token"}
    )


def letters(text: str) -> str:
    """Text without markup and white space, found another way than the adapter's."""
    return re.sub(r"\s+", "", html.unescape(re.sub(r"<[^>]*>", "", text)))


def same_metrics(counters: dict[Metric, int], raw: dict[str, Any]) -> None:
    assert counters == {
        Metric.REACTIONS: raw["favourites_count"],
        Metric.SHARES: raw["reblogs_count"],
        Metric.COMMENTS: raw["replies_count"],
        Metric.QUOTES: raw["quotes_count"],
    }


def same_message(message: RemoteMessage, raw: dict[str, Any]) -> None:
    assert message.external_id == raw["id"]
    assert message.sent_at == datetime.fromisoformat(raw["created_at"])
    assert message.in_reply_to == raw["in_reply_to_id"]
    assert message.author.external_id == raw["account"]["id"]
    assert message.url == (raw["url"] or raw["uri"])
    assert letters(message.text) == letters(raw["spoiler_text"] + raw["content"])


async def check(exchange: Exchange) -> str:
    """Hold one exchange against an independent reading; what it turned out to be."""
    path, made = exchange.url.path, exchange.adapter()
    if exchange.method == "POST" and path == "/api/v1/accounts":
        said = made.classify(exchange.response(httpx.Request("POST", exchange.url)))
        assert isinstance(said, Rejected)
        return "refusal: typed error"
    raw: Any = json.loads(exchange.body or "null")
    if exchange.method == "POST" and path == "/api/v1/statuses":
        assert "scheduled_at" in raw
        request = httpx.Request("POST", exchange.url)
        assert made.classify(exchange.response(request)) is None
        return "a scheduled status, which a reply never is"
    if re.fullmatch(r"/api/v1/accounts/(\d+|verify_credentials)", path):
        snapshot = await made.community(us("1"))
        assert snapshot.external_id == raw["id"]
        assert snapshot.size == raw["followers_count"]
        assert snapshot.url == raw["url"]
        assert snapshot.title == raw["display_name"]
        return "account"
    if re.fullmatch(r"/api/v1/statuses/\d+", path):
        request = httpx.Request("GET", exchange.url)
        listed = Mastodon(
            httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(200, json=[raw], request=request)))
        )
        [post] = (await listed.posts(us(raw["account"]["id"]), None)).items or [None]
        assert post is not None or raw["in_reply_to_id"] is not None
        if post is not None:
            same_metrics(dict(post.metrics.counters), raw)
            assert post.published_at == datetime.fromisoformat(raw["created_at"])
            edited = raw["edited_at"]
            assert post.edited_at == (datetime.fromisoformat(edited) if edited else None)
            assert letters(post.text) == letters(raw["spoiler_text"] + raw["content"])
        [metrics] = await listed.metrics(us(raw["account"]["id"]), (raw["id"],))
        same_metrics(dict(metrics.counters), raw)
        return "status"
    if re.fullmatch(r"/api/v1/statuses/\d+/context", path):
        page = await made.comments(us(raw["descendants"][0]["account"]["id"]), path.split("/")[-2], None)
        visible = [s for s in raw["descendants"] if s["visibility"] != "direct"]
        assert len(page.items) == len(visible) > 0
        for message, status in zip(page.items, visible, strict=True):
            same_message(message, status)
            assert message.author.is_community
        return "context"
    if path == "/api/v1/notifications":
        statuses = {n["status"]["id"]: n["status"] for n in raw if n["type"] == "mention" and n["status"]}
        nothing: dict[str, list[object]] = {"ancestors": [], "descendants": []}
        mentions = Mastodon(
            httpx.AsyncClient(
                transport=httpx.MockTransport(
                    lambda request: (
                        exchange.response(request)
                        if request.url.path.endswith("/notifications")
                        else httpx.Response(200, json=nothing)
                    )
                )
            )
        )
        page = await mentions.conversations(us("43"), None)
        assert {m.external_id for m in page.items} == set(statuses)
        for message in page.items:
            status = statuses[message.external_id]
            same_message(message, status)
            assert (message.kind is MessageKind.MESSAGE) == (status["visibility"] == "direct")
        assert page.more
        assert page.cursor is not None
        assert raw[-1]["id"] in page.cursor
        return "notifications"
    reason = next((why for pattern, why in NOT_OURS.items() if re.fullmatch(pattern, path)), None)
    assert reason is not None, f"{exchange.method} {path} is unexplained"
    return f"not ours: {reason}"


async def test_every_recorded_exchange_is_explained() -> None:
    found = exchanges()
    counts = Counter([await check(exchange) for exchange in found])
    for what, count in sorted(counts.items()):
        print(f"{count:4}  {what}")  # noqa: T201 — the counts are what this test is read for
    assert counts.total() == len(found)
    for what in ("account", "status", "context", "notifications", "refusal: typed error"):
        assert counts[what] > 0


async def test_a_recorded_scheduled_status_is_no_reply() -> None:
    scheduled = next(e for e in exchanges() if e.method == "POST" and e.url.path == "/api/v1/statuses")
    status = next(e for e in exchanges() if re.fullmatch(r"/api/v1/statuses/\d+", e.url.path))

    def server(request: httpx.Request) -> httpx.Response:
        return (scheduled if request.method == "POST" else status).response(request)

    made = Mastodon(httpx.AsyncClient(transport=httpx.MockTransport(server)))
    to = ReplyTo("1", "t", MessageKind.COMMENT, RemotePerson("2", "x"), "1")
    with pytest.raises(OutcomeUnknown, match="created_at"):
        await made.reply(us("43"), to, "text", "key")
