"""What a platform's error codes mean, in one vocabulary for all of them, and the `PlatformError` for each meaning.

Each platform keeps its own table of codes beside its adapter; one that does without codes (Telegram, Mastodon)
makes its errors itself.
"""

from collections.abc import Collection, Mapping
from enum import Enum
from typing import TypeVar

from app.platforms.contract import (
    AuthExpired,
    Gone,
    MissingPermission,
    OutcomeUnknown,
    PlatformError,
    Rejected,
    Token,
    Transient,
)

Code = TypeVar("Code", int, str)


class ErrorMeaning(Enum):
    """What an error code means, in words for a person; `{platform}` is the platform's name."""

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
        """The meaning in words for a person."""
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
    """The error for a meaning. `changes`: it answers a change, of which a failing platform leaves open whether it
    was made.

    Not for `THROTTLED`, `QUOTA_EXHAUSTED` and `BLOCKED`: `Throttled` needs to know for how long and for whom.
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
            raise ValueError(f"{meaning} says nothing of when to come back")
