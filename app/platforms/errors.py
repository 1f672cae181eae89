"""The errors that adapters raise, and what a platform's error codes mean, in one vocabulary for all of them.

    PlatformError
    ├── Throttled           too many calls: when to try again, and what the limit is counted for
    ├── AuthExpired         the token is no longer valid: a person must reconnect
    ├── MissingPermission   the token is valid but may not do this: names the scopes
    ├── Rejected            the platform refused the content; a person can correct it
    ├── Gone                what was requested does not exist (any more)
    ├── Transient           the platform fails for now; trying later is right
    ├── Malformed           the response cannot be parsed
    └── OutcomeUnknown      a change was sent and no response came: it may or may not have been made

Each platform keeps its own table of codes beside its adapter; one without codes (Telegram, Mastodon) makes its
errors itself.
"""

from collections.abc import Callable, Collection, Mapping
from enum import Enum
from typing import ClassVar, TypeVar

import httpx

from app.platforms.spec import LimitScope, Token

Code = TypeVar("Code", int, str)


class PlatformError(Exception):
    """A platform did not do what was requested. `message` is for people and holds no secret."""

    code: ClassVar[str] = "platform-error"

    def __init__(self, message: str, *, platform_code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.platform_code = platform_code


class Throttled(PlatformError):
    """Too many calls, as counted for `scope`. `retry_after` is in seconds; None where the platform does not say."""

    code = "throttled"

    def __init__(
        self, message: str, *, retry_after: float | None, scope: LimitScope, platform_code: str | None = None
    ) -> None:
        super().__init__(message, platform_code=platform_code)
        self.retry_after = retry_after
        self.scope = scope


class AuthExpired(PlatformError):
    """The token `token` is expired, revoked or missing."""

    code = "auth-expired"

    def __init__(self, message: str, *, token: Token | None = None, platform_code: str | None = None) -> None:
        super().__init__(message, platform_code=platform_code)
        self.token = token


class MissingPermission(PlatformError):
    """The token may not do this; `scopes` are the permissions it lacks, where they are known."""

    code = "missing-permission"

    def __init__(self, message: str, *, scopes: tuple[str, ...] = (), platform_code: str | None = None) -> None:
        super().__init__(message, platform_code=platform_code)
        self.scopes = scopes


class Rejected(PlatformError):
    """The platform refused this very request; repeating it unchanged is useless."""

    code = "rejected"


class Gone(PlatformError):
    """What was requested does not exist, or no longer."""

    code = "gone"


class Transient(PlatformError):
    """The platform fails or cannot be reached; nothing was changed there."""

    code = "transient"


class Malformed(PlatformError):
    """The platform's response cannot be parsed."""

    code = "malformed"


class OutcomeUnknown(PlatformError):
    """A change was sent, and its response did not arrive or cannot be parsed: check before sending it again."""

    code = "outcome-unknown"


class ErrorMeaning(Enum):
    """What an error code means. The value is the message for people; `{platform}` is the platform's title."""

    THROTTLED = "too many calls"
    QUOTA_EXHAUSTED = "the day's quota is used up"
    BLOCKED = "{platform} has blocked this action for a while"
    AUTH_EXPIRED = "the token is not accepted"
    FORBIDDEN = "the token may not do this"
    MISSING_SCOPES = "the token's scopes do not cover this"
    GONE = "there is no such thing"
    UNAVAILABLE = "{platform} is unwell"
    NOT_DONE = "it was not done, and may be tried again"
    REJECTED = "{platform} refused the request"

    def text(self, platform: str) -> str:
        """The message for people."""
        return self.value.format(platform=platform)


def table(codes: Mapping[ErrorMeaning, Collection[Code]]) -> Mapping[Code, ErrorMeaning]:
    """Meanings by code, from the codes of each meaning."""
    return {code: meaning for meaning, each in codes.items() for code in each}


def platform_error(
    meaning: ErrorMeaning,
    message: str,
    *,
    platform_code: str,
    changes: bool = False,
    token: Token | None = None,
    scopes: tuple[str, ...] = (),
) -> PlatformError:
    """The error for a meaning. `changes`: the request was a change, so that a failure of the platform leaves open
    whether it was made.

    Raises `ValueError` for `THROTTLED`, `QUOTA_EXHAUSTED` and `BLOCKED`: `Throttled` needs a time and a scope.
    """
    match meaning:
        case ErrorMeaning.AUTH_EXPIRED:
            return AuthExpired(message, token=token, platform_code=platform_code)
        case ErrorMeaning.FORBIDDEN | ErrorMeaning.MISSING_SCOPES:
            return MissingPermission(message, scopes=scopes, platform_code=platform_code)
        case ErrorMeaning.GONE:
            return Gone(message, platform_code=platform_code)
        case ErrorMeaning.UNAVAILABLE if changes:
            return OutcomeUnknown(message, platform_code=platform_code)
        case ErrorMeaning.UNAVAILABLE | ErrorMeaning.NOT_DONE:
            return Transient(message, platform_code=platform_code)
        case ErrorMeaning.REJECTED:
            return Rejected(message, platform_code=platform_code)
        case _:
            raise ValueError(f"{meaning} says nothing of when to try again")


def naming_token(
    classify: Callable[[httpx.Response], PlatformError | None], kind: Token
) -> Callable[[httpx.Response], PlatformError | None]:
    """As `classify`, with `AuthExpired.token` set to the kind of token that the request was made with."""

    def classify_for_token(response: httpx.Response) -> PlatformError | None:
        error = classify(response)
        if isinstance(error, AuthExpired):
            error.token = kind
        return error

    return classify_for_token
