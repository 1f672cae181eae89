"""Graph's errors, and the `PlatformError` for each.

Every error is `{"error": {"message", "type", "code", "error_subcode", "is_transient",
"error_user_msg", "fbtrace_id"}}`, mostly with status 400, sometimes 200 or 500: the code decides,
and where the code is ambiguous, its subcode. Old errors have no code, or have it in the message; errors
of logins are `{"error_type", "error_message", "code": 400}`. Sources: Graph's, Messenger's and
Instagram's lists of error codes, and the codes that other clients treat as an expired token. Unverified:
5, 21, 341, 450 to 453, and that -2 means "not done".
"""

import re
from collections.abc import Mapping
from typing import Annotated, Final
from urllib.parse import parse_qsl

import httpx
from pydantic import BeforeValidator, TypeAdapter, ValidationError

from app.platforms import wire
from app.platforms.contract import (
    AuthExpired,
    LimitScope,
    Malformed,
    MissingPermission,
    OutcomeUnknown,
    PlatformError,
    Rejected,
    Throttled,
    Transient,
)
from app.platforms.errors import ErrorMeaning, platform_error
from app.platforms.meta import usage


class Retired(Rejected):
    """The requested metric no longer exists."""


class UnknownField(Rejected):
    """Graph does not know a requested field, or no longer."""

    def __init__(self, message: str, *, field: str, platform_code: str | None = None) -> None:
        super().__init__(message, platform_code=platform_code)
        self.field = field


class OutsideWindow(Rejected):
    """The customer wrote longer ago than replies of this kind are taken."""


class TooFew(Rejected):
    """There are too few viewers for Meta to return a count."""


class TooMuch(Transient):
    """The request exceeded the time limit; a smaller page may succeed."""


TITLE: Final = "Meta"

CODES: Mapping[int, ErrorMeaning] = {
    -2: ErrorMeaning.NOT_DONE,
    **dict.fromkeys((-1, 1, 2, 1200), ErrorMeaning.UNAVAILABLE),
    **dict.fromkeys((4, 9, 17, 32, 341, 613), ErrorMeaning.THROTTLED),
    **dict.fromkeys(range(80_000, 80_015), ErrorMeaning.THROTTLED),
    **dict.fromkeys((102, 104, 190, *range(450, 454)), ErrorMeaning.AUTH_EXPIRED),
    **dict.fromkeys((3, 5, 10, *range(200, 300)), ErrorMeaning.FORBIDDEN),
    **dict.fromkeys((21, 33, 803), ErrorMeaning.GONE),
    **dict.fromkeys((100, 352, 506, 551, 2500, 9004, 36_000, 36_001, 36_003, 36_004), ErrorMeaning.REJECTED),
    24: ErrorMeaning.NOT_DONE,
    25: ErrorMeaning.FORBIDDEN,
    368: ErrorMeaning.BLOCKED,
    9007: ErrorMeaning.NOT_DONE,
}
"""By code. A code that is not listed is judged by the status and `is_transient`."""

SUBCODES: Mapping[tuple[int, int], ErrorMeaning] = {
    (1, 2_207_052): ErrorMeaning.REJECTED,
    (1, 2_207_057): ErrorMeaning.REJECTED,
    (4, 2_207_051): ErrorMeaning.BLOCKED,
    (9, 2_207_042): ErrorMeaning.REJECTED,
    (10, 2_018_065): ErrorMeaning.REJECTED,
    (10, 2_018_108): ErrorMeaning.REJECTED,
    (10, 2_018_278): ErrorMeaning.REJECTED,
    (10, 2_534_022): ErrorMeaning.REJECTED,
    (100, 33): ErrorMeaning.GONE,
    (100, 2_018_001): ErrorMeaning.GONE,
    (100, 2_534_014): ErrorMeaning.GONE,
    (200, 1_545_041): ErrorMeaning.REJECTED,
}
"""By code and subcode, where the subcode changes what the code means."""

SCOPES: Mapping[int, LimitScope] = {4: LimitScope.APP, 341: LimitScope.APP, 17: LimitScope.TOKEN, 613: LimitScope.TOKEN}
"""The scope of a rate limit, by code; the others (9, 32, 80001 …) are a Page's or an Instagram account's."""

