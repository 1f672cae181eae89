"""schemathesis with all its checks against the running service: API and worker as processes."""

import subprocess
import sys
import uuid
from pathlib import Path

import httpx
import pytest

from app.kit import events
from app.kit.clock import SystemClock
from app.kit.crypto import Keyring
from app.kit.db import Database
from app.kit.resources import Resources, SilentDoorbell
from app.settings import Settings
from tests.conftest import Agency
from tests.house.conftest import Stock, stock
from tests.servers import Servers, run
from tests.system.serving import ROOT, api, environment, process, until

FOLDER = Path(__file__).parent
RUNS = (
    pytest.param("examples,fuzzing", 2, id="few"),
    pytest.param("examples,coverage,fuzzing,stateful", 10, id="many", marks=pytest.mark.long),
)
"""The phases of schemathesis, and how many examples it makes for each operation."""


async def create_agency(servers: Servers, database: str, url: str) -> tuple[str, Stock]:
    """An agency with one of every object; its API key, and the ids of the objects."""
    configuration = Settings(
        _env_file=None, environment="test", database_url=servers.app_url(database), redis_url=servers.redis_url()
    )
    events.listen()
    db = Database(configuration.database_url, pool=1)
    resources = Resources(configuration, SystemClock(), db, Keyring(configuration.secret_keys), SilentDoorbell())
    async with httpx.AsyncClient(base_url=url) as client:
        body = {"title": "Step & Co", "owner": {"name": "Anna", "email": "anna@agency.example"}}
        made = (await client.post("/v1/workspaces", json=body)).json()
        key = made["api_key"]["key"]
        client.headers["Authorization"] = f"Bearer {key}"
        stocked = await stock(Agency(client, uuid.UUID(made["workspace"]["id"]), key, resources))
    await db.close()
    return key, stocked


@pytest.fixture
def database(servers: Servers) -> str:
    """A database for this test alone, as schemathesis writes to it."""
    return servers.clone()


@pytest.mark.parametrize(("phases", "examples"), RUNS)
def test_the_service_conforms_to_its_openapi_document(
    servers: Servers, database: str, tmp_path: Path, phases: str, examples: int
) -> None:
    log = tmp_path / "worker.log"
    with (
        api(servers, database, tmp_path) as url,
        process("app.cli.main", "worker", variables=environment(servers, database), log=log),
    ):
        until(lambda: httpx.get(f"{url}/ready", timeout=30).is_success, log)
        key, stocked = run(create_agency(servers, database, url))
        parameters = "\n".join(f'"path.{name}" = "{value}"' for name, value in stocked.ids.items() if name != "key_id")
        config = tmp_path / "schemathesis.toml"
        config.write_text((FOLDER / "schemathesis.toml").read_text() + f"\n[parameters]\n{parameters}\n")
        result = subprocess.run(
            [
                *(Path(sys.executable).with_name("schemathesis"), "--config-file", config, "run"),
                *(f"{url}/openapi.json", "--header", f"Authorization: Bearer {key}"),
                *("--phases", phases, "--max-examples", str(examples)),
                *("--generation-deterministic", "--no-color", "--continue-on-failure"),
            ],
            cwd=tmp_path,
            env={
                **environment(servers, database),
                "SCHEMATHESIS_HOOKS": "tests.system.schemathesis_hooks",
                "PYTHONPATH": str(ROOT),
            },
            capture_output=True,
            text=True,
            timeout=600,
        )
        report = result.stdout + result.stderr
        assert result.returncode == 0, report[-200_000:]
        assert "passed" in report
        api_log = (tmp_path / "api.log").read_text()
        assert "Traceback" not in api_log, api_log[-4000:]
