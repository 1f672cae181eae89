"""The platforms' own schemas as JSON Schema. Without them, tests skip."""

import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from jsonschema import Draft4Validator, Draft202012Validator
from jsonschema.exceptions import ValidationError
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT4, DRAFT202012

from tests.platforms.data import data

Json = Any


def _lifted(schema: Json) -> Json:
    """The schema with `"required": true` of a property moved to its parent's list."""
    if isinstance(schema, list):
        return [_lifted(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    properties = schema.get("properties")
    required = schema.get("required")
    lifted = {name: value for name, value in schema.items() if name != "required" or not isinstance(required, bool)}
    if isinstance(properties, dict):
        names = [name for name, one in properties.items() if isinstance(one, dict) and one.get("required") is True]
        if names:
            lifted["required"] = names
    return {name: _lifted(value) for name, value in lifted.items()}


@lru_cache(maxsize=1)
def _vk() -> tuple[Registry[Json], dict[str, Json]]:
    registry: Registry[Json] = Registry()
    methods: dict[str, Json] = {}
    for path in sorted(data("vk/schema").glob("*/*.json")):
        content = json.loads(path.read_text())
        if "groups_group" in content.get("definitions", {}):
            # It forbids further properties and is extended with `allOf`: nothing could satisfy both.
            del content["definitions"]["groups_group"]["additionalProperties"]
        registry = registry.with_resource(path.as_uri(), Resource.from_contents(_lifted(content), DRAFT4))
        if path.name == "methods.json":
            methods |= {one["name"]: {**one, "_at": path} for one in content["methods"]}
    return registry, methods


def vk_validator(file: str, definition: str) -> Draft4Validator:
    uri = (data("vk/schema") / file).as_uri()
    return Draft4Validator({"$ref": f"{uri}#/definitions/{definition}"}, registry=_vk()[0])


def vk_problems(method: str, answer: Json, response: str = "response") -> tuple[list[str], list[str]]:
    """(errors, warnings) of a method's response: wrong types, and missing properties."""
    if "error" in answer:
        return _sorted(vk_validator("base/objects.json", "base_error").iter_errors(answer["error"]))
    registry, methods = _vk()
    file, _, pointer = methods[method]["responses"][response]["$ref"].partition("#")
    uri = (methods[method]["_at"].parent / file).resolve().as_uri()
    return _sorted(Draft4Validator({"$ref": f"{uri}#{pointer}"}, registry=registry).iter_errors(answer))


def vk_tokens(method: str) -> list[str]:
    token_kinds: list[str] = _vk()[1][method]["access_token_type"]
    return token_kinds


def mastodon_problems(path: str, method: str, status: int, answer: Json) -> list[str]:
    registry, specification = _mastodon()
    responses = specification["paths"][path][method]["responses"]
    schema = responses[str(status)]["content"]["application/json"]["schema"]
    absolute = json.loads(json.dumps(schema).replace('"#/', '"urn:mastodon#/'))
    validator = Draft202012Validator(absolute, registry=registry, format_checker=Draft202012Validator.FORMAT_CHECKER)
    errors, warnings = _sorted(validator.iter_errors(answer))
    return errors + warnings


def mastodon_specification() -> Json:
    """Mastodon's OpenAPI document."""
    return _mastodon()[1]


@lru_cache(maxsize=1)
def _mastodon() -> tuple[Registry[Json], Json]:
    specification = json.loads(data("mastodon/openapi/dist/schema.json").read_text())
    resource = Resource.from_contents(specification, DRAFT202012)
    return Registry().with_resource("urn:mastodon", resource), specification


def _sorted(problems: Iterator[ValidationError]) -> tuple[list[str], list[str]]:
    errors: list[str] = []
    warnings: list[str] = []
    for problem in problems:
        leaves = list(problem.context or [problem])
        for leaf in leaves:
            where = "/".join(str(part) for part in leaf.absolute_path)
            (warnings if leaf.validator == "required" else errors).append(f"{where}: {leaf.message[:200]}")
    return errors, warnings
