"""Service functions, and those of them that change something without saying for whom.

Service functions are the public functions of a room's `service.py`, and what its routes call with their session.
Which of them change something is told by telltale calls.
"""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
METHODS: Final = frozenset({"add", "add_all", "delete", "merge"})
"""Calls on a session that change something."""
RUN: Final = frozenset({"execute", "scalar", "scalars"})
"""Calls that run a statement: one that is not built in the call (`rollups.INSERT_ALL`) is taken to change something."""
FUNCTIONS: Final = frozenset({"insert", "update", "delete", "publish"})
"""SQLAlchemy's statements that change something, and events, which announce a change."""

Function = ast.AsyncFunctionDef


def functions(source: str) -> dict[str, Function]:
    """The public coroutine functions of a module that take a session first."""
    return {
        node.name: node
        for node in ast.parse(source).body
        if isinstance(node, Function) and not node.name.startswith("_") and _parameters(node)[:1] == ["session"]
    }


def fault(function: Function) -> str | None:
    """What is wrong with a service function: it changes something, and not for an actor."""
    if not any(map(_changes, ast.walk(function))):
        return None
    if _parameters(function)[1:2] != ["actor"]:
        return "changes something, and takes no `actor` after the session"
    if not any(isinstance(node, ast.Name) and node.id == "actor" for node in ast.walk(function)):
        return "takes an `actor`, and does not record it"
    return None


def _parameters(function: Function) -> list[str]:
    return [parameter.arg for parameter in function.args.args]


def _changes(node: ast.AST) -> bool:
    """Whether a node changes something: a telltale call, or an assignment to a row's column."""
    if isinstance(node, ast.Attribute):
        return isinstance(node.ctx, ast.Store)
    if not isinstance(node, ast.Call):
        return False
    if isinstance(node.func, ast.Attribute):
        prepared = node.func.attr in RUN and bool(node.args) and isinstance(node.args[0], ast.Name | ast.Attribute)
        return prepared or (_is_session(node.func.value) and node.func.attr in METHODS)
    return isinstance(node.func, ast.Name) and node.func.id in FUNCTIONS


def _is_session(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "session"


def called_with_session(source: str) -> Iterator[tuple[str, str]]:
    """The functions that a routes module calls with its session: module, name."""
    tree = ast.parse(source)
    modules = {
        alias.asname or alias.name: f"{node.module}.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module is not None
        for alias in node.names
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args and _is_session(node.args[0]):
            if isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name):
                yield modules.get(node.func.value.id, ""), node.func.attr
            elif isinstance(node.func, ast.Name) and node.func.id in modules:
                module, _, name = modules[node.func.id].rpartition(".")
                yield module, name


def service_functions(root: Path = ROOT) -> dict[str, Function]:
    """Every service function, by its dotted name."""
    by_name: dict[str, Function] = {}
    for path in sorted((root / "app").rglob("service.py")):
        module = ".".join(path.relative_to(root).with_suffix("").parts)
        by_name |= {f"{module}.{name}": function for name, function in functions(path.read_text()).items()}
    for path in sorted((root / "app").rglob("*routes.py")):
        for module, name in called_with_session(path.read_text()):
            file = root / f"{module.replace('.', '/')}.py"
            if module.startswith("app.") and not module.startswith("app.kit.") and file.exists():
                function = functions(file.read_text()).get(name)
                if function is not None:
                    by_name[f"{module}.{name}"] = function
    return by_name
