"""No text of a request may hold a NUL, which PostgreSQL cannot store: in bodies, queries and paths alike."""

import re
from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI

from tests.house.test_patches import resolved

NUL = "a\x00b"
PARSED = frozenset({"uuid", "date", "date-time", "email", "uri", "duration", "time"})
"""Formats of text that is converted to a value, or validated by its own rules."""
MATCHED = {
    "path slug": "compared with a pattern before anything is read; what does not match is a page, not a problem",
    "path token": "only its hash is compared with anything",
}
"""Texts that may be anything, and why."""


def texts(schema: Any, place: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The schemas of texts in a schema, with where they are."""
    if isinstance(schema, list):
        for one in schema:
            yield from texts(one, place)
    elif isinstance(schema, dict):
        kinds = schema.get("type", [])
        if "string" in (kinds if isinstance(kinds, list) else [kinds]):
            yield place, schema
        for name in ("anyOf", "oneOf", "allOf", "items", "additionalProperties", "propertyNames"):
            yield from texts(schema.get(name), place)
        for name, one in schema.get("properties", {}).items():
            yield from texts(one, f"{place}.{name}")


def takes_nul(schema: dict[str, Any]) -> bool:
    """Whether a schema of a text allows a NUL."""
    if "enum" in schema or "const" in schema or schema.get("format") in PARSED:
        return False
    return "pattern" not in schema or re.search(schema["pattern"], NUL) is not None


def unguarded(document: dict[str, Any]) -> Iterator[str]:
    """The texts of requests that may hold a NUL."""
    for path, item in document["paths"].items():
        for method, operation in item.items():
            # A header with a NUL is refused by the server, before any operation.
            parameters = [one for one in operation.get("parameters", ()) if one["in"] != "header"]
            schemas = [(f"{one['in']} {one['name']}", one["schema"]) for one in parameters]
            contents = operation.get("requestBody", {}).get("content", {}).values()
            schemas += [("body", content["schema"]) for content in contents]
            for place, schema in schemas:
                if place in MATCHED:
                    continue
                for where, text in texts(resolved(document, schema), place):
                    if takes_nul(text):
                        yield f"{method.upper()} {path}: {where}"


def test_no_text_of_a_request_takes_a_nul(app: FastAPI) -> None:
    assert list(unguarded(app.openapi())) == []


def test_a_text_without_a_pattern_is_found() -> None:
    body = {"schema": {"type": "object", "properties": {"name": {"anyOf": [{"type": "string"}, {"type": "null"}]}}}}
    query = {"in": "query", "name": "q", "schema": {"type": "string", "pattern": r"^[^\x00]*$"}}
    operation = {"parameters": [query], "requestBody": {"content": {"application/json": body}}}
    assert list(unguarded({"paths": {"/x": {"post": operation}}})) == ["POST /x: body.name"]
