"""Parameters of queries and forms, which are texts, by schemas in the manner of JSON Schema."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

Json = Any

NUMBERS: Final = {"integer": int, "number": float}


def text_problems(name: str, value: str, schema: Mapping[str, Json]) -> Iterator[str]:
    """What is wrong about the text of a parameter with this schema."""
    kinds = schema.get("type", "string")
    kinds = kinds if isinstance(kinds, list) else [kinds]
    if "array" in kinds:
        for one in value.split(","):
            yield from text_problems(name, one, schema.get("items", {}))
        return
    converted = [one for kind in kinds if (one := _converted(value, kind)) is not None]
    if not converted:
        yield f"{name} is no {' or '.join(kinds)}"
        return
    if "enum" in schema and not any(one in schema["enum"] or str(one) in schema["enum"] for one in converted):
        yield f"{name} is none of {schema['enum']}"
    if isinstance(converted[0], int | float) and not isinstance(converted[0], bool):
        if converted[0] < float(schema.get("minimum", converted[0])):
            yield f"{name} is below {schema['minimum']}"
        if converted[0] > float(schema.get("maximum", converted[0])):
            yield f"{name} is above {schema['maximum']}"
    if len(value) > schema.get("maxLength", len(value)):
        yield f"{name} is longer than {schema['maxLength']}"


def _converted(value: str, kind: str) -> Json:
    """The value of this type; None for another text."""
    if kind in NUMBERS:
        try:
            return NUMBERS[kind](value)
        except ValueError:
            return None
    if kind == "boolean":
        return {"true": True, "1": True, "false": False, "0": False}.get(value.lower())
    return value
