"""Many requests to read communities again, while workers read them: no transaction waits for another in a circle."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.servers import Servers
from tests.system.installation import (
    VALKEY_DATABASE,
    Agency,
    InstalledDatabase,
    closing,
    eventually,
    service_environment,
)
from tests.system.sandbox import sandbox
from tests.system.serving import api, process

CALLS = 360
CLIENTS = 6
WORKERS = 2


@pytest.mark.long
def test_many_syncs_beside_running_workers_make_no_deadlock(servers: Servers, tmp_path: Path) -> None:
    database = servers.clone()
    db = InstalledDatabase(servers.superuser_url(database))

    def deadlocks() -> int:
        return int(db.one("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"))

    with ExitStack() as stack:
        network = stack.enter_context(sandbox(tmp_path))
        variables = service_environment(servers, database, network, VALKEY_DATABASE + 4)
        url = stack.enter_context(api(servers, database, tmp_path, **variables))
        agency = stack.enter_context(closing(Agency(url)))
        for number in range(WORKERS):
            log = tmp_path / f"worker-{number}.log"
            stack.enter_context(process("app.cli.main", "worker", variables=variables, log=log))
        communities = [agency.connect(community, days=3) for community in network.communities().values()]
        eventually(lambda: all(map(agency.polled, communities)), "every community is read", 180)

        def sync(number: int) -> str:
            path = f"/v1/communities/{communities[number % len(communities)]}/sync"
            answer = httpx.post(f"{url}{path}", headers=agency.http.headers, timeout=60)
            return "synced" if answer.status_code == 202 else str(answer.json()["code"])

        with ThreadPoolExecutor(CLIENTS) as clients:
            answers = Counter(clients.map(sync, range(CALLS)))
        assert (deadlocks(), dict(answers)) == (0, {"synced": CALLS})
        waiting = "SELECT count(*) FROM job WHERE kind = 'communities.poll' AND state = 'waiting' AND run_at <= now()"
        eventually(lambda: db.one(waiting) == 0, "all of it is read")
        twins = (
            "SELECT max(n) FROM (SELECT count(*) AS n FROM job WHERE state <> 'dead' GROUP BY workspace_id, kind, key)"
        )
        eventually(lambda: db.one(f"{twins} AS counts") == 1, "the twins are merged")
        assert db.one("SELECT count(*) FROM job WHERE state = 'dead'") == 0
        assert deadlocks() == 0
