"""Requests to Bluesky by its lexicons: methods, parameters, bodies and records."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from tests.platforms.contract.stage import Subject
from tests.platforms.sent_requests import SentRequest
from tests.sandbox import lexicons

Json = Any

METHODS: Final = {"query": "GET", "procedure": "POST"}
EXCEPTIONS: Final[Mapping[str, Mapping[str, str]]] = {"bluesky": {}}


def problems(sent: SentRequest, _: Subject) -> list[str]:
    method = sent.path.removeprefix("/xrpc/")
    if method not in lexicons.methods():
        return [f"{method}: no such method"]
    return list(_problems(method, lexicons.definition(method, "")[0], sent))


def _problems(method: str, main: Json, sent: SentRequest) -> Iterator[str]:
    if sent.method != METHODS[main["type"]]:
        yield f"{method}: a {main['type']} is no {sent.method}"
    described = main.get("parameters", {}).get("properties", {})
    query: dict[str, Json] = {}
    for name, value in sent.query:
        if name not in described:
            yield f"{method}: {name} is no parameter"
        elif described[name]["type"] == "array":
            query.setdefault(name, []).append(_converted(value, described[name]["items"]))
        else:
            query[name] = _converted(value, described[name])
    if "parameters" in main:
        yield from lexicons.problems(method, "parameters", query)
    if method.startswith("chat.") and not sent.headers.get("atproto-proxy", "").endswith("#bsky_chat"):
        yield f"{method}: not sent to the chat's service"
    yield from _body(method, main.get("input"), sent)


def _body(method: str, described: Json, sent: SentRequest) -> Iterator[str]:
    if described is None:
        yield from [f"{method}: has no body"] if sent.content else []
        return
    if described["encoding"] not in {sent.content_type, "*/*"}:
        yield f"{method}: the body is no {described['encoding']}"
    if "schema" not in described:
        return
    yield from lexicons.problems(method, "input", sent.json)
    yield from _unknown(f"{method}: the body", described["schema"], sent.json, method)
    record = sent.json.get("record")
    if record is not None:
        kind = record["$type"]
        yield from lexicons.record_problems(record)
        yield from _unknown(f"{kind}: the record", lexicons.definition(kind, "")[0]["record"], record, kind)


def _unknown(at: str, schema: Json, value: Json, home: str) -> Iterator[str]:
    """Fields that an object's definition does not have, also in the objects that it refers to."""
    if schema["type"] == "ref":
        schema, home = lexicons.definition(schema["ref"], home)
    if schema["type"] == "array" and isinstance(value, list):
        for one in value:
            yield from _unknown(at, schema["items"], one, home)
    if schema["type"] != "object" or not isinstance(value, dict):
        return
    for name, inner in value.items():
        if name in schema["properties"]:
            yield from _unknown(f"{at}/{name}", schema["properties"][name], inner, home)
        elif name != "$type":
            yield f"{at} has no {name}"


def _converted(value: str, schema: Mapping[str, Json]) -> Json:
    """A parameter's text as the type of its schema; unchanged where it is of another one."""
    if schema["type"] == "integer" and value.isascii() and value.isdecimal():
        return int(value)
    return {"true": True, "false": False}.get(value, value) if schema["type"] == "boolean" else value
