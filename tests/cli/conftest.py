"""A migrated database of its own, and an environment that names it."""

from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest
from typer.testing import CliRunner, Result

from app.cli.database import asyncpg_url
from app.cli.main import app
from app.settings import settings
from tests.servers import Servers, run

Instep = Callable[..., Result]


@pytest.fixture
def migrated(servers: Servers, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """The name of an empty migrated database; the environment has a service's settings for it."""
    name = servers.clone()
    for variable, value in {
        "DATABASE_URL": servers.app_url(name),
        "INSTEP_OWNER_DATABASE_URL": servers.owner_url(name),
        "REDIS_URL": servers.redis_url(60),
        "INSTEP_SECRET_KEYS": "x" * 43 + "=",
        "COLUMNS": "80",
    }.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.chdir(tmp_path)
    settings.cache_clear()
    return name


@pytest.fixture
def instep(migrated: str) -> Instep:
    """Runs a command on that database."""
    assert migrated

    def invoke(*arguments: str, stdin: str | None = None) -> Result:
        settings.cache_clear()
        return CliRunner().invoke(app, list(arguments), input=stdin)

    return invoke


@pytest.fixture
def sql(servers: Servers, migrated: str) -> Callable[..., list[asyncpg.Record]]:
    """Runs a statement on that database as a superuser; its rows."""

    async def fetch(statement: str, *values: object) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(asyncpg_url(servers.superuser_url(migrated)))
        try:
            return list(await connection.fetch(statement, *values))
        finally:
            await connection.close()

    return lambda statement, *values: run(fetch(statement, *values))
