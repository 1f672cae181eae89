"""What Bluesky's errors mean for us.

An error is `{"error": name, "message": words}`. Names are few, and `InvalidRequest` and `InvalidToken`
say several things, which only the words tell apart. Sources: the lexicons, and the servers' own code
(bluesky-social/atproto, `packages/pds` and `packages/bsky`).
"""

import re
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Final

import httpx
from pydantic import ValidationError

from app.platforms import wire
from app.platforms.bluesky import calls
from app.platforms.bluesky.wire_models import Complaint
from app.platforms.contract import (
    LimitScope,
    Malformed,
    PlatformError,
    Throttled,
    Token,
)
from app.platforms.errors import ErrorMeaning, platform_error

PRIVILEGED: Final = "com.atproto.appPassPrivileged"
"""The scope of a session that was opened with an app password which may read direct messages."""


TEXTS: Final[Mapping[ErrorMeaning, str]] = {
    ErrorMeaning.AUTH_EXPIRED: "Bluesky does not accept the token",
    ErrorMeaning.FORBIDDEN: "the account may not do this",
    ErrorMeaning.GONE: "Bluesky has no such account, post or conversation",
}
"""What a person should know; the other meanings say it themselves."""
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
    "MethodNotImplemented": ErrorMeaning.REJECTED,
}
MESSAGES: Final = {
    "AuthFactorTokenRequired": "this password opens nothing without a code by email: use an app password"
}
UNPRIVILEGED: Final = re.compile(r"bad token (scope|method)", re.IGNORECASE)
"""An `InvalidToken` that is good, but of an app password which may not do this."""
MISSING: Final = re.compile(
    r"(profile|post|actor|account|user|record|repo|convo|conversation|message) not found"
    r"|could not (find|locate) (user|account|repo|root|record|post|profile|convo|message)"
    r"|unable to resolve handle",
    re.IGNORECASE,
)
"""An `InvalidRequest` about something that is not there."""

EVERYBODYS: Final = "3000;w=300"
"""The `ratelimit-policy` of the limit that all calls from our network address share."""


def classified(response: httpx.Response, secrets: Collection[str]) -> PlatformError | None:
    """What went wrong, by the error's name, else by its words and its status; None where nothing did.

    `secrets` are kept out of the words, should the platform repeat them.
    """
    if response.is_success:
        return None
    method = calls.method_of(response)
    complaint, status = _complaint(response), response.status_code
    platform_code = complaint.error if NAME.fullmatch(complaint.error) is not None else str(status)
    if status == httpx.codes.TOO_MANY_REQUESTS or complaint.error == "RateLimitExceeded":
        return Throttled(
            "Bluesky asks for fewer calls",
            retry_after=wire.retry_after(response, reset_of(response)),
            scope=scope_of(response),
            platform_code=platform_code,
        )
    if not (response.is_client_error or response.is_server_error):
        return Malformed("the server sends us elsewhere, where we do not follow", platform_code=platform_code)
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


def reset_of(response: httpx.Response) -> datetime | None:
    """When the limit starts anew, which Bluesky tells in seconds since 1970."""
    seconds = response.headers.get("ratelimit-reset", "")
    return wire.unix(int(seconds)) if re.fullmatch(r"[0-9]{1,12}", seconds) else None


def scope_of(response: httpx.Response) -> LimitScope:
    """Whom the limit concerns that an answer tells of: some methods have limits for each account."""
    everybodys = response.headers.get("ratelimit-policy") == EVERYBODYS
    return LimitScope.COMMUNITY if calls.method_of(response) in calls.UNITS and not everybodys else LimitScope.ADDRESS


def _meaning(complaint: Complaint, status: int) -> ErrorMeaning:
    if complaint.error == "InvalidToken" and UNPRIVILEGED.search(complaint.message):
        return ErrorMeaning.FORBIDDEN
    if (named := NAMES.get(complaint.error)) is not None:
        return named
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
