"""VK's error codes and their meanings. Source: `errors.json` of VK's API schema 5.199.

Almost every response has status 200; `error.error_code` says what is wrong. Codes of methods that are not
called here (market, ads, stories …) are taken for `REJECTED`.
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
    OutcomeUnknown,
    PlatformError,
    Rejected,
    Throttled,
    Token,
)
from app.platforms.errors import ErrorMeaning, platform_error, table
from app.platforms.vk import wire_models as vk

_THROTTLED = (6, 9, 14, 29, 32, 103, 223, 601, 1105, 3300)
_AUTH_EXPIRED = (
    *(4, 5, 16, 17, 24, 25, 27, 28, 37, 38, 41),
    *(1114, 1116, 1117, 1118, 3301, 3302, 3303, 3304, 3609, 3610, 3611, 11500),
)
_FORBIDDEN = (
    *(2, 7, 11, 15, 20, 21, 30, 42, 141, 181, 182, 183, 200, 201, 203, 204, 205),
    *(250, 253, 260, 500, 600, 700, 701, 703, 704, 711),
    *(917, 922, 925, 932, 945, 947, 1012, 1051, 1151, 1153),
)
_GONE = (18, 19, 39, 40, 104, 125, 140, 180, 251, 629, 714, 927, 935, 936, 1600)
_UNREADABLE = (210, 211, 212, 213)
"""Of one post or comment: comments are closed, or it is not shown to the token."""
_UNAVAILABLE = (1, 10, 13, 36, 43, 106, 907, 908, 990)
_REJECTED = (
    *(3, 8, 12, 22, 23, 33, 34, 35),
    *(100, 101, 105, 113, 114, 118, 119, 121, 122, 129, 146, 147, 150, 171, 173, 174, 175, 176, 177),
    *(214, 219, 220, 221, 222, 224, 225, 232, 242, 243, 252, 300, 302, 602, 603),
    *(630, 631, 632, 633, 634, 635, 636, 702, 706, 800, 801),
    *(900, 901, 902, 909, 910, 911, 912, 913, 914, 919, 920, 921, 924, 931, 939, 940, 942, 943, 944, 946),
    *(949, 950, 962, 969, 970, 985, 987, 988, 1009, 1010, 1011),
    *(1150, 1152, 1154, 1155, 1160, 1170, 1251, 1256, 1257, 1260),
    *range(1400, 1527),  # market
    *(1602, 1900, 1901, 1902, 2000, 2100, 2101, 2102, 3102, 3305, 3800, 9999),
    *(11003, 11004, 11005, 11006, 11101, 11102),
)

CODES: Mapping[int, ErrorMeaning] = table(
    {
        ErrorMeaning.THROTTLED: _THROTTLED,
        ErrorMeaning.AUTH_EXPIRED: _AUTH_EXPIRED,
        ErrorMeaning.FORBIDDEN: _FORBIDDEN,
        ErrorMeaning.GONE: _GONE,
        ErrorMeaning.UNREADABLE: _UNREADABLE,
        ErrorMeaning.UNAVAILABLE: _UNAVAILABLE,
        ErrorMeaning.REJECTED: _REJECTED,
    }
)

UNKNOWN = ErrorMeaning.UNAVAILABLE
"""For a code that is not documented: reading again later is harmless, giving up is not."""

UNDECIDED = frozenset({1, 10, 13, 36})
"""Codes after which a change may or may not have been made; so after one that is not documented."""

NO_SUCH_PERMISSION: Final = "15"
NOT_WITH_THIS_TOKEN: Final = frozenset({NO_SUCH_PERMISSION, "27"})
"""Codes by which VK refuses a kind of token, or its scopes, before it does anything: another token may do it."""

RETRY_AFTER = {6: 1.0}
"""Seconds to wait, by the codes that imply it."""

MESSAGES: Mapping[int, str] = {
    5: "VK no longer accepts the token",
    6: "VK asks for fewer calls a second",
    9: "VK's flood control stopped the same action being done too often",
    14: "VK wants a captcha solved: wait, or act as a person once",
    15: "VK denies access to this",
    27: "VK does not accept the community's token",
    29: "the token's daily limit for this method is used up",
    100: "VK says that a parameter is missing or wrong",
    212: "comments under this post are closed, or VK does not show them to the token",
    213: "VK does not let this post be commented on",
    214: "VK does not let this post be added: 50 a day is its limit, and the token must be allowed to post",
    901: "this person has not allowed the community to write to them",
    902: "this person's privacy settings do not let the community write to them",
    914: "the message is longer than VK allows",
    1051: "VK does not let a token of VK ID do this: connect the community's own token",
    1117: "the token has expired",
}
"""Messages for people, where the meaning's own says too little."""

