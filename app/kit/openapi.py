"""The OpenAPI document: FastAPI's own, completed by the conventions of all operations."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from app.kit.errors import PROBLEM
from app.kit.idempotency import EXEMPT_PREFIX, HEADER
from app.kit.openapi_schemas import REF, component, parameter, with_names, with_nulls
from app.kit.routing import FieldProblem, Problem, RawRoute, Route, problems

_HEADERS: Final[Mapping[str, Mapping[str, Any]]] = {
    "RateLimit": {
        "description": "What is left in this minute: `r` requests, and it ends in `t` seconds.",
        "schema": {"type": "string", "examples": ['"default";r=299;t=42']},
    },
    "RateLimit-Policy": {
        "description": "The limit: `q` requests in `w` seconds.",
        "schema": {"type": "string", "examples": ['"default";q=300;w=60']},
    },
    "X-Request-ID": {
        "description": "This request's id, as in the logs; the one that was sent, if one was.",
        "schema": {"type": "string", "examples": ["01a1d0f4-9d26-7c1b-b0a0-1d2f3a4b5c6d"]},
    },
    "ETag": {
        "description": "The version of the answer, for `If-None-Match` and, where an operation takes it, `If-Match`.",
        "schema": {"type": "string", "examples": ['"v3"']},
    },
    "Retry-After": {
        "description": "Repeat the request after this many seconds; absent where repeating does not help.",
        "schema": {"type": "integer", "minimum": 0, "examples": [30]},
    },
    "WWW-Authenticate": {
        "description": "How to authenticate.",
        "schema": {"type": "string", "examples": ['Bearer realm="instep"']},
    },
    "Idempotent-Replayed": {
        "description": "`true`: the first answer under this `Idempotency-Key`, again; nothing was done anew.",
        "schema": {"type": "string", "enum": ["true"]},
    },
    "Location": {
        "description": "Where the link leads.",
        "schema": {"type": "string", "format": "uri", "examples": ["https://coffee.example/menu"]},
    },
}
_ALWAYS: Final = ("RateLimit", "RateLimit-Policy", "X-Request-ID")
_OF_STATUS: Final[Mapping[str, tuple[str, ...]]] = {
    "304": ("ETag",),
    "302": ("Location",),
    "303": ("Location",),
    "401": ("WWW-Authenticate",),
    "409": ("Retry-After",),
    "429": ("Retry-After",),
    "503": ("Retry-After",),
}
"""Headers of answers with this status, whatever the operation."""

_IDEMPOTENCY: Final = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "description": "Repeat a request under the same key and get the first answer again (24 h).",
    "schema": {
        "type": "string",
        "minLength": 1,
        "maxLength": 255,
        "pattern": "^[!-~]+$",
        "examples": ["5f0c1f5e-2f0b-4a57-8f0e-0c4f1f0b7a11"],
    },
}
_IF_NONE_MATCH: Final = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "An `ETag` that was read: 304 without a body where nothing has changed since.",
    "schema": {"type": "string", "examples": ['"v3"']},
}
_ID: Final = "_id"


def install(app: FastAPI, security_schemes: Mapping[str, Any], operations: Sequence[Route]) -> None:
    """Make `app.openapi()` return the completed document of these operations, with these `securitySchemes`."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = complete(
                get_openapi(
                    title=app.title,
                    version=app.version,
                    summary=app.summary,
                    description=app.description,
                    contact=app.contact,
                    license_info=app.license_info,
                    servers=app.servers,
                    routes=app.routes,
                    tags=app.openapi_tags,
                ),
                security_schemes,
                operations,
            )
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # FastAPI documents this as the way


def complete(
    document: dict[str, Any], security_schemes: Mapping[str, Any], operations: Sequence[Route]
) -> dict[str, Any]:
    """Add the security schemes, the problem schema, and the errors, headers and parameters of all operations."""
    components = document.setdefault("components", {})
    components["securitySchemes"] = dict(security_schemes)
    components["headers"] = {name: dict(header) for name, header in _HEADERS.items()}
    schemas = components.setdefault("schemas", {})
    schemas.pop("HTTPValidationError", None)
    schemas.pop("ValidationError", None)
    _, extra = models_json_schema(
        [(Problem, "serialization"), (FieldProblem, "serialization")], ref_template=REF + "{model}"
    )
    schemas.update(extra["$defs"])
    names = {name: name if name.isalnum() else schema["title"] for name, schema in schemas.items()}
    components["schemas"] = {names[name]: component(names[name], schema) for name, schema in schemas.items()}
    document = with_names(document, names)
    components = document["components"]
    for schema in components["schemas"].values():
        if "example" in schema:
            schema["example"] = with_nulls(schema["example"], schema, components["schemas"])
    # A `RawRoute` has neither ETags nor the answers to repeats.
    whole = [route for route in operations if not isinstance(route, RawRoute)]
    tagged = {
        (route.path_format, method.lower())
        for route in whole
        if "GET" in (route.methods or ())
        for method in route.methods or ()
    }
    repeatable = {(route.path_format, "post") for route in whole if "POST" in (route.methods or ())}
    for path, item in document["paths"].items():
        for method, operation in item.items():
            _complete_operation(
                path,
                method,
                operation,
                components["schemas"],
                tagged=(path, method) in tagged,
                repeatable=(path, method) in repeatable and not path.startswith(EXEMPT_PREFIX),
            )
    return document


def _complete_operation(
    path: str, method: str, operation: dict[str, Any], schemas: Mapping[str, Any], *, tagged: bool, repeatable: bool
) -> None:
    """`tagged`: the operation's answers have ETags; `repeatable`: it takes an `Idempotency-Key`."""
    operation.setdefault("security", [])
    responses, parameters = operation["responses"], operation.setdefault("parameters", [])
    for one in parameters:
        one["schema"] = parameter(one["schema"])
        if one["name"].endswith(_ID):
            what = one["name"].removesuffix(_ID).replace("_", " ")
            text = f"The id of the {what}." if one["in"] == "path" else f"Only those of the {what} with this id."
            one.setdefault("description", text)
    shared = [400, 422, 429, 500, 503]
    if "{" in path:
        shared.append(404)
    if "requestBody" in operation:
        shared += [413, 415]
    if repeatable:
        shared += [409, 422]
        parameters.append(_IDEMPOTENCY)
    if tagged:
        parameters.append(_IF_NONE_MATCH)
        responses["304"] = {"description": "It has not changed since the answer with this `ETag`."}
    for status, answer in problems(*shared).items():
        stated = responses.get(str(status), {}).get("content", {})
        if (str(status) == "422" and PROBLEM not in stated) or str(status) not in responses:
            responses[str(status)] = answer
    has_versions = any(one["name"] == "If-Match" for one in parameters)
    for status, answer in responses.items():
        names = [*_ALWAYS, *_OF_STATUS.get(status, ())]
        if status.startswith("2") and status != "204" and (tagged or has_versions):
            names.append("ETag")
        if status.startswith("2") and _IDEMPOTENCY in parameters:
            names.append("Idempotent-Replayed")
        answer.setdefault("headers", {}).update({name: {"$ref": f"#/components/headers/{name}"} for name in names})
    for content in operation.get("requestBody", {}).get("content", {}).values():
        _add_example(content, schemas)


def _add_example(content: dict[str, Any], schemas: Mapping[str, Any]) -> None:
    """Show the examples of a body's schema as those of the body."""
    if "example" in content or "examples" in content:
        return
    name = content["schema"].get("$ref", "").removeprefix(REF)
    examples = schemas.get(name, content["schema"]).get("examples", [])
    if examples:
        content["example"] = examples[0]