OUTSIDE_WINDOW: Final = (
    "the customer's last message is too old: Meta takes a script's answer for 24 hours, a person's for seven days"
)
MESSAGES: Final[Mapping[tuple[int, int | None], str]] = {
    (4, None): "the application's limit of calls is used up",
    (9, 2_207_042): "the account has published as many posts in a day as Instagram allows",
    (10, 2_018_065): OUTSIDE_WINDOW,
    (10, 2_018_108): OUTSIDE_WINDOW,
    (10, 2_018_278): OUTSIDE_WINDOW,
    (10, 2_534_022): OUTSIDE_WINDOW,
    (17, None): "the person's limit of calls is used up",
    (1, 2_207_052): "the picture could not be fetched from its address",
    (25, None): "the Instagram account is restricted: sign in to Instagram and do what it asks for",
    (32, None): "the Page's limit of calls is used up",
    (100, 33): "there is no such object, or the token may not see it",
    (100, 2_018_001): "there is no such person to write to",
    (100, 2_207_052): "the picture could not be fetched from its address",
    (190, 458): "the person has removed the application: connect again",
    (190, 459): "the person has to confirm their account at facebook.com first",
    (190, 460): "the person has changed their password: connect again",
    (190, 463): "the token has expired",
    (190, 464): "the person has to confirm their account at facebook.com first",
    (190, 467): "the token was revoked",
    (190, 490): "the person has to confirm their account at facebook.com first",
    (190, 492): "the person has no role on the Page any more",
    (200, 1_545_041): "this person cannot be written to now",
    (506, None): "the same text was posted just now",
    (551, None): "this person cannot be written to now",
    (9004, None): "the picture could not be fetched from its address",
    (9007, None): "the picture is not ready yet",
    (36_000, None): "the picture is larger than 8 MiB",
    (36_001, None): "the picture is of no format that Instagram takes",
    (36_003, None): "the picture's proportions are none that Instagram takes",
}
"""The message for people, by code and subcode; for other codes Meta's own message, or the code's meaning."""

RETIRED: Final = re.compile(
    r"must be a valid insights metric|metric is no longer supported|metric\[\d+\] must be one of the following values"
)
UNKNOWN_FIELD: Final = re.compile(r"nonexisting field \(([a-zA-Z0-9_]{1,100})\)")
TOO_MUCH: Final = "reduce the amount of data"
TOO_FEW: Final = re.compile(r"[Nn]ot enough viewers")
NEEDS: Final = re.compile(r"\b(?:pages|instagram|business|publish|read)_[a-z_]+\b|\bmanage_pages\b")
NO_TOKEN: Final = 2500
"""The code of requests without a valid token, and of others that Graph cannot parse."""
SECRETS: Final = frozenset({"access_token", "appsecret_proof", "client_secret", "fb_exchange_token", "input_token"})
NUMBERED: Final = re.compile(r"^\(#(\d{1,7})\)")
LOGIN: Final = re.compile(r"access.token|session", re.IGNORECASE)
KIND: Final = re.compile(r"[A-Za-z]{1,60}")


def _number(value: object) -> object:
    return int(value) if isinstance(value, str) and re.fullmatch(r"-?\d{1,18}", value) else value


Code = Annotated[wire.Number | None, BeforeValidator(_number)]


class Fault(wire.Model):
    code: Code = None
    error_subcode: Code = None
    type: wire.OptionalText = ""
    message: wire.OptionalText = ""
    error_user_msg: wire.StorableText | None = None
    is_transient: bool | None = None


class Failure(wire.Model):
    error: Fault | None = None
    error_type: wire.StorableText | None = None
    error_message: wire.OptionalText = ""
    error_code: Code = None
    error_msg: wire.OptionalText = ""

    @property
    def fault(self) -> Fault | None:
        """The error, in whichever form it is reported; None where none is."""
        if self.error is not None:
            return self.error if self.error != Fault() else None
        if self.error_code is not None:
            return Fault(code=self.error_code, message=self.error_msg)
        return None if self.error_type is None else Fault(type=self.error_type, message=self.error_message)


FAILURE: Final = TypeAdapter(Failure)


def failure(response: httpx.Response, *, changes: bool) -> PlatformError | None:
    """The error that a response reports, if any. `changes`: the request was one that publishes or changes something."""
    try:
        fault = FAILURE.validate_json(response.content).fault
    except ValidationError:
        fault = None
    if fault is None:
        return None if response.is_success else _from_status(response, changes=changes)
    code = _code(fault)
    meaning = SUBCODES.get((code or 0, fault.error_subcode or 0)) or CODES.get(code or 0)
    if code == NO_TOKEN and LOGIN.search(fault.message):
        meaning = ErrorMeaning.AUTH_EXPIRED
    if meaning is None:
        meaning = _meaning_by_status(response, fault)
    if meaning is ErrorMeaning.REJECTED and "permission" in fault.message and NEEDS.search(fault.message):
        meaning = ErrorMeaning.FORBIDDEN
    return _error(meaning, fault.model_copy(update={"code": code}), response, changes=changes)


