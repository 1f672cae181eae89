"""`instep backup`, `instep restore`, `instep psql`: a round trip with rows, roles and sealed tokens."""

import asyncio
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr
from sqlalchemy import select

from app.access import service
from app.cli.database import asyncpg_url
from app.cli.migrate import migrate
from app.cli.postgres_tools import target
from app.communities import service as communities
from app.communities import tokens
from app.communities.models import Community
from app.inquiries.models import Message, MessageDirection
from app.kit import sealing
from app.kit.actors import SYSTEM
from app.kit.crypto import Keyring
from app.kit.db import Database
from app.kit.ids import uuid7
from app.platforms.contract import Token
from app.projects import service as projects
from app.settings import settings
from tests.cli.conftest import Instep
from tests.servers import Servers, run

Sql = Callable[..., list[asyncpg.Record]]
QUEUED_AT = datetime(2026, 10, 1, 9, 0, tzinfo=UTC)


async def fill(workspace: uuid.UUID) -> None:
    """An agency with a community, its sealed token, and a reply that waits to be sent."""
    config = settings()
    database, keyring = Database(config.database_url, pool=1), Keyring(config.secret_keys)
    try:
        await sealing.require_keys(database, keyring)
        async with database.transaction(workspace) as session:
            await service.sign_up(session, SYSTEM, title="A", owner_name="Ann", owner_email="ann@agency.example")
            project = await projects.create(session, SYSTEM, title="P", timezone="Europe/Minsk")
            await communities.connect(
                session,
                SYSTEM,
                config,
                keyring,
                project_id=project.id,
                platform="mastodon",
                address="https://social.example/@nina",
                tokens={Token.COMMUNITY: SecretStr("the token")},
                backfill_days=1,
            )
            community = (await session.scalars(select(Community))).one()
            reply = Message(
                workspace_id=workspace,
                community_id=community.id,
                thread_id="t",
                direction=MessageDirection.AGENCY.value,
                author_name="Ann",
                text="On Sunday as well.",
                sent_at=QUEUED_AT,
                delivery="queued",
            )
            session.add(reply)
    finally:
        await database.close()


async def opened_token(workspace: uuid.UUID) -> dict[Token, str]:
    config = settings()
    database = Database(config.database_url, pool=1)
    try:
        async with database.read_session(workspace) as session:
            community = (await session.scalars(select(Community))).one()
            return dict((await tokens.load(session, Keyring(config.secret_keys), community.id)).texts)
    finally:
        await database.close()


def contents(sql: Sql) -> dict[str, list[str]]:
    """Every row of every table, as text."""
    tables = [row[0] for row in sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
    return {name: sorted(row[0] for row in sql(f'SELECT t::text FROM "{name}" t')) for name in tables}


def rules(sql: Sql) -> list[tuple[object, ...]]:
    """Owners, row-level security, policies and grants of all tables."""
    return [
        tuple(row)
        for row in sql(
            "SELECT relname, relowner::regrole::text, relrowsecurity, relforcerowsecurity, relacl::text,"
            " (SELECT string_agg(polname || pg_get_expr(polqual, polrelid), ',') FROM pg_policy WHERE polrelid = c.oid)"
            " FROM pg_class c WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'i') ORDER BY relname"
        )
    ]


def test_a_backup_is_restored_with_rows_roles_and_tokens(
    instep: Instep, sql: Sql, servers: Servers, migrated: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, file = uuid7(), tmp_path / "backup.dump"
    run(fill(workspace))
    before, rules_before = contents(sql), rules(sql)
    backed_up = instep("backup", str(file))
    assert backed_up.exit_code == 0, backed_up.output
    assert "Keep the keys" in backed_up.stdout
    assert file.stat().st_mode & 0o077 == 0
    assert list(tmp_path.glob("*.part")) == []

    refused = instep("restore", str(file))
    assert (refused.exit_code, "data of 1 workspace" in refused.stderr) == (1, True), refused.output
    sql("DELETE FROM community_token")
    restored = instep("restore", str(file), "--replace")
    assert restored.exit_code == 0, restored.output
    assert "1 replies were queued" in restored.stdout
    assert "INSTEP_SECRET_KEYS" not in restored.stderr, "they are those that sealed it"

    assert [tuple(row) for row in sql("SELECT delivery, intended_at FROM message")] == [("sending", QUEUED_AT)]
    sql("UPDATE message SET delivery = 'queued', intended_at = NULL")
    assert contents(sql) == before
    assert rules(sql) == rules_before
    assert run(opened_token(workspace)) == {Token.COMMUNITY: "the token"}
    migrate(servers.owner_url(migrated))

    async def as_the_service(workspace_id: object) -> int:
        connection = await asyncpg.connect(asyncpg_url(servers.app_url(migrated)))
        try:
            await connection.execute(f"SET app.workspace_id = '{workspace_id}'")
            return int(await connection.fetchval("SELECT count(*) FROM community"))
        finally:
            await connection.close()

    assert [run(as_the_service(one)) for one in (workspace, uuid7())] == [1, 0], "row-level security holds"

    monkeypatch.setenv("INSTEP_SECRET_KEYS", Fernet.generate_key().decode())
    without_key = instep("restore", str(file), "--replace")
    assert without_key.exit_code == 0, without_key.output
    assert "does not have the key that sealed its tokens" in without_key.stderr


def test_what_cannot_be_restored_changes_nothing(
    instep: Instep, sql: Sql, servers: Servers, migrated: str, tmp_path: Path
) -> None:
    run(fill(uuid7()))
    before, file = contents(sql), tmp_path / "backup.dump"
    assert instep("backup", str(file)).exit_code == 0
    broken = tmp_path / "broken.dump"
    broken.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    failed = instep("restore", str(broken), "--replace")
    assert (failed.exit_code, "pg_restore failed" in failed.stderr) == (1, True), failed.output

    sql("UPDATE alembic_version SET version_num = '9999'")
    newer = tmp_path / "newer.dump"
    assert instep("backup", str(newer)).exit_code == 0
    sql("UPDATE alembic_version SET version_num = $1", before["alembic_version"][0].strip("()"))
    assert "newer version" in instep("restore", str(newer), "--replace").stderr

    async def while_it_is_used() -> str:
        connection = await asyncpg.connect(asyncpg_url(servers.app_url(migrated)))
        try:
            return (await asyncio.to_thread(instep, "restore", str(file), "--replace")).stderr
        finally:
            await connection.close()

    assert "is in use by 1 connections" in run(while_it_is_used())
    assert contents(sql) == before
    assert sql("SELECT datname FROM pg_database WHERE datname LIKE $1", f"{migrated}\\_%") == []


def test_psql_sees_all_workspaces_or_one(instep: Instep, capfd: pytest.CaptureFixture[str]) -> None:
    workspace = uuid7()
    run(fill(workspace))
    query = ("--", "-Atc", "SELECT current_user, count(*) FROM community")
    for options, expected in (
        ((), "postgres|1"),
        (("--workspace", str(workspace)), "instep_app|1"),
        (("--workspace", str(uuid7())), "instep_app|0"),
    ):
        assert instep("psql", *options, *query).exit_code == 0
        assert capfd.readouterr().out.strip() == expected
    assert instep("psql", "--", "-c", "nonsense").exit_code == 1


def test_a_password_is_not_on_the_command_line() -> None:
    to = target("postgresql+asyncpg://ann:p%40ss@db.example:5433/instep?ssl=require", database="other")
    assert (to.uri, to.password) == ("postgresql://ann@db.example:5433/other?sslmode=require", "p@ss")
    assert to.needs_tls
