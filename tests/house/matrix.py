"""Requests in which one id, cursor or key is somebody else's: the cells of the isolation matrix.

A request is made with the caller's own ids everywhere. Then, position by position, one of them is replaced by one of
another workspace or project, and by one that does not exist: both must be answered alike.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeAlias

import httpx

from tests.house.conftest import sample

Document: TypeAlias = dict[str, Any]
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


JSON: Final = "application/json"


@dataclass(frozen=True)
class Position:
    """Where in a request an id stands."""

    kind: str
    """`path`, `query` or `body`."""
    name: str
    """The id's name, as in a `Stock`."""
    steps: tuple[Any, ...]
    """The parameter's name; in a body the keys and indexes that lead to the value."""

    @property
    def field(self) -> str:
        """The name of the parameter or field."""
        return str(next(step for step in reversed(self.steps) if isinstance(step, str)))


@dataclass(frozen=True)
class Template:
    """A request to an operation, with ids by the names of a `Stock`."""

    operation_id: str
    method: str
    path: str
    """With its parameters in braces."""
    path_ids: Mapping[str, str]
    query: Mapping[str, str]
    body: Any
    media_type: str = JSON

    @classmethod
    def of(cls, document: Document, path: str, method: str, ids: Mapping[str, str]) -> "Template":
        """A valid request with these ids wherever the operation takes one."""
        operation = document["paths"][path][method]
        names = {kind: set[str]() for kind in ("path", "query", "header", "cookie")}
        for parameter in operation.get("parameters", ()):
            names[parameter["in"]].add(parameter["name"])
        body, media_type = None, JSON
        if "requestBody" in operation:
            ((media_type, media),) = operation["requestBody"]["content"].items()
            schema = media["schema"]
            body = _filled(document, schema, sample(document, schema, dict(ids)), ids, operation["tags"][0])
        return cls(
            operation["operationId"],
            method,
            path,
            {name: ids[name] for name in names["path"]},
            {name: ids[name] for name in names["query"] & ids.keys()},
            body,
            media_type,
        )

    def positions(self, ids: Mapping[str, str]) -> Iterator[Position]:
        """Where one of these ids stands."""
        for kind, values in (("path", self.path_ids), ("query", self.query)):
            for name in values:
                if name in ids:
                    yield Position(kind, name, (name,))
        names = {value: name for name, value in ids.items()}
        for steps, value in _leaves(self.body):
            if value in names:
                yield Position("body", names[value], steps)

    def put(self, position: Position, value: str) -> "Template":
        """This request with another id in one position."""
        if position.kind == "path":
            return replace(self, path_ids={**self.path_ids, position.name: value})
        if position.kind == "query":
            return replace(self, query={**self.query, position.name: value})
        body = deepcopy(self.body)
        inner = body
        for step in position.steps[:-1]:
            inner = inner[step]
        inner[position.steps[-1]] = value
        return replace(self, body=body)

    async def send(self, http: httpx.AsyncClient, *, cursor: str | None = None, **headers: str) -> httpx.Response:
        """Send it; the response."""
        query = {**self.query, **({} if cursor is None else {"cursor": cursor})}
        url = self.path.format(**self.path_ids)
        if self.media_type != JSON:
            headers = {**headers, "Content-Type": self.media_type}
            return await http.request(self.method, url, params=query, content=self.body.encode(), headers=headers)
        return await http.request(self.method, url, params=query, json=self.body, headers=headers)


_OTHER_NAMES: Final = {"stands_in_id": "user_id"}
_OF_ITEMS: Final = {"inquiries": "inquiry_id", "posts": "post_id", "links": "link_id"}
"""What `id` means in the items of a room's bulk operation."""


