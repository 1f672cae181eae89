"""Variables that nothing reads are found, with the one that is meant."""

import pytest

from app.cli.variables import Unread, of_settings, unread


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
