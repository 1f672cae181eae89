"""docker-compose.yml as compose itself understands it, and each of its commands run without Docker."""

import contextlib
import json
import shlex
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
import yaml

from app.cli.database import APP, OWNER, asyncpg_url
from app.cli.embedded import binaries, postgres
from app.settings import Settings
from tests.cli.processes import ROOT, clean_environment, eventually
from tests.servers import Servers, run

CHECK = "docker/check.env"
OURS = ("migrate", "api", "worker")
REQUIRED = ("POSTGRES_PASSWORD", "INSTEP_OWNER_PASSWORD", "INSTEP_APP_PASSWORD", "INSTEP_SECRET_KEYS")


def compose(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """docker-compose, in an environment without Instep's settings."""
    return subprocess.run(
        [str(Path(sys.executable).with_name("docker-compose")), *arguments],
        cwd=ROOT,
        env=clean_environment(**environment),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    """The services, with the values of the check filled in."""
    answer = compose("--env-file", CHECK, "config", "--format", "json")
    assert answer.returncode == 0, answer.stderr
    services: dict[str, Any] = json.loads(answer.stdout)["services"]
    return services


def values(tmp_path: Path, **changed: str) -> str:
    """A file of variables: those of the check with changes. Its path."""
    variables = dict(line.split("=", 1) for line in (ROOT / CHECK).read_text().splitlines() if "=" in line)
    path = tmp_path / "values.env"
    path.write_text("".join(f"{name}={value}\n" for name, value in {**variables, **changed}.items()))
    return str(path)


@pytest.mark.parametrize("name", [*REQUIRED, "INSTEP_PUBLIC_URL"])
def test_what_must_be_set_is_asked_for(tmp_path: Path, name: str) -> None:
    answer = compose("--env-file", values(tmp_path, **{name: ""}), "config", "--quiet")
    assert answer.returncode != 0
    assert f"required variable {name} is missing a value" in answer.stderr


def test_the_servers_are_those_it_is_tested_with(services: dict[str, Any]) -> None:
    assert set(services) == {"postgres", "valkey", *OURS}
    assert services["postgres"]["image"] == f"postgres:{postgres.MAJOR}"
    assert services["valkey"]["image"] == "valkey/valkey:9"
    installed = subprocess.run([binaries.valkey(), "--version"], capture_output=True, text=True, check=True).stdout
    assert " v=9." in installed


def test_texts_sort_as_in_the_embedded_server(services: dict[str, Any]) -> None:
    ours = shlex.split(services["postgres"]["environment"]["POSTGRES_INITDB_ARGS"])
    not_ours = {"-U", postgres.SUPERUSER, "--auth-local=trust", "--auth-host=scram-sha-256"}
    assert set(ours) == set(postgres._INITDB) - not_ours


def test_valkey_takes_its_command_and_keeps_a_log(services: dict[str, Any], tmp_path: Path) -> None:
    name, *arguments = services["valkey"]["command"]
    assert name == "valkey-server"
    place = ["--port", "0", "--unixsocket", "s", "--dir", str(tmp_path)]
    with subprocess.Popen([binaries.valkey(), *arguments, *place], cwd=tmp_path, stdout=subprocess.DEVNULL) as server:
        try:
            eventually(lambda: any((tmp_path / "appendonlydir").glob("*.aof")), "it persists what it stores")
        finally:
            server.terminate()


def test_nobody_is_root_and_nothing_is_written_beside_the_data(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "privileged" not in service
        if name not in OURS:
            assert service["user"] not in {"", "0", "root"}
            assert [volume["type"] for volume in service["volumes"]] == ["volume"]
        else:
            assert "user" not in service, "the image's own, which is not root"
            assert "volumes" not in service


def test_logs_fill_no_disk(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert service["logging"] == {"driver": "json-file", "options": {"max-size": "10m", "max-file": "5"}}, name


def test_only_the_api_is_reached_and_only_from_this_machine(services: dict[str, Any]) -> None:
    assert {name for name, service in services.items() if service.get("ports")} == {"api"}
    (port,) = services["api"]["ports"]
    assert (port["host_ip"], port["target"], port["published"]) == ("127.0.0.1", 8000, "8000")
    for name in ("postgres", "valkey", "migrate"):
        assert list(services[name]["networks"]) == ["inner"], name


def test_everything_but_the_migration_is_started_again(services: dict[str, Any]) -> None:
    assert services["migrate"]["restart"] == "no"
    for name in services.keys() - {"migrate"}:
        assert services[name]["restart"] == "unless-stopped", name
        assert services[name]["healthcheck"]["test"], name


def test_each_waits_for_what_it_needs(services: dict[str, Any]) -> None:
    def conditions(name: str) -> dict[str, str]:
        return {other: needs["condition"] for other, needs in services[name]["depends_on"].items()}

    assert conditions("migrate") == {"postgres": "service_healthy"}
    for name in ("api", "worker"):
        assert conditions(name) == {
            "migrate": "service_completed_successfully",
            "postgres": "service_healthy",
            "valkey": "service_healthy",
        }


def test_the_service_runs_as_the_ordinary_role(services: dict[str, Any]) -> None:
    for name in OURS:
        assert urlsplit(services[name]["environment"]["DATABASE_URL"]).username == APP
    assert urlsplit(services["migrate"]["environment"]["INSTEP_OWNER_DATABASE_URL"]).username == OWNER
    for name in ("api", "worker"):
        environment = json.dumps(services[name]["environment"])
        for password in ("superuser-in-a-check", "owner-in-a-check"):
            assert password not in environment, f"{name} has no business with it"


def test_every_setting_can_be_given(services: dict[str, Any]) -> None:
    names = {setting(name) for name in Settings.model_fields}
    for name in ("api", "worker"):
        assert set(services[name]["environment"]) == names - {"INSTEP_OWNER_DATABASE_URL"}


def setting(field: str) -> str:
    return field.upper() if field in {"database_url", "redis_url"} else f"INSTEP_{field.upper()}"


@dataclass(frozen=True)
class Installation:
    """Compose's services, with the URLs of the tests' servers."""

    servers: Servers
    database: str
    services: dict[str, Any]

    def environment(self, name: str) -> dict[str, str]:
        """The service's variables, with the same roles on another server."""
        environment = {key: value for key, value in self.services[name]["environment"].items() if value is not None}
        led = {key: self._led(value) for key, value in environment.items() if key.endswith("DATABASE_URL")}
        return clean_environment(**{**environment, **led, "REDIS_URL": self.servers.redis_url(63)})

    def _led(self, url: str) -> str:
        parts = urlsplit(url)
        database = {"/instep": self.database, "/postgres": "postgres"}[parts.path]
        role = {
            postgres.SUPERUSER: self.servers.superuser_url,
            OWNER: self.servers.owner_url,
            APP: self.servers.app_url,
        }[parts.username or ""]
        return role(database)

    def command(self, name: str, *instead: str) -> list[str]:
        """What the image runs for this service."""
        return [sys.executable, "-m", "app.cli.main", *(instead or self.services[name]["command"])]

    def healthy(self, name: str, *arguments: str) -> bool:
        """The service's own health check."""
        kind, interpreter, path, *rest = self.services[name]["healthcheck"]["test"]
        assert (kind, interpreter, path) == ("CMD", "python", "/opt/instep/alive.py")
        assert " docker/alive.py /opt/instep/alive.py\n" in (ROOT / "Dockerfile").read_text()
        check = [sys.executable, str(ROOT / "docker/alive.py"), *rest, *arguments]
        return not subprocess.run(check, env=self.environment(name), capture_output=True, check=False).returncode


@pytest.fixture(scope="module")
def installed(services: dict[str, Any], servers: Servers) -> Iterator[Installation]:
    """An empty server, on which `migrate` was run as compose runs it: twice, as at a second `up`."""
    made = Installation(servers, f"compose_{uuid.uuid4().hex[:8]}", services)
    for _ in range(2):
        answer = subprocess.run(
            made.command("migrate"), env=made.environment("migrate"), capture_output=True, text=True, check=False
        )
        assert answer.returncode == 0, answer.stderr
        assert "the database is at revision" in answer.stdout
    yield made
    servers.drop(made.database)


def test_migrate_makes_a_database_that_the_service_does_not_own(installed: Installation) -> None:
    async def read() -> None:
        connection = await asyncpg.connect(asyncpg_url(installed.environment("api")["DATABASE_URL"]))
        try:
            role = await connection.fetchrow(
                "SELECT rolname, rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user"
            )
            assert role is not None
            assert tuple(role) == (APP, False, False)
            owners = await connection.fetch("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'")
            assert [row[0] for row in owners] == [OWNER]
            assert await connection.fetchval("SELECT count(*) FROM workspace") == 0
        finally:
            await connection.close()

    run(read())


@contextlib.contextmanager
def started(installed: Installation, name: str, *instead: str, **options: Any) -> Iterator[None]:
    """A running service; at the end it is stopped as Docker stops it."""
    with subprocess.Popen(
        installed.command(name, *instead), env=installed.environment(name), stderr=subprocess.DEVNULL, **options
    ) as process:
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) in {0, -signal.SIGTERM}


def test_the_api_starts_and_its_health_check_sees_it(installed: Installation) -> None:
    command = installed.services["api"]["command"]
    assert command == ["api", "--host", "0.0.0.0", "--port", "8000"]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/live"
        descriptor = listener.fileno()
        with started(installed, "api", "api", "--fd", str(descriptor), pass_fds=(descriptor,)):
            eventually(lambda: installed.healthy("api", url), "the API is healthy")
    assert not installed.healthy("api", url)


def test_the_worker_starts_and_its_health_check_sees_it(installed: Installation) -> None:
    assert not installed.healthy("worker")
    with started(installed, "worker"):
        eventually(lambda: installed.healthy("worker"), "the worker is healthy")

    async def age() -> None:
        connection = await asyncpg.connect(asyncpg_url(installed.servers.superuser_url(installed.database)))
        try:
            await connection.execute("UPDATE worker_heartbeat SET at = at - interval '31 seconds'")
        finally:
            await connection.close()

    run(age())
    assert not installed.healthy("worker"), "a heartbeat of half a minute ago is none"


def test_an_unsafe_installation_does_not_start(installed: Installation) -> None:
    for name, value in (("INSTEP_PUBLIC_URL", "http://instep.example"), ("INSTEP_SECRET_KEYS", " ")):
        answer = subprocess.run(
            installed.command("api"),
            env={**installed.environment("api"), name: value},
            capture_output=True,
            text=True,
            check=False,
        )
        assert answer.returncode == 1
        assert name in answer.stderr


def test_no_secret_stands_in_the_file() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    for service in yaml.safe_load(text)["services"].values():
        for name, value in service.get("environment", {}).items():
            if "PASSWORD" in name or "SECRET" in name or "URL" in name:
                assert value is None or "${" in value or name == "REDIS_URL", name
