"""Valkey is wiped or gone, PostgreSQL restarts, a platform hangs: late at most, never lost."""

import contextlib
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import psutil
import pytest
import redis

from app.cli.database import APP, OWNER, prepare_database
from app.cli.migrate import migrate
from app.cli.servers import Postgres, Valkey, scratch_folder, start_postgres, start_valkey
from tests.cli.processes import family, gone
from tests.servers import Servers, run
from tests.system.installation import (
    VALKEY_DATABASE,
    Agency,
    InstalledDatabase,
    closing,
    eventually,
    service_environment,
)
from tests.system.sandbox import Sandbox, sandbox
from tests.system.serving import ROOT, api, process

HANG_TIMEOUT = 19.0
"""Less than the 20 seconds after which a hanging call times out and frees its connection."""
RESPONSE_TIMEOUT = 10.0
"""Seconds within which the API must answer during an outage."""


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Sandbox]:
    """A sandbox."""
    with sandbox(tmp_path) as made:
        yield made


@pytest.fixture
def valkey() -> Iterator[Valkey]:
    """A Valkey for this test alone."""
    with start_valkey(scratch_folder(), test=True) as made:
        yield made


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL for this test alone."""
    with start_postgres(scratch_folder(), test=True) as made:
        yield made


@contextlib.contextmanager
def down(server: int, how: signal.Signals) -> Iterator[None]:
    """The embedded server with this process id is stopped; its keeper starts it again after the block."""
    process = psutil.Process(server)
    keeper = process.parent()
    assert keeper is not None
    keeper.suspend()
    try:
        process.send_signal(how)
        eventually(lambda: gone([process]), "the server has stopped")
        yield
    finally:
        keeper.resume()


@dataclass(frozen=True)
class Installation:
    """A running `instep up` that uses existing servers."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def child(self, name: str) -> int:
        """The process id of the API or the worker."""
        return next(one.pid for one in family(self.process.pid) if one.cmdline()[3:5] == ["app.cli.main", name])