REFRESH_REFUSED: Final = frozenset({"invalid_grant", "invalid_token", "access_denied", "token_expired", "unauthorized"})
"""The errors with which VK ID refuses a refresh token. Unverified: that there are no others."""
BUSY: Final = frozenset({"slow_down", "too_many_requests"})
FAILING: Final = frozenset({"server_error", "internal_error", "temporarily_unavailable"})


def from_method(response: httpx.Response, *, changes: bool = False) -> PlatformError | None:
    """The error in a method's response; None where there is none.

    VK itself sends status 200 with an `error`; proxies in front of it send other statuses, mostly without one.
    """
    try:
        code = vk.FAILURE.validate_json(response.content).error.error_code
    except ValidationError:
        return None if response.is_success else _from_status(response, changes=changes)
    return _from_code(code, changes=changes, wait=wire.retry_after(response))


def from_id(response: httpx.Response) -> PlatformError | None:
    """The error in a response of VK ID, which names it as OAuth does, with any status; None where there is none."""
    try:
        name = vk.REFUSED.validate_json(response.content).error
    except ValidationError:
        return None if response.is_success else _from_status(response, changes=True)
    if name in REFRESH_REFUSED:
        return AuthExpired("VK ID no longer accepts the refresh token", token=Token.REFRESH)
    if name in BUSY:
        return Throttled(MESSAGES[6], retry_after=wire.retry_after(response), scope=LimitScope.TOKEN)
    if name in FAILING or response.is_server_error:
        return OutcomeUnknown("VK ID failed while it renewed the token")
    return Rejected("VK ID refuses to renew the token: the client_id or the device_id may be another's")


def _from_code(code: int, *, changes: bool, wait: float | None) -> PlatformError:
    meaning = CODES.get(code, UNKNOWN)
    message, platform_code = MESSAGES.get(code, f"{meaning.text('VK')} (VK's error {code})"), str(code)
    if changes and (code in UNDECIDED or code not in CODES):
        return OutcomeUnknown("VK failed while it handled the change", platform_code=platform_code)
    if meaning is ErrorMeaning.UNREADABLE and changes:
        return Rejected(message, platform_code=platform_code)
    if meaning is ErrorMeaning.THROTTLED:
        return Throttled(
            message, retry_after=RETRY_AFTER.get(code, wait), scope=LimitScope.TOKEN, platform_code=platform_code
        )
    return platform_error(meaning, message, platform_code=platform_code)


def _from_status(response: httpx.Response, *, changes: bool) -> PlatformError:
    code = str(response.status_code)
    if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
        return Throttled(
            MESSAGES[6], retry_after=wire.retry_after(response), scope=LimitScope.TOKEN, platform_code=code
        )
    if response.status_code == httpx.codes.UNAUTHORIZED:
        return AuthExpired(MESSAGES[5], platform_code=code)
    if response.is_server_error:
        message = ErrorMeaning.UNAVAILABLE.text("VK")
        return platform_error(ErrorMeaning.UNAVAILABLE, message, platform_code=code, changes=changes)
    return Malformed("this is not how VK answers: the API's address may be wrong", platform_code=code)
