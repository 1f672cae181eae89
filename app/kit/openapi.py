"""The OpenAPI document: FastAPI's own, completed by the conventions of all operations."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from app.kit.idempotency import EXEMPT_PREFIX, HEADER
from app.kit.routing import FieldProblem, Problem, problems

_RESPONSE_HEADERS = {
    "RateLimit": {"description": "What is left in this window.", "schema": {"type": "string"}},
    "RateLimit-Policy": {"description": "The limit.", "schema": {"type": "string"}},
    "X-Request-ID": {"description": "This request's id, as in the logs.", "schema": {"type": "string"}},
}

_IDEMPOTENCY = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "description": "Repeat a request under the same key and get the first answer again (24 h).",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}


def install(app: FastAPI, security_schemes: Mapping[str, Any]) -> None:
    """Make `app.openapi()` return the completed document, with these `securitySchemes`."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = complete(
                get_openapi(
                    title=app.title,
                    version=app.version,
                    description=app.description,
                    routes=app.routes,
                    tags=app.openapi_tags,
                ),
                security_schemes,
            )
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # FastAPI documents this as the way


def complete(document: dict[str, Any], security_schemes: Mapping[str, Any]) -> dict[str, Any]:
    """Add the security schemes, the problem schema, and the errors, headers and parameters of all operations."""
    components = document.setdefault("components", {})
    components["securitySchemes"] = dict(security_schemes)
    schemas = components.setdefault("schemas", {})
    schemas.pop("HTTPValidationError", None)
    schemas.pop("ValidationError", None)
    _, extra = models_json_schema(
        [(Problem, "serialization"), (FieldProblem, "serialization")], ref_template="#/components/schemas/{model}"
    )
    schemas.update(extra["$defs"])
    for path, item in document["paths"].items():
        for method, operation in item.items():
            _complete_operation(path, method, operation)
    return document


def _complete_operation(path: str, method: str, operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    shared = [400, 422, 429, 503]
    if "{" in path:
        shared.append(404)
    if "requestBody" in operation:
        shared += [413, 415]
    if method == "post" and not path.startswith(EXEMPT_PREFIX):
        shared += [409, 422]
        operation.setdefault("parameters", []).append(_IDEMPOTENCY)
    for status, answer in problems(*shared).items():
        if str(status) == "422" or str(status) not in responses:
            responses[str(status)] = answer
    for answer in responses.values():
        answer.setdefault("headers", {}).update(_RESPONSE_HEADERS)
