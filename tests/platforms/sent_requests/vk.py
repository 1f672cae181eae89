"""Requests to VK by its API schema: methods, parameters, and the kind of token."""

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final

from app.platforms.contract import Token
from tests.platforms.contract.stage import Subject
from tests.platforms.data import data
from tests.platforms.sent_requests import SentRequest
from tests.platforms.sent_requests.texts import text_problems

Json = Any

OF_EVERY_METHOD: Final = {"v": {"type": "string", "required": True}}
KINDS: Final = {Token.USER: "user", Token.COMMUNITY: "group"}
"""The schema's names of the kinds of token."""
UPLOAD: Final = "/upload.php"
FROM_VK: Final = {"act", "mid", "aid", "gid", "hash", "rhash", "swfupload", "api", "server", "_origin", "_sig"}
"""The query of an address that VK returns for an upload."""
OTHER: Final[Mapping[str, frozenset[str]]] = {
    "/oauth2/auth": frozenset({"grant_type", "refresh_token", "device_id", "client_id", "state"}),
    UPLOAD: frozenset(),
}
"""Addresses outside the schema, with their required parameters, by the documentation of VK ID and of uploads."""
FILE: Final = "photo"
EXCEPTIONS: Final[Mapping[str, Mapping[str, str]]] = {
    "vk": {
        "wall.get: owner_id is no parameter":
            "the schema merges it into `domain`; the documentation of the method has both",
        "execute: code is no parameter": "the schema lists no parameter of this method, which has this one alone",
        "wall.post: not with a group's token": "VK lets a community's token post, which the schema does not say",
    },
}  # fmt: skip


@cache
def methods(section: str) -> Mapping[str, Json]:
    path = data("vk/schema") / section / "methods.json"
    return {one["name"]: one for one in json.loads(path.read_text())["methods"]} if path.exists() else {}


@cache
def definition(reference: str) -> Json:
    """The definition that a method's parameter refers to, from a folder beside its own."""
    file, _, pointer = reference.partition("#/definitions/")
    return json.loads((data("vk/schema/wall") / file).read_text())["definitions"][pointer]


def problems(sent: SentRequest, s: Subject) -> list[str]:
    if not sent.path.startswith("/method/"):
        return list(_other(sent))
    method = sent.path.removeprefix("/method/")
    kind = next((KINDS[kind] for kind, text in s.c.tokens.items() if text == sent.token and kind in KINDS), "")
    form = dict([*sent.query, *sent.form])
    return [*_method(method, form, kind), *(_within(form.get("code", ""), kind) if method == "execute" else ())]


def _other(sent: SentRequest) -> Iterator[str]:
    required = OTHER.get(sent.path)
    if required is None:
        yield f"{sent.path}: no such address"
        return
    names = {name for name, _ in (*sent.query, *sent.form)} - FROM_VK
    if sent.path == UPLOAD and sent.files.keys() != {FILE}:
        yield f"{sent.path}: the file is not named {FILE}"
    yield from (f"{sent.path}: {name} is no parameter" for name in sorted(names - required))
    yield from (f"{sent.path}: {name} is missing" for name in sorted(required - names))


def _method(method: str, form: Mapping[str, str], kind: str) -> Iterator[str]:
    described = methods(method.partition(".")[0]).get(method)
    if described is None:
        yield f"{method}: no such method"
        return
    if kind not in described["access_token_type"]:
        yield f"{method}: not with a {kind}'s token"
    parameters = {one["name"]: one for one in described.get("parameters", [])} | OF_EVERY_METHOD
    for name, value in form.items():
        if name not in parameters:
            yield f"{method}: {name} is no parameter"
        else:
            yield from (f"{method}: {one}" for one in text_problems(name, value, _resolved(parameters[name])))
    for name, one in parameters.items():
        if one.get("required") and name not in form:
            yield f"{method}: {name} is missing"


def _within(code: str, kind: str) -> Iterator[str]:
    """The calls in the code of `execute`."""
    for call in re.finditer(r"API\.([\w.]+)\(", code):
        arguments, _ = json.JSONDecoder().raw_decode(code, call.end())
        form = {name: str(value) for name, value in arguments.items()} | {"v": ""}
        yield from _method(call[1], form, kind)


def _resolved(schema: Mapping[str, Json]) -> Mapping[str, Json]:
    """The schema of a parameter without references."""
    if "items" in schema:
        return {**schema, "items": _resolved(schema["items"])}
    return {**definition(schema["$ref"]), **schema} if "$ref" in schema else schema
