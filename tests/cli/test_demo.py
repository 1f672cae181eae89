"""`instep demo` where there is no sandbox."""

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli.main import app


def test_an_installation_without_the_sandbox_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As in the container image: nothing is started and nothing crashes."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "sandbox"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr("app.cli.demo.find_spec", lambda name: None if name == "sandbox" else pytest.fail(name))
    monkeypatch.setattr("app.cli.up.stop_on_sigterm", lambda: None)
    result = CliRunner().invoke(app, ["demo", "--data", str(tmp_path / "data")])
    assert result.exit_code == 1
    assert "the sandbox is no part of this installation" in " ".join(result.output.split())
    assert not (tmp_path / "data").exists()