def _meaning_by_status(response: httpx.Response, fault: Fault) -> ErrorMeaning:
    """The meaning of an error whose code is not listed."""
    if response.is_server_error or fault.is_transient:
        return ErrorMeaning.UNAVAILABLE
    if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
        return ErrorMeaning.THROTTLED
    return ErrorMeaning.AUTH_EXPIRED if response.status_code == httpx.codes.UNAUTHORIZED else ErrorMeaning.REJECTED


def _code(fault: Fault) -> int | None:
    """The error's code; where it has none, the number in its message, or 190 where that is about a login."""
    if fault.code is not None:
        return fault.code
    if (numbered := NUMBERED.match(fault.message)) is not None:
        return int(numbered[1])
    return 190 if fault.type == "OAuthException" and LOGIN.search(fault.message) else None


def _error(meaning: ErrorMeaning, fault: Fault, response: httpx.Response, *, changes: bool) -> PlatformError:
    number = fault.code or 0
    kind = fault.type if KIND.fullmatch(fault.type) else "0"
    code = kind if fault.code is None else str(number)
    code = code if fault.error_subcode is None else f"{code}/{fault.error_subcode}"
    known_message = MESSAGES.get((number, fault.error_subcode)) or MESSAGES.get((number, None))
    message = known_message or f"{meaning.text(TITLE)} (Meta's error {code})"
    match meaning:
        case ErrorMeaning.THROTTLED:
            scope = SCOPES.get(number, LimitScope.COMMUNITY)
            return Throttled(message, retry_after=usage.free_in(response), scope=scope, platform_code=code)
        case ErrorMeaning.BLOCKED if not changes:
            wait = usage.free_in(response)
            return Throttled(message, retry_after=wait, scope=LimitScope.COMMUNITY, platform_code=code)
        case ErrorMeaning.FORBIDDEN if TOO_FEW.search(fault.message):
            return TooFew("there are too few viewers for a count", platform_code=code)
        case ErrorMeaning.FORBIDDEN:
            scopes = tuple(dict.fromkeys(NEEDS.findall(fault.message)))
            needs = f": it needs {', '.join(scopes)}" if scopes else ""
            return MissingPermission(f"{message}{needs}", scopes=scopes, platform_code=code)
        case ErrorMeaning.UNAVAILABLE if changes:
            return OutcomeUnknown("Meta's platform failed while it handled the change", platform_code=code)
        case ErrorMeaning.UNAVAILABLE if TOO_MUCH in f"{fault.message} {fault.error_user_msg}":
            return TooMuch("so much at once is too much for Meta's platform", platform_code=code)
        case ErrorMeaning.AUTH_EXPIRED | ErrorMeaning.GONE | ErrorMeaning.UNAVAILABLE | ErrorMeaning.NOT_DONE:
            return platform_error(meaning, message, platform_code=code)
        case _ if known_message is OUTSIDE_WINDOW:
            return OutsideWindow(known_message, platform_code=code)
        case _ if RETIRED.search(fault.message):
            return Retired("the metric no longer exists", platform_code=code)
        case _ if (unknown := UNKNOWN_FIELD.search(fault.message)) is not None:
            field = unknown[1]
            return UnknownField(f"{TITLE} does not know the field {field}", field=field, platform_code=code)
        case _:
            detail = wire.explanation(fault.error_user_msg or fault.message, _secrets(response))
            return Rejected(known_message or f"{message}: {detail}", platform_code=code)


def _from_status(response: httpx.Response, *, changes: bool) -> PlatformError:
    code = str(response.status_code)
    if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
        wait = usage.free_in(response)
        return Throttled(
            ErrorMeaning.THROTTLED.text(TITLE), retry_after=wait, scope=LimitScope.COMMUNITY, platform_code=code
        )
    if response.is_server_error:
        kind = OutcomeUnknown if changes else Transient
        return kind(ErrorMeaning.UNAVAILABLE.text(TITLE), platform_code=code)
    if response.status_code == httpx.codes.UNAUTHORIZED:
        return AuthExpired(ErrorMeaning.AUTH_EXPIRED.text(TITLE), platform_code=code)
    return Malformed("this is not a response of Graph: the API's address may be wrong", platform_code=code)


def _secrets(response: httpx.Response) -> list[str]:
    """The secrets that the request carried, to be kept out of messages."""
    request = wire.request_of(response)
    if request is None:
        return []
    query = list(request.url.params.multi_items())
    if request.headers.get("content-type", "") == "application/x-www-form-urlencoded":
        query += parse_qsl(request.content.decode())
    return [*wire.sent_secrets(response), *(value for name, value in query if name in SECRETS)]
