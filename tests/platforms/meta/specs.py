"""The specifications of Graph's objects from Meta's business SDK."""

import json
import re
from dataclasses import dataclass
from functools import cache
from typing import Any

import httpx

from tests.platforms.data import data
from tests.platforms.meta.server import field_names

ALWAYS = frozenset({"id", "name", "username"})
"""Fields that may be requested of an object without a specification of its own, such as an author."""


@dataclass(frozen=True)
class Spec:
    """A type of object: the types of its fields, the types that its edges return, and the parameters that they take."""

    fields: dict[str, str]
    read: dict[str, str]
    written: dict[str, frozenset[str]]


@cache
def spec(name: str) -> Spec | None:
    """None if Meta publishes none of this name."""
    path = data("meta/api_specs") / f"{name}.json"
    if not path.exists():
        return None
    raw = json.loads(path.read_text())
    edges = [api for api in raw["apis"] if api.get("endpoint")]
    return Spec(
        {field["name"]: field["type"] for field in raw["fields"]},
        {api["endpoint"]: api["return"] for api in edges if api["method"] == "GET"},
        {api["endpoint"]: frozenset(p["name"] for p in api["params"]) for api in edges if api["method"] == "POST"},
    )


def unknown_fields(kind: str, fields: str) -> list[str]:
    """The fields of a `fields` parameter, nested ones included, that this type of object does not have."""
    specification = spec(kind)
    unknown = []
    for name, part in zip(field_names(fields), split_fields(fields), strict=True):
        if specification is None:
            unknown += [] if kind == "UnifiedMessage" or name in ALWAYS else [f"{kind}.{name}"]
            continue
        inner = specification.fields.get(name) or specification.read.get(name)
        if inner is None:
            unknown.append(f"{kind}.{name}")
        elif (nested := re.search(r"\{(.*)\}$", part)) is not None:
            unknown += unknown_fields(inner, nested[1])
    return unknown


def split_fields(fields: str) -> list[str]:
    """The top level of a `fields` parameter, each field with its modifiers and nested fields."""
    fields_, depth, part = [], 0, ""
    for letter in fields + ",":
        depth += (letter in "({") - (letter in ")}")
        if letter == "," and not depth:
            fields_.append(part)
            part = ""
        else:
            part += letter
    return fields_


def unknown_params(kind: str, edge: str, sent: dict[str, Any]) -> set[str]:
    """The parameters sent to an edge that it does not take; `source` (a file) and `fields` are in no specification."""
    specification = spec(kind)
    assert specification is not None
    return {re.sub(r"\[\d+\]$", "", name) for name in sent} - specification.written[edge] - {"source", "fields"}


def client_answering(content: object, status: int = 200) -> httpx.AsyncClient:
    """A client of a server that always returns this response."""
    return httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(status, json=content)))