@contextlib.contextmanager
def up(variables: dict[str, str], folder: Path) -> Iterator[Installation]:
    """`instep up`; none of its processes remains after the block."""
    log = folder / "up.log"
    with log.open("wb") as out:
        running = subprocess.Popen(
            [sys.executable, "-m", "app.cli.main", "up", "--data", str(folder / "data"), "--port", "0"],
            cwd=ROOT,
            env=variables,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        pattern = re.compile(r"Instep answers on (\S+)")
        eventually(lambda: pattern.search(log.read_text()) is not None, "instep up is up")
        match = pattern.search(log.read_text())
        assert match is not None
        yield Installation(match[1], running, log)
    finally:
        processes = family(running.pid) if running.poll() is None else []
        running.terminate()
        try:
            running.wait(40)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait(10)
        eventually(lambda: gone(processes), "the service has ended")


def _connect_all(agency: Agency, network: Sandbox) -> list[str]:
    return [agency.connect(community, days=1) for community in network.communities().values()]


def test_a_wiped_valkey_delays_but_loses_no_job(
    servers: Servers, valkey: Valkey, network: Sandbox, tmp_path: Path
) -> None:
    database = servers.clone()
    db = InstalledDatabase(servers.superuser_url(database))
    variables = service_environment(servers, database, network, 0, REDIS_URL=valkey.url)
    log = tmp_path / "worker.log"
    with (
        redis.Redis(unix_socket_path=str(valkey.sockets / "valkey.sock")) as queue,
        api(servers, database, tmp_path, **variables) as url,
        closing(Agency(url)) as agency,
    ):
        communities = _connect_all(agency, network)
        eventually(lambda: queue.zcard("arq:queue") == len(communities), "each community was rung for")
        queue.flushall()
        with process("app.cli.main", "worker", variables=variables, log=log):
            for _ in range(30):  # and again while the jobs run
                queue.flushall()
                time.sleep(0.05)
            for community in communities:
                eventually(lambda c=community: agency.polled(c), "every community is read")  # type: ignore[misc]  # mypy knows no default of a lambda
    assert db.one("SELECT count(*) FROM job WHERE state = 'dead'") == 0


def test_a_ring_received_by_a_dead_worker_is_repeated(
    servers: Servers, valkey: Valkey, network: Sandbox, tmp_path: Path
) -> None:
    """arq takes the ring to be in progress for an hour."""
    database = servers.clone()
    db = InstalledDatabase(servers.superuser_url(database))
    variables = service_environment(servers, database, network, 0, REDIS_URL=valkey.url)
    with (
        redis.Redis(unix_socket_path=str(valkey.sockets / "valkey.sock")) as queue,
        api(servers, database, tmp_path, **variables) as url,
        closing(Agency(url)) as agency,
    ):
        communities = _connect_all(agency, network)
        eventually(lambda: queue.zcard("arq:queue") == len(communities), "each community was rung for")
        for ring in queue.zrange("arq:queue", 0, -1):
            queue.set(b"arq:in-progress:" + ring, b"1", ex=3610)
        db.expire_leases()
        with process("app.cli.main", "worker", variables=variables, log=tmp_path / "worker.log"):
            for community in communities:
                eventually(lambda c=community: agency.polled(c), "every community is read")  # type: ignore[misc]  # mypy knows no default of a lambda


def test_without_valkey_the_api_works_and_the_jobs_run_later(
    servers: Servers, valkey: Valkey, network: Sandbox, tmp_path: Path
) -> None:
    variables = service_environment(servers, servers.clone(), network, 0, REDIS_URL=valkey.url)
    with up(variables, tmp_path) as service, closing(Agency(service.url)) as agency:
        serving = service.child("api")
        with down(valkey.process, signal.SIGKILL):
            started = time.monotonic()
            communities = _connect_all(agency, network)
            assert all(agency.health(community)["status"] == "connecting" for community in communities)
            assert time.monotonic() - started < RESPONSE_TIMEOUT
        for community in communities:
            eventually(lambda c=community: agency.polled(c), "every community is read")  # type: ignore[misc]  # mypy knows no default of a lambda
        assert service.child("api") == serving, "the API was not restarted"


def test_the_service_outlives_a_restart_of_postgresql(
    servers: Servers, postgres: Postgres, network: Sandbox, tmp_path: Path
) -> None:
    run(prepare_database(postgres.url(), "instep"))
    migrate(postgres.url(OWNER, "instep"))
    own = replace(servers, database_url=postgres.url())
    variables = service_environment(
        own, "instep", network, VALKEY_DATABASE + 2, DATABASE_URL=postgres.url(APP, "instep")
    )
    with up(variables, tmp_path) as service, closing(Agency(service.url)) as agency:
        community = _connect_all(agency, network)[0]
        eventually(lambda: agency.polled(community), "a community is read")
        before = agency.health(community)["polled_at"]
        serving = service.child("api")
        with down(postgres.process, signal.SIGINT):
            for path in ("/v1/me", f"/v1/communities/{community}/health", "/v1/posts"):
                started = time.monotonic()
                answer = agency.http.get(path)
                assert time.monotonic() - started < RESPONSE_TIMEOUT
                _is_a_problem(answer)
            _is_a_problem(agency.http.post("/v1/projects", json={"title": "Later", "timezone": "UTC"}))
            assert agency.http.get("/ready").status_code == 503
            assert agency.http.get("/live").status_code == 200
        eventually(lambda: agency.http.get("/v1/me").is_success, "the API answers again")
        InstalledDatabase(postgres.url(database="instep")).expire_leases()  # the leases of the jobs that were cut off
        assert service.child("api") == serving, "the API was not restarted"
        eventually(lambda: agency.health(community)["polled_at"] > before, "the worker is at work again")
        eventually(lambda: agency.http.get("/ready").is_success, "all is well again")


def _is_a_problem(answer: httpx.Response) -> None:
    assert answer.status_code == 503, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "database-away"


def test_hanging_communities_do_not_delay_another(servers: Servers, network: Sandbox, tmp_path: Path) -> None:
    variables = service_environment(servers, servers.clone(), network, VALKEY_DATABASE + 3)
    healthy = "coffee"
    with (
        api(servers, _database_name(variables), tmp_path, **variables) as url,
        closing(Agency(url)) as agency,
        process("app.cli.main", "worker", variables=variables, log=tmp_path / "worker.log"),
    ):
        for key in network.communities():
            if key != healthy:
                network.fault("hang", seconds=600, community=key)
        communities = {key: agency.connect(community, days=1) for key, community in network.communities().items()}

        def all_hang() -> bool:
            return int(sum(rule["met"] for rule in network.control("GET", "/faults"))) >= len(communities) - 1

        eventually(all_hang, "all others hang", HANG_TIMEOUT)
        eventually(lambda: agency.polled(communities[healthy]), "the one that does not hang is read", HANG_TIMEOUT)
        first = agency.health(communities[healthy])["polled_at"]
        started = time.monotonic()
        eventually(
            lambda: agency.health(communities[healthy])["polled_at"] > first, "it is read again", RESPONSE_TIMEOUT
        )
        assert time.monotonic() - started < RESPONSE_TIMEOUT
        assert not any(agency.polled(community) for key, community in communities.items() if key != healthy)


def _database_name(variables: dict[str, str]) -> str:
    """The name of the database in `DATABASE_URL`."""
    return variables["DATABASE_URL"].rpartition("/")[2].partition("?")[0]
