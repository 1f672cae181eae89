"""What a newcomer sees of the command: help in 80 columns, and completion."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from app.cli.main import app
from tests.cli.processes import ROOT, clean_environment


def commands() -> Iterator[tuple[str, ...]]:
    """Every command, the groups' as well."""

    def below(command: object, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        yield path
        for name, child in getattr(command, "commands", {}).items():
            yield from below(child, (*path, name))

    yield from below(get_command(app), ())


def test_each_help_fits_80_columns_and_says_something(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERMINAL_WIDTH", "80")
    paths = list(commands())
    assert len(paths) > 15
    for path in paths:
        answer = CliRunner().invoke(app, [*path, "--help"])
        assert answer.exit_code == 0, path
        assert max(map(len, answer.stdout.splitlines())) <= 80, path
        assert len(answer.stdout) > 300, path


def test_the_shell_completes_commands_options_and_values() -> None:
    source = "import sys; sys.argv = ['instep']; from app.cli.main import app; app(prog_name='instep')"

    def completed(typed: str) -> list[str]:
        variables = {"COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" ")), "_INSTEP_COMPLETE": "complete_bash"}
        ended = subprocess.run(
            [sys.executable, "-c", source],
            cwd=ROOT,
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            check=False,
        )
        return ended.stdout.split()

    assert completed("instep jo") == ["jobs"]
    assert completed("instep jobs list --status ") == ["dead", "running", "waiting"]


def test_no_command_waits_for_what_it_does_not_need() -> None:
    heavy = ["aiohttp", "alembic", "app.platforms", "arq", "fastapi", "httpx"]
    source = f"import sys, app.cli.main; print([name for name in {heavy} if name in sys.modules])"
    printed = subprocess.run(
        [sys.executable, "-c", source], cwd=ROOT, env=clean_environment(), capture_output=True, text=True, check=True
    )
    assert printed.stdout.strip() == "[]"
