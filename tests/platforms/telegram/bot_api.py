"""Telegram's description of the Bot API: validates values against it, and generates valid ones."""

import json
import re
from functools import cache
from typing import Any

from hypothesis import strategies as st

from tests.platforms.data import data

Json = Any

PLAIN: dict[str, tuple[type, ...]] = {"Integer": (int,), "Float": (int, float), "String": (str,), "Boolean": (bool,)}
CHAT_TYPES = ("private", "group", "supergroup", "channel")


@cache
def api() -> Json:
    return json.loads(data("telegram/api.json").read_text())


def fields(name: str) -> dict[str, Json]:
    """The fields of a type, or the parameters of a method."""
    described = api()["types"].get(name) or api()["methods"][name]
    return {field["name"]: field for field in described.get("fields", [])}


def returns(method: str) -> list[str]:
    """The types that a method may return."""
    types: list[str] = api()["methods"][method]["returns"]
    return types


def constant(field: Json) -> str | None:
    """The fixed value of a field that identifies a subtype; None if the field has none."""
    match = re.search(r'(?:always|must be) ["“]?(\w+)["”]?$', field["description"].strip())
    return match[1] if match is not None and field["name"] in {"type", "status", "source"} else None


def problems(kinds: list[str], value: Json, where: str = "") -> list[str]:
    """Why a value is of none of these types: wrong types, missing fields, unknown fields. Empty if it is of one."""
    problems_by_type = [_problems_of_type(kind, value, where) for kind in kinds]
    return [] if any(not one for one in problems_by_type) else min(problems_by_type, key=len)


def _problems_of_type(kind: str, value: Json, where: str) -> list[str]:
    if kind in PLAIN:
        right = isinstance(value, PLAIN[kind]) and (kind == "Boolean") == isinstance(value, bool)
        return [] if right else [f"{where}: {value!r} is no {kind}"]
    if kind.startswith("Array of "):
        if not isinstance(value, list):
            return [f"{where}: {value!r} is no list"]
        inner = kind.removeprefix("Array of ")
        return [one for place, item in enumerate(value) for one in _problems_of_type(inner, item, f"{where}.{place}")]
    if kind == "RichText" and isinstance(value, str | list):
        return [] if isinstance(value, str) else _problems_of_type("Array of RichText", value, where)
    if subtypes := api()["types"][kind].get("subtypes"):
        return problems(subtypes, value, where)
    if not isinstance(value, dict):
        return [f"{where}: {value!r} is no {kind}"]
    described = fields(kind)
    problems_found = [f"{where}.{name}: not in {kind}" for name in value.keys() - described.keys()]
    for name, field in described.items():
        if name not in value:
            problems_found += [f"{where}.{name}: missing in {kind}"] if field["required"] else []
        elif (one := constant(field)) is not None and value[name] != one:
            problems_found.append(f"{where}.{name}: {value[name]!r}, not {one}")
        else:
            problems_found += problems(field["types"], value[name], f"{where}.{name}")
    return problems_found


@cache
def values(kind: str, optional: frozenset[str] = frozenset(), depth: int = 5) -> st.SearchStrategy[Json]:
    """Values of a type: its required fields, and sometimes the `optional` ones, each given as `Type.field`.

    Below `depth` lists are empty and nothing optional is there, for some types contain themselves.
    """
    if kind.startswith("Array of "):
        inner = kind.removeprefix("Array of ")
        return st.lists(values(inner, optional, depth), max_size=3) if depth > 0 else st.just([])
    match kind:
        case "Integer":
            return st.integers(0, 2**40)
        case "Float":
            return st.floats(0, 1e6)
        case "String":
            return st.text(max_size=20)
        case "Boolean":
            return st.booleans()
        case "RichText":
            return st.text(max_size=20) | st.lists(st.text(max_size=5), max_size=2)
    if subtypes := api()["types"][kind].get("subtypes"):
        return st.one_of([values(one, optional, depth) for one in subtypes])
    required, others = {}, {}
    for name, field in fields(kind).items():
        if field["required"]:
            required[name] = _value(kind, field, optional, depth - 1)
        elif f"{kind}.{name}" in optional and depth > 0:
            others[name] = _value(kind, field, optional, depth - 1)
    return st.fixed_dictionaries(required, optional=others)


def _value(kind: str, field: Json, optional: frozenset[str], depth: int) -> st.SearchStrategy[Json]:
    name = field["name"]
    if (one := constant(field)) is not None:
        return st.just(one)
    if (kind, name) in {("Chat", "type"), ("ChatFullInfo", "type")}:
        return st.sampled_from(CHAT_TYPES)
    if name.endswith("date") and "Integer" in field["types"]:
        return st.integers(1, 2**31 - 1)
    if kind in {"Chat", "ChatFullInfo"} and name in {"id", "linked_chat_id"}:
        return st.integers(-(2**52), 2**52)
    return st.one_of([values(one, optional, depth) for one in field["types"]])
