"""Parser for `fields=`: names with modifiers and nested fields, `comments.filter(stream).limit(2){from,message}`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from sandbox.graph.errors import GraphError

_NAME: Final = re.compile(r"\s*([a-z_0-9]+)\s*", re.IGNORECASE)
_MODIFIER: Final = re.compile(r"\.([a-z_]+)\(([^()]*)\)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Field:
    """One requested field."""

    name: str
    args: Mapping[str, str] = field(default_factory=dict)
    below: tuple[Field, ...] | None = None
    """The nested fields; None if not given."""
    alias: str = ""
    source: str = ""
    """The text of `below`."""


def parsed(text: str) -> tuple[Field, ...]:
    """The fields in a text. Raises `GraphError` 2500 for a syntax error."""
    if not text:
        return ()
    fields, end = _fields(text, 0)
    if end != len(text):
        raise _unread(text, end)
    return fields


def _fields(text: str, at: int) -> tuple[tuple[Field, ...], int]:
    fields: list[Field] = []
    while True:
        name = _NAME.match(text, at)
        if name is None:
            if fields and text[at - 1] == ",":
                return tuple(fields), at  # a trailing comma is allowed
            raise _unread(text, at)
        one, at = _one(text, name.group(1), name.end())
        fields.append(one)
        if at >= len(text) or text[at] != ",":
            return tuple(fields), at
        at += 1


def _one(text: str, name: str, at: int) -> tuple[Field, int]:
    args: dict[str, str] = {}
    while (modifier := _MODIFIER.match(text, at)) is not None:
        args[modifier.group(1)] = modifier.group(2)
        at = modifier.end()
    below: tuple[Field, ...] | None = None
    source = ""
    if text[at : at + 1] == "{":
        below, end = _fields(text, at + 1)
        if text[end : end + 1] != "}":
            raise _unread(text, end)
        source, at = text[at + 1 : end], end + 1
    return Field(name, args, below, args.pop("as", ""), source), at


def _unread(text: str, at: int) -> GraphError:
    said = f'"{text[at]}" at character {at}' if at < len(text) else "end of string"
    return GraphError(2500, f"Syntax error: Expected name instead of {said}: {text[:80]}")
