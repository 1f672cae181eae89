"""Sending requests and parsing responses, for every adapter: HTTP, wire models, cursors, times.

Functions return typed values and raise `PlatformError`s. A message never contains a token, a URL, or
a part of a response that is not meant for people.
"""

import json
import re
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Annotated, Any, Final, TypeVar

import httpx
import structlog
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from app.kit import instants, telemetry
from app.kit.http import AddressRefused, BodyTooLarge, may_have_been_sent
from app.platforms.contract import Malformed, OutcomeUnknown, PlatformError, Rejected, Transient

log = structlog.get_logger()

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)

LONGEST_EXPLANATION: Final = 200
"""Characters of a platform's own message that are shown."""


class Model(BaseModel):
    """The base of wire models: fields that are declared must be valid, all others are ignored."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True, hide_input_in_errors=True)


class NullIsAbsent(Model):
    """The base of wire models of a platform that leaves absent fields out, while some of its servers send null."""

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, raw: Any) -> Any:
        return {name: value for name, value in raw.items() if value is not None} if isinstance(raw, Mapping) else raw


OUT_OF_BOUNDS: Final = "out_of_bounds"
"""The type of pydantic's error for a time that is well-formed, and outside the bounds of `app.kit.instants`."""


def bounded(moment: datetime) -> datetime:
    """The same time in UTC; `PydanticCustomError` outside the bounds of `app.kit.instants`."""
    try:
        return instants.bounded(moment)
    except instants.OutOfBounds as error:
        raise PydanticCustomError(OUT_OF_BOUNDS, "{why}", {"why": str(error)}) from None


def since_1970(value: int, per_second: int = 1) -> datetime:
    """A Unix time in seconds, or in `per_second` parts of one; `PydanticCustomError` outside the bounds."""
    # Not divided: an integer of JSON may be too large for a float.
    if not instants.EARLIEST.timestamp() * per_second <= value < instants.LATEST.timestamp() * per_second:
        raise PydanticCustomError(OUT_OF_BOUNDS, "not a moment that is taken for real")
    return datetime.fromtimestamp(value / per_second if per_second > 1 else value, UTC)


def _unix_time(value: object) -> datetime:
    if type(value) is not int:
        raise ValueError("not seconds since 1970")
    return since_1970(value)


def _none_if_out_of_bounds(value: object, handler: ValidatorFunctionWrapHandler) -> Any:
    try:
        return handler(value)
    except ValidationError as error:
        if _out_of_bounds(error) is None:
            raise
        return None


def _parse_iso(value: object) -> object:
    """Within a wrapped validator, strict mode does not take a string for a time."""
    return (iso(value) or value) if isinstance(value, str) else value


def as_text(value: object) -> object:
    """An id as text: some platforms return numbers now and then."""
    return str(value) if type(value) is int else value


def _none_if_negative(value: object) -> object:
    return None if type(value) is int and value < 0 else value


def _storable(text: str) -> str:
    """PostgreSQL cannot store a NUL in a text."""
    return text.replace("\x00", "")


Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,200}$")]
StorableText = Annotated[str, AfterValidator(_storable)]
OptionalText = Annotated[StorableText, BeforeValidator(lambda value: "" if value is None else value)]
"""A text; where there is none it is left out, empty, or null."""
Count = Annotated[int, Field(ge=0, le=2**63 - 1)]
PositiveCount = Annotated[Count | None, BeforeValidator(_none_if_negative)]
"""A counter that may be hidden: it is then left out, null, or negative."""
Number = Annotated[int, Field(ge=-(2**63), le=2**63 - 1)]
Moment = Annotated[AwareDatetime, AfterValidator(bounded)]
UnixTime = Annotated[datetime, BeforeValidator(_unix_time)]
"""Seconds since 1970 in the response; an aware datetime when parsed."""
NONE_IF_OUT_OF_BOUNDS: Final = WrapValidator(_none_if_out_of_bounds)
"""For a time without which the rest can be used: None where it is out of bounds."""
LenientMoment = Annotated[Moment | None, BeforeValidator(_parse_iso), NONE_IF_OUT_OF_BOUNDS]
LenientUnixTime = Annotated[UnixTime | None, NONE_IF_OUT_OF_BOUNDS]


def _or_error(value: object, handler: ValidatorFunctionWrapHandler) -> Any:
    try:
        return handler(value)
    except ValidationError as error:
        return error


