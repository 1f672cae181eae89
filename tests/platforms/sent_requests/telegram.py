"""Requests to Telegram by the description of its Bot API: methods, parameters and their types."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from tests.platforms.contract.stage import Subject
from tests.platforms.sent_requests import SentRequest
from tests.platforms.telegram.bot_api import api, fields
from tests.platforms.telegram.bot_api import problems as type_problems

Json = Any

EXCEPTIONS: Final[Mapping[str, Mapping[str, str]]] = {"telegram": {}}


def problems(sent: SentRequest, _: Subject) -> list[str]:
    address = re.fullmatch(r"/bot[^/]+/([^/]+)", sent.path)
    method = "" if address is None else address[1]
    if method not in api()["methods"]:
        return [f"{method or 'the address'}: no such method"]
    return [f"{method}{one}" for one in _problems(method, sent)]


def _problems(method: str, sent: SentRequest) -> Iterator[str]:
    described = fields(method)
    values: dict[str, Json] = dict(sent.json or {})
    values |= {name: _parsed(value, described.get(name, {})) for name, value in (*sent.query, *sent.form)}
    for name, value in values.items():
        if name not in described:
            yield f": {name} is no parameter"
        else:
            yield from type_problems(described[name]["types"], value, f".{name}")
    attached = set(re.findall(r'attach://([^"]+)', json.dumps(values)))
    for name in sent.files:
        if name not in attached and "InputFile" not in described.get(name, {}).get("types", ()):
            yield f": {name} is no file"
    for name, field in described.items():
        if field["required"] and name not in values and name not in sent.files:
            yield f": {name} is missing"


def _parsed(value: str, field: Mapping[str, Json]) -> Json:
    """The value of a form's field: JSON, unless the parameter is a text."""
    if "String" in field.get("types", ["String"]):
        number = "Integer" in field.get("types", ()) and re.fullmatch(r"-?\d+", value) is not None
        return int(value) if number else value
    try:
        return json.loads(value)
    except ValueError:
        return value
