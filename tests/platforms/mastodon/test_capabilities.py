"""The Mastodon adapter's other capabilities: metrics of many accounts, publishing, rate limits and scopes."""

from typing import Any

import httpx
import pytest

from app.platforms.capabilities import (
    Inspects,
    MeasuresAcross,
    OutgoingPost,
    Picture,
    PostRef,
    Publishes,
    Refreshes,
    ReportsUsage,
    Usage,
)
from app.platforms.contract import COST, Cost, LimitScope, OutcomeUnknown, Rejected, Throttled, Token, Transient
from app.platforms.mastodon.adapter import SCOPES, Mastodon
from tests.platforms.mastodon.test_adapter import TOKEN, credentials, question, status, with_handler
from tests.platforms.specimens import PIXEL

MEDIA = {"id": "900", "type": "image", "url": "https://m.example/900.png"}
AT = {"date": "Sun, 22 Nov 2026 10:00:00 GMT"}


def pictures(count: int) -> tuple[Picture, ...]:
    return tuple(Picture(PIXEL + bytes([n]), "image/png", f"dot {n}") for n in range(count))


class Server:
    """A fake server that accepts uploads and statuses."""

    def __init__(self, *media: httpx.Response) -> None:
        self.requests: list[httpx.Request] = []
        self.media = list(media)
        """The response that replaces that to an upload, or to the request for its state."""

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if "/media" in request.url.path:
            uploads = [one for one in self.requests if one.url.path == "/api/v2/media"]
            return self.media.pop(0) if self.media else httpx.Response(200, json={**MEDIA, "id": f"90{len(uploads)}"})
        return httpx.Response(200, json=status(11 if request.method == "GET" else 12))

    @property
    def paths(self) -> list[str]:
        return [f"{one.method} {one.url.path}" for one in self.requests]


def test_the_adapter_has_these_capabilities_and_needs_no_renewal() -> None:
    made = with_handler(Server())
    assert all(isinstance(made, able) for able in (MeasuresAcross, Publishes, Inspects, ReportsUsage))
    assert not isinstance(made, Refreshes)


# ── many accounts ─────────────────────────────────────────────────────────────────────────────────


async def test_posts_of_several_accounts_come_in_one_call() -> None:
    paths: list[str] = []

    def batch(request: httpx.Request) -> httpx.Response:
        paths.append(request.url.path)
        return httpx.Response(200, json=[status(3, by="9"), status(1)])

    made = with_handler(batch)
    results = await made.metrics_across(credentials(), (PostRef("1", "1"), PostRef("5", "2"), PostRef("9", "3")))
    assert [(one.external_id, one.gone) for one in results] == [("1", False), ("2", True), ("3", False)]
    assert paths == ["/api/v1/statuses"]


def test_only_accounts_without_a_token_share_a_batch() -> None:
    """A post hidden from another account's token looks deleted, so each token has a group of its own."""
    assert Mastodon.spec.metrics_group_tokens == {Token.COMMUNITY}


# ── publishing ────────────────────────────────────────────────────────────────────────────────────


async def test_a_post_with_four_described_pictures_in_their_order() -> None:
    server = Server()
    sent = await with_handler(server).publish(
        credentials(token=True), OutgoingPost("Open & warm", pictures(4)), "key-1"
    )
    assert sent.external_id == "12"
    assert server.paths == 4 * ["POST /api/v2/media"] + ["POST /api/v1/statuses"]
    for number, upload in enumerate(server.requests[:4]):
        assert PIXEL + bytes([number]) in upload.content
        assert f"dot {number}".encode() in upload.content
        assert b'filename="picture.png"' in upload.content
        assert "idempotency-key" not in upload.headers
    form = httpx.QueryParams(server.requests[-1].content.decode())
    assert form.multi_items() == [
        ("status", "Open & warm"), ("visibility", "public"),
        ("media_ids[]", "901"), ("media_ids[]", "902"), ("media_ids[]", "903"), ("media_ids[]", "904"),
    ]  # fmt: skip
    assert server.requests[-1].headers["idempotency-key"] == "key-1"


async def test_a_text_alone_is_one_call() -> None:
    server = Server()
    await with_handler(server).publish(credentials(token=True), OutgoingPost("Open"), "k")
    assert server.paths == ["POST /api/v1/statuses"]
    assert b"media_ids" not in server.requests[0].content


@pytest.mark.parametrize("draft", [OutgoingPost("x" * 501), OutgoingPost("x", pictures(5)), OutgoingPost(" ")])
async def test_a_post_over_the_limits_is_not_sent(draft: OutgoingPost) -> None:
    server = Server()
    with pytest.raises(Rejected):
        await with_handler(server).publish(credentials(token=True), draft, "k")
    assert not server.requests


async def test_an_unprocessed_picture_is_requested_once_more() -> None:
    accepted = httpx.Response(202, json={**MEDIA, "url": None})
    server = Server(accepted, httpx.Response(200, json=MEDIA))
    await with_handler(server).publish(credentials(token=True), OutgoingPost("Open", pictures(1)), "k")
    assert server.paths == ["POST /api/v2/media", "GET /api/v1/media/900", "POST /api/v1/statuses"]
    server = Server(accepted, httpx.Response(206, json={**MEDIA, "url": None}))
    with pytest.raises(Transient):
        await with_handler(server).publish(credentials(token=True), OutgoingPost("Open", pictures(1)), "k")
    assert server.paths == ["POST /api/v2/media", "GET /api/v1/media/900"], "no status may be created"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (httpx.Response(500), Transient),
        (httpx.Response(502, text="<html>"), Transient),
        (httpx.Response(422, json={"error": "Validation failed: File content type is invalid"}), Rejected),
        (httpx.Response(429), Throttled),
    ],
)
async def test_an_upload_that_fails_fails_as_a_read(answer: httpx.Response, error: type[Exception]) -> None:
    server = Server(answer)
    with pytest.raises(error):
        await with_handler(server).publish(credentials(token=True), OutgoingPost("Open", pictures(1)), "k")
    assert len(server.requests) == 1


