"""Migrating: one process at a time, with timeouts, and a message where it cannot be done."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import asyncpg
import pytest
from alembic import command
from cryptography.fernet import Fernet
from typer.testing import CliRunner

from app.cli.database import asyncpg_url, prepare_database
from app.cli.environment import DATABASE
from app.cli.main import app
from app.cli.migrate import configuration, heads, migrate
from app.cli.servers import start_postgres
from app.settings import settings
from migrations import session
from migrations.session import ADVISORY_LOCK, MigrationRefused
from tests.cli.processes import ROOT, clean_environment, eventually
from tests.servers import Servers, run, servers

UNRELEASED = "✗ the database is at revision 0009, of a version never released; its data cannot be migrated: "


@pytest.fixture(scope="module")
def house() -> Iterator[Servers]:
    with servers() as running:
        yield running


@pytest.fixture
def database(house: Servers) -> str:
    """A migrated database."""
    return house.clone()


@pytest.fixture
def empty(house: Servers) -> str:
    """A database with roles and rights, and no tables."""
    name = house.clone("template0")
    run(prepare_database(house.superuser_url(), name))
    return name


async def execute(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(asyncpg_url(url))
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def rows(url: str, query: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(asyncpg_url(url))
    try:
        return list(await connection.fetch(query))
    finally:
        await connection.close()


def environment(house: Servers, database: str) -> dict[str, str]:
    return clean_environment(
        PYTHONPATH=str(ROOT),
        DATABASE_URL=house.app_url(database),
        INSTEP_OWNER_DATABASE_URL=house.owner_url(database),
        REDIS_URL=house.redis_url(61),
    )


def started(house: Servers, database: str, folder: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "app.cli.main", "migrate"],
        cwd=folder,
        env=environment(house, database),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_of_two_processes_one_migrates_and_the_other_finds_it_done(house: Servers, empty: str, tmp_path: Path) -> None:
    url = house.superuser_url(empty)
    asking = (
        "SELECT DISTINCT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
        "AND usename = 'instep_owner' AND state = 'idle'"
    )

    async def keep_transaction_open(stack: ExitStack) -> list["subprocess.Popen[str]"]:
        """Start two while the lock is held, and let go of it when both are seen to wait."""
        connection = await asyncpg.connect(asyncpg_url(url))
        try:
            await connection.execute(f"SELECT pg_advisory_lock({ADVISORY_LOCK})")
            both = [stack.enter_context(started(house, empty, tmp_path)) for _ in range(2)]
            await asyncio.to_thread(eventually, lambda: len(run(rows(url, asking))) == 2, "both wait")
            assert await connection.fetchval("SELECT to_regclass('alembic_version')") is None
            assert [process.poll() for process in both] == [None, None]
            return both
        finally:
            await connection.close()

    with ExitStack() as stack:
        for process in run(keep_transaction_open(stack)):
            said, _ = process.communicate(timeout=60)
            assert process.returncode == 0, said
            assert said.endswith(f"the database is at revision {', '.join(heads())}\n")
    (revision,) = run(rows(url, "SELECT version_num FROM alembic_version"))
    assert {revision["version_num"]} == heads()


def test_who_waits_for_too_long_says_so(house: Servers, empty: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "WAIT_TIMEOUT", 0.0)

    async def keep_transaction_open() -> None:
        connection = await asyncpg.connect(asyncpg_url(house.superuser_url(empty)))
        try:
            await connection.execute(f"SELECT pg_advisory_lock({ADVISORY_LOCK})")
            with pytest.raises(MigrationRefused, match="another process has been migrating"):
                await asyncio.to_thread(migrate, house.owner_url(empty))
        finally:
            await connection.close()

    run(keep_transaction_open())


def test_timeouts_hold_for_every_migration(house: Servers, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last one too: each is a transaction of its own."""
    monkeypatch.setattr(session, "LOCK_TIMEOUT", "50ms")
    url = house.owner_url(database)

    async def keep_transaction_open() -> None:
        connection = await asyncpg.connect(asyncpg_url(url))
        try:
            async with connection.transaction():
                await connection.execute("LOCK TABLE worker_heartbeat IN ACCESS SHARE MODE")
                with pytest.raises(Exception, match="lock timeout"):
                    await asyncio.to_thread(command.downgrade, configuration(url), "base")
        finally:
            await connection.close()

    run(keep_transaction_open())
    (revision,) = run(rows(url, "SELECT version_num FROM alembic_version"))
    assert revision["version_num"] == "1001"


