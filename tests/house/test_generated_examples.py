"""Tests of generated examples fail for no reason but what they test: none has a deadline, and drawing may be slow."""

import ast

import pytest
from hypothesis import HealthCheck, settings

from tests.cli.processes import ROOT


def timed(source: str) -> list[int]:
    """The lines with settings by which a busy machine would fail a test."""
    return [
        one.value.lineno
        for one in ast.walk(ast.parse(source))
        if isinstance(one, ast.keyword)
        and (
            (one.arg == "suppress_health_check" and not {"too_slow", "list(HealthCheck)"} & _named(one.value))
            or (one.arg == "deadline" and isinstance(one.value, ast.Constant) and one.value.value is not None)
        )
    ]


def _named(checks: ast.expr) -> set[str]:
    if isinstance(checks, ast.List):
        return {one.attr for one in checks.elts if isinstance(one, ast.Attribute)}
    return {ast.unparse(checks)}


def test_no_test_fails_on_a_busy_machine() -> None:
    assert settings.default is not None
    assert settings.default.deadline is None
    assert HealthCheck.too_slow in settings.default.suppress_health_check
    using = {path: path.read_text() for path in (ROOT / "tests").rglob("*.py")}
    lines_by_file = {path.name: timed(source) for path, source in using.items() if "from hypothesis import" in source}
    assert len(lines_by_file) > 20
    assert {name: lines for name, lines in lines_by_file.items() if lines} == {}


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("@settings(deadline=None)\ndef test(): ...", []),
        ("@settings(suppress_health_check=list(HealthCheck))\ndef test(): ...", []),
        ("@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.other])\ndef test(): ...", []),
        ("@settings(max_examples=3)\n@settings(deadline=200)\ndef test(): ...", [2]),
        ("@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])\ndef test(): ...", [1]),
    ],
)
def test_the_control(source: str, lines: list[int]) -> None:
    assert timed(source) == lines
