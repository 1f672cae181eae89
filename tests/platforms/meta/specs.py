"""What Meta's business SDK says of Graph's objects."""

import json
import re
from dataclasses import dataclass
from functools import cache
from typing import Any

import httpx

from tests.platforms.data import data
from tests.platforms.meta.server import field_names

ALWAYS = frozenset({"id", "name", "username"})
"""What an object without a specification of its own is asked for: who wrote something."""


@dataclass(frozen=True)
class Spec:
    """A kind of object: its fields, and by path the edges that are read and written."""

    fields: dict[str, str]
    read: dict[str, str]
    written: dict[str, frozenset[str]]


@cache
def spec(name: str) -> Spec | None:
    """None where Meta publishes none."""
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
    """The fields, also of objects inside, that this kind of object does not have."""
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
    """The top level of a field list, each field with what is asked of it."""
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
    """What was sent to an edge that it does not take; a file and the answer's fields go by themselves."""
    specification = spec(kind)
    assert specification is not None
    return {re.sub(r"\[\d+\]$", "", name) for name in sent} - specification.written[edge] - {"source", "fields"}


def client_answering(content: object, status: int = 200) -> httpx.AsyncClient:
    """A client to a server that always answers this."""
    return httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(status, json=content)))
