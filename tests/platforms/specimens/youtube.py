"""YouTube's specimen. Its errors are Google's, with `errors[].reason` or `details[].reason`."""

from typing import Final

from app.platforms.capabilities import ReplyTo
from app.platforms.contract import (
    AuthExpired,
    Gone,
    LimitScope,
    MessageKind,
    MissingPermission,
    OutcomeUnknown,
    PlatformError,
    Rejected,
    Throttled,
    Token,
    Transient,
)
from tests.platforms.specimens import Limited, Refusal, Specimen, customer

FORCE_SSL: Final = "https://www.googleapis.com/auth/youtube.force-ssl"
WINTER: Final = {"date": "Mon, 23 Nov 2026 06:00:00 GMT"}
"""22:00 in California, two hours before the daily quota resets."""


def error_body(status: int, reason: str, detail: str | None = None, domain: str = "youtube.quota") -> dict[str, object]:
    error: dict[str, object] = {
        "code": status,
        "message": f"The request <code>{reason}</code> was refused.",
        "errors": [{"message": "of YouTube's", "domain": domain, "reason": reason}],
    }
    if detail is not None:
        info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": detail, "domain": "googleapis.com"}
        error["details"] = [{"@type": "type.googleapis.com/google.rpc.LocalizedMessage"}, info]
    return {"error": error}


def error(
    means: type[PlatformError],
    status: int,
    reason: str,
    detail: str | None = None,
    *,
    to_a_change: type[PlatformError] | None = None,
    scopes: tuple[str, ...] | None = None,
) -> Refusal:
    name = f"{status} {reason}{'' if detail is None else f', {detail}'}"
    return Refusal(name, means, error_body(status, reason, detail), status, to_a_change=to_a_change, scopes=scopes)


def quota_exhausted(
    status: int, reason: str, detail: str | None = None, *, hour_known: bool
) -> tuple[Refusal, Refusal]:
    """An exhausted quota: of an API key for reads, of the application for changes."""
    name, body = f"{status} {reason}{', the hour known' if hour_known else ''}", error_body(status, reason, detail)
    headers, seconds = (WINTER, 7200.0) if hour_known else ({}, None)
    return (
        Refusal(
            f"{name}, of a key", Throttled, body, status, headers,
            retry_after=seconds, scope=LimitScope.TOKEN, refuses="reads",
        ),
        Refusal(
            f"{name}, of the application", Throttled, body, status, headers,
            retry_after=seconds, scope=LimitScope.APP, refuses="changes",
        ),
    )  # fmt: skip


def token_error(means: type[PlatformError], status: int, reason: str) -> Refusal:
    return Refusal(
        f"{status} {reason}", means, {"error": reason, "error_description": "of Google's"}, status,
        to_a_change=OutcomeUnknown if means is Transient else None,
    )  # fmt: skip


def rounded(size: int) -> int:
    """A channel's size rounded down to three digits, as YouTube returns it."""
    step: int = 10 ** max(len(str(size)) - 3, 0)
    return size // step * step


SPECIMEN: Final = Specimen(
    address="https://www.youtube.com/channel/UC_x5XG1OV2P6uZZ5FSM9Ttw",
    external_id="UC_x5XG1OV2P6uZZ5FSM9Ttw",
    tokens={
        Token.APP: "AIzaSyA1youtube0key0secret0kWm3",
        Token.COMMUNITY: "ya29.a0youtube0access0secret0Zq8",
        Token.REFRESH: "1//0gyoutube0refresh0secret0Tx5",
    },
    app={"client_id": "1234-abc.apps.googleusercontent.com", "client_secret": "GOCSPX-youtube0client0secret0"},
    post_ids=("dQw4w9WgXcQ", "JE8xdDp5B8Q"),
    comment=ReplyTo(
        "UgyWeTdgc4sc1xgmbld4AaABAg", "UgyWeTdgc4sc1xgmbld4AaABAg:UC5", MessageKind.COMMENT, customer("UC5"),
        "JE8xdDp5B8Q",
    ),
    refusals=(
        *quota_exhausted(403, "quotaExceeded", hour_known=True),
        *quota_exhausted(403, "dailyLimitExceeded", hour_known=False),
        *quota_exhausted(403, "rateLimitExceeded", hour_known=False),
        *quota_exhausted(403, "userRateLimitExceeded", hour_known=False),
        *quota_exhausted(429, "rateLimitExceeded", "RATE_LIMIT_EXCEEDED", hour_known=False),
        error(AuthExpired, 400, "keyInvalid"),
        error(AuthExpired, 400, "badRequest", "API_KEY_INVALID"),
        error(AuthExpired, 401, "authError"),
        error(AuthExpired, 401, "required", "CREDENTIALS_MISSING"),
        error(MissingPermission, 403, "insufficientPermissions", scopes=(FORCE_SSL,)),
        error(MissingPermission, 403, "forbidden", "ACCESS_TOKEN_SCOPE_INSUFFICIENT", scopes=(FORCE_SSL,)),
        error(MissingPermission, 403, "forbidden", scopes=()),
        error(MissingPermission, 403, "accessNotConfigured", "SERVICE_DISABLED", scopes=()),
        error(MissingPermission, 403, "SERVICE_UNAVAILABLE", scopes=()),
        error(Gone, 404, "channelNotFound"),
        error(Gone, 404, "videoNotFound"),
        error(Gone, 404, "playlistNotFound"),
        error(Gone, 404, "commentNotFound"),
        error(Rejected, 403, "commentsDisabled"),
        error(Rejected, 400, "invalidParameter"),
        error(Rejected, 400, "commentTextTooLong"),
        error(Transient, 400, "processingFailure", to_a_change=OutcomeUnknown),
        error(Transient, 500, "backendError", to_a_change=OutcomeUnknown),
        error(Transient, 503, "SERVICE_UNAVAILABLE", to_a_change=OutcomeUnknown),
        Refusal("a broken server", Transient, b"<html>", 502, to_a_change=OutcomeUnknown),
    ),
    refresh_refusals=(
        token_error(AuthExpired, 400, "invalid_grant"),
        token_error(AuthExpired, 400, "unauthorized_client"),
        token_error(Rejected, 401, "invalid_client"),
        token_error(Rejected, 400, "invalid_request"),
        token_error(Transient, 500, "internal_failure"),
    ),
    listed_by_conversations=frozenset({MessageKind.COMMENT}),
    reported_size=rounded,
    limits=(Limited("units", LimitScope.TOKEN),),
    codes={
        "quotaExceeded": Throttled, "dailyLimitExceeded": Throttled, "rateLimitExceeded": Throttled,
        "userRateLimitExceeded": Throttled, "badRequest": AuthExpired, "keyInvalid": AuthExpired,
        "authError": AuthExpired, "required": AuthExpired, "forbidden": MissingPermission,
        "insufficientPermissions": MissingPermission, "accessNotConfigured": MissingPermission,
        "channelNotFound": Gone, "videoNotFound": Gone, "playlistNotFound": Gone, "commentNotFound": Gone,
        "parentCommentNotFound": Gone, "commentsDisabled": Rejected, "invalidPageToken": Rejected,
        "invalidParameter": Rejected, "missingRequiredParameter": Rejected, "parentIdMissing": Rejected,
        "commentTextRequired": Rejected, "commentTextTooLong": Rejected, "operationNotSupported": Rejected,
        "processingFailure": Transient, "backendError": Transient, "backendNotConnected": Transient,
    },
)  # fmt: skip
