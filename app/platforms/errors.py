"""The errors that adapters raise, and what a platform's error codes mean, in one vocabulary for all of them.

    PlatformError
    ├── Throttled           too many calls: when to try again, and what the limit is counted for
    ├── AuthExpired         the token is no longer valid: a person must reconnect
    ├── MissingPermission   the token is valid but may not do this: names the scopes
    │   └── TokenMissing    no token was given, and the platform, or this server, wants one
    ├── Rejected            the platform refused the content; a person can correct it
    ├── Gone                what was requested does not exist (any more)
    ├── Unsupported         the server does not have this function at all
    ├── Unreadable          the platform does not let this one item be read (comments closed under a post)
    ├── Transient           the platform fails for now; trying later is right
    ├── Malformed           the response cannot be parsed
    └── OutcomeUnknown      a change was sent and no response came: it may or may not have been made

Each platform keeps its own table of codes beside its adapter; one without codes (Telegram, Mastodon) makes its
errors itself.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar, TypeVar

import httpx

from app.platforms.spec import LimitScope, Token

Code = TypeVar("Code", int, str)


@dataclass(frozen=True, slots=True)
class Bypass:
    """How a scan of a list goes on where its next page failed, perhaps because of one item (`PlatformError.bypass`)."""

    cursor: str
    """Instead of the cursor that failed: of a smaller page of the same items, or of what follows `item`."""
    item: str | None = None
    """The id of the item that `cursor` leaves out; None: it leaves out none."""
    retry: str | None = None
    """The cursor of a scan that reads `item` alone, for a later time."""
    complete: bool = False
    """Nothing follows: the scan is complete, and `cursor` begins the next one."""


class PlatformError(Exception):
    """A platform did not do what was requested. `message` is for people and holds no secret.

    Adapters report which items failed, and the caller (`communities.polling.unread_items`) decides: an error of a
    call for named items (`Adapter.metrics`, `ListsComments.comments`) may be caused by one of these; one of a list's
    page has a `bypass` where it may.
    """

    code: ClassVar[str] = "platform-error"
    bypass: Bypass | None = None
    """For a page of a list that failed: the scan can go on without what failed."""

    def __init__(self, message: str, *, platform_code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.platform_code = platform_code

    @property
    def may_be_one_items(self) -> bool:
        """Whether one of the requested items may be the cause, so that a call for the others could succeed."""
        return isinstance(self, Gone | MissingPermission | Rejected | Malformed | Unreadable)


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


class TokenMissing(MissingPermission):
    """The platform, or this server of it, wants a token, and none was given. Raised for adapters' `AuthExpired`."""

    code = "token-missing"


class Rejected(PlatformError):
    """The platform refused this very request; repeating it unchanged is useless."""

    code = "rejected"


class Gone(PlatformError):
    """What was requested does not exist, or no longer."""

    code = "gone"


class Unsupported(PlatformError):
    """The server does not have this function: it is another software, or an older version. Nothing is wrong."""

    code = "unsupported"


class Unreadable(PlatformError):
    """The platform does not let the requested item be read, whatever the token may do; it lets others be read."""

    code = "unreadable"


class Transient(PlatformError):
    """The platform fails or cannot be reached; nothing was changed there."""

    code = "transient"

    @property
    def may_be_one_items(self) -> bool:
        """True where the platform itself answered: not a gateway in front of it, and there was an answer."""
        return self.platform_code is not None and self.platform_code not in {"502", "503", "504"}


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
    UNSUPPORTED = "the server does not have this function"
    UNREADABLE = "{platform} does not let this be read"
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
        case ErrorMeaning.UNSUPPORTED:
            return Unsupported(message, platform_code=platform_code)
        case ErrorMeaning.UNREADABLE:
            return Unreadable(message, platform_code=platform_code)
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
