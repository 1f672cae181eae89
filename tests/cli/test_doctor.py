"""`instep doctor` names what is broken, and the way to mend it."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from app.cli import doctor
from app.cli.console import console
from app.cli.database import plain
from app.cli.doctor import Finding, Level, examine
from app.cli.main import app
from app.settings import DEVELOPMENT_KEY, Settings, settings
from tests.servers import Servers, servers


@pytest.fixture(scope="module")
def house() -> object:
    with servers() as running:
        yield running


@pytest.fixture
def database(house: Servers, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """A migrated database, and an environment that is right."""
    name = house.clone()
    for variable, value in {
        "DATABASE_URL": house.app_url(name),
        "REDIS_URL": house.redis_url(60),
        "INSTEP_SECRET_KEYS": "x" * 43 + "=",
        "INSTEP_PUBLIC_URL": "https://instep.example",
    }.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.chdir(tmp_path)
    settings.cache_clear()
    return name


def by_subject(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.subject: finding for finding in findings}


async def run(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(plain(url))
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def look(tmp_path: Path) -> dict[str, Finding]:
    settings.cache_clear()
    return by_subject(await examine(tmp_path))


async def test_a_sound_installation_has_nothing_failing(house: Servers, database: str, tmp_path: Path) -> None:
    await run(house.owner_url(database), "INSERT INTO worker_heartbeat VALUES ('w', now())")
    found = await look(tmp_path)
    assert [finding for finding in found.values() if finding.level is Level.FAILING] == []
    assert {"database", "role", "migrations", "worker", "jobs", "dead jobs", "redis", "clocks"} <= found.keys()
    assert found["redis persistence"].level is Level.WARNING  # the tests' own keeps nothing


@pytest.mark.parametrize("role", ["postgres", "instep_owner"])
async def test_a_mighty_role_fails(
    house: Servers, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, role: str
) -> None:
    url = house.superuser_url(database) if role == "postgres" else house.owner_url(database)
    monkeypatch.setenv("DATABASE_URL", url)
    found = await look(tmp_path)
    assert found["role"].level is Level.FAILING
    assert role in found["role"].says


async def test_a_role_that_bypasses_row_level_security_fails(
    house: Servers, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mighty = f"mighty_{database}"
    await run(house.superuser_url(), f"CREATE ROLE {mighty} LOGIN BYPASSRLS PASSWORD 'mighty'")
    try:
        monkeypatch.setenv(
            "DATABASE_URL", house.app_url(database).replace("instep_app:instep-test", f"{mighty}:mighty")
        )
        found = await look(tmp_path)
    finally:
        await run(house.superuser_url(), f"DROP ROLE {mighty}")
    assert found["role"].level is Level.FAILING
    assert "bypasses" in found["role"].says


async def test_an_old_schema_fails(house: Servers, database: str, tmp_path: Path) -> None:
    await run(house.owner_url(database), "UPDATE alembic_version SET version_num = '1001'")
    found = await look(tmp_path)
    assert found["migrations"].level is Level.FAILING
    assert found["migrations"].remedy == "run `instep migrate`"


@pytest.mark.parametrize(
    ("revision", "remedy"), [("0009", "start with an empty database"), ("9999", "install the version that migrated it")]
)
async def test_a_schema_of_another_code_fails_and_is_asked_nothing(
    house: Servers, database: str, tmp_path: Path, revision: str, remedy: str
) -> None:
    await run(
        house.owner_url(database),
        f"UPDATE alembic_version SET version_num = '{revision}'",
        "DROP TABLE worker_heartbeat",
        "ALTER TABLE community_token RENAME sealed TO otherwise",
    )
    found = await look(tmp_path)
    assert {subject for subject, finding in found.items() if finding.level is Level.FAILING} == {"migrations"}
    assert f"revision {revision}" in found["migrations"].says
    assert (found["migrations"].remedy or "").startswith(remedy)
    assert {"database", "redis"} <= found.keys()


async def test_an_empty_database_has_no_migrations(
    house: Servers, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", house.app_url(house.clone("template0")))
    found = await look(tmp_path)
    assert database
    assert found["migrations"].says == "none was run"
    assert found["migrations"].remedy == "run `instep migrate`"


async def test_a_silent_worker_and_late_and_dead_jobs_are_found(house: Servers, database: str, tmp_path: Path) -> None:
    long_ago = datetime.now(UTC) - timedelta(hours=1)
    connection = await asyncpg.connect(plain(house.superuser_url(database)))
    try:
        await connection.execute("INSERT INTO worker_heartbeat VALUES ('w', $1)", long_ago)
        for key, state in (("a", "waiting"), ("b", "dead")):
            await connection.execute(
                "INSERT INTO job (id, kind, key, args, state, run_at, attempts, fence, created_at)"
                " VALUES (gen_random_uuid(), 'k', $1, '{}', $2, $3, 0, 0, $3)",
                key,
                state,
                long_ago,
            )
    finally:
        await connection.close()
    found = await look(tmp_path)
    assert found["worker"].level is Level.FAILING
    assert found["jobs"].level is Level.FAILING
    assert found["dead jobs"].level is Level.WARNING
    assert found["dead jobs"].says.startswith("1 ")


async def test_servers_that_are_away_fail_each_by_itself(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"postgresql://instep_app@/x?host={tmp_path}&port=5432")
    monkeypatch.setenv("REDIS_URL", f"unix://{tmp_path}/none")
    found = await look(tmp_path)
    assert database
    assert found["database"].level is Level.FAILING
    assert found["redis"].level is Level.FAILING
    assert "instep up" in (found["redis"].remedy or "")


async def test_a_clock_that_is_off_is_found(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "SKEW", timedelta(seconds=-1))
    assert database
    assert (await look(tmp_path))["clocks"].level is Level.WARNING


def test_broken_settings_are_named_without_their_values(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "mysql://ann:hunter2@host/db")
    monkeypatch.setenv("INSTEP_DATABASE_POOL", "0")
    settings.cache_clear()
    assert database
    answer = CliRunner().invoke(app, ["doctor", "--json", "--data", str(tmp_path)])
    assert answer.exit_code == 1
    failing = [finding["says"] for finding in json.loads(answer.stdout) if finding["level"] == "failing"]
    assert any(says.startswith("DATABASE_URL must start with postgresql://") for says in failing)
    assert any(says.startswith("INSTEP_DATABASE_POOL") for says in failing)
    assert "hunter2" not in answer.output


@pytest.mark.parametrize("command", ["api", "worker"])
def test_missing_settings_are_one_message_and_no_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.delenv("REDIS_URL", raising=False)
    monkeypatch.chdir(tmp_path)
    settings.cache_clear()
    answer = CliRunner().invoke(app, [command])
    assert answer.exit_code == 1
    assert "DATABASE_URL is missing" in answer.output
    assert "Traceback" not in answer.output


def test_packages_are_held_against_the_lock(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.lock"
    lock.write_text(
        "typer==0.0.1 \\\n    --hash=sha256:00\nleftpad==1.0 \\\nonly-there==1.0 ; sys_platform == 'plan9' \\\n"
        "pytest==1 ; python_version < '3'\n"
    )
    (finding,) = doctor.look_at_packages(lock)
    assert finding.level is Level.WARNING
    assert "typer" in finding.says
    assert "leftpad is not installed" in finding.says
    assert "only-there" not in finding.says


def test_the_development_key_is_a_warning() -> None:
    chosen = Settings(
        database_url="postgresql://h/d",
        redis_url="redis://h",
        secret_keys=[SecretStr(DEVELOPMENT_KEY)],
    )
    found = by_subject(list(doctor.look_at_settings(chosen)))
    assert found["secret keys"].level is Level.WARNING
    assert found["public url"].level is Level.WARNING


def test_a_taken_port_is_found() -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        (finding,) = doctor.look_at_port("127.0.0.1", taken.getsockname()[1])
        assert finding.level is Level.WARNING


def test_a_full_disk_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "ROOM", 1 << 62)
    (finding,) = doctor.look_at_disk(tmp_path)
    assert finding.level is Level.FAILING
    with console.capture() as said:
        doctor.show([finding], as_json=False)
    assert "failing" in said.get()
    assert "make room" in said.get()
