"""Google's errors and their meanings.

YouTube sends `{"error": {"code", "message", "errors": [{"reason"}], "status", "details": [{"reason"}]}}`; Google's
token endpoints send `{"error": "invalid_grant", "error_description"}`. Their texts are not shown to people, because
they may repeat parts of the request.
Sources: developers.google.com/youtube/v3/docs/errors, /docs/core_errors, RFC 6749; python-youtube's recordings.
Unverified: which of the two forms of a refused key and of an exhausted quota is sent today; both are accepted.
"""

import re
from collections.abc import Mapping
from datetime import datetime, time, timedelta
from typing import Annotated, Final
from zoneinfo import ZoneInfo

import httpx
from pydantic import BeforeValidator, ValidationError

from app.platforms import wire
from app.platforms.contract import (
    LimitScope,
    Malformed,
    OutcomeUnknown,
    PlatformError,
    Throttled,
    Token,
    Transient,
)
from app.platforms.errors import ErrorMeaning, platform_error, table

FORCE_SSL: Final = "https://www.googleapis.com/auth/youtube.force-ssl"
PACIFIC: Final = ZoneInfo("America/Los_Angeles")
"""The daily quota resets at midnight in this time zone."""
KEY: Final = "x-goog-api-key"

REASON: Final = re.compile(r"[A-Za-z]{1,40}")
"""The form of a reason: one that is not documented may be shown, since it cannot be a token."""
COMMENTS_OFF: Final = "commentsDisabled"
STALE_PAGE: Final = "invalidPageToken"
FAILED: Final = "processingFailure"
"""By the documentation sometimes transient, and usually a sign of invalid input."""

_QUOTA_EXHAUSTED: Final = (
    *("quotaExceeded", "dailyLimitExceeded", "dailyLimitExceededUnreg", "variableTermExpiredDailyExceeded"),
    *("quotaExceeded402", "dailyLimitExceeded402"),
)
_THROTTLED: Final = (
    *("rateLimitExceeded", "userRateLimitExceeded", "rateLimitExceededUnreg", "userRateLimitExceededUnreg"),
    *("servingLimitExceeded", "concurrentLimitExceeded", "variableTermLimitExceeded", "limitExceeded"),
    *("RATE_LIMIT_EXCEEDED", "RESOURCE_QUOTA_EXCEEDED", "rate_limit_exceeded"),
)
_AUTH_EXPIRED: Final = (
    *("keyInvalid", "keyExpired", "API_KEY_INVALID"),
    *("authError", "required", "expired", "authorizationRequired", "youtubeSignupRequired"),
    *("ACCESS_TOKEN_EXPIRED", "ACCESS_TOKEN_TYPE_UNSUPPORTED", "CREDENTIALS_MISSING", "ACCOUNT_STATE_INVALID"),
    *("authenticatedUserAccountClosed", "authenticatedUserAccountSuspended", "authenticatedUserNotChannel"),
    *("accountDeleted", "accountDisabled", "accountUnverified"),
    *("invalid_grant", "invalid_token", "access_denied", "admin_policy_enforced", "org_internal", "invalid_scope"),
    *("unauthorized_client",),
)
_FORBIDDEN: Final = (
    *("forbidden", "channelForbidden", "playlistForbidden", "videoForbidden", "commentForbidden"),
    *("playlistItemsNotAccessible", "watchHistoryNotAccessible", "watchLaterNotAccessible", "homeParameterDisabled"),
    *("ineligibleAccount", "accountDelegationForbidden", "insufficientAuthorization", "lockedDomainForbidden"),
    *("accessNotConfigured", "ipRefererBlocked", "SERVICE_DISABLED", "API_KEY_SERVICE_BLOCKED"),
    *("API_KEY_HTTP_REFERRER_BLOCKED", "API_KEY_IP_ADDRESS_BLOCKED", "CONSUMER_INVALID", "CONSUMER_SUSPENDED"),
)
_MISSING_SCOPES: Final = ("insufficientPermissions", "insufficientScopes", "ACCESS_TOKEN_SCOPE_INSUFFICIENT")
_GONE: Final = (
    *("notFound", "channelNotFound", "playlistNotFound", "videoNotFound", "playlistItemNotFound"),
    *("commentNotFound", "commentThreadNotFound", "parentCommentNotFound", "resourceNotFound"),
    *("channelClosed", "channelSuspended", "deleted"),
)
_UNAVAILABLE: Final = (
    *("backendError", "internalError", "internalServerError", "serviceUnavailable", "backendNotConnected"),
    *(FAILED, "internal_failure", "temporarily_unavailable", "server_error", "aborted"),
)
_REJECTED: Final = (
    *(COMMENTS_OFF, STALE_PAGE, "parentCommentIsPrivate", "operationNotSupported", "commentTextRequired"),
    *("commentTextTooLong", "invalidCommentMetadata", "channelOrVideoIdMissing", "parentIdMissing"),
    *("invalid_client", "deleted_client", "disabled_client", "invalid_request", "unsupported_grant_type"),
    *("conflict", "duplicate"),
)

