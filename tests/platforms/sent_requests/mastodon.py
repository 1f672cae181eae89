"""Requests to Mastodon by its OpenAPI: paths, parameters, bodies, and whether a token is needed."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from tests.platforms.contract.stage import Subject
from tests.platforms.sent_requests import SentRequest
from tests.platforms.sent_requests.texts import text_problems
from tests.sandbox.schemas import mastodon_specification

Json = Any

OTHER: Final = {("GET", "/.well-known/nodeinfo"), ("GET", "/nodeinfo/2.0")}
"""Addresses outside the API, without parameters: https://nodeinfo.diaspora.software/protocol.html."""
ANONYMOUS: Final = "the document lists the scope of a token; the documentation has it as public"
EXCEPTIONS: Final[Mapping[str, Mapping[str, str]]] = {
    "mastodon": {
        f"GET {path}: needs a token": ANONYMOUS
        for path in (
            "/api/v1/accounts/lookup",
            "/api/v1/accounts/{id}/statuses",
            "/api/v1/statuses",
            "/api/v1/statuses/{id}/context",
        )
    }
}


def problems(sent: SentRequest, _: Subject) -> list[str]:
    if (sent.method, sent.path) in OTHER:
        return [f"{sent.path}: {name} is no parameter" for name, _ in sent.query]
    paths = mastodon_specification()["paths"]
    for template, described in paths.items():
        pattern = re.sub(r"\\{[^}]+\\}", r"[0-9]+", re.escape(template))
        operation = described.get(sent.method.lower())
        if operation is not None and re.fullmatch(pattern, sent.path) is not None:
            return [f"{sent.method} {template}: {one}" for one in _problems(operation, sent)]
    return [f"{sent.method} {re.sub('[0-9]{4,}', 'N', sent.path)}: no such path"]


def _problems(operation: Json, sent: SentRequest) -> Iterator[str]:
    if operation.get("security") and not sent.token:
        yield "needs a token"
    parameters = [_resolved(one) for one in operation.get("parameters", [])]
    described = {one["name"]: _resolved(one["schema"]) for one in parameters if one["in"] == "query"}
    required = {one["name"] for one in parameters if one["in"] == "query" and one.get("required")}
    yield from _named(described, required, sent.query)
    if "requestBody" not in operation:
        yield from ["has no body"] if sent.content else []
        return
    schema = _resolved(next(iter(operation["requestBody"]["content"].values()))["schema"])
    variants = [_resolved(one) for one in schema.get("oneOf", schema.get("anyOf", [schema]))]
    results = [list(_body(one, sent)) for one in variants]
    yield from [] if [] in results else min(results, key=len)


def _body(schema: Json, sent: SentRequest) -> Iterator[str]:
    described = {name: _resolved(one) for name, one in schema.get("properties", {}).items()}
    named = [*sent.form, *((name, "") for name in sent.files)]
    yield from _named(described, set(schema.get("required", ())), named)
    for name in sent.files:
        if described.get(name, {}).get("format") != "binary":
            yield f"{name} is no file"


def _named(described: Mapping[str, Json], required: set[str], named: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Unknown parameters, missing ones and values of another type. A name of a list ends with `[]`."""
    for written, value in named:
        name = written.removesuffix("[]")
        if name not in described:
            yield f"{name} is no parameter"
            continue
        is_list = described[name].get("type") == "array"
        if is_list != written.endswith("[]"):
            yield f"{name} is {'a' if is_list else 'no'} list"
        schema = _resolved(described[name].get("items", {})) if is_list else described[name]
        yield from text_problems(name, value, schema)
    yield from (f"{name} is missing" for name in sorted(required - {name.removesuffix("[]") for name, _ in named}))


def _resolved(schema: Json) -> Json:
    """The schema that a reference names, or the schema itself; the parts of `allOf` as one object."""
    while "$ref" in schema:
        place = mastodon_specification()
        for part in schema["$ref"].removeprefix("#/").split("/"):
            place = place[part]
        schema = place
    if "allOf" in schema:
        parts = [_resolved(one) for one in schema["allOf"]]
        properties = {name: one for part in parts for name, one in part.get("properties", {}).items()}
        return {**schema, "properties": properties, "required": [n for part in parts for n in part.get("required", ())]}
    return schema
