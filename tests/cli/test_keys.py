"""`instep keys`: API keys from the command line, and the rotation of secret keys."""

import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from typer.testing import CliRunner, Result

from app.access import service
from app.access.models import UserAccount
from app.cli.database import asyncpg_url
from app.cli.doctor import check_installation
from app.cli.findings import Finding, Level
from app.cli.main import app
from app.communities import service as communities
from app.communities import tokens
from app.communities.inbound.models import Hook
from app.communities.models import Community
from app.kit.actors import SYSTEM
from app.kit.crypto import Keyring
from app.kit.db import Database, workspace_of
from app.kit.ids import uuid7
from app.platforms.contract import Token
from app.projects import service as projects
from app.settings import settings
from tests.servers import run, servers


def test_a_fresh_secret_is_a_fernet_key() -> None:
    first, second = (CliRunner().invoke(app, ["keys", "secret"]).stdout.strip() for _ in range(2))
    assert first != second
    Fernet(first.encode())


def test_a_key_is_made_for_a_workspace_that_exists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with servers() as test_servers:
        url = test_servers.app_url(test_servers.clone())
        monkeypatch.setenv("DATABASE_URL", url)
        monkeypatch.setenv("REDIS_URL", test_servers.redis_url(61))
        monkeypatch.chdir(tmp_path)
        settings.cache_clear()
        workspace, unknown_workspace = uuid7(), uuid7()

        async def sign_up() -> None:
            database = Database(url, pool=1)
            try:
                async with database.transaction(workspace) as session:
                    owner = {"owner_name": "Ann", "owner_email": "ann@agency.example"}
                    await service.sign_up(session, SYSTEM, title="A", **owner)
            finally:
                await database.close()

        async def names() -> list[str]:
            connection = await asyncpg.connect(asyncpg_url(url))
            try:
                async with connection.transaction():
                    await connection.execute(f"SET LOCAL app.workspace_id = '{workspace}'")
                    return [row["title"] for row in await connection.fetch("SELECT title FROM api_key ORDER BY title")]
            finally:
                await connection.close()

        run(sign_up())
        answer = CliRunner().invoke(app, ["keys", "create", str(workspace), "--title", "by hand"])
        assert answer.exit_code == 0, answer.output
        assert re.fullmatch(r"isk_[A-Za-z0-9]{12}_[A-Za-z0-9]{43}\n", answer.stdout)
        assert "command:keys-create" in answer.stderr
        assert run(names()) == ["by hand", "first key"]

        refused = CliRunner().invoke(app, ["keys", "create", str(unknown_workspace), "--title", "x"])
        assert refused.exit_code == 1
        assert "there is no workspace" in refused.output


def test_keys_are_rotated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    agencies = {uuid7(): f"token {number}" for number in range(3)}

    def reseal_with(*keys: str) -> Result:
        monkeypatch.setenv("INSTEP_SECRET_KEYS", ",".join(keys))
        settings.cache_clear()
        return CliRunner().invoke(app, ["keys", "reseal"])

    with servers() as test_servers:
        monkeypatch.setenv("DATABASE_URL", test_servers.app_url(test_servers.clone()))
        monkeypatch.setenv("REDIS_URL", test_servers.redis_url(61))
        monkeypatch.chdir(tmp_path)

        async def each(work: Callable[[AsyncSession, str], Awaitable[None]]) -> None:
            settings.cache_clear()
            database = Database(settings().database_url, pool=1)
            try:
                for workspace, token in agencies.items():
                    async with database.transaction(workspace) as session:
                        await work(session, token)
            finally:
                await database.close()

        async def connect(session: AsyncSession, token: str) -> None:
            email = f"{workspace_of(session)}@agency.example"
            await service.sign_up(session, SYSTEM, title="A", owner_name="Ann", owner_email=email)
            project = await projects.create(session, SYSTEM, title="P", timezone="Europe/Minsk")
            await communities.connect(
                session,
                SYSTEM,
                settings(),
                Keyring(settings().secret_keys),
                project_id=project.id,
                platform="mastodon",
                address="https://social.example/@nina",
                tokens={Token.COMMUNITY: SecretStr(token)},
                backfill_days=1,
            )

        async def check(session: AsyncSession, token: str) -> None:
            community = (await session.scalars(select(Community))).one()
            stored = await tokens.load(session, Keyring(settings().secret_keys), community.id)
            assert stored.texts == {Token.COMMUNITY: token}

        monkeypatch.setenv("INSTEP_SECRET_KEYS", old)
        run(each(connect))
        run(each(check))

        async def sealed_tokens_finding() -> Finding:
            return next(finding for finding in await check_installation(tmp_path) if finding.subject == "sealed tokens")

        async def second_factor() -> str:
            """The secret of the second factor that the first of them has."""
            settings.cache_clear()
            database, keyring = Database(settings().database_url, pool=1), Keyring(settings().secret_keys)
            try:
                async with database.transaction(None) as session:
                    account = (await session.scalars(select(UserAccount).order_by(UserAccount.id).limit(1))).one()
                    account.totp_secret = account.totp_secret or keyring.seal("JBSWY3DPEHPK3PXP")
                    return keyring.open(account.totp_secret)
            finally:
                await database.close()

        run(second_factor())
        too_early = reseal_with(new)
        assert "opens the second factors of 1 accounts" in too_early.output.replace("\n", " ")
        assert run(sealed_tokens_finding()).level is Level.FAILING
        assert too_early.exit_code == 1
        assert "0 tokens" in too_early.output
        assert "no key in INSTEP_SECRET_KEYS opens" in too_early.output

        for _ in range(2):
            answer = reseal_with(new, old)
            assert (answer.exit_code, answer.stdout) == (0, "✓ 3 tokens are sealed with the current key\n")
        monkeypatch.setenv("INSTEP_SECRET_KEYS", new)
        run(each(check))
        assert run(second_factor()) == "JBSWY3DPEHPK3PXP"
        assert run(sealed_tokens_finding()).level is Level.OK

        async def hook(session: AsyncSession, _: str) -> None:
            community = (await session.scalars(select(Community))).one()
            lost = Keyring([SecretStr(old)]).seal("{}")
            in_workspace = {"workspace_id": community.workspace_id, "community_id": community.id, "public_id": uuid7()}
            session.add(Hook(**in_workspace, sealed=lost, created_at=datetime.now(UTC)))

        run(each(hook))
        assert run(sealed_tokens_finding()).level is Level.FAILING, "a hook's secrets count as well"