def _without_errors(results: list[Any]) -> list[Any]:
    items = [one for one in results if not isinstance(one, ValidationError)]
    errors = [one for one in results if isinstance(one, ValidationError)]
    if errors and not items:
        raise errors[0]
    if errors:
        left_out(len(errors), f"an item is not understood {validation_problem(errors[0])}")
    return items


def left_out(number: int, detail: str) -> None:
    """Count and log items that were left out of a list; `detail` is about the first of them."""
    telemetry.ITEMS_LEFT_OUT.inc(number)
    log.warning("answer.items_left_out", items=number, detail=detail)


LenientList = Annotated[list[Annotated[T, WrapValidator(_or_error)]], AfterValidator(_without_errors)]
"""A list from which invalid items are left out, counted and logged, unless all are invalid. Not for lists in which the
absence of an item has a meaning.

Items are validated as Python values: a string is no `Moment` in them.
"""

Classify = Callable[[httpx.Response], PlatformError | None]


async def read(http: httpx.AsyncClient, request: httpx.Request, classify: Classify) -> httpx.Response:
    """Send a request that changes nothing, and may be repeated. Raises a `PlatformError`."""
    try:
        response = await http.send(request)
    except httpx.RequestError as error:
        failure = _failed(error)
    else:
        if (refusal := classify(response)) is None:
            return response
        failure = refusal
    raise failure


async def write(http: httpx.AsyncClient, request: httpx.Request, classify: Classify) -> httpx.Response:
    """Send a request that changes something, once.

    Raises `OutcomeUnknown` where the request may have been sent and no response arrived, or one that cannot be
    parsed (an HTML page, a redirect); for other responses that leave the outcome open, `classify` returns it.
    A client error (4xx) always means that nothing was changed.
    """
    try:
        response = await http.send(request)
    except AddressRefused as error:
        failure = _failed(error)
    except httpx.RequestError as error:
        failure = (
            OutcomeUnknown("the change was sent, and no answer came") if may_have_been_sent(error) else _failed(error)
        )
    else:
        if (refusal := classify(response)) is None:
            return response
        unclear = isinstance(refusal, Malformed) and not response.is_client_error
        failure = OutcomeUnknown(f"the change was sent; {refusal.message}") if unclear else refusal
    raise failure


def _failed(error: httpx.RequestError) -> PlatformError:
    if isinstance(error, AddressRefused):
        return Rejected("this address may not be connected to")
    if isinstance(error, BodyTooLarge):
        return Malformed("the answer is larger than any we accept")
    if isinstance(error, httpx.DecodingError):
        return Malformed("the answer's compression is broken")
    if isinstance(error, httpx.TimeoutException):
        return Transient("the platform did not answer in time")
    return Transient("the platform is out of reach")


def parse(adapter: TypeAdapter[T], response: httpx.Response) -> T:
    """A response's JSON, validated; `Malformed` names the field that is invalid."""
    return parse_bytes(adapter, response.content)


def parse_bytes(adapter: TypeAdapter[T], body: bytes) -> T:
    """JSON, validated; `Malformed` names the field that is invalid."""
    try:
        return adapter.validate_json(body)
    except ValidationError as error:
        failure = Malformed(f"the answer is not understood {validation_problem(error)}")
    raise failure


def parse_lenient(adapter: TypeAdapter[T], response: httpx.Response) -> T:
    """As `parse`, for a response with lists: items with a time out of bounds are left out, counted and logged.

    Not for lists in which the absence of an item has a meaning. `Malformed` where anything else is invalid.
    """
    try:
        return adapter.validate_json(response.content)
    except ValidationError as error:
        places = _out_of_bounds(error)
        failure = Malformed(f"the answer is not understood {validation_problem(error)}")
    if places is not None:
        document = json.loads(response.content)
        # From the end, so that the positions of earlier items stay valid.
        if all(_take_out(document, place) for place in sorted(places, key=_order, reverse=True)):
            value = parse_bytes(adapter, json.dumps(document).encode())
            left_out(len(places), failure.message)
            return value
    raise failure


def _out_of_bounds(error: ValidationError) -> set[tuple[str | int, ...]] | None:
    """The places of the list items with times out of bounds; None where anything else is invalid."""
    errors = error.errors(include_url=False, include_context=False, include_input=False)
    if any(one["type"] != OUT_OF_BOUNDS for one in errors):
        return None
    places = [one["loc"] for one in errors]
    lists = [max((at for at, step in enumerate(place) if isinstance(step, int)), default=-1) for place in places]
    return {place[: last + 1] for place, last in zip(places, lists, strict=True)}


