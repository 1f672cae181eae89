"""Bluesky's lexicons, as far as needed to validate calls and responses."""

import json
import re
from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache
from typing import Final, Literal
from urllib.parse import urlsplit

import regex

from tests.platforms.data import data
from tests.sandbox.schemas import Json

DID: Final = r"did:[a-z]+:[a-zA-Z0-9._:%-]*[a-zA-Z0-9._-]"
HANDLE: Final = r"([a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?\.)+[a-zA-Z]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
NSID: Final = r"[a-zA-Z]([a-zA-Z0-9-]{0,62})(\.[a-zA-Z0-9-]{1,63})+\.[a-zA-Z][a-zA-Z0-9]{0,62}"
KEY: Final = r"(?!\.{1,2}$)[a-zA-Z0-9._:~-]{1,512}"
FORMATS: Final = {
    "did": DID,
    "handle": HANDLE,
    "at-identifier": f"({DID}|{HANDLE})",
    "nsid": NSID,
    "record-key": KEY,
    "tid": r"[2-7a-j][2-7a-z]{12}",
    "at-uri": rf"at://({DID}|{HANDLE})(/{NSID}(/{KEY})?)?",
    "cid": r"b[a-z2-7]{58}",
    "language": r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*",
    "datetime": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,20})?(Z|[+-]\d\d:\d\d)",
}
KINDS: Final[dict[str, tuple[type, ...]]] = {
    "string": (str,), "integer": (int,), "boolean": (bool,), "array": (list,), "object": (dict,),
    "params": (dict,), "unknown": (dict,),
}  # fmt: skip


@lru_cache(maxsize=1)
def _lexicons() -> dict[str, Json]:
    documents = {}
    for path in data("bluesky/lexicons").rglob("*.json"):
        lexicon = json.loads(path.read_text())
        documents[lexicon["id"]] = lexicon["defs"]
    return documents


def methods() -> set[str]:
    """The names of all methods."""
    return {name for name, defs in _lexicons().items() if defs.get("main", {}).get("type") in ("query", "procedure")}


def definition(ref: str, home: str) -> tuple[Json, str]:
    """The definition of a reference, and the lexicon that resolves its own references."""
    name, _, part = ref.partition("#")
    name = name or home
    return _lexicons()[name][part or "main"], name


def problems(method: str, part: Literal["parameters", "input", "output"], value: Json) -> list[str]:
    """The lexicon's violations in a call's query or body, or in its response."""
    main = _lexicons()[method]["main"]
    schema = main.get(part) if part == "parameters" else main.get(part, {}).get("schema")
    if schema is None:
        return [] if not value else [f"{method} knows no {part}"]
    return list(_check(schema, value, method, method))


def record_problems(value: Json) -> list[str]:
    """The violations in a record of the lexicon of its `$type`."""
    return list(_record(value, "record"))


def _check(schema: Json, value: Json, home: str, at: str) -> Iterator[str]:
    kind = schema["type"]
    if kind == "ref":
        yield from _check(*_swapped(schema["ref"], value, home), at)
        return
    if kind == "union":
        yield from _union(schema, value, home, at)
        return
    if kind == "blob":
        yield from _blob(schema, value, at)
        return
    if type(value) not in KINDS[kind]:
        yield f"{at}: {value!r} is no {kind}"
        return
    match kind:
        case "string":
            yield from _string(schema, value, at)
        case "array":
            yield from _size(schema, len(value), "Length", at)
            for number, one in enumerate(value):
                yield from _check(schema["items"], one, home, f"{at}/{number}")
        case "object" | "params":
            for name in schema.get("required", []):
                if name not in value:
                    yield f"{at}: {name} is missing"
            for name, inner in schema.get("properties", {}).items():
                if name in value and not (value[name] is None and name in schema.get("nullable", [])):
                    yield from _check(inner, value[name], home, f"{at}/{name}")
        case "unknown":
            yield from _record(value, at)
    for bound, wrong in (("minimum", -1), ("maximum", 1)):
        if bound in schema and (value - schema[bound]) * wrong > 0:
            yield f"{at}: {value} is beyond the {bound}"
    if value != schema.get("const", value):
        yield f"{at}: {value!r} is not {schema['const']!r}"


def _swapped(ref: str, value: Json, home: str) -> tuple[Json, Json, str]:
    definition_found, name = definition(ref, home)
    return definition_found, value, name


def _union(schema: Json, value: Json, home: str, at: str) -> Iterator[str]:
    """One of several, selected by `$type`; an unlisted one is a violation even in an open union."""
    named = value.get("$type") if isinstance(value, dict) else None
    refs_by_id = {_full(ref, home): ref for ref in schema["refs"]}
    if named not in refs_by_id:
        yield f"{at}: $type {named!r} is none of {sorted(refs_by_id)}"
    else:
        yield from _check(*_swapped(refs_by_id[named], value, home), at)


def _full(ref: str, home: str) -> str:
    return f"{home}{ref}" if ref.startswith("#") else ref


def _blob(schema: Json, value: Json, at: str) -> Iterator[str]:
    right = isinstance(value, dict) and value.get("$type") == "blob" and isinstance(value.get("size"), int)
    if not right or re.fullmatch(FORMATS["cid"], value["ref"]["$link"]) is None:
        yield f"{at}: {value!r} is no blob"
    elif value["size"] > schema.get("maxSize", value["size"]):
        yield f"{at}: the blob is too large"


def _record(value: Json, at: str) -> Iterator[str]:
    """A record is checked where its lexicon is known."""
    defs = _lexicons().get(str(value.get("$type")), {})
    if defs.get("main", {}).get("type") == "record":
        yield from _check(defs["main"]["record"], value, value["$type"], at)


def _string(schema: Json, value: str, at: str) -> Iterator[str]:
    yield from _size(schema, len(value.encode()), "Length", at)
    yield from _size(schema, len(regex.findall(r"\X", value)), "Graphemes", at)
    form = schema.get("format")
    if form == "uri":
        good = bool(urlsplit(value).scheme)
    else:
        good = form is None or re.fullmatch(FORMATS[form], value) is not None
    if form == "datetime" and good:
        good = datetime.fromisoformat(value).tzinfo is not None
    if not good:
        yield f"{at}: {value!r} is no {form}"


def _size(schema: Json, size: int, what: str, at: str) -> Iterator[str]:
    if size > schema.get(f"max{what}", size) or size < schema.get(f"min{what}", size):
        yield f"{at}: its {what.lower()} is {size}"
