"""`instep doctor` reports what is broken, and how to fix it."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from app.cli import doctor
from app.cli.console import console
from app.cli.database import asyncpg_url
from app.cli.doctor import check_installation
from app.cli.findings import Finding, Level, show
from app.cli.main import app
from app.projects import zones
from app.projects.hours import offset
from app.settings import DEVELOPMENT_KEY, Settings, settings
from tests.mail_server import PASSWORD, mail_server
from tests.servers import Servers, servers


@pytest.fixture(scope="module")
def test_servers() -> object:
    with servers() as running:
        yield running


@pytest.fixture
def database(test_servers: Servers, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """A migrated database, and a correct environment."""
    name = test_servers.clone()
    for variable, value in {
        "DATABASE_URL": test_servers.app_url(name),
        "REDIS_URL": test_servers.redis_url(60),
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
    connection = await asyncpg.connect(asyncpg_url(url))
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def check(tmp_path: Path) -> dict[str, Finding]:
    settings.cache_clear()
    return by_subject(await check_installation(tmp_path))


async def test_a_sound_installation_has_nothing_failing(test_servers: Servers, database: str, tmp_path: Path) -> None:
    await run(test_servers.owner_url(database), "INSERT INTO worker_heartbeat VALUES ('w', now())")
    findings_by_subject = await check(tmp_path)
    assert [finding for finding in findings_by_subject.values() if finding.level is Level.FAILING] == []
    assert {
        "database",
        "role",
        "migrations",
        "worker",
        "jobs",
        "dead jobs",
        "redis",
        "clocks",
    } <= findings_by_subject.keys()
    assert findings_by_subject["redis persistence"].level is Level.WARNING  # the tests' own keeps nothing


@pytest.mark.parametrize("role", ["postgres", "instep_owner"])
async def test_a_privileged_role_fails(
    test_servers: Servers, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, role: str
) -> None:
    url = test_servers.superuser_url(database) if role == "postgres" else test_servers.owner_url(database)
    monkeypatch.setenv("DATABASE_URL", url)
    findings_by_subject = await check(tmp_path)
    assert findings_by_subject["role"].level is Level.FAILING
    assert role in findings_by_subject["role"].message


async def test_a_role_that_bypasses_row_level_security_fails(
    test_servers: Servers, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bypassing_role = f"bypassing_{database}"
    await run(test_servers.superuser_url(), f"CREATE ROLE {bypassing_role} LOGIN BYPASSRLS PASSWORD 'bypass'")
    try:
        monkeypatch.setenv(
            "DATABASE_URL", test_servers.app_url(database).replace("instep_app:instep-test", f"{bypassing_role}:bypass")
        )
        findings_by_subject = await check(tmp_path)
    finally:
        await run(test_servers.superuser_url(), f"DROP ROLE {bypassing_role}")
    assert findings_by_subject["role"].level is Level.FAILING
    assert "bypasses" in findings_by_subject["role"].message


async def test_an_old_schema_fails(test_servers: Servers, database: str, tmp_path: Path) -> None:
    await run(test_servers.owner_url(database), "UPDATE alembic_version SET version_num = '1001'")
    findings_by_subject = await check(tmp_path)
    assert findings_by_subject["migrations"].level is Level.FAILING
    assert findings_by_subject["migrations"].remedy == "run `instep migrate`"


@pytest.mark.parametrize(
    ("revision", "remedy"), [("0009", "start with an empty database"), ("9999", "install the version that migrated it")]
)
async def test_a_schema_of_another_code_fails_and_is_asked_nothing(
    test_servers: Servers, database: str, tmp_path: Path, revision: str, remedy: str
) -> None:
    await run(
        test_servers.owner_url(database),
        f"UPDATE alembic_version SET version_num = '{revision}'",
        "DROP TABLE worker_heartbeat",
        "ALTER TABLE community_token RENAME sealed TO otherwise",
    )
    findings_by_subject = await check(tmp_path)
    assert {subject for subject, finding in findings_by_subject.items() if finding.level is Level.FAILING} == {
        "migrations"
    }
    assert f"revision {revision}" in findings_by_subject["migrations"].message
    assert (findings_by_subject["migrations"].remedy or "").startswith(remedy)
    assert {"database", "redis"} <= findings_by_subject.keys()


async def test_an_empty_database_has_no_migrations(
    test_servers: Servers, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", test_servers.app_url(test_servers.clone("template0")))
    findings_by_subject = await check(tmp_path)
    assert database
    assert findings_by_subject["migrations"].message == "none was run"
    assert findings_by_subject["migrations"].remedy == "run `instep migrate`"


async def test_a_silent_worker_and_late_and_dead_jobs_are_found(
    test_servers: Servers, database: str, tmp_path: Path
) -> None:
    long_ago = datetime.now(UTC) - timedelta(hours=1)
    connection = await asyncpg.connect(asyncpg_url(test_servers.superuser_url(database)))
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
    findings_by_subject = await check(tmp_path)
    assert findings_by_subject["worker"].level is Level.FAILING
    assert findings_by_subject["jobs"].level is Level.FAILING
    assert findings_by_subject["dead jobs"].level is Level.WARNING
    assert findings_by_subject["dead jobs"].message.startswith("1 ")


async def test_each_unreachable_server_is_a_failure_of_its_own(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"postgresql://instep_app@/x?host={tmp_path}&port=5432")
    monkeypatch.setenv("REDIS_URL", f"unix://{tmp_path}/none")
    findings_by_subject = await check(tmp_path)
    assert database
    assert findings_by_subject["database"].level is Level.FAILING
    assert findings_by_subject["redis"].level is Level.FAILING
    assert "instep up" in (findings_by_subject["redis"].remedy or "")


async def test_clock_skew_is_found(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "MAX_CLOCK_SKEW", timedelta(seconds=-1))
    assert database
    assert (await check(tmp_path))["clocks"].level is Level.WARNING


async def test_other_rules_of_a_time_zone_are_found(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await check(tmp_path))["time zones"].level == Level.OK
    monkeypatch.setattr(zones, "offset", lambda at, zone: offset(at, zone) + timedelta(hours=zone.key == "Asia/Omsk"))
    finding = (await check(tmp_path))["time zones"]
    assert (finding.level, finding.remedy) == (Level.WARNING, "run `instep migrate`")
    assert "1: Asia/Omsk" in finding.message


def test_broken_settings_are_named_without_their_values(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "mysql://ann:hunter2@host/db")
    monkeypatch.setenv("INSTEP_DATABASE_POOL", "0")
    settings.cache_clear()
    assert database
    answer = CliRunner().invoke(app, ["doctor", "--json", "--data", str(tmp_path)])
    assert answer.exit_code == 1
    failing = [finding["message"] for finding in json.loads(answer.stdout) if finding["level"] == "failing"]
    assert any(message.startswith("DATABASE_URL must start with postgresql://") for message in failing)
    assert any(message.startswith("INSTEP_DATABASE_POOL") for message in failing)
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


def test_packages_are_compared_with_the_lock(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.lock"
    lock.write_text(
        "typer==0.0.1 \\\n    --hash=sha256:00\nleftpad==1.0 \\\nonly-there==1.0 ; sys_platform == 'plan9' \\\n"
        "pytest==1 ; python_version < '3'\n"
    )
    (finding,) = doctor.check_packages(lock)
    assert finding.level is Level.WARNING
    assert "typer" in finding.message
    assert "leftpad is not installed" in finding.message
    assert "only-there" not in finding.message


def test_the_development_key_is_a_warning() -> None:
    configured = Settings(
        database_url="postgresql://h/d",
        redis_url="redis://h",
        secret_keys=[SecretStr(DEVELOPMENT_KEY)],
    )
    findings_by_subject = by_subject(list(doctor.check_settings(configured)))
    assert findings_by_subject["secret keys"].level is Level.WARNING
    assert findings_by_subject["public url"].level is Level.WARNING


def test_a_taken_port_is_found() -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        (finding,) = doctor.check_port("127.0.0.1", taken.getsockname()[1])
        assert finding.level is Level.WARNING


def test_a_full_disk_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "MIN_FREE_BYTES", 1 << 62)
    (finding,) = doctor.check_disk(tmp_path)
    assert finding.level is Level.FAILING
    with console.capture() as printed:
        show([finding], as_json=False)
    assert "failing" in printed.get()
    assert "make room" in printed.get()


async def test_every_fault_is_found_at_once(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, test_servers: Servers
) -> None:
    """A refused setting, misspelt ones, an old schema, a lost key, a stopped Valkey: none hides another."""
    await run(test_servers.owner_url(database), "INSERT INTO sealing_key VALUES ('00', now())")
    monkeypatch.setenv("INSTEP_DATBASE_URL", "x")
    monkeypatch.setenv("INSTEP_DATABASE_POOL", "0")
    monkeypatch.setenv("INSTEP_ENVIRONMENT", "production")
    monkeypatch.setenv("INSTEP_PUBLIC_URL", "http://instep.example")
    monkeypatch.setenv("INSTEP_CORS_ORIGINS", "*")
    monkeypatch.setenv("REDIS_URL", f"unix://{tmp_path}/none")
    settings.cache_clear()
    findings = [one for one in await check_installation(tmp_path) if one.level is Level.FAILING]
    said = [f"{one.subject}: {one.message}" for one in findings]
    for part in (
        "variables: INSTEP_DATBASE_URL",
        "settings: INSTEP_DATABASE_POOL is refused",
        "settings: INSTEP_PUBLIC_URL must start with https",
        "settings: INSTEP_CORS_ORIGINS must name",
        "keys of the database: INSTEP_SECRET_KEYS lacks 1 of the 1",
        "redis: cannot be reached",
    ):
        assert sum(line.startswith(part) for line in said) == 1, (part, said)
    assert len(said) == 6
    assert [one.remedy for one in findings if one.subject == "variables"] == ["rename it to DATABASE_URL, or remove it"]
    await run(test_servers.owner_url(database), "UPDATE alembic_version SET version_num = '1001'")
    subjects = {one.subject for one in await check_installation(tmp_path) if one.level is Level.FAILING}
    assert {"migrations", "redis", "settings", "variables"} <= subjects


def test_stopped_servers_and_a_lost_key_file_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "REDIS_URL", "INSTEP_SECRET_KEYS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    (tmp_path / "d" / "postgres" / "cluster").mkdir(parents=True)
    settings.cache_clear()
    answer = CliRunner().invoke(app, ["doctor", "--data", "d"])
    assert answer.exit_code == 1
    assert "the embedded servers in d do not run" in answer.output
    assert "secret_key is missing" in answer.output
    assert "DATABASE_URL is missing" not in answer.output
    assert "2 to mend" in answer.output


async def test_a_mail_server_is_tried() -> None:
    configuration = Settings(_env_file=None, database_url="postgresql://x/y", redis_url="z")
    async with mail_server(wants_password=True) as server:
        right = server.settings(configuration, smtp_user="instep", smtp_password=SecretStr(PASSWORD))
        wrong = right.model_copy(update={"smtp_password": SecretStr("another")})
        plain = server.settings(configuration, smtp_tls="starttls")
        findings = [await doctor.check_mail(one) for one in (configuration, right, wrong, plain)]
        assert [one.level for one in findings] == [Level.OK, Level.OK, Level.FAILING, Level.FAILING]
        assert "not set up" in findings[0].message
        assert "does not accept the sign-in" in findings[2].message
        assert "another" not in findings[2].message
        assert server.accepted == []
    away = await doctor.check_mail(right)
    assert away.level is Level.FAILING
