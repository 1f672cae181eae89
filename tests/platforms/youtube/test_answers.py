"""Less common responses of YouTube and Google: refusals without a reason, page tokens that lead nowhere."""

import httpx
import pytest

from app.platforms.contract import (
    AuthExpired,
    Gone,
    LimitScope,
    Malformed,
    Metric,
    MissingPermission,
    OutcomeUnknown,
    PlatformError,
    Rejected,
    Throttled,
    Token,
    Transient,
)
from app.platforms.youtube.adapter import YouTube
from tests.platforms.youtube.server import CHANNEL_ID, credentials, listing, refused, with_responses

EVENING = {"date": "Mon, 23 Nov 2026 07:59:00 GMT"}
"""A minute before midnight in California."""


def refused_with_message(status: int, message: str, reason: str, **detail: object) -> httpx.Response:
    error: dict[str, object] = {
        "code": status,
        "message": message,
        "errors": [{"message": message, "domain": "global", "reason": reason}],
    }
    if detail:
        error["details"] = [{"reason": "RATE_LIMIT_EXCEEDED", "metadata": detail}]
    return httpx.Response(status, json={"error": error}, headers=EVENING)


async def error_of(answer: httpx.Response, *kinds: Token) -> PlatformError:
    made, _ = with_responses(answer)
    with pytest.raises(PlatformError) as caught:
        await made.community(credentials(*kinds))
    return caught.value


# ── refusals ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("status", "message", "reason"),
    [
        (400, "API key not valid. Please pass a valid API key.", "badRequest"),
        (400, "API key expired. Please renew the API key.", "badRequest"),
        (400, "API Key not found. Please pass a valid API key.", "badRequest"),
        (403, "The request is missing a valid API key.", "forbidden"),
        (403, "Method doesn't allow unregistered callers (callers without established identity).", "forbidden"),
    ],
)
async def test_a_key_refusal_is_recognised_by_its_message(status: int, message: str, reason: str) -> None:
    error = await error_of(refused_with_message(status, message, reason))
    assert isinstance(error, AuthExpired)
    assert error.token is Token.APP


async def test_a_key_refused_without_any_reason() -> None:
    body = {"error": {"code": 400, "message": "API key not valid.", "status": "INVALID_ARGUMENT"}}
    assert isinstance(await error_of(httpx.Response(400, json=body)), AuthExpired)


@pytest.mark.parametrize(
    ("message", "detail", "wait"),
    [
        ("Quota exceeded for quota metric 'Queries' and limit 'Queries per day' of service 'y'.", {}, 60.0),
        ("Quota exceeded for quota metric 'Queries' and limit 'Queries per minute' of service 'y'.", {}, None),
        ("Quota exceeded.", {"quota_limit": "defaultPerDayPerProject"}, 60.0),
        ("Quota exceeded.", {"quota_limit": "defaultPerMinutePerProject"}, None),
        ("Quota exceeded.", {"quota_unit": "1/d/{project}"}, 60.0),
        ("Quota exceeded.", {"quota_unit": "1/min/{project}"}, None),
    ],
)
async def test_a_daily_quota_is_reported_in_several_forms(
    message: str, detail: dict[str, object], wait: float | None
) -> None:
    error = await error_of(refused_with_message(429, message, "rateLimitExceeded", **detail))
    assert isinstance(error, Throttled)
    assert (error.retry_after, error.scope) == (wait, LimitScope.TOKEN)


@pytest.mark.parametrize(
    ("status", "reason", "means"),
    [
        (400, "required", Rejected),
        (401, "required", AuthExpired),
        (402, "quotaExceeded402", Throttled),
        (402, "dailyLimitExceeded402", Throttled),
        (403, "variableTermExpiredDailyExceeded", Throttled),
        (403, "accountDeleted", AuthExpired),
        (403, "accountDisabled", AuthExpired),
        (403, "accountUnverified", AuthExpired),
        (403, "accountDelegationForbidden", MissingPermission),
        (403, "playlistItemsNotAccessible", MissingPermission),
        (403, "channelSuspended", Gone),
        (404, "commentThreadNotFound", Gone),
        (400, "invalidCriteria", Rejected),
        (400, "unexpectedParameter", Rejected),
        (409, "aborted", Transient),
        (409, "SERVICE_UNAVAILABLE", Transient),
        (409, "conflict", Rejected),
    ],
)
async def test_other_documented_errors_are_classified(status: int, reason: str, means: type[PlatformError]) -> None:
    assert type(await error_of(refused(status, reason))) is means


