"""`instep keys`: a key made on the command line opens its workspace, and no other."""

import re
from pathlib import Path

import asyncpg
import pytest
from cryptography.fernet import Fernet
from typer.testing import CliRunner

from app.access import service
from app.cli.database import plain
from app.cli.main import app
from app.kit.db import Database
from app.kit.ids import uuid7
from app.settings import settings
from tests.servers import run, servers


def test_a_fresh_secret_is_a_fernet_key() -> None:
    first, second = (CliRunner().invoke(app, ["keys", "secret"]).stdout.strip() for _ in range(2))
    assert first != second
    Fernet(first.encode())


def test_a_key_is_made_for_a_workspace_that_exists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with servers() as house:
        url = house.app_url(house.clone())
        monkeypatch.setenv("DATABASE_URL", url)
        monkeypatch.setenv("REDIS_URL", house.redis_url(61))
        monkeypatch.chdir(tmp_path)
        settings.cache_clear()
        workspace, other = uuid7(), uuid7()

        async def sign_up() -> None:
            database = Database(url, pool=1)
            try:
                async with database.transaction(workspace) as session:
                    await service.sign_up(session, name="A", owner_name="Ann", owner_email="ann@agency.example")
            finally:
                await database.close()

        async def names() -> list[str]:
            connection = await asyncpg.connect(plain(url))
            try:
                async with connection.transaction():
                    await connection.execute(f"SET LOCAL app.workspace_id = '{workspace}'")
                    return [row["name"] for row in await connection.fetch("SELECT name FROM api_key ORDER BY name")]
            finally:
                await connection.close()

        run(sign_up())
        answer = CliRunner().invoke(app, ["keys", "create", str(workspace), "--name", "by hand"])
        assert answer.exit_code == 0, answer.output
        assert re.fullmatch(r"isk_[A-Za-z0-9]{12}_[A-Za-z0-9]{43}\n", answer.stdout)
        assert run(names()) == ["by hand", "first key"]

        refused = CliRunner().invoke(app, ["keys", "create", str(other), "--name", "x"])
        assert refused.exit_code == 1
        assert "there is no workspace" in refused.output
