"""Google's errors, by reason. Source: developers.google.com/youtube/v3/docs/errors."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from sandbox.network import json_response

_QUOTA: Final = (
    'The request cannot be completed because you have exceeded your <a href="/youtube/v3/getting-started#quota">'
    "quota</a>."
)
_OFF: Final = 'The video identified by the <code><a href="#videoId">videoId</a></code> parameter has disabled comments.'

NO_KEY: Final = "The request is missing a valid API key."
"""Also sent with the reason `forbidden`."""

_STATUSES: Final = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND"}

REASONS: Final[dict[str, tuple[int, str, str]]] = {
    "quotaExceeded": (403, "youtube.quota", _QUOTA),
    "dailyLimitExceeded": (403, "usageLimits", "Daily Limit Exceeded."),
    "rateLimitExceeded": (403, "usageLimits", "Rate Limit Exceeded"),
    "userRateLimitExceeded": (403, "usageLimits", "User Rate Limit Exceeded"),
    "forbidden": (403, "youtube.comment", "The comment cannot be created due to insufficient permissions."),
    "insufficientPermissions": (403, "global", "Request had insufficient authentication scopes."),
    "accessNotConfigured": (403, "usageLimits", "YouTube Data API v3 has not been used in project 1 before."),
    "commentsDisabled": (403, "youtube.commentThread", _OFF),
    "authError": (401, "global", "Request had invalid authentication credentials."),
    "required": (401, "global", "API keys are not supported by this API. Expected OAuth2 access token."),
    "badRequest": (400, "global", "API key not valid. Please pass a valid API key."),
    "keyInvalid": (400, "usageLimits", "Bad Request"),
    "missingRequiredParameter": (400, "youtube.parameter", "No filter selected."),
    "invalidParameter": (400, "youtube.parameter", "Request contains an invalid argument."),
    "invalidPageToken": (400, "youtube.parameter", "The request specifies an invalid page token."),
    "parentIdMissing": (400, "youtube.comment", "The comment that is being inserted must be linked to a parent."),
    "commentTextRequired": (400, "youtube.comment", "The comment must have text."),
    "commentTextTooLong": (400, "youtube.comment", "The comment has too many characters."),
    "operationNotSupported": (400, "youtube.comment", "The API user cannot answer an answer."),
    "processingFailure": (400, "youtube.comment", "The API server failed to successfully process the request."),
    "channelNotFound": (404, "youtube.commentThread", "The channel cannot be found."),
    "videoNotFound": (404, "youtube.commentThread", "The video cannot be found."),
    "playlistNotFound": (404, "youtube.playlistItem", "The playlist cannot be found."),
    "commentNotFound": (404, "youtube.comment", "The comment cannot be found."),
    "parentCommentNotFound": (404, "youtube.comment", "The parent comment cannot be found."),
    "backendError": (500, "global", "Internal error encountered."),
    "backendNotConnected": (503, "global", "The service is currently unavailable."),
}

_INFO: Final = {
    "badRequest": "API_KEY_INVALID",
    "insufficientPermissions": "ACCESS_TOKEN_SCOPE_INSUFFICIENT",
    "required": "CREDENTIALS_MISSING",
    "authError": "ACCESS_TOKEN_EXPIRED",
    "accessNotConfigured": "SERVICE_DISABLED",
}
"""The `ErrorInfo` reason that some errors have in `details`."""


class RefusedError(Exception):
    """The request is refused; `args` are the reason and optionally a message instead of the usual one."""


def refusal(reason: str, message: str | None = None) -> Response:
    """The error response. Raises `ValueError` for an unknown reason."""
    if reason not in REASONS:
        raise ValueError(f"YouTube has no error {reason}; there are {', '.join(sorted(REASONS))}")
    status, domain, message = REASONS[reason] if message is None else (REASONS[reason][0], "global", message)
    error: dict[str, object] = {
        "code": status,
        "message": message,
        "errors": [{"message": message, "domain": domain, "reason": reason}],
    }
    if domain == "global" and status in _STATUSES:
        error["status"] = _STATUSES[status]
    if (info := _INFO.get(reason)) is not None:
        error["details"] = [
            {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": info, "domain": "googleapis.com"}
        ]
    return json_response({"error": error}, status)