async def test_a_lost_response_to_a_post_is_an_unknown_outcome() -> None:
    made = with_handler(lambda request: httpx.Response(500))
    with pytest.raises(OutcomeUnknown):
        await made.publish(credentials(token=True), OutgoingPost("Open"), "k")


# ── limits ────────────────────────────────────────────────────────────────────────────────────────


async def test_every_request_carries_its_cost() -> None:
    costs: list[tuple[str, Cost]] = []
    server = Server()

    def noting(request: httpx.Request) -> httpx.Response:
        costs.append((request.url.path, request.extensions[COST]))
        return server(request)

    made = with_handler(noting)
    await made.publish(credentials(token=True), OutgoingPost("Open", pictures(1)), "k")
    await made.reply(credentials(token=True), question(), "Yes", "k")
    assert [(path, dict(cost.units)) for path, cost in costs] == [
        ("/api/v2/media", {"calls": 1, "media": 1}),
        ("/api/v1/statuses", {"calls": 1, "statuses": 1}),
        ("/api/v1/statuses/11", {"calls": 1}),
        ("/api/v1/statuses", {"calls": 1, "statuses": 1}),
    ]
    assert {(cost.token, cost.kind) for _, cost in costs} == {(TOKEN, Token.COMMUNITY)}
    targets = [cost.target for _, cost in costs if len(cost.units) > 1]
    assert targets == ["1 media", "1 statuses", "1 statuses"], "each kind of change has its own rate limit"
    named = {(one.name, one.calls, one.seconds, one.scope) for one in Mastodon.spec.rate_limits}
    assert named >= {("media", 30, 1800, LimitScope.TOKEN), ("statuses", 300, 10_800, LimitScope.TOKEN)}


def response_with(headers: dict[str, str], method: str = "GET", *, token: bool = True) -> httpx.Response:
    sent = {"authorization": f"Bearer {TOKEN}"} if token else {}
    request = httpx.Request(method, "https://m.example/", headers=sent)
    return httpx.Response(200, headers=AT | headers, request=request)


LIMIT = {
    "x-ratelimit-limit": "300",
    "x-ratelimit-remaining": "75",
    "x-ratelimit-reset": "2026-11-22T10:02:30.000000Z",
}


def test_usage_of_the_rate_limit() -> None:
    assert Mastodon.usage(response_with(LIMIT)) == Usage(0.75, LimitScope.TOKEN, 150.0)
    assert Mastodon.usage(response_with(LIMIT, token=False)) == Usage(0.75, LimitScope.ADDRESS, 150.0)
    assert Mastodon.usage(response_with(LIMIT | {"x-ratelimit-reset": "soon"})) == Usage(0.75, LimitScope.TOKEN, None)
    assert Mastodon.usage(response_with(LIMIT, "POST")) is None, "the rate limit of uploads is not that of reads"


@pytest.mark.parametrize(
    "headers",
    [{}, {"x-ratelimit-limit": "300"}, {"x-ratelimit-remaining": "1"}, LIMIT | {"x-ratelimit-limit": "0"}]
    + [LIMIT | {"x-ratelimit-remaining": wrong} for wrong in ("-1", "many", "", "1e3", "9" * 30)],
)
def test_without_complete_headers_there_is_no_usage(headers: dict[str, str]) -> None:
    assert Mastodon.usage(response_with(headers)) is None


@pytest.mark.parametrize(
    ("method", "token", "scope"),
    [("GET", True, LimitScope.TOKEN), ("GET", False, LimitScope.ADDRESS), ("POST", True, LimitScope.COMMUNITY)],
)
def test_the_scope_of_a_rate_limit(method: str, token: bool, scope: LimitScope) -> None:
    """The rate limit of uploads does not stop reads."""
    sent = {"authorization": f"Bearer {TOKEN}"} if token else {}
    request = httpx.Request(method, "https://m.example/", headers=sent)
    said = with_handler(Server()).classify(httpx.Response(429, request=request))
    assert isinstance(said, Throttled)
    assert said.scope is scope


# ── scopes ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("application", "missing"),
    [
        ({"scopes": ["read", "write"]}, ()),
        ({"scopes": ["read"]}, ("write:media", "write:statuses")),
        ({"scopes": ["read", "write:statuses"]}, ("write:media",)),
        ({"scopes": list(SCOPES)}, ()),
        ({"scopes": []}, SCOPES),
        ({}, ()),
        ({"scopes": None}, ()),
    ],
)
async def test_inspect_returns_missing_scopes(application: dict[str, Any], missing: tuple[str, ...]) -> None:
    made = with_handler(lambda _: httpx.Response(200, json={"name": "Instep", **application}))
    states = await made.inspect(credentials(token=True))
    assert states[Token.COMMUNITY].missing_scopes == missing


async def test_without_a_token_nothing_is_asked() -> None:
    server = Server()
    assert await with_handler(server).inspect(credentials()) == {}
    assert not server.requests
