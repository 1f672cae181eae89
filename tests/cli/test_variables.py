"""Variables that nothing reads are found, with the one that is meant."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli.main import app
from app.cli.variables import PLAIN, Unread, of_settings, unread
from app.settings import settings


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("INSTEP_DATBASE_URL", "DATABASE_URL"),
        ("INSTEP_DATABASE_URL", "DATABASE_URL"),
        ("DATABSE_URL", "DATABASE_URL"),
        ("REDIS_URI", "REDIS_URL"),
        ("INSTEP_SECRET_KEY", "INSTEP_SECRET_KEYS"),
        ("INSTEP_CORS_ORIGIN", "INSTEP_CORS_ORIGINS"),
        ("SECRET_KEYS", "INSTEP_SECRET_KEYS"),
        ("INSTEP_XYLOPHONE", None),
    ],
)
def test_the_nearest_name_is_offered(name: str, meant: str | None) -> None:
    assert list(unread({name: "x", "PATH": "y", "DATABASE_URL": "z"})) == [Unread(name, meant)]


def test_what_is_read_is_not_found() -> None:
    others = ["INSTEP_DATA", "INSTEP_SUPERUSER_DATABASE_URL", "INSTEP_LISTEN", "DATABASE_NAME", "HOME", "LANG"]
    assert list(unread(dict.fromkeys([*of_settings(), *others], ""))) == []


def test_a_misspelt_variable_is_not_ignored_without_a_word(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in PLAIN:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("INSTEP_DATBASE_URL", "x")
    (tmp_path / ".env").write_text("INSTEP_SIGNUP=closed\n")
    settings.cache_clear()
    answer = CliRunner().invoke(app, ["migrate"])
    assert answer.exit_code == 1
    assert "INSTEP_DATBASE_URL is set, but nothing reads it; DATABASE_URL is probably meant" in answer.stderr
    assert "INSTEP_SIGNUP is set, but nothing reads it; INSTEP_SIGN_UP is probably meant" in answer.stderr