REASONS: Final[Mapping[str, ErrorMeaning]] = table(
    {
        ErrorMeaning.QUOTA_EXHAUSTED: _QUOTA_EXHAUSTED,
        ErrorMeaning.THROTTLED: _THROTTLED,
        ErrorMeaning.AUTH_EXPIRED: _AUTH_EXPIRED,
        ErrorMeaning.FORBIDDEN: _FORBIDDEN,
        ErrorMeaning.MISSING_SCOPES: _MISSING_SCOPES,
        ErrorMeaning.GONE: _GONE,
        ErrorMeaning.UNAVAILABLE: _UNAVAILABLE,
        ErrorMeaning.REJECTED: _REJECTED,
    }
)

STATUSES: Final[Mapping[int, ErrorMeaning]] = {
    401: ErrorMeaning.AUTH_EXPIRED,
    403: ErrorMeaning.FORBIDDEN,
    404: ErrorMeaning.GONE,
    410: ErrorMeaning.GONE,
    408: ErrorMeaning.UNAVAILABLE,
    409: ErrorMeaning.UNAVAILABLE,
    429: ErrorMeaning.THROTTLED,
}
"""By status, where there is no documented reason; other 4xx are refusals."""

KEY_ERROR_TEXTS: Final[Mapping[str, str]] = {
    "api key not valid": "keyInvalid",
    "api key not found": "keyInvalid",
    "api key expired": "keyExpired",
    "missing a valid api key": "keyInvalid",
    "unregistered callers": "keyInvalid",
}
"""Texts, in lower case, for a key that is refused: the reason beside them may be only `badRequest`."""
DAILY: Final = re.compile(r"\bper day\b|PerDay|^1/d\b")
"""A daily limit, in the text, in its name, or in its unit."""

MESSAGES: Final[Mapping[str, str]] = {
    "accessNotConfigured": "the YouTube Data API is not switched on in the key's or application's Google project",
    "SERVICE_DISABLED": "the YouTube Data API is not switched on in the key's or application's Google project",
    "ipRefererBlocked": "the key is limited to other addresses than ours",
    "API_KEY_IP_ADDRESS_BLOCKED": "the key is limited to other addresses than ours",
    "ineligibleAccount": "this Google account has no channel with which it could comment",
    "invalid_client": "Google does not accept the application's client_id or client_secret",
    "deleted_client": "Google no longer knows the application's client_id",
    COMMENTS_OFF: "comments are switched off under this video",
    "commentTextTooLong": "the answer is longer than YouTube allows",
    "operationNotSupported": "YouTube does not let this comment be answered",
    "parentCommentIsPrivate": "the comment is not public, so nobody can answer it",
}
"""Messages for people, where the meaning's own says too little."""


class Reason(wire.Model):
    reason: wire.StorableText = ""
    metadata: Mapping[str, object] = {}


