"""The sandbox's imports have no circles, those for type checking and in functions included."""

import ast
from graphlib import CycleError, TopologicalSorter

import pytest

from tests.imports import ROOT

SANDBOX = ROOT / "sandbox"


def _imported() -> dict[str, set[str]]:
    """By module: the sandbox's modules that it imports, anywhere in its source."""
    paths = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in SANDBOX.rglob("*.py")}
    modules = {name.removesuffix(".__init__"): path for name, path in paths.items()}
    imports_by_file: dict[str, set[str]] = {}
    for name, path in modules.items():
        named: set[str] = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                named |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module is not None:
                named |= {
                    inner if (inner := f"{node.module}.{alias.name}") in modules else node.module
                    for alias in node.names
                }
        imports_by_file[name] = (named & modules.keys()) - {name}
    # `discover_wire_formats` imports all folders by name.
    imports_by_file["sandbox.wire_formats"] |= {
        name for name, path in modules.items() if path.parent != SANDBOX and path.stem == "__init__"
    }
    return imports_by_file


def test_no_module_imports_itself_by_way_of_others() -> None:
    TopologicalSorter(_imported()).prepare()


def test_a_circle_would_be_found() -> None:
    imported = _imported()
    assert {"sandbox.hooks", "sandbox.grants"} <= imported["sandbox.network"]
    imported["sandbox.hooks"].add("sandbox.network")
    with pytest.raises(CycleError):
        TopologicalSorter(imported).prepare()
