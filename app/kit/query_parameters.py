"""The query parameters of an operation: unknown and repeated ones are refused, never ignored.

A filter that is ignored gives a wrong answer without a word.
"""

import difflib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, get_args, get_origin

from fastapi import Request
from fastapi.dependencies.models import Dependant

from app.kit.errors import Invalid

_MOST_ERRORS: Final = 20
_MOST_CHARACTERS: Final = 64
"""Of a name that is compared or repeated in an answer; comparing takes the square of it."""


@dataclass(frozen=True, slots=True)
class QueryParameters:
    """The query parameters that an operation declares."""

    names: frozenset[str]
    repeatable: frozenset[str]
    """Those that take several values: `?status=new&status=open`."""

    @classmethod
    def of(cls, dependant: Dependant) -> "QueryParameters":
        """The parameters of an endpoint and of all its dependencies."""
        fields = {field.alias: field.field_info for field in _declared(dependant)}
        return cls(
            frozenset(fields), frozenset(name for name, info in fields.items() if _takes_several(info.annotation))
        )

    def check(self, request: Request) -> None:
        """Raise `Invalid` for a parameter that is not declared, repeated, or has a NUL character.

        The `code` is `unknown-parameter` where one is not declared; its `errors` name the nearest one that is.
        """
        if not request.scope["query_string"]:
            return
        sent = request.query_params.multi_items()
        errors = [self._unknown(name) for name in dict.fromkeys(name for name, _ in sent) if name not in self.names]
        code = "unknown-parameter" if errors else "invalid-input"
        if not errors:
            counts = Counter(name for name, _ in sent)
            errors = [
                _error(name, "repeated-parameter", "This parameter takes one value.")
                for name, count in counts.items()
                if count > 1 and name not in self.repeatable
            ]
            errors += [
                _error(name, "nul-character", "NUL characters are refused.") for name, value in sent if "\0" in value
            ]
        if errors:
            first = errors[0]
            raise Invalid(f"{first['field']}: {first['detail']}", code=code, errors=errors[:_MOST_ERRORS])

    def _unknown(self, name: str) -> dict[str, Any]:
        detail = "This operation takes no query parameters."
        nearest = difflib.get_close_matches(name[:_MOST_CHARACTERS].lower(), sorted(self.names), n=1, cutoff=0.0)
        if nearest:
            detail = f"There is no such parameter; the nearest is {nearest[0]!r}. All: {', '.join(sorted(self.names))}."
        return _error(name, "unknown-parameter", detail)


def _error(name: str, code: str, detail: str) -> dict[str, Any]:
    return {"in": "query", "field": name[:_MOST_CHARACTERS], "code": code, "detail": detail}


def _declared(dependant: Dependant) -> Iterable[Any]:
    yield from dependant.query_params
    for dependency in dependant.dependencies:
        yield from _declared(dependency)


def _takes_several(annotation: Any) -> bool:
    """Whether an annotation is of several values: `list[Status]`, `set[UUID] | None`."""
    return get_origin(annotation) in {list, set, frozenset, tuple} or any(map(_takes_several, get_args(annotation)))
