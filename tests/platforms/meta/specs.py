"""What Meta's business SDK says of Graph's objects."""

import json
import re
from dataclasses import dataclass
from functools import cache
from typing import Any

import httpx

from tests.platforms.data import data
from tests.platforms.meta.server import names

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


def unknown(kind: str, fields: str) -> list[str]:
    """The fields, also of objects inside, that this kind of object does not have."""
    about = spec(kind)
    found = []
    for name, part in zip(names(fields), parts(fields), strict=True):
        if about is None:
            found += [] if kind == "UnifiedMessage" or name in ALWAYS else [f"{kind}.{name}"]
            continue
        inner = about.fields.get(name) or about.read.get(name)
        if inner is None:
            found.append(f"{kind}.{name}")
        elif (nested := re.search(r"\{(.*)\}$", part)) is not None:
            found += unknown(inner, nested[1])
    return found


def parts(fields: str) -> list[str]:
    """The top level of a field list, each field with what is asked of it."""
    found, depth, part = [], 0, ""
    for letter in fields + ",":
        depth += (letter in "({") - (letter in ")}")
        if letter == "," and not depth:
            found.append(part)
            part = ""
        else:
            part += letter
    return found


def unsent(kind: str, edge: str, sent: dict[str, Any]) -> set[str]:
    """What was sent to an edge that it does not take; a file and the answer's fields go by themselves."""
    about = spec(kind)
    assert about is not None
    return {re.sub(r"\[\d+\]$", "", name) for name in sent} - about.written[edge] - {"source", "fields"}


def saying(content: object, status: int = 200) -> httpx.AsyncClient:
    """A client to a server that always answers this."""
    return httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(status, json=content)))
