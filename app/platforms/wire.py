"""What every adapter needs to speak over HTTP: send, understand, say what went wrong.

Nothing here knows a platform. What leaves is a typed value or a `PlatformError`, and the latter
never holds a token, a URL or a piece of an answer that was not meant for people.
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
)
from pydantic_core import PydanticCustomError

from app.kit import instants, telemetry
from app.kit.http import AddressRefused, BodyTooLarge, may_have_been_sent
from app.platforms.contract import Malformed, OutcomeUnknown, PlatformError, Rejected, Transient

log = structlog.get_logger()

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)

LONGEST_EXPLANATION = 200


class Shape(BaseModel):
    """A part of an answer: what is named must be right, what is not named may be anything."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True, hide_input_in_errors=True)


OUT_OF_BOUNDS: Final = "out_of_bounds"
"""The type of pydantic's error for an instant that is one, and is not taken for real."""


def bounded(moment: datetime) -> datetime:
    """The same moment in UTC, within the bounds of `app.kit.instants`."""
    try:
        return instants.bounded(moment)
    except instants.OutOfBounds as error:
        raise PydanticCustomError(OUT_OF_BOUNDS, "{why}", {"why": str(error)}) from None


def since_1970(value: int, per_second: int = 1) -> datetime:
    """The moment that lies so many seconds, or parts of one, after 1970, within the bounds of `app.kit.instants`."""
    if not instants.EARLIEST.timestamp() <= value / per_second < instants.LATEST.timestamp():
        raise PydanticCustomError(OUT_OF_BOUNDS, "not a moment that is taken for real")
    return datetime.fromtimestamp(value / per_second if per_second > 1 else value, UTC)


def _unix_time(value: object) -> datetime:
    if type(value) is not int:
        raise ValueError("not seconds since 1970")
    return since_1970(value)


def _dispensable(value: object, handler: ValidatorFunctionWrapHandler) -> Any:
    try:
        return handler(value)
    except ValidationError as error:
        if _out_of_bounds(error) is None:
            raise
        return None


def _written(value: object) -> object:
    """Within a wrapped validator a text is no moment by itself."""
    return (iso(value) or value) if isinstance(value, str) else value


def as_text(value: object) -> object:
    """Some write ids as numbers now and then; to us they are texts."""
    return str(value) if type(value) is int else value


def _above_zero_or_none(value: object) -> object:
    return None if type(value) is int and value < 0 else value


def _storable(text: str) -> str:
    """PostgreSQL keeps no NUL in a text."""
    return text.replace("\x00", "")


Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,200}$")]
StorableText = Annotated[str, AfterValidator(_storable)]
Count = Annotated[int, Field(ge=0, le=2**63 - 1)]
PositiveCount = Annotated[Count | None, BeforeValidator(_above_zero_or_none)]
"""A counter that may be hidden: then it is left out, null, or below zero."""
Number = Annotated[int, Field(ge=-(2**63), le=2**63 - 1)]
Moment = Annotated[AwareDatetime, AfterValidator(bounded)]
UnixTime = Annotated[datetime, BeforeValidator(_unix_time)]
"""Seconds since 1970 in the answer; an aware datetime when understood."""
NONE_IF_OUT_OF_BOUNDS: Final = WrapValidator(_dispensable)
"""For a moment without which all the rest can be understood: one that is out of bounds is None."""
LenientMoment = Annotated[Moment | None, BeforeValidator(_written), NONE_IF_OUT_OF_BOUNDS]
LenientUnixTime = Annotated[UnixTime | None, NONE_IF_OUT_OF_BOUNDS]


def _or_error(value: object, handler: ValidatorFunctionWrapHandler) -> Any:
    try:
        return handler(value)
    except ValidationError as error:
        return error


def _but_errors(found: list[Any]) -> list[Any]:
    understood = [one for one in found if not isinstance(one, ValidationError)]
    errors = [one for one in found if isinstance(one, ValidationError)]
    if errors and not understood:
        raise errors[0]
    if errors:
        left_out(len(errors), f"an item is not understood {validation_problem(errors[0])}")
    return understood


def left_out(number: int, detail: str) -> None:
    """Tell whoever runs this of items that are missing in a list; `detail` is of the first of them."""
    telemetry.ITEMS_LEFT_OUT.inc(number)
    log.warning("answer.items_left_out", items=number, detail=detail)


LenientList = Annotated[list[Annotated[T, WrapValidator(_or_error)]], AfterValidator(_but_errors)]
"""A list whose odd items are left out and told of, unless all of them are odd. Not for lists in which absence means
something.

Items are validated as Python's values: a text is no `Moment` in them.
"""

Classify = Callable[[httpx.Response], PlatformError | None]


async def read(http: httpx.AsyncClient, request: httpx.Request, classify: Classify) -> httpx.Response:
    """Send a request that changes nothing; what goes wrong may simply be tried again later."""
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

    Raises `OutcomeUnknown` when it may have gone out and no answer tells what became of it, nor one that
    cannot be understood (a page, a redirect); `classify` says so itself for an answer that leaves it open.
    Nothing was changed where the status says that the request itself is wrong.
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
    """Understand an answer's JSON; `Malformed` names the place that is not as it should be."""
    return parse_bytes(adapter, response.content)


