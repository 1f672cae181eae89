"""The stable codes of problems, found where the code raises them, and what each means."""

import ast
import importlib
import pkgutil
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Final

import app
from app.kit import errors
from app.kit.errors import AppError
from app.links import pages
from tests.shipping.error_meanings import MEANINGS

ROOT: Final = Path(app.__file__).parent
OF_A_FIELD: Final = 0
"""In place of a status: the code stands in `errors` alone, beside a field."""
COMPUTED: Final[Mapping[tuple[str, str], Mapping[str, int]]] = {
    ("access/sign_in_limits.py", "self.code"): {"too-many-sign-ins": 429, "too-many-password-resets": 429},
    ("campaigns/spending.py", "error.code"): {},  # of an `AppError`
    ("inquiries/service.py", "terms.refusal.code"): {},  # of a `Refusal`
    ("kit/errors.py", "code"): {code: status for status, (code, _, _) in errors._HTTP_CODES.items()},
    ("kit/errors.py", "error.code"): {},  # of an `AppError`
    ("kit/query_parameters.py", "code"): {"unknown-parameter": 422},
    ("kit/server.py", "code"): {},  # of `_refuse`
    ("links/pages.py", "code"): {code: status for status, (_, _, code) in pages._TEXTS.items()},
    ("operations/routes.py", "wrong.code"): {"no-worker": 503, "jobs-late": 503},
    ("projects/team.py", "code"): {},  # of `_invalid`
}
"""Places where the code of a problem is not a constant, and the codes that come from there."""


@cache
def error_classes() -> dict[str, type[AppError]]:
    """All classes of errors, by name."""
    for module in pkgutil.walk_packages([str(ROOT)], "app."):
        if module.name.split(".")[1] != "cli":
            importlib.import_module(module.name)

    def below(one: type[AppError]) -> Iterator[type[AppError]]:
        yield one
        for other in one.__subclasses__():
            yield from below(other)

    return {one.__name__: one for one in below(AppError)}


def _constant(node: ast.expr | None) -> object:
    return node.value if isinstance(node, ast.Constant) else None


def of_call(node: ast.Call) -> tuple[str | None, int] | None:
    """The code and status of a problem that this call makes, the code None where it is computed; None: it makes none.

    Calls are known by the name of what is called.
    """
    called = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
    keywords = {one.arg: one.value for one in node.keywords}
    if called in error_classes():
        made = error_classes()[called]
        return (made.code, made.status) if "code" not in keywords else (_text(keywords["code"]), made.status)
    if called == "problem" and "code" in keywords:
        status = _constant(keywords["status"])
        return _text(keywords["code"]), status if isinstance(status, int) else 0
    places = {"invalid_field": (1, 422), "_invalid": (1, 422), "Refusal": (0, 409), "_error": (1, OF_A_FIELD)}
    if called in places and len(node.args) > places[called][0]:
        return _text(node.args[places[called][0]]), places[called][1]
    if called == "_refuse" and len(node.args) == 3:
        status = _constant(node.args[0])
        return _text(node.args[1]), status if isinstance(status, int) else 0
    return None


def _text(node: ast.expr) -> str | None:
    value = _constant(node)
    return value if isinstance(value, str) else None


def scan(source: str, place: str) -> tuple[dict[str, set[int]], set[tuple[str, str]]]:
    """The codes that a module's text raises, with their statuses; and the places where a code is computed."""
    codes: defaultdict[str, set[int]] = defaultdict(set)
    computed = set()
    for node in ast.walk(ast.parse(source)):
        made = of_call(node) if isinstance(node, ast.Call) else None
        if made is None:
            continue
        code, status = made
        if code is not None:
            codes[code].add(status)
        else:
            assert isinstance(node, ast.Call)
            keyword = next((one.value for one in node.keywords if one.arg == "code"), None)
            if keyword is not None:
                computed.add((place, ast.unparse(keyword)))
    return codes, computed


@cache
def codes() -> dict[str, set[int]]:
    """Every code of a problem, with the statuses of its answers (`OF_A_FIELD`: it stands beside a field)."""
    every: defaultdict[str, set[int]] = defaultdict(set)
    computed: set[tuple[str, str]] = set()
    for path in sorted(ROOT.rglob("*.py")):
        if path.is_relative_to(ROOT / "cli"):
            continue
        made, places = scan(path.read_text(), path.relative_to(ROOT).as_posix())
        computed |= places
        for code, statuses in made.items():
            every[code] |= statuses
    assert computed == set(COMPUTED), computed ^ set(COMPUTED)
    for more in COMPUTED.values():
        for code, status in more.items():
            every[code].add(status)
    for one in error_classes().values():
        every[one.code].add(one.status)
    return dict(every)


INTRODUCTION: Final = """\
# Errors

Every error of the HTTP API is a problem document (RFC 9457, `application/problem+json`). Programs compare its `code`,
which does not change; people read its `detail`, which says what to do. `errors` names the fields that are at fault:
each has a `code` of its own, the problem's or that of the rule that the value breaks (`missing`, `string-too-long`,
`extra-forbidden` …). A 503 has a `Retry-After`, and nothing was changed by the request, unless the code
is `outcome-unknown`: then only a repeat with the same `Idempotency-Key` is safe.

Written from the code by `python -m tests.shipping.generated`."""


def page() -> str:
    """docs/errors.md."""
    rows = ["| `code` | Status | Meaning |", "|---|---|---|"]
    for code, statuses in sorted(codes().items(), key=lambda item: (min(item[1] - {OF_A_FIELD}, default=999), item[0])):
        said = ", ".join(str(one) for one in sorted(statuses - {OF_A_FIELD})) or "in `errors`"
        rows.append(f"| `{code}` | {said} | {MEANINGS.get(code, '')} |")
    return "\n".join([INTRODUCTION, "", *rows, ""])