def _order(place: tuple[str | int, ...]) -> list[tuple[int, str]]:
    return [(step, "") if isinstance(step, int) else (-1, step) for step in place]


def _take_out(document: Any, place: tuple[str | int, ...]) -> bool:
    """Remove the list item at a place; False where there is none."""
    if not place:
        return False
    *above, last = place
    for step in above:
        try:
            document = document[step]
        except (KeyError, IndexError, TypeError):
            return False
    if not isinstance(document, list) or not isinstance(last, int) or last >= len(document):
        return False
    del document[last]
    return True


def validation_problem(error: ValidationError) -> str:
    """The place of the first error, and its type."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    return f"at {_place(first['loc'])}: {first['type']}"


def parse_confirmation(adapter: TypeAdapter[T], response: httpx.Response) -> T:
    """As `parse`, for the response to a change: `OutcomeUnknown` where it is invalid."""
    try:
        return parse(adapter, response)
    except Malformed as error:
        failure = OutcomeUnknown(f"the change was sent; {error.message}")
    raise failure


def _place(location: tuple[int | str, ...]) -> str:
    """A place in the response, by field names only: other keys could contain anything."""
    names = [str(part) for part in location if isinstance(part, int) or re.fullmatch(r"[a-z_]{1,40}", part)]
    return ".".join(names) or "its start"


def dump(cursor: BaseModel) -> str:
    """A cursor as the opaque text that callers store."""
    return cursor.model_dump_json(exclude_defaults=True)


def load(model: type[M], cursor: str | None) -> M | None:
    """A cursor that `dump` made; `ValueError` for any other text."""
    return None if cursor is None else model.model_validate_json(cursor)


def response_date(response: httpx.Response) -> datetime | None:
    """The time in a response's `Date` header, the only clock that adapters have; None where it has none."""
    return _http_date(response.headers.get("date"))


def retry_after(response: httpx.Response, reset: datetime | None = None) -> float | None:
    """Seconds to wait, from `Retry-After`, else until `reset`; None where neither is known.

    Both are counted from the response's `Date`.
    """
    header = response.headers.get("retry-after", "").strip()
    if header.isascii() and header.isdigit():
        return float(min(int(header), 10**9)) if len(header) < 12 else None
    until = _http_date(header) or reset
    now = response_date(response)
    if until is None or now is None:
        return None
    return max(0.0, (until - now).total_seconds())


def iso_date(text: str | None) -> datetime | None:
    """An ISO 8601 time in UTC, within the bounds of `app.kit.instants`; None for any other text."""
    return _bounded_or_none(iso(text))


def unix(seconds: int) -> datetime | None:
    """A Unix time in seconds; None outside the bounds of `app.kit.instants`."""
    try:
        return since_1970(seconds)
    except PydanticCustomError:
        return None


def iso(text: str | None) -> datetime | None:
    """An aware ISO 8601 time of any year; None for any other text."""
    try:
        at = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return at if at.tzinfo is not None else None


def _http_date(text: str | None) -> datetime | None:
    try:
        at = parsedate_to_datetime(text or "")
    except (ValueError, IndexError, OverflowError):
        return None
    return _bounded_or_none(at if at.tzinfo is not None else at.replace(tzinfo=UTC))


def _bounded_or_none(at: datetime | None) -> datetime | None:
    try:
        return None if at is None else instants.bounded(at)
    except instants.OutOfBounds:
        return None


def explanation(text: str, secrets: Collection[str]) -> str:
    """A platform's own message, for people: one line, shortened, without any of `secrets`."""
    for secret in sorted(secrets, key=len, reverse=True):
        if secret:
            text = text.replace(secret, "[…]")
    text = " ".join(text.split())
    return text if len(text) <= LONGEST_EXPLANATION else text[: LONGEST_EXPLANATION - 1] + "…"


def bearer(token: str | None) -> Mapping[str, str]:
    """The `authorization` header of a token; empty without one."""
    return {} if token is None else {"authorization": f"Bearer {token}"}


def sent_secrets(response: httpx.Response) -> tuple[str, ...]:
    """The token of a response's request, to be kept out of messages."""
    request = request_of(response)
    return () if request is None else tuple(request.headers.get("authorization", "").split()[1:])


def request_of(response: httpx.Response) -> httpx.Request | None:
    """The request of a response; None for a response that was constructed without one."""
    try:
        return response.request
    except RuntimeError:
        return None


def path_of(response: httpx.Response) -> str:
    """The path of the URL that was requested; empty where `request_of` is None."""
    request = request_of(response)
    return "" if request is None else request.url.path
