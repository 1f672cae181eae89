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
from tests.system.sandbox import Sandbox, sandbox
from tests.system.serving import HOUSE, api, process
from tests.system.town import RING, Agency, Store, closing, eventually, surroundings

HANGING = 15.0
"""Less than the 20 seconds after which a call that hangs is given up, and makes room for others."""
QUICK = 10.0
"""Seconds within which the API must have answered, whatever is gone."""


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Sandbox]:
    """A sandbox."""
    with sandbox(tmp_path) as made:
        yield made


@pytest.fixture
def valkey() -> Iterator[Valkey]:
    """A Valkey of the test's own."""
    with start_valkey(scratch_folder(), test=True) as made:
        yield made


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL of the test's own."""
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
    """`instep up` over servers of others."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def child(self, name: str) -> int:
        """The process id of the API or the worker."""
        return next(one.pid for one in family(self.process.pid) if one.cmdline()[3:5] == ["app.cli.main", name])


@contextlib.contextmanager
def up(around: dict[str, str], folder: Path) -> Iterator[Installation]:
    """API and worker under their supervisor; none of them remains after the block."""
    log = folder / "up.log"
    with log.open("wb") as out:
        running = subprocess.Popen(
            [sys.executable, "-m", "app.cli.main", "up", "--data", str(folder / "data"), "--port", "0"],
            cwd=HOUSE,
            env=around,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        pattern = re.compile(r"Instep answers on (\S+)")
        eventually(lambda: pattern.search(log.read_text()) is not None, "instep up is up")
        found = pattern.search(log.read_text())
        assert found is not None
        yield Installation(found[1], running, log)
    finally:
        everybody = family(running.pid) if running.poll() is None else []
        running.terminate()
        try:
            running.wait(40)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait(10)
        eventually(lambda: gone(everybody), "the service has ended")


def _connect_all(agency: Agency, town: Sandbox) -> list[str]:
    return [agency.connect(place, days=1) for place in town.places().values()]


def test_a_wiped_valkey_delays_but_loses_no_job(
    servers: Servers, valkey: Valkey, town: Sandbox, tmp_path: Path
) -> None:
    database = servers.clone()
    store = Store(servers.superuser_url(database))
    around = surroundings(servers, database, town, 0, REDIS_URL=valkey.url)
    log = tmp_path / "worker.log"
    with (
        redis.Redis(unix_socket_path=str(valkey.sockets / "valkey.sock")) as bells,
        api(servers, database, tmp_path, **around) as url,
        closing(Agency(url)) as agency,
    ):
        communities = _connect_all(agency, town)
        eventually(lambda: bells.zcard("arq:queue") == len(communities), "each community was rung for")
        bells.flushall()
        with process("app.cli.main", "worker", variables=around, log=log):
            for _ in range(30):  # and again while they are being done
                bells.flushall()
                time.sleep(0.05)
            for community in communities:
                eventually(lambda c=community: agency.polled(c), "every community is read")  # type: ignore[misc]  # mypy knows no default of a lambda
    assert store.one("SELECT count(*) FROM job WHERE state = 'dead'") == 0


def test_a_ring_that_a_dead_worker_took_along_is_rung_again(
    servers: Servers, valkey: Valkey, town: Sandbox, tmp_path: Path
) -> None:
    """arq believes for an hour that the dead worker is at it."""
    database = servers.clone()
    store = Store(servers.superuser_url(database))
    around = surroundings(servers, database, town, 0, REDIS_URL=valkey.url)
    with (
        redis.Redis(unix_socket_path=str(valkey.sockets / "valkey.sock")) as bells,
        api(servers, database, tmp_path, **around) as url,
        closing(Agency(url)) as agency,
    ):
        communities = _connect_all(agency, town)
        eventually(lambda: bells.zcard("arq:queue") == len(communities), "each community was rung for")
        for ring in bells.zrange("arq:queue", 0, -1):
            bells.set(b"arq:in-progress:" + ring, b"1", ex=3610)
        store.let_time_pass()
        with process("app.cli.main", "worker", variables=around, log=tmp_path / "worker.log"):
            for community in communities:
                eventually(lambda c=community: agency.polled(c), "every community is read")  # type: ignore[misc]  # mypy knows no default of a lambda


def test_without_valkey_the_api_goes_on_and_the_jobs_are_done_later(
    servers: Servers, valkey: Valkey, town: Sandbox, tmp_path: Path
) -> None:
    around = surroundings(servers, servers.clone(), town, 0, REDIS_URL=valkey.url)
    with up(around, tmp_path) as service, closing(Agency(service.url)) as agency:
        serving = service.child("api")
        with down(valkey.process, signal.SIGKILL):
            begun = time.monotonic()
            communities = _connect_all(agency, town)
            assert all(agency.health(community)["state"] == "connecting" for community in communities)
            assert time.monotonic() - begun < QUICK
        for community in communities:
            eventually(lambda c=community: agency.polled(c), "every community is read")  # type: ignore[misc]  # mypy knows no default of a lambda
        assert service.child("api") == serving, "the API has not been started anew"


def test_the_service_outlives_a_restart_of_postgresql(
    servers: Servers, postgres: Postgres, town: Sandbox, tmp_path: Path
) -> None:
    run(prepare_database(postgres.url(), "instep"))
    migrate(postgres.url(OWNER, "instep"))
    own = replace(servers, database_url=postgres.url())
    around = surroundings(own, "instep", town, RING + 2, DATABASE_URL=postgres.url(APP, "instep"))
    with up(around, tmp_path) as service, closing(Agency(service.url)) as agency:
        community = _connect_all(agency, town)[0]
        eventually(lambda: agency.polled(community), "a community is read")
        before = agency.health(community)["polled_at"]
        serving = service.child("api")
        with down(postgres.process, signal.SIGINT):
            for path in ("/v1/me", f"/v1/communities/{community}/health", "/v1/posts"):
                begun = time.monotonic()
                answer = agency.http.get(path)
                assert time.monotonic() - begun < QUICK
                _is_a_problem(answer)
            _is_a_problem(agency.http.post("/v1/projects", json={"name": "Later", "timezone": "UTC"}))
            assert agency.http.get("/ready").status_code == 503
            assert agency.http.get("/live").status_code == 200
        eventually(lambda: agency.http.get("/v1/me").is_success, "the API answers again")
        Store(postgres.url(database="instep")).let_time_pass()  # the leases of the jobs that were cut off
        assert service.child("api") == serving, "the API has not been started anew"
        eventually(lambda: agency.health(community)["polled_at"] > before, "the worker is at work again")
        eventually(lambda: agency.http.get("/ready").is_success, "all is well again")


def _is_a_problem(answer: httpx.Response) -> None:
    assert answer.status_code == 503, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "database-away"


def test_communities_that_hang_do_not_hold_up_another(servers: Servers, town: Sandbox, tmp_path: Path) -> None:
    around = surroundings(servers, servers.clone(), town, RING + 3)
    healthy = "coffee"
    with (
        api(servers, _named(around), tmp_path, **around) as url,
        closing(Agency(url)) as agency,
        process("app.cli.main", "worker", variables=around, log=tmp_path / "worker.log"),
    ):
        for key in town.places():
            if key != healthy:
                town.fault("hang", seconds=600, community=key)
        communities = {key: agency.connect(place, days=1) for key, place in town.places().items()}

        def met() -> bool:
            return int(sum(rule["met"] for rule in town.control("GET", "/faults"))) >= len(communities) - 1

        eventually(met, "all others hang", HANGING)
        eventually(lambda: agency.polled(communities[healthy]), "the one that does not hang is read", HANGING)
        first = agency.health(communities[healthy])["polled_at"]
        begun = time.monotonic()
        eventually(lambda: agency.health(communities[healthy])["polled_at"] > first, "it is read again", QUICK)
        assert time.monotonic() - begun < QUICK
        assert not any(agency.polled(community) for key, community in communities.items() if key != healthy)


def _named(around: dict[str, str]) -> str:
    """The database's name."""
    return around["DATABASE_URL"].rpartition("/")[2].partition("?")[0]
