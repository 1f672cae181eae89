"""Odnoklassniki's error codes and the meaning of each. Source: apiok.ru, "Errors"; names as there.

OK returns status 200 for almost all errors; `error_code` decides. Unverified: when a "blocked" or a "limit"
ends, which OK does not say.
"""

from collections.abc import Mapping
from typing import Final

import httpx
from pydantic import ValidationError

from app.platforms import wire
from app.platforms.contract import (
    AuthExpired,
    LimitScope,
    Malformed,
    PlatformError,
    Rejected,
    Throttled,
)
from app.platforms.errors import ErrorMeaning, platform_error, table
from app.platforms.odnoklassniki import wire_models as ok

TITLE: Final = "Odnoklassniki"

THROTTLED_SCOPES: Final[Mapping[int, LimitScope]] = {
    7: LimitScope.TOKEN,  # ACTION_BLOCKED
    8: LimitScope.TOKEN,  # FLOOD_BLOCKED
    9: LimitScope.ADDRESS,  # IP_BLOCKED
    11: LimitScope.TOKEN,  # LIMIT_REACHED
    26: LimitScope.APP,  # TOTAL_LIMIT_REACHED
}
"""The scope of each rate limit, by code."""

_RECONNECT = (
    *(102, 103),  # session expired, session key
    *(401, 402, 403, 453, 514),  # login, captcha, human check, session required, verification required
)
_FORBIDDEN = (
    *(10, 22, 23, 24, 25, 50, 200),  # not granted, not activated, not involved, not owner, not active, not admin
    *(101, 104, 105, 210, 900),  # the application: its key, its secret, disabled, unknown
    *(455, 456, 457, 458, 701),  # restrictions of friends, groups and privacy; another author
)
_GONE = (
    *(106, 140, 141, 160, 300),  # ids of an entity, a message, a comment, a group; NOT_FOUND
    *(700, 702, 705, 706),  # comment and chat not found, not active any more
)
_UNAVAILABLE = (1, 2, 30, 31, 5000, 9999)
_REJECTED = (
    *(3, 4, 12, 21),
    *(100, 110, 120, 121, 130, 150, 151, 211, 212, 213, 214, 220),
    *(324, 451, 454),
    *(500, 501, 502, 503, 504, 505, 508, 511, 512, 513),  # photos; 511: the antispam
    *(600, 601, 602, 603, 604, 605, 606, 607, 610),  # topics
    *(704, 707, 708, 709, 800, 801, 802),
    *(1001, 1003, 1004, 1005, 1101, 1102, 1103, 1200, 1300, 1301, 1302, 1400, 1401, 2001),
)

CODES: Final[Mapping[int, ErrorMeaning]] = table(
    {
        ErrorMeaning.THROTTLED: tuple(THROTTLED_SCOPES),
        ErrorMeaning.AUTH_EXPIRED: _RECONNECT,
        ErrorMeaning.FORBIDDEN: _FORBIDDEN,
        ErrorMeaning.GONE: _GONE,
        ErrorMeaning.UNAVAILABLE: _UNAVAILABLE,
        ErrorMeaning.REJECTED: _REJECTED,
    }
)

UNDOCUMENTED: Final = ErrorMeaning.UNAVAILABLE
"""The meaning of an undocumented code: trying later is harmless, giving up is not."""

MESSAGES: Final[Mapping[int, str]] = {
    7: "Odnoklassniki has blocked this action for a while",
    8: "Odnoklassniki's flood control stopped the same action being done too often",
    9: "Odnoklassniki has blocked our network address",
    10: "the token has not been granted this permission",
    11: "the limit of calls of this method is reached",
    50: "the token's owner is no administrator of the group",
    100: "Odnoklassniki says that a parameter is missing or wrong",
    101: "Odnoklassniki does not know the application's key",
    102: "the token has expired",
    103: "Odnoklassniki no longer accepts the token",
    104: "the signature is wrong: the application's secret, or a token of another application",
    200: "the application may not do this",
    210: "Odnoklassniki has switched the application off",
    454: "Odnoklassniki's censor refused the text",
    456: "the group does not allow this",
    458: "this person's privacy settings do not allow this",
    511: "Odnoklassniki takes this for spam",
    514: "Odnoklassniki wants the token's owner to verify themselves",
    600: "the post has more parts than Odnoklassniki allows",
    601: "the text is longer than Odnoklassniki allows",
    607: "Odnoklassniki does not understand a link in the post",
}
"""The message for people; for other codes it is the meaning's."""