def _reasons(value: object) -> object:
    """The objects in a list of reasons; those among the details may have none."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


Reasons = Annotated[tuple[Reason, ...], BeforeValidator(lambda value: tuple(_reasons(value)))]


class Fault(wire.Model):
    message: object = None
    errors: Reasons = ()
    details: Reasons = ()


class Complaint(wire.Model):
    """An error in either form."""

    error: Fault | wire.StorableText


def from_response(response: httpx.Response, *, changes: bool) -> PlatformError | None:
    """The error that a response reports; None where it reports none. `changes`: the request was a change."""
    if response.is_success:
        return None
    status = response.status_code
    complaint = _complaint(response)
    reason, meaning = _meaning(complaint, status)
    if (
        wire.path_of(response).endswith("/tokeninfo")
        and status == httpx.codes.BAD_REQUEST
        and reason != "invalid_request"
    ):
        meaning = ErrorMeaning.AUTH_EXPIRED  # the body may be only `{"error_description": "Invalid Value"}`
    code = reason or str(status)
    if meaning is ErrorMeaning.THROTTLED or meaning is ErrorMeaning.QUOTA_EXHAUSTED:
        return _throttled(response, meaning, code)
    if meaning is ErrorMeaning.UNAVAILABLE:
        if changes:
            return OutcomeUnknown("YouTube failed while it handled the change", platform_code=code)
        return Transient(ErrorMeaning.UNAVAILABLE.text("YouTube"), platform_code=code)
    if complaint is None and status in {httpx.codes.NOT_FOUND, httpx.codes.GONE}:
        return Malformed("this is not how YouTube answers: the API's address may be wrong", platform_code=code)
    if not response.is_client_error:
        return Malformed("YouTube sends a redirect, which is not followed", platform_code=code)
    token: Token | None = None
    scopes: tuple[str, ...] = ()
    match meaning:
        case ErrorMeaning.AUTH_EXPIRED:
            token = _refused_token(response, reason)
            message = f"Google does not accept the {_TOKEN_NAMES[token]}"
        case ErrorMeaning.MISSING_SCOPES:
            message, scopes = "the access does not cover this", (FORCE_SSL,)
        case ErrorMeaning.FORBIDDEN:
            message = MESSAGES.get(reason, "YouTube does not allow this")
        case ErrorMeaning.GONE:
            message = "YouTube knows no such thing (any more)"
        case _:
            message = MESSAGES.get(reason) or f"YouTube refused the request ({code})"
    return platform_error(meaning, message, platform_code=code, token=token, scopes=scopes)


_TOKEN_NAMES: Final = {Token.APP: "API key", Token.COMMUNITY: "access token", Token.REFRESH: "refresh token"}


def _meaning(complaint: Complaint | None, status: int) -> tuple[str, ErrorMeaning]:
    """The reason, empty for none, and its meaning."""
    if status >= httpx.codes.INTERNAL_SERVER_ERROR:
        return "", ErrorMeaning.UNAVAILABLE
    fault = complaint.error if complaint is not None else ""
    reasons = (Reason(reason=fault),) if isinstance(fault, str) else (*fault.details, *fault.errors)
    text = "" if isinstance(fault, str) else str(fault.message)
    for key_error, reason in KEY_ERROR_TEXTS.items():
        if key_error in text.lower():
            return reason, ErrorMeaning.AUTH_EXPIRED
    for each in reasons:
        if each.reason == "required" and status == httpx.codes.BAD_REQUEST:
            return each.reason, ErrorMeaning.REJECTED  # a parameter is missing; with 401, a token
        if each.reason in REASONS:
            meaning = REASONS[each.reason]
            texts = (text, *(str(each.metadata.get(name, "")) for name in ("quota_unit", "quota_limit")))
            daily = meaning is ErrorMeaning.THROTTLED and any(DAILY.search(part) for part in texts)
            return each.reason, ErrorMeaning.QUOTA_EXHAUSTED if daily else meaning
    unknown = next((each.reason for each in reasons if REASON.fullmatch(each.reason)), "")
    return unknown, STATUSES.get(status, ErrorMeaning.REJECTED)


def _throttled(response: httpx.Response, meaning: ErrorMeaning, code: str) -> Throttled:
    """The quota of a key is counted by key, that of an access token for the installation's application."""
    now = wire.response_date(response)
    daily = meaning is ErrorMeaning.QUOTA_EXHAUSTED
    return Throttled(
        "YouTube's quota for today is used up" if daily else "YouTube asks for fewer calls",
        retry_after=wire.retry_after(response, midnight_after(now) if daily and now is not None else None),
        scope=LimitScope.TOKEN if _token_kind(response) is Token.APP else LimitScope.APP,
        platform_code=code,
    )


def midnight_after(moment: datetime) -> datetime:
    """The next midnight in California, with or without daylight saving."""
    tomorrow = moment.astimezone(PACIFIC).date() + timedelta(days=1)
    return datetime.combine(tomorrow, time(), PACIFIC)


def _token_kind(response: httpx.Response) -> Token:
    """The kind of token that the request was made with."""
    request = wire.request_of(response)
    if request is not None and KEY in request.headers:
        return Token.APP
    return Token.REFRESH if wire.path_of(response).endswith("/token") else Token.COMMUNITY


def _refused_token(response: httpx.Response, reason: str) -> Token:
    return Token.APP if reason in {"keyInvalid", "keyExpired", "API_KEY_INVALID"} else _token_kind(response)


def _complaint(response: httpx.Response) -> Complaint | None:
    try:
        return Complaint.model_validate_json(response.content)
    except ValidationError:
        return None
