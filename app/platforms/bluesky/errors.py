"""Bluesky's errors and their meanings.

An error is `{"error": name, "message": text}`. `InvalidRequest` and `InvalidToken` have several meanings, which only
the text distinguishes. Sources: the lexicons, and the servers' own code (bluesky-social/atproto, `packages/pds` and
`packages/bsky`).
"""

import re
from collections.abc import Collection, Mapping
from typing import Final

import httpx
from pydantic import ValidationError

from app.platforms import wire
from app.platforms.bluesky import calls, limits
from app.platforms.bluesky.wire_models import Complaint
from app.platforms.contract import Credentials, Malformed, PlatformError, Throttled, Token
from app.platforms.errors import ErrorMeaning, platform_error

PRIVILEGED: Final = "com.atproto.appPassPrivileged"
"""The scope of a session that was opened with an app password which may read direct messages."""

TEXTS: Final[Mapping[ErrorMeaning, str]] = {
    ErrorMeaning.AUTH_EXPIRED: "Bluesky does not accept the token",
    ErrorMeaning.FORBIDDEN: "the account may not do this",
    ErrorMeaning.GONE: "Bluesky has no such account, post or conversation",
}
"""Messages for people, where the meaning's own says too little."""
NAME: Final = re.compile(r"[A-Za-z]{1,60}")
NAMES: Final[Mapping[str, ErrorMeaning]] = {
    "ExpiredToken": ErrorMeaning.AUTH_EXPIRED,
    "InvalidToken": ErrorMeaning.AUTH_EXPIRED,
    "AuthMissing": ErrorMeaning.AUTH_EXPIRED,
    "AuthenticationRequired": ErrorMeaning.AUTH_EXPIRED,
    "AuthFactorTokenRequired": ErrorMeaning.AUTH_EXPIRED,
    "MissingTokenId": ErrorMeaning.AUTH_EXPIRED,
    "Forbidden": ErrorMeaning.FORBIDDEN,
    "BlockedActor": ErrorMeaning.FORBIDDEN,
    "BlockedByActor": ErrorMeaning.FORBIDDEN,
    "AccountTakedown": ErrorMeaning.GONE,
    "AccountDeactivated": ErrorMeaning.GONE,
    "AccountNotFound": ErrorMeaning.GONE,
    "RepoNotFound": ErrorMeaning.GONE,
    "RepoTakendown": ErrorMeaning.GONE,
    "RepoSuspended": ErrorMeaning.GONE,
    "RepoDeactivated": ErrorMeaning.GONE,
    "RecordNotFound": ErrorMeaning.GONE,
    "NotFound": ErrorMeaning.GONE,
    "InvalidConvo": ErrorMeaning.GONE,
    "ReplyTargetNotFound": ErrorMeaning.GONE,
    "ConcurrentWrites": ErrorMeaning.UNAVAILABLE,
    "UpstreamFailure": ErrorMeaning.UNAVAILABLE,
    "UpstreamTimeout": ErrorMeaning.UNAVAILABLE,
    "NotEnoughResources": ErrorMeaning.UNAVAILABLE,
    "InternalServerError": ErrorMeaning.UNAVAILABLE,
    "MethodNotImplemented": ErrorMeaning.UNSUPPORTED,
    "XRPCNotSupported": ErrorMeaning.UNSUPPORTED,
}
MESSAGES: Final = {
    "AuthFactorTokenRequired": "this password opens nothing without a code by email: use an app password"
}
UNPRIVILEGED: Final = re.compile(r"bad token (scope|method)", re.IGNORECASE)
"""The text of an `InvalidToken` for a valid token of an app password that may not do this."""
MISSING: Final = re.compile(
    r"(profile|post|actor|account|user|record|repo|convo|conversation|message) not found"
    r"|could not (find|locate) (user|account|repo|root|record|post|profile|convo|message)"
    r"|unable to resolve handle",
    re.IGNORECASE,
)
"""The text of an `InvalidRequest` about something that does not exist."""


def classifier(c: Credentials) -> wire.Classify:
    """`from_response` that keeps all tokens of the credentials out of messages."""
    return lambda response: from_response(response, c.tokens.values())


def from_response(response: httpx.Response, secrets: Collection[str]) -> PlatformError | None:
    """The error that a response reports, by its name, else by its text and status; None where it reports none.

    `secrets` are kept out of the message, should the platform repeat them.
    """
    if response.is_success:
        return None
    method = calls.method_of(response)
    complaint, status = _complaint(response), response.status_code
    platform_code = complaint.error if NAME.fullmatch(complaint.error) is not None else str(status)
    if status == httpx.codes.TOO_MANY_REQUESTS or complaint.error == "RateLimitExceeded":
        return Throttled(
            "Bluesky asks for fewer calls",
            retry_after=wire.retry_after(response, limits.resets_at(response)),
            scope=limits.scope_of(response),
            platform_code=platform_code,
        )
    if not (response.is_client_error or response.is_server_error):
        return Malformed("the server sends a redirect, which is not followed", platform_code=platform_code)
    meaning = _meaning(complaint, status)
    text = TEXTS.get(meaning, meaning.text("Bluesky"))
    changes = method in calls.CHANGES
    if meaning is ErrorMeaning.UNAVAILABLE and changes:
        text = "Bluesky failed while it handled the change"
    elif meaning is ErrorMeaning.AUTH_EXPIRED:
        text = MESSAGES.get(platform_code, text)
    elif meaning is ErrorMeaning.REJECTED and (detail := wire.explanation(complaint.message, secrets)):
        text = f"{text}: {detail}"
    return platform_error(
        meaning,
        text,
        platform_code=platform_code,
        changes=changes,
        token=Token.COMMUNITY,
        scopes=(PRIVILEGED,) if UNPRIVILEGED.search(complaint.message) else (),
    )


def _meaning(complaint: Complaint, status: int) -> ErrorMeaning:
    if complaint.error == "InvalidToken" and UNPRIVILEGED.search(complaint.message):
        return ErrorMeaning.FORBIDDEN
    if (meaning := NAMES.get(complaint.error)) is not None:
        return meaning
    if status == httpx.codes.UNAUTHORIZED:
        return ErrorMeaning.AUTH_EXPIRED
    if status == httpx.codes.FORBIDDEN:
        return ErrorMeaning.FORBIDDEN
    if status >= httpx.codes.INTERNAL_SERVER_ERROR or status == httpx.codes.REQUEST_TIMEOUT:
        return ErrorMeaning.UNAVAILABLE
    return ErrorMeaning.GONE if MISSING.search(complaint.message) else ErrorMeaning.REJECTED


def _complaint(response: httpx.Response) -> Complaint:
    try:
        return Complaint.model_validate_json(response.content)
    except ValidationError:
        return Complaint()
