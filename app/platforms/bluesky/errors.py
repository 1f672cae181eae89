"""What Bluesky's errors mean for us.

An error is `{"error": name, "message": words}`. Names are few, and `InvalidRequest` and `InvalidToken`
say several things, which only the words tell apart. Sources: the lexicons, and the servers' own code
(bluesky-social/atproto, `packages/pds` and `packages/bsky`).
"""

import re
from collections.abc import Collection, Mapping
from datetime import datetime
from enum import Enum
from typing import Final

import httpx
from pydantic import ValidationError

from app.platforms import wire
from app.platforms.bluesky import calls
from app.platforms.bluesky.wire_models import Complaint
from app.platforms.contract import (
    AuthExpired,
    Gone,
    Malformed,
    MissingPermission,
    OutcomeUnknown,
    PlatformError,
    Rejected,
    Scope,
    Throttled,
    Token,
    Transient,
)

PRIVILEGED: Final = "com.atproto.appPassPrivileged"
"""The scope of a session that was opened with an app password which may read direct messages."""


class ErrorMeaning(Enum):
    """A kind of error, in words for a person."""

    RECONNECT = "Bluesky does not accept the token"
    FORBIDDEN = "the account may not do this"
    GONE = "Bluesky has no such account, post or conversation"
    UNWELL = "Bluesky is unwell"
    REFUSED = "Bluesky refused the request"


NAME: Final = re.compile(r"[A-Za-z]{1,60}")
NAMES: Final[Mapping[str, ErrorMeaning]] = {
    "ExpiredToken": ErrorMeaning.RECONNECT,
    "InvalidToken": ErrorMeaning.RECONNECT,
    "AuthMissing": ErrorMeaning.RECONNECT,
    "AuthenticationRequired": ErrorMeaning.RECONNECT,
    "AuthFactorTokenRequired": ErrorMeaning.RECONNECT,
    "MissingTokenId": ErrorMeaning.RECONNECT,
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
    "ConcurrentWrites": ErrorMeaning.UNWELL,
    "UpstreamFailure": ErrorMeaning.UNWELL,
    "UpstreamTimeout": ErrorMeaning.UNWELL,
    "NotEnoughResources": ErrorMeaning.UNWELL,
    "InternalServerError": ErrorMeaning.UNWELL,
    "MethodNotImplemented": ErrorMeaning.REFUSED,
}
WORDS: Final = {"AuthFactorTokenRequired": "this password opens nothing without a code by email: use an app password"}
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
    said, status = _complaint(response), response.status_code
    told = said.error if NAME.fullmatch(said.error) is not None else str(status)
    if status == httpx.codes.TOO_MANY_REQUESTS or said.error == "RateLimitExceeded":
        return Throttled(
            "Bluesky asks for fewer calls",
            retry_after=wire.retry_after(response, reset_of(response)),
            scope=scope_of(response),
            platform_code=told,
        )
    if not (response.is_client_error or response.is_server_error):
        return Malformed("the server sends us elsewhere, where we do not follow", platform_code=told)
    means = _means(said, status)
    if means is ErrorMeaning.UNWELL:
        if method in calls.CHANGES:
            return OutcomeUnknown("Bluesky failed while it handled the change", platform_code=told)
        return Transient(means.value, platform_code=told)
    if means is ErrorMeaning.FORBIDDEN:
        scopes = (PRIVILEGED,) if UNPRIVILEGED.search(said.message) else ()
        return MissingPermission(means.value, scopes=scopes, platform_code=told)
    if means is ErrorMeaning.RECONNECT:
        return AuthExpired(WORDS.get(told, means.value), token=Token.COMMUNITY, platform_code=told)
    if means is ErrorMeaning.GONE:
        return Gone(means.value, platform_code=told)
    detail = wire.explanation(said.message, secrets)
    return Rejected(f"{means.value}: {detail}" if detail else means.value, platform_code=told)


def reset_of(response: httpx.Response) -> datetime | None:
    """When the limit starts anew, which Bluesky tells in seconds since 1970."""
    seconds = response.headers.get("ratelimit-reset", "")
    return wire.unix(int(seconds)) if re.fullmatch(r"[0-9]{1,12}", seconds) else None


def scope_of(response: httpx.Response) -> Scope:
    """Whom the limit concerns that an answer tells of: some methods have limits for each account."""
    everybodys = response.headers.get("ratelimit-policy") == EVERYBODYS
    return Scope.COMMUNITY if calls.method_of(response) in calls.UNITS and not everybodys else Scope.ADDRESS


def _means(said: Complaint, status: int) -> ErrorMeaning:
    if said.error == "InvalidToken" and UNPRIVILEGED.search(said.message):
        return ErrorMeaning.FORBIDDEN
    if (named := NAMES.get(said.error)) is not None:
        return named
    if status == httpx.codes.UNAUTHORIZED:
        return ErrorMeaning.RECONNECT
    if status == httpx.codes.FORBIDDEN:
        return ErrorMeaning.FORBIDDEN
    if status >= httpx.codes.INTERNAL_SERVER_ERROR or status == httpx.codes.REQUEST_TIMEOUT:
        return ErrorMeaning.UNWELL
    return ErrorMeaning.GONE if MISSING.search(said.message) else ErrorMeaning.REFUSED


def _complaint(response: httpx.Response) -> Complaint:
    try:
        return Complaint.model_validate_json(response.content)
    except ValidationError:
        return Complaint()