@pytest.mark.parametrize(
    ("body", "means"),
    [
        ({"error": "invalid_token", "error_description": "Invalid Value"}, AuthExpired),
        ({"error_description": "Invalid Value"}, AuthExpired),
        ({"error": "invalid_request", "error_description": "no token"}, Rejected),
    ],
)
async def test_inspect_of_an_invalid_token_expires_it(body: object, means: type[PlatformError]) -> None:
    made, _ = with_responses(httpx.Response(400, json=body))
    with pytest.raises(means):
        await made.inspect(credentials(Token.COMMUNITY))


# ── responses ─────────────────────────────────────────────────────────────────────────────────────


async def test_a_list_is_recognised_without_its_kind() -> None:
    made, _ = with_responses(
        {"items": [{"id": "v", "statistics": {"viewCount": "7"}}]}, {"items": []}, {}, {"etag": "x"}
    )
    (result,) = await made.metrics(credentials(), ("v",))
    assert result.counters == {Metric.VIEWS: 7}
    (result,) = await made.metrics(credentials(), ("v",))
    assert result.gone
    for _ in range(2):
        with pytest.raises(Malformed):
            await made.metrics(credentials(), ("v",))


async def test_a_channel_may_have_no_list_of_uploads() -> None:
    channel = {"id": CHANNEL_ID, "snippet": {"title": "Us"}, "contentDetails": {"relatedPlaylists": {"uploads": ""}}}
    made, _ = with_responses(listing(channel), refused(404, "playlistNotFound"), listing(channel))
    assert (await made.community(credentials())).size is None
    page = await made.posts(credentials(), None)
    assert (page.items, page.more) == ((), False)


@pytest.mark.parametrize("author", [{}, {"authorChannelId": {}}, {"authorChannelId": None}])
async def test_an_author_whose_channel_is_closed(author: dict[str, object]) -> None:
    comment = {"id": "T", "snippet": {"publishedAt": "2026-11-01T00:00:00.12345Z", "textDisplay": "x", **author}}
    made, _ = with_responses(listing({"id": "T", "snippet": {"topLevelComment": comment, "totalReplyCount": 0}}))
    (message,) = (await made.conversations(credentials(), None)).items
    assert (message.author.external_id, message.author.is_community) == ("unknown-T", False)


@pytest.mark.parametrize(
    ("fields", "lifetimes"),
    [
        ({"expires_in": "3599"}, (3599.0, None)),
        ({"expires_in": 3599, "refresh_token_expires_in": 0}, (3599.0, None)),
        ({"expires_in": 3599, "refresh_token_expires_in": "604799"}, (3599.0, 604_799.0)),
    ],
)
async def test_an_invalid_lifetime_does_not_lose_the_token(
    fields: dict[str, object], lifetimes: tuple[float, float | None]
) -> None:
    made, _ = with_responses({"access_token": "new", "refresh_token": "next", **fields})
    granted = await made.refresh(credentials(Token.REFRESH))
    granted_lifetimes = [granted[kind].lifetime for kind in (Token.COMMUNITY, Token.REFRESH)]
    assert tuple(one.total_seconds() if one is not None else None for one in granted_lifetimes) == lifetimes


# ── pages ─────────────────────────────────────────────────────────────────────────────────────────


def thread(key: str) -> dict[str, object]:
    comment = {"id": key, "snippet": {"publishedAt": "2026-11-01T00:00:00Z", "textDisplay": key}}
    return {"id": key, "snippet": {"topLevelComment": comment, "totalReplyCount": 0}}


async def test_a_page_whose_next_token_is_its_own_is_the_last() -> None:
    same = listing(thread("A"), nextPageToken="again")
    made, requests = with_responses(same, same)
    page = await made.conversations(credentials(), None)
    assert page.more
    page = await made.conversations(credentials(), page.cursor)
    assert not page.more
    assert len(requests) == 2


async def test_a_refused_page_token_is_transient_in_the_end() -> None:
    """Paging restarts a few times; after that it is a transient failure of YouTube."""
    failed = refused(400, "processingFailure")
    first = listing(thread("A"), nextPageToken="next")
    made, requests = with_responses(first, failed, first, failed, first, failed, first, failed, first, failed)
    page = await made.conversations(credentials(), None)
    for _ in range(8):
        page = await made.conversations(credentials(), page.cursor)
        assert page.more
    assert [("pageToken" in one.url.params) for one in requests] == [False, *([True, False] * 4)]
    with pytest.raises(Transient):
        await made.conversations(credentials(), page.cursor)
    made, _ = with_responses(failed)
    with pytest.raises(Transient):
        await made.conversations(credentials(), None)


async def test_a_change_that_was_not_processed_may_have_been_made() -> None:
    request = httpx.Request("POST", "https://youtube.googleapis.com/youtube/v3/comments")
    answer = refused(400, "processingFailure")
    answer.request = request
    assert isinstance(YouTube(httpx.AsyncClient()).classify(answer), OutcomeUnknown)
