"""The `fields` parameter of Graph's requests: names with modifiers and nested fields.

An example: `id,comments.limit(2){from,message}`.
"""


def without_field(fields: str, name: str) -> str:
    """The fields without this one, on every level; the same where it is not among them, or is the only one."""
    return _without(fields, name) or fields


def split(fields: str) -> list[str]:
    """The top level of a `fields` parameter, each field with its modifiers and nested fields."""
    parts, depth, part = [], 0, ""
    for letter in fields:
        depth += (letter in "({") - (letter in ")}")
        if letter == "," and not depth:
            parts.append(part)
            part = ""
        else:
            part += letter
    return [*parts, part] if part else parts


def _without(fields: str, name: str) -> str:
    kept = []
    for part in split(fields):
        head, brace, nested = part.partition("{")
        if head.partition(".")[0] == name:
            continue
        inner = _without(nested[:-1], name) if brace else ""
        kept.append(f"{head}{{{inner}}}" if inner else head)
    return ",".join(kept)
