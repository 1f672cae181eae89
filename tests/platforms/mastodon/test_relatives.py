"""Malformed items, refusals and rate limits of servers that are compatible with Mastodon."""

from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from app.platforms.contract import (
    AuthExpired,
    Gone,
    Malformed,
    MessageKind,
    Metric,
    MetricStatus,
    MissingPermission,
    OutcomeUnknown,
    PlatformError,
    Rejected,
    Throttled,
    Token,
    Transient,
)
from tests.platforms.mastodon.test_adapter import (
    TOKEN,
    account,
    credentials,
    question,
    status,
    with_handler,
    with_responses,
)
from tests.platforms.mastodon.test_capabilities import AT, response_with

Json = Any
COUNTED = (Metric.REACTIONS, Metric.COMMENTS, Metric.SHARES, Metric.QUOTES)


def json_response(content: object, code: int = 200) -> httpx.Response:
    return httpx.Response(code, json=content)


def notification(key: int, about: Json, kind: str = "mention") -> Json:
    return {"id": str(key), "type": kind, "created_at": "2026-11-01T00:00:00Z", "status": about}


MALFORMED_FIELDS: tuple[Json, ...] = (
    {"created_at": None},
    {"account": None},
    {"uri": None},
    {"favourites_count": "many"},
)


# ── malformed items ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("malformed", MALFORMED_FIELDS, ids=lambda value: next(iter(value)))
async def test_a_malformed_status_hides_no_others(malformed: Json) -> None:
    page = await with_responses(json_response([status(3), status(2, **malformed), None, status(1)])).posts(
        credentials(), None
    )
    assert [post.external_id for post in page.items] == ["3", "1"]
    assert page.more
    page = await with_responses(json_response([status(3), status(2, **malformed)])).posts(credentials(), None)
    assert page.cursor is not None
    max_ids: list[str] = []

    def server(request: httpx.Request) -> httpx.Response:
        max_ids.append(request.url.params["max_id"])
        return json_response([])

    await with_handler(server).posts(credentials(), page.cursor)
    assert max_ids == ["2"], "paging must continue below it"


@pytest.mark.parametrize("malformed", MALFORMED_FIELDS, ids=lambda value: next(iter(value)))
async def test_a_list_of_malformed_statuses_alone_is_malformed(malformed: Json) -> None:
    with pytest.raises(Malformed, match=f"0.{next(iter(malformed))}"):
        await with_responses(json_response([status(2, **malformed)])).posts(credentials(), None)
    with pytest.raises(Malformed):
        await with_responses(json_response([None])).posts(credentials(), None)
    if "created_at" in malformed:
        return  # another server has dated it: it is read without a date
    with pytest.raises(Malformed):
        await with_responses(json_response({"ancestors": [], "descendants": [status(2, **malformed)]})).comments(
            credentials(), "1", None
        )


async def test_a_malformed_comment_hides_no_others() -> None:
    below = [status(11, "2", 10), status(12, "3", 10, account=None), status(13, "4", 12)]
    page = await with_responses(json_response({"ancestors": [], "descendants": below})).comments(
        credentials(), "10", None
    )
    assert [message.external_id for message in page.items] == ["11", "13"]


async def test_counters_need_neither_author_nor_date() -> None:
    results = await with_responses(json_response([status(1, account=None, created_at=None, content=None)])).metrics(
        credentials(), ("1",)
    )
    assert results[0].counters == {Metric.REACTIONS: 1, Metric.SHARES: 2, Metric.COMMENTS: 3}


async def test_a_post_with_malformed_counters_is_not_gone() -> None:
    listed = [status(1, favourites_count="many"), status(2)]
    first, second, third = await with_responses(json_response(listed)).metrics(credentials(), ("1", "2", "3"))
    assert (first.gone, first.counters) == (False, {})
    assert {metric: first.missing[metric] for metric in COUNTED} == dict.fromkeys(COUNTED, MetricStatus.ERROR)
    assert first.missing[Metric.VIEWS] is MetricStatus.UNSUPPORTED
    assert set(first.missing) == set(Metric)
    assert second.counters[Metric.REACTIONS] == 1
    assert third.gone