def parse_bytes(adapter: TypeAdapter[T], body: bytes) -> T:
    """Understand JSON; `Malformed` names the place that is not as it should be."""
    try:
        return adapter.validate_json(body)
    except ValidationError as error:
        failure = Malformed(f"the answer is not understood {validation_problem(error)}")
    raise failure


def parse_lenient(adapter: TypeAdapter[T], response: httpx.Response) -> T:
    """Understand an answer with lists, in which an item whose moment is out of bounds is left out, and told of.

    Not for lists in which absence means something. `Malformed` as `parse` where anything else is not as it should be.
    """
    try:
        return adapter.validate_json(response.content)
    except ValidationError as error:
        places = _out_of_bounds(error)
        failure = Malformed(f"the answer is not understood {validation_problem(error)}")
    if places is not None:
        document = json.loads(response.content)
        # From the end, so that the places of those before stay what they are.
        if all(_take_out(document, place) for place in sorted(places, key=_order, reverse=True)):
            found = parse_bytes(adapter, json.dumps(document).encode())
            left_out(len(places), failure.message)
            return found
    raise failure


def _out_of_bounds(error: ValidationError) -> set[tuple[str | int, ...]] | None:
    """The list items that hold the moments which are out of bounds, by place; None where something else is wrong."""
    errors = error.errors(include_url=False, include_context=False, include_input=False)
    if any(one["type"] != OUT_OF_BOUNDS for one in errors):
        return None
    places = [one["loc"] for one in errors]
    lists = [max((at for at, step in enumerate(place) if isinstance(step, int)), default=-1) for place in places]
    return {place[: last + 1] for place, last in zip(places, lists, strict=True)}


def _order(place: tuple[str | int, ...]) -> list[tuple[int, str]]:
    return [(step, "") if isinstance(step, int) else (-1, step) for step in place]


def _take_out(document: Any, place: tuple[str | int, ...]) -> bool:
    """Remove the list item at a place; whether it was found there."""
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
    """Where something is not as it should be, and what is wrong there."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    return f"at {_place(first['loc'])}: {first['type']}"


def parse_confirmation(adapter: TypeAdapter[T], response: httpx.Response) -> T:
    """Understand the answer to a change: where it is unreadable, the change may well have been made."""
    try:
        return parse(adapter, response)
    except Malformed as error:
        failure = OutcomeUnknown(f"the change was sent; {error.message}")
    raise failure


def _place(location: tuple[int | str, ...]) -> str:
    """Where in the answer, by field names alone: a key of the answer could be anything."""
    named = [str(part) for part in location if isinstance(part, int) or re.fullmatch(r"[a-z_]{1,40}", part)]
    return ".".join(named) or "its start"


def dump(cursor: BaseModel) -> str:
    """A cursor as the opaque text that callers keep."""
    return cursor.model_dump_json(exclude_defaults=True)


def load(model: type[M], cursor: str | None) -> M | None:
    """A cursor that `dump` made; `ValueError` for any other text."""
    return None if cursor is None else model.model_validate_json(cursor)


def response_date(response: httpx.Response) -> datetime | None:
    """The answer's own clock, its `Date`; adapters have no other."""
    return _http_date(response.headers.get("date"))


def retry_after(response: httpx.Response, reset: datetime | None = None) -> float | None:
    """Seconds to wait, from `Retry-After`, else until `reset`; None where neither is told.

    Both are counted from the answer's `Date`.
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
    """An ISO-8601 moment in UTC, within the bounds of `app.kit.instants`; None for any other text."""
    return _or_none(iso(text))


def unix(seconds: int) -> datetime | None:
    """The moment so many seconds after 1970; None outside the bounds of `app.kit.instants`."""
    try:
        return since_1970(seconds)
    except PydanticCustomError:
        return None


def iso(text: str | None) -> datetime | None:
    """An aware ISO-8601 moment, of whatever year, or None."""
    try:
        found = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def _http_date(text: str | None) -> datetime | None:
    try:
        found = parsedate_to_datetime(text or "")
    except (ValueError, IndexError, OverflowError):
        return None
    return _or_none(found if found.tzinfo is not None else found.replace(tzinfo=UTC))


def _or_none(found: datetime | None) -> datetime | None:
    try:
        return None if found is None else instants.bounded(found)
    except instants.OutOfBounds:
        return None


def explanation(text: str, secrets: Collection[str]) -> str:
    """A platform's own words for a person: one line, not long, without any of `secrets`."""
    for secret in sorted(secrets, key=len, reverse=True):
        if secret:
            text = text.replace(secret, "[…]")
    text = " ".join(text.split())
    return text if len(text) <= LONGEST_EXPLANATION else text[: LONGEST_EXPLANATION - 1] + "…"


def bearer(token: str | None) -> Mapping[str, str]:
    """The header that carries a token, where there is one."""
    return {} if token is None else {"authorization": f"Bearer {token}"}


def sent_secrets(response: httpx.Response) -> tuple[str, ...]:
    """The token an answer's request carried, so that it can be kept out of messages."""
    request = request_of(response)
    return () if request is None else tuple(request.headers.get("authorization", "").split()[1:])


def request_of(response: httpx.Response) -> httpx.Request | None:
    """What was asked; None for an answer that was made by hand."""
    try:
        return response.request
    except RuntimeError:
        return None
