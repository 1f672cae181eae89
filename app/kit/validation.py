"""The texts of a problem's `errors`, by pydantic's type of error.

pydantic's own messages are written for Python programmers: they name dictionaries, attributes and classes. Ours
are for those who write the request. They never quote the input, which may hold secrets.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from app.kit.i18n import ENGLISH, translate

MOST_ERRORS: Final = 100
"""Of one answer: a body of 1 MB can hold a hundred thousand mistakes."""
_MOST_CHARACTERS: Final = 200
"""Of a field's name: an unknown one is the caller's text."""
OTHER: Final = "This value is not as the documentation describes it."
_OBJECT: Final = "Give a JSON object."
_ARRAY: Final = "Give a JSON array."
_DAY: Final = "Give a day as YYYY-MM-DD."
_INSTANT: Final = "Give an instant with its offset, for example 2026-10-01T09:30:00Z."
_TIME: Final = "Give a time of day as HH:MM."
_UUID: Final = "Give an id, for example 0190f5a2-7c1e-7d3a-9b44-1f2e3d4c5b6a."
_INTEGER: Final = "Give a whole number."
_NUMBER: Final = "Give a number."
_BOOLEAN: Final = "Give true or false."
_URL: Final = "Give a web address that starts with https:// or http://."
_DURATION: Final = "Give a duration as ISO 8601 writes it, for example PT1H30M."

TEXTS: Final[Mapping[str, str]] = {
    "json_invalid": "The body is not valid JSON.",
    "json_type": "Give JSON as text.",
    "missing": "This field is required.",
    "extra_forbidden": "This field is not known here.",
    "invalid_key": "The names of an object's fields are strings.",
    "recursion_depth_exceeded": "This is nested too deeply.",
    "none_required": "Give null.",
    **dict.fromkeys(("model_type", "model_attributes_type", "dataclass_type", "dict_type", "mapping_type"), _OBJECT),
    **dict.fromkeys(("list_type", "tuple_type", "set_type", "frozen_set_type", "iterable_type"), _ARRAY),
    "greater_than": "Must be greater than {gt}.",
    "greater_than_equal": "Must be {ge} or more.",
    "less_than": "Must be less than {lt}.",
    "less_than_equal": "Must be {le} or less.",
    "multiple_of": "Must be a multiple of {multiple_of}.",
    "finite_number": "Give a finite number.",
    "too_short": "Fewer than {min_length} were given.",
    "too_long": "More than {max_length} were given.",
    "string_type": "Give a string.",
    "string_unicode": "This is not valid Unicode: half of a surrogate pair stands alone.",
    "string_too_short": "Must have {min_length} characters or more.",
    "string_too_long": "Must have {max_length} characters or fewer.",
    "string_pattern_mismatch": ("This text is not written as it must be; blank ones and NUL characters are refused."),
    "string_not_ascii": "Only ASCII characters are taken here.",
    "enum": "Must be {expected}.",
    "literal_error": "Must be {expected}.",
    "union_tag_invalid": "{discriminator} must be one of {expected_tags}.",
    "union_tag_not_found": "{discriminator} says of which kind this is, and is missing.",
    "bool_type": _BOOLEAN,
    "bool_parsing": _BOOLEAN,
    "int_type": _INTEGER,
    "int_parsing": _INTEGER,
    "int_parsing_size": "This number is too large.",
    "int_from_float": _INTEGER,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "decimal_type": _NUMBER,
    "decimal_parsing": _NUMBER,
    "decimal_max_digits": "Must have {max_digits} digits or fewer.",
    "decimal_max_places": "Must have {decimal_places} decimal places or fewer.",
    "decimal_whole_digits": "Must have {whole_digits} digits or fewer before the decimal point.",
    **dict.fromkeys(("date_type", "date_parsing", "date_from_datetime_parsing", "date_from_datetime_inexact"), _DAY),
    "date_past": "Must be a day in the past.",
    "date_future": "Must be a day in the future.",
    "time_type": _TIME,
    "time_parsing": _TIME,
    **dict.fromkeys(("datetime_type", "datetime_parsing", "datetime_object_invalid"), _INSTANT),
    "datetime_from_date_parsing": _INSTANT,
    "datetime_past": "Must be an instant in the past.",
    "datetime_future": "Must be an instant in the future.",
    "timezone_naive": "Give a local time, without an offset.",
    "timezone_aware": _INSTANT,
    "timezone_offset": "Must have another offset.",
    "time_delta_type": _DURATION,
    "time_delta_parsing": _DURATION,
    **dict.fromkeys(("url_type", "url_parsing", "url_syntax_violation", "url_scheme"), _URL),
    "url_too_long": "Must have {max_length} characters or fewer.",
    "uuid_type": _UUID,
    "uuid_parsing": _UUID,
    "uuid_version": "Must be a UUID of version {expected_version}.",
    "unknown_currency": "ISO 4217 has no such currency: give its code in capital letters, for example RUB.",
    "bytes_type": "Give a string.",
    "bytes_too_short": "Must have {min_length} bytes or more.",
    "bytes_too_long": "Must have {max_length} bytes or fewer.",
    "bytes_invalid_encoding": "This is not written in the expected encoding.",
}
"""With the fields of the error's context."""

_MEMBER: Final = re.compile(r"<[^<>]*?: ('(?:[^'\\]|\\.)*'|-?\d+)>")
"""A member of an enum as Python prints it, `<Status.DRAFT: 'draft'>`; its value is what a request writes."""


def text(error: Mapping[str, Any], language: str = ENGLISH) -> str:
    """What is wrong, for people, of an error as pydantic describes it."""
    kind, context = error["type"], error.get("ctx", {})
    if kind in {"value_error", "assertion_error"}:
        return translate(_sentence(str(context.get("error", ""))), language)
    template = translate(TEXTS.get(kind, OTHER), language)
    return template.format_map({name: _MEMBER.sub(r"\1", str(value)) for name, value in context.items()})


def _sentence(message: str) -> str:
    """A validator's own message (`must be …`), as a sentence."""
    if not message:
        return OTHER
    return message[0].upper() + message[1:] + ("" if message.endswith((".", "!", "?", "…")) else ".")


def field_errors(errors: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The problem's `errors` of a request that pydantic has refused, `MOST_ERRORS` at most."""
    return [
        {
            "in": str(error["loc"][0]) if error["loc"] else "body",
            "field": field_name(error["loc"][1:]),
            "code": error["type"].replace("_", "-").replace(".", "-"),
            "detail": text(error),
        }
        for error in errors[:MOST_ERRORS]
    ]


def field_name(location: Sequence[str | int]) -> str | None:
    """Where, dotted; None for the whole. Unknown names are the caller's text: cut, and made valid Unicode."""
    dotted = ".".join(str(part) for part in location if part != "")
    return dotted[:_MOST_CHARACTERS].encode(errors="replace").decode() or None
