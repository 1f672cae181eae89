"""The test modules that a test module imports, directly or not, by the imports in its source."""

import ast
import re
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
_OF_TESTS: Final = re.compile(r"^[ \t]*((?:from|import)[ \t]+tests\b(?:[^\n(]*\([^)]*\)|[^\n]*))", re.MULTILINE)
"""A statement that imports from `tests`. Parsing these alone takes a thirtieth of the time that whole files take."""


@cache
def imported(path: Path) -> frozenset[Path]:
    """The files under `tests/` that a file imports, and those of the packages they lie in."""
    names: set[str] = set()
    for node in ast.parse("\n".join(_OF_TESTS.findall(path.read_text()))).body:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    files: set[Path] = set()
    for name in names:
        first, *rest = name.split(".")
        if first != "tests":
            continue
        place = ROOT / first
        for part in rest:
            place /= part
            files |= {file for file in (place / "__init__.py", place.with_suffix(".py")) if file.is_file()}
    return frozenset(files)


@cache
def reached(path: Path) -> frozenset[Path]:
    """Itself, the `conftest.py` that apply to it, and whatever these import, directly or not."""
    folders = [folder for folder in path.parents if folder.is_relative_to(ROOT / "tests")]
    todo = {path, *(folder / "conftest.py" for folder in folders if (folder / "conftest.py").is_file())}
    files: set[Path] = set()
    while todo:
        one = todo.pop()
        files.add(one)
        todo |= imported(one) - files
    return frozenset(files)
