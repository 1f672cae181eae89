"""Field types and base classes of request and response bodies: strict and bounded."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from app.kit import instants


def _written_as(pattern: str, example: str) -> Callable[[Any], Any]:
    """A validator that refuses what pydantic would accept in addition: numbers, and numbers in quotes."""
    compiled = re.compile(pattern)

    def check(value: Any) -> Any:
        if isinstance(value, str) and not compiled.fullmatch(value):
            raise ValueError(f"must be written like {example}")
        if not isinstance(value, str | date | UUID):
            raise ValueError(f"must be a string like {example}")  # noqa: TRY004 - pydantic reports a ValueError
        return value

    return check


_DAY = _written_as(r"\d{4}-\d{2}-\d{2}", "2026-10-01")
_INSTANT = _written_as(
    r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})?", "2026-10-01T09:30:00Z"
)
_ID = _written_as(r"[0-9a-fA-F-]{32,36}", "0190f5a2-7c1e-7d3a-9b44-1f2e3d4c5b6a")


def _trimmed(value: str) -> str:
    return value.strip()


def _utc(value: Any, handler: ValidatorFunctionWrapHandler) -> datetime:
    """Bounds apply to text, which comes from a request; the datetime of a row is converted only."""
    at: datetime = handler(value)
    return instants.bounded(at) if isinstance(value, str) else at.astimezone(UTC)


def _day(value: Any, handler: ValidatorFunctionWrapHandler) -> date:
    day: date = handler(value)
    return instants.bounded_day(day) if isinstance(value, str) else day


def _rfc3339(value: datetime) -> str:
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


_NO_NUL = r"^[^\x00]*$"
_NOT_BLANK = r"^[^\x00]*[^\x00\s][^\x00]*$"

ShortText = Annotated[
    str,
    Field(strict=True, min_length=1, max_length=200, pattern=_NOT_BLANK),
    AfterValidator(_trimmed),
]
"""A name or a title."""
Text = Annotated[str, Field(strict=True, max_length=20_000, pattern=_NO_NUL)]
"""Text without NUL, which PostgreSQL cannot store; it may be empty. Of bodies, paths and queries."""


def _pattern(value: str | None) -> str | None:
    if value is None:
        return None
    escaped = value.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


Search = Annotated[Text | None, Field(min_length=2, max_length=100), AfterValidator(_pattern)]
"""What a text contains, in upper or lower case; ready for `ilike`."""
Body = Annotated[
    str,
    Field(strict=True, min_length=1, max_length=20_000, pattern=_NOT_BLANK),
    AfterValidator(_trimmed),
]
"""Running text that is not blank."""
Flag = Annotated[bool, Field(strict=True)]
Instant = Annotated[
    AwareDatetime,
    BeforeValidator(_INSTANT, json_schema_input_type=datetime),
    WrapValidator(_utc, json_schema_input_type=datetime),
    PlainSerializer(_rfc3339, return_type=str, when_used="json"),
    Field(json_schema_extra={"format": "date-time"}, examples=["2026-10-01T09:30:00Z"]),
]
"""An instant with an offset, returned in UTC; in a request, within the bounds of `app.kit.instants`."""
Day = Annotated[
    date,
    BeforeValidator(_DAY, json_schema_input_type=date),
    WrapValidator(_day, json_schema_input_type=date),
    Field(examples=["2026-10-01"]),
]
"""A local day; in a request, within the bounds of `app.kit.instants`."""
Id = Annotated[UUID, BeforeValidator(_ID, json_schema_input_type=UUID)]


EXAMPLE_ID: Final = "0190f5a2-7c1e-7d3a-9b44-1f2e3d4c5b6a"


def example(body: Mapping[str, Any]) -> ConfigDict:
    """The `model_config` of a request body with this example, which a test sends with the ids of real things."""
    return ConfigDict(json_schema_extra={"examples": [dict(body)]})


class Input(BaseModel):
    """A request body: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, str_max_length=100_000)


UNCHANGED: Final = object()
"""The value of a field that a patch leaves out; never in `changes()`."""


class Patch(Input):
    """A merge patch, the body of a `PATCH`: a field that is left out stays as it is.

    Fields are declared without defaults; still, none is required. No default is published either: a client
    generated from the schema would send it, and reset what its user did not change. `null` is only for fields
    whose type allows it. Declaring a default raises `TypeError`.
    """

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        for name, field in cls.model_fields.items():
            if field.default_factory is _unchanged:
                continue  # inherited from a base patch
            if not field.is_required():
                raise TypeError(f"{cls.__name__}.{name} has a default: a patch that leaves it out would reset it")
            field.default_factory = _unchanged  # A factory, as a default would be published in the schema.
        cls.model_rebuild(force=True)

    def changes(self) -> dict[str, Any]:
        """The fields that were sent, by name, those with `null` included."""
        return self.model_dump(exclude_unset=True)


def _unchanged() -> Any:
    return UNCHANGED


class Output(BaseModel):
    """A response body; can be validated from a row."""

    model_config = ConfigDict(from_attributes=True, extra="ignore")