@pytest.mark.parametrize(
    ("lock_timeout", "statement_timeout", "says"),
    [
        ("50ms", "1min", "a table stayed locked for too long"),
        ("0", "50ms", "a statement of the migration took"),
    ],
)
def test_a_migration_that_cannot_go_on_says_why(
    house: Servers, database: str, monkeypatch: pytest.MonkeyPatch, lock_timeout: str, statement_timeout: str, says: str
) -> None:
    monkeypatch.setattr(session, "LOCK_TIMEOUT", lock_timeout)
    monkeypatch.setattr(session, "STATEMENT_TIMEOUT", statement_timeout)
    url = house.owner_url(database)
    command.downgrade(configuration(url), "1007")

    async def keep_transaction_open() -> None:
        connection = await asyncpg.connect(asyncpg_url(url))
        try:
            async with connection.transaction():
                await connection.execute("LOCK TABLE project IN ROW EXCLUSIVE MODE")
                with pytest.raises(MigrationRefused, match=says):
                    await asyncio.to_thread(migrate, url)
        finally:
            await connection.close()

    run(keep_transaction_open())
    (revision,) = run(rows(url, "SELECT version_num FROM alembic_version"))
    assert revision["version_num"] == "1007"
    migrate(url)


@pytest.mark.parametrize("revision", [f"{number:04}" for number in range(1, 10)])
def test_data_of_an_unreleased_version_are_refused(house: Servers, database: str, revision: str) -> None:
    run(execute(house.owner_url(database), f"UPDATE alembic_version SET version_num = '{revision}'"))
    with pytest.raises(MigrationRefused, match=f"revision {revision}, of a version never released"):
        migrate(house.owner_url(database))


def test_data_of_a_later_version_are_refused(house: Servers, database: str) -> None:
    run(execute(house.owner_url(database), "UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(MigrationRefused, match="9999, which this version of Instep does not know: install"):
        migrate(house.owner_url(database))


def test_the_command_says_so_in_one_line(
    house: Servers, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(execute(house.owner_url(database), "UPDATE alembic_version SET version_num = '0009'"))
    for name, value in environment(house, database).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    settings.cache_clear()
    answer = CliRunner().invoke(app, ["migrate"])
    settings.cache_clear()
    assert answer.exit_code == 1
    assert answer.output.startswith(UNRELEASED)
    assert len(answer.output.splitlines()) == 1


@pytest.mark.parametrize("name", ["up", pytest.param("demo", marks=pytest.mark.long)])
def test_up_and_demo_say_so_too_and_end(tmp_path: Path, name: str) -> None:
    with start_postgres(tmp_path / "postgres") as postgres:
        run(prepare_database(postgres.url(), DATABASE))
        run(
            execute(
                postgres.url("instep_owner", DATABASE),
                "CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)",
                "INSERT INTO alembic_version VALUES ('0009')",
            )
        )
    (tmp_path / "secret_key").write_text(Fernet.generate_key().decode())
    answer = subprocess.run(
        [sys.executable, "-m", "app.cli.main", name, "--data", str(tmp_path), "--port", "0"],
        cwd=tmp_path,
        env=clean_environment(PYTHONPATH=str(ROOT)),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert answer.returncode == 1
    assert answer.stderr.startswith(UNRELEASED)
    assert ".instep" in answer.stderr
    assert len(answer.stderr.splitlines()) == 1