async def test_notifications_other_than_mentions_are_not_validated() -> None:
    notifications = [
        notification(5, {"id": "x"}, "favourite"),
        notification(4, status(20, "2")),
        notification(3, None, "severed_relationships") | {"created_at": None},
        notification(2, status(19, "2", account=None)),
    ]
    with capture_logs() as logs:
        page = await with_responses(json_response(notifications)).conversations(credentials(token=True), None)
    assert [(message.external_id, message.kind) for message in page.items] == [("20", MessageKind.MENTION)]
    assert [(line["event"], line["items"]) for line in logs] == [("answer.items_left_out", 1)]
    assert page.more
    page = await with_responses(json_response([notification(5, {"id": "x"}, "pleroma:emoji_reaction")])).conversations(
        credentials(token=True), None
    )
    assert page.items == ()


async def test_an_account_need_not_have_an_address_of_its_own() -> None:
    """By Mastodon's schema its `url` may be null."""
    snapshot = await with_responses(json_response(account(url=None))).community(credentials())
    assert (snapshot.url, snapshot.size) == ("https://m.example/@user1", 7)


async def test_messages_of_unfollowed_accounts_are_requested() -> None:
    """Since Mastodon 4.3 private mentions by unfollowed accounts are filtered out by default."""
    requests: list[httpx.Request] = []

    def server(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return json_response([])

    await with_handler(server).conversations(credentials(token=True), None)
    assert requests[0].url.params["include_filtered"] == "true"
    assert requests[0].headers["accept"] == "application/json", "without it some servers redirect to a sign-in page"


# ── batches ───────────────────────────────────────────────────────────────────────────────────────


async def test_without_a_known_batch_endpoint_posts_are_requested_one_by_one() -> None:
    """Pleroma's batch endpoint has the parameter `ids[]`."""
    missing = json_response({"error": "Missing field: ids."}, 400)
    results = await with_responses(
        missing, json_response(status(1)), json_response({"error": "Record not found"}, 404)
    ).metrics(credentials(token=True), ("1", "2"))
    assert [one.gone for one in results] == [False, True]


async def test_an_empty_batch_does_not_make_all_posts_gone() -> None:
    results = await with_responses(json_response([]), json_response(status(1)), json_response({}, 404)).metrics(
        credentials(), ("1", "2")
    )
    assert [one.gone for one in results] == [False, True]


# ── refusals ──────────────────────────────────────────────────────────────────────────────────────


def misskey(code: str) -> Json:
    return {"error": {"message": "in words", "code": code, "id": "0", "kind": "client"}}


@pytest.mark.parametrize(
    ("code", "body", "error"),
    [
        (401, misskey("NO_SUCH_NOTE"), Gone),
        (400, misskey("NO_SUCH_USER"), Gone),
        (404, {"error": "NO_SUCH_NOTE", "error_description": "in words"}, Gone),
        (401, misskey("AUTHENTICATION_FAILED"), AuthExpired),
        (403, misskey("PERMISSION_DENIED"), MissingPermission),
        (401, misskey("RATE_LIMIT_EXCEEDED"), Throttled),
        (401, misskey("INTERNAL_ERROR"), Transient),
        (401, misskey("INVALID_PARAM"), Rejected),
        (400, misskey("INVALID_PARAM"), Rejected),
        (401, {"message": "Unauthenticated."}, AuthExpired),
        (401, {"code": "rest_forbidden", "message": "no", "data": {"status": 401}}, AuthExpired),
        (404, {"errors": {"detail": "Not Found"}}, Gone),
        (400, {"error": "Missing field: status."}, Rejected),
        (422, {"message": "The given data was invalid.", "errors": {"status": ["too long"]}}, Rejected),
        (422, {"error": "This method requires an authenticated user"}, AuthExpired),
        (422, {"error": "Validation failed: Text can't be blank"}, Rejected),
        (403, {"error": "Your login is currently disabled"}, MissingPermission),
        (502, misskey("NO_SUCH_NOTE"), Transient),
    ],
)
def test_errors_of_mastodon_compatible_servers_are_classified(
    code: int, body: Json, error: type[PlatformError]
) -> None:
    request = httpx.Request("GET", "https://m.example/", headers={"authorization": f"Bearer {TOKEN}"})
    assert type(with_responses().classify(httpx.Response(code, json=body, request=request))) is error


@pytest.mark.parametrize(
    ("explanation", "scopes"),
    [
        ("Insufficient permissions: read:notifications.", ("read:notifications",)),
        ("Insufficient permissions: read:statuses | read.", ("read:statuses", "read")),
        ("Forbidden: token has insufficient scope permission", ("read:notifications",)),
        ("This action is outside the authorized scopes", ("read:notifications",)),
        ("out_of_scope_for_token", ("read:notifications",)),
        ("This action is not allowed", ()),
    ],
)
def test_scopes_that_are_named(explanation: str, scopes: tuple[str, ...]) -> None:
    request = httpx.Request("GET", "https://m.example/api/v1/notifications")
    said = with_responses().classify(httpx.Response(403, json={"error": explanation}, request=request))
    assert isinstance(said, MissingPermission)
    assert said.scopes == scopes


@pytest.mark.parametrize(
    ("body", "error"),
    [("invalid_token", AuthExpired), ("", AuthExpired), ("<html><h1>400 Bad Request</h1>", Rejected)],
)
def test_an_error_page_of_a_proxy_does_not_expire_the_token(body: str, error: type[PlatformError]) -> None:
    request = httpx.Request("GET", "https://m.example/", headers={"authorization": f"Bearer {TOKEN}"})
    assert type(with_responses().classify(httpx.Response(400, text=body, request=request))) is error


async def test_a_refused_reply_of_misskeys_family_has_its_reason() -> None:
    made = with_responses(
        json_response(status(11, "2", 10)), json_response(misskey("CANNOT_REPLY_TO_AN_INVISIBLE_NOTE"), 401)
    )
    with pytest.raises(Rejected, match="in words") as caught:
        await made.reply(credentials(token=True), question(), "Hello", "key-1")
    assert caught.value.platform_code == "CANNOT_REPLY_TO_AN_INVISIBLE_NOTE"
    made = with_responses(json_response(status(11, "2", 10)), json_response(misskey("INTERNAL_ERROR"), 401))
    with pytest.raises(OutcomeUnknown):
        await made.reply(credentials(token=True), question(), "Hello", "key-1")


# ── limits ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("reset", "seconds"),
    [("1795341750", 150.0), ("2026-11-22T10:02:30.000000Z", 150.0), ("soon", None), ("9" * 11, None), ("", None)],
)
def test_a_limit_may_reset_at_a_unix_time(reset: str, seconds: float | None) -> None:
    """GoToSocial sends seconds since 1970."""
    headers = {"x-ratelimit-limit": "300", "x-ratelimit-remaining": "75", "x-ratelimit-reset": reset}
    usage = with_handler(lambda _: json_response({})).usage(response_with(headers))
    assert usage is not None
    assert usage.resets_in == seconds
    said = with_responses().classify(httpx.Response(429, headers=AT | headers, json={"error": "rate limit reached"}))
    assert isinstance(said, Throttled)
    assert said.retry_after == seconds


async def test_a_token_without_an_account_is_refused() -> None:
    made = with_responses(json_response({"error": "This method requires an authenticated user"}, 422))
    with pytest.raises(AuthExpired) as caught:
        await made.conversations(credentials(token=True), None)
    assert caught.value.token is Token.COMMUNITY