OAUTH: Final[Mapping[str, ErrorMeaning]] = {
    "invalid_client": ErrorMeaning.FORBIDDEN,
    "unauthorized_client": ErrorMeaning.FORBIDDEN,
    "server_error": ErrorMeaning.UNAVAILABLE,
    "temporarily_unavailable": ErrorMeaning.UNAVAILABLE,
}
"""The error names of the token endpoint (RFC 6749, 5.2); all others mean that a person must reconnect."""

CHANGES: Final = "odnoklassniki.changes"
"""In a request's `extensions`: the request is a change. All methods share one path, so the URL does not show it."""


def from_answer(response: httpx.Response) -> PlatformError | None:
    """The error that a response reports, by OK's own code where there is one, whatever the status."""
    request = wire.request_of(response)
    changes = request is not None and CHANGES in request.extensions
    code = _code(response)
    if code is None:
        error = _from_oauth(response, changes=changes) if _is_oauth(request) else None
        return error or _from_status(response, changes=changes)
    meaning, platform_code = CODES.get(code, UNDOCUMENTED), str(code)
    message = MESSAGES.get(code, f"{meaning.text(TITLE)} (Odnoklassniki's error {code})")
    if meaning is ErrorMeaning.THROTTLED:
        return Throttled(
            message, retry_after=wire.retry_after(response), scope=THROTTLED_SCOPES[code], platform_code=platform_code
        )
    return platform_error(meaning, message, platform_code=platform_code, changes=changes)


def _code(response: httpx.Response) -> int | None:
    """The error code in the body, or else in the header that OK also sends it in."""
    try:
        return ok.FAILURE.validate_json(response.content).error_code
    except ValidationError:
        header = response.headers.get("invocation-error", "").strip()
    return int(header) if header.isascii() and header.isdigit() and len(header) < 10 else None


def _is_oauth(request: httpx.Request | None) -> bool:
    return request is not None and request.url.path == "/oauth/token.do"


def _from_oauth(response: httpx.Response, *, changes: bool) -> PlatformError | None:
    """The error that the token endpoint reports; None where the body has none."""
    try:
        name = ok.OAUTH_FAILURE.validate_json(response.content).error
    except ValidationError:
        return None
    meaning = OAUTH.get(name, ErrorMeaning.AUTH_EXPIRED)
    code = name if name in OAUTH else "invalid_grant"
    return platform_error(meaning, meaning.text(TITLE), platform_code=code, changes=changes)


def _from_status(response: httpx.Response, *, changes: bool) -> PlatformError | None:
    code = str(response.status_code)
    if response.is_success:
        return None
    if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
        wait = wire.retry_after(response)
        return Throttled(
            ErrorMeaning.THROTTLED.text(TITLE), retry_after=wait, scope=LimitScope.TOKEN, platform_code=code
        )
    if response.status_code == httpx.codes.UNAUTHORIZED:
        return AuthExpired(MESSAGES[103], platform_code=code)
    if response.is_server_error:
        meaning = ErrorMeaning.UNAVAILABLE
        return platform_error(meaning, meaning.text(TITLE), platform_code=code, changes=changes)
    if response.is_client_error and response.status_code != httpx.codes.NOT_FOUND:
        return Rejected(ErrorMeaning.REJECTED.text(TITLE), platform_code=code)
    return Malformed("this is not a response of Odnoklassniki: the API's address may be wrong", platform_code=code)
