"""The schemas of the OpenAPI document, in the form that generators of clients agree on.

- A class of a client is named by its component alone: properties and parameters have no titles.
- `null` stands in type arrays. Only what may be null and refers to a component is `anyOf` of the two: JSON Schema
  has no other way to say it.
- A parameter is never null: it is left out.
"""

from collections.abc import Mapping
from typing import Any, Final

REF: Final = "#/components/schemas/"
ITEMS_OF: Final = "x-items-of"
"""In the schema of an array: the component that its items are, where the model takes them unparsed."""
_NULL: Final = {"type": "null"}
_INSIDE_LISTS: Final = ("anyOf", "oneOf", "allOf", "prefixItems")
_INSIDE: Final = ("items", "additionalProperties", "propertyNames", "contains", "not")


def component(name: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of a component, titled by its name."""
    return {**normal(schema), "title": name}


def with_names(value: Any, names: Mapping[str, str]) -> Any:
    """The document with these names in its references to components: not every language takes `Page_PostRead_`."""
    if isinstance(value, list):
        return [with_names(one, names) for one in value]
    if not isinstance(value, dict):
        return value
    made = {key: with_names(one, names) for key, one in value.items()}
    if isinstance(ref := made.get("$ref"), str) and ref.startswith(REF):
        made["$ref"] = REF + names[ref.removeprefix(REF)]
    return made


def with_nulls(example: Any, schema: Mapping[str, Any], components: Mapping[str, Any]) -> Any:
    """The example with null for each required property that it leaves out and that may be null.

    FastAPI drops the nulls of examples as it makes the document.
    """
    schema = _of_objects(schema, components)
    if isinstance(example, list):
        return [with_nulls(one, schema.get("items", {}), components) for one in example]
    if not isinstance(example, dict) or "properties" not in schema:
        return example
    properties = schema["properties"]
    made = {name: with_nulls(one, properties.get(name, {}), components) for name, one in example.items()}
    absent = (name for name in schema.get("required", ()) if name not in made and _may_be_null(properties[name]))
    return made | dict.fromkeys(absent)


def _of_objects(schema: Mapping[str, Any], components: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema, a reference followed; of one that may be null the other."""
    others = [one for one in schema.get("anyOf", ()) if one != _NULL]
    if len(others) == 1:
        schema = others[0]
    if "$ref" in schema:
        schema = components[schema["$ref"].removeprefix(REF)]
    return schema


def _may_be_null(schema: Mapping[str, Any]) -> bool:
    return "null" in schema.get("type", ()) or _NULL in schema.get("anyOf", ())


def parameter(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of a parameter."""
    made = normal(schema)
    if made.get("default", ...) is None:
        del made["default"]
    if "anyOf" in made:
        members = [member for member in made["anyOf"] if member != _NULL]
        rest = {key: value for key, value in made.items() if key != "anyOf"}
        return {**rest, **members[0]} if len(members) == 1 else {**rest, "anyOf": members}
    kinds = made.get("type")
    if isinstance(kinds, list):
        left = [kind for kind in kinds if kind != "null"]
        made["type"] = left[0] if len(left) == 1 else left
        if "enum" in made:
            made["enum"] = [value for value in made["enum"] if value is not None]
    return made


def normal(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A schema without titles, its nulls in type arrays."""
    made = {key: _inside(key, value) for key, value in schema.items() if key != "title"}
    if (item := made.pop(ITEMS_OF, None)) is not None:
        made["items"] = {"$ref": f"{REF}{item}"}
    if "anyOf" in made:
        return _merged(made.pop("anyOf"), made)
    return made


def _inside(key: str, value: Any) -> Any:
    if key in {"properties", "$defs", "patternProperties"}:
        return {name: normal(one) for name, one in value.items()}
    if key in _INSIDE_LISTS:
        return [normal(one) for one in value]
    if key in _INSIDE and isinstance(value, dict):
        return normal(value)
    return value


def _merged(members: list[dict[str, Any]], rest: dict[str, Any]) -> dict[str, Any]:
    """One schema for an `anyOf`, where its members are plain enough; `rest` is what stands beside it."""
    nullable = _NULL in members
    others = [member for member in members if member != _NULL]
    if others and all(member.keys() == {"type"} for member in others):
        kinds = {member["type"] for member in others}
        if "number" in kinds:
            kinds.discard("integer")  # every integer is a number
        others = [{"type": kind} for kind in sorted(kinds)]
    if not others:
        return {**_NULL, **rest}
    if len(others) > 1 or not isinstance(others[0].get("type"), str):
        return {"anyOf": [*others, *([_NULL] if nullable else [])], **rest}
    (only,) = others
    if not nullable:
        return {**only, **rest}
    if "const" in only:
        only = {**{key: value for key, value in only.items() if key != "const"}, "enum": [only["const"]]}
    if "enum" in only:
        only = {**only, "enum": [*only["enum"], None]}
    return {**only, "type": [only["type"], "null"], **rest}
