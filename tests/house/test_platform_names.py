"""Only a platform's own adapter, and the sandbox, contain its name."""

import ast
import tomllib
from pathlib import Path

import pytest

from app.platforms import adapters

ROOT = Path(__file__).resolve().parents[2]
FAMILIES = ("meta", *adapters())
"""The private parts of adapters; Facebook and Instagram share Meta's."""
OWN = (
    *(f"app/platforms/{family}/" for family in FAMILIES),
    "app/cli/sample.py",
    "app/cli/demo.py",
)
"""Adapters, and what shows or imitates certain platforms."""
TEXTS = frozenset({"examples", "openapi_examples", "description", "json_schema_extra"})


def named(source: str, names: frozenset[str]) -> list[int]:
    """The lines of code that hold a platform's name as a value. Documentation and examples may."""
    tree = ast.parse(source)
    in_texts = {inner for node in ast.walk(tree) for part in _texts_of(node) for inner in ast.walk(part)}
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and node.value in names and node not in in_texts
    ]


def _texts_of(node: ast.AST) -> list[ast.expr]:
    """The texts of a node: bare strings, and the examples and descriptions of fields."""
    if isinstance(node, ast.Expr):
        return [node.value] if isinstance(node.value, ast.Constant) else []
    if isinstance(node, ast.keyword) and node.arg in TEXTS:
        return [node.value]
    return []


def test_only_adapters_know_their_platforms_by_name() -> None:
    names = frozenset(adapters())
    assert {"vk", "mastodon"} <= names
    named_lines = [
        f"{path.relative_to(ROOT)}:{line}"
        for folder in ("app", "workers")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if not str(path.relative_to(ROOT)).startswith(OWN)
        for line in named(path.read_text(), names)
    ]
    assert named_lines == [], "ask the adapter's spec instead, or give it a capability"


@pytest.mark.parametrize(
    "source",
    [
        'if community.platform == "vk": pass',
        'x = {"vk": 1}[platform]',
        'match platform:\n    case "mastodon": pass',
        'allowed = platform in ("vk", "mastodon")',
    ],
)
def test_that_would_be_found(source: str) -> None:
    assert named(source, frozenset({"vk", "mastodon"})) != []


def test_words_may_name_platforms() -> None:
    assert named('"""vk"""\nField(examples=["vk"])', frozenset({"vk"})) == []


def test_the_import_contracts_name_every_platform() -> None:
    """A package that they do not name could import its neighbours, or the database."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    packages = {f"app.platforms.{path.parent.name}" for path in (ROOT / "app" / "platforms").glob("*/__init__.py")}
    apart, knows_little = (
        next(one for one in contracts if one["name"].startswith(name))
        for name in ("Platforms do not know each other", "An adapter knows no database")
    )
    assert set(apart["modules"]) == packages
    assert packages <= set(knows_little["source_modules"])