def _filled(document: Document, schema: Document, value: Any, ids: Mapping[str, str], room: str) -> Any:
    """A request body in which every field that takes an id, at any depth, has one of these ids."""
    schema = _resolved(document, schema)
    if isinstance(value, dict) and "properties" in schema:
        filled = dict(value)
        for name, inner in schema["properties"].items():
            meant = _OF_ITEMS.get(room, "") if name == "id" else _OTHER_NAMES.get(name, name)
            if meant in ids and is_id(document, inner):
                filled[name] = ids[meant]
            elif meant.removesuffix("s") in ids and is_id(document, _items(document, inner)):
                filled[name] = [ids[meant.removesuffix("s")]]
            elif name in value and (value[name] or not _items(document, inner)):
                filled[name] = _filled(document, inner, value[name], ids, room)
            elif "properties" in _resolved(document, _items(document, inner)):
                one = _items(document, inner)
                filled[name] = [_filled(document, one, sample(document, one, dict(ids)), ids, room)]
        return filled
    if isinstance(value, list):
        return [_filled(document, _items(document, schema), one, ids, room) for one in value]
    return value


def _resolved(document: Document, schema: Document) -> Document:
    """The schema behind references; of several that may be chosen the first that is not null."""
    while "$ref" in schema or "anyOf" in schema or "oneOf" in schema:
        if "$ref" in schema:
            schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        else:
            choices = schema.get("anyOf") or schema["oneOf"]
            schema = next(one for one in choices if one.get("type") != "null")
    return schema


def _items(document: Document, schema: Document) -> Document:
    items: Document = _resolved(document, schema).get("items", {})
    return items


def is_id(document: Document, schema: Document) -> bool:
    """Whether a field with this schema takes an id."""
    return _resolved(document, schema).get("format") == "uuid"


def takes_id(document: Document, schema: Document) -> bool:
    """Whether a field or parameter with this schema takes an id, or a list of ids."""
    return is_id(document, schema) or is_id(document, _items(document, schema))


def body_fields(document: Document, operation: Document) -> Iterator[tuple[str, Document]]:
    """The fields of an operation's request body, at any depth, with their schemas."""

    def fields(schema: Document) -> Iterator[tuple[str, Document]]:
        schema = _resolved(document, schema)
        for name, inner in schema.get("properties", {}).items():
            yield name, inner
            yield from fields(inner)
        if "items" in schema:
            yield from fields(schema["items"])

    for media in operation.get("requestBody", {}).get("content", {}).values():
        yield from fields(media["schema"])


def _leaves(value: Any, *steps: Any) -> Iterator[tuple[tuple[Any, ...], Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, *steps, key)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _leaves(inner, *steps, index)
    elif isinstance(value, str):
        yield steps, value


def content(answer: httpx.Response) -> str:
    """A response's status and text without its ids."""
    text = answer.text.replace(answer.headers.get("x-request-id", "-"), "…")
    return f"{answer.status_code} {_UUID.sub('…', text)}"


@dataclass
class Findings:
    """What a walk through the matrix found, and how many cells it judged."""

    exceptions: list[str] = field(default_factory=list)
    cells: Counter[str] = field(default_factory=Counter)
    """By kind of position."""

    def judge(self, template: Template, position: str, theirs: httpx.Response, unknown: httpx.Response) -> None:
        """Count a cell, and note it where what is somebody else's is answered otherwise than what does not exist."""
        self.cells[position.partition(" ")[0]] += 1
        if content(theirs) != content(unknown):
            self.exceptions.append(
                f"{template.operation_id}, {position}: {theirs.status_code} {theirs.text[:160]}, "
                f"and not {unknown.status_code} {unknown.text[:160]}"
            )

    def refuse(self, template: Template, position: str, answer: httpx.Response, code: str) -> None:
        """Count a cell, and note it unless the answer is the problem `code`."""
        self.cells[position.partition(" ")[0]] += 1
        got = answer.json().get("code") if answer.status_code >= 400 else "replay" if replayed(answer) else "success"
        if got != code:
            self.exceptions.append(f"{template.operation_id}, {position}: {answer.status_code} {got}, and not {code}")

    def __str__(self) -> str:
        return ", ".join(f"{number} {kind}" for kind, number in sorted(self.cells.items()))


def replayed(answer: httpx.Response) -> bool:
    """Whether this is the stored first answer to an `Idempotency-Key`."""
    return "idempotent-replayed" in answer.headers
